/**
 * What the keys set, and how it becomes the frozen configuration of core and of the process. What concerns one key
 * alone is checked where the key is read; what concerns several, here.
 */
import { defaultConfig, type Level, type ServerConfig } from '@corral/core'

export type Writable<T> = { -readonly [K in keyof T]: T[K] }
type Section = 'connectionThrottle' | 'requestThrottle' | 'largeRequest' | 'auth' | 'container' | 'storage'

/** Core's configuration while it is being read. */
type CoreSettings = Writable<Omit<ServerConfig, Section>> & {
  readonly [S in Section]: Writable<ServerConfig[S]>
}

/** What keys set: most of it is core's configuration as it is; what goes through {@link coreConfig} is its own. */
export interface Settings {
  readonly core: CoreSettings
  dataDir: string | undefined
  dataLogDir: string | undefined
  clientPort: number | undefined
  clientPortAddress: string | undefined
  backlog: number | undefined
  hasKeepAlive: boolean
  isDataDirAutocreated: boolean
  isStandaloneEnabled: boolean
  isReadOnlyModeEnabled: boolean
  fourLetterWords: readonly string[]
  logThreshold: Level
  /** -1: 2 ticks. */
  minSessionTimeoutMs: number
  /** -1: 20 ticks. */
  maxSessionTimeoutMs: number
  /** undefined: as long as the longest frame. */
  extraFrameBytes: number | undefined
  isAuthEnforced: boolean
  enforcedSchemes: readonly string[]
  isSaslRequired: boolean
  purgeRetainCount: number
  /** undefined: not written in the file. */
  purgeIntervalHours: number | undefined
}

/** What the command line may set: as a key does, before or after all keys. */
export interface Overrides {
  readonly dataDir?: string
  readonly dataLogDir?: string
  readonly clientPort?: number
  readonly clientPortAddress?: string
  readonly tickTimeMs?: number
  readonly maxClientCnxns?: number
}

/** Where a value goes. */
export type Target<T> = (settings: Settings, value: T) => void

/** A setting that is not core's, or not as it is. */
export function own<K extends Exclude<keyof Settings, 'core'>>(name: K): Target<NonNullable<Settings[K]>> {
  return (settings, value) => {
    settings[name] = value
  }
}

/** A field of core's configuration. */
export function core<K extends Exclude<keyof ServerConfig, Section>>(name: K): Target<ServerConfig[K]> {
  return ({ core: config }, value) => {
    config[name] = value
  }
}

/** A field of one part of core's configuration. */
export function section<S extends Section>(
  part: S,
): <K extends keyof ServerConfig[S]>(name: K) => Target<NonNullable<ServerConfig[S][K]>> {
  return name =>
    ({ core: config }, value) => {
      const into: Writable<ServerConfig[S]> = config[part]
      into[name] = value
    }
}

export function override(settings: Settings, overrides: Overrides): void {
  const { tickTimeMs, maxClientCnxns, ...others } = overrides
  Object.assign(settings, others)
  if (tickTimeMs !== undefined) settings.core.tickTimeMs = tickTimeMs
  if (maxClientCnxns !== undefined) settings.core.maxClientCnxns = maxClientCnxns
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
  return {
    core: structuredClone(defaultConfig),
    dataDir: undefined,
    dataLogDir: undefined,
    clientPort: undefined,
    clientPortAddress: undefined,
    backlog: undefined,
    hasKeepAlive: false,
    isDataDirAutocreated: true,
    isStandaloneEnabled: true,
    isReadOnlyModeEnabled: false,
    fourLetterWords: [],
    logThreshold: 'info',
    minSessionTimeoutMs: -1,
    maxSessionTimeoutMs: -1,
    extraFrameBytes: undefined,
    isAuthEnforced: false,
    enforcedSchemes: [],
    isSaslRequired: false,
    purgeRetainCount: 3,
    purgeIntervalHours: undefined,
  }
}

export interface CrossProblem {
  /** The key whose line is named. */
  readonly key: string
  /** Where this key is wrong by itself, there is nothing to be said of both. */
  readonly other?: string
  readonly message: string
}

const neededByQuorumSasl = [
  ['quorum.auth.serverRequireSasl', 'quorum.auth.enableSasl'],
  ['quorum.auth.learnerRequireSasl', 'quorum.auth.enableSasl'],
  ['quorum.auth.serverRequireSasl', 'quorum.auth.learnerRequireSasl'],
] as const

