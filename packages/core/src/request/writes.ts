/**
 * The writes on their way: each gets its place in the order the moment it comes, is prepared against what is
 * outstanding, is staged in the log, and waits here until it is durable and its turn has come to be applied. A refusal
 * is a txn too: it takes its zxid and is logged as an error.
 *
 * Source: PrepRequestProcessor.pRequest in the Java server.
 */
import {
  digestVersion,
  ErrorCode,
  Fifo,
  OpCode,
  type RequestView,
  type Space,
  txnDigestBytes,
  txnHeaderBytes,
  type Writer,
} from '@corral/protocol'
import { longestTxnBytes, type ServerConfig } from '../config.ts'
import type { Fields } from '../effects.ts'
import type { Now } from '../events.ts'
import type { Connection } from '../session/connection.ts'
import type { Session } from '../session/sessions.ts'
import type { DataTree, ZnodeId } from '../tree/data-tree.ts'
import { checkFlags, isCreate } from './creation.ts'
import { countOps, isMultiWrite, prepareMulti } from './multi.ts'
import { Pending } from './pending.ts'
import { Preparer } from './prepare.ts'
import { Removals } from './removals.ts'
import { type Asker, TxnPlace } from './txn-place.ts'

/** Who is to be answered. */
export interface Submission extends Asker {
  readonly connection: Connection | undefined
}

/** Asks for what the server does of itself. */
const nobody: Submission = { connection: undefined, session: undefined, ids: [], xid: 0 }

/** A write on its way to being durable. */
export interface Write {
  readonly number: number
  /** undefined: nobody waits for the answer, or the connection is gone. */
  connection: Connection | undefined
  readonly session: Session | undefined
  /** As they were when the request came. */
  readonly ids: Asker['ids']
  readonly xid: number
  readonly op: number
  err: ErrorCode
  readonly zxidHigh: number
  readonly zxidLow: number
  readonly arrivedMs: number
  largeBytes: number
  /** What its preparation found, for applying it; 0: nothing. */
  znode: ZnodeId
  pathHash: number
  digest: number
  create2s: ReadonlySet<number> | undefined
}

/** Where txns wait to become durable: the log's staging buffer. */
export interface TxnStage {
  /** @returns a writer positioned for the txn's payload */
  beginTxn(): Writer
  endTxn(zxidHigh: number, zxidLow: number): void
}

export class Writes {
  readonly #config: ServerConfig
  readonly #tree: DataTree
  readonly #log: TxnStage
  readonly #place: TxnPlace = new TxnPlace()
  readonly #pending: Pending
  readonly #removals: Removals
  readonly #preparer: Preparer
  readonly #queue: Fifo<Write> = new Fifo()
  #number = 0
  #zxidHigh: number
  #zxidLow: number
  /** Where the txn that is being written starts. */
  #txnStart = 0

