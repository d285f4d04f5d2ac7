/**
 * Takes snapshots while the server runs: the tree is written in slices, one after each `diskDone`, so that no step is
 * long and the disk sets the pace. The file is fuzzy: what is applied meanwhile may be in it or not, and the log
 * behind the zxid in its name is replayed over it. It gets its name only when it is complete and durable, and never
 * before the log is durable up to the last txn in it.
 *
 * A failure is reported and tried again after a delay that doubles; meanwhile the logs are kept and the server serves.
 *
 * Source: FileSnap.serialize in the Java server, which writes under the final name and without a sync.
 */
import { assert, fromWords, hexText, type SessionId, type Zxid, zxid } from '@corral/protocol'
import type { ServerConfig } from '../config.ts'
import type { Effect } from '../effects.ts'
import type { Now } from '../events.ts'
import type { DataTree } from '../tree/data-tree.ts'
import type { TreeWalk } from '../tree/tree-walk.ts'
import { type SnapshotFile, snapshotName } from './file-names.ts'
import { planPurge, purge } from './purge.ts'
import {
  close,
  DiskFailure,
  type DiskOps,
  list,
  type OpenedFile,
  open,
  rename,
  type Script,
  sync,
  syncDir,
  temporaryName,
  write,
} from './script.ts'
import { SnapshotWriter } from './snapshot-writer.ts'

export interface SnapshotsGiven {
  readonly config: ServerConfig
  readonly ops: DiskOps
  readonly sessions: ReadonlyMap<SessionId, number>
  maybe(label: string): boolean
  tree(): DataTree
  /** Above every session id that this server has given away. */
  sessionBound(): SessionId
  /** Last txn that is durable in the log. */
  durableZxid(): Zxid
  emit(effect: Effect): void
  /** After a stop was asked for: nothing runs any more. */
  stopped(now: Now): void
}

/**
 * Sessions, ACLs or znodes in one step. A process that has just begun runs code that is not compiled yet, twenty times
 * slower: it begins with short slices, which grow with what it has written.
 */
const sliceItems = 1500
const firstSliceItems = 64
const writtenBytesPerItemMore = 512
const sliceBytes = 256 * 1024
const firstRetryMs = 1000
const longestRetryMs = 5 * 60_000

export class Snapshots {
  readonly #given: SnapshotsGiven
  /** Names of the files that this process wrote or loaded: only they count when old ones are purged. */
  readonly #verified: Set<string> = new Set()
  #isRunning = false
  /** Another one fell due while one was being taken. */
  #isDueAgain = false
  #isStopping = false
  #retryDelayMs = firstRetryMs
  #retryAtMs: number | undefined
  #writtenBytes = 0
  takenCount = 0

  constructor(given: SnapshotsGiven) {
    this.#given = given
  }

  /** Loading it showed that it is good. */
  noteVerified(file: SnapshotFile): void {
    this.#verified.add(file.name)
  }

