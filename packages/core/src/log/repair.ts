/**
 * The operator's way out when a start was refused for a damaged log: cut it at the damaged place and keep what was
 * behind it. What is damaged is what a start would refuse; `corral repair-log` says so, asks, and carries it out.
 *
 * What is cut may have been acknowledged: in an ensemble it is better to let the server fetch its data anew.
 */
import { fileHeaderBytes, makeSpace } from '@corral/protocol'
import type { DirEntry } from '../disk.ts'
import { type LogDamage, LogDamaged } from './damage.ts'
import { type ExaminationGiven, examine } from './examination.ts'
import { logFiles } from './file-names.ts'
import { markAt, markIn, putMark } from './log-mark.ts'
import { lowerNote } from './run-state.ts'
import {
  close,
  copy,
  list,
  open,
  read,
  rename,
  type Script,
  sync,
  syncDir,
  truncate,
  write,
} from './script.ts'

export interface RepairPlan {
  readonly damage: LogDamage
  /** The rest of the damaged file goes into a file of this name, then the file is cut at `damage.at`. */
  readonly keepAside: string
  /** Nothing valid is left of the file: it is renamed to `keepAside` whole. */
  readonly isWholeFile: boolean
  /** Later logs, newest first: renamed, since they do not follow any more. */
  readonly setAside: readonly { readonly from: string; readonly to: string }[]
}

/**
 * What is to be done before a start succeeds, or undefined if no log is in its way. Reads snapshot and logs as a start
 * does, and changes nothing.
 *
 * @throws StorageRefusal if a start would be refused for something that cutting a log does not mend
 */
export function* planRepair(given: ExaminationGiven): Script<RepairPlan | undefined> {
  try {
    yield* examine(given)
    return undefined
  } catch (error) {
    if (!(error instanceof LogDamaged)) throw error
    return planFor(error.damage, yield* list('log'))
  }
}

function planFor(damage: LogDamage, entries: readonly DirEntry[]): RepairPlan {
  const logs = logFiles(entries)
  const later = logs.slice(logs.findIndex(({ name }) => name === damage.name) + 1)
  const taken = new Set(entries.map(({ name }) => name))
  return {
    damage,
    keepAside: asideName(damage.name, taken),
    isWholeFile: damage.at <= fileHeaderBytes,
    setAside: later.toReversed().map(({ name }) => ({ from: name, to: asideName(name, taken) })),
  }
}

/** The first part is not `log`: neither this server nor the Java server takes the file for a log. */
function asideName(name: string, taken: Set<string>): string {
  let aside = `damaged-${name}`
  for (let n = 2; taken.has(aside); n++) aside = `damaged-${name}-${n}`
  taken.add(aside)
  return aside
}

/** After a crash between any two steps another plan finds the same damage, and what is left to do. */
export function* repair({ damage, keepAside, isWholeFile, setAside }: RepairPlan): Script<void> {
  yield* lowerNote(damage.lastGood)
  for (const { from, to } of setAside) yield* rename('log', from, to)
  if (isWholeFile) yield* rename('log', damage.name, keepAside)
  yield* syncDir('log')
  if (isWholeFile) return
  const damaged = yield* open({ dir: 'log', name: damage.name, mode: 'update' })
  const header = makeSpace(fileHeaderBytes)
  yield* read(damaged, 0, header.bytes)

  // A log of its own, so that the tools that dump logs can read it; durable before anything is cut.
  const aside = yield* open({ dir: 'log', name: keepAside, mode: 'create' })
  yield* write(aside, 0, header.bytes)
  const lengthBytes = damaged.sizeBytes - damage.at
  yield* copy({ from: damaged, fromAt: damage.at, into: aside, intoAt: fileHeaderBytes, lengthBytes })
  yield* sync(aside)
  yield* close(aside)
  yield* syncDir('log')

  // The mark must not speak of what is not there any more.
  if (markIn(header, 0) > damage.at) putMark(header, markAt, damage.at)
  yield* write(damaged, 0, header.bytes)
  yield* truncate(damaged, damage.at)
  yield* sync(damaged)
  yield* close(damaged)
}
