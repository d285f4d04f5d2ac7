import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fifo } from './fifo.ts'

test('it holds what an array holds', () => {
  const step = fc.oneof(
    { weight: 50, arbitrary: fc.constant('push') },
    { weight: 45, arbitrary: fc.constant('shift') },
    fc.nat(3000),
  )
  fc.assert(
    fc.property(fc.array(step, { minLength: 3000, maxLength: 6000, size: 'max' }), steps => {
      const fifo = new Fifo<number>()
      const array: number[] = []
      steps.forEach((what, i) => {
        if (what === 'push') {
          fifo.push(i)
          array.push(i)
        } else if (what === 'shift') {
          expect(fifo.shift()).toBe(array.shift())
        } else {
          array.length = Math.min(array.length, Number(what))
          fifo.truncate(array.length)
        }
      })
      expect(fifo.length).toBe(array.length)
      expect(fifo.first).toBe(array[0])
      expect(array.map((_, at) => fifo.at(at))).toEqual(array)
      expect([...fifo]).toEqual(array)
      expect(fifo.drain()).toEqual(array)
      expect(fifo.length).toBe(0)
    }),
    { numRuns: 30 },
  )
})

test('a queue that is never empty does not grow', () => {
  const fifo = new Fifo<number>()
  for (let i = 0; i < 800; i++) fifo.push(i)
  let most = 0
  for (let i = 0; i < 100_000; i++) {
    fifo.push(i)
    fifo.shift()
    most = Math.max(most, fifo.places)
  }

  expect(fifo.length).toBe(800)
  expect(most).toBeLessThan(3000)
})
