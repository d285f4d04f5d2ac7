/** What core needs to know of the configuration: frozen, complete, checked by whoever made it. */
export interface ServerConfig {
  /** 1 for a standalone server. The highest byte of session ids. */
  readonly serverId: bigint
  /** Sessions that end within one tick expire together. */
  readonly tickTimeMs: number
  /** What a client asks for is raised or lowered to these, both inclusive. */
  readonly minSessionTimeoutMs: number
  readonly maxSessionTimeoutMs: number
  /** Connections per client address; 0 is unlimited. */
  readonly maxClientCnxns: number
  /** Connections in all; 0 is unlimited. */
  readonly maxCnxns: number
  /** A connection without a session is closed after this time, whatever it sends. */
  readonly sessionlessTimeoutMs: number
  /** Longest frame accepted from a client, bytes (jute.maxbuffer). */
  readonly maxFrameBytes: number
  /** Allowance above `maxFrameBytes` when reading strings and buffers back from files. */
  readonly extraFrameBytes: number
  /** A multiRead whose reply would become longer than this is refused. */
  readonly maxMultiReadReplyBytes: number
  /** Unsent bytes at which a connection is no longer read. */
  readonly unsentHighBytes: number
  /** Unsent bytes at which a connection is closed: it does not read its replies and events. */
  readonly unsentLimitBytes: number
  /** Requests accepted and not answered, of all connections; above it none is read that has some outstanding. */
  readonly globalOutstandingLimit: number
  readonly connectionThrottle: ConnectionThrottle
  readonly requestThrottle: RequestThrottle
  /**
   * Writes longer than `thresholdBytes` may have `maxBytes` outstanding together; one more closes its connection. 0 or
   * less: no write is a large one.
   */
  readonly largeRequest: { readonly thresholdBytes: number; readonly maxBytes: number }
  readonly auth: AuthConfig
  /** Hard quotas refuse what goes over them, soft ones are reported. false: usage is counted, and nothing more. */
  readonly isQuotaEnforced: boolean
  /** TTL znodes are accepted and recognised. */
  readonly isTtlEnabled: boolean
  /** false: a reconfig is answered ReconfigDisabled. true: Unimplemented, as long as there are no ensembles. */
  readonly isReconfigEnabled: boolean
  readonly container: ContainerConfig
  readonly storage: StorageConfig
}

/** Token bucket on connect requests; off while `tokens` is 0. */
export interface ConnectionThrottle {
  /** What the full bucket holds, as at the start. */
  readonly tokens: number
  /** `fillCount` tokens come back in every `fillTimeMs`. */
  readonly fillTimeMs: number
  readonly fillCount: number
  /** Time between two changes of the chance by which a request is dropped though there are tokens; below 0: none is. */
  readonly freezeTimeMs: number
  /** By how much that chance (0 to 1) rises when no token is left, and falls when at most `decreaseRatio` are used. */
  readonly dropIncrease: number
  readonly dropDecrease: number
  readonly decreaseRatio: number
  /** Sessions cost their weight in tokens, and not 1; `tokens` and `fillCount` then count new sessions. */
  readonly isWeighted: boolean
  readonly globalSessionWeight: number
  /** Of a session that comes back. */
  readonly renewSessionWeight: number
}

export interface RequestThrottle {
  /** Requests in the pipeline at once; 0 is unlimited. */
  readonly maxRequests: number
  /** A request that waited longer is answered ThrottledOp; 0 is off. */
  readonly throttledOpWaitTimeMs: number
}

/** Who may do what. */
export interface AuthConfig {
  /** No ACL is checked at all. */
  readonly isAclSkipped: boolean
  /** The scheme `digest` is known: in ACLs, and to authenticate. */
  readonly isDigestEnabled: boolean
  /** `super:<base64 sha1>`, or undefined for no super user. */
  readonly superDigest: string | undefined
  /** Schemes of which a connection must have one before anything else; undefined: not enforced. */
  readonly enforcedSchemes: readonly string[] | undefined
}

/** When containers and TTL znodes are removed. */
export interface ContainerConfig {
  readonly checkIntervalMs: number
  /** Removals in a minute, so that a clock that jumps cannot empty the tree at once. */
  readonly maxPerMinute: number
  /** Containers that never had a child go after this time; 0 keeps them. */
  readonly maxNeverUsedIntervalMs: number
}

