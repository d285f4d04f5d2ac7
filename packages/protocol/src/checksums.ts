/** Adler-32 (log records, snapshot seals) and CRC-32 (tree digest), both as in zlib. Plain JS: crossing into
 * native code costs more than a small record's whole checksum. */
import type { Space } from './jute/writer.ts'

const adlerModulus = 65521
/** Bytes after which the sums must be reduced to stay below 2^32. */
const adlerBlockBytes = 3780
/** Words whose bytes can be added up in lanes of 16 bits, and these sums again. */
const laneBytes = 4 * 21
const laneMask = 0x00ff_00ff

/**
 * Four bytes at a time, each in a lane of 16 bits: `even` holds the sums of bytes 0 and 2 of the words, `odd` of 1 and
 * 3, and the earlier ones of both are added up once more, since a byte counts in the upper half as often as bytes
 * follow.
 *
 * @param seed - the checksum so far, 1 to begin with
 * @returns unsigned 32 bits
 */
export function adler32({ bytes, view }: Space, from: number, to: number, seed = 1): number {
  let a = seed & 0xffff
  let b = seed >>> 16
  let at = from
  const wordsTo = to - 3
  while (at < wordsTo) {
    const blockTo = Math.min(at + adlerBlockBytes, wordsTo)
    while (at < blockTo) {
      const start = at
      const lanesTo = Math.min(at + laneBytes, blockTo)
      let even = 0
      let odd = 0
      let earlier = 0
      let earlierOdd = 0
      for (; at < lanesTo; at += 4) {
        const word = view.getInt32(at, true)
        earlier = (earlier + even) | 0
        earlierOdd = (earlierOdd + odd) | 0
        even = (even + (word & laneMask)) | 0
        odd = (odd + ((word >>> 8) & laneMask)) | 0
      }
      const words = (earlier & 0xffff) + (earlier >>> 16) + (earlierOdd & 0xffff) + (earlierOdd >>> 16)
      const inWords = 4 * (even & 0xffff) + 3 * (odd & 0xffff) + 2 * (even >>> 16) + (odd >>> 16)
      b = (b + Math.imul(a, at - start) + 4 * words + inWords) | 0
      a += (even & 0xffff) + (even >>> 16) + (odd & 0xffff) + (odd >>> 16)
    }
    a %= adlerModulus
    b = (b >>> 0) % adlerModulus
  }
  for (; at < to; at++) {
    a += bytes[at] as number
    b += a
  }
  return (((b % adlerModulus) << 16) | (a % adlerModulus)) >>> 0
}

/** Sixteen tables of 256 entries in one array (slice-by-16). */
const crcTables: Int32Array = makeCrcTables()

function makeCrcTables(): Int32Array {
  const tables = new Int32Array(16 * 256)
  for (let n = 0; n < 256; n++) {
    let c = n
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
    tables[n] = c
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256] as number
    tables[i] = (before >>> 8) ^ (tables[before & 0xff] as number)
  }
  return tables
}

/**
 * @param seed - the checksum so far, 0 to begin with: crc(ab) = crc(b, seed crc(a))
 * @returns the checksum as a signed 32-bit number
 */
