import { adler32, spaceOf } from '@corral/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AdlerSums } from './adler-sums.ts'

test('the checksum of any part is that of the part', () => {
  const sums = new AdlerSums()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), fc.nat(), fc.nat(), (bytes, a, b, c) => {
      const [from = 0, partFrom = 0, to = 0] = [a, b, c]
        .map(n => n % (bytes.length + 1))
        .sort((x, y) => x - y)
      sums.take(bytes, from, bytes.length)

      expect(sums.of(partFrom, to)).toBe(adler32(spaceOf(bytes), partFrom, to))
    }),
  )
})

test('also of a long one of large bytes', () => {
  const bytes = new Uint8Array(3_000_000).fill(0xff)
  const sums = new AdlerSums()
  sums.take(bytes, 10, bytes.length)

  expect(sums.of(200_000, 2_900_000)).toBe(adler32(spaceOf(bytes), 200_000, 2_900_000))
})
