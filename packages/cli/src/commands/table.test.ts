import { expect, test } from 'vitest'
import { commandHelp, commandList, commandNames } from './table.ts'

test.each(commandNames)('help explains %s on lines that fit a screen', name => {
  const [syntax, blank, about, ...options] = commandHelp(name) ?? []

  expect(syntax?.startsWith(name)).toBe(true)
  expect(blank).toBe('')
  expect(about).toMatch(/^[A-Z].*\.$/)
  expect([about ?? '', ...options].every(line => line.length <= 110)).toBe(true)
  expect(options.filter(line => !(line === '' || /^ -\S+( <arg>)? +\S/.test(line)))).toEqual([])
})

test('the list has every command once, in the order of the alphabet', () => {
  const listed = commandList().slice(1)

  expect(listed.map(line => line.trim().split(' ', 1)[0])).toEqual(commandNames)
  expect([...commandNames].sort()).toEqual(commandNames)
})

test('no command, no help', () => {
  expect(commandHelp('nonsense')).toBeUndefined()
})
