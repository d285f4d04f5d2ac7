/** What the calls of a client take, besides the path. */
import type { Acl } from '@corral/protocol'
import type { CreateMode } from './create-mode.ts'
import type { PersistentWatch, WatchEvent, WatchListener } from './watch.ts'

/** Options of every call. */
export interface CallOptions {
  /**
   * Gives up waiting and rejects with the signal's reason. A request already sent may still take effect. Once the
   * call is answered the signal does nothing more: a watch that the call has set is taken back with `Client.unwatch`.
   */
  readonly signal?: AbortSignal | undefined
}

/** How long to wait for a connection. */
export interface ConnectOptions extends CallOptions {
  /** Default: the session timeout, see {@link Client.sessionTimeoutMs}. */
  readonly timeoutMs?: number | undefined
}

/** Options of the reads that can leave a one-shot watch. */
export interface WatchOptions extends CallOptions {
  /** Hears of the next change, once. */
  readonly watch?: WatchListener | undefined
}

/** Options of the changes that can insist on a version. */
export interface VersionOptions extends CallOptions {
  /** The version that must be there; default -1, any. */
  readonly version?: number | undefined
}

/** What kind of znode to make, and for whom. */
export interface CreateOptions extends CallOptions {
  /** Default persistent. */
  readonly mode?: CreateMode | undefined
  /** Default everybody, all permissions. */
  readonly acl?: readonly Acl[] | undefined
  /** Makes a TTL znode: it goes when it has had no child and no change for this long. */
  readonly ttlMs?: number | undefined
}

/** How far a persistent watch reaches, and how its events are taken. */
export interface AddWatchOptions extends CallOptions {
  /** Also hear of everything below the path (then without NodeChildrenChanged). Default false. */
  readonly isRecursive?: boolean | undefined
  /** Called for each event instead of queueing it for iteration. */
  readonly onEvent?: ((event: WatchEvent) => void) | undefined
  /** Default 10 000; what happens beyond: see {@link PersistentWatch}. */
  readonly maxQueuedEvents?: number | undefined
}

/** Which watches of a path: `data` includes those of exists. */
export type WatchSelection = 'data' | 'children' | 'any' | 'persistent' | 'persistentRecursive'

/** Which watches to remove, and what to do without a connection. */
export interface RemoveWatchesOptions extends CallOptions {
  /** Default any. */
  readonly type?: WatchSelection | undefined
  /** Forget the watches here even if the server cannot be reached, or refuses. Default false. */
  readonly isLocal?: boolean | undefined
}

/** Membership changes: `joining` and `leaving` step by step, or `members`, all there shall be. */
export interface ReconfigOptions extends CallOptions {
  readonly joining?: readonly string[] | undefined
  readonly leaving?: readonly string[] | undefined
  readonly members?: readonly string[] | undefined
  /** The version the present configuration must have; default -1, any. */
  readonly fromVersion?: bigint | undefined
}
