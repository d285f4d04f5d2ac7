/** What the calls of a client give. */
import type { Acl, OpResult, ReplyBody, Stat, Zxid } from '@corral/protocol'

/** A znode read. */
export interface DataResult {
  /** null where null was stored, which is not the same as no bytes. */
  readonly data: Uint8Array | null
  readonly stat: Stat
  /** What the server had applied when it answered. */
  readonly zxid: Zxid
}

/** The children of a znode, and its own Stat. */
export interface ChildrenResult {
  /** Names, not paths; in no order. */
  readonly children: readonly string[]
  readonly stat: Stat
  /** What the server had applied when it answered. */
  readonly zxid: Zxid
}

/** An ACL, which callers without ADMIN get with its digests blacked out. */
export interface AclResult {
  readonly acl: readonly Acl[]
  readonly stat: Stat
  /** What the server had applied when it answered. */
  readonly zxid: Zxid
}

/** A znode made. */
export interface CreateResult {
  /** As it was made, with its number if sequential. */
  readonly path: string
  readonly stat: Stat
  /** The txn's: equal to `stat.czxid`. */
  readonly zxid: Zxid
}

/** What became of a multi, or a multiRead. */
export interface MultiResult {
  /** One for each operation, in order; created paths are client paths. */
  readonly results: readonly OpResult[]
  /** Of the txn; of a multiRead what the server had applied. */
  readonly zxid: Zxid
}

/** A reply as it came, with server paths. */
export interface Reply {
  /** The number that the connection gave the request. */
  readonly xid: number
  /** Of the txn, or what the server had applied; some answers carry 0. */
  readonly zxid: Zxid
  readonly body: ReplyBody
}
