/** Hashing and comparing bytes where they lie. */
import { makeSpace, type Space } from '@corral/protocol'

/**
 * @param seed - drawn once per tree, so that clients cannot aim at one bucket
 * @returns a signed 32-bit number, mixed in all bits
 */
export function hashBytes(source: Space, from: number, to: number, seed: number): number {
  const { bytes, view } = source
  let h = (seed ^ (to - from)) | 0
  let i = from
  for (; i + 4 <= to; i += 4) {
    h = Math.imul(h ^ view.getInt32(i, true), 0x9e3779b1)
    h ^= h >>> 15
  }
  for (; i < to; i++) h = Math.imul(h ^ (bytes[i] as number), 0x01000193)
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  return h ^ (h >>> 13)
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
