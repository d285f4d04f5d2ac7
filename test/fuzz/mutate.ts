/** Changes to bytes that know what protocols are made of: lengths, counts, opcodes, paths, malformed text. */
import { drawBelow, type Random } from '@corral/core'
import { OpCode } from '@corral/protocol'

/** Lengths, counts, versions and opcodes at their edges. */
export const numbers: readonly number[] = [
  ...new Set([
    ...Object.values(OpCode),
    ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 31, 32, 37, 44, 60, 68, 99, 108, 127, 128, 255, 256],
    ...[-1, -2, -4, -8, -12, -127, -128, 0x7fff, 0x8000, 0xffff, 0x10000, 0xffffe, 0xfffff, 0x100000],
    ...[0x1fffff, 0xffffff, 0x1000000, 0x2000000, 0x7ffffffe, 0x7fffffff, -0x80000000, -0x7fffffff],
    ...[0x72756f6b, 0x73727672, 0x73746d6b, 0x5a4b4c47, 0x5a4b534e, 0xfff4fffd | 0, 0x20000, 0x15555555],
  ]),
]

/** Paths, schemes, ids, quota texts and what is not text. */
export const words: readonly string[] = [
  '',
  '/',
  '//',
  '/.',
  '/..',
  '/a',
  '/a/',
  '/a/b',
  '/a/b/c',
  '/a/..',
  '/b',
  '/seq-',
  '/\0',
  '/\u007f',
  '/é中',
  '/__proto__',
  '/constructor',
  '/zookeeper',
  '/zookeeper/config',
  '/zookeeper/quota',
  '/zookeeper/quota/a',
  '/zookeeper/quota/a/zookeeper_limits',
  '/zookeeper/quota/a/zookeeper_stats',
  '/zookeeper/quota/zookeeper_limits',
  '/zookeeper/quota/zookeeper_stats',
  'world',
  'anyone',
  'auth',
  'digest',
  'ip',
  'super',
  'sasl',
  'x509',
  'bogus',
  'u:p',
  ':',
  'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=',
  '127.0.0.1',
  '127.0.0.1/33',
  '10.0.0.0/8',
  '::1/64',
  '1.2.3.4.5',
  'count=2,bytes=-1',
  'count=1,bytes=5=;byteHardLimit=5;countHardLimit=1',
  'count=,bytes=',
  'count=99999999999999999999',
  'count=-9223372036854775808,bytes=1e9',
  '=;=,=;,',
  'server.1=a:1:2:participant;3',
]

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[drawBelow(random, from.length)] as T
}

export function chance(random: Random, oneIn: number): boolean {
  return drawBelow(random, oneIn) === 0
}

export function drawBytes(random: Random, lengthBytes: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, () => random.u32() & 0xff)
}

/** One to a few changes, the earlier ones more likely. */
export function mutate(
  random: Random,
  input: Uint8Array,
  others: readonly Uint8Array[],
  longestBytes = 1 << 16,
): Uint8Array {
  let bytes = input
  do bytes = mutateOnce(random, bytes, others)
  while (!chance(random, 3))
  return bytes.length > longestBytes ? bytes.subarray(0, longestBytes) : bytes
}

function mutateOnce(random: Random, input: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(input)
  const at = drawBelow(random, bytes.length + 1)
  const to = Math.min(bytes.length, at + 1 + drawBelow(random, chance(random, 4) ? 256 : 12))
  const view = new DataView(bytes.buffer)
  switch (drawBelow(random, 11)) {
    case 0:
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << drawBelow(random, 8))
      return bytes
    case 1:
      if (at < bytes.length) bytes[at] = random.u32() & 0xff
      return bytes
    case 2:
    case 3:
      if (at + 4 <= bytes.length) view.setInt32(at, pick(random, numbers))
      return bytes
    case 4:
      if (at + 4 <= bytes.length) view.setInt32(at, view.getInt32(at) + drawBelow(random, 9) - 4)
      return bytes
    case 5:
      return joined(bytes.subarray(0, at), bytes.subarray(to))
    case 6:
      return joined(bytes.subarray(0, at), bytes.subarray(at, to), bytes.subarray(at))
    case 7:
      return bytes.subarray(0, at)
    case 8:
      return joined(bytes.subarray(0, at), Buffer.from(pick(random, words)), bytes.subarray(at))
    case 9: {
      const other = others.length === 0 ? bytes : pick(random, others)
      const from = drawBelow(random, other.length + 1)
      return joined(bytes.subarray(0, at), other.subarray(from, from + (to - at)), bytes.subarray(to))
    }
    default:
      return joined(bytes.subarray(0, at), drawBytes(random, drawBelow(random, 16)), bytes.subarray(at))
  }
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
