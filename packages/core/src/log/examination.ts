/**
 * What a start finds: chooses a snapshot, replays the log behind it, judges every damaged place. It only reads; what
 * it comes to is made durable by `recovery.ts`.
 *
 * A damaged place is one of two. A torn tail is what a crash leaves of a batch that nobody was told of: it is to be
 * cut off. Everything else may hold acknowledged txns: then there is no start, and the message names the file, the
 * offset, the zxids behind it and the tool that cuts it if the operator decides so.
 *
 * Source: FileTxnSnapLog.restore, FileTxnLog in the Java server, which checks neither gaps nor what follows the end.
 */
import {
  fileHeaderBytes,
  fromWords,
  hexText,
  logRecordHeadBytes,
  makeSpace,
  noZxid,
  type SessionId,
  type Zxid,
  zxid,
} from '@corral/protocol'
import { longestTxnBytes } from '../config.ts'
import type { Dir, DirEntry } from '../disk.ts'
import { TooManyAcls } from '../tree/acl-table.ts'
import type { DataTree } from '../tree/data-tree.ts'
import { judge, LogDamaged } from './damage.ts'
import {
  type LogFile,
  logFiles,
  logName,
  type SnapshotFile,
  snapshotFiles,
  strayNames,
} from './file-names.ts'
import { LogFileReader, type Survey } from './log-file-reader.ts'
import { markIn } from './log-mark.ts'
import { type Found, isLogHeader } from './record-reader.ts'
import { digestOf, Replay, type ReplayGiven, type ReplayStart } from './replay.ts'
import { boundOf, type LastRun, readLastRun } from './run-state.ts'
import {
  close,
  exitStorage,
  isTemporaryName,
  list,
  type OpenedFile,
  open,
  read,
  type Script,
  StorageRefusal,
} from './script.ts'
import { type LoadedSnapshot, loadSnapshot } from './snapshot-loading.ts'

export interface ExaminationGiven extends ReplayGiven {
  makeTree(): DataTree
}

export interface Examined {
  readonly lastRun: LastRun
  /** What an interrupted write left under a temporary name. */
  readonly leftovers: readonly { readonly dir: Dir; readonly name: string }[]
  /**
   * The newest log files, newest first, when they hold no record: what a crash while creating one leaves. They would
   * sort behind logs yet to come.
   */
  readonly recordless: readonly LogFile[]
  /** All other log files, oldest first. */
  readonly logs: readonly LogFile[]
  readonly start: Start
  /** Has brought the tree of `start` to the end of the log. */
  readonly replay: Replay
  readonly end: ReplayEnd
}

export interface Start extends ReplayStart {
  /** Txns up to this one can have an effect in the snapshot, by its trailers. */
  readonly reachesTo: Zxid
  /** Above every session id of this server's making up to there; 0n if nothing says so. */
  readonly sessionBound: SessionId | 0n
  /** undefined: an empty tree. */
  readonly file: SnapshotFile | undefined
  /** A newer snapshot could not be used. */
  readonly isFallback: boolean
}

export interface ReplayEnd {
  /** Files read, oldest first. */
  readonly read: readonly LogFile[]
  /** The newest of them. */
  readonly newest: ReplayedFile | undefined
}

interface ReplayedFile {
  readonly name: string
  /** Where its valid records end. */
  readonly validBytes: number
  readonly isTorn: boolean
  /** The Java server did not write it. */
  readonly isOurs: boolean
}

/** @throws StorageRefusal if there must be no start, a {@link LogDamaged} if a log is why */
export function* examine(given: ExaminationGiven): Script<Examined> {
  const lastRun = yield* readLastRun(given.config.serverId)
  const data = yield* listed('data')
  const log = yield* listed('log')
  reportStrays(given, data.files, log.files)
  const snapshots = snapshotFiles(data.files)
  const { logs, recordless } = yield* withoutRecordless(logFiles(log.files), lastRun)

  const start = yield* chooseStart(given, snapshots, logs)
  const replay = new Replay(given, start)
  const end = yield* replayLogs(given, { replay, logs, wasClean: lastRun.end === 'clean' })
  refuseBelow(snapshots.at(-1), replay.last)
  refuseHalf(start, replay.last)
  if (start.file !== undefined || logs.length > 0) refuseBelowNote(lastRun, replay.last)
  return { lastRun, leftovers: [...data.leftovers, ...log.leftovers], recordless, logs, start, replay, end }
}

