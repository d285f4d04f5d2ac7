/**
 * A client's session, as a machine without I/O: which server to connect to and when, the handshake, timeouts
 * and pings, the order of requests and replies, watches and authentication across reconnects, and the
 * session's end. It opens no socket, reads no clock and draws no random number of its own: whoever drives it
 * hands in what happened (`SessionEvent`) and does what comes out (`SessionEffect`), in order. All paths are
 * server paths.
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
 * In any phase but live: 4/3 of the timeout without hearing from a server ends the session as expired.
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
  EventType,
  FrameTail,
  hexOf,
  noSession,
  noZxid,
  opOf,
  passwordBytes,
  Reader,
  type ReplyBody,
  type Request,
  readConnectResponse,
  readReplyBody,
  readReplyHeader,
  readWatcherEvent,
  type SessionId,
  unreachable,
  WatcherType,
  Writer,
  writeConnectRequest,
  writeRequestFrame,
  Xid,
  type Zxid,
} from '@corral/protocol'
import { formatServer, type ServerAddress } from './connect-string.ts'
import { Fifo } from './fifo.ts'
import { type WatcherId, type WatchKind, WatchRegistry } from './watch-registry.ts'

export type { WatcherId, WatchKind }

/** `connecting` until the first connection, `disconnected` between later ones; the last three are final. */
export type SessionState =
  | 'connecting'
  | 'connected'
  | 'connectedReadOnly'
  | 'disconnected'
  | 'expired'
  | 'authFailed'
  | 'closed'

/** A number the machine's owner gives each call; never reused. 0 is nobody. */
export type CallId = number

/** The machine's number for a connection; events of older ones are ignored. */
export type ConnectionId = number

/** Uniform in 0 … 2^32 - 1; decides the order of servers and the length of pauses. */
export interface Random {
  u32(): number
}

/** What a session is made with, besides what happens to it. */
export interface SessionConfig {
  readonly servers: readonly ServerAddress[]
  readonly sessionTimeoutMs: number
  readonly canBeReadOnly: boolean
  readonly session: { readonly id: SessionId; readonly password: Uint8Array } | undefined
  /** Default 64 MiB. */
  readonly maxReplyBytes: number | undefined
  /** Default 1000. */
  readonly maxReconnectPauseMs: number | undefined
  readonly random: Random
}

/** Everything that can happen to a session. */
export type SessionEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'opened'; readonly connection: ConnectionId }
  /** Borrowed: only until step returns. */
  | {
      readonly kind: 'received'
      readonly connection: ConnectionId
      readonly bytes: Uint8Array
      readonly from: number
      readonly to: number
    }
  | { readonly kind: 'closed'; readonly connection: ConnectionId; readonly reason: string }
  /**
   * At `deadlineMs` or later, after the bytes that had arrived by then were handed in. Early ones do no harm.
   */
  | { readonly kind: 'tick' }
  | {
      readonly kind: 'call'
      readonly call: CallId
      readonly request: Request
      /** The watcher that the request's watch belongs to. */
      readonly watch?: { readonly kind: WatchKind; readonly watcher: WatcherId } | undefined
    }
  | {
      readonly kind: 'auth'
      readonly call: CallId
      readonly scheme: string
      readonly auth: Uint8Array | null
    }
  /** Nobody waits for this call any more. It is not sent, or its reply is dropped. */
  | { readonly kind: 'abandon'; readonly call: CallId }
  /** One watcher leaves; settles `call` when the server, where it has to, has removed what `type` selects. */
  | {
      readonly kind: 'unwatch'
      readonly call: CallId
      readonly watcher: WatcherId
      readonly path: string
      readonly type: WatcherType
    }
  /**
   * All watchers of a path leave; they get the Removed events. For when the server cannot be asked: the
   * answer to a removeWatches call does the same by itself, before any later reply is looked at.
   */
  | { readonly kind: 'forgetWatches'; readonly path: string; readonly type: WatcherType }
  | { readonly kind: 'close' }

