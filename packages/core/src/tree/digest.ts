/**
 * The tree digest: the sum, modulo 2^64, of one CRC-32 per znode. Two trees with equal digests after the same zxid
 * are taken to be equal; ACLs and children are not covered, and neither is what lies below /zookeeper.
 *
 *   CRC-32 over  path (the root: empty) | data | czxid mzxid pzxid ctime mtime version cversion aversion owner
 *
 * A znode's row keeps its CRC, its share of the digest. A change of its Stat alone hashes nothing anew: CRC-32 is
 * linear, so the bits that change in a field tell which bits of the share do.
 *
 * Source: DigestCalculator and AdHash in the Java server.
 */
import {
  crc32,
  crc32Difference,
  crc32OfWord,
  crc32OfWords,
  crc32PastZeros,
  crc32ZerosTable,
  type Space,
} from '@corral/protocol'
import { asciiSpace, equalBytes } from './raw-bytes.ts'
import { Row, rowBytes } from './znode-rows.ts'

const slash = 0x2f

/** What is hashed behind these fields. */
const behindPzxid = crc32ZerosTable(36)
const behindCversion = crc32ZerosTable(12)
const behindAversion = crc32ZerosTable(8)

const undigestedPrefix: Space = asciiSpace('/zookeeper/')

/** Whether the znode of this path takes part in the digest: all but those below /zookeeper do, itself included. */
export function isDigestedPath(source: Space, from: number, to: number): boolean {
  const length = undigestedPrefix.bytes.length
  return to - from < length || !equalBytes(source, from, undigestedPrefix, 0, length)
}

/** The CRC over a path: the seed for {@link contentCrcOf}. */
export function pathCrc(source: Space, from: number, to: number): number {
  const isRoot = to - from === 1 && source.bytes[from] === slash
  return isRoot ? 0 : crc32(source, from, to)
}

/**
 * @param ofPath - {@link pathCrc}
 * @param from - start of the data; -1 for null
 * @returns the CRC over path and data, signed
 */
export function contentCrcOf(ofPath: number, data: Space, from: number, to: number): number {
  return from < 0 || from === to ? ofPath : crc32(data, from, to, ofPath)
}

/**
 * @param contentCrc - {@link contentCrcOf}
 * @param words - the 15 words of StatPersisted in wire order (stored values)
 * @returns the znode's share of the digest, signed
 */
export function nodeDigest(contentCrc: number, words: Int32Array): number {
  const zxids = crcOfPair(words, 2, crcOfPair(words, 0, contentCrc))
  const pzxid = crcOfPair(words, 13, zxids)
  const times = crcOfPair(words, 6, crcOfPair(words, 4, pzxid))
  const versions = crcOfPair(words, 10, crcOfPair(words, 8, times))
  return crc32OfWord(words[12] as number, versions)
}

function crcOfPair(words: Int32Array, at: number, seed: number): number {
  return crc32OfWords(words[at] as number, words[at + 1] as number, seed)
}

/** {@link nodeDigest} of a row. */
export function rowDigest(row: Space, at: number, contentCrc: number): number {
  const zxids = crc32(row, at + Row.czxid, at + Row.ctime, contentCrc)
  const pzxid = crc32(row, at + Row.pzxid, at + rowBytes, zxids)
  return crc32(row, at + Row.ctime, at + Row.dataLength, pzxid)
}

/** In which bits a share changes with these bits of the pzxid. */
export function changeByPzxid(high: number, low: number): number {
  return crc32PastZeros(behindPzxid, crc32Difference(high, low))
}

/** In which bits a share changes with these bits of the stored cversion. */
export function changeByCversion(bits: number): number {
  return crc32PastZeros(behindCversion, crc32Difference(0, bits))
}

/** In which bits a share changes with these bits of the aversion. */
export function changeByAversion(bits: number): number {
  return crc32PastZeros(behindAversion, crc32Difference(0, bits))
}

/** A sum modulo 2^64, as two unsigned words. */
export class DigestSum {
  high = 0
  low = 0

  /** @param share - 32 bits, their sign is of no meaning */
  add(share: number): void {
    const low = this.low + (share >>> 0)
    if (low > 0xffff_ffff) this.high = (this.high + 1) >>> 0
    this.low = low >>> 0
  }

  subtract(share: number): void {
    const low = this.low - (share >>> 0)
    if (low < 0) this.high = (this.high - 1) >>> 0
    this.low = low >>> 0
  }

  set(high: number, low: number): void {
    this.high = high >>> 0
    this.low = low >>> 0
  }
}
