/**
 * What a start does with the files it finds: choose a snapshot, replay the log behind it, judge every damaged place,
 * and leave a directory that says only one thing.
 *
 * A damaged place is one of two. A torn tail is what a crash leaves of a batch that nobody was told of: it is cut
 * off, durably. Everything else may hold acknowledged txns: then there is no start, and the message names the file,
 * the offset, the zxids behind it and the tool that cuts it if the operator decides so.
 *
 *     last run   newest segment
 *     clean      trusted; a torn tail in a file of ours is corruption
 *     running    the run died: valid prefix written anew, renamed over. A sync of the old file proves nothing after
 *                a failed one: its pages may be clean in memory and absent on the device
 *     unknown    no note (files of the Java server, or copied): synced, cut if torn
 *
 * Nothing recovered is relied upon before it was synced again: after a kill it may only be in the page cache.
 *
 * Source: FileTxnSnapLog.restore, FileTxnLog in the Java server, which checks neither gaps nor what follows the end.
 */
import {
  fileHeaderBytes,
  fromWords,
  makeSpace,
  OpCode,
  type SessionId,
  sessionId,
  Writer,
  type Zxid,
  zxid,
} from '@corral/protocol'
import { longestTxnBytes, type ServerConfig } from '../config.ts'
import type { Dir, DirEntry } from '../disk.ts'
import type { DataTree } from '../tree/data-tree.ts'
import { FiredWatches } from '../tree/fired-watches.ts'
import { judge } from './damage.ts'
import { type LogFile, logFiles, type SnapshotFile, snapshotFiles, strayNames } from './file-names.ts'
import { LogFileReader, type Survey } from './log-file-reader.ts'
import { markAt, markIn, putMark } from './log-mark.ts'
import { type Found, isLogHeader } from './record-reader.ts'
import { digestOf, Replay, type ReplayGiven, type ReplayStart } from './replay.ts'
import { type LastRun, readLastRun } from './run-state.ts'
import {
  close,
  exitNoData,
  exitStorage,
  isTemporaryName,
  list,
  open,
  read,
  remove,
  rename,
  type Script,
  StorageRefusal,
  sync,
  syncDir,
  temporaryName,
  truncate,
  write,
} from './script.ts'
import { type LoadedSnapshot, loadSnapshot } from './snapshot-loading.ts'
import { zxidText } from './txn-log.ts'

export interface RecoveryGiven extends ReplayGiven {
  makeTree(): DataTree
}

export interface Recovered {
  readonly tree: DataTree
  readonly sessions: ReadonlyMap<SessionId, number>
  readonly lastZxid: Zxid
  /** Every session id that this server has made is at most this; 0n for none. */
  readonly maxSessionId: SessionId | 0n
  readonly replayedTxns: number
  readonly digestMismatches: number
  /** The snapshot that was loaded. */
  readonly loaded: SnapshotFile | undefined
  /** There was nothing at all: never, as far as one can tell, or no more. */
  readonly isNew: boolean
  readonly wasUsed: boolean
  /** now: nothing may be logged before it is durable. soon: saves time at the next start. */
  readonly snapshot: 'now' | 'soon' | 'none'
}

/** Leaves the directories repaired and durable. The caller takes the snapshot and makes the note of this run. */
export function* recover(given: RecoveryGiven): Script<Recovered> {
  const { config } = given
  const lastRun = yield* readLastRun(config.serverId)
  const dataEntries = yield* withoutLeftovers('data')
  const logEntries = yield* withoutLeftovers('log')
  reportStrays(given, dataEntries, logEntries)
  const snapshots = snapshotFiles(dataEntries)
  const logs = yield* dropEmptyLogs(given, logFiles(logEntries), lastRun)

  const start = yield* chooseStart(given, snapshots, logs)
  const replay = new Replay(given, start)
  const end = yield* replayLogs(given, { replay, logs, lastRun })
  refuseBelow(snapshots.at(-1), replay.last)
  yield* makeDurable({ logs: end.read, newest: end.newest, lastRun, snapshot: start.file })

  const orphans = removeOrphans(start.tree, replay.sessions, replay.last)
  if (orphans > 0)
    given.say('info', 'removed ephemerals of sessions that no longer exist', { znodes: orphans })
  const isManyReplayed = replay.count > config.storage.snapCount / 2
  return {
    tree: start.tree,
    sessions: replay.sessions,
    lastZxid: replay.last,
    maxSessionId: higherOf(replay.maxSessionId, lastRun.sessionBound),
    replayedTxns: replay.count,
    digestMismatches: replay.digestMismatches,
    loaded: start.file,
    isNew: start.file === undefined && logs.length === 0,
    wasUsed: lastRun.end !== 'unknown',
    snapshot:
      start.file === undefined || orphans > 0 ? 'now' : start.isFallback || isManyReplayed ? 'soon' : 'none',
  }
}

