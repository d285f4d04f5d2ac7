/**
 * `corral repair-log`: the operator's explicit way out when a start was refused for a damaged log. Core says what is
 * damaged and what would be cut; this reads the files, and changes them only when told to.
 *
 * The order survives a crash between any two steps: a second run finds the same damage and what is left to do.
 */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  asideBytes,
  type DirEntry,
  firstDamage,
  keptHeader,
  type LogBytes,
  logFiles,
  longestTxnBytes,
  planRepair,
  type RepairPlan,
  type ServerConfig,
} from '@corral/core'
import { hexOf } from '@corral/protocol'
import { versionDir } from '../io/data-dirs.ts'
import { lockDir } from '../io/dir-lock.ts'
import { ExitCode } from '../start-error.ts'

export interface RepairOptions {
  readonly config: ServerConfig
  readonly dataDir: string
  readonly dataLogDir: string
  /** false: only say what would be done. */
  readonly isConfirmed: boolean
  readonly print: (line: string) => void
}

/**
 * @returns the exit code: 0 when the logs are whole (now), 1 when they are not and nothing was changed
 * @throws StartError if a server is running on the directory
 */
export async function repairLog(options: RepairOptions): Promise<number> {
  const lock = await lockDir(options.dataDir)
  try {
    return repairLocked(options)
  } finally {
    await lock.release()
  }
}

function repairLocked({ config, dataLogDir, isConfirmed, print }: RepairOptions): number {
  const dir = versionDir(dataLogDir)
  const entries = entriesOf(dir)
  const logs = logFiles(entries).map(({ name }): LogBytes => ({ name, bytes: readFileSync(join(dir, name)) }))
  const damage = firstDamage(logs, longestTxnBytes(config))
  if (damage === undefined) {
    print(`${dir}: ${logs.length} logs, no damage found`)
    return ExitCode.Ok
  }
  const plan = planRepair(damage, entries)
  describePlan(plan, { dir, print })
  if (!isConfirmed) {
    print('Nothing was changed. If a healthy copy of the data exists, prefer it. To go on: add --yes')
    return ExitCode.UnexpectedError
  }
  carryOut(plan, dir)
  print('Done.')
  return ExitCode.Ok
}

function entriesOf(dir: string): DirEntry[] {
  return readdirSync(dir, { withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(({ name }) => ({ name, sizeBytes: statSync(join(dir, name)).size }))
}

function describePlan(
  { damage, keepAside, isWholeFile, setAside }: RepairPlan,
  { dir, print }: { readonly dir: string; readonly print: (line: string) => void },
): void {
  const { name, at, found, lastGood } = damage
  const last = lastGood === undefined ? 'no txn' : `zxid 0x${hexOf(lastGood)}`
  print(
    `${join(dir, name)}: ${found} at byte ${at}, after ${last}. Txns behind it may have been acknowledged.`,
  )
  for (const { from, to } of setAside) print(`${from}: does not follow any more, to be renamed to ${to}`)
  print(
    isWholeFile
      ? `${name}: to be renamed to ${keepAside}`
      : `${name}: to be cut there, the rest kept in ${keepAside}`,
  )
}

function carryOut({ damage, keepAside, isWholeFile, setAside }: RepairPlan, dir: string): void {
  for (const { from, to } of setAside) renameSync(join(dir, from), join(dir, to))
  syncPath(dir)
  const damaged = join(dir, damage.name)
  const aside = join(dir, keepAside)
  if (isWholeFile) {
    renameSync(damaged, aside)
    syncPath(dir)
    return
  }
  const whole = readFileSync(damaged)
  writeFileSync(aside, asideBytes(damage, whole))
  syncPath(aside)
  syncPath(dir) // what is cut is durable elsewhere before it is cut
  const fd = openSync(damaged, 'r+')
  writeSync(fd, keptHeader(damage, whole), 0, undefined, 0)
  ftruncateSync(fd, damage.at)
  fsyncSync(fd)
  closeSync(fd)
}

function syncPath(path: string): void {
  const fd = openSync(path, 'r')
  fsyncSync(fd)
  closeSync(fd)
}
