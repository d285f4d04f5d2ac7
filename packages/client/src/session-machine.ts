/**
 * A client's session, as a machine without I/O: which server to connect to and when, the handshake, timeouts
 * and pings, the order of requests and replies, watches and authentication across reconnects, and the
 * session's end. It opens no socket, reads no clock and draws no random number of its own: whoever drives it
 * hands in what happened (`SessionEvent`) and does what comes out (`SessionEffect`), in order. This file has the
 * phases and the dispatch; what each part of a session keeps is in `server-list.ts`, `handshake.ts`, `liveness.ts`,
 * `call-queue.ts`, `auth-list.ts` and `session-watches.ts`. All paths are server paths.
 *
 * | phase       | what ends it                  | next                                                      |
 * | ----------- | ----------------------------- | --------------------------------------------------------- |
 * | idle        | start                         | opening                                                   |
 * | pausing     | the pause is over             | opening                                                   |
 * | opening     | opened / closed, deadline     | handshaking / pausing                                     |
 * | handshaking | response / closed, deadline   | live, over (expired) / pausing                            |
 * | live        | closed, silence, bad bytes    | pausing; over after close, or when authentication failed  |
 * | over        | -                             | -                                                         |
 *
 * While a read-only server serves a session that has others to go to, it looks for one that can be written to, and
 * leaves for the first it finds (`read-write-search.ts`).
 *
 * In any phase but live: 4/3 of the timeout without hearing from a server ends the session as expired. A request that
 * waits longer than `requestTimeoutMs` for its answer costs the connection.
 *
 * Invariants: nothing is written between ConnectRequest and its response (a reset must not overtake the
 * answer that the session expired). A request is written at most once. Every call is settled exactly once,
 * unless abandoned. Replies are matched in the order of requests, and their positive zxids never go back;
 * else the connection is broken.
 *
 * Source: ClientCnxn and ClientCnxnSocket of the Java client.
 */
import {
  assert,
  type ConnectResponse,
  cutFrames,
  DecodeError,
  ErrorCode,
  errorName,
  FrameTail,
  hexText,
  noSession,
  noZxid,
  opOf,
  Reader,
  type ReplyBody,
  type ReplyHeader,
  readConnectResponse,
  readReplyBody,
  readReplyHeader,
  readWatcherEvent,
  type SessionId,
  unreachable,
  writeConnectRequest,
  Xid,
  type Zxid,
} from '@corral/protocol'
import { AuthList } from './auth-list.ts'
import { CallQueue, lost, type Pending } from './call-queue.ts'
import { formatServer, type ServerAddress } from './connect-string.ts'
import { Handshake } from './handshake.ts'
import { Liveness } from './liveness.ts'
import { requireFitting } from './multi-results.ts'
import { Outbox } from './outbox.ts'
import { ProtocolError } from './protocol-error.ts'
import { ReadWriteSearch } from './read-write-search.ts'
import { randomPart, ServerList } from './server-list.ts'
import type {
  ConnectionId,
  Outcome,
  Random,
  SessionConfig,
  SessionEffect,
  SessionEvent,
  SessionState,
} from './session-events.ts'
import { SessionWatches } from './session-watches.ts'

type Phase = 'idle' | 'pausing' | 'opening' | 'handshaking' | 'live' | 'over'

const defaultMaxReplyBytes = 64 * 1024 * 1024
const defaultMaxReconnectPauseMs = 1000

/** Servers close without a word for any of these reasons. */
const unanswered =
  ', the handshake unanswered: not serving, behind this session, too many connections, or TLS only'

const endCodes = {
  expired: ErrorCode.SessionExpired,
  authFailed: ErrorCode.AuthFailed,
  closed: ErrorCode.InvalidState,
} as const

/** The session: {@link step} is told what happened and says what to do. The getters are for looking only. */
export class SessionMachine {
  readonly #maxReplyBytes: number
  readonly #maxReconnectPauseMs: number
  readonly #restoresWatches: boolean
  readonly #random: Random

