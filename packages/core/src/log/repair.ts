/**
 * The operator's way out when a start was refused for a damaged log: cut it at the damaged place and keep what was
 * behind it. Only a decision; `corral repair-log` reads the files, asks, and carries it out.
 *
 * What is cut may have been acknowledged: in an ensemble it is better to let the server fetch its data anew.
 */
import { fileHeaderBytes, fromWords, makeSpace, spaceOf, type Zxid, zxid } from '@corral/protocol'
import type { DirEntry } from '../disk.ts'
import { type LogFile, logFiles } from './file-names.ts'
import { markAt, markIn, putMark } from './log-mark.ts'
import { type Found, firstNonZero, isLogHeader, RecordReader } from './record-reader.ts'

export interface LogDamage {
  readonly name: string
  /** Where the first record stands that cannot be replayed. */
  readonly at: number
  readonly found: Found | 'no header' | 'a gap' | 'a lost end'
  /** Of the last record before it, or undefined if there is none. */
  readonly lastGood: Zxid | undefined
}

export interface RepairPlan {
  readonly damage: LogDamage
  /** The rest of the damaged file goes into a file of this name, then the file is cut at `damage.at`. */
  readonly keepAside: string
  /** Nothing valid is left of the file: it is renamed to `keepAside` whole. */
  readonly isWholeFile: boolean
  /** Later logs, newest first: renamed, since they do not follow any more. */
  readonly setAside: readonly { readonly from: string; readonly to: string }[]
}

export interface LogBytes {
  readonly name: string
  readonly bytes: Uint8Array
}

/**
 * The first place in the logs behind which the server would not replay, or undefined if there is none. A file before
 * the newest may end in a torn record if the next one goes on with the torn zxid: the Java server leaves it so.
 *
 * @param logs - whole files, by ascending zxid of their names
 */
export function firstDamage(logs: readonly LogBytes[], maxPayloadBytes: number): LogDamage | undefined {
  let before: Zxid | undefined
  for (const [i, log] of logs.entries()) {
    const { damage, last } = scanLog(log, { maxPayloadBytes, before })
    before = last
    if (damage === undefined) continue
    const next = logs[i + 1]
    const isLeftTorn = tornKinds.has(damage.found) && next !== undefined
    if (!isLeftTorn || !goesOn(next, { maxPayloadBytes, after: last })) return damage
  }
  return undefined
}

const tornKinds: ReadonlySet<LogDamage['found']> = new Set(['cut', 'no end mark', 'zeros', 'a lost end'])

function goesOn(
  log: LogBytes,
  given: { readonly maxPayloadBytes: number; readonly after: Zxid | undefined },
): boolean {
  const reader = new RecordReader(given)
  const found = reader.read(spaceOf(log.bytes), fileHeaderBytes, log.bytes.length, true)
  return found === 'record' && given.after !== undefined && isNext(zxidOf(reader), given.after)
}

function scanLog(
  log: LogBytes,
  given: { readonly maxPayloadBytes: number; readonly before: Zxid | undefined },
): { readonly damage: LogDamage | undefined; readonly last: Zxid | undefined } {
  const { name, bytes } = log
  const space = spaceOf(bytes)
  let last = given.before
  const damageAt = (at: number, found: LogDamage['found']): ReturnType<typeof scanLog> => ({
    damage: { name, at, found, lastGood: last },
    last,
  })
  if (bytes.length < fileHeaderBytes || !isLogHeader(space, 0)) return damageAt(0, 'no header')
  const reader = new RecordReader(given)
  for (let at = fileHeaderBytes; ; at = reader.end) {
    const found = reader.read(space, at, bytes.length, true)
    if (found !== 'record') {
      const isEnd = found === 'zeros' && firstNonZero(bytes, at, bytes.length) === bytes.length
      if (!isEnd) return damageAt(at, found)
      return at < markIn(space, 0) ? damageAt(at, 'a lost end') : { damage: undefined, last }
    }
    if (!reader.isTxn(space)) return damageAt(at, 'bad payload')
    const id = zxidOf(reader)
    if (last !== undefined && id > last && !isNext(id, last)) return damageAt(at, 'a gap')
    if (last === undefined || id > last) last = id
  }
}

function isNext(id: Zxid, last: Zxid): boolean {
  return id === last + 1n || id >> 32n > last >> 32n
}

function zxidOf(reader: RecordReader): Zxid {
  return zxid(fromWords(reader.zxidHigh, reader.zxidLow))
}

/** @param entries - of the log directory */
export function planRepair(damage: LogDamage, entries: readonly DirEntry[]): RepairPlan {
  const logs = logFiles(entries)
  const damaged = logs.find(({ name }) => name === damage.name)
  const later = damaged === undefined ? [] : logs.filter(({ zxid: first }) => first > damaged.zxid)
  const taken = new Set(entries.map(({ name }) => name))
  return {
    damage,
    keepAside: asideName(damage.name, taken),
    isWholeFile: damage.at <= fileHeaderBytes,
    setAside: later.toReversed().map(({ name }: LogFile) => ({ from: name, to: asideName(name, taken) })),
  }
}

/** The first part is not `log`: neither this server nor the Java server takes the file for a log. */
function asideName(name: string, taken: Set<string>): string {
  let aside = `damaged-${name}`
  for (let n = 2; taken.has(aside); n++) aside = `damaged-${name}-${n}`
  taken.add(aside)
  return aside
}

/** The header of the file that is cut: its mark must not speak of what is not there any more. */
export function keptHeader(damage: LogDamage, bytes: Uint8Array): Uint8Array {
  const header = makeSpace(fileHeaderBytes)
  header.bytes.set(bytes.subarray(0, fileHeaderBytes))
  if (markIn(header, 0) > damage.at) putMark(header, markAt, damage.at)
  return header.bytes
}

/** What goes into {@link RepairPlan.keepAside}: a log of its own, so that the tools that dump logs can read it. */
export function asideBytes(damage: LogDamage, bytes: Uint8Array): Uint8Array {
  const rest = bytes.subarray(damage.at)
  const aside = makeSpace(fileHeaderBytes + rest.length)
  aside.bytes.set(bytes.subarray(0, fileHeaderBytes))
  aside.bytes.set(rest, fileHeaderBytes)
  return aside.bytes
}
