/**
 * The vocabulary of a session: what it is made with, everything that can happen to it, and everything it can ask
 * for. `session-machine.ts` turns the one into the other. All paths are server paths.
 */
import type { ErrorCode, EventType, ReplyBody, Request, SessionId, WatcherType, Zxid } from '@corral/protocol'
import type { ServerAddress } from './connect-string.ts'
import type { WatcherId, WatchKind } from './watch-registry.ts'

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
  /** How long a call may wait; default for ever. */
  readonly requestTimeoutMs: number | undefined
  /** Whether a new connection is given the watches of the last one. */
  readonly restoresWatches: boolean
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
   * All watchers of a path leave, and get the Removed events, without the server. A server's answer to a
   * removeWatches call does the same by itself, before any later reply is looked at.
   */
  | {
      readonly kind: 'forgetWatches'
      readonly call: CallId
      readonly path: string
      readonly type: WatcherType
    }
  | { readonly kind: 'close' }

/** What a call did to the watches here: set its own (for an exists also that of an absent znode), or removed some. */
export type WatchChange = 'none' | 'set' | 'removed'

/** How a call ended. */
export type Outcome =
  | {
      readonly kind: 'reply'
      readonly xid: number
      readonly zxid: Zxid
      readonly err: number
      /** `none` if `err` is not 0. */
      readonly body: ReplyBody
      readonly watches: WatchChange
    }
  | {
      readonly kind: 'lost'
      /** ConnectionLoss, RequestTimeout, SessionExpired, AuthFailed, or InvalidState after a close. */
      readonly code: ErrorCode
      readonly reason: string
      readonly mayHaveBeenApplied: boolean
    }
  /** The request has no form on the wire: TypeScript, or a check before, was passed by. */
  | { readonly kind: 'unwritable'; readonly error: unknown }
  /** There was nothing to ask the server. */
  | { readonly kind: 'done'; readonly watches: WatchChange }

/** Everything a session can ask for. */
export type SessionEffect =
  /**
   * Answer with `opened` or `closed`. At most two connections are open at a time: the session's, and one that asks
   * whether another server can be written to.
   */
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
