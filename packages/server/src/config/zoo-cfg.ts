/**
 * From zoo.cfg, `-D` definitions and command-line options to one frozen configuration, or to all that is wrong with
 * them at once. The file wins over definitions, as in the original; options win over the file.
 */
import type { ServerConfig } from '@corral/core'
import { assert, type Property, parseProperties } from '@corral/protocol'
import { aliases, type Key, keys } from './keys.ts'
import { nearest } from './nearest.ts'
import { readServerLine } from './server-line.ts'
import {
  coreConfig,
  crossProblems,
  deepFreeze,
  defaultSettings,
  type Overrides,
  override,
  type ProcessSettings,
  type Settings,
} from './settings.ts'

export interface ConfigSources {
  /** `text`: the bytes as latin1. */
  readonly file: { readonly path: string; readonly text: string } | undefined
  readonly definitions: readonly Definition[]
  /** Settings that count if nothing else sets them. */
  readonly base?: Overrides
  /** Settings that count whatever else sets them. */
  readonly options?: Overrides
  /** What is wrong with those options. */
  readonly problems?: readonly string[]
}

/** A system property: `-Dname=value`. */
export interface Definition {
  readonly name: string
  readonly value: string
  /** Where it was given: `command line`, `JVMFLAGS` … */
  readonly origin: string
}

export interface ConfigNotice {
  readonly level: 'info' | 'warn'
  /** `path:line` or the origin of a definition. */
  readonly where: string
  readonly key: string
  readonly message: string
}

export interface ConfigProblem {
  readonly where: string
  readonly key: string
  readonly message: string
}

export type LoadedConfig =
  | {
      readonly ok: true
      readonly core: ServerConfig
      readonly process: ProcessSettings
      readonly notices: readonly ConfigNotice[]
    }
  | {
      readonly ok: false
      readonly problems: readonly ConfigProblem[]
      readonly notices: readonly ConfigNotice[]
    }

export function loadConfig(sources: ConfigSources): LoadedConfig {
  const loader = new Loader(sources)
  return loader.load()
}

class Loader {
  readonly #sources: ConfigSources
  readonly #settings: Settings
  readonly #notices: ConfigNotice[] = []
  readonly #problems: ConfigProblem[] = []
  /** How each key was set last, and where. */
  readonly #written: Map<string, { readonly value: string; readonly where: string }> = new Map()
  readonly #membership: { where: string; key: string; value: string }[] = []
  readonly #ofEnsembles: { where: string; key: string }[] = []

