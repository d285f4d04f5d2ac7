/**
 * The order of things. Every write is prepared the moment it comes and waits, staged in the log, until it is durable;
 * then txns are applied one by one, and after each: its events, its reply, and the requests of the same connection
 * that were waiting behind it. A read of a connection without unfinished writes is answered at once. So replies leave
 * in the order of the requests, nobody sees a write that is not durable, and no read sees a later write. A sync, and a
 * session that comes back on a new connection, wait for every write that is on its way: among them may be those of the
 * lost connection, of which its client knows no more than that they were sent.
 *
 * Source: CommitProcessor and FinalRequestProcessor in the Java server.
 */
import {
  assert,
  ErrorCode,
  Fifo,
  logRecordHeadBytes,
  makeSpace,
  OpCode,
  RequestView,
  type SessionId,
  type Space,
  TxnHead,
  txnHeaderBytes,
  type Writer,
} from '@corral/protocol'
import type { ServerConfig } from '../config.ts'
import type { Fields } from '../effects.ts'
import type { Now } from '../events.ts'
import type { Counters } from '../inspect.ts'
import { type Connection, isTired, Pause } from '../session/connection.ts'
import type { Outbox } from '../session/outbox.ts'
import type { Session, Sessions } from '../session/sessions.ts'
import type { DataTree } from '../tree/data-tree.ts'
import type { DigestLog, RecordedDigest } from '../tree/digest-log.ts'
import { FiredWatches } from '../tree/fired-watches.ts'
import { accessOf } from './access.ts'
import { Accounts, type AccountsHost } from './accounts.ts'
import { Authentication, schemeName } from './authentication.ts'
import { Reads } from './read.ts'
import { beginReply, endReply, refuse } from './reply.ts'
import { writeTxnResult } from './txn-result.ts'
import { isReplay, Watching } from './watching.ts'
import { type TxnStage, type Write, Writes } from './writes.ts'

/**
 * Replies and events made in one step; the txn that reaches it is still applied whole. A process that has just begun runs
 * code that is not compiled yet, twenty times slower: it begins with short pieces, which grow with what it has sent.
 */
const packetsPerPiece = 32_768
const packetsPerFirstPiece = 64
const sentPerPacketMore = 64

const requestHeadBytes = 8

export interface PipelineHost extends AccountsHost {
  /** Closes after everything written for it has left. */
  closeAfterReply(connection: Connection): void
  abort(connection: Connection): void
  /** The new session of the connection is durable. */
  opened(connection: Connection): void
  /** A session is over: its connection, if it has one, is to be closed. */
  sessionEnded(session: Session): void
  quotaExceeded(fields: Fields): void
  authFailed(connection: Connection, scheme: string): void
}

export class Pipeline {
  readonly #config: ServerConfig
  readonly #tree: DataTree
  readonly #outbox: Outbox
  readonly #sessions: Sessions
  readonly #timeouts: Map<SessionId, number>
  readonly #accounts: Accounts
  readonly #host: PipelineHost
  readonly #authentication: Authentication
  readonly #writes: Writes
  readonly #watching: Watching
  readonly #reads: Reads
  readonly #request: RequestView = new RequestView()
  readonly #fired: FiredWatches = new FiredWatches()
  /** Durable records that are not applied yet, and where the first of them is. */
  #records: Space = makeSpace(0)
  #recordAt = 0
  #unapplied = 0
  /** Who waits for writes of others, each for the newest of its time. */
  readonly #waiting: Fifo<{ readonly newestWrite: number; readonly connection: Connection }> = new Fifo()
  readonly #digests: DigestLog

