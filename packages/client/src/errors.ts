/**
 * What a call rejects with. One class for each code that callers catch; any other code is a plain
 * {@link ZkError}. The classes carry no text of their own: the message is made from code, operation and path.
 */
import { ErrorCode, errorName, type OpResult, type Zxid } from '@corral/protocol'

/** Names of the codes in {@link ErrorCode}. */
export type ErrorCodeName = keyof typeof ErrorCode

/** What an error knows besides its code. */
export interface ErrorDetails {
  /** The path as the caller gave it, below the chroot. */
  readonly path?: string | undefined
  /** What was asked, as in `Request.kind`: `create`, `getData`, ... */
  readonly op?: string | undefined
  /** From the header of the reply, where there was one. */
  readonly zxid?: Zxid | undefined
  /** More about what happened, for people. */
  readonly reason?: string | undefined
  /** Whether the request may have taken effect all the same: see {@link ConnectionLossError}. Default false. */
  readonly mayHaveBeenApplied?: boolean | undefined
  readonly cause?: unknown
}

/**
 * Every failure that the server or the session answers a call with. `code` is an `ErrorCode`, or newer than
 * those.
 */
export class ZkError extends Error {
  override readonly name: string = 'ZkError'
  readonly code: number
  /** `code` by its name, for `switch` and for logs: `NoNode`, `BadVersion`, ...; undefined for newer codes. */
  readonly codeName: ErrorCodeName | undefined
  /** What happened beyond the code, for people: which server, what it said, what is wrong with an argument. */
  readonly reason: string | undefined
  /** As the caller gave it. */
  readonly path: string | undefined
  /** As in `Request.kind`: `create`, `getData`, ... */
  readonly op: string | undefined
  /** Zxid of the reply that refused, the place in the order at which this was true. */
  readonly zxid: Zxid | undefined

  constructor(code: number, details: ErrorDetails = {}) {
    super(messageOf(code, details), details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.codeName = codeNameOf(code)
    this.reason = details.reason
    this.path = details.path
    this.op = details.op
    this.zxid = details.zxid
  }
}

function codeNameOf(code: number): ErrorCodeName | undefined {
  const name = errorName(code)
  return isCodeName(name) ? name : undefined
}

function isCodeName(name: string): name is ErrorCodeName {
  return Object.hasOwn(ErrorCode, name)
}

function messageOf(code: number, { op, path, reason }: ErrorDetails): string {
  const what = [op, path].filter(part => part !== undefined).join(' ')
  return [what, errorName(code), reason].filter(part => part !== undefined && part !== '').join(': ')
}

/** The connection broke, or none could be made, before the answer came. */
export class ConnectionLossError extends ZkError {
  override readonly name: string = 'ConnectionLossError'
  /** False: the request was never sent. True: it was, and only reading back tells whether it took effect. */
  readonly mayHaveBeenApplied: boolean