interface Listed {
  readonly files: readonly DirEntry[]
  readonly leftovers: Examined['leftovers']
}

function* listed(dir: Dir): Script<Listed> {
  const entries = yield* list(dir)
  const leftovers = entries.filter(({ name }) => isTemporaryName(name)).map(({ name }) => ({ dir, name }))
  return { files: entries.filter(({ name }) => !isTemporaryName(name)), leftovers }
}

function reportStrays(given: ExaminationGiven, data: readonly DirEntry[], log: readonly DirEntry[]): void {
  for (const name of [...strayNames(data, 'snapshot'), ...strayNames(log, 'log')]) {
    given.say('warn', 'ignored a file that the Java server would read; move it out of the directory', {
      file: name,
    })
  }
}

function* withoutRecordless(
  logs: readonly LogFile[],
  lastRun: LastRun,
): Script<Pick<Examined, 'logs' | 'recordless'>> {
  const recordless: LogFile[] = []
  for (const newest of logs.toReversed()) {
    if (!(yield* isRecordless(newest, lastRun))) break
    recordless.push(newest)
  }
  return { logs: logs.slice(0, logs.length - recordless.length), recordless }
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

/** The newest snapshot whose every seal fits; each attempt gets a tree of its own. */
function* chooseStart(
  given: ExaminationGiven,
  snapshots: readonly SnapshotFile[],
  logs: readonly LogFile[],
): Script<Start> {
  let newestProblem: string | undefined
  for (const file of snapshots.toReversed()) {
    const loaded = yield* loadSnapshot({
      file,
      tree: given.makeTree(),
      maxLengthBytes: longestTxnBytes(given.config),
    })
    if (typeof loaded !== 'string') {
      checkSnapshotDigest(given, file, loaded)
      if (loaded.trailer.unknownBytes > 0) {
        given.say('warn', 'a snapshot ends in a trailer of an unknown kind', {
          file: file.name,
          bytes: loaded.trailer.unknownBytes,
        })
      }
      const { tree, sessions, trailer } = loaded
      const reachesTo = [trailer.digest?.zxid, trailer.lastZxid].reduce(
        (most: Zxid, id) => (id !== undefined && id > most ? id : most),
        file.zxid,
      )
      return {
        tree,
        sessions,
        zxid: file.zxid,
        reachesTo,
        sessionBound: boundOf(loaded.databaseId, given.config.serverId),
        file,
        digest: trailer.digest,
        isFallback: newestProblem !== undefined,
      }
    }
    given.say('warn', 'a snapshot cannot be used', { file: file.name, problem: loaded })
    newestProblem ??= `${file.name} ${loaded}`
  }
  return startEmpty(given, { newestProblem, logs })
}

function startEmpty(
  given: ExaminationGiven,
  found: { readonly newestProblem: string | undefined; readonly logs: readonly LogFile[] },
): Start {
  const { storage } = given.config
  const { newestProblem } = found
  const oldest = found.logs[0]
  if (oldest !== undefined && !storage.isEmptySnapshotTrusted) {
    const why = newestProblem === undefined ? '' : ` (${newestProblem})`
    throw refusal(
      `no usable snapshot, but there are txn logs from ${oldest.name} on: starting empty would lose them${why}. ` +
        'Where they begin with the first txn of all, snapshot.trust.empty=true replays them alone, once',
    )
  }
  if (oldest === undefined && newestProblem !== undefined)
    throw refusal(`none of the snapshots is usable (${newestProblem}), and there is no txn log`)
  return {
    tree: given.makeTree(),
    sessions: new Map(),
    zxid: noZxid,
    reachesTo: noZxid,
    sessionBound: 0n,
    file: undefined,
    digest: undefined,
    isFallback: false,
  }
}

function checkSnapshotDigest(given: ExaminationGiven, file: SnapshotFile, loaded: LoadedSnapshot): void {
  const { digest } = loaded.trailer
  if (digest === undefined || digest.zxid !== file.zxid || file.zxid === 0n) return
  if (digest.treeDigest === digestOf(loaded.tree) || !given.config.storage.isDigestEnabled) return
  given.say('error', 'the tree of a snapshot does not have the digest the file names', {
    file: file.name,
    zxid: hexText(file.zxid),
  })
}

/** A snapshot holds nothing that was not durable in the log before: its name alone tells how far replay must come. */
function refuseBelow(newest: SnapshotFile | undefined, last: Zxid): void {
  if (newest === undefined || newest.zxid <= last) return
  throw refusal(
    `no usable snapshot reaches as far as ${newest.name}: with the logs behind an older one the last ` +
      `zxid is ${hexText(last)}. To start there nevertheless, move that file out of the directory`,
  )
}

/** What was applied while it was written is in it in part: without the log to its end the tree never existed. */
function refuseHalf({ file, reachesTo }: Start, last: Zxid): void {
  if (file === undefined || reachesTo <= last) return
  throw refusal(
    `${file.name} holds parts of txns up to ${hexText(reachesTo)}, but the txn logs end at ${hexText(last)}: a log ` +
      'file is missing. To start from an older snapshot nevertheless, move that file out of the directory',
  )
}

/** So does the note of the last run: what it held at its beginning, or at its orderly end. */
function refuseBelowNote({ lastZxid }: LastRun, last: Zxid): void {
  if (lastZxid <= last) return
  throw refusal(
    `snapshots and logs end at zxid ${hexText(last)}, but corral.state says that this server has held all up to ` +
      `${hexText(lastZxid)}: a log file is missing, or an older copy was put in place. Acknowledged txns are ` +
      'affected, so the server does not start. To start there nevertheless, remove corral.state',
  )
}

function* replayLogs(
  given: ExaminationGiven,
  on: { readonly replay: Replay; readonly logs: readonly LogFile[]; readonly wasClean: boolean },
): Script<ReplayEnd> {
  const { replay, logs, wasClean } = on
  const next = replay.last + 1n
  const firstIndex = Math.max(
    0,
    logs.findLastIndex(log => log.zxid <= next),
  )
  const files = logs.slice(firstIndex)
  let newest: ReplayEnd['newest']
  for (const log of files) {
    const isNewest = log === files.at(-1)
    newest = yield* replayFile(given, { log, isNewest, replay, wasClean })
  }
  return { read: files, newest }
}

function* replayFile(
  given: ExaminationGiven,
  on: {
    readonly log: LogFile
    readonly isNewest: boolean
    readonly replay: Replay
    readonly wasClean: boolean
  },
): Script<ReplayedFile> {
  const { log, replay } = on
  const file = yield* open({ dir: 'log', name: log.name, mode: 'read' })
  const header = makeSpace(fileHeaderBytes)
  const headerBytes = yield* read(file, 0, header.bytes)
  if (headerBytes < fileHeaderBytes || !isLogHeader(header, 0)) {
    throw damaged({ name: log.name, at: 0, found: 'no log header', lastGood: replay.last })
  }
  const mark = markIn(header, 0)
  const isOurs = mark > 0
  const maxPayloadBytes = longestTxnBytes(given.config)
  const reader = new LogFileReader({ file, maxPayloadBytes, at: fileHeaderBytes })
  const found = reader.diagnose(yield* replayRecords(reader, replay, { log, isOurs }))
  if (found === 'bad length') yield* refuseTooLong(reader, file, maxPayloadBytes)
  const { at } = reader
  const verdict = yield* verdictOn(reader, found, { ...on, mark })
  yield* close(file)
  if (verdict === 'torn') {
    given.say('warn', 'cut a torn record, never acknowledged, off the end of the log', {
      file: log.name,
      offset: at,
      zxid: hexText(replay.last + 1n),
      found,
    })
  }
  return { name: log.name, validBytes: at, isTorn: verdict === 'torn', isOurs }
}

/** @throws LogDamaged */
function* verdictOn(
  reader: LogFileReader,
  found: Found,
  on: {
    readonly replay: Replay
    readonly isNewest: boolean
    readonly wasClean: boolean
    readonly mark: number
  },
): Script<'end' | 'torn'> {
  const { at } = reader
  const { mark, isNewest, wasClean } = on
  const isZeroToEnd = found === 'zeros' && (yield* reader.isZeroToEnd())
  const isMissingSector = !isZeroToEnd && reader.isMissingSector(found)
  const isChecksumAlone = found === 'zeros' && !isZeroToEnd && (yield* reader.isZeroToEnd(logRecordHeadBytes))
  const behind = isZeroToEnd || isChecksumAlone ? undefined : yield* reader.survey(found)
  const verdict = judge({
    found,
    at,
    isZeroToEnd,
    isChecksumAlone,
    isMissingSector,
    isNewest,
    wasClean,
    mark,
    validBehind: behind?.count ?? 0,
  })
  if (verdict !== 'damaged') return verdict
  const known = at < mark ? `; it was durable up to byte ${mark}` : ''
  throw damaged({
    name: reader.file.name,
    at,
    found,
    lastGood: on.replay.last,
    more: `${followers(behind)}${known}`,
  })
}

function* replayRecords(
  reader: LogFileReader,
  replay: Replay,
  file: { readonly log: LogFile; readonly isOurs: boolean },
): Script<Found> {
  for (;;) {
    const found = reader.look()
    if (found === 'more') {
      yield* reader.refill()
      continue
    }
    if (found !== 'record') return found
    if (reader.at === fileHeaderBytes) refuseMisnamed(reader, file.log)
    const problem = recordInto(replay, reader, file)
    if (problem !== undefined) {
      const id = hexText(zxid(fromWords(reader.zxidHigh, reader.zxidLow)))
      throw damaged({
        name: reader.file.name,
        at: reader.at,
        found: `its record ${id} ${problem}`,
        lastGood: replay.last,
      })
    }
    reader.advance()
  }
}

/** @param reader - at the first record. Logs are read in the order of their names: the next one would come before it */
function refuseMisnamed({ zxidHigh, zxidLow }: LogFileReader, { name, zxid: named }: LogFile): void {
  const first = zxid(fromWords(zxidHigh, zxidLow))
  if (first >= named) return
  throw refusal(
    `${name} begins with zxid ${hexText(first)}, before the one in its name: it was ${logName(first)}, and must be ` +
      'named so again',
  )
}

function recordInto(
  replay: Replay,
  reader: LogFileReader,
  writer: { readonly isOurs: boolean },
): string | undefined {
  try {
    return replay.record(reader, writer)
  } catch (error) {
    if (!(error instanceof TooManyAcls)) throw error
    throw refusal(
      `${reader.file.name} cannot be replayed: with the record at byte ${reader.at} there are ${error.message}`,
    )
  }
}

/** Cutting a log there would lose what a setting makes unreadable. */
function* refuseTooLong(reader: LogFileReader, file: OpenedFile, maxPayloadBytes: number): Script<void> {
  const lengthBytes = yield* reader.lengthIfWhole()
  if (lengthBytes === undefined) return
  throw refusal(
    `${file.name} is whole, but the record at byte ${reader.at} has ${lengthBytes} bytes, and jute.maxbuffer ` +
      `allows ${maxPayloadBytes}: set it to what it was when that was written`,
  )
}

function followers(behind: Survey | undefined): string {
  if (behind?.first === undefined) return ''
  const { count, first, last = first } = behind
  return `; ${count} whole records follow, ${hexText(first)} to ${hexText(last)}`
}

function damaged(given: {
  readonly name: string
  readonly at: number
  readonly found: string
  readonly lastGood: Zxid
  readonly more?: string
}): LogDamaged {
  const { more = '', ...damage } = given
  const { name, at, found, lastGood } = damage
  return new LogDamaged(
    damage,
    `${name} is damaged (${found}), at byte ${at}, after zxid ${hexText(lastGood)}${more}. Acknowledged txns may be ` +
      'affected, so the server does not start. To cut the log there and keep the rest aside: ' +
      './corral repair-log, with the arguments of the server',
  )
}

function refusal(reason: string): StorageRefusal {
  return new StorageRefusal({ exitCode: exitStorage, reason })
}
