/**
 * What callers write as requests for the server: client paths become server paths, left-out values what they stand
 * for. And back: server paths in results become client paths. The chroot is put on nowhere else, and taken off only here
 * and, in events, by `listeners.ts`.
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
  type MultiReadOp,
  OpCode,
  type OpResult,
  openAcl,
  pathProblem,
  type ReconfigRequest,
  type Request,
  type SetAclRequest,
  stripChroot,
  WatcherType,
} from '@corral/protocol'
import type { ReconfigOptions, WatchSelection } from './call-options.ts'
import { createFlags, isSequential } from './create-mode.ts'
import { BadArgumentsError } from './errors.ts'
import type { ReadOp, TransactionOp } from './transaction.ts'

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
      data: op.data === undefined ? new Uint8Array(0) : bytesOf(op),
      acl: op.acl === undefined ? openAcl : legalAcl('create', op.path, op.acl),
      flags,
    }
    if (op.ttlMs !== undefined) return { kind: 'createTtl', ...base, ttlMs: op.ttlMs }
    if (mode === 'container') return { kind: 'create', op: OpCode.CreateContainer, ...base }
    return { kind: 'create', op: op.withStat === true ? OpCode.Create2 : OpCode.Create, ...base }
  }

  /** The changes of a multi. @throws BadArgumentsError */
  changes(ops: readonly TransactionOp[]): readonly MultiOp[] {
    return listOfOps('multi', ops).map(op => this.change(op))
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
        throw refuse('multi', undefined, `kind ${kindOfOp(op)} is no change`)
    }
  }

  /**
   * Below a chroot too no client deletes its own root, as in the Java client: it asks for the root of all, which no
   * server deletes. @throws BadArgumentsError
   */
  delete(path: string, version: number | undefined): MultiOp {
    const request = this.change({ kind: 'delete', path, version })
    return path === '/' ? { ...request, path } : request
  }

  /** The reads of a multiRead. @throws BadArgumentsError */
  reads(ops: readonly ReadOp[]): readonly MultiReadOp[] {
    return listOfOps('multiRead', ops).map(op => this.#read(op))
  }

  #read({ kind, path }: ReadOp): MultiReadOp {
    const isKnown = kind === 'getData' || kind === 'getChildren'
    if (!isKnown) throw refuse('multiRead', path, `kind ${kind} is not getData or getChildren`)
    return { kind, path: this.serverPath('multiRead', path), watch: false }
  }

  /** The prefix is a text, not a path. @throws BadArgumentsError */
  getEphemerals(prefix: string): Request {
    if (typeof prefix !== 'string')
      throw refuse('getEphemerals', undefined, `prefix is ${kindOf(prefix)}, not text`)
    return { kind: 'getEphemerals', path: prefix }
  }

  /** @throws BadArgumentsError */
  reconfig(options: ReconfigOptions): ReconfigRequest {
    const { fromVersion = -1n } = options
    if (typeof fromVersion !== 'bigint') {
      throw refuse('reconfig', undefined, `fromVersion is ${kindOf(fromVersion)}, not bigint`)
    }
    return {
      kind: 'reconfig',
      joiningServers: joined(options, 'joining', ','),
      leavingServers: joined(options, 'leaving', ','),
      newMembers: joined(options, 'members', '\n'),
      configId: fromVersion,
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

function listOfOps<T>(op: string, ops: readonly T[]): readonly T[] {
  const isLegal = Array.isArray(ops) && ops.every(each => typeof each === 'object' && each !== null)
  if (isLegal) return ops
  throw refuse(op, undefined, 'the operations are no list of objects')
}

/** Null stays the wire's null. */
function bytesOf(op: {
  readonly kind: string
  readonly path: string
  readonly data?: Uint8Array | string | null | undefined
}): Uint8Array | null {
  const { kind, path, data } = op
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
  if (Array.isArray(acl) && acl.every(isAcl)) return acl
  throw refuse(op, path, 'acl is no list of { perms, scheme, id }: a number and two texts')
}

function isAcl(entry: Acl): boolean {
  const areTexts = [entry?.scheme, entry?.id].every(text => text === null || typeof text === 'string')
  return areTexts && entry.perms === (entry.perms | 0)
}

function joined(
  options: ReconfigOptions,
  name: 'joining' | 'leaving' | 'members',
  separator: string,
): string | null {
  const list = options[name]
  if (list === undefined) return null
  const isLegal = Array.isArray(list) && list.every(each => typeof each === 'string')
  if (!isLegal) throw refuse('reconfig', undefined, `${name} is no list of texts`)
  return list.join(separator)
}

function refuse(op: string, path: string | undefined, reason: string): BadArgumentsError {
  return new BadArgumentsError(ErrorCode.BadArguments, { op, path, reason })
}

function kindOfOp(op: never): unknown {
  return (op as { readonly kind?: unknown } | undefined)?.kind
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value === 'object' ? 'an object' : typeof value
}

/** The wire's number for a choice of watches. @throws BadArgumentsError */
export function watcherType(op: string, path: string, selection: WatchSelection = 'any'): WatcherType {
  if (Object.hasOwn(watcherTypes, selection)) return watcherTypes[selection]
  throw refuse(op, path, `type ${selection} is none of ${Object.keys(watcherTypes).join(', ')}`)
}

const watcherTypes: Readonly<Record<WatchSelection, WatcherType>> = {
  data: WatcherType.Data,
  children: WatcherType.Children,
  any: WatcherType.Any,
  persistent: WatcherType.Persistent,
  persistentRecursive: WatcherType.PersistentRecursive,
}
