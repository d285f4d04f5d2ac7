import { expect, test } from 'vitest'
import { Fifo } from './fifo.ts'

test('gives back what went in, in order, however pushes and shifts are mixed', () => {
  const queue = new Fifo<number>()
  const out: number[] = []
  let next = 0
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < round % 13; i++) queue.push(next++)
    for (let i = 0; i < round % 7; i++) {
      const item = queue.shift()
      if (item !== undefined) out.push(item)
    }
  }

  expect(queue.length).toBe(next - out.length)
  expect([...queue]).toEqual(Array.from({ length: queue.length }, (_, i) => out.length + i))
  out.push(...queue.drain())

  expect(out).toEqual(Array.from({ length: next }, (_, i) => i))
  expect(queue.shift()).toBeUndefined()
})
