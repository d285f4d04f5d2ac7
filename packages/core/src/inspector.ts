/** Makes an {@link Inspection} of what the server is composed of. Nothing is computed before it is asked for. */
import { decodeUtf8, fromWords, type SessionId, Writer, zxid } from '@corral/protocol'
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
  readonly digests: readonly { readonly zxid: bigint; readonly digest: bigint }[]
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
    connections: () => [...connections.all()].map(connectionInfo),
    sessions: () => sessionInfos(sessions, given.stalledMs),
    ephemerals: () => ephemeralPaths(sessions, tree),
    watchesBySession: () => watchesBySession(given),
    watchesByPath: () => watchesByPath(given),
    dataWatchTotals: () => tree.watches.dataTotals(),
    digests: () => given.digests.map(each => ({ zxid: zxid(each.zxid), digest: each.digest })),
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

function connectionInfo(connection: Connection): ConnectionInfo {
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
  }
}

function sessionInfos(sessions: Sessions, stalledMs: number): readonly SessionInfo[] {
  return [...sessions.all()]
    .map(session => ({
      session: session.id,
      timeoutMs: session.timeoutMs,
      expiresAtMonotonicMs: session.bucketMs + stalledMs,
    }))
    .sort((a, b) => a.expiresAtMonotonicMs - b.expiresAtMonotonicMs)
}

function ephemeralPaths(sessions: Sessions, tree: DataTree): ReadonlyMap<SessionId, readonly string[]> {
  const paths: Map<SessionId, readonly string[]> = new Map()
  for (const session of sessions.all()) {
    const own = tree.ephemeralsOf(session.high, session.low)
    if (own.length === 0) continue
    paths.set(
      session.id,
      own.map(znode => decodeUtf8(tree.pathOf(znode).bytes)),
    )
  }
  return paths
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
  for (const connection of [...connections.all()]) {
    const session = connection.session?.id
    if (session === undefined || connections.get(connection.id) !== connection) continue
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
