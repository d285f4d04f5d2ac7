/// <reference lib="esnext.disposable" preserve="true" />
/** Puts a server together and waits until it serves. Installs no signal handler and never ends the process. */
import { setTimeout as delay } from 'node:timers/promises'
import { defaultConfig, Server, type ServerConfig, seededRandom } from '@corral/core'
import type { Place } from './admin/answering.ts'
import { CommandDesk } from './admin/command-desk.ts'
import { Driver, type EndReason, systemClock } from './driver.ts'
import { ChunkPool } from './io/chunk-pool.ts'
import { type DataDirs, dirPaths, prepareDataDirs, syncDirs, versionDir } from './io/data-dirs.ts'
import { mostDescriptors } from './io/descriptors.ts'
import { type DirLock, lockDirs } from './io/dir-lock.ts'
import { type Disk, type DiskGiven, FileDisk } from './io/disk.ts'
import { MemoryDisk } from './io/memory-disk.ts'
import { ClientSockets, type ListenOptions } from './io/net.ts'
import { limited } from './log-limit.ts'
import { type LogLine, type Say, sayTo } from './log-lines.ts'
import { sha1 } from './sha1.ts'
import { ExitCode, errnoOf, StartError } from './start-error.ts'
import { corralVersion } from './version.ts'

const longestCloseMs = 500

/** Where data outlives the server: as `dataDir` and `dataLogDir` of zoo.cfg. */
export interface DirectoryStorage {
  /** Snapshots; the logs too, unless `dataLogDir` is given. Created if missing, and locked while the server runs. */
  readonly dataDir: string
  /** Txn logs, best on a disk of their own. Created and locked as well. */
  readonly dataLogDir?: string | undefined
}

/** Where a server listens, where its data is, and how it serves; everything can be left out. */
export interface StartOptions {
  /** Default: memory, gone when the server stops. */
  readonly storage?: 'memory' | DirectoryStorage | undefined
  /** Default: 127.0.0.1. */
  readonly host?: string | undefined
  /** Default: 0, any free port. */
  readonly port?: number | undefined
  /**
   * What differs from `defaultConfig`, taken as it is: nothing is checked, and nothing follows from anything else
   * (`tickTimeMs` moves no session timeout). A section is replaced whole: `{ ...defaultConfig.storage, snapCount: 1000 }`.
   */
  readonly config?: { readonly [Name in keyof ServerConfig]?: ServerConfig[Name] | undefined } | undefined
  /** Gets each line in the midst of the server's work: it must be quick, and must not throw. Default: nobody does. */
  readonly onLog?: ((line: LogLine) => void) | undefined
}

/** A server that serves clients, until it is stopped or its disk fails; `await using` stops it. */
export interface RunningServer extends AsyncDisposable {
  /** That was bound, also where any free one was asked for. */
  readonly port: number
  /** For clients on the same machine: `host:port`. */
  readonly connectString: string
  /** Resolves when it has come to an end, by {@link stop} or by itself, and no handle is left; never rejects. */
  readonly ended: Promise<EndReason>
  /**
   * Closes all connections, and makes durable what was accepted from them, answered or not; sessions live on in the data.
   * Resolves when no handle is left, at once if it has ended already; never rejects.
   */
  stop(): Promise<void>
}

/**
 * Starts a server in this process: it installs no signal handler, writes nothing to the console and never exits.
 *
 * @returns when clients are served
 * @throws StartError when a directory or the port cannot be had, another server runs on the directory, or its data
 * cannot be trusted; nothing is left open then
 */
export function startServer(options: StartOptions = {}): Promise<RunningServer> {
  const { storage = 'memory', host = '127.0.0.1', port = 0, config = {}, onLog } = options
  return launch({
    core: { ...defaultConfig, ...Object.fromEntries(Object.entries(config).filter(isGiven)) },
    storage: storage === 'memory' ? storage : dirsOf(storage),
    listen: { host, port, backlog: undefined, hasKeepAlive: false },
    isDataDirAutocreated: true,
    fourLetterWords: ['*'],
    startedAtMs: performance.now(),
    onLog: onLog ?? (() => undefined),
  })
}

/** A spread would put what is undefined in the place of a default. */
function isGiven([, value]: readonly [string, unknown]): boolean {
  return value !== undefined
}

function dirsOf({ dataDir, dataLogDir = dataDir }: DirectoryStorage): DataDirs {
  return { dataDir, dataLogDir }
}

export interface LaunchSettings {
  readonly core: ServerConfig
  readonly storage: 'memory' | DataDirs
  readonly listen: ListenOptions
  readonly isDataDirAutocreated: boolean
  /** Allowed four-letter words; `*` for all. */
  readonly fourLetterWords: readonly string[]
  /** On the clock of `performance.now()`. */
  readonly startedAtMs: number
  readonly onLog: (line: LogLine) => void
}

