/** Makes an {@link Inspection} of what the server is composed of. Nothing is computed before it is asked for. */
import { decodeUtf8, fromWords, highWord, lowWord, type SessionId, Writer, zxid } from '@corral/protocol'
import type { ServerConfig } from './config.ts'
import type {
  ConnectionInfo,
  Counters,
  Inspection,
  SessionInfo,
  SessionWatch,
  WatchedPath,
} from './inspect.ts'
import type { Log } from './log/log.ts'
import type { Connection } from './session/connection.ts'
import type { Connections } from './session/connections.ts'
import type { Sessions } from './session/sessions.ts'
import type { DataTree } from './tree/data-tree.ts'
import type { RecordedDigest } from './tree/digest-log.ts'

export interface Inspected {
  readonly config: ServerConfig
  readonly isServing: boolean
  readonly counters: Counters
  readonly log: Log
  readonly tree: DataTree
  readonly connections: Connections
  readonly sessions: Sessions
  /** Time that no session was charged for. */
  readonly stalledMs: number
  readonly digests: readonly RecordedDigest[]
}

export function inspectionOf(given: Inspected): Inspection {
  const { config, isServing, counters, log, tree, connections, sessions } = given
  return {
    config,
    isServing,
    counters,
    storage: () => log.counters,
    lastZxid: () => zxid(fromWords(tree.lastZxidHigh, tree.lastZxidLow)),
    znodeCount: () => tree.znodeCount,
    ephemeralCount: () => tree.ephemeralCount,
    watchCount: () => tree.watches.count,
    approximateDataBytes: () => tree.approximateDataBytes,
    connectionCount: () => connections.size,
    sessionCount: () => sessions.size,
    connections: () => connectionInfos(given),
    sessions: () => sessionInfos(given),
    ephemeralsOf: session => ephemeralPaths(tree, session),
    watchesBySession: () => watchesBySession(given),
    watchesByPath: () => watchesByPath(given),
    dataWatchTotals: () => tree.watches.dataTotals(),
    digests: () => given.digests,
    resetServerStats: () =>
      void Object.assign(counters, zeroCounters(), { outstanding: counters.outstanding }),
    resetConnectionStats: () => {
      for (const connection of connections.all()) connection.resetStats()
    },
  }
}

export function zeroCounters(): Counters {
  return {
    packetsReceived: 0,
    packetsSent: 0,
    latencyCount: 0,
    latencySumMs: 0,
    latencyMinMs: 0,
    latencyMaxMs: 0,
    outstanding: 0,
    connectionsRejected: 0,
    connectionsDropped: 0,
    wrongPasswords: 0,
    sessionsExpired: 0,
    throttledOps: 0,
  }
}

/** Not those that come while it is read: then it might never end. */
function* listed<T>(all: Iterable<T>, count: number): Generator<T, void> {
  let left = count
  for (const each of all) {
    if (left-- === 0) return
    yield each
  }
}

function* connectionInfos({ connections, config, stalledMs }: Inspected): Generator<ConnectionInfo, void> {
  const { tickTimeMs, sessionlessTimeoutMs } = config
  for (const connection of listed(connections.all(), connections.size)) {
    const { session } = connection
    const expiresAtMonotonicMs =
      session === undefined
        ? Math.ceil((connection.openedMonotonicMs + sessionlessTimeoutMs) / tickTimeMs) * tickTimeMs
        : session.bucketMs + stalledMs
    yield connectionInfo(connection, expiresAtMonotonicMs)
  }
}

function connectionInfo(connection: Connection, expiresAtMonotonicMs: number): ConnectionInfo {
  return {
    conn: connection.id,
    peer: connection.peer,
    session: connection.session?.id ?? (0n as SessionId),
    isReading: connection.paused === 0 && connection.phase !== 'command',
    outstanding: connection.outstanding,
    received: connection.received,
    sent: connection.sent,
    lastOp: connection.lastOp,
    establishedWallMs: connection.openedWallMs,
    timeoutMs: connection.session?.timeoutMs ?? 0,
    lastXid: connection.lastXid,
    lastZxid: zxid(fromWords(connection.lastReplyZxidHigh, connection.lastReplyZxidLow)),
    lastReplyMonotonicMs: connection.lastReplyMonotonicMs,
    lastLatencyMs: connection.lastLatencyMs,
    minLatencyMs: connection.minLatencyMs,
    maxLatencyMs: connection.maxLatencyMs,
    latencySumMs: connection.latencySumMs,
    latencyCount: connection.latencyCount,
    expiresAtMonotonicMs,
  }
}

function* sessionInfos({ sessions, tree, stalledMs }: Inspected): Generator<SessionInfo, void> {
  for (const session of listed(sessions.all(), sessions.size)) {
    yield {
      session: session.id,
      timeoutMs: session.timeoutMs,
      expiresAtMonotonicMs: session.bucketMs + stalledMs,
      ownsEphemerals: tree.ownsEphemerals(session.high, session.low),
    }
  }
}

/** The ids are taken at once: ten ms for a million. */
function* ephemeralPaths(tree: DataTree, session: SessionId): Generator<string, void> {
  const high = highWord(session)
  const low = lowWord(session)
  for (const znode of tree.ephemeralsOf(high, low)) {
    // The znode may be gone by now, and its id another's. A free row has no owner.
    const isStillIts = tree.ownerHigh(znode) === high && tree.ownerLow(znode) === low
    if (isStillIts) yield decodeUtf8(tree.pathOf(znode).bytes)
  }
}

/** Watches looked at for one part. */
const watchesPerPart = 1000

/** @param look - at a watch of the data table; undefined: it is not listed */
function* watchParts<T>(
  { connections, tree: { watches } }: Inspected,
  look: (record: number, session: SessionId) => T | undefined,
): Generator<readonly T[], void> {
  let part: T[] = []
  let left = watchesPerPart
  for (const connection of listed(connections.all(), connections.size)) {
    const session = connection.session?.id
    if (session === undefined) continue
    const cursor = watches.openCursor(connection.slot)
    try {
      while (cursor.record !== 0) {
        const { record } = cursor
        cursor.record = watches.nextOf(record)
        const found = watches.isOfData(record) ? look(record, session) : undefined
        if (found !== undefined) part.push(found)
        if (--left > 0) continue
        yield part
        part = []
        left = watchesPerPart
      }
    } finally {
      watches.closeCursor(cursor)
    }
  }
  yield part
}

function watchesBySession(given: Inspected): Generator<readonly SessionWatch[], void> {
  const pathOf = pathReader(given.tree)
  return watchParts(given, (record, session) => ({ session, path: pathOf(record) }))
}

function watchesByPath(given: Inspected): Generator<readonly WatchedPath[], void> {
  const { connections, tree } = given
  const pathOf = pathReader(tree)
  return watchParts(given, record => {
    if (!tree.watches.isFirstOfData(record)) return undefined
    const sessions = tree.watches.dataSlotsFrom(record).map(slot => connections.atSlot(slot)?.session?.id)
    return { path: pathOf(record), sessions: sessions.filter(session => session !== undefined) }
  })
}

function pathReader(tree: DataTree): (record: number) => string {
  const out = new Writer()
  return record => {
    out.at = 0
    tree.watches.pathInto(record, out)
    return decodeUtf8(out.bytes, 4, out.at)
  }
}