/** What the log and snapshots are like. */
export interface StorageConfig {
  /** Zero-fill ahead of the log's end; 0 switches it off. */
  readonly preAllocBytes: number
  /** A snapshot is due after so many txns, drawn anew each time between half of it and all of it. */
  readonly snapCount: number
  /** The same for bytes of the log; 0 or less: no size trigger. */
  readonly snapSizeLimitBytes: number
  /** Roll the log at this size; 0 or less: never. */
  readonly txnLogSizeLimitBytes: number
  /** false: acknowledge before the sync (unsafe, for tests). */
  readonly isSyncForced: boolean
  /** A sync of the log that takes so long is reported. */
  readonly fsyncWarningMs: number
  /** A disk that has not answered the log for so long has failed; 0: it is waited for without end. */
  readonly stallLimitMs: number
  readonly snapshotCodec: 'plain' | 'gz' | 'snappy'
  /** Accept logs without any snapshot. */
  readonly isEmptySnapshotTrusted: boolean
  /** The tree digest is kept up to date, written to log and snapshots, and compared when they are read. */
  readonly isDigestEnabled: boolean
  /** Snapshots end in the last zxid that they hold, as since 3.9; without digests they never do. */
  readonly hasLastZxidTrailer: boolean
  /** Create an empty database where there is none (else an `initialize` marker is needed). */
  readonly isDbAutocreated: boolean
  /** At each start and after each snapshot: keeps so many that are known to be good, and their logs. undefined: all. */
  readonly purge: { readonly retainCount: number } | undefined
}

/** The longest txn that a reader of the log accepts, this server or Java's: what is longer must not be written. */
export function longestTxnBytes(config: ServerConfig): number {
  return Math.min(config.maxFrameBytes + Math.max(config.extraFrameBytes, 1024), 0x7fff_ffff)
}

/** The defaults of ZooKeeper, but for what the documentation lists as chosen otherwise (TTL znodes and purge are on). */
export const defaultConfig: ServerConfig = {
  serverId: 1n,
  tickTimeMs: 3000,
  minSessionTimeoutMs: 6000,
  maxSessionTimeoutMs: 60_000,
  maxClientCnxns: 60,
  maxCnxns: 0,
  sessionlessTimeoutMs: 10_000,
  maxFrameBytes: 0xfffff,
  extraFrameBytes: 0xfffff,
  maxMultiReadReplyBytes: 16 * 1024 * 1024,
  unsentHighBytes: 1024 * 1024,
  unsentLimitBytes: 64 * 1024 * 1024,
  globalOutstandingLimit: 1000,
  connectionThrottle: {
    tokens: 0,
    fillTimeMs: 1,
    fillCount: 1,
    freezeTimeMs: -1,
    dropIncrease: 0.02,
    dropDecrease: 0.002,
    decreaseRatio: 0,
    isWeighted: false,
    globalSessionWeight: 3,
    renewSessionWeight: 2,
  },
  requestThrottle: { maxRequests: 0, throttledOpWaitTimeMs: 0 },
  largeRequest: { thresholdBytes: -1, maxBytes: 100 * 1024 * 1024 },
  auth: { isAclSkipped: false, isDigestEnabled: true, superDigest: undefined, enforcedSchemes: undefined },
  isQuotaEnforced: false,
  isTtlEnabled: true,
  isReconfigEnabled: false,
  container: { checkIntervalMs: 60_000, maxPerMinute: 10_000, maxNeverUsedIntervalMs: 0 },
  storage: {
    preAllocBytes: 65536 * 1024,
    snapCount: 100_000,
    snapSizeLimitBytes: 4194304 * 1024,
    txnLogSizeLimitBytes: 0,
    isSyncForced: true,
    fsyncWarningMs: 1000,
    stallLimitMs: 300_000,
    snapshotCodec: 'plain',
    isEmptySnapshotTrusted: false,
    isDigestEnabled: true,
    hasLastZxidTrailer: true,
    isDbAutocreated: true,
    purge: { retainCount: 3 },
  },
}
