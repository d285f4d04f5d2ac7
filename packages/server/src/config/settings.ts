/**
 * What the keys set, one flat record of plain values, and how it becomes the frozen configuration of core and of
 * the process. What concerns one key alone is checked where the key is read; what concerns several, here.
 */
import { defaultConfig, type Level, type ServerConfig } from '@corral/core'

export interface Settings {
  dataDir: string | undefined
  dataLogDir: string | undefined
  clientPort: number | undefined
  clientPortAddress: string | undefined
  backlog: number | undefined
  tickTimeMs: number
  minSessionTimeoutMs: number
  maxSessionTimeoutMs: number
  maxClientCnxns: number
  maxCnxns: number
  sessionlessTimeoutMs: number
  maxBufferBytes: number
  extraBufferBytes: number | undefined
  globalOutstandingLimit: number
  throttleTokens: number
  throttleFillTimeMs: number
  throttleFillCount: number
  throttleFreezeTimeMs: number
  throttleDropIncrease: number
  throttleDropDecrease: number
  throttleDecreaseRatio: number
  isThrottleWeighted: boolean
  throttleGlobalWeight: number
  throttleRenewWeight: number
  maxRequests: number
  requestStallTimeMs: number
  isStaleDropped: boolean
  isLatencyStale: boolean
  isConnectionStale: boolean
  throttledOpWaitTimeMs: number
  largeRequestThresholdBytes: number
  largeRequestMaxBytes: number
  isAclSkipped: boolean
  isDigestAuthEnabled: boolean
  superDigest: string | undefined
  isAuthEnforced: boolean
  enforcedSchemes: readonly string[]
  isSaslRequired: boolean
  isQuotaEnforced: boolean
  isTtlEnabled: boolean
  isReconfigEnabled: boolean
  isStandaloneEnabled: boolean
  isReadOnlyModeEnabled: boolean
  containerCheckIntervalMs: number
  containerMaxPerMinute: number
  containerMaxNeverUsedMs: number
  preAllocKiB: number
  snapCount: number
  snapSizeLimitKiB: number
  txnLogSizeLimitKiB: number
  isSyncForced: boolean
  fsyncWarningMs: number
  stallLimitMs: number
  snapshotCodec: '' | 'gz' | 'snappy'
  isEmptySnapshotTrusted: boolean
  isTreeDigestEnabled: boolean
  hasLastZxidTrailer: boolean
  isDbAutocreated: boolean
  isDataDirAutocreated: boolean
  purgeRetainCount: number
  /** undefined: not written in the file. */
  purgeIntervalHours: number | undefined
  hasKeepAlive: boolean
  fourLetterWords: readonly string[]
  logThreshold: Level
}

/** What the process around core needs to know. */
export interface ProcessSettings {
  readonly dataDir: string
  readonly dataLogDir: string
  /** undefined: all interfaces. */
  readonly host: string | undefined
  /** 0: any free port. */
  readonly port: number
  /** undefined: the system's default. */
  readonly backlog: number | undefined
  readonly hasKeepAlive: boolean
  /** false: a missing data directory ends the start. */
  readonly isDataDirAutocreated: boolean
  /** As written; `*` stands for all. */
  readonly fourLetterWords: readonly string[]
  readonly logThreshold: Level
}

