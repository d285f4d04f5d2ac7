import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { prepareDataDirs, syncDirs } from './data-dirs.ts'
import { lockDir, lockDirs } from './dir-lock.ts'

const made: string[] = []

afterEach(() => {
  for (const dir of made.splice(0)) rmSync(dir, { recursive: true })
})

function aDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'corral-lock-'))
  made.push(dir)
  return dir
}

/** A socket file that nobody listens at. */
async function leaveStaleLock(dir: string): Promise<void> {
  const lock = await lockDir(dir)
  renameSync(join(dir, 'corral.lock'), join(dir, 'died'))
  await lock.release()
  renameSync(join(dir, 'died'), join(dir, 'corral.lock'))
}

test('a directory is locked once, and again after its release', async () => {
  const dir = aDir()
  const lock = await lockDir(dir)

  await expect(lockDir(dir)).rejects.toMatchObject({
    exitCode: 3,
    message: `data directory ${dir} belongs to a server that is running (its corral.lock answers)`,
  })
  await lock.release()
  expect(existsSync(join(dir, 'corral.lock'))).toBe(false)

  const second = await lockDir(dir)
  await second.release()
})

test('two servers may not share the directory of the logs alone', async () => {
  const dataLogDir = aDir()
  const lock = await lockDirs({ dataDir: aDir(), dataLogDir })
  const otherDataDir = aDir()

  await expect(lockDirs({ dataDir: otherDataDir, dataLogDir })).rejects.toMatchObject({
    exitCode: 3,
    message: `data directory ${dataLogDir} belongs to a server that is running (its corral.lock answers)`,
  })
  await (await lockDir(otherDataDir)).release() // it was let go
  await lock.release()
})

test('one directory under two names is locked once', async () => {
  const dir = aDir()
  const link = join(aDir(), 'link')
  symlinkSync(dir, link)

  const lock = await lockDirs({ dataDir: dir, dataLogDir: link })

  await expect(lockDir(dir)).rejects.toMatchObject({ exitCode: 3 })
  await lock.release()
})

test('the lock of a process that died does not hold', async () => {
  const dir = aDir()
  const script = `require('net').createServer().listen('corral.lock', () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script], { cwd: dir })
  expect(existsSync(join(dir, 'corral.lock'))).toBe(true)

  const lock = await lockDir(dir)

  await expect(lockDir(dir)).rejects.toMatchObject({ exitCode: 3 })
  await lock.release()
})

test('of many that come upon the lock of a process that died, one gets it', async () => {
  for (let round = 0; round < 20; round++) {
    const dir = aDir()
    await leaveStaleLock(dir)

    const ends = await Promise.allSettled(Array.from({ length: 6 }, () => lockDir(dir)))

    const locks = ends.flatMap(end => (end.status === 'fulfilled' ? [end.value] : []))
    const refusals = ends.flatMap(end => (end.status === 'rejected' ? [end.reason] : []))
    expect(locks.length).toBe(1)
    expect(refusals.map(({ message }) => message)).toEqual(
      Array(5).fill(`data directory ${dir} belongs to a server that is running (its corral.lock answers)`),
    )
    expect(readdirSync(dir)).toEqual(['corral.lock'])
    await locks[0]?.release()
    expect(readdirSync(dir)).toEqual([])
  }
})

test('a lock whose place another one has is not confirmed, and leaves that one alone', async () => {
  const dir = aDir()
  const first = await lockDir(dir)
  first.confirm()
  renameSync(join(dir, 'corral.lock'), join(dir, 'taken away'))
  const second = await lockDir(dir)

  expect(() => first.confirm()).toThrow(
    `data directory ${dir} belongs to a server that is running (its corral.lock answers)`,
  )
  second.confirm()
  await first.release()
  await expect(lockDir(dir)).rejects.toThrow('belongs to a server that is running')
  await second.release()
})

test.runIf(process.platform === 'linux')('a path longer than a socket address can be locked', async () => {
  const deep = join(aDir(), 'd'.repeat(120))
  mkdirSync(deep)

  const lock = await lockDir(deep)

  expect(existsSync(join(deep, 'corral.lock'))).toBe(true)
  await lock.release()
})

test('directories are made; without autocreate a missing one is refused by name', () => {
  const dir = aDir()
  const dirs = { dataDir: join(dir, 'a/b'), dataLogDir: join(dir, 'c') }

  const changed = prepareDataDirs(dirs, true)

  expect(existsSync(join(dir, 'a/b/version-2'))).toBe(true)
  expect(changed.sort()).toEqual([dir, join(dir, 'a'), join(dir, 'a/b'), join(dir, 'c')])
  expect(prepareDataDirs(dirs, true)).toEqual([])
  expect(prepareDataDirs(dirs, false)).toEqual([])
  const missing = { dataDir: join(dir, 'x'), dataLogDir: join(dir, 'x') }
  expect(() => prepareDataDirs(missing, false)).toThrow(
    `data directory ${dir}/x/version-2 cannot be used: it does not exist (ENOENT), and datadir.autocreate is false`,
  )
})

test('a directory that cannot be synced is named', async () => {
  const dir = aDir()

  expect(await syncDirs([dir])).toBeUndefined()
  expect(await syncDirs([dir, join(dir, 'gone')])).toMatchObject({
    message: expect.stringContaining(`${dir}/gone cannot be used`),
  })
})

test('a file in the place of a directory is named', () => {
  const dir = aDir()
  writeFileSync(join(dir, 'file'), '')
  const inFile = { dataDir: join(dir, 'file'), dataLogDir: join(dir, 'file') }

  expect(() => prepareDataDirs(inFile, true)).toThrow(/file.version-2 cannot be used: .*\(ENOTDIR\)/)
})

test('a file system that cannot make the directory is named, and not asked for ever', () => {
  const inProc = { dataDir: '/proc/corral', dataLogDir: '/proc/corral' }

  expect(() => prepareDataDirs(inProc, true)).toThrow(/\/proc\/corral\/version-2 cannot be used/)
})

test('logs among snapshots mean that the two settings were exchanged', () => {
  const dir = aDir()
  const dirs = { dataDir: join(dir, 'a'), dataLogDir: join(dir, 'b') }
  prepareDataDirs(dirs, true)
  writeFileSync(join(dir, 'a/version-2/log.1'), '')

  const refused = (start: string): object => ({ exitCode: 3, message: expect.stringContaining(start) })
  expect(() => prepareDataDirs(dirs, true)).toThrow(
    expect.objectContaining(refused('Snapshot directory has log files')),
  )
  writeFileSync(join(dir, 'b/version-2/snapshot.0'), '')
  expect(() => prepareDataDirs(dirs, true)).toThrow(
    expect.objectContaining(refused('Log directory has snapshot files')),
  )
})
