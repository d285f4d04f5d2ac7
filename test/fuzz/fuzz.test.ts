/** The short run: captured and saved inputs, and a few new ones from a fixed seed. For more: `npm run fuzz`. */
import { seededRandom } from '@corral/core'
import { describe, expect, test } from 'vitest'
import { fuzz, savedInputs, targets } from './run.ts'
import { longestStepMs, type Target } from './target.ts'

/** New inputs per target. */
const counts: Readonly<Record<string, number>> = {
  connection: 200,
  quota: 100,
  acl: 100,
  words: 100,
  decoders: 400,
  log: 50,
  snapshot: 60,
  snappy: 3000,
  'compressed-file': 60,
  config: 300,
  client: 300,
}

test('a step that is too long twice is a failure, one that was so once is not', async () => {
  const slow = (...stepsMs: readonly number[]): Target => {
    let runs = 0
    return {
      name: 'slow',
      seeds: () => [Uint8Array.of(1)],
      make: () => Uint8Array.of(1),
      run: () => ({ slowestStepMs: stepsMs[runs++] ?? 0, outcome: 'done' }),
    }
  }

  const twice = await fuzz(slow(longestStepMs + 1, longestStepMs + 2), 1, () => true)
  const once = await fuzz(slow(longestStepMs + 1, 3), 1, () => true)

  expect(String(twice.failures[0]?.error)).toMatch(/no step takes 51\.0 ms/)
  expect(once.failures).toEqual([])
  expect(once.slowestStepMs).toBe(3)
})

describe.each(targets)('$name', target => {
  test('every captured and saved input, and new ones', async () => {
    const count = counts[target.name] ?? 0

    const { failures, cases, outcomes } = await fuzz(target, 20_240_601, done => done >= count)

    if (failures[0] !== undefined) throw failures[0].error
    // Where all inputs end alike, nothing behind the first check is tried.
    expect(outcomes.size).toBeGreaterThan(1)
    expect(cases).toBe(count + target.seeds().length + savedInputs(target).length)
  })

  test('the same seed makes the same inputs', () => {
    const [first, second] = [1, 2].map(() => {
      const random = seededRandom(5).fork(target.name)
      return Array.from({ length: 20 }, () =>
        Buffer.from(target.make(random, target.seeds())).toString('hex'),
      )
    })

    expect(first).toEqual(second)
    expect(new Set(first).size).toBeGreaterThan(10)
  })
})
