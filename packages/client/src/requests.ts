/**
 * What callers write as requests for the server: client paths become server paths, left-out values what they stand
 * for. And back: server paths in results become client paths. Only here is the chroot put on and taken off.
 */
import {
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
      data: bytesOf(op.data),
      acl: op.acl ?? openAcl,
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
        return { kind: op.kind, path: this.serverPath(op.kind, op.path), version: op.version ?? anyVersion }
      case 'setData':
        return {
          kind: 'setData',
          path: this.serverPath('setData', op.path),
          data: bytesOf(op.data),
          version: op.version ?? anyVersion,
        }
      default:
        return unreachable(op)
    }
  }

  /** The server judges a sequential name with its number. */
  #sequentialPath(path: string): string {
    legalPath('create', `${path}1`)
    return this.chroot + path
  }
}

function legalPath(op: string, path: string): string {
  const problem = pathProblem(path)
  if (problem !== undefined) {
    throw new BadArgumentsError(ErrorCode.BadArguments, { op, path, reason: problem })
  }
  return path
}

/** Left out is no bytes; null stays the wire's null. */
export function bytesOf(data: Uint8Array | string | null | undefined): Uint8Array | null {
  if (data === undefined) return new Uint8Array(0)
  return typeof data === 'string' ? encodeUtf8(data) : data
}

/** The wire's number for a choice of watches. */
export const watcherTypes: Readonly<Record<WatchSelection, WatcherType>> = {
  data: WatcherType.Data,
  children: WatcherType.Children,
  any: WatcherType.Any,
  persistent: WatcherType.Persistent,
  persistentRecursive: WatcherType.PersistentRecursive,
}