  constructor(sources: ConfigSources) {
    this.#sources = sources
    this.#settings = defaultSettings()
    override(this.#settings, sources.base ?? {})
  }

  load(): LoadedConfig {
    for (const message of this.#sources.problems ?? []) this.#refuse('command line', '', message)
    for (const definition of this.#sources.definitions) this.#define(definition)
    const { file } = this.#sources
    if (file !== undefined) this.#readFile(file)
    this.#judgeMembership()
    override(this.#settings, this.#sources.options ?? {})
    const isBadAlready = new Set(this.#problems.map(({ key }) => key))
    for (const { key, other, message } of crossProblems(this.#settings, this.#written)) {
      if (!isBadAlready.has(key) && !isBadAlready.has(other ?? key))
        this.#refuse(this.#whereIs(key), key, message)
    }
    if (this.#problems.length > 0) return { ok: false, problems: this.#problems, notices: this.#notices }
    this.#noteEnsembleKeys()
    this.#noteDefaults()
    const core = deepFreeze(coreConfig(this.#settings))
    return { ok: true, core, process: deepFreeze(processSettings(this.#settings)), notices: this.#notices }
  }

  #readFile({ path, text }: { readonly path: string; readonly text: string }): void {
    if (isAmbiguouslyRelative(path))
      this.#note('warn', path, '', `${path} is relative. Prepend ./ to indicate that you're sure!`)
    const { properties, malformed } = parseProperties(text)
    for (const { line, problem } of malformed) this.#refuse(`${path}:${line}`, '', problem)
    const lastOf = new Map(properties.map(each => [each.key, each]))
    for (const each of properties) {
      const where = `${path}:${each.line}`
      const counting = lastOf.get(each.key)
      if (counting === each) this.#readProperty(each, where)
      else this.#note('warn', where, each.key, `is written again in line ${counting?.line}, which counts`)
    }
  }

  #readProperty({ key: written, value }: Property, where: string): void {
    const { key, row } = resolve(written)
    if (row === undefined) {
      this.#noteUnknown(where, written)
      return
    }
    if (key !== written || row.form === 'bare') {
      const effect = 'has no effect in the original'
      this.#note(
        'info',
        where,
        written,
        key === written ? `${effect}, and is accepted here` : `${effect}; read as ${key}`,
      )
    }
    const defined = this.#written.get(key)
    if (defined !== undefined)
      this.#note('warn', where, key, `counts instead of the definition (${defined.where})`)
    this.#apply(row, key, value, where)
  }

  #define({ name, value, origin }: Definition): void {
    const { key, row } = resolve(name)
    const isOurs = name.startsWith('zookeeper.') || (row !== undefined && bareNames.has(name))
    if (!isOurs && exact.has(key))
      this.#note('warn', origin, `-D${name}`, `has no effect; did you mean -Dzookeeper.${key}?`)
    else if (!isOurs) this.#note('info', origin, `-D${name}`, 'has no meaning here')
    else if (row === undefined) this.#noteUnknown(origin, key)
    else this.#apply(row, key, value, origin)
  }

  #apply(row: Key, key: string, value: string, where: string): void {
    this.#written.set(key, { value, where })
    const { fate, form } = row
    switch (fate.kind) {
      case 'honoured': {
        const read = fate.set(this.#settings, value, key)
        if (read.ok && read.remark !== undefined) this.#note('warn', where, key, read.remark)
        if (read.ok) return
        if (form === 'native') this.#refuse(where, key, read.problem)
        else this.#note('warn', where, key, `${read.problem}; the default is used`)
        return
      }
      case 'notYet':
      case 'ensembleOnly': {
        const read = fate.check?.(value, key)
        if (read !== undefined && !read.ok) return this.#refuse(where, key, read.problem)
        if (value.toLowerCase() === 'false') return
        if (fate.kind === 'ensembleOnly') this.#ofEnsembles.push({ where, key })
        else this.#note('warn', where, key, `is not yet supported (${fate.feature})`)
        return
      }
      case 'meaningless': {
        const read = fate.check?.(value, key)
        if (read !== undefined && !read.ok) return this.#refuse(where, key, read.problem)
        if (!fate.isQuiet?.(value)) this.#note('warn', where, key, `has no meaning here: ${fate.why}`)
        return
      }
      case 'membership':
        this.#membership.push({ where, key, value })
    }
  }

  /**
   * Serving alone what the file describes as an ensemble would be a split brain. One `server.` line with
   * standaloneEnabled is a standalone server in the original too, and what its container image writes.
   */
  #judgeMembership(): void {
    const servers = this.#membership.filter(({ key }) => key.startsWith('server.'))
    const isElsewhere = this.#membership.some(({ key }) => key === 'dynamicConfigFile')
    const { isStandaloneEnabled } = this.#settings
    if (isElsewhere || servers.length > 1 || (servers.length === 1 && !isStandaloneEnabled)) {
      for (const { where, key } of this.#membership)
        this.#refuse(where, key, 'ensembles are not supported yet')
      return
    }
    const [alone] = servers
    if (alone === undefined && !isStandaloneEnabled) {
      const message = 'standaloneEnabled = false then number of participants should be >0'
      this.#refuse(this.#whereIs('standaloneEnabled'), 'standaloneEnabled', message)
    }
    for (const { where, key } of this.#membership) {
      const isServer = key === alone?.key
      const message = 'Invalid configuration, only one server specified (ignoring)'
      this.#note('warn', where, key, isServer ? message : 'has no effect on a standalone server')
    }
    if (alone !== undefined) this.#readServerLine(alone)
  }

  #readServerLine({
    where,
    key,
    value,
  }: {
    readonly where: string
    readonly key: string
    readonly value: string
  }): void {
    const read = readServerLine(key, value)
    if (!read.ok) return this.#refuse(where, key, read.problem)
    const { client, hasSecureClient } = read.value
    if (hasSecureClient) {
      this.#note('warn', where, key, 'names a secure client port, which is not yet supported (TLS)')
    }
    if (client === undefined || this.#settings.clientPort !== undefined) return
    this.#settings.clientPort = client.port
    if (client.host !== undefined) this.#settings.clientPortAddress ??= client.host
  }

  /** Every real zoo.cfg has some: one line for all of them. */
  #noteEnsembleKeys(): void {
    const [first, ...others] = this.#ofEnsembles
    if (first === undefined) return
    const message = 'is read by members of ensembles, which are not yet supported'
    const rest = others.map(({ where, key }) => `${key} (${where})`).join(', ')
    this.#note('warn', first.where, first.key, rest === '' ? message : `${message}; so are ${rest}`)
  }

  #noteDefaults(): void {
    const { file } = this.#sources
    const { purgeIntervalHours } = this.#settings
    if (file === undefined) return
    for (const key of ['dataDir', 'dataLogDir'] as const) {
      const path = this.#settings[key]
      const isFromOption = this.#sources.options?.[key] !== undefined // what a shell was given is meant so
      if (path === undefined || isFromOption || !isAmbiguouslyRelative(path)) continue
      this.#note(
        'warn',
        this.#whereIs(key),
        key,
        `${path} is relative. Prepend ./ to indicate that you're sure!`,
      )
    }
    if (purgeIntervalHours === undefined) {
      const message = `is on: the newest ${this.#settings.purgeRetainCount} snapshots and their logs are kept; 0 keeps all`
      this.#note('info', file.path, 'autopurge.purgeInterval', message)
    }
  }

  #noteUnknown(where: string, key: string): void {
    const near = nearest(key, suggestions)
    this.#note('warn', where, key, near === undefined ? 'is unknown' : `is unknown; did you mean ${near}?`)
  }

  #note(level: 'info' | 'warn', where: string, key: string, message: string): void {
    this.#notices.push({ level, where, key, message })
  }

  #refuse(where: string, key: string, message: string): void {
    this.#problems.push({ where, key, message })
  }

  #whereIs(key: string): string {
    return this.#written.get(key)?.where ?? this.#sources.file?.path ?? 'command line'
  }
}

