/**
 * A driven session as promises and listeners: every call becomes an event of the machine and a promise that
 * its effect settles; every watcher a listener that its effect calls. Paths are server paths, except where a
 * listener is told.
 */
import {
  ErrorCode,
  type Request,
  type SessionId,
  unreachable,
  WatcherType,
  type Zxid,
} from '@corral/protocol'
import { Abortable } from './abortable.ts'
import type { CallOptions, ConnectOptions } from './call-options.ts'
import type { Reply } from './call-results.ts'
import { type ClientOptions, legalWaitMs, type StateChange } from './client-options.ts'
import type { ConnectString, ServerAddress } from './connect-string.ts'
import { MarshallingError, ZkError, zkError } from './errors.ts'
import { guarded, Listeners, type Watcher } from './listeners.ts'
import type { CallId, Outcome, SessionEvent, SessionState, WatcherId, WatchKind } from './session-events.ts'
import { SessionMachine } from './session-machine.ts'
import { isChange, watcherTypeOf } from './session-watches.ts'
import {
  type DriverEffect,
  nodeTimers,
  SocketDriver,
  type Timers,
  tcpTransport,
  unseededRandom,
} from './socket-driver.ts'
import type { WatchListener } from './watch.ts'

/** What a call is about, besides its request. */
export interface Asked {
  /** For error messages: the path as the caller gave it. */
  readonly path?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly watch?: { readonly kind: WatchKind; readonly listener: WatchListener } | undefined
  /** It is to take watches away: if none of this client was there, it fails, whatever the server found. */
  readonly removesWatches?: boolean | undefined
}

const defaultSessionTimeoutMs = 30_000

interface CallAbout extends Omit<Asked, 'watch'> {
  readonly op: string
  /** Shown to the observer with the reply; undefined for what the observer is not told. */
  readonly request?: Request
  readonly watcher?: WatcherId
}

/**
 * What came of a call. An error is not a rejection yet: it is made while the socket is read, and {@link answered},
 * where the call is awaited, gives it a stack that leads to the caller.
 */
export type Answer = Reply | ZkError

interface Call {
  readonly about: CallAbout
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/** @throws the error that the answer is */
export function answered(answer: Answer): Reply {
  if (!(answer instanceof ZkError)) return answer
  throw located(answer)
}

function located(error: ZkError): ZkError {
  Error.captureStackTrace(error)
  return error
}

type CallEvent = Extract<SessionEvent, { kind: 'call' | 'auth' | 'unwatch' | 'forgetWatches' }>

/** One session with an ensemble, from the first connection to its end. */
export class Session {
  readonly #options: ClientOptions
  readonly #machine: SessionMachine
  readonly #driver: SocketDriver
  readonly #timers: Timers
  readonly #calls: Map<CallId, Call> = new Map()
  readonly #abortable: Abortable = new Abortable((call, signal) => this.#abort(call, signal))
  readonly #listeners: Listeners
  readonly #stateListeners: Set<(change: StateChange) => void> = new Set()
  #lastId = 0
  #state: SessionState = 'connecting'