/** How a call ended. */
export type Outcome =
  | {
      readonly kind: 'reply'
      readonly xid: number
      readonly zxid: Zxid
      readonly err: number
      /** `none` if `err` is not 0. */
      readonly body: ReplyBody
      /** Whether the call's watcher now waits; true for an exists of an absent znode too. */
      readonly isWatching: boolean
    }
  | {
      readonly kind: 'lost'
      /** ConnectionLoss, SessionExpired, AuthFailed, or InvalidState after a close. */
      readonly code: ErrorCode
      readonly reason: string
      readonly mayHaveBeenApplied: boolean
    }
  /** There was nothing to ask the server. */
  | { readonly kind: 'done' }

/** Everything a session can ask for. */
export type SessionEffect =
  /** Answer with `opened` or `closed`. At most one connection is open at a time. */
  | { readonly kind: 'connect'; readonly connection: ConnectionId; readonly server: ServerAddress }
  /** The bytes are given away. */
  | { readonly kind: 'send'; readonly connection: ConnectionId; readonly bytes: Uint8Array }
  | { readonly kind: 'disconnect'; readonly connection: ConnectionId }
  | { readonly kind: 'state'; readonly state: SessionState; readonly reason: string | undefined }
  | { readonly kind: 'settled'; readonly call: CallId; readonly outcome: Outcome }
  | {
      readonly kind: 'fired'
      readonly type: EventType
      readonly path: string
      readonly zxid: Zxid
      readonly watchers: readonly WatcherId[]
    }

interface Pending {
  readonly call: CallId
  readonly request: Request
  /** Given when it is sent. */
  xid: number
  watch: { readonly kind: WatchKind; readonly watcher: WatcherId } | undefined
  isAbandoned: boolean
}

interface Auth {
  readonly scheme: string
  readonly auth: Uint8Array | null
  /** Who waits for it to be accepted the first time; 0 afterwards. */
  call: CallId
}

/** A server's bytes that cannot be right; breaks the connection. */
class ProtocolError extends Error {
  override readonly name: string = 'ProtocolError'
}

type Phase = 'idle' | 'pausing' | 'opening' | 'handshaking' | 'live' | 'over'

const defaultMaxReplyBytes = 64 * 1024 * 1024
const defaultMaxReconnectPauseMs = 1000
const maxXid = 0x7fffffff
const maxPingIdleMs = 10_000
const pingSlackMs = 1000
/** Output space above this is not kept for the next step. */
const keptOutputBytes = 1024 * 1024

/** The session: {@link step} is told what happened and says what to do. The getters are for looking only. */
export class SessionMachine {
  readonly #servers: readonly ServerAddress[]
  readonly #canBeReadOnly: boolean
  readonly #maxReplyBytes: number
  readonly #maxReconnectPauseMs: number
  readonly #random: Random

  #phase: Phase = 'idle'
  #state: SessionState = 'connecting'
  #isClosing = false
  /**
   * While idle, pausing or opening a connection: when to give up or go on. While closing: when to stop
   * waiting.
   */
  #phaseEndsMs = Infinity

  #sessionId: SessionId
  #password: Uint8Array
  #timeoutMs: number
  #lastZxid: Zxid = noZxid
  /** A session that only read-only servers know is unknown to all others: it is not presented to them. */
  #isLocal = false
  /** Of the last frame from a server, or of the handshake that began the session. */
  #lastHeardMs = 0
  #lastSentMs = 0

  /** 0 while there is none. */
  #connection: ConnectionId = 0
  #lastConnection: ConnectionId = 0
  #lastFailure: string | undefined
  #serverIndex = -1
  #failedAttempts = 0
  #tail = new FrameTail()
  #output = new Writer()

  #lastXid = 0
  /** Made while there was no connection; empty while live. */
  readonly #queued: Fifo<Pending> = new Fifo()
  readonly #inFlight: Fifo<Pending> = new Fifo()
  readonly #auths: Auth[] = []
  readonly #authsInFlight: Fifo<Auth> = new Fifo()
  readonly #watches: WatchRegistry = new WatchRegistry()

