import { expect, test } from 'vitest'
import { type OptionRules, optionHelp, parseOptions } from './options.ts'

const rules: OptionRules = {
  options: [
    { name: 's', about: 'stat' },
    { name: 'w', about: 'watch' },
    { name: 'v', about: 'version', takesValue: true },
    { name: 'members', about: 'list', takesValue: true },
  ],
}

test('options may stand before, between and after the operands', () => {
  const args = parseOptions(['-s', '/a', '-v', '3', 'data', '-w'], rules)

  expect(args.operands).toEqual(['/a', 'data'])
  expect([args.has('s'), args.has('w'), args.value('v')]).toEqual([true, true, '3'])
})

test.each([['-v3'], ['-v=3'], ['-wv3']])('a value may be attached: %s', word => {
  expect(parseOptions([word], rules).value('v')).toBe('3')
})

test('letters may be put together', () => {
  const args = parseOptions(['-sw', '/a'], rules)

  expect([args.has('s'), args.has('w')]).toEqual([true, true])
})

test('an option may have a longer name', () => {
  expect(parseOptions(['-members', 'server.1=h:1:2;3'], rules).value('members')).toBe('server.1=h:1:2;3')
})

test.each([['-members=x'], ['-v3=4'], ['-s=1'], ['-wv=3']])(
  'an equals sign is taken behind one letter: %s',
  word => {
    expect(() => parseOptions([word], rules)).toThrow(`Unrecognized option: ${word}`)
  },
)

test('a negative number is a value, and not an operand', () => {
  expect(parseOptions(['-v', '-1', '/a'], rules).value('v')).toBe('-1')
  expect(() => parseOptions(['/a', '-1'], rules)).toThrow('Unrecognized option: -1')
})

test('two dashes end the options', () => {
  expect(parseOptions(['--', '-s', '/a'], rules).operands).toEqual(['-s', '/a'])
})

test('a lone dash is an operand', () => {
  expect(parseOptions(['/a', '-'], rules).operands).toEqual(['/a', '-'])
})

test.each([
  [['-z'], 'Unrecognized option: -z'],
  [['-sz'], 'Unrecognized option: -sz'],
  [['--s'], 'Unrecognized option: --s'],
  [['-v'], 'Missing argument for option: v'],
  [['-v', '-s'], 'Missing argument for option: v'],
])('%j is refused', (words, message) => {
  expect(() => parseOptions(words, rules)).toThrow(message)
})

test('of a choice only one may be given, though it may be given twice', () => {
  const choice: OptionRules = { ...rules, choice: 'required' }

  expect(() => parseOptions(['-s', '-w'], choice)).toThrow("already been selected: 's'")
  expect(() => parseOptions([], choice)).toThrow('Missing required option: [-s stat, -w watch')
  expect(parseOptions(['-s', '-s'], choice).has('s')).toBe(true)
})

test('the help puts what the options mean in one column', () => {
  expect(optionHelp(rules.options.slice(0, 3))).toEqual([
    ' -s         stat',
    ' -v <arg>   version',
    ' -w         watch',
  ])
})
