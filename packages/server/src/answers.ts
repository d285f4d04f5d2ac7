/**
 * Sends the answers to four-letter words, and hangs up behind each. One in parts may be longer than memory: each part is
 * made in a turn of its own, when the one before has left, so that clients are served meanwhile.
 */
import type { ConnId } from '@corral/core'
import { encodeUtf8 } from '@corral/protocol'
import type { ChunkPool } from './io/chunk-pool.ts'
import type { ClientSockets } from './io/net.ts'

/** Text, now or later, or in parts. */
export type Answer = string | Promise<string> | Generator<string, void>

interface Listing {
  readonly parts: Generator<string, void>
  /** What was sent has not left yet. */
  isBlocked: boolean
  isGoingOn: boolean
}

export class Answers {
  readonly #sockets: ClientSockets
  readonly #pool: ChunkPool
  readonly #hungUp: (conn: ConnId) => void
  /** Answers in parts, under way. */
  readonly #listings: Map<ConnId, Listing> = new Map()

  /** @param given.hungUp - told of each connection that was answered, and is closed */
  constructor(given: {
    readonly sockets: ClientSockets
    readonly pool: ChunkPool
    readonly hungUp: (conn: ConnId) => void
  }) {
    this.#sockets = given.sockets
    this.#pool = given.pool
    this.#hungUp = given.hungUp
  }

  give(conn: ConnId, answer: Answer): void {
    if (typeof answer === 'string') return this.#giveWhole(conn, answer)
    this.#sockets.awaitAnswer(conn)
    if (answer instanceof Promise) {
      void answer.then(text => this.#giveWhole(conn, text))
      return
    }
    const listing: Listing = { parts: answer, isBlocked: false, isGoingOn: false }
    this.#listings.set(conn, listing)
    this.#continueSoon(conn, listing)
  }

  /** What the kernel has not taken of what was sent to this connection. */
  unsent(conn: ConnId, lengthBytes: number): void {
    const listing = this.#listings.get(conn)
    if (listing === undefined) return
    listing.isBlocked = lengthBytes > 0
    if (!listing.isBlocked) this.#continueSoon(conn, listing)
  }

  /** The connection is closed: nobody waits for the rest. */
  drop(conn: ConnId): void {
    this.#listings.get(conn)?.parts.return()
    this.#listings.delete(conn)
  }

  dropAll(): void {
    for (const conn of [...this.#listings.keys()]) this.drop(conn)
  }

  #giveWhole(conn: ConnId, text: string): void {
    if (!this.#sockets.has(conn)) return
    this.#send(conn, text)
    this.#hangUp(conn)
  }

  #continueSoon(conn: ConnId, listing: Listing): void {
    if (listing.isGoingOn) return
    listing.isGoingOn = true
    setImmediate(() => {
      listing.isGoingOn = false
      if (!listing.isBlocked && this.#listings.has(conn)) this.#continue(conn, listing)
    })
  }

  #continue(conn: ConnId, listing: Listing): void {
    const { done, value } = listing.parts.next()
    if (done === true) return this.#hangUp(conn)
    this.#send(conn, value)
    this.#continueSoon(conn, listing)
  }

  #send(conn: ConnId, text: string): void {
    if (text === '') return
    const encoded = encodeUtf8(text)
    const chunk = this.#pool.take(encoded.length)
    chunk.bytes.set(encoded)
    this.#sockets.send(conn, chunk, encoded.length)
  }

  #hangUp(conn: ConnId): void {
    this.#sockets.close(conn, 'flush')
    this.#hungUp(conn)
  }
}
