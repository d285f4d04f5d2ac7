/**
 * The text in zookeeper_limits and zookeeper_stats: `key=value` pairs separated by `,` or `;`. Clients write what
 * they like there, so whatever is not a number is taken as not set and unknown keys are passed over.
 *
 * Source: StatsTrack in the Java server, which throws where this does not.
 */
import type { Space, Writer } from '@corral/protocol'

/** -1 is not set. */
export interface QuotaText {
  count: number
  bytes: number
  countHardLimit: number
  byteHardLimit: number
}

const separators = [0x2c, 0x3b] // , ;
const equals = 0x3d
const minus = 0x2d
const plus = 0x2b

/** The longest text looked at; what Java writes has at most 140 bytes. */
const maxTextBytes = 1024

export function readQuotaText(source: Space, from: number, to: number): QuotaText {
  const text: QuotaText = { count: -1, bytes: -1, countHardLimit: -1, byteHardLimit: -1 }
  const end = Math.min(to, from + maxTextBytes)
  for (let at = from; at < end; ) {
    let pairEnd = at
    while (pairEnd < end && !separators.includes(source.bytes[pairEnd] as number)) pairEnd++
    readPair(text, source.bytes, at, pairEnd)
    at = pairEnd + 1
  }
  return text
}

/** The value is what stands between the first and the second `=`: old parsers want one at the end of `bytes=-1=`. */
function readPair(text: QuotaText, bytes: Uint8Array, from: number, to: number): void {
  const keyEnd = indexOf(bytes, equals, from, to)
  if (keyEnd === to) return
  const key = ascii(bytes, from, keyEnd)
  if (!isKey(key)) return
  text[key] = readNumber(bytes, keyEnd + 1, indexOf(bytes, equals, keyEnd + 1, to))
}

function isKey(key: string): key is keyof QuotaText {
  return key === 'count' || key === 'bytes' || key === 'countHardLimit' || key === 'byteHardLimit'
}

function indexOf(bytes: Uint8Array, byte: number, from: number, to: number): number {
  let at = from
  while (at < to && bytes[at] !== byte) at++
  return at
}

function ascii(bytes: Uint8Array, from: number, to: number): string {
  let text = ''
  for (let at = from; at < to; at++) text += String.fromCharCode(bytes[at] as number)
  return text
}

/** @returns -1 for anything but a safe integer */
function readNumber(bytes: Uint8Array, from: number, to: number): number {
  const isNegative = from < to && bytes[from] === minus
  const digits = isNegative || (from < to && bytes[from] === plus) ? from + 1 : from
  if (digits >= to || to - digits > 16) return -1
  let value = 0
  for (let at = digits; at < to; at++) {
    const digit = (bytes[at] as number) - 0x30
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  if (!Number.isSafeInteger(value)) return -1
  return isNegative ? -value : value
}

/** Writes the text without a length, in the order and form of the Java server. */
export function writeQuotaText(text: QuotaText, out: Writer): void {
  let line = `count=${text.count},bytes=${text.bytes}`
  const isHard = text.byteHardLimit !== -1 || text.countHardLimit !== -1
  if (isHard) line += '='
  if (text.byteHardLimit !== -1) line += `;byteHardLimit=${text.byteHardLimit}`
  if (text.countHardLimit !== -1) line += `;countHardLimit=${text.countHardLimit}`
  for (let i = 0; i < line.length; i++) out.byte(line.charCodeAt(i))
}