  #phase: Phase = 'idle'
  #state: SessionState = 'connecting'
  #isClosing = false
  /**
   * While idle, pausing or opening a connection: when to give up or go on. While closing: when to stop
   * waiting.
   */
  #phaseEndsMs = Infinity

  #lastZxid: Zxid = noZxid

  /** 0 while there is none. */
  #connection: ConnectionId = 0
  #lastConnection: ConnectionId = 0
  #lastFailure: string | undefined
  #tail = new FrameTail()

  readonly #handshake: Handshake
  readonly #servers: ServerList
  readonly #liveness: Liveness
  readonly #out: Outbox = new Outbox()
  readonly #calls: CallQueue
  readonly #auths: AuthList = new AuthList(this.#out)
  readonly #watches: SessionWatches
  readonly #search: ReadWriteSearch

  constructor(config: SessionConfig) {
    assert(config.servers.length > 0, 'a session needs a server to connect to')
    this.#handshake = new Handshake(config)
    this.#servers = new ServerList(config.servers, config.random)
    this.#search = new ReadWriteSearch(this.#out, this.#servers)
    this.#liveness = new Liveness(config.sessionTimeoutMs)
    this.#calls = new CallQueue(this.#out, config.requestTimeoutMs ?? Infinity)
    this.#watches = new SessionWatches(this.#out, this.#calls)
    this.#restoresWatches = config.restoresWatches
    this.#maxReplyBytes = config.maxReplyBytes ?? defaultMaxReplyBytes
    this.#maxReconnectPauseMs = config.maxReconnectPauseMs ?? defaultMaxReconnectPauseMs
    this.#random = config.random
  }

  get state(): SessionState {
    return this.#state
  }

  get sessionId(): SessionId {
    return this.#handshake.sessionId
  }

  get password(): Uint8Array {
    return this.#handshake.password
  }

  /** Asked for, and from the first handshake on: granted. */
  get sessionTimeoutMs(): number {
    return this.#liveness.timeoutMs
  }

  get lastZxid(): Zxid {
    return this.#lastZxid
  }

  /** Connected to, or being tried; the last one while pausing. */
  get server(): ServerAddress | undefined {
    return this.#servers.current
  }

  /** What went wrong with the last connection, or the last attempt at one. */
  get lastFailure(): string | undefined {
    return this.#lastFailure
  }