export function defaultSettings(): Settings {
  const { connectionThrottle, requestThrottle, largeRequest, auth, container, storage } = defaultConfig
  return {
    dataDir: undefined,
    dataLogDir: undefined,
    clientPort: undefined,
    clientPortAddress: undefined,
    backlog: undefined,
    tickTimeMs: defaultConfig.tickTimeMs,
    minSessionTimeoutMs: -1,
    maxSessionTimeoutMs: -1,
    maxClientCnxns: defaultConfig.maxClientCnxns,
    maxCnxns: defaultConfig.maxCnxns,
    sessionlessTimeoutMs: defaultConfig.sessionlessTimeoutMs,
    maxBufferBytes: defaultConfig.maxFrameBytes,
    extraBufferBytes: undefined,
    globalOutstandingLimit: defaultConfig.globalOutstandingLimit,
    throttleTokens: connectionThrottle.tokens,
    throttleFillTimeMs: connectionThrottle.fillTimeMs,
    throttleFillCount: connectionThrottle.fillCount,
    throttleFreezeTimeMs: connectionThrottle.freezeTimeMs,
    throttleDropIncrease: connectionThrottle.dropIncrease,
    throttleDropDecrease: connectionThrottle.dropDecrease,
    throttleDecreaseRatio: connectionThrottle.decreaseRatio,
    isThrottleWeighted: connectionThrottle.isWeighted,
    throttleGlobalWeight: connectionThrottle.globalSessionWeight,
    throttleRenewWeight: connectionThrottle.renewSessionWeight,
    maxRequests: requestThrottle.maxRequests,
    requestStallTimeMs: requestThrottle.stallTimeMs,
    isStaleDropped: requestThrottle.isStaleDropped,
    isLatencyStale: requestThrottle.isLatencyStale,
    isConnectionStale: requestThrottle.isConnectionStale,
    throttledOpWaitTimeMs: requestThrottle.throttledOpWaitTimeMs,
    largeRequestThresholdBytes: largeRequest.thresholdBytes,
    largeRequestMaxBytes: largeRequest.maxBytes,
    isAclSkipped: auth.isAclSkipped,
    isDigestAuthEnabled: auth.isDigestEnabled,
    superDigest: auth.superDigest,
    isAuthEnforced: false,
    enforcedSchemes: [],
    isSaslRequired: false,
    isQuotaEnforced: defaultConfig.isQuotaEnforced,
    isTtlEnabled: defaultConfig.isTtlEnabled,
    isReconfigEnabled: defaultConfig.isReconfigEnabled,
    isStandaloneEnabled: true,
    isReadOnlyModeEnabled: false,
    containerCheckIntervalMs: container.checkIntervalMs,
    containerMaxPerMinute: container.maxPerMinute,
    containerMaxNeverUsedMs: container.maxNeverUsedIntervalMs,
    preAllocKiB: storage.preAllocBytes / 1024,
    snapCount: storage.snapCount,
    snapSizeLimitKiB: storage.snapSizeLimitBytes / 1024,
    txnLogSizeLimitKiB: -1,
    isSyncForced: storage.isSyncForced,
    fsyncWarningMs: storage.fsyncWarningMs,
    stallLimitMs: storage.stallLimitMs,
    snapshotCodec: '',
    isEmptySnapshotTrusted: storage.isEmptySnapshotTrusted,
    isTreeDigestEnabled: storage.isDigestEnabled,
    hasLastZxidTrailer: storage.hasLastZxidTrailer,
    isDbAutocreated: storage.isDbAutocreated,
    isDataDirAutocreated: true,
    purgeRetainCount: 3,
    purgeIntervalHours: undefined,
    hasKeepAlive: false,
    fourLetterWords: [],
    logThreshold: 'info',
  }
}

export interface CrossProblem {
  /** The key whose line is named. */
  readonly key: string
  readonly message: string
}

/** What is wrong between keys, each of which is right alone. */
export function crossProblems(settings: Settings): CrossProblem[] {
  const problems: CrossProblem[] = []
  const { min, max } = sessionTimeouts(settings)
  if (settings.dataDir === undefined) problems.push({ key: 'dataDir', message: 'dataDir is not set' })
  if (settings.clientPort === undefined) {
    problems.push({
      key: 'clientPort',
      message: 'clientPort is not set: there would be no port to serve clients on',
    })
    if (settings.clientPortAddress !== undefined) {
      const message = 'clientPortAddress is set but clientPort is not set'
      problems.push({ key: 'clientPortAddress', message })
    }
  }
  if (min > max) {
    const message = `minSessionTimeout must not be larger than maxSessionTimeout (${min} and ${max} ms)`
    problems.push({ key: 'minSessionTimeout', message })
  }
  if (settings.isAuthEnforced && settings.enforcedSchemes.length === 0) {
    problems.push({
      key: 'enforce.auth.enabled',
      message: 'enforce.auth.enabled is true, and enforce.auth.schemes names no scheme',
    })
  }
  return problems
}

