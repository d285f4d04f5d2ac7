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

/** @throws BadArgumentsError for a TTL on an ephemeral or container */
export function createFlags(mode: CreateMode, ttlMs: number | undefined): CreateFlags {
  if (ttlMs === undefined) return flagsOf[mode]
  if (mode === 'persistent') return CreateFlags.PersistentWithTtl
  if (mode === 'persistentSequential') return CreateFlags.PersistentSequentialWithTtl
  throw new BadArgumentsError(ErrorCode.BadArguments, { op: 'create', reason: `${mode} with ttlMs` })
}
