/**
 * What a start may make of a disk that did not keep its word: one that lied about syncs, wrote elsewhere, answered
 * with old content, rotted, lost files, or came back as it was some time ago. It must serve everything, or refuse and
 * say where the damage is. It may serve less only where nobody could tell:
 *
 *   restored       the older state is in itself whole: what was promised after it is gone
 *   files lost     and nothing that is left tells of them: no later log, no snapshot at a higher zxid
 *   lost           a sync did nothing: what it covered may be gone
 *   missing        after a run without an orderly end, behind the mark of the newest log
 *   wrong          the same, and nothing whole behind it
 *
 * The disk knows the truth; the server sees none of this.
 */
import { hexText } from '@corral/protocol'
import { type CommitLog, type RecordPlace, type Restored, zxidIn } from './commit-log.ts'
import { type Damage, overlaps } from './damage.ts'
import type { SimDisk } from './disk.ts'
import type { DamagedFile } from './volume.ts'

/** The server's note of how its last run ended, and the header field that says how much of a log was durable. */
export const noteName = 'corral.state'
/** The operator's word that an empty directory is meant to be new: it counts for more than the note. */
const markerName = 'initialize'
const markAt = 8
const headerBytes = 16

interface LogAtRest {
  /** As it can be read; 0 if it cannot. */
  readonly mark: number
  /** It was begun, and nothing was written to it. */
  readonly isUnused: boolean
  readonly places: readonly Damage[]
  readonly isNameLost: boolean
}

export class RecoveryJudge {
  readonly #log: CommitLog
  readonly #promisedZxid: bigint
  readonly #restored: Restored | undefined
  readonly #damaged: readonly DamagedFile[]
  readonly #logs: ReadonlyMap<string, LogAtRest>
  readonly #snapshots: readonly string[]
  /** undefined: there is none. */
  readonly #note: string | undefined

  /** Looks at the disk as it lies between a crash and the next start. */
  constructor({ volume }: SimDisk, log: CommitLog) {
    this.#log = log
    // Now: what the start itself syncs is no promise of the run before.
    this.#promisedZxid = log.promisedZxid
    this.#restored = log.restored
    this.#damaged = volume.damagedFiles()
    this.#snapshots = volume.names('data').filter(name => name.startsWith('snapshot.'))
    const note = volume.content('logRoot', noteName)
    this.#note = note === undefined ? undefined : Buffer.from(note).toString('latin1')
    const logs = new Map<string, LogAtRest>()
    for (const name of volume.names('log').filter(each => each.startsWith('log.'))) {
      const { places = [], isNameLost = false } = this.#damageOf(name) ?? {}
      const content = volume.content('log', name) as Uint8Array
      const isUnused = places.length === 0 && content.subarray(headerBytes).every(byte => byte === 0)
      logs.set(name, { mark: markIn(content), isUnused, places, isNameLost })
    }
    this.#logs = logs
  }

  get isDamaged(): boolean {
    return this.#damaged.length > 0 || this.#restored !== undefined
  }

  /**
   * What a start owes, where clients know of `told`: what was lost as a whole may include what was promised and never
   * told.
   */
  due(told: bigint): bigint {
    const isGone = this.#restored !== undefined || this.#damaged.some(({ isNameLost }) => isNameLost)
    return isGone && this.#promisedZxid > told ? this.#promisedZxid : told
  }