const exact: ReadonlyMap<string, Key> = new Map(keys.map(row => [row.name, row]))
const families: readonly Key[] = keys.filter(({ name }) => name.endsWith('*'))
const bareNames: ReadonlySet<string> = new Set([
  ...keys.filter(({ form }) => form === 'bare').map(({ name }) => name),
  'fsync.warningthresholdms',
])
const suggestions: readonly string[] = [...exact.keys()].filter(name => !name.endsWith('*'))

/** A key as written, possibly by a documented alias or with the prefix of the system property. */
function resolve(written: string): { readonly key: string; readonly row: Key | undefined } {
  const plain = written.startsWith('zookeeper.') ? written.slice('zookeeper.'.length) : written
  const key = aliases.get(plain) ?? plain
  return { key, row: exact.get(key) ?? families.find(({ name }) => key.startsWith(name.slice(0, -1))) }
}

function isAmbiguouslyRelative(path: string): boolean {
  return !path.startsWith('/') && !path.startsWith('.')
}

function processSettings(settings: Settings): ProcessSettings {
  const { dataDir, clientPort, backlog } = settings
  assert(dataDir !== undefined && clientPort !== undefined, 'settings are checked before they are used')
  return {
    dataDir,
    dataLogDir: settings.dataLogDir ?? dataDir,
    host: settings.clientPortAddress?.replace(/^\[(.*)\]$/, '$1'),
    port: clientPort,
    backlog: backlog === undefined || backlog < 1 ? undefined : backlog,
    hasKeepAlive: settings.hasKeepAlive,
    isDataDirAutocreated: settings.isDataDirAutocreated,
    fourLetterWords: settings.isReadOnlyModeEnabled
      ? [...settings.fourLetterWords, 'isro']
      : settings.fourLetterWords,
    logThreshold: settings.logThreshold,
  }
}
