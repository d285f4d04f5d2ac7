import {
  ErrorCode,
  encodeUtf8,
  passwordBytes,
  type ReplyBody,
  type Request,
  type SessionId,
  type Zxid,
} from '@corral/protocol'
import { BadArgumentsError } from './errors.ts'
import type { Random, SessionState } from './session-events.ts'
import type { Timers, Transport } from './socket-driver.ts'

/** How a client behaves; everything can be left out. */
export interface ClientOptions {
  /** Asked for; the server has limits of its own, see {@link Client.sessionTimeoutMs}. Default 30 000. */
  readonly sessionTimeoutMs?: number | undefined
  /**
   * Accept a server that is cut off from its quorum: it serves reads only, and the client looks for another
   * meanwhile. Default false.
   */
  readonly canBeReadOnly?: boolean | undefined
  /** Sent on every connection before anything else. More can follow with {@link Client.addAuth}. */
  readonly auth?: readonly AuthInfo[] | undefined
  /** Takes over a session that an earlier client left without closing it. */
  readonly session?: { readonly id: SessionId; readonly password: Uint8Array } | undefined
  /**
   * Longest frame accepted from a server; a longer one breaks the connection. Memory is taken as bytes come,
   * never for an announced length. Default 64 MiB: servers do not limit their own replies, and a large child
   * list must not make a client reconnect for ever.
   */
  readonly maxReplyBytes?: number | undefined
  /** Longest random pause before a reconnect. Default 1000, as in the Java client. */
  readonly maxReconnectPauseMs?: number | undefined
  /**
   * Longest wait for the answer to a call, from when it is made; it then fails with RequestTimeoutError, and the
   * connection is given up, its server being stuck. Default: as long as the connection lasts.
   */
  readonly requestTimeoutMs?: number | undefined
  /**
   * Gives a new connection the watches of the last one. Default true; otherwise watches end with their connection:
   * handlers hear of it by `onWatchEnd` with ConnectionLossError, functions only by `onState`.
   */
  readonly restoresWatches?: boolean | undefined
  /** As {@link Client.onState}, from the first connection on. A listener that throws makes an uncaught error. */
  readonly onState?: ((change: StateChange) => void) | undefined
  /**
   * Every reply to a call that is still waited for, in order, before its promise settles: for history checkers and
   * tracing.
   */
  readonly onReply?: ((reply: ObservedReply) => void) | undefined
  /** Every watch event as it came, watched by anyone or not, before any listener. */
  readonly onEvent?: ((event: ObservedEvent) => void) | undefined
  /** How connections are made; default TCP. This and the two below are for simulations. */
  readonly transport?: Transport | undefined
  /** Default: the clock and the timers of Node. */
  readonly timers?: Timers | undefined
  /** Decides the order of servers and the length of pauses. Default: not to be foreseen. */
  readonly random?: Random | undefined
}

/** How a client behaves, and how long {@link connect} may take. */
export interface OpenOptions extends ClientOptions {
  /** Gives up connecting, closes the client and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Default: the session timeout asked for. */
  readonly connectTimeoutMs?: number | undefined
}

/** An identity to take on: for scheme `digest` the text `user:password`. */
export interface AuthInfo {
  readonly scheme: string
  readonly auth: Uint8Array | string
}

/** A step in the life of a session. */
export interface StateChange {
  readonly state: SessionState
  readonly previous: SessionState
  /** Why, for people: what broke the connection, for one. */
  readonly reason: string | undefined
}

/** Paths are server paths, with the chroot. */
export interface ObservedReply {
  readonly request: Request
  readonly xid: number
  readonly zxid: Zxid
  readonly err: number
  readonly body: ReplyBody
}

/** `type` is an `EventType`; the path is a server path; the zxid is -1 where the server does not tell it. */
export interface ObservedEvent {
  readonly type: number
  readonly path: string
  readonly zxid: Zxid
}

const longestMs = 0x7fffffff

/** @throws BadArgumentsError for values that a session cannot live with */
export function requireLegal(options: ClientOptions): void {
  const { sessionTimeoutMs = 1, maxReplyBytes = 1, maxReconnectPauseMs = 0 } = options
  const { requestTimeoutMs = 1, session, auth = [], onState, onReply, onEvent } = options
  requireWhole('sessionTimeoutMs', sessionTimeoutMs, 1)
  requireWhole('maxReplyBytes', maxReplyBytes, 1)
  requireWhole('maxReconnectPauseMs', maxReconnectPauseMs, 0)
  requireWhole('requestTimeoutMs', requestTimeoutMs, 1)
  if (session !== undefined) requireSession(session)
  if (!Array.isArray(auth)) throw refuse('auth is no list of { scheme, auth }')
  for (const each of auth) {
    legalScheme(each?.scheme)
    authBytes(each.auth)
  }
  requireFunction('onState', onState)
  requireFunction('onReply', onReply)
  requireFunction('onEvent', onEvent)
}

function requireSession({ id, password }: NonNullable<ClientOptions['session']>): void {
  if (typeof id !== 'bigint') throw refuse(`session.id is ${typeof id}, not bigint`)
  if (password instanceof Uint8Array && password.length === passwordBytes) return
  throw refuse(`session.password is not ${passwordBytes} bytes`)
}

/** @throws BadArgumentsError for what would fail only when it is called */
export function requireFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw refuse(`${name} is no function`)
}

/** @throws BadArgumentsError for a number that nothing can be measured with; Infinity can */
export function legalQueueLength(maxQueuedEvents: number): number {
  if (maxQueuedEvents >= 1) return maxQueuedEvents
  throw refuse(`maxQueuedEvents is ${maxQueuedEvents}, not 1 or more`)
}

function requireWhole(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least && value <= longestMs) return
  throw refuse(`${name} is ${value}, not a whole number from ${least} to ${longestMs}`)
}

/** @throws BadArgumentsError for a time that is not to be waited for; Infinity is */
export function legalWaitMs(timeoutMs: number): number {
  if (typeof timeoutMs === 'number' && timeoutMs >= 0) return timeoutMs
  throw refuse(`timeoutMs is ${timeoutMs}, not a time`)
}

/** @throws BadArgumentsError */
export function legalScheme(scheme: string): string {
  if (typeof scheme === 'string') return scheme
  throw refuse(`the scheme of an authentication is ${typeof scheme}, not text`)
}

/**
 * @returns bytes that are nobody else's: they are sent again on each connection
 * @throws BadArgumentsError, which does not show what was given: it may be a secret
 */
export function authBytes(auth: Uint8Array | string | null): Uint8Array | null {
  if (typeof auth === 'string') return encodeUtf8(auth)
  if (auth === null) return null
  if (auth instanceof Uint8Array) return new Uint8Array(auth)
  throw refuse(`the auth of an authentication is ${typeof auth}, not text or Uint8Array`)
}

function refuse(reason: string): BadArgumentsError {
  return new BadArgumentsError(ErrorCode.BadArguments, { reason })
}
