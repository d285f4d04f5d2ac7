/**
 * What a create makes: which kind of znode, whose it is, and its place in a sequence. At top level the opcode decides
 * and the flags must agree; inside a multi the flags do.
 *
 * Source: CreateMode and EphemeralType in the Java server, and PrepRequestProcessor.validateCreateRequest.
 */
import {
  CreateFlags,
  copyBytes,
  ErrorCode,
  makeSpace,
  OpCode,
  type RequestView,
  type Space,
} from '@corral/protocol'
import type { Session } from '../session/sessions.ts'
import { containerOwnerHigh, ttlOwnerHigh } from '../tree/znodes.ts'
import { type PendingZnode, StatWord } from './pending.ts'

const longestTtlHigh = 0xff
/** Characters of a sequence number, sign included. */
const sequenceDigits = 10

export type CreateType =
  | typeof OpCode.Create
  | typeof OpCode.Create2
  | typeof OpCode.CreateContainer
  | typeof OpCode.CreateTtl

export interface Creation {
  readonly type: CreateType
  readonly isEphemeral: boolean
  readonly isSequential: boolean
}

export function isCreate(op: number): op is CreateType {
  return (
    op === OpCode.Create || op === OpCode.Create2 || op === OpCode.CreateContainer || op === OpCode.CreateTtl
  )
}

/** The flags and TTL of a create, before anything else is looked at. */
export function checkFlags(request: RequestView, type: CreateType, isTtlEnabled: boolean): ErrorCode {
  const { flags } = request
  if (!isInRange(flags)) return ErrorCode.BadArguments
  const hasTtlMode = flags >= CreateFlags.PersistentWithTtl
  if (hasTtlMode && !isTtlEnabled) return ErrorCode.Unimplemented
  if (type !== OpCode.CreateTtl) return hasTtlMode ? ErrorCode.BadArguments : ErrorCode.Ok
  if (!hasTtlMode) return ErrorCode.BadArguments
  const isLegalTtl =
    request.ttlHigh >= 0 && request.ttlHigh <= longestTtlHigh && (request.ttlHigh | request.ttlLow) !== 0
  return isLegalTtl ? ErrorCode.Ok : ErrorCode.BadArguments
}

/**
 * Inside a multi the flags of a create redirect its kind. @returns undefined for flags that spoil the whole multi; those
 * of a createTTL that are none spoil that op alone
 */
export function multiCreateType(op: CreateType, flags: number): CreateType | undefined {
  const isTtl = op === OpCode.CreateTtl
  if (!isInRange(flags) || flags >= CreateFlags.PersistentWithTtl) return isTtl ? OpCode.CreateTtl : undefined
  if (op === OpCode.CreateContainer || flags === CreateFlags.Container) return OpCode.CreateContainer
  return op === OpCode.Create2 ? OpCode.Create2 : OpCode.Create
}

function isInRange(flags: number): boolean {
  return flags >= CreateFlags.Persistent && flags <= CreateFlags.PersistentSequentialWithTtl
}

export function creationOf(type: CreateType, flags: number): Creation {
  return { type, isEphemeral: isEphemeral(type, flags), isSequential: isSequential(flags) }
}

function isEphemeral(type: CreateType, flags: number): boolean {
  if (type === OpCode.CreateContainer || type === OpCode.CreateTtl) return false
  return flags === CreateFlags.Ephemeral || flags === CreateFlags.EphemeralSequential
}

function isSequential(flags: number): boolean {
  return (
    flags === CreateFlags.PersistentSequential ||
    flags === CreateFlags.EphemeralSequential ||
    flags === CreateFlags.PersistentSequentialWithTtl
  )
}

/** Writes the stored owner of a new znode, which says its kind, too. */
export function setOwner(
  znode: PendingZnode,
  session: Session | undefined,
  request: RequestView,
  creation: Creation,
): void {
  const { stat } = znode
  if (creation.type === OpCode.CreateContainer) stat[StatWord.Owner] = containerOwnerHigh
  else if (creation.type === OpCode.CreateTtl) {
    stat[StatWord.Owner] = ttlOwnerHigh | request.ttlHigh
    stat[StatWord.Owner + 1] = request.ttlLow
  } else if (creation.isEphemeral) {
    stat[StatWord.Owner] = session?.high ?? 0
    stat[StatWord.Owner + 1] = session?.low ?? 0
  }
}

/** The path of a sequential create with its number appended, from 0. */
export class SequentialPath {
  space: Space = makeSpace(256)

  /** @returns how long it is */
  write(source: Space, from: number, to: number, sequence: number): number {
    const length = to - from
    if (this.space.bytes.length < length + sequenceDigits + 1) this.space = makeSpace(2 * length + 32)
    copyBytes(source, from, to, this.space, 0)
    const digits =
      sequence < 0
        ? `-${String(-sequence).padStart(sequenceDigits - 1, '0')}`
        : String(sequence).padStart(sequenceDigits, '0')
    for (let i = 0; i < digits.length; i++) this.space.bytes[length + i] = digits.charCodeAt(i)
    return length + digits.length
  }
}