  #effects: SessionEffect[] = []

  constructor(config: SessionConfig) {
    assert(config.servers.length > 0, 'a session needs a server to connect to')
    this.#servers = shuffled(config.servers, config.random)
    this.#canBeReadOnly = config.canBeReadOnly
    this.#maxReplyBytes = config.maxReplyBytes ?? defaultMaxReplyBytes
    this.#maxReconnectPauseMs = config.maxReconnectPauseMs ?? defaultMaxReconnectPauseMs
    this.#random = config.random
    this.#sessionId = config.session?.id ?? noSession
    this.#password = config.session?.password ?? new Uint8Array(passwordBytes)
    this.#timeoutMs = config.sessionTimeoutMs
  }

  get state(): SessionState {
    return this.#state
  }

  get sessionId(): SessionId {
    return this.#sessionId
  }

  get password(): Uint8Array {
    return this.#password
  }

  /** Asked for, and from the first handshake on: granted. */
  get sessionTimeoutMs(): number {
    return this.#timeoutMs
  }

  get lastZxid(): Zxid {
    return this.#lastZxid
  }

  /** Connected to, or being tried; the last one while pausing. */
  get server(): ServerAddress | undefined {
    return this.#servers[this.#serverIndex]
  }

  /** What went wrong with the last connection, or the last attempt at one. */
  get lastFailure(): string | undefined {
    return this.#lastFailure
  }

