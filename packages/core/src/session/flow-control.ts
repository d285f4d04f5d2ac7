/**
 * Which connections are read. One is paused while its client does not take its answers, while it has had its share of
 * a step, while too much is outstanding, or until its session is there; it is read again when no reason is left.
 *
 * Source: ServerCnxn.disableRecv and RequestThrottler in the Java server.
 */
import type { ServerConfig } from '../config.ts'
import type { Effect } from '../effects.ts'
import type { Now } from '../events.ts'
import type { Counters } from '../inspect.ts'
import { type Connection, Pause } from './connection.ts'

export interface FlowHost {
  emit(effect: Effect): void
  askTurn(): void
  isOpen(connection: Connection): boolean
  /** Cuts what waits in the connection's tail. */
  resumeIntake(connection: Connection): void
  /** Answers what waits in the connection's backlog and is due. */
  resumeBacklog(connection: Connection): void
}

export class FlowControl {
  readonly #config: ServerConfig
  readonly #counters: Counters
  readonly #host: FlowHost
  /** Paused for their output: looked at again when the turn ends. */
  readonly #full: Set<Connection> = new Set()
  /** Paused by a throttle: resumed when there is room. */
  readonly #throttled: Set<Connection> = new Set()

  constructor(config: ServerConfig, counters: Counters, host: FlowHost) {
    this.#config = config
    this.#counters = counters
    this.#host = host
  }

  /** The connection is gone. */
  forget(connection: Connection): void {
    this.#full.delete(connection)
    this.#throttled.delete(connection)
  }

  /** @param why - of {@link Pause} */
  pause(now: Now, connection: Connection, why: number): void {
    if (connection.paused === 0) {
      this.#host.emit({ kind: 'setReading', conn: connection.id, to: 'off' })
      // What is left in the tail of an earlier pause has waited since then.
      if (connection.waitingSinceMs === 0) connection.waitingSinceMs = now.monotonicMs
    }
    connection.paused |= why
    if (why === Pause.Throttle || why === Pause.Outstanding) this.#throttled.add(connection)
    if (why === Pause.Output) {
      this.#full.add(connection)
      this.#host.askTurn()
    }
  }

  /** @param why - of {@link Pause}: it is no reason any more */
  unpause(connection: Connection, why: number): void {
    if ((connection.paused & why) === 0) return
    connection.paused &= ~why
    if (connection.paused !== 0) return
    this.#throttled.delete(connection)
    this.#host.resumeIntake(connection)
    if (connection.paused !== 0) return
    connection.waitingSinceMs = 0
    if (this.#host.isOpen(connection)) {
      this.#host.emit({ kind: 'setReading', conn: connection.id, to: 'on' })
    }
  }

  /** The socket says what it has not taken yet. */
  unsent(now: Now, connection: Connection, lengthBytes: number): void {
    connection.unsentBytes = lengthBytes
    if (lengthBytes > this.#config.unsentHighBytes) this.pause(now, connection, Pause.Output)
    else if (this.#hasTakenMost(connection) && (connection.paused & Pause.Output) !== 0) {
      this.#resumeOutput(connection)
    }
  }

  /** Those that had had their share of a step have another one. */
  turnEnded(): void {
    for (const connection of [...this.#full]) {
      // If not, the socket will say when it has.
      if (this.#hasTakenMost(connection)) this.#resumeOutput(connection)
    }
  }

  /** Not all: a client that is sent events as fast as it reads would never be heard again, and its session expire. */
  #hasTakenMost(connection: Connection): boolean {
    return 2 * connection.unsentBytes <= this.#config.unsentHighBytes
  }

  /** The socket has taken most of what there was: first what waits in the backlog, then what waits in the tail. */
  #resumeOutput(connection: Connection): void {
    this.#full.delete(connection)
    this.#host.resumeBacklog(connection)
    if (!this.#full.has(connection)) this.unpause(connection, Pause.Output)
  }

  /** A paused connection was answered: it is read again when it has nothing outstanding. */
  relieved(connection: Connection): void {
    if (connection.outstanding === 0 && (connection.paused & Pause.Outstanding) !== 0)
      this.#throttled.add(connection)
  }

  /** Room in the pipeline: those that wait for it are read again, oldest first. */
  relieve(): void {
    const { globalOutstandingLimit, requestThrottle } = this.#config
    for (const connection of [...this.#throttled]) {
      const isRoomy = this.#counters.outstanding <= globalOutstandingLimit && connection.backlog.isEmpty
      if (isRoomy || connection.outstanding === 0) this.unpause(connection, Pause.Outstanding)
      const { maxRequests } = requestThrottle
      if (maxRequests === 0 || this.#counters.outstanding < maxRequests)
        this.unpause(connection, Pause.Throttle)
    }
  }
}
