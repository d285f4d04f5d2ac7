/**
 * Compressed snapshots: written and read from start to end, as a stream, with a bounded amount in memory whatever the
 * file claims. (What comes out of a bomb is refused by the snapshot's own reader at the first length that cannot be.)
 */
import { createReadStream, createWriteStream, type WriteStream, write } from 'node:fs'
import { finished } from 'node:stream/promises'
import { createGunzip, createGzip, type Gzip } from 'node:zlib'
import type { FileCodec } from '@corral/core'
import {
  compressBlock,
  decompressBlock,
  largestCompressed,
  largestSnappyBlockBytes,
  SnappyError,
  snappyBlockBytes,
  snappyStreamHeader,
} from './snappy.ts'

export interface Encoder {
  /** The pieces may be reused when it resolves. */
  write(pieces: readonly Uint8Array[]): Promise<void>
  /** Writes what is held back and the end of the stream. The file is not closed. */
  finish(): Promise<void>
}

type Codec = Exclude<FileCodec, 'plain'>

export function makeEncoder(codec: Codec, fd: number): Encoder {
  return codec === 'gz' ? new GzipEncoder(fd) : new SnappyEncoder(fd)
}

class GzipEncoder implements Encoder {
  readonly #gzip: Gzip = createGzip()
  readonly #file: WriteStream

  constructor(fd: number) {
    this.#file = createWriteStream('', { fd, autoClose: false })
    this.#file.on('error', error => this.#gzip.destroy(error))
    // Whoever writes or finishes hears of it; without a listener it would end the process.
    this.#gzip.on('error', () => this.#file.destroy())
    this.#gzip.pipe(this.#file)
  }

  async write(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      await new Promise<void>((done, failed) => {
        this.#gzip.write(piece, error => (error == null ? done() : failed(error)))
      })
    }
  }

  async finish(): Promise<void> {
    this.#gzip.end()
    await finished(this.#file)
  }
}

class SnappyEncoder implements Encoder {
  readonly #fd: number
  readonly #plain: Uint8Array = new Uint8Array(snappyBlockBytes)
  readonly #block: Uint8Array = new Uint8Array(4 + largestCompressed(snappyBlockBytes))
  #held = 0
  #fileAt = 0

  constructor(fd: number) {
    this.#fd = fd
  }

  async write(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      for (let at = 0; at < piece.length; ) {
        const taken = Math.min(piece.length - at, snappyBlockBytes - this.#held)
        this.#plain.set(piece.subarray(at, at + taken), this.#held)
        this.#held += taken
        at += taken
        if (this.#held === snappyBlockBytes) await this.#writeBlock()
      }
    }
  }

  async finish(): Promise<void> {
    if (this.#held > 0) await this.#writeBlock()
  }

  async #writeBlock(): Promise<void> {
    if (this.#fileAt === 0) await this.#append(snappyStreamHeader)
    const length = compressBlock(this.#plain.subarray(0, this.#held), this.#block.subarray(4))
    new DataView(this.#block.buffer).setInt32(0, length)
    this.#held = 0
    await this.#append(this.#block.subarray(0, 4 + length))
  }

  async #append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      at += await new Promise<number>((done, failed) => {
        write(this.#fd, bytes, at, bytes.length - at, this.#fileAt + at, (error, count) =>
          error === null ? done(count) : failed(error),
        )
      })
    }
    this.#fileAt += bytes.length
  }
}

/** A damaged stream, with the code by which the disk reports it. */
class BadStream extends Error {
  readonly code = 'EBADMSG'
}

export class PlainReader {
  readonly #pieces: AsyncGenerator<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)

  constructor(codec: Codec, path: string) {
    this.#pieces = codec === 'gz' ? gunzip(path) : unsnappy(path)
  }

  /** @returns bytes read: less than asked for only at the end */
  async read(into: Uint8Array): Promise<number> {
    let filled = 0
    while (filled < into.length) {
      if (this.#rest.length === 0) {
        const next = await this.#pieces.next()
        if (next.done === true) break
        this.#rest = next.value
      }
      const taken = this.#rest.subarray(0, into.length - filled)
      into.set(taken, filled)
      filled += taken.length
      this.#rest = this.#rest.subarray(taken.length)
    }
    return filled
  }

  /** Lets go of the file, also in the middle. */
  close(): void {
    // A generator that has failed or ended takes this as well.
    void this.#pieces.return(undefined)
  }
}

async function* gunzip(path: string): AsyncGenerator<Uint8Array> {
  const source = createReadStream(path)
  const plain = createGunzip()
  source.on('error', error => plain.destroy(error))
  source.pipe(plain)
  try {
    for await (const piece of plain) yield piece
  } finally {
    source.destroy()
  }
}

async function* unsnappy(path: string): AsyncGenerator<Uint8Array> {
  let held: Uint8Array = new Uint8Array(0)
  let hasHeader = false
  for await (const piece of createReadStream(path, { highWaterMark: 256 * 1024 })) {
    held = held.length === 0 ? piece : Buffer.concat([held, piece])
    for (;;) {
      // Streams written one behind another repeat the header.
      if (held.length >= snappyStreamHeader.length && isHeader(held)) {
        held = held.subarray(snappyStreamHeader.length)
        hasHeader = true
        continue
      }
      if (held.length < snappyStreamHeader.length && !hasHeader) break
      if (!hasHeader) throw new BadStream('no snappy stream')
      if (held.length < 4) break
      const length = new DataView(held.buffer, held.byteOffset).getInt32(0)
      // A header cut by the end of the piece looks like a negative length.
      if (held[0] === snappyStreamHeader[0] && held.length < snappyStreamHeader.length) break
      if (length <= 0 || length > largestCompressed(largestSnappyBlockBytes)) {
        throw new BadStream(`a snappy block of ${length} bytes`)
      }
      if (held.length < 4 + length) break
      yield plainOf(held.subarray(4, 4 + length))
      held = held.subarray(4 + length)
    }
  }
  if (held.length > 0 || !hasHeader) throw new BadStream('a snappy stream that ends inside a block')
}

function isHeader(bytes: Uint8Array): boolean {
  return snappyStreamHeader.subarray(0, 8).every((byte, i) => bytes[i] === byte)
}

function plainOf(block: Uint8Array): Uint8Array {
  try {
    return decompressBlock(block)
  } catch (error) {
    if (error instanceof SnappyError) throw new BadStream(error.message)
    throw error
  }
}
