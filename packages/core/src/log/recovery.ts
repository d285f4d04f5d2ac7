/**
 * What a start does with the files it finds: what `examination.ts` comes to is made durable, so that the directory is
 * left saying only one thing.
 *
 *     last run   newest segment
 *     clean      trusted, unless the Java server wrote it since; a torn tail in a file of ours is corruption
 *     running    the run died: valid prefix written anew, renamed over. A sync of the old file proves nothing after
 *                a failed one: its pages may be clean in memory and absent on the device
 *     unknown    no note (files of the Java server, or copied): synced, cut if torn
 *
 * Nothing recovered is relied upon before it was synced again: after a kill it may only be in the page cache.
 */
import {
  fileHeaderBytes,
  fromWords,
  OpCode,
  type SessionId,
  sessionId,
  Writer,
  type Zxid,
} from '@corral/protocol'
import { longestTxnBytes, type ServerConfig } from '../config.ts'
import type { Dir } from '../disk.ts'
import type { DataTree } from '../tree/data-tree.ts'
import type { DigestLog } from '../tree/digest-log.ts'
import { FiredWatches } from '../tree/fired-watches.ts'
import { type ExaminationGiven, type Examined, examine } from './examination.ts'
import type { SnapshotFile } from './file-names.ts'
import { writeAnew } from './log-copy.ts'
import type { LastRun } from './run-state.ts'
import {
  close,
  exitNoData,
  exitStorage,
  open,
  remove,
  type Script,
  StorageRefusal,
  sync,
  syncDir,
  truncate,
} from './script.ts'

export interface Recovered {
  readonly tree: DataTree
  readonly sessions: ReadonlyMap<SessionId, number>
  readonly lastZxid: Zxid
  /** Every session id that this server has made is at most this; 0n for none. */
  readonly maxSessionId: SessionId | 0n
  readonly replayedTxns: number
  readonly digestMismatches: number
  readonly digests: DigestLog
  /** The snapshot that was loaded. */
  readonly loaded: SnapshotFile | undefined
  /** There was nothing at all: never, as far as one can tell, or no more. */
  readonly isNew: boolean
  readonly wasUsed: boolean
  /** now: nothing may be logged before it is durable. soon: saves time at the next start. */
  readonly snapshot: 'now' | 'soon' | 'none'
}

/** Leaves the directories repaired and durable. The caller takes the snapshot and makes the note of this run. */
export function* recover(given: ExaminationGiven): Script<Recovered> {
  const { config } = given
  const examined = yield* examine(given)
  const { lastRun, logs, start, replay } = examined
  for (const { dir, name } of examined.leftovers) yield* remove(dir, name)
  yield* removeRecordless(given, examined)
  yield* makeDurable(examined, longestTxnBytes(config))

  const orphans = removeOrphans(start.tree, replay.sessions, replay.last)
  if (orphans > 0)
    given.say('info', 'removed ephemerals of sessions that no longer exist', { znodes: orphans })
  const isManyReplayed = replay.count > config.storage.snapCount / 2
  return {
    tree: start.tree,
    sessions: replay.sessions,
    lastZxid: replay.last,
    maxSessionId: [start.sessionBound, lastRun.sessionBound].reduce(higherOf, replay.maxSessionId),
    replayedTxns: replay.count,
    digestMismatches: replay.digestMismatches,
    digests: replay.digests,
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

function* removeRecordless(given: ExaminationGiven, { recordless }: Examined): Script<void> {
  for (const { name, sizeBytes } of recordless) {
    given.say('warn', 'removed the newest log file: it holds no record', { file: name, sizeBytes })
    yield* remove('log', name)
    yield* syncDir('log')
  }
}

/** Refuses an empty directory that has held data, and any where one must be expressly declared new. */
export function refuseUndeclared(given: {
  readonly config: ServerConfig
  readonly isDeclaredNew: boolean
  readonly wasUsed: boolean
}): void {
  if (given.isDeclaredNew) return
  if (given.wasUsed) {
    throw new StorageRefusal({
      exitCode: exitStorage,
      reason:
        'there is neither a snapshot nor a txn log, but corral.state says that this server has served from here: ' +
        'starting empty would lose that. Create the file "initialize" in the data directory if it is meant to be new',
    })
  }
  if (given.config.storage.isDbAutocreated) return
  throw new StorageRefusal({
    exitCode: exitNoData,
    reason:
      'the data directory is empty and zookeeper.db.autocreate is false: create the file "initialize" in it if it is meant to be new',
  })
}

/** See the table at the top of the file. */
function* makeDurable({ end, lastRun, start }: Examined, maxPayloadBytes: number): Script<void> {
  const { read: logs, newest } = end
  const lastEnd = endOf(lastRun, newest)
  if (lastEnd !== 'clean') {
    if (start.file !== undefined) yield* syncFile('data', start.file.name)
    for (const log of logs) if (log.name !== newest?.name) yield* syncFile('log', log.name)
    yield* syncDir('data')
  }
  if (newest === undefined) return
  if (newest.validBytes === fileHeaderBytes) yield* remove('log', newest.name)
  else if (lastEnd === 'running') yield* writeAnew(newest, maxPayloadBytes)
  else if (newest.isTorn) yield* truncateFile(newest.name, newest.validBytes)
  else if (lastEnd === 'unknown') yield* syncFile('log', newest.name)
  else return
  yield* syncDir('log')
}

/** Where the Java server has served since an orderly stop, the note of it does not speak of what is there. */
function endOf(lastRun: LastRun, newest: Examined['end']['newest']): LastRun['end'] {
  return lastRun.end === 'clean' && newest?.isOurs === false ? 'unknown' : lastRun.end
}

function* syncFile(dir: Dir, name: string): Script<void> {
  // Opened for reading alone: an operator may have copied it here under another owner.
  const file = yield* open({ dir, name, mode: 'read' })
  yield* sync(file)
  yield* close(file)
}

function* truncateFile(name: string, lengthBytes: number): Script<void> {
  const file = yield* open({ dir: 'log', name, mode: 'update' })
  yield* truncate(file, lengthBytes)
  yield* sync(file)
  yield* close(file)
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
