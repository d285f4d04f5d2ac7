/** What is counted of requests: outstanding, answered and after which time; and the back-pressure that follows from it. */
import type { ServerConfig } from '../config.ts'
import type { Now } from '../events.ts'
import type { Counters } from '../inspect.ts'
import { type Connection, Pause } from '../session/connection.ts'
import type { Outbox } from '../session/outbox.ts'
import type { DataTree } from '../tree/data-tree.ts'

export interface AccountsHost {
  pause(connection: Connection, why: number): void
  /** The reasons to pause the connection may have gone. */
  relieved(connection: Connection): void
}

export class Accounts {
  readonly #config: ServerConfig
  readonly #tree: DataTree
  readonly #outbox: Outbox
  readonly #counters: Counters
  readonly #host: AccountsHost
  /** Replies and events made since the start; the counters can be reset by an operator. */
  sent = 0
  /** Bytes of large requests that are not answered yet. */
  #largeBytes = 0

  constructor(given: {
    readonly config: ServerConfig
    readonly tree: DataTree
    readonly outbox: Outbox
    readonly counters: Counters
    readonly host: AccountsHost
  }) {
    this.#config = given.config
    this.#tree = given.tree
    this.#outbox = given.outbox
    this.#counters = given.counters
    this.#host = given.host
  }

  countReceived(connection: Connection): void {
    this.#counters.packetsReceived++
    connection.received++
  }

  /** A request that will be answered. */
  countAccepted(connection: Connection): void {
    connection.outstanding++
    this.#counters.outstanding++
  }

  /** Something was written for the connection. */
  countSent(connection: Connection): void {
    this.sent++
    this.#counters.packetsSent++
    connection.sent++
    this.#outbox.written(connection)
  }

  countThrottled(): void {
    this.#counters.throttledOps++
  }

  /** Its reply was written. */
  countAnswered(
    now: Now,
    connection: Connection,
    request: { readonly op: number; readonly xid: number; readonly arrivedMs: number },
  ): void {
    const counters = this.#counters
    const latencyMs = now.monotonicMs - request.arrivedMs
    counters.latencyCount++
    counters.latencySumMs += latencyMs
    if (latencyMs < counters.latencyMinMs || counters.latencyCount === 1) counters.latencyMinMs = latencyMs
    if (latencyMs > counters.latencyMaxMs) counters.latencyMaxMs = latencyMs
    if (latencyMs < connection.minLatencyMs || connection.latencyCount === 0)
      connection.minLatencyMs = latencyMs
    connection.latencyCount++
    connection.latencySumMs += latencyMs
    connection.lastLatencyMs = latencyMs
    if (latencyMs > connection.maxLatencyMs) connection.maxLatencyMs = latencyMs
    connection.lastOp = request.op
    if (request.xid > 0) connection.lastXid = request.xid
    connection.lastReplyMonotonicMs = now.monotonicMs
    connection.lastReplyZxidHigh = this.#tree.lastZxidHigh
    connection.lastReplyZxidLow = this.#tree.lastZxidLow
    this.countSent(connection)
    connection.outstanding--
    counters.outstanding--
    if (connection.paused !== 0) this.#host.relieved(connection)
  }

  /** What the connection was still waiting for will not be answered. */
  forget(connection: Connection): void {
    this.#counters.outstanding -= connection.outstanding
    connection.outstanding = 0
    this.holdLarge(connection, -connection.heldLargeBytes)
  }

  /** Is the request a large one, of which only so many bytes may be outstanding? */
  isLarge(frameBytes: number): boolean {
    const { thresholdBytes } = this.#config.largeRequest
    return thresholdBytes > 0 && frameBytes > thresholdBytes
  }

  hasRoomForLarge(frameBytes: number): boolean {
    return this.#largeBytes + frameBytes <= this.#config.largeRequest.maxBytes
  }

  /** @param bytes - negative when the request was answered */
  countLarge(bytes: number): void {
    this.#largeBytes += bytes
  }

  /** A large request waits in the backlog of its connection. */
  holdLarge(connection: Connection, frameBytes: number): void {
    this.countLarge(frameBytes)
    connection.heldLargeBytes += frameBytes
  }

  /** A request that waited there was answered. */
  letLarge(connection: Connection, frameBytes: number): void {
    if (this.isLarge(frameBytes)) this.holdLarge(connection, -frameBytes)
  }

  /** Whoever has something outstanding waits while there is too much in all. */
  pauseIfFull(connection: Connection): void {
    const { globalOutstandingLimit, requestThrottle, maxFrameBytes } = this.#config
    const outstanding = this.#counters.outstanding
    const isFull = outstanding > globalOutstandingLimit || connection.backlog.lengthBytes > maxFrameBytes
    if (isFull && connection.outstanding > 0) this.#host.pause(connection, Pause.Outstanding)
    if (requestThrottle.maxRequests > 0 && outstanding >= requestThrottle.maxRequests) {
      this.#host.pause(connection, Pause.Throttle)
    }
  }
}