  constructor(code: number, details: ErrorDetails = {}) {
    super(code, details)
    this.mayHaveBeenApplied = details.mayHaveBeenApplied ?? false
  }
}

/** No answer came within the `requestTimeoutMs` of the client's options. */
export class RequestTimeoutError extends ConnectionLossError {
  override readonly name: string = 'RequestTimeoutError'
}

/** The session is over: its ephemerals and watches are gone. Needs a new client. */
export class SessionExpiredError extends ZkError {
  override readonly name: string = 'SessionExpiredError'
}

/** The call came after `close()`, or `close()` overtook it. */
export class ClientClosedError extends ZkError {
  override readonly name: string = 'ClientClosedError'
}

/** The server refused an authentication, which ends the session. */
export class AuthFailedError extends ZkError {
  override readonly name: string = 'AuthFailedError'
}

/** There is no such znode, or for a create no parent. */
export class NoNodeError extends ZkError {
  override readonly name: string = 'NoNodeError'
}

/** A create found a znode of that name. */
export class NodeExistsError extends ZkError {
  override readonly name: string = 'NodeExistsError'
}

/** The version (for setAcl the aversion) is not the expected one. */
export class BadVersionError extends ZkError {
  override readonly name: string = 'BadVersionError'
}

/** A delete found children. */
export class NotEmptyError extends ZkError {
  override readonly name: string = 'NotEmptyError'
}

/** The ACL does not allow it; a create or delete asks the ACL of the parent. */
export class NoAuthError extends ZkError {
  override readonly name: string = 'NoAuthError'
}

/** The parent is ephemeral. */
export class NoChildrenForEphemeralsError extends ZkError {
  override readonly name: string = 'NoChildrenForEphemeralsError'
}

/** The ACL is empty, has an unknown scheme or id, or `auth` on a connection that has not authenticated. */
export class InvalidAclError extends ZkError {
  override readonly name: string = 'InvalidAclError'
}

/** Illegal path, mode, TTL or connect string; from the server, or before anything was sent. */
export class BadArgumentsError extends ZkError {
  override readonly name: string = 'BadArgumentsError'
}

/** The server could not read the request, as older ones cannot read newer kinds. */
export class MarshallingError extends ZkError {
  override readonly name: string = 'MarshallingError'
}

/** The server is too old for the operation, or has it switched off. */
export class UnimplementedError extends ZkError {
  override readonly name: string = 'UnimplementedError'
}

/** A write went to a read-only server. */
export class NotReadOnlyError extends ZkError {
  override readonly name: string = 'NotReadOnlyError'
}

/** The session is local to its server and may not become global. */
export class EphemeralOnLocalSessionError extends ZkError {
  override readonly name: string = 'EphemeralOnLocalSessionError'
}

/** The server has no such watch of this connection. */
export class NoWatcherError extends ZkError {
  override readonly name: string = 'NoWatcherError'
}

/** A hard quota above the path is used up. */
export class QuotaExceededError extends ZkError {
  override readonly name: string = 'QuotaExceededError'
}

/** The request waited too long in the server and was not executed. */
export class ThrottledError extends ZkError {
  override readonly name: string = 'ThrottledError'
}

/** The servers do not allow reconfiguration. */
export class ReconfigDisabledError extends ZkError {
  override readonly name: string = 'ReconfigDisabledError'
}

/** Another reconfiguration is not done yet. */
export class ReconfigInProgressError extends ZkError {
  override readonly name: string = 'ReconfigInProgressError'
}

/** No quorum of the new configuration is in sync. */
export class NewConfigNoQuorumError extends ZkError {
  override readonly name: string = 'NewConfigNoQuorumError'
}

/** A multi was refused: nothing of it happened. `cause` is the failed operation's own error. */
export class TransactionError extends ZkError {
  override readonly name: string = 'TransactionError'
  /** Which operation failed, from 0. */
  readonly index: number
  /** One for each operation: 0 for those rolled back, the code of the failed one, -2 for those not tried. */
  readonly results: readonly OpResult[]

  constructor(
    code: number,
    details: ErrorDetails & { readonly index: number; readonly results: readonly OpResult[] },
  ) {
    super(code, details)
    this.index = details.index
    this.results = details.results
  }
}

/** Whoever iterates a persistent watch was too slow, and events were dropped: read again and watch anew. */
export class WatchOverflowError extends Error {
  override readonly name: string = 'WatchOverflowError'
}

const classes: ReadonlyMap<number, new (code: number, details?: ErrorDetails) => ZkError> = new Map([
  [ErrorCode.ConnectionLoss, ConnectionLossError],
  [ErrorCode.RequestTimeout, RequestTimeoutError],
  [ErrorCode.SessionExpired, SessionExpiredError],
  [ErrorCode.InvalidState, ClientClosedError],
  [ErrorCode.AuthFailed, AuthFailedError],
  [ErrorCode.NoNode, NoNodeError],
  [ErrorCode.NodeExists, NodeExistsError],
  [ErrorCode.BadVersion, BadVersionError],
  [ErrorCode.NotEmpty, NotEmptyError],
  [ErrorCode.NoAuth, NoAuthError],
  [ErrorCode.NoChildrenForEphemerals, NoChildrenForEphemeralsError],
  [ErrorCode.InvalidAcl, InvalidAclError],
  [ErrorCode.BadArguments, BadArgumentsError],
  [ErrorCode.MarshallingError, MarshallingError],
  [ErrorCode.Unimplemented, UnimplementedError],
  [ErrorCode.NotReadOnly, NotReadOnlyError],
  [ErrorCode.EphemeralOnLocalSession, EphemeralOnLocalSessionError],
  [ErrorCode.NoWatcher, NoWatcherError],
  [ErrorCode.QuotaExceeded, QuotaExceededError],
  [ErrorCode.ThrottledOp, ThrottledError],
  [ErrorCode.ReconfigDisabled, ReconfigDisabledError],
  [ErrorCode.ReconfigInProgress, ReconfigInProgressError],
  [ErrorCode.NewConfigNoQuorum, NewConfigNoQuorumError],
])

/** The error of the class that belongs to `code`. */
export function zkError(code: number, details: ErrorDetails = {}): ZkError {
  return new (classes.get(code) ?? ZkError)(code, details)
}
