import { expect, test } from 'vitest'
import { shrink } from './shrink.ts'

test('a failing sequence is cut down to the steps that it takes', async () => {
  const items = Array.from({ length: 500 }, (_, i) => i)

  const shrunk = await shrink(
    items,
    async tried => [17, 300, 499].every(needed => tried.includes(needed)),
    1000,
  )

  expect(shrunk).toEqual([17, 300, 499])
})

test('shrinking ends when its runs are used up', async () => {
  let runs = 0

  const shrunk = await shrink(
    Array.from({ length: 1000 }, (_, i) => i),
    async tried => {
      runs++
      return tried.includes(999) && tried.includes(3)
    },
    5,
  )

  expect(runs).toBeLessThanOrEqual(5)
  expect(shrunk).toContain(999)
})
