import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeEncoder, PlainReader } from './disk-codecs.ts'
import {
  compressBlock,
  decompressBlock,
  largestCompressed,
  largestSnappyBlockBytes,
  SnappyError,
} from './snappy.ts'

/** A generator with a period beyond any test, so that a failure can be repeated. */
function bytesOf(seed: number, length: number, alphabet: number): Uint8Array {
  let state = seed
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 16) % alphabet
  })
}

function compressed(plain: Uint8Array): Uint8Array {
  const into = new Uint8Array(largestCompressed(plain.length))
  return into.subarray(0, compressBlock(plain, into))
}

describe('a block', () => {
  test.each([0, 1, 3, 4, 5, 59, 60, 61, 64, 65, 255, 256, 257, 4096, 32_767, 32_768])(
    'of %i bytes comes back',
    length => {
      for (const alphabet of [1, 2, 4, 40, 256]) {
        const plain = bytesOf(length + alphabet, length, alphabet)
        expect(decompressBlock(compressed(plain))).toEqual(plain)
      }
    },
  )

  test('of repetitions becomes small', () => {
    expect(compressed(new Uint8Array(32_768).fill(7)).length).toBeLessThan(2000)
  })

  test('of noise stays within its bound', () => {
    const plain = bytesOf(1, 32_768, 256)
    expect(compressed(plain).length).toBeLessThanOrEqual(largestCompressed(plain.length))
  })

  test.each([
    { what: 'a literal of three bytes', block: [3, 0x08, 1, 2, 3], plain: [1, 2, 3] },
    { what: 'a literal with its length in a byte', block: [3, 0xf0, 2, 1, 2, 3], plain: [1, 2, 3] },
    {
      what: 'a literal with its length in four bytes',
      block: [3, 0xfc, 2, 0, 0, 0, 1, 2, 3],
      plain: [1, 2, 3],
    },
    {
      what: 'a copy with one byte of offset, over itself',
      block: [6, 0x04, 1, 2, 0x01, 2],
      plain: [1, 2, 1, 2, 1, 2],
    },
    { what: 'a copy with two bytes of offset', block: [4, 0x04, 1, 2, 0x06, 2, 0], plain: [1, 2, 1, 2] },
    {
      what: 'a copy with four bytes of offset',
      block: [4, 0x04, 1, 2, 0x07, 2, 0, 0, 0],
      plain: [1, 2, 1, 2],
    },
  ])('with $what', ({ block, plain }) => {
    expect([...decompressBlock(Uint8Array.from(block))]).toEqual(plain)
  })

  test.each([
    { what: 'no length', block: [] },
    { what: 'a length that never ends', block: [0xff, 0xff, 0xff, 0xff, 0xff, 1] },
    { what: 'more bytes than it says', block: [2, 0x08, 1, 2, 3] },
    { what: 'fewer bytes than it says', block: [4, 0x08, 1, 2, 3] },
    { what: 'a literal beyond its end', block: [9, 0x20, 1, 2] },
    { what: 'a literal whose length is cut', block: [9, 0xf4, 1] },
    { what: 'a copy from before its start', block: [4, 0x04, 1, 2, 0x06, 3, 0] },
    { what: 'a copy from nowhere', block: [4, 0x04, 1, 2, 0x06, 0, 0] },
    { what: 'a copy that is cut', block: [4, 0x04, 1, 2, 0x06, 2] },
    { what: 'a literal of four billion bytes', block: [4, 0xfc, 0xff, 0xff, 0xff, 0xff, 1] },
  ])('with $what is refused', ({ block }) => {
    expect(() => decompressBlock(Uint8Array.from(block))).toThrow(SnappyError)
  })

  test('that promises more than its bound is refused before any memory is taken', () => {
    const promise = Uint8Array.from([0x81, 0x80, 0x40, 0]) // 1 MiB and one byte
    expect(largestSnappyBlockBytes).toBe(1 << 20)
    expect(() => decompressBlock(promise)).toThrow(/1048577 plain bytes/)
  })

  test('damaged anywhere is refused or gives the length it says', () => {
    const plain = bytesOf(5, 600, 3)
    const block = compressed(plain)
    for (let i = 0; i < block.length * 8; i++) {
      const damaged = block.slice()
      damaged[i >> 3] = (damaged[i >> 3] as number) ^ (1 << (i & 7))
      try {
        expect(decompressBlock(damaged).length).toBeLessThanOrEqual(largestSnappyBlockBytes)
      } catch (error) {
        expect(error).toBeInstanceOf(SnappyError)
      }
    }
  })
})

describe('20.10 the stream of the Java server', () => {
  const golden = new URL('../../../../test/golden/', import.meta.url)
  const { snappy } = JSON.parse(readFileSync(new URL('storage-vectors.json', golden), 'utf8'))
  const start = Buffer.from((snappy.hex as string).replaceAll(' ', ''), 'hex')
  const path = new URL('data-dirs/zookeeper-3.8.0/snapshot-snappy/data/version-2/snapshot.0.snappy', golden)
    .pathname

  async function readPlain(from: string): Promise<Uint8Array> {
    const reader = new PlainReader('snappy', from)
    const into = new Uint8Array(2 * snappy.plainBytes)
    return into.subarray(0, await reader.read(into))
  }

  test('is read', async () => {
    const block = new Uint8Array(readFileSync(path))

    const plain = await readPlain(path)

    expect(block.subarray(0, start.length)).toEqual(new Uint8Array(start))
    expect(plain.length).toBe(snappy.plainBytes)
    // The literal that the block begins with.
    expect(plain.subarray(0, 9)).toEqual(new Uint8Array(start.subarray(23)))
    expect(decompressBlock(block.subarray(20))).toEqual(plain)
  })

  test('is what we write: the same header, a block of the same plain length, the same plain bytes', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'corral-snappy-'))
    const ours = join(dir, 'snapshot.0.snappy')
    const fd = openSync(ours, 'w')
    try {
      const plain = await readPlain(path)
      const encoder = makeEncoder('snappy', fd)
      await encoder.write([plain.subarray(0, 100), plain.subarray(100)])
      await encoder.finish()

      const written = readFileSync(ours)
      expect(written.subarray(0, 16)).toEqual(start.subarray(0, 16))
      expect(written.readInt32BE(16)).toBe(written.length - 20)
      expect(written.subarray(20, 22)).toEqual(start.subarray(20, 22))
      expect(await readPlain(ours)).toEqual(plain)
    } finally {
      closeSync(fd)
      rmSync(dir, { recursive: true })
    }
  })
})
