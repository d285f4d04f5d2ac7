/** The directories of a server on disk: present, of the right kind, writable. */
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ExitCode, errnoOf, StartError } from '../start-error.ts'
import type { DirPaths } from './disk.ts'
import { syncDir } from './file-calls.ts'

const allAccess = constants.R_OK | constants.W_OK | constants.X_OK

export interface DataDirs {
  readonly dataDir: string
  readonly dataLogDir: string
}

/** Files live one level down, as those of every ZooKeeper since 3.0. */
export function versionDir(dir: string): string {
  return join(dir, 'version-2')
}

/** Where core's directories are. */
export function dirPaths({ dataDir, dataLogDir }: DataDirs): DirPaths {
  return {
    data: versionDir(dataDir),
    log: versionDir(dataLogDir),
    dataRoot: dataDir,
    logRoot: dataLogDir,
  }
}

/**
 * @returns directories with new entries, which {@link syncDirs} makes durable: none if everything was there
 * @throws StartError that names the directory
 */
export function prepareDataDirs({ dataDir, dataLogDir }: DataDirs, isAutocreated: boolean): string[] {
  const changed = new Set<string>()
  for (const dir of new Set([dataDir, dataLogDir])) {
    const version = versionDir(dir)
    naming(version, isAutocreated, () => {
      if (isAutocreated) makeDir(version, changed)
      else if (!statSync(version).isDirectory())
        throw new StartError(ExitCode.DataDirInaccessible, `${version} is not a directory`)
    })
    for (const used of [dir, version]) naming(used, isAutocreated, () => accessSync(used, allAccess))
  }
  const [data, log] = [versionDir(dataDir), versionDir(dataLogDir)]
  if (!isSameDir(data, log)) refuseMixture(data, log)
  return [...changed]
}

/** However they are written, and whatever links lead there. */
export function isSameDir(one: string, other: string): boolean {
  const [a, b] = [statSync(one), statSync(other)]
  return a.dev === b.dev && a.ino === b.ino
}

function naming(dir: string, isAutocreated: boolean, use: () => void): void {
  try {
    use()
  } catch (error) {
    throw directoryError(error, dir, isAutocreated)
  }
}

/**
 * What is acknowledged in a directory whose name is not durable would be gone with it.
 *
 * @returns what went wrong; it never rejects, since it is waited for later than it is begun
 */
export async function syncDirs(dirs: readonly string[]): Promise<StartError | undefined> {
  const ends = await Promise.all(dirs.map(problemOfSync))
  return ends.find(end => end !== undefined)
}

function problemOfSync(dir: string): Promise<StartError | undefined> {
  return new Promise(done => {
    syncDir(dir, result => {
      if (result.ok) return done(undefined)
      const error = Object.assign(new Error(result.message), { code: result.errno })
      done(directoryError(error, dir, true))
    })
  })
}

/**
 * One by one: `mkdirSync` with `recursive` never returns below a directory that says ENOENT to every new name, as
 * /proc does.
 *
 * @param changed - gets the parents of all that was made
 */
function makeDir(dir: string, changed: Set<string>): void {
  if (isDirectory(dir)) return
  const parent = dirname(dir)
  if (!existsSync(parent)) makeDir(parent, changed)
  try {
    mkdirSync(dir)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' && !existsSync(dir)) {
      const message = `data directory ${dir} cannot be used: it is a link to ${readlinkSync(dir)}, which does not exist`
      throw new StartError(ExitCode.DataDirInaccessible, message, { cause: error })
    }
    if (!isDirectory(dir)) throw error // else another process was faster
  }
  changed.add(parent)
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

/** Files in the wrong place mean that the two settings were exchanged or one of them is new. */
function refuseMixture(data: string, log: string): void {
  if (readdirSync(log).some(name => name.startsWith('snapshot.'))) {
    const message = `Log directory has snapshot files. Check if dataLogDir and dataDir configuration is correct: ${log}`
    throw new StartError(ExitCode.DataDirInaccessible, message)
  }
  if (readdirSync(data).some(name => name.startsWith('log.'))) {
    const message = `Snapshot directory has log files. Check if dataLogDir and dataDir configuration is correct: ${data}`
    throw new StartError(ExitCode.DataDirInaccessible, message)
  }
}

/** @returns what an operator can act on: which directory, and whether it is missing, forbidden or full */
export function directoryError(error: unknown, dir: string, isAutocreated: boolean): StartError {
  if (error instanceof StartError) return error
  const errno = errnoOf(error)
  const exitCode =
    errno === 'ENOSPC' || errno === 'EDQUOT' || errno === 'EIO'
      ? ExitCode.DiskError
      : ExitCode.DataDirInaccessible
  const why = reasons[errno] ?? (error instanceof Error ? error.message : String(error))
  const hint = errno === 'ENOENT' && !isAutocreated ? ', and datadir.autocreate is false' : ''
  return new StartError(exitCode, `data directory ${dir} cannot be used: ${why}${hint}`, { cause: error })
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist (ENOENT)',
  EACCES: 'permission denied (EACCES)',
  EPERM: 'not permitted (EPERM)',
  EROFS: 'the file system is read-only (EROFS)',
  ENOSPC: 'no space left on the device (ENOSPC)',
  EDQUOT: 'the disk quota is used up (EDQUOT)',
  EEXIST: 'there is a file of that name (EEXIST)',
  ENOTDIR: 'a part of its path is not a directory (ENOTDIR)',
}