/** Of two ids of one server, which may be negative; 0n is none. */
function higherOf(a: SessionId | 0n, b: SessionId | 0n): SessionId | 0n {
  return b === 0n || (a !== 0n && a > b) ? a : b
}

/** Removes what an interrupted write left under a temporary name. */
function* withoutLeftovers(dir: Dir): Script<readonly DirEntry[]> {
  const entries = yield* list(dir)
  const leftovers = entries.filter(({ name }) => isTemporaryName(name))
  for (const { name } of leftovers) yield* remove(dir, name)
  return entries.filter(({ name }) => !isTemporaryName(name))
}

function reportStrays(given: RecoveryGiven, data: readonly DirEntry[], log: readonly DirEntry[]): void {
  for (const name of [...strayNames(data, 'snapshot'), ...strayNames(log, 'log')]) {
    given.say('warn', 'ignored a file that the Java server would read; move it out of the directory', {
      file: name,
    })
  }
}

/** A newest log without a record is what a crash while creating it leaves. It would sort behind logs yet to come. */
function* dropEmptyLogs(
  given: RecoveryGiven,
  logs: readonly LogFile[],
  lastRun: LastRun,
): Script<readonly LogFile[]> {
  let kept = logs
  for (let newest = kept.at(-1); newest !== undefined; newest = kept.at(-1)) {
    if (!(yield* isRecordless(newest, lastRun))) break
    given.say('warn', 'removed the newest log file: it holds no record', {
      file: newest.name,
      sizeBytes: newest.sizeBytes,
    })
    yield* remove('log', newest.name)
    yield* syncDir('log')
    kept = kept.slice(0, -1)
  }
  return kept
}

function* isRecordless(log: LogFile, lastRun: LastRun): Script<boolean> {
  if (log.sizeBytes < fileHeaderBytes) return true
  const file = yield* open({ dir: 'log', name: log.name, mode: 'read' })
  const header = makeSpace(fileHeaderBytes)
  yield* read(file, 0, header.bytes)
  const hasHeader = isLogHeader(header, 0)
  const reader = new LogFileReader({ file, maxPayloadBytes: 0, at: hasHeader ? fileHeaderBytes : 0 })
  yield* reader.refill()
  const isEmpty = yield* reader.isZeroToEnd()
  yield* close(file)
  // This server makes the header durable before the file grows, and marks it: where records were, replay refuses what
  // became of them.
  const isOurs = lastRun.end !== 'unknown'
  const hadRecords = hasHeader
    ? markIn(header, 0) > fileHeaderBytes
    : isOurs && log.sizeBytes > fileHeaderBytes
  return isEmpty && !hadRecords
}

interface Start extends ReplayStart {
  /** undefined: an empty tree. */
  readonly file: SnapshotFile | undefined
  /** A newer snapshot could not be used. */
  readonly isFallback: boolean
}

/** The newest snapshot whose every seal fits; each attempt gets a tree of its own. */
function* chooseStart(
  given: RecoveryGiven,
  snapshots: readonly SnapshotFile[],
  logs: readonly LogFile[],
): Script<Start> {
  let isFallback = false
  for (const file of snapshots.toReversed()) {
    const loaded = yield* loadSnapshot({
      file,
      tree: given.makeTree(),
      maxLengthBytes: longestTxnBytes(given.config),
    })
    if (typeof loaded !== 'string') {
      checkSnapshotDigest(given, file, loaded)
      if (loaded.trailer.unknownBytes > 0) {
        given.say('warn', 'a snapshot ends in a trailer of an unknown kind', { file: file.name })
      }
      const { tree, sessions, trailer } = loaded
      return { tree, sessions, zxid: file.zxid, file, digest: trailer.digest, isFallback }
    }
    given.say('warn', 'a snapshot cannot be used', { file: file.name, problem: loaded })
    isFallback = true
  }
  return startEmpty(given, { hadSnapshots: isFallback, logs })
}

function startEmpty(
  given: RecoveryGiven,
  found: { readonly hadSnapshots: boolean; readonly logs: readonly LogFile[] },
): Start {
  const { storage } = given.config
  const oldest = found.logs[0]
  if (oldest !== undefined && !storage.isEmptySnapshotTrusted) {
    throw refusal(
      `no usable snapshot, but there are txn logs from ${oldest.name} on: starting empty would lose them. ` +
        'If this server never had a snapshot (before ZooKeeper 3.5), set snapshot.trust.empty=true once',
    )
  }
  if (oldest === undefined && found.hadSnapshots)
    throw refusal('none of the snapshots is usable, and there is no txn log')
  return {
    tree: given.makeTree(),
    sessions: new Map(),
    zxid: zxid(0n),
    file: undefined,
    digest: undefined,
    isFallback: false,
  }
}

