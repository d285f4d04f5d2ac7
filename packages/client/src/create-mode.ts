import { CreateFlags, ErrorCode } from '@corral/protocol'
import { BadArgumentsError } from './errors.ts'

/** Kinds of znode. A time to live is given apart, with `ttlMs`, and only to the two persistent kinds. */
export type CreateMode =
  | 'persistent'
  | 'persistentSequential'
  | 'ephemeral'
  | 'ephemeralSequential'
  | 'container'

const flagsOf: Readonly<Record<CreateMode, CreateFlags>> = {
  persistent: CreateFlags.Persistent,
  persistentSequential: CreateFlags.PersistentSequential,
  ephemeral: CreateFlags.Ephemeral,
  ephemeralSequential: CreateFlags.EphemeralSequential,
  container: CreateFlags.Container,
}

/** Whether the server appends a number to the name. */
export function isSequential(mode: CreateMode): boolean {
  return mode === 'persistentSequential' || mode === 'ephemeralSequential'
}

/** @throws BadArgumentsError for a mode that is none, and for a TTL on an ephemeral or container */
export function createFlags(mode: CreateMode, ttlMs: number | undefined): CreateFlags {
  if (!Object.hasOwn(flagsOf, mode))
    throw refuse(`mode ${mode} is none of ${Object.keys(flagsOf).join(', ')}`)
  if (ttlMs === undefined) return flagsOf[mode]
  if (!Number.isSafeInteger(ttlMs)) throw refuse(`ttlMs ${ttlMs} is no whole number`)
  if (mode === 'persistent') return CreateFlags.PersistentWithTtl
  if (mode === 'persistentSequential') return CreateFlags.PersistentSequentialWithTtl
  throw refuse(`${mode} with ttlMs`)
}

function refuse(reason: string): BadArgumentsError {
  return new BadArgumentsError(ErrorCode.BadArguments, { op: 'create', reason })
}