  /** Does no I/O: {@link connect} does. */
  constructor(address: ConnectString, options: ClientOptions) {
    this.#listeners = new Listeners(address.chroot)
    this.#options = options
    this.#timers = options.timers ?? nodeTimers
    this.#machine = new SessionMachine({
      servers: address.servers,
      sessionTimeoutMs: options.sessionTimeoutMs ?? defaultSessionTimeoutMs,
      canBeReadOnly: options.canBeReadOnly ?? false,
      session: options.session,
      maxReplyBytes: options.maxReplyBytes,
      maxReconnectPauseMs: options.maxReconnectPauseMs,
      requestTimeoutMs: options.requestTimeoutMs,
      restoresWatches: options.restoresWatches ?? true,
      random: options.random ?? unseededRandom,
    })
    this.#driver = new SocketDriver({
      machine: this.#machine,
      transport: options.transport ?? tcpTransport,
      timers: this.#timers,
      onEffect: effect => this.#onEffect(effect),
    })
    if (options.onState !== undefined) this.#stateListeners.add(options.onState)
  }

  get state(): SessionState {
    return this.#state
  }

  /** It has ended, and its watches with it. */
  get isOver(): boolean {
    return isOver(this.#state)
  }

  /** 0 until the first connection. */
  get sessionId(): SessionId {
    return this.#machine.sessionId
  }

  get sessionPassword(): Uint8Array {
    return this.#machine.password
  }

  /** What the server granted; before that, what was asked for. */
  get sessionTimeoutMs(): number {
    return this.#machine.sessionTimeoutMs
  }

  /** The highest zxid any reply carried: no server that is behind it will be read from. */
  get lastZxid(): Zxid {
    return this.#machine.lastZxid
  }

  /** The server this session is connected to, or is trying. */
  get server(): ServerAddress | undefined {
    return this.#machine.server
  }

  /** @returns takes the listener away again */
  onState(listener: (change: StateChange) => void): () => void {
    this.#stateListeners.add(listener)
    return () => this.#stateListeners.delete(listener)
  }

  /** Begins connecting, if that was not done yet. */
  start(): void {
    if (this.#machine.server === undefined) this.#driver.dispatch({ kind: 'start' })
  }

  /** Begins connecting, if that was not done yet, and waits until the session is connected. */
  async connect({ signal, timeoutMs = this.sessionTimeoutMs }: ConnectOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    legalWaitMs(timeoutMs)
    this.start()
    if (isConnected(this.#state)) return
    if (isOver(this.#state)) throw this.#overError()
    const error = await this.#untilConnected(timeoutMs, signal)
    if (error !== undefined) throw located(error)
  }

  /**
   * Ends the session: its ephemerals go at once. Calls already sent are answered first; later ones are
   * refused with ClientClosedError. Without a connection the server finds out when the session times out.
   * Never throws.
   */
  close(): Promise<void> {
    return new Promise(resolve => {
      if (isOver(this.#state)) return resolve()
      const stop = this.onState(({ state }) => {
        if (!isOver(state)) return
        stop()
        resolve()
      })
      this.#driver.dispatch({ kind: 'close' })
    })
  }

  /**
   * Sends a request, as soon as there is a connection, which it asks for if nobody did; rejects with the signal's
   * reason.
   */
  ask(request: Request, { path, signal, watch, removesWatches }: Asked): Promise<Answer> {
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    this.start()
    const about = { op: request.kind, path, signal, request, removesWatches }
    const call = this.#nextId()
    if (watch === undefined || !('path' in request)) {
      return this.#begin(about, { kind: 'call', call, request })
    }
    const watcher = this.#nextId()
    const { kind, listener } = watch
    const serverPath = request.path
    this.#listeners.add(watcher, { listener, kind, path: path ?? serverPath, serverPath })
    return this.#begin({ ...about, watcher }, { kind: 'call', call, request, watch: { kind, watcher } })
  }

  /** Authenticates this and all later connections, and makes none; rejects with the signal's reason. */
  authenticate(scheme: string, auth: Uint8Array | null, { signal }: CallOptions): Promise<Answer> {
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    return this.#begin({ op: 'auth', signal }, { kind: 'auth', call: this.#nextId(), scheme, auth })
  }

  /** Takes one listener away wherever it watches, here and where possible at the server. */
  async unwatch(listener: WatchListener): Promise<void> {
    await Promise.all(this.#listeners.of(listener).map(([id, watcher]) => this.#unwatch(id, watcher)))
  }

  /** Ends all watches at a server path without asking the server. Rejects with NoWatcherError if there is none. */
  async forgetWatches(serverPath: string, type: WatcherType, path: string): Promise<void> {
    const event = { kind: 'forgetWatches', call: this.#nextId(), path: serverPath, type } as const
    answered(await this.#begin({ op: 'removeWatches', path, removesWatches: true }, event))
  }

  /** Hands an event to the machine, and waits until it settles the event's call. */
  #begin(about: CallAbout, event: CallEvent): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#abortable.add(event.call, about.signal)
      this.#calls.set(event.call, { about, resolve, reject })
      this.#driver.dispatch(event)
    })
  }

  #abort(id: CallId, signal: AbortSignal): void {
    const call = this.#forget(id)
    if (call === undefined) return
    if (call.about.watcher !== undefined) this.#listeners.remove(call.about.watcher)
    this.#driver.dispatch({ kind: 'abandon', call: id })
    call.reject(signal.reason)
  }

  #forget(id: CallId): Call | undefined {
    const call = this.#calls.get(id)
    if (call === undefined) return undefined
    this.#calls.delete(id)
    this.#abortable.remove(id, call.about.signal)
    return call
  }

  async #unwatch(watcher: WatcherId, { kind, serverPath: path }: Watcher): Promise<void> {
    this.#listeners.remove(watcher)
    const remove = (type: WatcherType): Promise<Answer> =>
      this.#begin(
        { op: 'removeWatches', path },
        { kind: 'unwatch', call: this.#nextId(), watcher, path, type },
      )
    const answer = await remove(watcherTypeOf[kind])
    // Servers before 3.9 cannot remove persistent watches alone, only everything at the path.
    const isOldServer = answer instanceof MarshallingError
    if (isOldServer) await remove(WatcherType.Any)
  }

  #nextId(): number {
    this.#lastId += 1
    return this.#lastId
  }

  // -- from effects to promises and listeners

  #onEffect(effect: DriverEffect): void {
    switch (effect.kind) {
      case 'settled':
        return this.#onSettled(effect.call, effect.outcome)
      case 'fired':
        return this.#onFired(effect)
      case 'state':
        return this.#onState(effect.state, effect.reason)
      default:
        return unreachable(effect)
    }
  }

  #onSettled(id: CallId, outcome: Outcome): void {
    const call = this.#forget(id)
    if (call === undefined) return
    const { op, path, watcher, request } = call.about
    if (watcher !== undefined) {
      this.#listeners.settle(watcher, outcome.kind === 'reply' && outcome.watches === 'set')
    }
    const isInVain =
      call.about.removesWatches === true && 'watches' in outcome && outcome.watches !== 'removed'
    switch (outcome.kind) {
      case 'reply': {
        const { xid, zxid, err, body } = outcome
        const { onReply } = this.#options
        if (onReply !== undefined && request !== undefined) {
          guarded(() => onReply({ request, xid, zxid, err, body }))
        }
        const code = err === ErrorCode.Ok && isInVain ? ErrorCode.NoWatcher : err
        if (code === ErrorCode.Ok) call.resolve({ xid, zxid, body })
        else call.resolve(zkError(code, { op, path, zxid, mayHaveBeenApplied: true }))
        return
      }
      case 'lost':
        call.resolve(zkError(outcome.code, { op, path, ...outcome }))
        return
      case 'unwritable':
        call.reject(outcome.error)
        return
      case 'done':
        if (isInVain) call.resolve(zkError(ErrorCode.NoWatcher, { op, path }))
        else call.resolve({ xid: 0, zxid: this.lastZxid, body: { kind: 'none' } })
        return
      default:
        unreachable(outcome)
    }
  }

  #onFired(fired: Extract<DriverEffect, { kind: 'fired' }>): void {
    const { onEvent } = this.#options
    const { type, path, zxid } = fired
    if (onEvent !== undefined && isChange(type)) guarded(() => onEvent({ type, path, zxid }))
    this.#listeners.fire(fired)
  }

  #onState(state: SessionState, reason: string | undefined): void {
    const change: StateChange = { state, previous: this.#state, reason }
    this.#state = state
    if (isOver(state)) this.#listeners.end(this.#overError(reason))
    else if (state === 'disconnected' && this.#options.restoresWatches === false) {
      this.#listeners.disconnect(zkError(ErrorCode.ConnectionLoss, { reason }))
    }
    for (const listener of [...this.#stateListeners]) guarded(() => listener(change))
    if (change.previous === 'disconnected' && !isOver(state)) this.#listeners.resume()
  }

  #overError(reason?: string): ZkError {
    switch (this.#state) {
      case 'expired':
        return zkError(ErrorCode.SessionExpired, { reason })
      case 'authFailed':
        return zkError(ErrorCode.AuthFailed, { reason })
      default:
        return zkError(ErrorCode.InvalidState, { reason: reason ?? 'the client is closed' })
    }
  }

  /** @returns why it never will be */
  #untilConnected(timeoutMs: number, signal: AbortSignal | undefined): Promise<ZkError | undefined> {
    return new Promise((resolve, reject) => {
      const settle = (done: () => void): void => {
        stopListening()
        cancelTimer()
        signal?.removeEventListener('abort', onAbort)
        done()
      }
      const onAbort = (): void => settle(() => reject(signal?.reason))
      const stopListening = this.onState(({ state, reason }) => {
        if (isConnected(state)) settle(() => resolve(undefined))
        else if (isOver(state)) settle(() => resolve(this.#overError(reason)))
      })
      const cancelTimer = this.#timers.after(timeoutMs, () =>
        settle(() => resolve(this.#noServer(timeoutMs))),
      )
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  #noServer(timeoutMs: number): ZkError {
    const last = this.#machine.lastFailure
    const reason = `no server answered within ${timeoutMs} ms${last === undefined ? '' : `, last ${last}`}`
    return zkError(ErrorCode.ConnectionLoss, { op: 'connect', reason })
  }
}

function isOver(state: SessionState): boolean {
  return state === 'expired' || state === 'authFailed' || state === 'closed'
}

function isConnected(state: SessionState): boolean {
  return state === 'connected' || state === 'connectedReadOnly'
}