  /** Takes one in the background; after the one that is being taken, if there is one. */
  request(now: Now): void {
    this.#isDueAgain = this.#isRunning
    if (this.#isRunning || this.#isStopping) return
    this.#isRunning = true
    this.#retryAtMs = undefined
    this.#given.ops.run(now, this.#takeAndPurge(), {
      done: later => {
        this.#retryDelayMs = firstRetryMs
        this.#ended(later)
        if (this.#isDueAgain) this.request(later)
      },
      failed: (later, failure) => {
        this.#retryAtMs = later.monotonicMs + this.#retryDelayMs
        this.#say('error', 'a snapshot could not be taken', {
          problem: failure.message,
          retryInMs: this.#retryDelayMs,
        })
        this.#retryDelayMs = Math.min(2 * this.#retryDelayMs, longestRetryMs)
        this.#ended(later)
      },
    })
  }

  tick(now: Now): void {
    if (this.#retryAtMs !== undefined && now.monotonicMs >= this.#retryAtMs) this.request(now)
  }

  /** The one being taken is given up at its next slice. Ends in `stopped`. */
  stop(now: Now): void {
    this.#isStopping = true
    if (!this.#isRunning) this.#given.stopped(now)
  }

  #ended(now: Now): void {
    this.#isRunning = false
    if (this.#isStopping) this.#given.stopped(now)
  }

  *#takeAndPurge(): Script<void> {
    yield* this.take()
    yield* this.purge()
  }

  /** As a part of another script: the snapshot is durable when it ends. */
  *take(): Script<void> {
    const codec = this.#given.config.storage.snapshotCodec
    const temporary = temporaryName('snapshot.unfinished')
    const file = yield* open({ dir: 'data', name: temporary, mode: 'create', codec })
    let startedAt: Zxid | undefined
    try {
      startedAt = yield* this.#write(file)
      if (startedAt !== undefined) yield* sync(file)
    } catch (error) {
      if (error instanceof DiskFailure) yield* discard(file, temporary)
      throw error
    }
    if (startedAt === undefined) return yield* discard(file, temporary)
    yield* close(file)
    const name = snapshotName(startedAt, codec)
    yield* rename('data', temporary, name)
    yield* syncDir('data')
    this.#verified.add(name)
    this.takenCount++
    this.#say('info', 'took a snapshot', { file: name })
  }

  /** A failure costs nothing but space: it is reported, and the next snapshot's purge tries again. */
  *purge(): Script<void> {
    const { purge: policy } = this.#given.config.storage
    if (policy === undefined) return
    try {
      yield* this.#purge(policy.retainCount)
    } catch (error) {
      if (!(error instanceof DiskFailure)) throw error
      this.#say('error', 'old files could not be purged', { problem: error.message })
    }
  }

  *#purge(retainCount: number): Script<void> {
    const plan = planPurge({
      data: yield* list('data'),
      log: yield* list('log'),
      verified: this.#verified,
      retainCount,
    })
    yield* purge(plan)
    for (const name of plan.snapshots) this.#verified.delete(name)
    const files = plan.logs.length + plan.snapshots.length
    if (files > 0)
      this.#say('info', 'purged old files', { logs: plan.logs.length, snapshots: plan.snapshots.length })
  }

  /** @returns the zxid at which the writing began, or undefined if it was given up */
  *#write(file: OpenedFile): Script<Zxid | undefined> {
    const { sessions, sessionBound, config } = this.#given
    const tree = this.#given.tree()
    const startedAt = lastZxidOf(tree)
    const writer = new SnapshotWriter()
    const walk = tree.openWalk()
    try {
      writer.begin(sessions.size, sessionBound())
      const slices = fill(writer, { sessions, walk, most: () => this.#nextSliceItems() })
      let at = 0
      for (let isLast = false; !isLast; ) {
        isLast = slices.next().done === true
        if (isLast) writer.end(trailersOf(tree, config))
        const bytes = writer.take()
        yield* write(file, at, bytes)
        at += bytes.length
        this.#writtenBytes += bytes.length
        if (this.#isStopping) return undefined
      }
    } finally {
      walk.close()
    }
    assert(
      lastZxidOf(tree) <= this.#given.durableZxid(),
      `a snapshot holds only what the log holds durably: ${hexText(lastZxidOf(tree))}`,
    )
    return startedAt
  }

  #nextSliceItems(): number {
    if (this.#given.maybe('log: tiny snapshot slice')) return 1
    return Math.min(sliceItems, firstSliceItems + Math.floor(this.#writtenBytes / writtenBytesPerItemMore))
  }

  #say(level: 'info' | 'error', what: string, fields: Readonly<Record<string, string | number>>): void {
    this.#given.emit({ kind: 'say', level, what, fields })
  }
}

/**
 * Sessions, ACLs and znodes, which must be there in this order; yields when there is enough for one write.
 *
 * @param given.most - items that the next slice may have
 */
function* fill(
  writer: SnapshotWriter,
  given: {
    readonly sessions: ReadonlyMap<SessionId, number>
    readonly walk: TreeWalk
    readonly most: () => number
  },
): Generator<void, void> {
  const { walk, most } = given
  // As they are now: others may come and go before the last one is written.
  const ids = [...given.sessions.keys()]
  const timeouts = [...given.sessions.values()]
  let room = ids.length === 0 ? 0 : most()
  for (const [i, id] of ids.entries()) {
    if (room === 0) {
      yield
      room = most()
    }
    writer.session(id, timeouts[i] as number)
    room--
  }
  while (!walk.aclsInto(writer.out, most(), sliceBytes)) yield
  while (!walk.nextInto(writer.out, most(), sliceBytes)) yield
}

function lastZxidOf(tree: DataTree): Zxid {
  return zxid(fromWords(tree.lastZxidHigh, tree.lastZxidLow))
}

function trailersOf(tree: DataTree, config: ServerConfig): Parameters<SnapshotWriter['end']>[0] {
  if (!config.storage.isDigestEnabled) return undefined
  return {
    zxid: lastZxidOf(tree),
    treeDigest: fromWords(tree.digestHigh, tree.digestLow),
    hasLastZxid: config.storage.hasLastZxidTrailer,
  }
}

/** A failure here is the lesser one: what is left has a name that is no snapshot's, and goes at the next start. */
function* discard(file: OpenedFile, temporary: string): Script<void> {
  yield { call: 'close', file: file.file }
  yield { call: 'remove', dir: 'data', name: temporary }
}