  constructor(given: {
    readonly config: ServerConfig
    readonly tree: DataTree
    readonly log: TxnStage
    readonly outbox: Outbox
    readonly sessions: Sessions
    /** What snapshots persist: every session and the timeout of its creation. */
    readonly timeouts: Map<SessionId, number>
    /** What the replay has recorded. */
    readonly digests: DigestLog
    readonly counters: Counters
    readonly host: PipelineHost
    sha1(bytes: Uint8Array): Uint8Array
    connectionAt(slot: number): Connection | undefined
  }) {
    this.#config = given.config
    this.#tree = given.tree
    this.#outbox = given.outbox
    this.#sessions = given.sessions
    this.#timeouts = given.timeouts
    this.#digests = given.digests
    this.#accounts = new Accounts(given)
    this.#host = given.host
    this.#authentication = new Authentication(given.config.auth, given.sha1)
    this.#writes = new Writes({
      config: given.config,
      tree: given.tree,
      log: given.log,
      quotaExceeded: fields => given.host.quotaExceeded(fields),
    })
    this.#watching = new Watching({
      config: given.config,
      tree: given.tree,
      outbox: given.outbox,
      connectionAt: given.connectionAt,
      sent: connection => this.#accounts.countSent(connection),
    })
    this.#reads = new Reads({ config: given.config, tree: given.tree, watching: this.#watching })
  }

  /** Is what became durable last not applied yet? Its memory must stay as it is. */
  get isApplying(): boolean {
    return this.#unapplied > 0
  }

  digests(): readonly RecordedDigest[] {
    return this.#digests.entries
  }

  /** Something was written elsewhere for the connection. */
  countSent(connection: Connection): void {
    this.#accounts.countSent(connection)
  }

  /** Takes one frame of an open connection. @param clockMs - the session clock */
  accept(now: Now, clockMs: number, connection: Connection, space: Space, from: number, to: number): void {
    const accounts = this.#accounts
    accounts.countReceived(connection)
    const frameBytes = to - from
    if (frameBytes < requestHeadBytes) return this.#host.abort(connection)
    const isLarge = accounts.isLarge(frameBytes)
    if (isLarge && !accounts.hasRoomForLarge(frameBytes)) return this.#host.abort(connection)
    const request = this.#request
    const isWhole = request.readFrame(space.bytes, space.view, from, to)
    const access = accessOf(request.op)
    const session = connection.session as Session
    let isThrottled = false
    if (access?.kind === 'connection') {
      // What cannot be read here closes the connection without an answer; so does a SASL packet without a token.
      if (!isWhole || (request.op === OpCode.Sasl && request.dataFrom < 0)) {
        return this.#host.abort(connection)
      }
      if (request.op === OpCode.Auth && !this.#authentication.take(connection, request)) {
        connection.phase = 'ending'
        this.#host.authFailed(connection, schemeName(request))
      }
    } else {
      if (session.isClosing) return
      this.#sessions.touch(session, clockMs)
      if (
        this.#authentication.isBarred(connection) ||
        access === undefined ||
        access.kind === 'internal' ||
        access.kind === 'multiOnly'
      ) {
        connection.phase = 'ending'
      } else {
        isThrottled = this.#isThrottled(now, connection)
        if (access.kind === 'write' && !isThrottled)
          return this.#submitRequest(now, connection, isWhole, isLarge ? frameBytes : 0)
      }
    }
    accounts.countAccepted(connection)
    if (request.op === OpCode.Sync) this.awaitWrites(connection)
    const mustWait = connection.newestWrite > connection.answeredWrite || !connection.backlog.isEmpty
    if (!mustWait && !isReplay(request.op)) {
      connection.askerIds = connection.ids
      if (isThrottled) this.#answerThrottled(now, connection, now.monotonicMs)
      else this.#answer(now, connection, isWhole, now.monotonicMs)
      return
    }
    const { newestWrite, ids } = connection
    connection.backlog.push(space, from, to, { newestWrite, nowMs: now.monotonicMs, ids, isThrottled })
    if (isLarge) accounts.holdLarge(connection, frameBytes)
    if (mustWait) accounts.pauseIfFull(connection)
    else this.#answerBacklog(now, connection)
  }

  /** A new session for the connection: the reply is made when its txn is durable. */
  openSession(now: Now, clockMs: number, connection: Connection, timeoutMs: number): void {
    const session = this.#sessions.open(timeoutMs, clockMs)
    connection.session = session
    session.conn = connection.id
    this.#writes.openSession(now, { connection, session, ids: connection.ids, xid: 0 }, timeoutMs)
  }

  /** What the connection asks for from here on finds every write that was accepted before, whoever asked for it. */
  awaitWrites(connection: Connection): void {
    const newestWrite = this.#writes.newestOnItsWay
    if (newestWrite <= connection.newestWrite) return
    connection.newestWrite = newestWrite
    this.#waiting.push({ newestWrite, connection })
  }

  /** A session whose time is up; it is marked as closing. */
  expire(now: Now, session: Session): void {
    this.#writes.closeSession(now, { connection: undefined, session, ids: [], xid: 0 })
  }

  /** A container or TTL znode to be removed. @param path - whole */
  reap(now: Now, path: Space): void {
    this.#writes.reap(now, path)
  }

  /** The connection is gone: its writes go on, its answers and waiting requests do not. */
  forget(connection: Connection): void {
    this.#writes.forget(connection)
    this.#accounts.forget(connection)
  }

  /**
   * Takes what became durable: `count` records from `from`, valid until all are applied, which {@link apply} does. What
   * was taken before is applied by now.
   */
  durable(records: { readonly space: Space; readonly from: number; readonly count: number }): void {
    assert(this.#unapplied === 0, 'batches are applied one after another')
    this.#records = records.space
    this.#recordAt = records.from
    this.#unapplied = records.count
  }

  /**
   * Applies and answers durable records, `most` of them, fewer where each is told to many or where a connection has
   * had its share of the step: in pieces, so that the first clients can go on while the others' answers are made, and
   * no step is long.
   *
   * @returns whether some are left
   */
  apply(now: Now, most: number): boolean {
    const { view } = this.#records
    const { sent } = this.#accounts
    const mostSent =
      sent + Math.min(packetsPerPiece, packetsPerFirstPiece + Math.floor(sent / sentPerPacketMore))
    for (let left = most; left > 0 && this.#unapplied > 0; left--) {
      if (this.#accounts.sent >= mostSent) break
      // What waits behind its last write must not see this one.
      const { connection } = this.#writes.first()
      if (connection !== undefined && !this.#answerBacklog(now, connection)) break
      const from = this.#recordAt + logRecordHeadBytes
      const to = from + view.getInt32(this.#recordAt + 8)
      this.#recordAt = to + 1
      this.#unapplied--
      this.#apply(now, this.#records, from, to)
    }
    return this.#unapplied > 0
  }

  #submitRequest(now: Now, connection: Connection, isWhole: boolean, largeBytes: number): void {
    const request = this.#request
    this.#accounts.countAccepted(connection)
    const session = connection.session as Session
    const asked = { connection, session, ids: connection.ids, xid: request.xid }
    let write: Write
    if (request.op === OpCode.CloseSession) {
      connection.phase = 'ending'
      session.isClosing = true
      write = this.#writes.closeSession(now, asked)
    } else write = this.#writes.submit(now, asked, request, isWhole)
    this.#accounts.countLarge(largeBytes)
    write.largeBytes = largeBytes
    this.#accounts.pauseIfFull(connection)
  }

  #apply(now: Now, space: Space, from: number, to: number): void {
    const write = this.#writes.first()
    const { view } = space
    assert(
      view.getInt32(from + TxnHead.zxid) === write.zxidHigh &&
        view.getInt32(from + TxnHead.zxid + 4) === write.zxidLow,
      'txns become durable in the order of their zxids',
    )
    const fired = this.#fired
    fired.clear()
    const err = this.#tree.apply(space, from, to, fired, write)
    assert(
      write.err !== ErrorCode.Ok || err === ErrorCode.Ok || write.op === OpCode.Multi,
      `a prepared txn applies, not ${err}`,
    )
    this.#writes.dropFirst()
    this.#accounts.countLarge(-write.largeBytes)
    this.#digests.record(this.#tree, write.zxidHigh, write.zxidLow)
    if (fired.eventCount > 0) this.#watching.deliver(fired, write.zxidHigh, write.zxidLow)
    if (write.op === OpCode.CreateSession) {
      this.#timeouts.set((write.session as Session).id, view.getInt32(from + txnHeaderBytes))
    }
    const { connection } = write
    if (connection !== undefined) {
      if (write.op === OpCode.CreateSession) this.#host.opened(connection)
      else this.#reply(now, connection, write, space, from)
      this.#answerWaiting(now, connection, write.number)
    }
    while (this.#waiting.first?.newestWrite === write.number) {
      this.#answerWaiting(now, this.#waiting.at(0).connection, write.number)
      this.#waiting.shift()
    }
    if (write.op === OpCode.CloseSession) this.#endSession(write.session as Session)
  }

  #answerWaiting(now: Now, connection: Connection, write: number): void {
    connection.answeredWrite = write
    this.#answerBacklog(now, connection)
  }

  #endSession(session: Session): void {
    this.#timeouts.delete(session.id)
    this.#sessions.remove(session)
    this.#host.sessionEnded(session)
  }

  #reply(now: Now, connection: Connection, write: Write, space: Space, from: number): void {
    const w = this.#outbox.open(connection)
    const start = beginReply(w, write.xid, write.zxidHigh, write.zxidLow)
    if (write.err !== ErrorCode.Ok) refuse(w, start, write.err)
    else {
      writeTxnResult(w, this.#tree, write.op, space, from + txnHeaderBytes)
      endReply(w, start)
    }
    this.#accounts.countAnswered(now, connection, write)
    if (write.op === OpCode.CloseSession) this.#host.closeAfterReply(connection)
  }

  /** Goes on with the requests that are due and were left because the connection had had its share of the step. */
  resumeBacklog(now: Now, connection: Connection): void {
    this.#answerBacklog(now, connection)
  }

  /**
   * The requests that waited for the write answered last, in the order in which they came.
   *
   * @returns false if the connection has had its share of this step, and more is due
   */
  #answerBacklog(now: Now, connection: Connection): boolean {
    const { backlog } = connection
    while (backlog.isDue(connection.answeredWrite)) {
      if (isTired(connection)) {
        this.#host.pause(connection, Pause.Output)
        return false
      }
      const isWhole = this.#request.readFrame(
        backlog.space.bytes,
        backlog.space.view,
        backlog.from,
        backlog.to,
      )
      connection.askerIds = backlog.ids
      if (backlog.isThrottled) this.#answerThrottled(now, connection, backlog.arrivedMs)
      else if (!this.#answer(now, connection, isWhole, backlog.arrivedMs)) continue
      if (connection.heldLargeBytes > 0) this.#accounts.letLarge(connection, backlog.to - backlog.from)
      backlog.drop()
    }
    return true
  }

  /** Answers what is not a write: now is its turn. @returns false if only a part of it is done */
  #answer(now: Now, connection: Connection, isWhole: boolean, arrivedMs: number): boolean {
    const request = this.#request
    const w = this.#outbox.open(connection)
    const access = accessOf(request.op)
    if (access?.kind === 'connection') {
      const err = this.#authentication.answer(w, connection, request)
      if (err !== ErrorCode.Ok) this.#refuseAndClose(w, connection, 0, err)
    } else if (this.#authentication.isBarred(connection))
      this.#refuseAndClose(w, connection, 0, ErrorCode.SessionClosedRequireSaslAuth)
    else if (access?.kind === 'read') {
      if (!this.#reads.answer(w, connection, request, isWhole)) return false
    } else this.#refuseAndClose(w, connection, -1, ErrorCode.Unimplemented)
    this.#accounts.countAnswered(now, connection, { op: request.op, xid: request.xid, arrivedMs })
    return true
  }

  #answerThrottled(now: Now, connection: Connection, arrivedMs: number): void {
    const { xid, op } = this.#request
    const w = this.#outbox.open(connection)
    this.#accounts.countThrottled()
    refuse(w, beginReply(w, xid, this.#tree.lastZxidHigh, this.#tree.lastZxidLow), ErrorCode.ThrottledOp)
    this.#accounts.countAnswered(now, connection, { op, xid, arrivedMs })
  }

  /** Did the frame wait too long before the pipeline, while the connection was throttled? Pings and closes never do. */
  #isThrottled(now: Now, connection: Connection): boolean {
    const limitMs = this.#config.requestThrottle.throttledOpWaitTimeMs
    if (limitMs <= 0 || connection.waitingSinceMs === 0) return false
    const { op } = this.#request
    return (
      op !== OpCode.Ping &&
      op !== OpCode.CloseSession &&
      now.monotonicMs - connection.waitingSinceMs > limitMs
    )
  }

  /** @param zxid - 0 or -1: these replies carry no zxid of the tree */
  #refuseAndClose(w: Writer, connection: Connection, zxid: 0 | -1, err: ErrorCode): void {
    refuse(w, beginReply(w, this.#request.xid, zxid, zxid), err)
    this.#host.closeAfterReply(connection)
  }
}
