/** A look at a running server, for whoever answers its operators. It changes nothing but counters, and formats nothing. */
import type { SessionId, Zxid } from '@corral/protocol'
import type { ServerConfig } from './config.ts'
import type { ConnId, Peer } from './events.ts'
import type { LogCounters } from './log/log.ts'
import type { RecordedDigest } from './tree/digest-log.ts'
import type { DataWatchTotals } from './tree/watch-table.ts'

export type { DataWatchTotals, RecordedDigest }

export interface Counters {
  packetsReceived: number
  packetsSent: number
  /** Requests answered, and their time from arrival to reply, ms. */
  latencyCount: number
  latencySumMs: number
  latencyMinMs: number
  latencyMaxMs: number
  /** Requests accepted and not answered yet. */
  outstanding: number
  connectionsRejected: number
  /** Ended by their clients, before the server did. */
  connectionsDropped: number
  /** Connect requests for a session with a password that is not its own. */
  wrongPasswords: number
  sessionsExpired: number
  throttledOps: number
}

export interface ConnectionInfo {
  readonly conn: ConnId
  readonly peer: Peer
  /** 0 before the handshake. */
  readonly session: SessionId
  readonly isReading: boolean
  readonly outstanding: number
  readonly received: number
  readonly sent: number
  /** -999 before the first request, as in `cons`. */
  readonly lastOp: number
  readonly establishedWallMs: number
  readonly timeoutMs: number
  readonly lastXid: number
  readonly lastZxid: Zxid
  readonly lastReplyMonotonicMs: number
  readonly lastLatencyMs: number
  readonly minLatencyMs: number
  readonly maxLatencyMs: number
  readonly latencySumMs: number
  readonly latencyCount: number
  /** With its session, or for the lack of one: the end of the expiry bucket. */
  readonly expiresAtMonotonicMs: number
}

export interface SessionInfo {
  readonly session: SessionId
  readonly timeoutMs: number
  /** The end of its expiry bucket. */
  readonly expiresAtMonotonicMs: number
  readonly ownsEphemerals: boolean
}

/** Those of one session follow one another. */
export interface SessionWatch {
  readonly session: SessionId
  readonly path: string
}

export interface WatchedPath {
  readonly path: string
  readonly sessions: readonly SessionId[]
}

/**
 * Lists may be of any length: what is in them is made when it is asked for, in time that does not depend on how much
 * there is, and shows how things are then. What comes or goes meanwhile may be listed or not.
 */
export interface Inspection {
  readonly config: ServerConfig
  readonly isServing: boolean
  readonly counters: Counters
  storage(): LogCounters
  lastZxid(): Zxid
  znodeCount(): number
  ephemeralCount(): number
  /** Both tables: a persistent watch counts twice, as in the Java server. */
  watchCount(): number
  approximateDataBytes(): number
  connectionCount(): number
  sessionCount(): number
  connections(): Iterable<ConnectionInfo>
  sessions(): Iterable<SessionInfo>
  /** Paths, in order of creation. */
  ephemeralsOf(session: SessionId): Iterable<string>
  /** Watches of the data table only, as the original's `wch*` words list them. To be read to the end or returned. */
  watchesBySession(): Generator<readonly SessionWatch[], void>
  watchesByPath(): Generator<readonly WatchedPath[], void>
  /** What they would list, counted. */
  dataWatchTotals(): DataWatchTotals
  /** The last recorded (zxid, tree digest) pairs, oldest first. */
  digests(): readonly RecordedDigest[]
  resetServerStats(): void
  resetConnectionStats(): void
}
