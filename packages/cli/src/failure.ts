/** A command that could not be done: what is said on stderr, and with which exit code the process ends. */
import { ConnectionLossError, ErrorCode, ZkError } from '@corral/client'

export const exitCodes = { done: 0, failed: 1, misused: 2, unknownCommand: 127 } as const

export class CommandError extends Error {
  override readonly name: string = 'CommandError'
  readonly exitCode: number

  constructor(message: string, exitCode: number = exitCodes.failed) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Codes that zkCli has a sentence for; the path follows. Source: CliWrapperException in the Java shell. */
const sentences: ReadonlyMap<number, string> = new Map([
  [ErrorCode.NoNode, 'Node does not exist: '],
  [ErrorCode.NoChildrenForEphemerals, 'Ephemerals cannot have children: '],
  [ErrorCode.NodeExists, 'Node already exists: '],
  [ErrorCode.NotEmpty, 'Node not empty: '],
  [ErrorCode.NotReadOnly, 'Not a read-only call: '],
  [ErrorCode.InvalidAcl, 'Acl is not valid : '],
  [ErrorCode.NoAuth, 'Insufficient permission : '],
  [ErrorCode.BadArguments, 'Arguments are not valid : '],
  [ErrorCode.BadVersion, 'version No is not valid : '],
  [ErrorCode.QuotaExceeded, 'Quota has exceeded : '],
])

const wholeSentences: ReadonlyMap<number, string> = new Map([
  [
    ErrorCode.ReconfigInProgress,
    'Another reconfiguration is in progress -- concurrent reconfigs not supported (yet)',
  ],
  [
    ErrorCode.NewConfigNoQuorum,
    'No quorum of new config is connected and up-to-date with the leader of last commmitted config' +
      ' - try invoking reconfiguration after new servers are connected and synced',
  ],
])

/** Names of the codes, as Java spells them. Source: KeeperException.getCodeMessage. */
const javaNames: ReadonlyMap<number, string> = new Map([
  [ErrorCode.SystemError, 'SystemError'],
  [ErrorCode.RuntimeInconsistency, 'RuntimeInconsistency'],
  [ErrorCode.DataInconsistency, 'DataInconsistency'],
  [ErrorCode.ConnectionLoss, 'ConnectionLoss'],
  [ErrorCode.MarshallingError, 'MarshallingError'],
  [ErrorCode.NewConfigNoQuorum, 'NewConfigNoQuorum'],
  [ErrorCode.ReconfigInProgress, 'ReconfigInProgress'],
  [ErrorCode.Unimplemented, 'Unimplemented'],
  [ErrorCode.OperationTimeout, 'OperationTimeout'],
  [ErrorCode.RequestTimeout, 'RequestTimeout'], // Java has no name for it
  [ErrorCode.BadArguments, 'BadArguments'],
  [ErrorCode.ApiError, 'APIError'],
  [ErrorCode.NoNode, 'NoNode'],
  [ErrorCode.NoAuth, 'NoAuth'],
  [ErrorCode.BadVersion, 'BadVersion'],
  [ErrorCode.NoChildrenForEphemerals, 'NoChildrenForEphemerals'],
  [ErrorCode.NodeExists, 'NodeExists'],
  [ErrorCode.InvalidAcl, 'InvalidACL'],
  [ErrorCode.AuthFailed, 'AuthFailed'],
  [ErrorCode.NotEmpty, 'Directory not empty'],
  [ErrorCode.SessionExpired, 'Session expired'],
  [ErrorCode.InvalidState, 'Session expired'], // closed by this client: Java has no other name for it
  [ErrorCode.InvalidCallback, 'Invalid callback'],
  [ErrorCode.SessionMoved, 'Session moved'],
  [ErrorCode.NotReadOnly, 'Not a read-only call'],
  [ErrorCode.EphemeralOnLocalSession, 'Ephemeral node on local session'],
  [ErrorCode.NoWatcher, 'No such watcher'],
  [ErrorCode.ReconfigDisabled, 'Reconfig is disabled'],
  [ErrorCode.SessionClosedRequireSaslAuth, 'Session closed because client failed to authenticate'],
  [ErrorCode.QuotaExceeded, 'Quota has exceeded'],
  [ErrorCode.ThrottledOp, 'Op throttled due to high load'],
])

/** What zkCli says for an error of the server or the session. */
export function zkErrorText(error: ZkError): string {
  const whole = wholeSentences.get(error.code)
  if (whole !== undefined) return whole
  const sentence = sentences.get(error.code)
  if (sentence !== undefined) return `${sentence}${error.path ?? null}`
  return keeperErrorText(error)
}

/** The message of the Java exception itself. */
export function keeperErrorText(error: ZkError): string {
  const name = javaNames.get(error.code) ?? `Unknown error ${error.code}`
  const path = pathless.has(error.op ?? '') ? undefined : error.path
  return path === undefined || path === ''
    ? `KeeperErrorCode = ${name}`
    : `KeeperErrorCode = ${name} for ${path}`
}

/** Calls whose Java exceptions name no path. */
const pathless: ReadonlySet<string> = new Set(['reconfig', 'getEphemerals', 'whoAmI'])

export interface Failure {
  /** Lines for stderr. */
  readonly lines: readonly string[]
  readonly exitCode: number
  /** Present if the server or the session refused. */
  readonly error: ZkError | undefined
}

/** @returns undefined for what is not a failed command but a mistake in this program */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof CommandError)
    return { lines: [error.message], exitCode: error.exitCode, error: undefined }
  if (!(error instanceof ZkError)) return undefined
  const lines = [zkErrorText(error)]
  // "ConnectionLoss" alone leaves one guessing which server was asked and what it said.
  if (error instanceof ConnectionLossError && error.reason !== undefined) lines.push(`(${error.reason})`)
  return { lines, exitCode: exitCodes.failed, error }
}
