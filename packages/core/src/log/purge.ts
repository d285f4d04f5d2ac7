/**
 * Which files nobody needs any more. Source: PurgeTxnLog in the Java server, which counts snapshots by name and so can
 * delete the last good one.
 */
import type { Zxid } from '@corral/protocol'
import type { DirEntry } from '../disk.ts'
import { logFiles, snapshotFiles } from './file-names.ts'
import { remove, type Script, syncDir } from './script.ts'

export interface PurgePlan {
  /** Oldest first, each. */
  readonly snapshots: readonly string[]
  readonly logs: readonly string[]
}

/**
 * Keeps the newest `retainCount` verified snapshots, every unverified one among them, and the logs from the one on
 * that holds the successor of the oldest kept. With fewer verified ones nothing goes.
 *
 * @param given.verified - names of snapshots that this process wrote or loaded
 */
export function planPurge(given: {
  readonly data: readonly DirEntry[]
  readonly log: readonly DirEntry[]
  readonly verified: ReadonlySet<string>
  readonly retainCount: number
}): PurgePlan {
  const snapshots = snapshotFiles(given.data)
  const oldestKept = snapshots
    .filter(({ name }) => given.verified.has(name))
    .at(-Math.max(1, given.retainCount))
  if (oldestKept === undefined) return { snapshots: [], logs: [] }
  return {
    snapshots: snapshots.filter(({ zxid }) => zxid < oldestKept.zxid).map(({ name }) => name),
    logs: logsBefore(given.log, oldestKept.zxid),
  }
}

/** All but the newest log whose name is not above the zxid: that one can hold its successor. */
function logsBefore(entries: readonly DirEntry[], zxid: Zxid): string[] {
  const older = logFiles(entries).filter(log => log.zxid <= zxid)
  return older.slice(0, -1).map(({ name }) => name)
}

/**
 * No log goes before the snapshots that need it are gone for good: whatever a crash leaves, each snapshot that is left
 * has all the logs behind it.
 */
export function* purge(plan: PurgePlan): Script<void> {
  for (const name of plan.snapshots) yield* remove('data', name)
  if (plan.snapshots.length > 0) yield* syncDir('data')
  for (const name of plan.logs) yield* remove('log', name)
  if (plan.logs.length > 0) yield* syncDir('log')
}
