/**
 * A session served read-only looks for a server that is in touch with its quorum: it asks the others, one at a time,
 * with the four-letter word `isro`, on connections of their own. The server that serves meanwhile is not disturbed.
 *
 * Source: ClientCnxn.SendThread.pingRwServer in the Java client, and its pauses: 100 ms, doubled up to 60 s.
 */
import { decodeUtf8, encodeUtf8 } from '@corral/protocol'
import type { ServerAddress } from './connect-string.ts'
import type { Outbox } from './outbox.ts'
import type { ServerList } from './server-list.ts'
import type { ConnectionId } from './session-events.ts'

const shortestPauseMs = 100
const longestPauseMs = 60_000
const patienceMs = 1000
const question = 'isro'
const readWrite = 'rw'

export class ReadWriteSearch {
  readonly #out: Outbox
  readonly #servers: ServerList
  #pauseMs = shortestPauseMs
  /** When to ask the next, or to give up the one that is asked; Infinity while nothing is searched for. */
  #deadlineMs = Infinity
  #asked: { readonly connection: ConnectionId; readonly server: ServerAddress } | undefined
  #answer = ''

  constructor(out: Outbox, servers: ServerList) {
    this.#out = out
    this.#servers = servers
  }

  /** Infinity while nothing is searched for. */
  deadlineMs(): number {
    return this.#deadlineMs
  }

  begin(nowMs: number): void {
    if (this.#servers.length === 1) return
    this.#pauseMs = shortestPauseMs
    this.#deadlineMs = nowMs + this.#pauseMs
  }

  end(): void {
    this.#hangUp()
    this.#deadlineMs = Infinity
  }

  /** Whether events of this connection are for {@link onOpened}, {@link onReceived} and {@link onClosed}. */
  isAsking(connection: ConnectionId): boolean {
    return this.#asked?.connection === connection
  }

  /** At the deadline or later. @param connection - a number that no other connection has */
  onTick(nowMs: number, connection: ConnectionId): void {
    if (this.#asked !== undefined) return this.#pause(nowMs)
    const server = this.#servers.other()
    this.#asked = { connection, server }
    this.#answer = ''
    this.#deadlineMs = nowMs + patienceMs
    this.#out.emit({ kind: 'connect', connection, server })
  }

  onOpened(connection: ConnectionId): void {
    this.#out.emit({ kind: 'send', connection, bytes: encodeUtf8(question) })
  }

  /** @returns the server, if it said that it can be written to */
  onReceived(input: {
    readonly bytes: Uint8Array
    readonly from: number
    readonly to: number
  }): ServerAddress | undefined {
    const { bytes, from, to } = input
    // Two bytes are awaited: whatever else a stranger sends is not gathered.
    this.#answer += decodeUtf8(bytes, from, Math.min(to, from + readWrite.length))
    return this.#answer === readWrite ? this.#asked?.server : undefined
  }

  onClosed(nowMs: number): void {
    this.#asked = undefined
    this.#pause(nowMs)
  }

  #pause(nowMs: number): void {
    this.#hangUp()
    this.#pauseMs = Math.min(2 * this.#pauseMs, longestPauseMs)
    this.#deadlineMs = nowMs + this.#pauseMs
  }

  #hangUp(): void {
    if (this.#asked !== undefined) this.#out.emit({ kind: 'disconnect', connection: this.#asked.connection })
    this.#asked = undefined
  }
}
