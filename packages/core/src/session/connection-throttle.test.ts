import { expect, test } from 'vitest'
import { defaultConfig } from '../config.ts'
import { seededRandom } from '../random.ts'
import { ConnectionThrottle } from './connection-throttle.ts'

const off = defaultConfig.connectionThrottle

test('without tokens configured everybody is admitted', () => {
  const throttle = new ConnectionThrottle(off, seededRandom(1))

  expect(Array.from({ length: 1000 }, () => throttle.admit(0, false)).every(Boolean)).toBe(true)
})

test('an empty bucket refuses until it is filled again', () => {
  const throttle = new ConnectionThrottle(
    { ...off, tokens: 2, fillTimeMs: 100, fillCount: 1 },
    seededRandom(1),
  )

  expect([throttle.admit(0, false), throttle.admit(0, false), throttle.admit(0, false)]).toEqual([
    true,
    true,
    false,
  ])
  expect(throttle.admit(99, false)).toBe(false)
  expect(throttle.admit(100, false)).toBe(true)
  expect(throttle.admit(100, false)).toBe(false)
})

test('with weights a renewal costs less than a new session', () => {
  const weighted = { ...off, tokens: 1, isWeighted: true }
  const renewals = new ConnectionThrottle(weighted, seededRandom(1))
  const creations = new ConnectionThrottle(weighted, seededRandom(1))

  expect([renewals.admit(0, true), renewals.admit(0, false)]).toEqual([true, false])
  expect([creations.admit(0, false), creations.admit(0, true)]).toEqual([true, false])
})