  /** When the next `tick` is due, on the clock of `step`; Infinity for never. */
  get deadlineMs(): number {
    switch (this.#phase) {
      case 'over':
        return Infinity
      case 'idle':
        return this.#calls.dueMs()
      case 'pausing':
      case 'opening':
      case 'handshaking':
        return Math.min(this.#phaseEndsMs, this.#expiresMs(), this.#calls.dueMs())
      case 'live':
        if (this.#isClosing) return Math.min(this.#liveness.silentMs(), this.#phaseEndsMs)
        return Math.min(
          this.#liveness.silentMs(),
          this.#liveness.pingMs(),
          this.#search.deadlineMs(),
          this.#calls.dueMs(),
        )
      default:
        return unreachable(this.#phase)
    }
  }

  /** @param nowMs - monotonic @returns what to do, in order */
  step(nowMs: number, event: SessionEvent): readonly SessionEffect[] {
    switch (event.kind) {
      case 'start':
        if (this.#phase === 'idle') this.#open(nowMs)
        break
      case 'opened':
        if (event.connection === this.#connection) this.#onOpened(nowMs)
        else if (this.#search.isAsking(event.connection)) this.#search.onOpened(event.connection)
        break
      case 'received':
        if (event.connection === this.#connection) this.#onReceived(nowMs, event)
        else if (this.#search.isAsking(event.connection)) this.#onSearchAnswer(nowMs, event)
        break
      case 'closed':
        if (event.connection === this.#connection) {
          this.#connection = 0
          this.#lose(nowMs, this.#phase === 'handshaking' ? event.reason + unanswered : event.reason)
        } else if (this.#search.isAsking(event.connection)) this.#search.onClosed(nowMs)
        break
      case 'tick':
        this.#onTick(nowMs)
        break
      case 'call':
        this.#onCall(nowMs, event)
        break
      case 'auth':
        this.#onAuth(event)
        break
      case 'abandon':
        this.#calls.abandon(event.call)
        this.#auths.abandon(event.call)
        break
      case 'unwatch':
        this.#watches.unwatch(nowMs, event, this.#phase === 'live' && !this.#isClosing)
        break
      case 'forgetWatches':
        this.#out.settle(event.call, { kind: 'done', watches: this.#watches.forget(event.path, event.type) })
        break
      case 'close':
        this.#onClose(nowMs)
        break
      default:
        return unreachable(event)
    }
    if (this.#out.hasFrames) this.#liveness.lastSentMs = nowMs
    return this.#out.take(this.#connection)
  }

  // -- time

  #onTick(nowMs: number): void {
    if (!this.#isClosing && nowMs >= this.#calls.dueMs()) this.#onOverdue(nowMs)
    switch (this.#phase) {
      case 'idle':
      case 'over':
        return
      case 'pausing':
      case 'opening':
      case 'handshaking':
        if (nowMs >= this.#expiresMs()) {
          return this.#end('expired', 'no server was heard of for 4/3 of the session timeout')
        }
        if (nowMs < this.#phaseEndsMs) return
        if (this.#phase === 'pausing') return this.#open(nowMs)
        return this.#lose(nowMs, `no ${this.#phase === 'opening' ? 'connection' : 'handshake'} in time`)
      case 'live':
        if (nowMs >= this.#liveness.silentMs()) {
          return this.#lose(nowMs, 'nothing was heard for 2/3 of the timeout')
        }
        if (this.#isClosing) {
          if (nowMs >= this.#phaseEndsMs) this.#lose(nowMs, 'no answer to the close')
          return
        }
        if (nowMs >= this.#search.deadlineMs()) this.#search.onTick(nowMs, this.#nextConnection())
        if (nowMs >= this.#liveness.pingMs()) this.#out.write(Xid.Ping, { kind: 'ping' })
        return
      default:
        unreachable(this.#phase)
    }
  }

  /** A server that leaves a call unanswered for too long is left. Source: ClientCnxn.submitRequest. */
  #onOverdue(nowMs: number): void {
    if (this.#calls.loseOverdue(nowMs)) this.#lose(nowMs, 'a request was not answered in time')
  }

  #expiresMs(): number {
    return this.sessionId === noSession ? Infinity : this.#liveness.expiresMs()
  }

  // -- connecting

  #open(nowMs: number): void {
    // A session taken over from elsewhere has its whole time from here.
    if (this.#phase === 'idle') this.#liveness.lastHeardMs = nowMs
    this.#phase = 'opening'
    this.#phaseEndsMs = nowMs + this.#attemptMs()
    this.#connection = this.#nextConnection()
    this.#out.emit({ kind: 'connect', connection: this.#connection, server: this.#servers.next() })
  }

  #nextConnection(): ConnectionId {
    this.#lastConnection += 1
    return this.#lastConnection
  }

  #attemptMs(): number {
    return this.#liveness.timeoutMs / this.#servers.length
  }

  #onOpened(nowMs: number): void {
    if (this.#phase !== 'opening') return
    this.#phase = 'handshaking'
    this.#phaseEndsMs = nowMs + this.#attemptMs()
    const frames = this.#out.frames
    const start = frames.beginFrame()
    writeConnectRequest(frames, this.#handshake.request(this.#lastZxid))
    frames.endFrame(start)
  }

  #onHandshake(nowMs: number, response: ConnectResponse): void {
    const verdict = this.#handshake.take(response)
    if (verdict === 'unknown') return this.#end('expired', 'the server does not know the session')
    if (verdict === 'unwanted') return this.#lose(nowMs, 'the server is read-only, which was not asked for')
    const isReadOnly = response.readOnly === true
    this.#servers.succeeded()
    this.#liveness.timeoutMs = response.timeoutMs
    this.#liveness.lastHeardMs = nowMs
    this.#phase = 'live'
    this.#phaseEndsMs = Infinity
    this.#setState(isReadOnly ? 'connectedReadOnly' : 'connected', undefined)
    if (isReadOnly) this.#search.begin(nowMs)
    // What a new connection must be told before anything else: who we are, what we watch, what has waited.
    this.#auths.sendAll()
    this.#watches.restore(this.#lastZxid)
    this.#calls.sendQueued()
  }

  /** What is in flight is lost with the read-only server, as in the Java client. */
  #onSearchAnswer(nowMs: number, input: Extract<SessionEvent, { kind: 'received' }>): void {
    const server = this.#search.onReceived(input)
    if (server === undefined) return
    this.#lose(nowMs, `${formatServer(server)} can be written to`)
    this.#servers.prefer(server)
    this.#phaseEndsMs = nowMs
  }

  /** The connection, or the attempt at one, is over; the session is not. */
  #lose(nowMs: number, reason: string): void {
    const server = this.server
    const why = server === undefined ? reason : `${formatServer(server)}: ${reason}`
    this.#lastFailure = why
    const wasLive = this.#phase === 'live'
    this.#drop()
    this.#calls.loseSent(why)
    this.#auths.disconnected()
    if (!this.#restoresWatches) this.#watches.clear()
    if (this.#isClosing) return this.#end('closed', why)
    this.#phase = 'pausing'
    this.#phaseEndsMs = nowMs + Math.floor(randomPart(this.#random) * this.#maxReconnectPauseMs)
    if (wasLive) return this.#setState('disconnected', why)
    if (!this.#servers.failed()) return
    this.#calls.loseQueued(`no server answers, last ${why}`)
    this.#auths.loseWaiting(`no server answers, last ${why}`)
  }

  #drop(): void {
    if (this.#connection !== 0) this.#out.emit({ kind: 'disconnect', connection: this.#connection })
    this.#connection = 0
    this.#tail = new FrameTail()
    this.#search.end()
    this.#out.dropFrames()
  }

  #end(state: keyof typeof endCodes, reason: string | undefined): void {
    const why = reason ?? `the session is ${state}`
    this.#drop()
    this.#phase = 'over'
    this.#calls.end(endCodes[state], why)
    this.#auths.end(endCodes[state], why)
    this.#watches.clear()
    this.#setState(state, reason)
  }

  #onClose(nowMs: number): void {
    if (this.#phase === 'over' || this.#isClosing) return
    if (this.#phase !== 'live') return this.#end('closed', undefined)
    this.#isClosing = true
    this.#search.end()
    this.#phaseEndsMs = nowMs + this.#liveness.patienceMs()
    this.#calls.send(nowMs, 0, { kind: 'closeSession' })
  }

  #setState(state: SessionState, reason: string | undefined): void {
    this.#state = state
    this.#out.emit({ kind: 'state', state, reason })
  }

  // -- what the caller asks

  #onCall(nowMs: number, { call, request, watch }: Extract<SessionEvent, { kind: 'call' }>): void {
    if (this.#isClosing || this.#phase === 'over') return this.#out.settle(call, this.#refusal())
    try {
      if (this.#phase === 'live') this.#calls.send(nowMs, call, request, watch)
      else this.#calls.queue(nowMs, call, request, watch)
    } catch (error) {
      this.#out.settle(call, { kind: 'unwritable', error })
    }
  }

  #onAuth(event: Extract<SessionEvent, { kind: 'auth' }>): void {
    if (this.#isClosing || this.#phase === 'over') return this.#out.settle(event.call, this.#refusal())
    this.#auths.add(event.call, event, this.#phase === 'live')
  }

  #refusal(): Outcome {
    const state = this.#isClosing || !isEnd(this.#state) ? 'closed' : this.#state
    return lost(endCodes[state], `the session is ${state}; the request was not sent`)
  }

  // -- what the server says

  #onReceived(nowMs: number, input: Extract<SessionEvent, { kind: 'received' }>): void {
    try {
      const isGood = cutFrames(this.#tail, input, this.#maxReplyBytes, (space, from, to) => {
        this.#onFrame(nowMs, new Reader(space.bytes, from, to))
        return this.#connection === input.connection
      })
      if (!isGood) throw new ProtocolError(`a frame is longer than ${this.#maxReplyBytes} bytes, or negative`)
    } catch (error) {
      if (!isServersFault(error)) throw error
      const { message } = error
      const isStranger = this.#phase === 'handshaking'
      const doubt = `the handshake was answered with something else (${message}): is this a ZooKeeper server?`
      this.#lose(nowMs, isStranger ? doubt : message)
    }
  }

  #onFrame(nowMs: number, r: Reader): void {
    if (this.#phase === 'handshaking') return this.#onHandshake(nowMs, readConnectResponse(r))
    if (this.#phase !== 'live') throw new ProtocolError('bytes came before the handshake')
    this.#liveness.lastHeardMs = nowMs
    const header = readReplyHeader(r)
    switch (header.xid) {
      case Xid.Notification:
        return this.#watches.onEvent({ ...readWatcherEvent(r), zxid: header.zxid })
      case Xid.Ping:
        return
      case Xid.SetWatches:
        return requireWatchesSet(header.err)
      case Xid.Auth:
        return this.#onAuthReply(header)
      default:
        return this.#onReply(nowMs, header, r)
    }
  }

  #onAuthReply(header: ReplyHeader): void {
    const refused = this.#auths.onReply(header)
    if (refused !== undefined) this.#end('authFailed', `the server refused ${refused}`)
  }

  #onReply(nowMs: number, header: ReplyHeader, r: Reader): void {
    const pending = this.#calls.takeOldest(header.xid)
    try {
      const body = this.#readReply(pending, header, r)
      const watches = this.#watches.onReply(nowMs, pending, header.err)
      this.#calls.settle(pending, { kind: 'reply', ...header, body, watches })
    } catch (error) {
      if (isServersFault(error)) this.#calls.lose(pending, error.message)
      throw error
    }
    if (pending.request.kind === 'closeSession') this.#end('closed', undefined)
  }

  #readReply(pending: Pending, { xid, zxid, err }: ReplyHeader, r: Reader): ReplyBody {
    if (xid !== pending.xid) throw new ProtocolError(`a reply with xid ${xid}, not ${pending.xid}`)
    if (zxid > 0n && zxid < this.#lastZxid) {
      throw new ProtocolError(`the reply's zxid ${hexText(zxid)} is before ${hexText(this.#lastZxid)}`)
    }
    const body: ReplyBody = err === ErrorCode.Ok ? readReplyBody(r, opOf(pending.request)) : { kind: 'none' }
    if (body.kind === 'results') requireFitting(pending.request, body.results)
    if (zxid > 0n) this.#lastZxid = zxid
    return body
  }
}

/** Whoever went on with a server that did not set them would wait for events that never come. */
function requireWatchesSet(err: number): void {
  if (err !== ErrorCode.Ok) throw new ProtocolError(`the watches were not set again: ${errorName(err)}`)
}

function isEnd(state: SessionState): state is keyof typeof endCodes {
  return state in endCodes
}

function isServersFault(error: unknown): error is Error {
  return error instanceof ProtocolError || error instanceof DecodeError
}
