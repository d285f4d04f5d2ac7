/**
 * `corral repair-log`: the operator's explicit way out when a start was refused for a damaged log. Core says what is
 * damaged and what would be cut, and in which order; this carries it out, and changes files only when told to.
 */
import { readdirSync } from 'node:fs'
import {
  DataTree,
  DiskFailure,
  DiskOps,
  planRepair,
  type RepairPlan,
  repair,
  type Script,
  type ServerConfig,
  StorageRefusal,
  seededRandom,
} from '@corral/core'
import { hexText } from '@corral/protocol'
import { directoryError, dirPaths, versionDir } from '../io/data-dirs.ts'
import { lockDirs } from '../io/dir-lock.ts'
import { type DirPaths, FileDisk } from '../io/disk.ts'
import { ExitCode, StartError } from '../start-error.ts'

export interface RepairOptions {
  readonly config: ServerConfig
  readonly dataDir: string
  readonly dataLogDir: string
  /** false: only say what would be done. */
  readonly isConfirmed: boolean
  readonly print: (line: string) => void
}

/**
 * @returns the exit code: 0 when no log is in the way of a start (now), 1 when one is and nothing was changed
 * @throws StartError if a server is running on the directory, the disk fails, or a start would be refused for something
 * that this does not mend
 */
export async function repairLog(options: RepairOptions): Promise<number> {
  const lock = await lockDirs(options)
  try {
    for (const dir of [options.dataDir, options.dataLogDir]) requireDir(versionDir(dir))
    return await repairLocked(options)
  } catch (error) {
    if (!(error instanceof StorageRefusal || error instanceof DiskFailure)) throw error
    throw new StartError(ExitCode.DiskError, error.message, { cause: error })
  } finally {
    await lock.release()
  }
}

/** Where a start would make it, there is nothing to repair. */
function requireDir(dir: string): void {
  try {
    readdirSync(dir)
  } catch (error) {
    throw directoryError(error, dir, true)
  }
}

async function repairLocked({
  config,
  dataDir,
  dataLogDir,
  isConfirmed,
  print,
}: RepairOptions): Promise<number> {
  const paths = dirPaths({ dataDir, dataLogDir })
  const random = seededRandom(0)
  const { isTtlEnabled, storage } = config
  const makeTree = (): DataTree =>
    new DataTree({ random, isTtlEnabled, isDigestEnabled: storage.isDigestEnabled })
  const plan = await carriedOut(planRepair({ config, makeTree, say: () => undefined }), paths)
  if (plan === undefined) {
    print(`${paths.log}: no damage found`)
    return ExitCode.Ok
  }
  describePlan(plan, { dir: paths.log, print })
  if (!isConfirmed) {
    print('Nothing was changed. If a healthy copy of the data exists, prefer it. To go on: add --yes')
    return ExitCode.UnexpectedError
  }
  await carriedOut(repair(plan), paths)
  print('Done.')
  return ExitCode.Ok
}

/** Rejects with what the script ended with. */
async function carriedOut<T>(script: Script<T>, paths: DirPaths): Promise<T> {
  const now = { monotonicMs: 0, wallMs: 0 } // nothing here depends on time
  const disk = new FileDisk({ paths, report: (op, result) => ops.diskDone(now, op, result) })
  const ops = new DiskOps(effect => {
    if (effect.kind === 'disk') disk.perform(effect.op, effect.do)
  })
  try {
    return await new Promise<T>((done, fail) => {
      ops.run(now, script, { done: (_at, value) => done(value), failed: (_at, failure) => fail(failure) })
    })
  } finally {
    await disk.close()
  }
}

function describePlan(
  { damage, keepAside, isWholeFile, setAside }: RepairPlan,
  { dir, print }: { readonly dir: string; readonly print: (line: string) => void },
): void {
  const { name, at, found, lastGood } = damage
  print(
    `${dir}/${name}: ${found} at byte ${at}, after zxid ${hexText(lastGood)}. Txns behind it may have been acknowledged.`,
  )
  for (const { from, to } of setAside) print(`${from}: does not follow any more, to be renamed to ${to}`)
  print(
    isWholeFile
      ? `${name}: to be renamed to ${keepAside}`
      : `${name}: to be cut there, the rest kept in ${keepAside}`,
  )
}
