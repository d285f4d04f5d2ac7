/** Hashing and comparing bytes where they lie. */
import { makeSpace, type Space } from '@corral/protocol'

/**
 * HalfSipHash-1-3: without the seed nobody finds paths, or ACLs, that share a bucket. A hash of xor, multiply and shift
 * has pairs of words that undo each other whatever it starts from.
 *
 * Source: J.-P. Aumasson and D. J. Bernstein, SipHash; the halved form is what Linux keeps its hash tables by on 32 bits.
 *
 * @param seed - drawn once per tree
 * @returns a signed 32-bit number, mixed in all bits
 */
export function hashBytes(source: Space, from: number, to: number, seed: number): number {
  const { bytes, view } = source
  const lastFrom = to - ((to - from) & 3)
  let last = (to - from) << 24
  for (let i = lastFrom, shift = 0; i < to; i++, shift += 8) last |= (bytes[i] as number) << shift

  let v0 = seed | 0
  let v1 = Math.imul(seed, 0x9e3779b1)
  let v2 = v0 ^ 0x6c796765
  let v3 = v1 ^ 0x74656462
  // All words, the last one, and three rounds more.
  for (let i = from; i <= lastFrom + 12; i += 4) {
    const word = i < lastFrom ? view.getInt32(i, true) : i === lastFrom ? last : 0
    v3 ^= word
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= word
    if (i === lastFrom) v2 ^= 0xff
  }
  return v1 ^ v3
}

export function equalBytes(a: Space, aFrom: number, b: Space, bFrom: number, length: number): boolean {
  const left = a.view
  const right = b.view
  let i = 0
  for (; i + 4 <= length; i += 4) {
    if (left.getInt32(aFrom + i) !== right.getInt32(bFrom + i)) return false
  }
  for (; i < length; i++) {
    if (left.getUint8(aFrom + i) !== right.getUint8(bFrom + i)) return false
  }
  return true
}

const slash = 0x2f

/** @returns the offset of the last slash of `from` to `to` (exclusive), or -1 */
export function lastSlash(bytes: Uint8Array, from: number, to: number): number {
  for (let i = to - 1; i >= from; i--) {
    if (bytes[i] === slash) return i
  }
  return -1
}

/** Signed 64-bit numbers as two words. */
export function isLess(aHigh: number, aLow: number, bHigh: number, bLow: number): boolean {
  const high = aHigh | 0
  const otherHigh = bHigh | 0
  return high === otherHigh ? aLow >>> 0 < bLow >>> 0 : high < otherHigh
}

/** Safe integers only. */
export function fromTimeWords(high: number, low: number): number {
  return (high | 0) * 0x1_0000_0000 + (low >>> 0)
}

/** The bytes of an ASCII text. */
export function asciiSpace(text: string): Space {
  const space = makeSpace(text.length)
  for (let i = 0; i < text.length; i++) space.bytes[i] = text.charCodeAt(i)
  return space
}
