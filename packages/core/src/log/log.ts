/**
 * Everything between the server and its files: recovery at start, the txn log while it runs, snapshots and purge
 * beside it, an orderly stop. Composes `recovery.ts`, `txn-log.ts` and `snapshots.ts`; the order of their disk calls
 * is in those files. It decides about files only: what a txn means is the server's and the tree's business.
 *
 * The session table is the server's. Recovery fills it; a snapshot writes it as it is, so it must hold the sessions as
 * of the last txn applied.
 */
import {
  assert,
  noSession,
  noZxid,
  type SessionId,
  type Space,
  type Writer,
  type Zxid,
} from '@corral/protocol'
import { longestTxnBytes, type ServerConfig } from '../config.ts'
import type { DiskResult, OpId } from '../disk.ts'
import type { Effect } from '../effects.ts'
import type { Now } from '../events.ts'
import type { Random } from '../random.ts'
import type { DataTree } from '../tree/data-tree.ts'
import type { DigestLog } from '../tree/digest-log.ts'
import { type Recovered, recover, refuseUndeclared } from './recovery.ts'
import { hasInitializeMarker, RunNote, removeInitializeMarker, sessionBound } from './run-state.ts'
import { type DiskFailure, DiskOps, type Script, type StorageRefusal } from './script.ts'
import { Snapshots } from './snapshots.ts'
import { TxnLog } from './txn-log.ts'

export type LogReport =
  | { readonly kind: 'none' }
  /** Tree and sessions are filled. `maxSessionId`: highest id of this server's own making, 0n for none. */
  | {
      readonly kind: 'recovered'
      readonly lastZxid: Zxid
      readonly maxSessionId: SessionId | 0n
      readonly replayedTxns: number
      readonly digests: DigestLog
    }
  /** Records (checksum | length | payload | 0x42) that may be acknowledged now: valid until the next such report. */
  | {
      readonly kind: 'durable'
      readonly space: Space
      readonly from: number
      readonly to: number
      readonly count: number
    }
  | { readonly kind: 'stopped' }

export interface LogGiven {
  readonly config: ServerConfig
  readonly random: Random
  readonly sessions: Map<SessionId, number>
  maybe(label: string): boolean
  tree(): DataTree
  replaceTree(tree: DataTree): void
  makeTree(): DataTree
  emit(effect: Effect): void
}

/** Since the start. */
export interface LogCounters {
  /** Syncs of batches done, those over the warning threshold, and txns they made durable. */
  readonly syncs: number
  readonly slowSyncs: number
  readonly txnsLogged: number
  /** Taken by this process. */
  readonly snapshots: number
  /** Txns whose digest did not agree with the tree during recovery. */
  readonly digestMismatches: number
}

type Phase = 'new' | 'recovering' | 'running' | 'stopping' | 'stopped' | 'failed'

const nothing: LogReport = { kind: 'none' }

export class Log {
  readonly #given: LogGiven
  readonly #ops: DiskOps
  readonly #txnLog: TxnLog
  readonly #snapshots: Snapshots
  readonly #note: RunNote
  #phase: Phase = 'new'
  #report: LogReport = nothing
  #durable: Zxid = noZxid
  /** No session of this run has a higher id. */
  #sessionBound: SessionId = noSession
  #digestMismatches = 0