/**
 * What is wrong between keys, each of which is right alone.
 *
 * @param written - the text of every key that is in the configuration
 */
export function crossProblems(
  settings: Settings,
  written: ReadonlyMap<string, { readonly value: string }>,
): CrossProblem[] {
  const problems: CrossProblem[] = []
  const { min, max } = sessionTimeouts(settings)
  const isTrue = (key: string): boolean => written.get(key)?.value.toLowerCase() === 'true'
  if (settings.dataDir === undefined) problems.push({ key: 'dataDir', message: 'dataDir is not set' })
  if (settings.clientPort === undefined) {
    problems.push({
      key: 'clientPort',
      message: 'clientPort is not set: there would be no port to serve clients on',
    })
    if (settings.clientPortAddress !== undefined) {
      const message = 'clientPortAddress is set but clientPort is not set'
      problems.push({ key: 'clientPortAddress', other: 'clientPort', message })
    }
  }
  if (written.has('secureClientPortAddress') && !written.has('secureClientPort')) {
    const message = 'secureClientPortAddress is set but secureClientPort is not set'
    problems.push({ key: 'secureClientPortAddress', message })
  }
  for (const [key, needed] of neededByQuorumSasl) {
    if (!isTrue(key) || isTrue(needed)) continue
    problems.push({ key, other: needed, message: `${needed} is disabled, so cannot enable ${key}` })
  }
  if (min > max) {
    const message = `minSessionTimeout must not be larger than maxSessionTimeout (${min} and ${max} ms)`
    problems.push({ key: 'minSessionTimeout', other: 'maxSessionTimeout', message })
  }
  if (settings.isAuthEnforced && settings.enforcedSchemes.length === 0) {
    problems.push({
      key: 'enforce.auth.enabled',
      message: 'enforce.auth.enabled is true, and enforce.auth.schemes names no scheme',
    })
  }
  // Which schemes the providers are for that the original would load is not known.
  const hasProviders = [...written.keys()].some(key => /^authProvider\.|^secureClientPort$/.test(key))
  const available = settings.core.auth.isDigestEnabled ? ['digest', 'ip'] : ['ip']
  for (const scheme of hasProviders ? [] : (enforcedSchemes(settings) ?? [])) {
    if (available.includes(scheme)) continue
    const key = settings.isSaslRequired ? 'sessionRequireClientSASLAuth' : 'enforce.auth.schemes'
    problems.push({ key, message: `Authentication scheme ${scheme} is not available.` })
  }
  return problems
}

/** For settings without {@link crossProblems}. */
export function coreConfig(settings: Settings): ServerConfig {
  const { core: config, extraFrameBytes, purgeIntervalHours, purgeRetainCount } = settings
  const { min, max } = sessionTimeouts(settings)
  const isPurging = purgeIntervalHours === undefined || purgeIntervalHours > 0
  return {
    ...config,
    minSessionTimeoutMs: min,
    maxSessionTimeoutMs: max,
    extraFrameBytes: extraFrameBytes ?? Math.max(1024, config.maxFrameBytes),
    auth: { ...config.auth, enforcedSchemes: enforcedSchemes(settings) },
    storage: { ...config.storage, purge: isPurging ? { retainCount: purgeRetainCount } : undefined },
  }
}

/** What an int of the handshake holds: where 20 ticks are longer, the Java server answers with a negative timeout. */
const longestTimeoutMs = 0x7fff_ffff

function sessionTimeouts({ core: { tickTimeMs }, minSessionTimeoutMs, maxSessionTimeoutMs }: Settings): {
  min: number
  max: number
} {
  const ticks = (count: number): number => Math.min(count * tickTimeMs, longestTimeoutMs)
  return {
    min: minSessionTimeoutMs === -1 ? ticks(2) : minSessionTimeoutMs,
    max: maxSessionTimeoutMs === -1 ? ticks(20) : maxSessionTimeoutMs,
  }
}

/** A required SASL identity that nobody can have yet keeps everybody out, which is the safe reading. */
function enforcedSchemes(settings: Settings): readonly string[] | undefined {
  if (settings.isSaslRequired) return ['sasl']
  return settings.isAuthEnforced ? settings.enforcedSchemes : undefined
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const each of Object.values(value)) deepFreeze(each)
  return value
}
