/** A multi, written down op by op. All of it happens, with one zxid, or none of it. */
import { type Acl, ErrorCode, type OpResult, type Zxid } from '@corral/protocol'
import type { CallOptions } from './call-options.ts'
import type { MultiResult } from './call-results.ts'
import type { CreateMode } from './create-mode.ts'
import { TransactionError, zkError } from './errors.ts'

/**
 * One operation of a multi, with client paths. Left out: version -1 (any), the open ACL, mode persistent, no
 * bytes.
 */
export type TransactionOp =
  | {
      readonly kind: 'create'
      readonly path: string
      readonly data?: Uint8Array | string | null | undefined
      readonly mode?: CreateMode | undefined
      readonly acl?: readonly Acl[] | undefined
      readonly ttlMs?: number | undefined
      /** Asks for the Stat in the result; servers before 3.9 leave it out all the same. */
      readonly withStat?: boolean | undefined
    }
  | { readonly kind: 'delete'; readonly path: string; readonly version?: number | undefined }
  | {
      readonly kind: 'setData'
      readonly path: string
      readonly data: Uint8Array | string | null
      readonly version?: number | undefined
    }
  | { readonly kind: 'check'; readonly path: string; readonly version?: number | undefined }

/** One read of a multiRead, with client paths. */
export interface ReadOp {
  readonly kind: 'getData' | 'getChildren'
  readonly path: string
}

type Create = Extract<TransactionOp, { kind: 'create' }>

/** Collects the operations of a multi: `await zk.transaction().check('/a', 3).create('/a/b').commit()`. */
export class Transaction {
  readonly #ops: TransactionOp[] = []
  readonly #commit: (ops: readonly TransactionOp[], options?: CallOptions) => Promise<MultiResult>

  /** @internal Made by `Client.transaction`. */
  constructor(commit: (ops: readonly TransactionOp[], options?: CallOptions) => Promise<MultiResult>) {
    this.#commit = commit
  }

  get ops(): readonly TransactionOp[] {
    return this.#ops
  }

  create(path: string, data?: Create['data'], options: Omit<Create, 'kind' | 'path' | 'data'> = {}): this {
    return this.add({ ...options, kind: 'create', path, data })
  }

  delete(path: string, version = -1): this {
    return this.add({ kind: 'delete', path, version })
  }

  setData(path: string, data: Uint8Array | string | null, version = -1): this {
    return this.add({ kind: 'setData', path, data, version })
  }

  /** Holds if the znode exists and, unless `version` is -1, has this version. */
  check(path: string, version = -1): this {
    return this.add({ kind: 'check', path, version })
  }

  add(op: TransactionOp): this {
    this.#ops.push(op)
    return this
  }

  /** @throws TransactionError if any operation is refused: then nothing happened */
  commit(options?: CallOptions): Promise<MultiResult> {
    return this.#commit(this.#ops, options)
  }
}

/**
 * The failed operation is the one with a code of its own: those before it were rolled back, those after not
 * tried.
 *
 * @internal
 */
export function transactionError(
  ops: readonly TransactionOp[],
  results: readonly OpResult[],
  zxid: Zxid,
): TransactionError {
  const codes = results.map(result => (result.kind === 'error' ? result.err : ErrorCode.Ok))
  const index = codes.findIndex(code => code !== ErrorCode.Ok)
  const code = codes[index] ?? ErrorCode.RuntimeInconsistency
  const op = ops[index]
  const cause = zkError(code, { op: op?.kind, path: op?.path, zxid })
  const reason = `operation ${index} of ${ops.length}: ${cause.message}`
  return new TransactionError(code, { op: 'multi', path: op?.path, zxid, reason, cause, index, results })
}
