/**
 * What callers write as requests for the server: client paths become server paths, left-out values what they stand
 * for. And back: server paths in results become client paths. Only here is the chroot put on and taken off.
 */
import {
  type Acl,
  addChroot,
  anyVersion,
  type CreateRequest,
  type CreateTtlRequest,
  ErrorCode,
  encodeUtf8,
  type MultiOp,
  OpCode,
  type OpResult,
  openAcl,
  pathProblem,
  type SetAclRequest,
  stripChroot,
  unreachable,
  WatcherType,
} from '@corral/protocol'
import type { WatchSelection } from './call-options.ts'
import { createFlags, isSequential } from './create-mode.ts'
import { BadArgumentsError } from './errors.ts'
import type { TransactionOp } from './transaction.ts'

export class Requests {
  /** Path below which the client lives; '' for none. */
  readonly chroot: string

  constructor(chroot: string) {
    this.chroot = chroot
  }

  /** @throws BadArgumentsError */
  serverPath(op: string, path: string): string {
    return addChroot(this.chroot, legalPath(op, path))
  }

  clientPath(path: string): string {
    return stripChroot(this.chroot, path)
  }

  clientResults(results: readonly OpResult[]): readonly OpResult[] {
    return results.map(result =>
      result.kind === 'created' ? { ...result, path: this.clientPath(result.path) } : result,
    )
  }

  /** @throws BadArgumentsError */
  create(op: Extract<TransactionOp, { kind: 'create' }>): CreateRequest | CreateTtlRequest {
    const mode = op.mode ?? 'persistent'
    const flags = createFlags(mode, op.ttlMs)
    const base = {
      path: isSequential(mode) ? this.#sequentialPath(op.path) : this.serverPath('create', op.path),
      data: bytesOf(op),
      acl: op.acl === undefined ? openAcl : legalAcl('create', op.path, op.acl),
      flags,
    }
    if (op.ttlMs !== undefined) return { kind: 'createTtl', ...base, ttlMs: op.ttlMs }
    if (mode === 'container') return { kind: 'create', op: OpCode.CreateContainer, ...base }
    return { kind: 'create', op: op.withStat === true ? OpCode.Create2 : OpCode.Create, ...base }
  }

  /** A change, alone or in a multi. @throws BadArgumentsError */
  change(op: TransactionOp): MultiOp {
    switch (op.kind) {
      case 'create':
        return this.create(op)
      case 'delete':
      case 'check':
        return { kind: op.kind, path: this.serverPath(op.kind, op.path), version: versionOf(op) }
      case 'setData':
        return {
          kind: 'setData',
          path: this.serverPath('setData', op.path),
          data: bytesOf(op),
          version: versionOf(op),
        }
      default:
        return unreachable(op)
    }
  }

  /** @throws BadArgumentsError */
  setAcl(path: string, acl: readonly Acl[], version: number | undefined): SetAclRequest {
    return {
      kind: 'setAcl',
      path: this.serverPath('setAcl', path),
      acl: legalAcl('setAcl', path, acl),
      version: versionOf({ kind: 'setAcl', path, version }),
    }
  }

  /** The server judges a sequential name with its number. */
  #sequentialPath(path: string): string {
    legalPath('create', typeof path === 'string' ? `${path}1` : path)
    return this.chroot + path
  }
}

// What TypeScript rules out comes all the same, from JSON and from JavaScript; written to the wire as it is, it
// would take the connection's other calls with it.

function legalPath(op: string, path: string): string {
  if (typeof path !== 'string') throw refuse(op, undefined, `path is ${kindOf(path)}, not text`)
  const problem = pathProblem(path)
  if (problem !== undefined) throw refuse(op, path, problem)
  return path
}

/** Left out is no bytes; null stays the wire's null. */
function bytesOf(op: {
  readonly kind: string
  readonly path: string
  readonly data?: Uint8Array | string | null | undefined
}): Uint8Array | null {
  const { kind, path, data = new Uint8Array(0) } = op
  if (typeof data === 'string') return encodeUtf8(data)
  if (data === null || data instanceof Uint8Array) return data
  throw refuse(kind, path, `data is ${kindOf(data)}, not text, Uint8Array or null`)
}

function versionOf(op: {
  readonly kind: string
  readonly path: string
  readonly version?: number | undefined
}): number {
  const { kind, path, version = anyVersion } = op
  if (version !== (version | 0)) throw refuse(kind, path, `version ${version} is no 32-bit number`)
  return version
}

function legalAcl(op: string, path: string, acl: readonly Acl[]): readonly Acl[] {
  const isLegal = Array.isArray(acl) && acl.every(entry => Number.isInteger(entry?.perms))
  if (!isLegal) throw refuse(op, path, 'acl is no list of { perms, scheme, id } with a number for perms')
  return acl
}

function refuse(op: string, path: string | undefined, reason: string): BadArgumentsError {
  return new BadArgumentsError(ErrorCode.BadArguments, { op, path, reason })
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value === 'object' ? 'an object' : typeof value
}

/** The wire's number for a choice of watches. */
export const watcherTypes: Readonly<Record<WatchSelection, WatcherType>> = {
  data: WatcherType.Data,
  children: WatcherType.Children,
  any: WatcherType.Any,
  persistent: WatcherType.Persistent,
  persistentRecursive: WatcherType.PersistentRecursive,
}