/** For settings without {@link crossProblems}. */
export function coreConfig(settings: Settings): ServerConfig {
  const { min, max } = sessionTimeouts(settings)
  const isPurging = settings.purgeIntervalHours === undefined || settings.purgeIntervalHours > 0
  return {
    ...defaultConfig,
    tickTimeMs: settings.tickTimeMs,
    minSessionTimeoutMs: min,
    maxSessionTimeoutMs: max,
    maxClientCnxns: settings.maxClientCnxns,
    maxCnxns: settings.maxCnxns,
    sessionlessTimeoutMs: settings.sessionlessTimeoutMs,
    maxFrameBytes: settings.maxBufferBytes,
    extraFrameBytes: settings.extraBufferBytes ?? Math.max(1024, settings.maxBufferBytes),
    globalOutstandingLimit: settings.globalOutstandingLimit,
    connectionThrottle: {
      tokens: settings.throttleTokens,
      fillTimeMs: settings.throttleFillTimeMs,
      fillCount: settings.throttleFillCount,
      freezeTimeMs: settings.throttleFreezeTimeMs,
      dropIncrease: settings.throttleDropIncrease,
      dropDecrease: settings.throttleDropDecrease,
      decreaseRatio: settings.throttleDecreaseRatio,
      isWeighted: settings.isThrottleWeighted,
      globalSessionWeight: settings.throttleGlobalWeight,
      renewSessionWeight: settings.throttleRenewWeight,
    },
    requestThrottle: {
      maxRequests: settings.maxRequests,
      stallTimeMs: settings.requestStallTimeMs,
      isStaleDropped: settings.isStaleDropped,
      isLatencyStale: settings.isLatencyStale,
      isConnectionStale: settings.isConnectionStale,
      throttledOpWaitTimeMs: settings.throttledOpWaitTimeMs,
    },
    largeRequest: {
      thresholdBytes: settings.largeRequestThresholdBytes,
      maxBytes: settings.largeRequestMaxBytes,
    },
    auth: {
      isAclSkipped: settings.isAclSkipped,
      isDigestEnabled: settings.isDigestAuthEnabled,
      superDigest: settings.superDigest,
      enforcedSchemes: enforcedSchemes(settings),
    },
    isQuotaEnforced: settings.isQuotaEnforced,
    isTtlEnabled: settings.isTtlEnabled,
    isReconfigEnabled: settings.isReconfigEnabled,
    container: {
      checkIntervalMs: settings.containerCheckIntervalMs,
      maxPerMinute: settings.containerMaxPerMinute,
      maxNeverUsedIntervalMs: settings.containerMaxNeverUsedMs,
    },
    storage: {
      preAllocBytes: settings.preAllocKiB * 1024,
      snapCount: settings.snapCount,
      snapSizeLimitBytes: Math.max(0, settings.snapSizeLimitKiB) * 1024,
      txnLogSizeLimitBytes: Math.max(0, settings.txnLogSizeLimitKiB) * 1024,
      isSyncForced: settings.isSyncForced,
      fsyncWarningMs: settings.fsyncWarningMs,
      stallLimitMs: settings.stallLimitMs,
      snapshotCodec: settings.snapshotCodec === '' ? 'plain' : settings.snapshotCodec,
      isEmptySnapshotTrusted: settings.isEmptySnapshotTrusted,
      isDigestEnabled: settings.isTreeDigestEnabled,
      hasLastZxidTrailer: settings.hasLastZxidTrailer,
      isDbAutocreated: settings.isDbAutocreated,
      purge: isPurging ? { retainCount: settings.purgeRetainCount } : undefined,
    },
  }
}

function sessionTimeouts({ tickTimeMs, minSessionTimeoutMs, maxSessionTimeoutMs }: Settings): {
  min: number
  max: number
} {
  return {
    min: minSessionTimeoutMs === -1 ? tickTimeMs * 2 : minSessionTimeoutMs,
    max: maxSessionTimeoutMs === -1 ? tickTimeMs * 20 : maxSessionTimeoutMs,
  }
}

/** A required SASL identity that nobody can have yet keeps everybody out, which is the safe reading. */
function enforcedSchemes(settings: Settings): readonly string[] | undefined {
  if (!settings.isAuthEnforced && !settings.isSaslRequired) return undefined
  const schemes = settings.isAuthEnforced ? settings.enforcedSchemes : []
  return settings.isSaslRequired && !schemes.includes('sasl') ? [...schemes, 'sasl'] : schemes
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const each of Object.values(value)) deepFreeze(each)
  return value
}
