/**
 * Compressed snapshots: written and read from start to end, as a stream, with a bounded amount in memory whatever the
 * file claims. (What comes out of a bomb is refused by the snapshot's own reader at the first length that cannot be.)
 */
import { createReadStream, write } from 'node:fs'
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
  /** Writes nothing any more when it resolves: only then may the file be closed, and its number be used again. */
  abandon(): Promise<void>
}

type Codec = Exclude<FileCodec, 'plain'>

export function makeEncoder(codec: Codec, fd: number): Encoder {
  return codec === 'gz' ? new GzipEncoder(fd) : new SnappyEncoder(fd)
}

/** Writes at the end of a file, one piece after the other. */
class Appender {
  readonly #fd: number
  #at = 0

  constructor(fd: number) {
    this.#fd = fd
  }

  get isEmpty(): boolean {
    return this.#at === 0
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length; ) {
      const count = await new Promise<number>((done, failed) => {
        write(this.#fd, bytes, from, bytes.length - from, this.#at, (error, written) =>
          error === null ? done(written) : failed(error),
        )
      })
      from += count
      this.#at += count
    }
  }
}

class GzipEncoder implements Encoder {
  readonly #gzip: Gzip = createGzip()
  readonly #file: Appender
  /** Everything that came out of the compressor is written when it settles. */
  #written: Promise<void> = Promise.resolve()
  #failure: Error | undefined

  constructor(fd: number) {
    this.#file = new Appender(fd)
    this.#gzip.on('error', error => this.#fail(error))
    this.#gzip.on('data', (piece: Uint8Array) => {
      this.#written = this.#written.then(() => this.#append(piece))
    })
  }

  async write(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      await new Promise<void>(done => this.#gzip.write(piece, () => done()))
      await this.#settled()
    }
  }

  async finish(): Promise<void> {
    const ended = new Promise<void>(done => this.#gzip.once('close', () => done()))
    this.#gzip.end()
    if (!this.#gzip.closed) await ended
    await this.#settled()
  }

  async abandon(): Promise<void> {
    this.#gzip.destroy()
    await this.#written
  }

  async #append(piece: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) return
    try {
      await this.#file.append(piece)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error
  }

  async #settled(): Promise<void> {
    await this.#written
    if (this.#failure !== undefined) throw this.#failure
  }
}

class SnappyEncoder implements Encoder {
  readonly #file: Appender
  readonly #plain: Uint8Array = new Uint8Array(snappyBlockBytes)
  readonly #block: Uint8Array = new Uint8Array(4 + largestCompressed(snappyBlockBytes))
  #held = 0

  constructor(fd: number) {
    this.#file = new Appender(fd)
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

  /** Between two calls nothing of it is on its way. */
  abandon(): Promise<void> {
    return Promise.resolve()
  }

  async #writeBlock(): Promise<void> {
    if (this.#file.isEmpty) await this.#file.append(snappyStreamHeader)
    const length = compressBlock(this.#plain.subarray(0, this.#held), this.#block.subarray(4))
    new DataView(this.#block.buffer).setInt32(0, length)
    this.#held = 0
    await this.#file.append(this.#block.subarray(0, 4 + length))
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
