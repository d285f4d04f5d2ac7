/**
 * What the server has to say in this step: each connection writes into a chunk of its own, and leaves in one `send`
 * when the step ends (or earlier, when the chunk is large).
 */
import { assert, type Space, Writer } from '@corral/protocol'
import type { Chunk, Chunks, Effect } from '../effects.ts'
import { empty } from '../lists.ts'
import type { Connection } from './connection.ts'

const firstChunkBytes = 4096
/** A chunk this full leaves at once. */
const fullChunkBytes = 192 * 1024

export class Outbox {
  readonly #chunks: Chunks
  readonly #emit: (effect: Effect) => void
  readonly #dirty: Connection[] = []
  readonly #writer: Writer
  #owner: Connection | undefined = undefined
  #chunk: Chunk

  constructor(chunks: Chunks, emit: (effect: Effect) => void) {
    this.#chunks = chunks
    this.#emit = emit
    this.#chunk = { bytes: new Uint8Array(0), view: new DataView(new ArrayBuffer(0)) }
    this.#writer = new Writer(this.#chunk, atLeastBytes => this.#grow(atLeastBytes))
  }

  /** @returns the writer at the end of what the connection has to say; valid until the next call of this class */
  open(connection: Connection): Writer {
    if (this.#owner !== connection) this.#turnTo(connection)
    return this.#writer
  }

  /** Copies a frame made elsewhere. */
  append(connection: Connection, frame: Space, from: number, to: number): void {
    this.open(connection).raw(frame, from, to)
  }

  /** After a frame was written: lets a full chunk go. The connection is the one opened last. */
  written(connection: Connection): void {
    if (this.#writer.at > fullChunkBytes) this.#send(connection)
  }

  /** Drops what a connection has to say: it is gone. */
  forget(connection: Connection): void {
    if (this.#owner === connection) this.#owner = undefined
    connection.chunk = undefined
    connection.chunkUsed = 0
  }

  /** Sends what is written for this connection, before it is closed. */
  flushOne(connection: Connection): void {
    if (this.#owner === connection) this.#send(connection)
    else if (connection.chunk !== undefined) {
      this.#turnTo(connection)
      this.#send(connection)
    }
  }

  /** The end of the step. @param after - called for each connection that had something to say */
  flush(after: (connection: Connection) => void): void {
    const dirty = this.#dirty
    for (let i = 0; i < dirty.length; i++) {
      const connection = dirty[i] as Connection
      connection.isDirty = false
      this.flushOne(connection)
      after(connection)
      connection.stepBytes = 0
      connection.stepZnodes = 0
    }
    empty(dirty)
    this.#owner = undefined
  }

  #turnTo(connection: Connection): void {
    const previous = this.#owner
    if (previous !== undefined) {
      previous.chunk = this.#chunk
      previous.chunkUsed = this.#writer.at
    }
    this.#owner = connection
    if (!connection.isDirty) {
      connection.isDirty = true
      this.#dirty.push(connection)
    }
    const chunk = connection.chunk ?? this.#chunks.take(firstChunkBytes)
    connection.chunk = undefined
    this.#chunk = chunk
    this.#writer.attach(chunk, connection.chunkUsed)
    connection.chunkUsed = 0
  }

  #grow(atLeastBytes: number): Chunk {
    this.#chunk = this.#chunks.take(atLeastBytes)
    return this.#chunk
  }

  #send(connection: Connection): void {
    assert(this.#owner === connection, 'what one connection is told goes to no other')
    const lengthBytes = this.#writer.at
    if (lengthBytes > 0) {
      connection.stepBytes += lengthBytes
      this.#emit({ kind: 'send', conn: connection.id, chunk: this.#chunk, lengthBytes })
    }
    this.#owner = undefined
  }
}
