/**
 * Compressed files as they lie on the simulated disk, so that damage strikes what a real disk holds: a stream with a
 * header, lengths, and (gzip) a checksum and an end. Both are legal streams that any reader of the format takes, but
 * stored, not compressed: what zlib makes of its input differs between its builds, and one seed must be one run
 * everywhere. How the server itself compresses is tested with its own streams (its `io` folder, and the fuzz target
 * for them).
 */
import { crc32, gunzipSync } from 'node:zlib'
import type { FileCodec } from '@corral/core'

export type StreamCodec = Exclude<FileCodec, 'plain'>

/** What is to be appended to the file. */
export interface StreamEncoder {
  piece(plain: Uint8Array): Uint8Array
  /** The end of the stream. */
  end(): Uint8Array
}

export function makeStreamEncoder(codec: StreamCodec): StreamEncoder {
  return codec === 'gz' ? new GzipEncoder() : new SnappyEncoder()
}

/** @returns undefined if it is no whole stream */
export function decodeStream(codec: StreamCodec, stored: Uint8Array): Uint8Array | undefined {
  return codec === 'gz' ? gunzipped(stored) : unsnapped(stored)
}

/** No snapshot of a simulation comes near it. */
const mostPlainBytes = 256 * 1024 * 1024

/** Deflate, no flags, no time, fastest, of an unknown system. */
const gzipHeader = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff)
const gzipBlockBytes = 0xffff

/** `header | (0 | length(2) | ~length(2) | bytes)* | 1 | 0(2) | ~0(2) | crc(4) | length(4)`, little-endian. */
class GzipEncoder implements StreamEncoder {
  #crc = 0
  #lengthBytes = 0

  piece(plain: Uint8Array): Uint8Array {
    const parts: Uint8Array[] = this.#lengthBytes === 0 ? [gzipHeader] : []
    for (let at = 0; at < plain.length; at += gzipBlockBytes)
      parts.push(...storedBlock(plain.subarray(at, at + gzipBlockBytes), false))
    this.#crc = crc32(plain, this.#crc)
    this.#lengthBytes += plain.length
    return Buffer.concat(parts)
  }

  end(): Uint8Array {
    const trailer = Buffer.alloc(8)
    trailer.writeUInt32LE(this.#crc, 0)
    trailer.writeUInt32LE(this.#lengthBytes, 4)
    return Buffer.concat([...storedBlock(new Uint8Array(0), true), trailer])
  }
}

function storedBlock(plain: Uint8Array, isLast: boolean): readonly Uint8Array[] {
  const head = Buffer.alloc(5)
  head[0] = isLast ? 1 : 0
  head.writeUInt16LE(plain.length, 1)
  head.writeUInt16LE(0xffff - plain.length, 3)
  return [head, plain]
}

function gunzipped(stored: Uint8Array): Uint8Array | undefined {
  try {
    return gunzipSync(stored, { maxOutputLength: mostPlainBytes })
  } catch (error) {
    // zlib's own refusals have codes of this form.
    if (error instanceof Error && 'code' in error && /^(?:Z_|ERR_)/.test(String(error.code))) return undefined
    throw error
  }
}

/** `82 "SNAPPY" 00 | version(4) | oldest compatible version(4)`, then blocks `length(4) | block`. */
const snappyHeader = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1)
const snappyBlockBytes = 32 * 1024
/** A literal with two bytes of length. */
const literalTag = 61 << 2
/** The plain length in three varint bytes, the tag, and the literal's length less one. */
const blockHeadBytes = 3 + 1 + 2

class SnappyEncoder implements StreamEncoder {
  #isBegun = false

  piece(plain: Uint8Array): Uint8Array {
    const parts: Uint8Array[] = this.#isBegun ? [] : [snappyHeader]
    this.#isBegun = true
    for (let at = 0; at < plain.length; at += snappyBlockBytes)
      parts.push(snappyBlock(plain.subarray(at, at + snappyBlockBytes)))
    return Buffer.concat(parts)
  }

  end(): Uint8Array {
    return new Uint8Array(0)
  }
}

function snappyBlock(plain: Uint8Array): Uint8Array {
  const block = new Uint8Array(4 + blockHeadBytes + plain.length)
  const view = new DataView(block.buffer)
  view.setInt32(0, blockHeadBytes + plain.length)
  block.set([0x80 | (plain.length & 0x7f), 0x80 | ((plain.length >> 7) & 0x7f), plain.length >> 14], 4)
  block[7] = literalTag
  view.setUint16(8, plain.length - 1, true)
  block.set(plain, 4 + blockHeadBytes)
  return block
}

/** Reads only what is written here: any other tag in a block is damage. */
function unsnapped(stored: Uint8Array): Uint8Array | undefined {
  if (snappyHeader.some((byte, i) => stored[i] !== byte)) return undefined
  const view = new DataView(stored.buffer, stored.byteOffset, stored.length)
  const parts: Uint8Array[] = []
  for (let at = snappyHeader.length; at < stored.length; ) {
    if (at + 4 + blockHeadBytes > stored.length) return undefined
    const end = at + 4 + view.getInt32(at)
    const plain = stored.subarray(at + 4 + blockHeadBytes, end)
    if (plain.length === 0 || end > stored.length) return undefined
    const head = snappyBlock(plain).subarray(4, 4 + blockHeadBytes)
    if (head.some((byte, i) => stored[at + 4 + i] !== byte)) return undefined
    parts.push(plain)
    at = end
  }
  return Buffer.concat(parts)
}
