import { expect, test } from 'vitest'
import { limited } from './log-limit.ts'

test('of each kind a thousand lines a minute are said, and later how many more there were', () => {
  const said: string[] = []
  let nowMs = 5000
  const say = limited(
    (level, what, fields) => said.push([level, what, ...Object.values(fields)].join(' ')),
    () => nowMs,
  )

  for (let i = 0; i < 1500; i++) say('warn', 'noise', { i })
  say('info', 'another kind', {})
  expect(said.length).toBe(1001)
  expect(said.slice(-2)).toEqual(['warn noise 999', 'info another kind'])

  nowMs += 59_999
  say('warn', 'noise', { i: 1500 })
  expect(said.length).toBe(1001)

  nowMs += 1
  say('info', 'something else', {})
  say('warn', 'noise', { i: 1501 })
  expect(said.slice(1001)).toEqual([
    'warn lines of one kind were left out noise 501',
    'info something else',
    'warn noise 1501',
  ])
})
