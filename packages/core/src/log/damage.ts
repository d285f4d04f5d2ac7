/** The verdict on a place in a log where no record stands. Pure: what is known comes in, what to do comes out. */
import type { Zxid } from '@corral/protocol'
import type { Found } from './record-reader.ts'
import { exitStorage, StorageRefusal } from './script.ts'

/** A place in a log behind which the server does not replay, since acknowledged txns may be affected. */
export interface LogDamage {
  readonly name: string
  /** Where the first record stands that cannot be replayed; 0: the file has no header. */
  readonly at: number
  /** What is wrong there. */
  readonly found: string
  /** All up to this one was restored without it. */
  readonly lastGood: Zxid
}

/** There is no start before the log was repaired. */
export class LogDamaged extends StorageRefusal {
  override readonly name: string = 'LogDamaged'
  readonly damage: LogDamage

  constructor(damage: LogDamage, reason: string) {
    super({ exitCode: exitStorage, reason })
    this.damage = damage
  }
}

export interface Stop {
  readonly found: Found
  /** Where in the file. */
  readonly at: number
  /** Whole valid records behind it in the same file. */
  readonly validBehind: number
  /** Nothing but zeros from here to the end of the file. */
  readonly isZeroToEnd: boolean
  /** A checksum stands here, no length, and nothing but zeros behind. */
  readonly isChecksumAlone: boolean
  /** Zeros in the damaged record where a sector should be. */
  readonly isMissingSector: boolean
  /** No later log file holds a record. */
  readonly isNewest: boolean
  /** Up to here the file was durable; 0: it says nothing, since the Java server wrote it. */
  readonly mark: number
  /** The last run of this server ended in order. */
  readonly wasClean: boolean
}

/** end: of this file's records. torn: end, and what follows was never acknowledged. damaged: it may have been. */
export type Verdict = 'end' | 'torn' | 'damaged'

export function judge(stop: Stop): Verdict {
  const isBeforeMark = stop.isNewest && stop.at < stop.mark
  if (stop.isZeroToEnd) return isBeforeMark ? 'damaged' : 'end'
  if (stop.found === 'bad payload') return 'damaged'
  const isIncomplete = stop.found === 'cut' || stop.found === 'no end mark'
  const isLast = stop.validBehind === 0
  // The Java server leaves a torn tail where it is and goes on in a new file, whose first zxid is then the torn one:
  // replay checks that. Nothing of ours is ever left torn.
  if (!stop.isNewest) return (isIncomplete || stop.found === 'zeros') && isLast ? 'end' : 'damaged'
  const isOurs = stop.mark > 0
  if (!isOurs) return (isIncomplete || stop.isChecksumAlone) && isLast ? 'torn' : 'damaged'
  if (isBeforeMark || stop.wasClean) return 'damaged'
  // What tore a batch is missing, sectors or the end of the file: a damaged byte among others was written, and may
  // have been told of. Whole records that follow can be of the same batch.
  return stop.isMissingSector || (stop.found === 'cut' && isLast) ? 'torn' : 'damaged'
}