  constructor(given: {
    readonly config: ServerConfig
    readonly tree: DataTree
    readonly log: TxnStage
    /** A write went over a quota; only a hard limit refuses it. */
    quotaExceeded(fields: Fields): void
  }) {
    const { config, tree } = given
    this.#config = config
    this.#tree = tree
    this.#log = given.log
    this.#pending = new Pending(tree)
    const changed = { tree, pending: this.#pending, place: this.#place }
    this.#removals = new Removals({ ...changed, isTtlEnabled: config.isTtlEnabled })
    this.#preparer = new Preparer({
      ...changed,
      config,
      removals: this.#removals,
      quotaExceeded: fields => given.quotaExceeded(fields),
    })
    this.#zxidHigh = tree.lastZxidHigh | 0
    this.#zxidLow = tree.lastZxidLow | 0
  }

  /** Number of the one that came last; 0: all are applied. */
  get newestOnItsWay(): number {
    return this.#queue.length === 0 ? 0 : this.#number
  }

  /** The one to be applied next; there must be one. */
  first(): Write {
    return this.#queue.at(0)
  }

  /** The first one is applied. */
  dropFirst(): void {
    const { number, connection } = this.#queue.at(0)
    if (connection !== undefined) connection.unfinishedWrites--
    this.#pending.applied(number)
    this.#queue.shift()
  }

  /** The connection is gone: its writes go on. */
  forget(connection: Connection): void {
    for (let i = 0; connection.unfinishedWrites > 0; i++) {
      const write = this.#queue.at(i)
      if (write.connection !== connection) continue
      write.connection = undefined
      connection.unfinishedWrites--
    }
  }

  /** Whatever a client may write, but the end of its session. @param isWhole - the request's body could be read */
  submit(now: Now, asked: Submission, request: RequestView, isWhole: boolean): Write {
    const write = this.#next(now, asked, request.op)
    const w = this.#begin(now, write)
    const err = !isWhole
      ? ErrorCode.MarshallingError
      : request.op === OpCode.Multi
        ? this.#multi(w, write, request)
        : this.#single(w, write, request)
    this.#end(w, write, err)
    return write
  }

  openSession(now: Now, asked: Submission, timeoutMs: number): void {
    const write = this.#next(now, asked, OpCode.CreateSession)
    const w = this.#begin(now, write)
    w.int32(timeoutMs)
    this.#end(w, write, ErrorCode.Ok)
  }

  closeSession(now: Now, asked: Submission & { readonly session: Session }): Write {
    const { session } = asked
    const write = this.#next(now, asked, OpCode.CloseSession)
    const w = this.#begin(now, write)
    const bodyFrom = w.at
    this.#removals.prepareClose(w, session, this.#tree.ephemeralsOf(session.high, session.low))
    // A list that no reader would accept is left out: whoever applies the txn then finds the ephemerals itself.
    if (w.at > this.#mostAt()) w.at = bodyFrom
    this.#end(w, write, ErrorCode.Ok)
    return write
  }

  /** @param path - of a container or TTL znode to be removed, whole */
  reap(now: Now, path: Space): void {
    const write = this.#next(now, nobody, OpCode.DeleteContainer)
    const w = this.#begin(now, write)
    this.#end(w, write, this.#removals.prepareReap(w, path))
  }

  #single(w: Writer, write: Write, request: RequestView): ErrorCode {
    const { op } = request
    const err = isCreate(op) ? checkFlags(request, op, this.#config.isTtlEnabled) : ErrorCode.Ok
    if (err !== ErrorCode.Ok) return err
    const { found } = this.#preparer
    found.znode = 0
    const verdict = this.#preparer.prepare(w, write, request, op)
    write.znode = found.znode
    write.pathHash = found.pathHash
    write.digest = found.digest
    return verdict
  }

  #multi(w: Writer, write: Write, request: RequestView): ErrorCode {
    const body = { from: request.bodyFrom, to: request.bodyTo }
    const count = countOps(request, isMultiWrite)
    if (count < 0) return ErrorCode.MarshallingError
    const machines = { config: this.#config, preparer: this.#preparer, pending: this.#pending }
    const verdict = prepareMulti(machines, w, write, request, { ...body, count, mostAt: this.#mostAt() })
    write.create2s = this.#preparer.found.create2s
    return verdict
  }

  /** How far the body of the txn may reach. */
  #mostAt(): number {
    return this.#txnStart + longestTxnBytes(this.#config) - txnDigestBytes
  }

  /** Gives a write its place in the order. */
  #next(now: Now, asked: Submission, op: number): Write {
    this.#zxidLow = (this.#zxidLow + 1) | 0
    if (this.#zxidLow === 0) this.#zxidHigh = (this.#zxidHigh + 1) | 0
    return {
      number: ++this.#number,
      connection: asked.connection,
      session: asked.session,
      ids: asked.ids,
      xid: asked.xid,
      op,
      err: ErrorCode.Ok,
      zxidHigh: this.#zxidHigh,
      zxidLow: this.#zxidLow,
      arrivedMs: now.monotonicMs,
      largeBytes: 0,
      znode: 0,
      pathHash: 0,
      digest: 0,
      create2s: undefined,
    }
  }

  /** @returns where the body of its txn goes; {@link #end} follows */
  #begin(now: Now, write: Write): Writer {
    this.#pending.beginWrite(write.number)
    this.#place.moveTo(now, write.zxidHigh, write.zxidLow)
    const w = this.#log.beginTxn()
    this.#txnStart = w.at
    this.#place.writeHeader(w, write, write.op)
    return w
  }

  /** Stages the txn. @param err - why the request is refused: nothing was changed, and the txn says so */
  #end(w: Writer, write: Write, err: ErrorCode): void {
    write.err = err
    // Behind a txn without a body the Java server would take a digest for the body.
    if (err === ErrorCode.Ok && w.at > this.#txnStart + txnHeaderBytes) this.#writeDigest(w)
    else if (err !== ErrorCode.Ok) {
      w.at = this.#txnStart
      this.#place.writeHeader(w, write, OpCode.Error)
      w.int32(err)
    }
    this.#log.endTxn(write.zxidHigh, write.zxidLow)
    const { connection } = write
    if (connection !== undefined) {
      connection.newestWrite = write.number
      connection.unfinishedWrites++
    }
    this.#queue.push(write)
  }

  #writeDigest(w: Writer): void {
    if (!this.#config.storage.isDigestEnabled) return
    w.int32(digestVersion)
    w.words(this.#pending.digest.high, this.#pending.digest.low)
  }
}
