/**
 * The log while the server runs: append, group commit, roll.
 *
 *     header "ZKLG" | version(4) | mark(8)        then records: checksum(8) | length(4) | payload | 0x42, then zeros
 *
 * Three staging buffers: one filling, one flying, one resting; one write with a sync in flight. What is staged while it
 * flies is the next batch, and its write leaves in the same step in which the last one came back. A record is encoded
 * once, in the staging buffer, and applied from there: while the batch that came back is applied, in the resting
 * buffer, new txns are begun already (a client's next requests, held back until its session stood).
 *
 * A new segment is made while the old one is still written to. It gets its name when its header is durable, and its first
 * batch when its name is; that batch begins after the last batch of the old segment was durable.
 *
 * Invariants: a zxid is appended only as the successor of the last one or in a later epoch. Nothing is reported
 * durable before the sync that covers it returned. After a failed write or sync nothing is written any more.
 *
 * Source: FileTxnLog, SyncRequestProcessor in the Java server.
 */
import {
  adler32,
  assert,
  endOfRecord,
  fileHeaderBytes,
  fromWords,
  highWord,
  logRecordHeadBytes,
  lowWord,
  makeSpace,
  noZxid,
  type Space,
  TxnHead,
  Writer,
  type Zxid,
  zxid,
} from '@corral/protocol'
import type { StorageConfig } from '../config.ts'
import type { DiskResult } from '../disk.ts'
import type { Effect } from '../effects.ts'
import type { Now } from '../events.ts'
import type { Random } from '../random.ts'
import { logName } from './file-names.ts'
import { markAt, markBytes, putMark } from './log-mark.ts'
import { NextSegment } from './next-segment.ts'
import {
  close,
  DiskFailure,
  type DiskOps,
  type OpenedFile,
  type Script,
  type StorageRefusal,
  sync,
  write,
} from './script.ts'
import { SnapshotTrigger } from './snapshot-trigger.ts'
import { Stall, type Wait } from './stall.ts'
import { ZeroFill } from './zero-fill.ts'

/** What came of a batch. */
export interface DurableBatch {
  readonly kind: 'durable'
  /** Records, back to back, valid until the next batch is durable. */
  readonly space: Space
  readonly from: number
  readonly to: number
  readonly count: number
  readonly last: Zxid
}

export interface TxnLogOwner {
  emit(effect: Effect): void
  durable(now: Now, batch: DurableBatch): void
  /** Enough was logged since the last one. */
  snapshotDue(now: Now): void
  failed(failure: DiskFailure | StorageRefusal): void
  /** Nothing is staged or in flight any more. Only after {@link TxnLog.finish}. */
  finished(now: Now): void
}

const pageBytes = 4096
const stagingBytes = 64 * 1024
/** A staging buffer that grew beyond this is given up after its batch. */
const largestKeptStagingBytes = 4 * 1024 * 1024

export class TxnLog {
  readonly #config: StorageConfig
  readonly #maxPayloadBytes: number
  readonly #trigger: SnapshotTrigger
  readonly #maybe: (label: string) => boolean
  readonly #ops: DiskOps
  readonly #owner: TxnLogOwner

  #filling: Writer = new Writer(makeSpace(stagingBytes))
  #flying: Writer = new Writer(makeSpace(stagingBytes))
  /** What was durable last: it may be read until the next batch is. */
  #resting: Writer = new Writer(makeSpace(stagingBytes))
  /** Where the record being written begins in `#filling`, or -1. */
  #recordFrom = -1
  #stagedCount = 0
  #stagedFirst: Zxid = noZxid
  #flyingCount = 0
  #flyingFirst: Zxid = noZxid
  #flyingLast: Zxid = noZxid
  #hasAskedTurn = false
  #isFlying = false
  #isHeldByFill = false
  #isFinishing = false
  #isBroken = false
  #flownAtMs = 0

  #lastHigh = 0
  #lastLow = 0

