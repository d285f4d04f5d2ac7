import { expect, test } from 'vitest'
import { javaDates } from './java-date.ts'

const ms = Date.UTC(2026, 10, 21, 8, 46, 39)

test.each([
  ['UTC', 'Sat Nov 21 08:46:39 UTC 2026'],
  ['Europe/Berlin', 'Sat Nov 21 09:46:39 CET 2026'],
  ['America/New_York', 'Sat Nov 21 03:46:39 EST 2026'],
  ['Asia/Kolkata', 'Sat Nov 21 14:16:39 IST 2026'],
  ['Asia/Kathmandu', 'Sat Nov 21 14:31:39 GMT+05:45 2026'],
])('in %s', (zone, text) => {
  expect(javaDates(zone)(ms)).toBe(text)
})

test('summer has a name of its own', () => {
  const inBerlin = javaDates('Europe/Berlin')

  expect([inBerlin(Date.UTC(2026, 6, 1)), inBerlin(ms)]).toEqual([
    'Wed Jul 01 02:00:00 CEST 2026',
    'Sat Nov 21 09:46:39 CET 2026',
  ])
})

test('midnight is hour 00', () => {
  expect(javaDates('UTC')(0)).toBe('Thu Jan 01 00:00:00 UTC 1970')
})

test('a time that no calendar has is printed as it is', () => {
  expect(javaDates('UTC')(Number.MAX_SAFE_INTEGER)).toBe('9007199254740991 ms')
})