/** @internal Of `main.ts` and {@link startServer}. */
export async function launch(settings: LaunchSettings): Promise<RunningServer> {
  const { storage } = settings
  let lock: DirLock | undefined
  let dirsSynced: Promise<StartError | undefined> | undefined
  if (storage !== 'memory') {
    dirsSynced = syncDirs(prepareDataDirs(storage, settings.isDataDirAutocreated))
    lock = await lockDirs(storage)
  }
  const assembly = assemble(settings)
  const { driver, sockets, disk, say } = assembly
  const closeAll = async (how: 'gently' | 'at once'): Promise<void> => {
    await (how === 'gently' ? sockets.shutDown() : sockets.abort())
    // A disk that does not answer does not close either.
    await Promise.race([disk.close(), delay(longestCloseMs, undefined, { ref: false })])
    await lock?.release()
  }
  try {
    assembly.bound = await bind(sockets, settings.listen, driver)
    const problem = await dirsSynced
    if (problem !== undefined) throw problem
    lock?.confirm()
  } catch (error) {
    await closeAll('at once')
    throw error
  }
  const { bound } = assembly
  const ended = driver.ended.then(async reason => {
    await closeAll(reason.kind === 'stopped' ? 'gently' : 'at once')
    return reason
  })
  driver.start()
  const early = await Promise.race([driver.serving, driver.ended])
  if (early !== undefined) {
    await ended
    throw neverServed(early)
  }
  sayServing(say, settings, bound)
  const stop = async (): Promise<void> => {
    driver.stop()
    await ended
  }
  return {
    port: bound.port,
    connectString: connectString(bound),
    ended,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

interface Assembly {
  readonly driver: Driver
  readonly sockets: ClientSockets
  readonly disk: Disk
  readonly say: Say
  /** Port 0 until it is bound. */
  bound: Bound
}

function assemble(settings: LaunchSettings): Assembly {
  const { core, storage, fourLetterWords } = settings
  const say = limited(sayTo(settings.onLog), () => performance.now())
  const pool = new ChunkPool()
  const sockets = new ClientSockets({ pool })
  const disk = makeDisk(storage, { report: (op, result) => driver.diskDone(op, result) })
  const random = seededRandom(freshSeed())
  const driver: Driver = new Driver({
    machine: new Server({ config: core, random, chunks: pool, sha1, maybe: () => false }),
    sockets,
    pool,
    disk,
    desk: new CommandDesk({ allowed: fourLetterWords, place: () => placeOf(settings, assembly.bound), say }),
    clock: systemClock,
    tickTimeMs: core.tickTimeMs,
    say,
  })
  const assembly: Assembly = { driver, sockets, disk, say, bound: { host: '', port: 0 } }
  return assembly
}

function makeDisk(storage: LaunchSettings['storage'], given: DiskGiven): Disk {
  if (storage === 'memory') return new MemoryDisk(given)
  return new FileDisk({ ...given, paths: dirPaths(storage) })
}

function placeOf({ storage, listen, startedAtMs }: LaunchSettings, { port }: Bound): Place {
  return {
    clientPort: port,
    backlog: listen.backlog ?? -1,
    dataDir: storage === 'memory' ? undefined : versionDir(storage.dataDir),
    dataLogDir: storage === 'memory' ? undefined : versionDir(storage.dataLogDir),
    startedMonotonicMs: startedAtMs,
  }
}

interface Bound {
  readonly host: string
  readonly port: number
}

async function bind(sockets: ClientSockets, listen: ListenOptions, driver: Driver): Promise<Bound> {
  try {
    const { address, port } = await sockets.listen({ ...listen, mostConnections: mostConnections() }, driver)
    return { host: address, port }
  } catch (error) {
    const where = hostPort(listen.host ?? '*', listen.port)
    const errno = errnoOf(error)
    const why = bindReasons[errno] ?? (error instanceof Error ? error.message : String(error))
    throw new StartError(ExitCode.UnexpectedError, `cannot serve clients on ${where}: ${why}`, {
      cause: error,
    })
  }
}

/** Descriptors that clients may not take: files are opened while serving, and a log that cannot be is the end. */
const reservedDescriptors = 64

function mostConnections(): number | undefined {
  const most = mostDescriptors()
  return most === undefined ? undefined : Math.max(1, most - reservedDescriptors)
}

const bindReasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use by another process (EADDRINUSE)',
  EACCES: 'binding to this port is not permitted (EACCES)',
  EADDRNOTAVAIL: 'this machine does not have that address (EADDRNOTAVAIL)',
  ENOTFOUND: 'the host name is unknown (ENOTFOUND)',
}

function neverServed(early: EndReason): StartError {
  if (early.kind === 'fatal') return new StartError(early.exitCode, early.reason)
  return new StartError(ExitCode.UnexpectedError, 'the server was stopped before it served')
}

function sayServing(say: Say, { storage, startedAtMs }: LaunchSettings, { host, port }: Bound): void {
  say('info', 'serving', {
    version: corralVersion,
    host,
    port,
    data: storage === 'memory' ? 'memory' : storage.dataDir,
    startedInMs: Math.round(performance.now() - startedAtMs),
  })
}

/** An address that means "all" is reached as this machine. */
function connectString({ host, port }: Bound): string {
  if (host === '0.0.0.0' || host === '::') return `127.0.0.1:${port}`
  return hostPort(host, port)
}

function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Not for secrets: it makes collisions in the tree's index hard to provoke. */
function freshSeed(): number {
  return Math.floor(Math.random() * 0x1_0000_0000)
}