function checkSnapshotDigest(given: RecoveryGiven, file: SnapshotFile, loaded: LoadedSnapshot): void {
  const { digest } = loaded.trailer
  if (digest === undefined || digest.zxid !== file.zxid || file.zxid === 0n) return
  if (digest.treeDigest === digestOf(loaded.tree) || !given.config.storage.isDigestEnabled) return
  given.say('error', 'the tree of a snapshot does not have the digest the file names', {
    file: file.name,
    zxid: zxidText(file.zxid),
  })
}

interface ReplayEnd {
  /** Files read, oldest first. */
  readonly read: readonly LogFile[]
  /** The newest of them, and where its valid records end. */
  readonly newest:
    | { readonly name: string; readonly validBytes: number; readonly isTorn: boolean }
    | undefined
}

/** A snapshot holds nothing that was not durable in the log before: its name alone tells how far replay must come. */
function refuseBelow(newest: SnapshotFile | undefined, last: Zxid): void {
  if (newest === undefined || newest.zxid <= last) return
  throw refusal(
    `no usable snapshot reaches as far as ${newest.name}: with the logs behind an older one the last ` +
      `zxid is ${zxidText(last)}. To start there nevertheless, move that file out of the directory`,
  )
}

function* replayLogs(
  given: RecoveryGiven,
  on: { readonly replay: Replay; readonly logs: readonly LogFile[]; readonly lastRun: LastRun },
): Script<ReplayEnd> {
  const { replay, logs, lastRun } = on
  const next = replay.last + 1n
  const firstIndex = Math.max(
    0,
    logs.findLastIndex(log => log.zxid <= next),
  )
  const files = logs.slice(firstIndex)
  let newest: ReplayEnd['newest']
  for (const log of files) {
    const isNewest = log === files.at(-1)
    newest = {
      name: log.name,
      ...(yield* replayFile(given, { log, isNewest, replay, wasClean: lastRun.end === 'clean' })),
    }
  }
  return { read: files, newest }
}

function* replayFile(
  given: RecoveryGiven,
  on: {
    readonly log: LogFile
    readonly isNewest: boolean
    readonly replay: Replay
    readonly wasClean: boolean
  },
): Script<{ readonly validBytes: number; readonly isTorn: boolean }> {
  const { log, replay } = on
  const file = yield* open({ dir: 'log', name: log.name, mode: 'read' })
  const header = makeSpace(fileHeaderBytes)
  const headerBytes = yield* read(file, 0, header.bytes)
  if (headerBytes < fileHeaderBytes || !isLogHeader(header, 0)) {
    throw refusal(damageText({ name: log.name, at: 0, what: 'has no log header', after: replay.last }))
  }
  const reader = new LogFileReader({
    file,
    maxPayloadBytes: longestTxnBytes(given.config),
    at: fileHeaderBytes,
  })
  const found = reader.diagnose(yield* replayRecords(reader, replay))
  const at = reader.at
  const isZeroToEnd = found === 'zeros' && (yield* reader.isZeroToEnd())
  const isMissingSector = !isZeroToEnd && reader.isMissingSector(found)
  const behind = isZeroToEnd ? undefined : yield* reader.survey(found)
  const mark = markIn(header, 0)
  const verdict = judge({
    found,
    at,
    isZeroToEnd,
    isMissingSector,
    isNewest: on.isNewest,
    wasClean: on.wasClean,
    mark,
    validBehind: behind?.count ?? 0,
  })
  yield* close(file)
  if (verdict === 'damaged') {
    const known = at < mark ? `; it was durable up to byte ${mark}` : ''
    throw refusal(
      damageText({
        name: log.name,
        at,
        what: `is damaged (${found})`,
        after: replay.last,
        more: `${followers(behind)}${known}`,
      }),
    )
  }
  if (verdict === 'torn') {
    given.say('warn', 'cut a torn record, never acknowledged, off the end of the log', {
      file: log.name,
      offset: at,
      zxid: zxidText(replay.last + 1n),
      found,
    })
  }
  return { validBytes: at, isTorn: verdict === 'torn' }
}

function* replayRecords(reader: LogFileReader, replay: Replay): Script<Found> {
  for (;;) {
    const found = reader.look()
    if (found === 'more') {
      yield* reader.refill()
      continue
    }
    if (found !== 'record') return found
    const problem = replay.record(reader)
    if (problem !== undefined) {
      const id = zxidText(zxid(fromWords(reader.zxidHigh, reader.zxidLow)))
      throw refusal(
        damageText({
          name: reader.file.name,
          at: reader.at,
          what: `is damaged: its record ${id} ${problem}`,
          after: replay.last,
        }),
      )
    }
    reader.advance()
  }
}

