import { deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  adler32,
  crc32,
  crc32Difference,
  crc32OfWord,
  crc32OfWords,
  crc32PastZeros,
  crc32ZerosTable,
} from './checksums.ts'
import { makeSpace, spaceOf } from './jute/writer.ts'

/** zlib writes Adler-32 behind a deflate stream, CRC-32 and length behind a gzip one. */
function byZlib(bytes: Uint8Array): { readonly adler: number; readonly crc: number } {
  const deflated = deflateSync(bytes, { level: 0 })
  const gzipped = gzipSync(bytes, { level: 0 })
  return { adler: deflated.readUInt32BE(deflated.length - 4), crc: gzipped.readInt32LE(gzipped.length - 8) }
}

function ours(bytes: Uint8Array): { readonly adler: number; readonly crc: number } {
  const space = spaceOf(bytes)
  return { adler: adler32(space, 0, bytes.length), crc: crc32(space, 0, bytes.length) }
}

test('known values', () => {
  const text = new TextEncoder().encode('123456789')

  expect(ours(text)).toEqual({ adler: 0x091e01de, crc: 0xcbf43926 | 0 })
  expect(ours(new Uint8Array(0))).toEqual({ adler: 1, crc: 0 })
})

test('every length up to some blocks of the inner loops agrees with zlib', () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, i) => (i * 37) & 0xff)

  for (let length = 0; length <= bytes.length; length++) {
    const part = bytes.subarray(0, length)
    expect(ours(part)).toEqual(byZlib(part))
  }
})

test('the sums do not overflow on the largest bytes', () => {
  const bytes = new Uint8Array(100_000).fill(0xff)

  expect(ours(bytes)).toEqual(byZlib(bytes))
})

test('random bytes agree with zlib, in one part or two', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 9000 }), fc.nat(9000), (raw, cut) => {
      const bytes = Uint8Array.from(raw)
      const at = Math.min(cut, bytes.length)
      const expected = byZlib(bytes)

      expect(ours(bytes)).toEqual(expected)
      const space = spaceOf(bytes)
      expect(adler32(space, at, bytes.length, adler32(space, 0, at))).toBe(expected.adler)
      expect(crc32(space, at, bytes.length, crc32(space, 0, at))).toBe(expected.crc)
    }),
    { numRuns: 300 },
  )
})

test('the CRC of words is that of their bytes', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer(), fc.integer(), (high, low, seed) => {
      const space = makeSpace(8)
      space.view.setInt32(0, high)
      space.view.setInt32(4, low)

      expect(crc32OfWords(high, low, seed)).toBe(crc32(space, 0, 8, seed))
      expect(crc32OfWord(high, seed)).toBe(crc32(space, 0, 4, seed))
    }),
  )
})

test('where two messages differ tells where their CRCs do', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 20 }),
      fc.uint8Array({ maxLength: 60 }),
      fc.tuple(fc.integer(), fc.integer(), fc.integer(), fc.integer()),
      (before, behind, [high, low, otherHigh, otherLow]) => {
        const one = makeSpace(before.length + 8 + behind.length)
        one.bytes.set(before)
        one.bytes.set(behind, before.length + 8)
        const other = spaceOf(Uint8Array.from(one.bytes))
        one.view.setInt32(before.length, high)
        one.view.setInt32(before.length + 4, low)
        other.view.setInt32(before.length, otherHigh)
        other.view.setInt32(before.length + 4, otherLow)
        const length = one.bytes.length

        const bits = crc32Difference(high ^ otherHigh, low ^ otherLow)
        expect(crc32PastZeros(crc32ZerosTable(behind.length), bits)).toBe(
          crc32(one, 0, length) ^ crc32(other, 0, length),
        )
      },
    ),
  )
})
