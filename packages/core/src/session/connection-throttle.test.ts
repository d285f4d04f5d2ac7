import { describe, expect, test } from 'vitest'
import { defaultConfig } from '../config.ts'
import { type Random, seededRandom } from '../random.ts'
import { ConnectionThrottle } from './connection-throttle.ts'

const off = defaultConfig.connectionThrottle
const creation = { isRenewal: false }
const renewal = { isRenewal: true }

test('without tokens configured everybody is admitted', () => {
  const throttle = new ConnectionThrottle(off, seededRandom(1))

  expect(Array.from({ length: 1000 }, () => throttle.admit(0, creation)).every(Boolean)).toBe(true)
})

test('an empty bucket refuses until it is filled again', () => {
  const throttle = new ConnectionThrottle(
    { ...off, tokens: 2, fillTimeMs: 100, fillCount: 1 },
    seededRandom(1),
  )

  expect([throttle.admit(0, creation), throttle.admit(0, creation), throttle.admit(0, creation)]).toEqual([
    true,
    true,
    false,
  ])
  expect(throttle.admit(100, creation)).toBe(false)
  expect(throttle.admit(101, creation)).toBe(true)
  expect(throttle.admit(101, creation)).toBe(false)
})

test('what flows in is in proportion to the time that passed', () => {
  const throttle = new ConnectionThrottle(
    { ...off, tokens: 5, fillTimeMs: 100, fillCount: 2 },
    seededRandom(1),
  )
  for (let i = 0; i < 5; i++) expect(throttle.admit(0, creation)).toBe(true)

  expect([150, 150, 150, 150].map(nowMs => throttle.admit(nowMs, creation))).toEqual([
    true,
    true,
    true,
    false,
  ])
})

test('with weights a renewal costs less than a new session', () => {
  const weighted = { ...off, tokens: 1, isWeighted: true }
  const renewals = new ConnectionThrottle(weighted, seededRandom(1))
  const creations = new ConnectionThrottle(weighted, seededRandom(1))

  expect([renewals.admit(0, renewal), renewals.admit(0, creation)]).toEqual([true, false])
  expect([creations.admit(0, creation), creations.admit(0, renewal)]).toEqual([true, false])
})

describe('random dropping', () => {
  const bucket = {
    ...off,
    tokens: 4,
    fillTimeMs: 1000,
    freezeTimeMs: 10,
    dropIncrease: 0.2,
    dropDecrease: 0.1,
  }

  /** A throttle whose next draw is given with each request. @returns was it admitted? */
  function drawn(given: Partial<typeof bucket>): (nowMs: number, draw: number) => boolean {
    let next = 0
    const random: Random = { u32: () => next * 0x1_0000_0000, fork: () => random }
    const throttle = new ConnectionThrottle({ ...bucket, ...given }, random)
    return (nowMs, draw) => {
      next = draw
      return throttle.admit(nowMs, creation)
    }
  }

  /** Emptied at 0, asked again at 11 and 22 for two increases, and between them, which is too early for a third. */
  function emptied(given: Partial<typeof bucket> = {}): (nowMs: number, draw: number) => boolean {
    const admit = drawn(given)
    for (let i = 0; i < 4; i++) expect(admit(0, 0)).toBe(true)
    for (const nowMs of [11, 21, 22]) expect(admit(nowMs, 0.999)).toBe(false)
    return admit
  }

  test.each([
    // tokens are back after so many seconds; the chance was 0.4
    { decreaseRatio: 0, seconds: 1, chance: 0.4 },
    { decreaseRatio: 0, seconds: 3, chance: 0.4 },
    { decreaseRatio: 0, seconds: 4, chance: 0.3 },
    { decreaseRatio: 0.5, seconds: 1, chance: 0.4 },
    { decreaseRatio: 0.5, seconds: 2, chance: 0.3 },
    { decreaseRatio: 0.3, seconds: 2, chance: 0.4 },
    { decreaseRatio: 0.3, seconds: 3, chance: 0.3 },
  ])('with $seconds of 4 tokens back and a ratio of $decreaseRatio the chance is $chance', given => {
    const admit = emptied({ decreaseRatio: given.decreaseRatio })
    const nowMs = given.seconds * 1000 + 1

    expect(admit(nowMs, given.chance - 0.01)).toBe(false)
    expect(admit(nowMs + 10, given.chance + 0.01)).toBe(true)
  })

  test('the chance ends at 1 and at 0', () => {
    const certain = emptied({ dropIncrease: 0.7 })
    expect(certain(1000, 0.999)).toBe(false)
    expect([certain(4000, 0.91), certain(4000, 0.89)]).toEqual([true, false])

    const none = emptied({ dropDecrease: 0.7 })
    expect(none(4000, 0)).toBe(true)
    for (let i = 0; i < 3; i++) expect(none(4000, 0)).toBe(true)
    expect(none(4011, 0.999)).toBe(false)
    expect([none(5011, 0.19), none(5011, 0.21)]).toEqual([false, true])
  })

  test('without a freeze time nobody is dropped while there are tokens', () => {
    expect(emptied({ freezeTimeMs: -1 })(1001, 0)).toBe(true)
  })
})
