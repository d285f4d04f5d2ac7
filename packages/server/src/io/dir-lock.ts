/**
 * One server per data directory. The lock is a listening Unix socket in it: the kernel drops it with its process, it
 * works across containers that share the directory (a pid file would not), and Node has no flock.
 *
 * Each server listens under a name of its own first and links that to the lock's name, which fails if there is one. So
 * a lock that refuses connections was left by a server that died, never made a moment ago. It is taken away under
 * another name: of several that come upon it, whoever got a lock made since puts it back.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  unlinkSync,
} from 'node:fs'
import { createConnection, createServer, type Server } from 'node:net'
import { join, resolve } from 'node:path'
import { ExitCode, errnoOf, StartError } from '../start-error.ts'
import { type DataDirs, directoryError, isSameDir } from './data-dirs.ts'

const lockName = 'corral.lock'
/** Of the file that is linked to the lock's name, and of one that is taken away. */
const suffixBytes = 9
/** Each means that another one was faster. */
const mostAttempts = 10
/** sun_path of the systems Node runs on; a longer path would be cut in silence. */
const longestPathBytes = 103

export interface DirLock {
  /**
   * To be called when some time has passed and before anything is written: whoever took a stale lock away, and was held
   * up on the way, may have taken this one, and not have found its place free when it was put back.
   *
   * @throws StartError if it is not there any more
   */
  confirm(): void
  /** Resolves when no handle is left. */
  release(): Promise<void>
}

/**
 * Both directories: two servers that share only one of them would spoil each other's files as well.
 *
 * @throws StartError if another server has one of them, or one cannot be locked
 */
export async function lockDirs({ dataDir, dataLogDir }: DataDirs): Promise<DirLock> {
  const data = await lockDir(dataDir)
  if (isSameDir(dataDir, dataLogDir)) return data
  try {
    const log = await lockDir(dataLogDir)
    return {
      confirm: () => {
        data.confirm()
        log.confirm()
      },
      release: async () => void (await Promise.all([log.release(), data.release()])),
    }
  } catch (error) {
    await data.release()
    throw error
  }
}

/** @throws StartError if another server has it, or the directory cannot be locked */
export async function lockDir(dir: string): Promise<DirLock> {
  const place = placeOf(dir)
  try {
    const { holder, identity } = await listenAt(place.path, dir)
    const isHeld = (): boolean => identityOf(place.path) === identity
    return {
      confirm: () => {
        if (!isHeld()) throw inUse(dir)
      },
      release: () =>
        new Promise(done => {
          if (isHeld()) remove(place.path)
          holder.close(() => {
            place.leave() // the close goes through it, too
            done()
          })
        }),
    }
  } catch (error) {
    place.leave()
    throw error
  }
}

/** On Linux the path goes through an open directory, which keeps it short however deep the directory is. */
function placeOf(dir: string): { path: string; leave(): void } {
  const path = join(resolve(dir), lockName)
  if (process.platform === 'linux' && existsSync('/proc/self/fd')) {
    const fd = opened(dir)
    return { path: `/proc/self/fd/${fd}/${lockName}`, leave: () => closeSync(fd) }
  }
  if (Buffer.byteLength(path) + suffixBytes > longestPathBytes) {
    const message = `data directory ${dir} cannot be locked: the path of its lock is longer than ${longestPathBytes} bytes`
    throw new StartError(ExitCode.DataDirInaccessible, message)
  }
  return { path, leave: () => undefined }
}

function opened(dir: string): number {
  try {
    return openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    throw directoryError(error, dir, true)
  }
}

async function listenAt(
  path: string,
  dir: string,
): Promise<{ readonly holder: Server; readonly identity: string | undefined }> {
  const own = besides(path)
  let holder: Server | undefined
  try {
    holder = await listen(own)
    const identity = identityOf(own)
    await makeLock(own, path, dir)
    return { holder, identity }
  } catch (error) {
    holder?.close()
    throw directoryError(error, dir, true)
  } finally {
    remove(own)
  }
}

async function makeLock(own: string, path: string, dir: string): Promise<void> {
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    if (isDone(() => linkSync(own, path), 'EEXIST')) return
    const found = identityOf(path)
    if (await isAnswered(path)) break
    const aside = besides(path)
    if (!isDone(() => renameSync(path, aside), 'ENOENT')) continue
    if (identityOf(aside) !== found) isDone(() => linkSync(aside, path), 'EEXIST')
    unlinkSync(aside)
  }
  throw inUse(dir)
}

function besides(path: string): string {
  return `${path}-${randomBytes(4).toString('hex')}`
}

/** @returns false if it failed for that reason */
function isDone(act: () => void, reason: string): boolean {
  try {
    act()
    return true
  } catch (error) {
    if (errnoOf(error) === reason) return false
    throw error
  }
}

/** Inodes are used again at once, but not in the same moment. */
function identityOf(path: string): string | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? undefined : `${found.ino} ${found.mtimeNs}`
}

function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // It is gone, or stays and refuses connections: either way it locks nothing.
  }
}

function inUse(dir: string): StartError {
  const message = `data directory ${dir} belongs to a server that is running (its ${lockName} answers)`
  return new StartError(ExitCode.DataDirInaccessible, message)
}

function listen(path: string): Promise<Server> {
  return new Promise((done, fail) => {
    const server = createServer(asker => asker.destroy())
    server.once('error', fail)
    server.listen(path, () => {
      server.off('error', fail)
      done(server)
    })
  })
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise(done => {
    const asker = createConnection(path, () => {
      asker.destroy()
      done(true)
    })
    asker.once('error', error => done(errnoOf(error) !== 'ECONNREFUSED' && errnoOf(error) !== 'ENOENT'))
  })
}