export function crc32({ bytes, view }: Space, from: number, to: number, seed = 0): number {
  const t = crcTables
  let c = ~seed
  let at = from
  for (; at + 16 <= to; at += 16) {
    // Only the first word waits for the step before; what is in brackets does not wait for it.
    const w = view.getInt32(at, true) ^ c
    const x = view.getInt32(at + 4, true)
    const y = view.getInt32(at + 8, true)
    const z = view.getInt32(at + 12, true)
    c =
      (t[3840 + (w & 0xff)] as number) ^
      (t[3584 + ((w >>> 8) & 0xff)] as number) ^
      (t[3328 + ((w >>> 16) & 0xff)] as number) ^
      (t[3072 + (w >>> 24)] as number) ^
      ((t[2816 + (x & 0xff)] as number) ^
        (t[2560 + ((x >>> 8) & 0xff)] as number) ^
        (t[2304 + ((x >>> 16) & 0xff)] as number) ^
        (t[2048 + (x >>> 24)] as number) ^
        ((t[1792 + (y & 0xff)] as number) ^
          (t[1536 + ((y >>> 8) & 0xff)] as number) ^
          (t[1280 + ((y >>> 16) & 0xff)] as number) ^
          (t[1024 + (y >>> 24)] as number) ^
          ((t[768 + (z & 0xff)] as number) ^
            (t[512 + ((z >>> 8) & 0xff)] as number) ^
            (t[256 + ((z >>> 16) & 0xff)] as number) ^
            (t[z >>> 24] as number))))
  }
  if (at + 8 <= to) {
    const w = view.getInt32(at, true) ^ c
    const x = view.getInt32(at + 4, true)
    c =
      (t[1792 + (w & 0xff)] as number) ^
      (t[1536 + ((w >>> 8) & 0xff)] as number) ^
      (t[1280 + ((w >>> 16) & 0xff)] as number) ^
      (t[1024 + (w >>> 24)] as number) ^
      (t[768 + (x & 0xff)] as number) ^
      (t[512 + ((x >>> 8) & 0xff)] as number) ^
      (t[256 + ((x >>> 16) & 0xff)] as number) ^
      (t[x >>> 24] as number)
    at += 8
  }
  if (at + 4 <= to) {
    const w = view.getInt32(at, true) ^ c
    c =
      (t[768 + (w & 0xff)] as number) ^
      (t[512 + ((w >>> 8) & 0xff)] as number) ^
      (t[256 + ((w >>> 16) & 0xff)] as number) ^
      (t[w >>> 24] as number)
    at += 4
  }
  for (; at < to; at++) c = (t[(c ^ (bytes[at] as number)) & 0xff] as number) ^ (c >>> 8)
  return ~c
}

/** {@link crc32} of eight bytes, given as two big-endian words. */
export function crc32OfWords(high: number, low: number, seed: number): number {
  const t = crcTables
  const c = ~seed
  return ~(
    (t[1792 + ((c ^ (high >>> 24)) & 0xff)] as number) ^
    (t[1536 + (((c >>> 8) ^ (high >>> 16)) & 0xff)] as number) ^
    (t[1280 + (((c >>> 16) ^ (high >>> 8)) & 0xff)] as number) ^
    (t[1024 + (((c >>> 24) ^ high) & 0xff)] as number) ^
    (t[768 + (low >>> 24)] as number) ^
    (t[512 + ((low >>> 16) & 0xff)] as number) ^
    (t[256 + ((low >>> 8) & 0xff)] as number) ^
    (t[low & 0xff] as number)
  )
}

/**
 * CRC-32 is linear: two messages of a length that differ in some bits have checksums that differ in bits which depend on
 * those alone, and zero bytes behind them move these bits. The table says how.
 *
 * @param count - of zero bytes
 * @returns to be used by {@link crc32PastZeros}: four tables of 256 entries, one for each byte of the checksum
 */
export function crc32ZerosTable(count: number): Int32Array {
  const table = new Int32Array(4 * 256)
  for (let bit = 0; bit < 32; bit++) {
    let c = 1 << bit
    for (let i = 0; i < count; i++) c = (c >>> 8) ^ (crcTables[c & 0xff] as number)
    const first = 256 * (bit >>> 3)
    const place = 1 << (bit & 7)
    for (let low = 0; low < place; low++) table[first + place + low] = c ^ (table[first + low] as number)
  }
  return table
}

/**
 * How checksums differ when zero bytes follow what they differ in.
 *
 * @param table - {@link crc32ZerosTable}
 * @param bits - in which they differ before
 */
export function crc32PastZeros(table: Int32Array, bits: number): number {
  return (
    (table[bits & 0xff] as number) ^
    (table[256 + ((bits >>> 8) & 0xff)] as number) ^
    (table[512 + ((bits >>> 16) & 0xff)] as number) ^
    (table[768 + (bits >>> 24)] as number)
  )
}

/** In which bits the checksums of eight bytes differ that differ in these bits of two big-endian words. */
export function crc32Difference(high: number, low: number): number {
  return ~crc32OfWords(high, low, -1)
}

/** {@link crc32} of the four bytes of a big-endian word. */
export function crc32OfWord(word: number, seed: number): number {
  const t = crcTables
  const c = ~seed
  return ~(
    (t[768 + ((c ^ (word >>> 24)) & 0xff)] as number) ^
    (t[512 + (((c >>> 8) ^ (word >>> 16)) & 0xff)] as number) ^
    (t[256 + (((c >>> 16) ^ (word >>> 8)) & 0xff)] as number) ^
    (t[((c >>> 24) ^ word) & 0xff] as number)
  )
}