function followers(behind: Survey | undefined): string {
  if (behind?.first === undefined) return ''
  const { count, first, last = first } = behind
  return `; ${count} whole records follow, ${zxidText(first)} to ${zxidText(last)}`
}

function damageText(given: {
  readonly name: string
  readonly at: number
  readonly what: string
  readonly after: Zxid
  readonly more?: string
}): string {
  const { name, at, what, after, more = '' } = given
  return (
    `${name} ${what}, at byte ${at}, after zxid ${zxidText(after)}${more}. Acknowledged txns may be ` +
    'affected, so the server does not start. To cut the log there and keep the rest aside: ./corral repair-log'
  )
}

function refusal(reason: string): StorageRefusal {
  return new StorageRefusal({ exitCode: exitStorage, reason })
}

/** Refuses an empty directory that has held data, and any where one must be expressly declared new. */
export function refuseUndeclared(given: {
  readonly config: ServerConfig
  readonly isDeclaredNew: boolean
  readonly wasUsed: boolean
}): void {
  if (given.isDeclaredNew) return
  if (given.wasUsed) {
    throw refusal(
      'there is neither a snapshot nor a txn log, but corral.state says that this server has served from here: ' +
        'starting empty would lose that. Create the file "initialize" in the data directory if it is meant to be new',
    )
  }
  if (given.config.storage.isDbAutocreated) return
  throw new StorageRefusal({
    exitCode: exitNoData,
    reason:
      'the data directory is empty and zookeeper.db.autocreate is false: create the file "initialize" in it if it is meant to be new',
  })
}

/** See the table at the top of the file. */
function* makeDurable(given: {
  readonly logs: readonly LogFile[]
  readonly newest: ReplayEnd['newest']
  readonly lastRun: LastRun
  readonly snapshot: SnapshotFile | undefined
}): Script<void> {
  const { logs, newest, lastRun, snapshot } = given
  if (lastRun.end !== 'clean') {
    if (snapshot !== undefined) yield* syncFile('data', snapshot.name)
    for (const log of logs) if (log.name !== newest?.name) yield* syncFile('log', log.name)
    yield* syncDir('data')
  }
  if (newest === undefined) return
  if (newest.validBytes === fileHeaderBytes) yield* remove('log', newest.name)
  else if (lastRun.end === 'running') yield* rewritePrefix(newest.name, newest.validBytes)
  else if (newest.isTorn) yield* truncateFile(newest.name, newest.validBytes)
  else if (lastRun.end === 'unknown') yield* syncFile('log', newest.name)
  else return
  yield* syncDir('log')
}

function* syncFile(dir: Dir, name: string): Script<void> {
  const file = yield* open({ dir, name, mode: 'update' })
  yield* sync(file)
  yield* close(file)
}

function* truncateFile(name: string, lengthBytes: number): Script<void> {
  const file = yield* open({ dir: 'log', name, mode: 'update' })
  yield* truncate(file, lengthBytes)
  yield* sync(file)
  yield* close(file)
}

function* rewritePrefix(name: string, lengthBytes: number): Script<void> {
  const old = yield* open({ dir: 'log', name, mode: 'read' })
  const fresh = yield* open({ dir: 'log', name: temporaryName(name), mode: 'create' })
  const space = makeSpace(Math.min(lengthBytes, 1024 * 1024))
  for (let at = 0; at < lengthBytes; ) {
    const count = yield* read(
      old,
      at,
      space.bytes.subarray(0, Math.min(space.bytes.length, lengthBytes - at)),
    )
    if (count === 0) throw refusal(`${name} became shorter while it was read`)
    if (at === 0 && markIn(space, 0) > 0) putMark(space, markAt, lengthBytes)
    yield* write(fresh, at, space.bytes.subarray(0, count))
    at += count
  }
  yield* sync(fresh)
  yield* close(fresh)
  yield* close(old)
  yield* rename('log', temporaryName(name), name)
}

/**
 * Ephemerals whose session is in no table: their closing was lost with a server that no longer exists. They go as if
 * the last txn had closed their session.
 */
function removeOrphans(tree: DataTree, sessions: ReadonlyMap<SessionId, number>, last: Zxid): number {
  const before = tree.znodeCount
  const fired = new FiredWatches()
  for (const owner of [...tree.ephemeralOwners()]) {
    const id = sessionId(fromWords(owner.high, owner.low))
    if (sessions.has(id)) continue
    const txn = new Writer()
    txn.int64(id)
    txn.int32(0)
    txn.int64(last)
    txn.int64(0n)
    txn.int32(OpCode.CloseSession)
    txn.int32(0)
    tree.apply(txn, 0, txn.at, fired)
    fired.clear()
  }
  return before - tree.znodeCount
}