  /** When the next `tick` is due, on the clock of `step`; Infinity for never. */
  get deadlineMs(): number {
    switch (this.#phase) {
      case 'idle':
      case 'over':
        return Infinity
      case 'pausing':
      case 'opening':
      case 'handshaking':
        return Math.min(this.#phaseEndsMs, this.#expiresMs())
      case 'live':
        return this.#isClosing
          ? Math.min(this.#phaseEndsMs, this.#silentMs())
          : Math.min(this.#silentMs(), this.#pingMs())
      default:
        return unreachable(this.#phase)
    }
  }

  /** @param nowMs - monotonic @returns what to do, in order */
  step(nowMs: number, event: SessionEvent): readonly SessionEffect[] {
    this.#effects = []
    switch (event.kind) {
      case 'start':
        if (this.#phase === 'idle') this.#open(nowMs)
        break
      case 'opened':
        if (event.connection === this.#connection) this.#onOpened(nowMs)
        break
      case 'received':
        if (event.connection === this.#connection) this.#onReceived(nowMs, event)
        break
      case 'closed':
        if (event.connection === this.#connection) {
          this.#connection = 0
          this.#lose(nowMs, event.reason)
        }
        break
      case 'tick':
        this.#onTick(nowMs)
        break
      case 'call':
        this.#call(event.call, event.request, event.watch)
        break
      case 'auth':
        this.#onAuth(event)
        break
      case 'abandon':
        this.#onAbandon(event.call)
        break
      case 'unwatch':
        this.#onUnwatch(event)
        break
      case 'forgetWatches':
        this.#forgetWatches(event.path, event.type)
        break
      case 'close':
        this.#onClose(nowMs)
        break
      default:
        return unreachable(event)
    }
    this.#flush(nowMs)
    return this.#effects
  }

  // -- time

  #onTick(nowMs: number): void {
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
        if (nowMs >= this.#silentMs()) return this.#lose(nowMs, 'nothing was heard for 2/3 of the timeout')
        if (this.#isClosing) {
          if (nowMs >= this.#phaseEndsMs) this.#lose(nowMs, 'no answer to the close')
          return
        }
        if (nowMs >= this.#pingMs()) writeRequestFrame(this.#output, Xid.Ping, { kind: 'ping' })
        return
      default:
        unreachable(this.#phase)
    }
  }

  #expiresMs(): number {
    return this.#sessionId === noSession ? Infinity : this.#lastHeardMs + (this.#timeoutMs * 4) / 3
  }

  #silentMs(): number {
    return this.#lastHeardMs + (this.#timeoutMs * 2) / 3
  }

  /**
   * A third of the timeout after the last write, less a second where that leaves any, and 10 s at the latest.
   */
  #pingMs(): number {
    const third = this.#timeoutMs / 3
    const idle = third <= pingSlackMs ? third : Math.max(pingSlackMs, third - pingSlackMs)
    return this.#lastSentMs + Math.min(idle, maxPingIdleMs)
  }

  // -- connecting

  #open(nowMs: number): void {
    // A session taken over from elsewhere has its whole time from here.
    if (this.#phase === 'idle') this.#lastHeardMs = nowMs
    this.#phase = 'opening'
    this.#phaseEndsMs = nowMs + this.#attemptMs()
    this.#connection = this.#lastConnection += 1
    this.#serverIndex = (this.#serverIndex + 1) % this.#servers.length
    const server = this.#servers[this.#serverIndex]
    assert(server !== undefined, 'the server list is not empty')
    this.#emit({ kind: 'connect', connection: this.#connection, server })
  }

  #attemptMs(): number {
    return this.#timeoutMs / this.#servers.length
  }

  #onOpened(nowMs: number): void {
    if (this.#phase !== 'opening') return
    this.#phase = 'handshaking'
    this.#phaseEndsMs = nowMs + this.#attemptMs()
    this.#tail = new FrameTail()
    const isKnown = !this.#isLocal
    const start = this.#output.beginFrame()
    writeConnectRequest(this.#output, {
      protocolVersion: 0,
      lastZxidSeen: this.#lastZxid,
      timeoutMs: this.#timeoutMs,
      sessionId: isKnown ? this.#sessionId : noSession,
      password: isKnown ? this.#password : new Uint8Array(passwordBytes),
      readOnly: this.#canBeReadOnly,
    })
    this.#output.endFrame(start)
  }

  #onHandshake(nowMs: number, response: ConnectResponse): void {
    const presented = this.#isLocal ? noSession : this.#sessionId
    const isOther = presented !== noSession && response.sessionId !== presented
    if (response.timeoutMs <= 0 || isOther)
      return this.#end('expired', 'the server does not know the session')
    const isReadOnly = response.readOnly === true
    if (isReadOnly && !this.#canBeReadOnly) throw new ProtocolError('read-only service was not asked for')
    this.#sessionId = response.sessionId
    this.#password = response.password ?? new Uint8Array(passwordBytes)
    this.#timeoutMs = response.timeoutMs
    this.#isLocal = isReadOnly && (this.#isLocal || presented === noSession)
    this.#failedAttempts = 0
    this.#phase = 'live'
    this.#phaseEndsMs = Infinity
    this.#lastHeardMs = nowMs
    this.#setState(isReadOnly ? 'connectedReadOnly' : 'connected', undefined)
    this.#restore()
  }

  /**
   * What the new connection must be told before anything else: who we are, what we watch, what has waited.
   */
  #restore(): void {
    for (const auth of this.#auths) this.#sendAuth(auth)
    for (const request of this.#watches.restore(this.#lastZxid)) {
      writeRequestFrame(this.#output, Xid.SetWatches, request)
    }
    for (const pending of this.#queued.drain()) this.#send(pending)
  }

  /** The connection, or the attempt at one, is over; the session is not. */
  #lose(nowMs: number, reason: string): void {
    const server = this.server
    const why = server === undefined ? reason : `${formatServer(server)}: ${reason}`
    this.#lastFailure = why
    const wasLive = this.#phase === 'live'
    this.#drop()
    for (const pending of this.#inFlight.drain()) this.#failSent(pending, why)
    this.#authsInFlight.drain()
    if (this.#isClosing) return this.#end('closed', why)
    this.#phase = 'pausing'
    this.#phaseEndsMs = nowMs + Math.floor((this.#random.u32() / 0x1_0000_0000) * this.#maxReconnectPauseMs)
    if (wasLive) return this.#setState('disconnected', why)
    this.#failedAttempts += 1
    if (this.#failedAttempts < this.#servers.length) return
    this.#failedAttempts = 0
    for (const pending of this.#queued.drain()) this.#failUnsent(pending, `no server answers, last ${why}`)
  }

  #drop(): void {
    if (this.#connection !== 0) this.#emit({ kind: 'disconnect', connection: this.#connection })
    this.#connection = 0
    this.#output.at = 0
  }

  #end(state: 'expired' | 'authFailed' | 'closed', reason: string | undefined): void {
    this.#drop()
    this.#phase = 'over'
    const code = endCodes[state]
    const why = reason ?? `the session is ${state}`
    const pendings = [...this.#inFlight.drain(), ...this.#queued.drain()]
    for (const pending of pendings) {
      const mayHaveBeenApplied = pending.xid !== 0
      this.#settle(pending, { kind: 'lost', code, reason: why, mayHaveBeenApplied })
    }
    this.#authsInFlight.drain()
    for (const auth of this.#auths.splice(0)) {
      if (auth.call === 0) continue
      const outcome = { kind: 'lost', code, reason: why, mayHaveBeenApplied: false } as const
      this.#emit({ kind: 'settled', call: auth.call, outcome })
    }
    this.#watches.clear()
    this.#setState(state, reason)
  }

  #onClose(nowMs: number): void {
    if (this.#phase === 'over' || this.#isClosing) return
    if (this.#phase !== 'live') return this.#end('closed', undefined)
    this.#isClosing = true
    this.#phaseEndsMs = nowMs + (this.#timeoutMs * 2) / 3
    this.#send({ call: 0, request: { kind: 'closeSession' }, xid: 0, watch: undefined, isAbandoned: false })
  }

  #setState(state: SessionState, reason: string | undefined): void {
    this.#state = state
    this.#emit({ kind: 'state', state, reason })
  }

  // -- calls

  #call(
    call: CallId,
    request: Request,
    watch?: { readonly kind: WatchKind; readonly watcher: WatcherId },
  ): void {
    const pending: Pending = { call, request, xid: 0, watch, isAbandoned: false }
    if (this.#isClosing || this.#phase === 'over') return this.#failRefused(pending)
    if (this.#phase === 'live') this.#send(pending)
    else this.#queued.push(pending)
  }

  #send(pending: Pending): void {
    this.#lastXid = nextXid(this.#lastXid)
    pending.xid = this.#lastXid
    writeRequestFrame(this.#output, pending.xid, pending.request)
    this.#inFlight.push(pending)
  }

  #onAbandon(call: CallId): void {
    if (this.#queued.remove(pending => pending.call === call)) return
    for (const pending of this.#inFlight) {
      if (pending.call === call) pending.isAbandoned = true
    }
    for (const auth of this.#auths) {
      if (auth.call === call) auth.call = 0
    }
  }

  #onAuth(event: Extract<SessionEvent, { kind: 'auth' }>): void {
    const auth: Auth = { scheme: event.scheme, auth: event.auth, call: event.call }
    if (this.#isClosing || this.#phase === 'over') {
      return this.#emit({ kind: 'settled', call: auth.call, outcome: this.#refusal() })
    }
    this.#auths.push(auth)
    if (this.#phase === 'live') this.#sendAuth(auth)
  }

  #sendAuth(auth: Auth): void {
    writeRequestFrame(this.#output, Xid.Auth, { kind: 'auth', scheme: auth.scheme, auth: auth.auth })
    this.#authsInFlight.push(auth)
  }

  #onUnwatch({ call, watcher, path, type }: Extract<SessionEvent, { kind: 'unwatch' }>): void {
    this.#watches.remove(path, watcher)
    for (const pending of [...this.#inFlight, ...this.#queued]) {
      if (pending.watch?.watcher === watcher) pending.watch = undefined
    }
    if (this.#phase === 'live' && !this.#isClosing && !this.#isWatched(path, type)) {
      return this.#call(call, { kind: 'removeWatches', path, type })
    }
    this.#emit({ kind: 'settled', call, outcome: { kind: 'done' } })
  }

  #forgetWatches(path: string, forgotten: number): void {
    for (const { type, watchers } of this.#watches.forget(path, forgotten)) {
      this.#emit({ kind: 'fired', type, path, zxid: noZxid, watchers })
    }
  }

  /**
   * Whether somebody needs the server's watch, or is about to: the removal would come after their
   * registration.
   */
  #isWatched(path: string, type: WatcherType): boolean {
    if (this.#watches.has(path, type)) return true
    for (const { request, watch } of this.#inFlight) {
      const isHere = watch !== undefined && 'path' in request && request.path === path
      if (isHere && (type === WatcherType.Any || watcherTypeOf[watch.kind] === type)) return true
    }
    return false
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
      if (!(error instanceof ProtocolError || error instanceof DecodeError)) throw error
      this.#lose(nowMs, error.message)
    }
  }

  #onFrame(nowMs: number, r: Reader): void {
    if (this.#phase === 'handshaking') return this.#onHandshake(nowMs, readConnectResponse(r))
    if (this.#phase !== 'live') throw new ProtocolError('bytes came before the handshake')
    this.#lastHeardMs = nowMs
    const header = readReplyHeader(r)
    switch (header.xid) {
      case Xid.Notification:
        return this.#onNotification(header.zxid, r)
      case Xid.Ping:
      case Xid.SetWatches:
        return
      case Xid.Auth:
        return this.#onAuthReply(header)
      default:
        return this.#onReply(header, r)
    }
  }

  #onNotification(zxid: Zxid, r: Reader): void {
    const { type, path } = readWatcherEvent(r)
    if (!isChange(type)) throw new ProtocolError(`no watch event has type ${type}`)
    this.#emit({ kind: 'fired', type, path, zxid, watchers: this.#watches.fire(type, path) })
  }

  #onAuthReply({ zxid, err }: { readonly zxid: Zxid; readonly err: number }): void {
    const auth = this.#authsInFlight.shift()
    if (auth === undefined) throw new ProtocolError('an answer to no authentication')
    if (err !== ErrorCode.Ok) return this.#end('authFailed', `the server refused ${auth.scheme}`)
    if (auth.call === 0) return
    const outcome = {
      kind: 'reply',
      xid: Xid.Auth,
      zxid,
      err,
      body: { kind: 'none' },
      isWatching: false,
    } as const
    this.#emit({ kind: 'settled', call: auth.call, outcome })
    auth.call = 0
  }

  #onReply(
    { xid, zxid, err }: { readonly xid: number; readonly zxid: Zxid; readonly err: number },
    r: Reader,
  ): void {
    const pending = this.#inFlight.shift()
    if (pending === undefined) throw new ProtocolError(`a reply with xid ${xid} to no request`)
    try {
      if (xid !== pending.xid) throw new ProtocolError(`a reply with xid ${xid}, not ${pending.xid}`)
      if (zxid > 0n && zxid < this.#lastZxid) {
        throw new ProtocolError(`the reply's zxid 0x${hexOf(zxid)} is before 0x${hexOf(this.#lastZxid)}`)
      }
      const body: ReplyBody =
        err === ErrorCode.Ok ? readReplyBody(r, opOf(pending.request)) : { kind: 'none' }
      if (zxid > 0n) this.#lastZxid = zxid
      const isWatching = this.#register(pending, err)
      const { request } = pending
      if (request.kind === 'removeWatches' && err === ErrorCode.Ok)
        this.#forgetWatches(request.path, request.type)
      this.#settle(pending, { kind: 'reply', xid, zxid, err, body, isWatching })
    } catch (error) {
      if (error instanceof ProtocolError || error instanceof DecodeError)
        this.#failSent(pending, error.message)
      throw error
    }
    if (pending.request.kind === 'closeSession') this.#end('closed', undefined)
  }

  #register({ request, watch, isAbandoned }: Pending, err: number): boolean {
    if (watch === undefined || !('path' in request)) return false
    const isAbsent = err === ErrorCode.NoNode
    const isSet =
      err === ErrorCode.Ok || (isAbsent && (request.kind === 'exists' || request.kind === 'addWatch'))
    if (!isSet) return false
    if (isAbandoned) {
      // A one-shot watch goes by itself; a persistent one would be heard for ever.
      const type = watcherTypeOf[watch.kind]
      const isPersistent = request.kind === 'addWatch'
      if (isPersistent && !this.#isWatched(request.path, type)) {
        this.#call(0, { kind: 'removeWatches', path: request.path, type })
      }
      return false
    }
    this.#watches.add(
      isAbsent && request.kind === 'exists' ? 'exist' : watch.kind,
      request.path,
      watch.watcher,
    )
    return true
  }

  // -- settling

  #failSent(pending: Pending, why: string): void {
    this.#settle(pending, {
      kind: 'lost',
      code: ErrorCode.ConnectionLoss,
      reason: `${why}; the request was sent and may have been applied`,
      mayHaveBeenApplied: true,
    })
  }

  #failUnsent(pending: Pending, why: string): void {
    this.#settle(pending, {
      kind: 'lost',
      code: ErrorCode.ConnectionLoss,
      reason: `${why}; the request was not sent`,
      mayHaveBeenApplied: false,
    })
  }

  #failRefused(pending: Pending): void {
    this.#settle(pending, this.#refusal())
  }

  #refusal(): Outcome {
    const state = this.#isClosing || !isEnd(this.#state) ? 'closed' : this.#state
    return {
      kind: 'lost',
      code: endCodes[state],
      reason: `the session is ${state}; the request was not sent`,
      mayHaveBeenApplied: false,
    }
  }

  #settle(pending: Pending, outcome: Outcome): void {
    if (pending.call !== 0 && !pending.isAbandoned)
      this.#emit({ kind: 'settled', call: pending.call, outcome })
  }

  #emit(effect: SessionEffect): void {
    this.#effects.push(effect)
  }

  #flush(nowMs: number): void {
    const output = this.#output
    if (output.at === 0) return
    this.#emit({ kind: 'send', connection: this.#connection, bytes: output.written() })
    this.#lastSentMs = nowMs
    output.at = 0
    if (output.bytes.length > keptOutputBytes) this.#output = new Writer()
  }
}

const endCodes = {
  expired: ErrorCode.SessionExpired,
  authFailed: ErrorCode.AuthFailed,
  closed: ErrorCode.InvalidState,
} as const

function isEnd(state: SessionState): state is keyof typeof endCodes {
  return state in endCodes
}

/**
 * Requests count from 1 to the largest int, and then from 1 again: 0 and below have other meanings.
 *
 * @internal
 */
export function nextXid(last: number): number {
  return last === maxXid ? 1 : last + 1
}

/** What checkWatches and removeWatches call a kind. */
export const watcherTypeOf: Readonly<Record<WatchKind, WatcherType>> = {
  data: WatcherType.Data,
  child: WatcherType.Children,
  persistent: WatcherType.Persistent,
  recursive: WatcherType.PersistentRecursive,
}

/** The events that a server sends; the others are made in clients. */
function isChange(type: number): type is EventType {
  return type >= EventType.NodeCreated && type <= EventType.NodeChildrenChanged
}

/** Fisher and Yates, so that clients spread over the servers. */
function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  const result = [...items]
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor((random.u32() / 0x1_0000_0000) * (i + 1))
    const moved = result[i] as T
    result[i] = result[j] as T
    result[j] = moved
  }
  return result
}