  /** @returns what is wrong with refusing to start, and with saying it so */
  problemOfRefusal(reason: string): string | undefined {
    if (!isExact(reason)) return inexact
    // Files of different instants need not fit together.
    if (this.#restored?.kind === 'copy') return undefined
    // An orderly end is noted where there was none: then what a crash tore looks like damage.
    if (this.#damageOf(noteName) !== undefined) return undefined
    const whole = newestFirst(this.#snapshots).find(name => this.#damageOf(name) === undefined)
    if (whole === undefined || !this.#isCoveredFrom(zxidIn(whole))) return undefined
    const damaged = this.#neededFrom(zxidIn(whole)).find(name => this.#damageOf(name) !== undefined)
    return damaged === undefined ? `${whole} and all logs behind it are whole` : undefined
  }

  /** @returns what is wrong with serving what ends at `last`, where `due` was promised */
  problemOfLoss(last: bigint, due: bigint): string | undefined {
    const { promisedZxid = due } = this.#restored ?? {}
    const kept = promisedZxid < due ? promisedZxid : due
    if (last >= kept) return undefined
    const first = last + 1n
    const telling = newestFirst(this.#snapshots)[0]
    if (telling !== undefined && zxidIn(telling) > last) return `${telling} tells of more`
    return this.#problemAt(first, kept) ?? this.#problemOfNote(last)
  }

  #problemAt(first: bigint, kept: bigint): string | undefined {
    const place = this.#log.placeOf(first)
    if (place === undefined) return `zxid ${hexText(first)} was never written`
    const log = this.#logs.get(place.name)
    if (log === undefined) return this.#problemOfAbsence(place, kept)
    if (log.isNameLost) return undefined
    return this.#problemOfCut(log, place, kept)
  }

  #problemOfNote(last: bigint): string | undefined {
    const isEmpty = this.#snapshots.length + this.#logs.size === 0
    // It was removed, and is there again.
    if (isEmpty && this.#damageOf(markerName)?.isNameLost === true) return undefined
    const isTelling = this.#note !== undefined && (isEmpty || zxidNoted(this.#note) > last)
    return isTelling ? `${noteName} tells of more` : undefined
  }

  /** The log that held the first of what is missing is not there. */
  #problemOfAbsence(place: RecordPlace, due: bigint): string | undefined {
    const where = `${place.name}, which held the first of them,`
    const later = this.#recordsBehind(place, due).find(
      behind => this.#logs.has(behind.name) && !this.#isHit(behind),
    )
    if (later !== undefined) return `${where} is gone, and ${later.name} behind it is not`
    // One that was listed to be copied may be purged when its turn comes.
    const isGone = this.#restored?.kind === 'copy' || this.#isGone(place.name)
    return isGone ? undefined : `${where} was purged`
  }

  /** It ends in the middle of a log. */
  #problemOfCut(log: LogAtRest, place: RecordPlace, due: bigint): string | undefined {
    const hits = log.places.filter(damage => overlaps(damage, rangeOf(place)))
    const where = `the first of them was at ${place.from} of ${place.name}`
    if (hits.length === 0) return `${where}, which is whole`
    if (hits.some(({ how }) => how === 'lost')) return undefined
    if (this.#note?.startsWith('clean') === true) return `${where}, and the last run ended in order`
    if (place.from < log.mark) return `${where}, and the log is marked durable up to ${log.mark}`
    const isMissing = hits.some(({ how }) => how === 'missing')
    const isWholeBehind = this.#recordsBehind(place, due).some(
      behind => behind.name !== place.name || (!isMissing && !this.#isHit(behind)),
    )
    return isWholeBehind ? `${where}, and whole records follow` : undefined
  }

  #recordsBehind({ zxid: first }: RecordPlace, due: bigint): readonly RecordPlace[] {
    const places: RecordPlace[] = []
    for (let zxid = first + 1n; zxid <= due; zxid++) {
      const place = this.#log.placeOf(zxid)
      if (place !== undefined) places.push(place)
    }
    return places
  }

  #isHit(place: RecordPlace): boolean {
    return this.#logs.get(place.name)?.places.some(damage => overlaps(damage, rangeOf(place))) ?? true
  }

  /** Lost, or purged for the sake of a snapshot that is. */
  #isGone(name: string): boolean {
    return this.#damaged.some(
      file =>
        (file.name === name || file.dir === 'data') &&
        (file.isNameLost || file.places.some(({ how }) => how === 'lost')),
    )
  }

  #damageOf(name: string): DamagedFile | undefined {
    return this.#damaged.find(file => file.name === name)
  }

  /**
   * Logs that are there, and such as should be. One that is not used yet does not count, though it tells that the one
   * before is over: a start removes it, and the next start could not tell.
   */
  #expectedLogs(): readonly string[] {
    const lost = this.#damaged.filter(({ dir, name }) => dir === 'log' && name.startsWith('log.'))
    const used = [...this.#logs].filter(([, { isUnused }]) => !isUnused).map(([name]) => name)
    return newestFirst([...new Set([...used, ...lost.map(({ name }) => name)])]).toReversed()
  }

  #isCoveredFrom(zxid: bigint): boolean {
    return this.#expectedLogs().some(name => zxidIn(name) <= zxid + 1n)
  }

  /** Those that a start from a snapshot at this zxid reads. */
  #neededFrom(zxid: bigint): readonly string[] {
    const logs = this.#expectedLogs()
    return logs.slice(logs.findLastIndex(name => zxidIn(name) <= zxid + 1n))
  }
}

const inexact = 'the refusal names no file and place'

export function isExact(reason: string): boolean {
  return (
    /^log\.[0-9a-f]+ .* at byte \d+/s.test(reason) ||
    /^no(ne of the| usable) snapshot/.test(reason) ||
    /^snapshot\.[0-9a-f]+\S* holds parts of txns/.test(reason) ||
    isByNote(reason)
  )
}

/** The note tells of more than there is: an operator may have meant it so, and remove it. */
export function isByNote(reason: string): boolean {
  return /^(snapshots and logs end at zxid 0x[0-9a-f]+|there is neither a snapshot nor a txn log), but corral\.state says/.test(
    reason,
  )
}

function rangeOf({ from, to }: RecordPlace): { readonly at: number; readonly lengthBytes: number } {
  return { at: from, lengthBytes: to - from }
}

function markIn(log: Uint8Array): number {
  if (log.length < headerBytes) return 0
  return Number(new DataView(log.buffer, log.byteOffset, log.length).getBigUint64(markAt))
}

/** `how the run ended LF bound of session ids LF zxid LF`: what was there when the note was made. */
function zxidNoted(note: string): bigint {
  const digits = /^\w+\n0x[0-9a-f]+\n0x([0-9a-f]+)\n/.exec(note)?.[1]
  return digits === undefined ? 0n : BigInt(`0x${digits}`)
}

function newestFirst(names: readonly string[]): readonly string[] {
  return [...names].sort((a, b) => (zxidIn(a) > zxidIn(b) ? -1 : 1))
}
