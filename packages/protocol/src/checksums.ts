/** Adler-32 (log records, snapshot seals) and CRC-32 (tree digest), both as in zlib. Plain JS: crossing into
 * native code costs more than a small record's whole checksum. */

const adlerModulus = 65521
/** Bytes after which the sums must be reduced to stay below 2^32. */
const adlerBlock = 3800

/** @param seed - the checksum so far, 1 to begin with. @returns unsigned 32 bits */
export function adler32(bytes: Uint8Array, from: number, to: number, seed = 1): number {
  let a = seed & 0xffff
  let b = seed >>> 16
  let at = from
  while (at < to) {
    const end = Math.min(at + adlerBlock, to)
    for (; at + 4 <= end; at += 4) {
      a += bytes[at] as number
      b += a
      a += bytes[at + 1] as number
      b += a
      a += bytes[at + 2] as number
      b += a
      a += bytes[at + 3] as number
      b += a
    }
    for (; at < end; at++) {
      a += bytes[at] as number
      b += a
    }
    a %= adlerModulus
    b %= adlerModulus
  }
  return ((b << 16) | a) >>> 0
}

/** Eight tables of 256 entries in one array (slice-by-8). */
const crcTables: Int32Array = makeCrcTables()

function makeCrcTables(): Int32Array {
  const tables = new Int32Array(8 * 256)
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
 * @param view - over the same memory as `bytes`, offset for offset
 * @param seed - the checksum so far, 0 to begin with: crc(ab) = crc(b, seed crc(a))
 * @returns the checksum as a signed 32-bit number
 */
export function crc32(bytes: Uint8Array, view: DataView, from: number, to: number, seed = 0): number {
  const t = crcTables
  let c = ~seed
  let at = from
  for (; at + 8 <= to; at += 8) {
    const low = view.getInt32(at, true) ^ c
    const high = view.getInt32(at + 4, true)
    c =
      (t[1792 + (low & 0xff)] as number) ^
      (t[1536 + ((low >>> 8) & 0xff)] as number) ^
      (t[1280 + ((low >>> 16) & 0xff)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (high & 0xff)] as number) ^
      (t[512 + ((high >>> 8) & 0xff)] as number) ^
      (t[256 + ((high >>> 16) & 0xff)] as number) ^
      (t[high >>> 24] as number)
  }
  for (; at < to; at++) c = (t[(c ^ (bytes[at] as number)) & 0xff] as number) ^ (c >>> 8)
  return ~c
}