  #segment: OpenedFile | undefined
  /** The first txn of the segment, which may not be durable yet. */
  segmentFirst: Zxid = noZxid
  /** End of what is durable in the segment: where the next batch goes. */
  #segmentEnd = 0
  readonly #fill: ZeroFill
  readonly #next: NextSegment
  readonly #stall: Stall
  #isRollDue = false
  /** Segments that were left and are being closed. */
  #leaving = 0
  readonly #mark: Space = makeSpace(markBytes)
  /** What the mark in the segment says, or is about to. */
  #marked = 0
  #isMarkDue = false

  syncCount = 0
  slowSyncCount = 0
  loggedCount = 0

  constructor(given: {
    readonly config: StorageConfig
    readonly maxPayloadBytes: number
    readonly random: Random
    readonly maybe: (label: string) => boolean
    readonly ops: DiskOps
    readonly owner: TxnLogOwner
  }) {
    this.#config = given.config
    this.#maxPayloadBytes = given.maxPayloadBytes
    this.#trigger = new SnapshotTrigger(given)
    this.#fill = new ZeroFill({
      preAllocBytes: given.config.preAllocBytes,
      ops: given.ops,
      ended: (now, result) => this.#onFilled(now, result),
    })
    this.#next = new NextSegment({
      ops: given.ops,
      owner: { made: now => this.#onMade(now), failed: failure => this.#break(failure) },
    })
    this.#stall = new Stall(given.config.stallLimitMs)
    this.#maybe = given.maybe
    this.#ops = given.ops
    this.#owner = given.owner
  }

  /** @param last - what recovery ended with: the next txn is its successor */
  begin(last: Zxid): void {
    this.#lastHigh = highWord(last)
    this.#lastLow = lowWord(last)
  }

  /** Of the last txn appended, durable or not. */
  get lastZxid(): Zxid {
    return zxid(fromWords(this.#lastHigh, this.#lastLow))
  }

  /** @returns where to write the payload, from its present `at`; it belongs to the log */
  beginTxn(): Writer {
    assert(this.#recordFrom < 0, 'one txn is written at a time')
    assert(!this.#isFinishing, 'no txn is begun after stop')
    const out = this.#filling
    this.#recordFrom = out.at
    out.ensure(logRecordHeadBytes)
    out.at += logRecordHeadBytes
    return out
  }

  endTxn(zxidHigh: number, zxidLow: number): void {
    const out = this.#filling
    const from = this.#recordFrom
    const payloadFrom = from + logRecordHeadBytes
    const length = out.at - payloadFrom
    assert(from >= 0, 'a txn was begun')
    assert(length <= this.#maxPayloadBytes, 'a txn is not longer than what a reader accepts')
    assert(
      out.view.getInt32(payloadFrom + TxnHead.zxid) === (zxidHigh | 0) &&
        out.view.getInt32(payloadFrom + TxnHead.zxid + 4) === (zxidLow | 0),
      'a txn carries the zxid it is logged with',
    )
    assert(this.#isNext(zxidHigh, zxidLow), 'a zxid is the successor of the last one or begins a later epoch')
    out.byte(endOfRecord)
    out.view.setInt32(from, 0)
    out.view.setInt32(from + 4, adler32(out, payloadFrom, payloadFrom + length))
    out.view.setInt32(from + 8, length)
    this.#recordFrom = -1
    this.#lastHigh = zxidHigh | 0
    this.#lastLow = zxidLow | 0
    if (this.#stagedCount++ === 0) {
      this.#stagedFirst = this.lastZxid
      this.#askTurn()
    }
  }

  turnEnded(now: Now): void {
    this.#hasAskedTurn = false
    this.#fly(now)
  }

  /** What is acknowledged by now is marked durable, at once or with the next batch. A stalled disk is given up. */
  tick(now: Now): void {
    if (this.#isBroken) return
    if (this.#isFlying) this.#isMarkDue = true
    else if (this.#segment !== undefined) this.#writeMark(this.#segment)
    const stalled = this.#stall.tick(now, this.#waits())
    if (stalled !== undefined) this.#break(stalled)
  }

  /** What is staged is written; nothing more is accepted. Ends in `finished`. */
  finish(now: Now): void {
    this.#isFinishing = true
    this.#fly(now)
    this.#finishIfQuiet(now)
  }

  #isNext(high: number, low: number): boolean {
    if ((high | 0) === this.#lastHigh) return low >>> 0 === (this.#lastLow >>> 0) + 1
    return (high | 0) > this.#lastHigh
  }

  #askTurn(): void {
    if (this.#hasAskedTurn || this.#isFlying) return
    this.#hasAskedTurn = true
    this.#owner.emit({ kind: 'askTurn' })
  }

  /** Sends what is staged on its way, unless a batch is flying already. */
  #fly(now: Now): void {
    if (this.#isFlying || this.#isBroken || this.#stagedCount === 0) return
    assert(this.#recordFrom < 0, 'a batch holds whole records')
    const batch = this.#filling
    this.#filling = this.#resting
    this.#filling.at = 0
    this.#resting = this.#flying
    this.#flying = batch
    this.#flyingCount = this.#stagedCount
    this.#flyingFirst = this.#stagedFirst
    this.#flyingLast = this.lastZxid
    this.#stagedCount = 0
    this.#isFlying = true
    if (this.#segment === undefined) this.#next.make(now)
    else if (this.#isRollDue && this.#next.isMade && !this.#fill.isFlying) this.#roll(now)
    else this.#writeBatch(now)
  }

  #onMade(now: Now): void {
    if (this.#isBroken) return
    if (this.#segment === undefined) this.#roll(now)
    this.#finishIfQuiet(now)
  }

  /** The batch in flight is the first of the next segment. */
  #roll(now: Now): void {
    this.#isRollDue = false
    const old = this.#segment
    this.#segment = undefined
    this.#ops.run(now, this.#next.enter(this.#flyingFirst), {
      done: (later, segment) => {
        if (old !== undefined) this.#leave(later, old)
        this.#segment = segment
        this.segmentFirst = this.#flyingFirst
        this.#segmentEnd = fileHeaderBytes
        this.#marked = fileHeaderBytes
        this.#fill.begin(segment)
        this.#writeBatch(later)
      },
      failed: (_later, failure) => this.#break(failure),
    })
  }

  #leave(now: Now, segment: OpenedFile): void {
    this.#leaving++
    this.#ops.run(now, close(segment), {
      done: later => {
        this.#leaving--
        this.#finishIfQuiet(later)
      },
      failed: (_later, failure) => this.#break(failure),
    })
  }

  #writeBatch(now: Now): void {
    const segment = this.#segment
    assert(segment !== undefined, 'a batch is written to an open segment')
    const from = this.#segmentEnd
    const to = from + this.#flying.at
    if (this.#fill.isInTheWayOf(to)) {
      this.#isHeldByFill = true
      return
    }
    if (this.#isMarkDue || Math.floor(from / pageBytes) !== Math.floor((to - 1) / pageBytes)) {
      this.#writeMark(segment)
    }
    this.#flownAtMs = now.monotonicMs
    this.#ops.issue(
      {
        call: 'write',
        file: segment.file,
        at: from,
        pieces: [this.#flying.bytes.subarray(0, this.#flying.at)],
        sync: this.#config.isSyncForced,
      },
      (later, result) => this.#onWritten(later, segment, result),
    )
    this.#fillAhead(to)
  }

  /** Without forced syncs nothing is known to be durable: the mark stays, and any torn tail is cut. */
  #writeMark(segment: OpenedFile): void {
    this.#isMarkDue = false
    if (this.#marked === this.#segmentEnd || !this.#config.isSyncForced) return
    this.#marked = this.#segmentEnd
    putMark(this.#mark, 0, this.#marked)
    this.#ops.issue(
      { call: 'write', file: segment.file, at: markAt, pieces: [this.#mark.bytes], sync: false },
      (_later, result) => {
        if (!result.ok) this.#break(failureOf('writing', segment, markAt, result))
      },
    )
  }

  #onWritten(now: Now, segment: OpenedFile, result: DiskResult): void {
    if (this.#isBroken) return
    if (!result.ok) return this.#break(failureOf('writing and syncing', segment, this.#segmentEnd, result))
    const batch = this.#flying
    const count = this.#flyingCount
    const lengthBytes = batch.at
    this.#segmentEnd += lengthBytes
    this.#isFlying = false
    this.#measureSync(now, segment)
    this.loggedCount += count
    this.#countTowardsRoll(now, count, lengthBytes)
    const durable: DurableBatch = {
      kind: 'durable',
      space: { bytes: batch.bytes, view: batch.view },
      from: 0,
      to: lengthBytes,
      count,
      last: this.#flyingLast,
    }
    if (batch.bytes.length > largestKeptStagingBytes) batch.attach(makeSpace(stagingBytes), 0)
    this.#fly(now)
    this.#owner.durable(now, durable)
    this.#finishIfQuiet(now)
  }

  /** A segment has one successor, and is entered once: its first txn tells that from what later ones wait for. */
  #waits(): Wait[] {
    const name = logName(this.segmentFirst)
    const doing = this.#segment === undefined ? `creating ${logName(this.#flyingFirst)}` : `writing ${name}`
    return [
      { what: doing, which: this.#isFlying ? this.#flyingFirst : undefined },
      { what: `making the log after ${name}`, which: this.#next.isBeingMade ? this.segmentFirst : undefined },
      { what: `filling ${name} with zeros`, which: this.#fill.isFlying ? this.#fill.pieceFrom : undefined },
      { what: `closing what came before ${name}`, which: this.#leaving > 0 ? this.segmentFirst : undefined },
    ]
  }

  #measureSync(now: Now, segment: OpenedFile): void {
    const tookMs = now.monotonicMs - this.#flownAtMs
    this.syncCount++
    if (tookMs < this.#config.fsyncWarningMs) return
    this.slowSyncCount++
    this.#owner.emit({
      kind: 'say',
      level: 'warn',
      what: 'a sync of the txn log was slow',
      fields: { file: segment.name, tookMs: Math.round(tookMs) },
    })
  }

  #countTowardsRoll(now: Now, records: number, bytes: number): void {
    const { txnLogSizeLimitBytes } = this.#config
    const isLong = txnLogSizeLimitBytes > 0 && this.#segmentEnd > txnLogSizeLimitBytes
    const isEarly = this.#maybe('log: roll early')
    const isSnapshotDue = this.#trigger.count({ records, bytes })
    if (isLong || isEarly || isSnapshotDue) this.#isRollDue = true
    if (this.#isRollDue && !this.#isFinishing) this.#next.make(now)
    if (isSnapshotDue) this.#owner.snapshotDue(now)
  }

  #fillAhead(end: number): void {
    if (!this.#isFinishing && !this.#isRollDue) this.#fill.goAhead(end)
  }

  #onFilled(now: Now, result: DiskResult): void {
    if (this.#isBroken) return
    const segment = this.#segment
    assert(segment !== undefined, 'a segment is not left while it is being filled')
    if (!result.ok) {
      return this.#break(failureOf('filling with zeros', segment, this.#fill.pieceFrom, result))
    }
    if (this.#isHeldByFill) {
      this.#isHeldByFill = false
      this.#writeBatch(now)
    } else {
      this.#fillAhead(this.#segmentEnd + (this.#isFlying ? this.#flying.at : 0))
    }
    this.#finishIfQuiet(now)
  }

  #finishIfQuiet(now: Now): void {
    if (
      !this.#isFinishing ||
      this.#isFlying ||
      this.#fill.isFlying ||
      this.#next.isBeingMade ||
      this.#leaving > 0 ||
      this.#isBroken ||
      this.#stagedCount > 0
    )
      return
    this.#owner.finished(now)
  }

  /** The mark then says that all of the segment is durable. Only after `finished`. */
  *closeSegment(): Script<void> {
    yield* this.#next.discard()
    const segment = this.#segment
    if (segment === undefined) return
    this.#segment = undefined
    putMark(this.#mark, 0, this.#segmentEnd)
    yield* write(segment, markAt, this.#mark.bytes)
    yield* sync(segment)
    yield* close(segment)
  }

  #break(failure: DiskFailure | StorageRefusal): void {
    if (this.#isBroken) return
    this.#isBroken = true
    this.#owner.failed(failure)
  }
}

function failureOf(
  doing: string,
  segment: OpenedFile,
  at: number,
  result: { readonly errno: string; readonly message: string },
): DiskFailure {
  return new DiskFailure({ what: `${doing} ${segment.name} at byte ${at}`, ...result })
}