  constructor(given: LogGiven) {
    const { config, emit } = given
    this.#given = given
    this.#ops = new DiskOps(emit)
    this.#txnLog = new TxnLog({
      config: config.storage,
      maxPayloadBytes: longestTxnBytes(config),
      random: given.random,
      maybe: label => given.maybe(label),
      ops: this.#ops,
      owner: {
        emit,
        durable: (_now, batch) => {
          this.#durable = batch.last
          this.#report = batch
        },
        snapshotDue: now => this.#snapshots.request(now),
        failed: failure => this.#fail(failure),
        finished: now => this.#snapshots.stop(now),
      },
    })
    this.#snapshots = new Snapshots({
      config,
      ops: this.#ops,
      sessions: given.sessions,
      emit,
      maybe: label => given.maybe(label),
      tree: () => given.tree(),
      sessionBound: () => this.#sessionBound,
      durableZxid: () => this.#durable,
      stopped: now => this.#note.whenQuiet(now, later => this.#close(later)),
    })
    this.#note = new RunNote({
      ops: this.#ops,
      failed: ({ message }) => {
        const what = 'the note of this run could not be brought up to date'
        emit({ kind: 'say', level: 'error', what, fields: { problem: message } })
      },
    })
  }

  /** Begins recovery, which ends in the report 'recovered' or in a `fatal` effect. */
  start(now: Now): void {
    assert(this.#phase === 'new', 'a log is started once')
    this.#phase = 'recovering'
    this.#ops.run(now, this.#recover(now.wallMs), {
      done: (later, recovered) => this.#onRecovered(later, recovered),
      failed: (_later, failure) => this.#fail(failure),
    })
  }

  diskDone(now: Now, op: OpId, result: DiskResult): LogReport {
    this.#ops.diskDone(now, op, result)
    return this.#takeReport()
  }

  turnEnded(now: Now): LogReport {
    if (this.#phase === 'running') this.#txnLog.turnEnded(now)
    return this.#takeReport()
  }

  tick(now: Now): LogReport {
    if (this.#phase === 'running' || this.#phase === 'stopping') this.#txnLog.tick(now)
    if (this.#phase === 'running') {
      this.#snapshots.tick(now)
      this.#noteNewestLog(now)
    }
    return this.#takeReport()
  }

  /** @returns where to write the payload, from its `at` on. The memory is the log's; {@link endTxn} follows */
  beginTxn(): Writer {
    return this.#txnLog.beginTxn()
  }

  /** Accepts what was written since {@link beginTxn}: it becomes durable with the next batch. */
  endTxn(zxidHigh: number, zxidLow: number): void {
    assert(this.#phase === 'running' || this.#phase === 'failed', 'txns are logged between start and stop')
    this.#txnLog.endTxn(zxidHigh, zxidLow)
  }

  /** Makes durable what was accepted (the reports of it still come), then notes an orderly end. Ends in 'stopped'. */
  stop(now: Now): LogReport {
    if (this.#phase === 'running') {
      this.#phase = 'stopping'
      this.#txnLog.finish(now)
    } else if (this.#phase === 'new' || this.#phase === 'recovering') {
      // What recovery does is safe to interrupt anywhere.
      this.#ops.forgetAll()
      this.#stopped()
    }
    return this.#takeReport()
  }

  /** Of the last txn accepted. */
  get lastZxid(): Zxid {
    return this.#txnLog.lastZxid
  }

  get counters(): LogCounters {
    return {
      syncs: this.#txnLog.syncCount,
      slowSyncs: this.#txnLog.slowSyncCount,
      txnsLogged: this.#txnLog.loggedCount,
      snapshots: this.#snapshots.takenCount,
      digestMismatches: this.#digestMismatches,
    }
  }

  *#recover(wallMs: number): Script<Recovered> {
    const { config, sessions } = this.#given
    const recovered = yield* recover({
      config,
      makeTree: () => this.#given.makeTree(),
      say: (level, what, fields) => this.#given.emit({ kind: 'say', level, what, fields }),
    })
    const isDeclaredNew = yield* hasInitializeMarker()
    if (recovered.isNew) refuseUndeclared({ config, isDeclaredNew, wasUsed: recovered.wasUsed })
    this.#given.replaceTree(recovered.tree)
    sessions.clear()
    for (const [id, timeoutMs] of recovered.sessions) sessions.set(id, timeoutMs)
    this.#durable = recovered.lastZxid
    this.#sessionBound = sessionBound(config.serverId, wallMs, recovered.maxSessionId)
    if (recovered.loaded !== undefined) this.#snapshots.noteVerified(recovered.loaded)
    if (recovered.snapshot === 'now') yield* this.#snapshots.take()
    if (!recovered.isNew) yield* this.#snapshots.purge()
    yield* this.#note.make(this.#sessionBound, recovered.lastZxid)
    if (isDeclaredNew) yield* removeInitializeMarker()
    return recovered
  }

  #noteNewestLog(now: Now): void {
    if (!this.#given.config.storage.isSyncForced) return // nothing of it is known to be durable
    this.#note.tick(now, { newest: this.#txnLog.segmentFirst, lastZxid: this.#durable })
  }

  #onRecovered(now: Now, recovered: Recovered): void {
    this.#phase = 'running'
    this.#digestMismatches = recovered.digestMismatches
    this.#txnLog.begin(recovered.lastZxid)
    if (recovered.snapshot === 'soon') this.#snapshots.request(now)
    this.#report = {
      kind: 'recovered',
      lastZxid: recovered.lastZxid,
      maxSessionId: recovered.maxSessionId,
      replayedTxns: recovered.replayedTxns,
      digests: recovered.digests,
    }
  }

  #close(now: Now): void {
    this.#ops.run(now, this.#endRun(), {
      done: () => this.#stopped(),
      failed: (_later, failure) => this.#fail(failure),
    })
  }

  *#endRun(): Script<void> {
    yield* this.#txnLog.closeSegment()
    yield* this.#note.end(this.#durable)
  }

  #stopped(): void {
    this.#phase = 'stopped'
    this.#report = { kind: 'stopped' }
  }

  /** Nothing is acknowledged and nothing is written any more; the note of an orderly end is never made. */
  #fail(failure: DiskFailure | StorageRefusal): void {
    if (this.#phase === 'failed') return
    this.#phase = 'failed'
    this.#ops.forgetAll()
    this.#given.emit({ kind: 'fatal', exitCode: failure.exitCode, reason: failure.message })
  }

  #takeReport(): LogReport {
    const report = this.#report
    this.#report = nothing
    return report
  }
}
