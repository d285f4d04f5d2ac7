/** The verdict on a place in a log where no record stands. Pure: what is known comes in, what to do comes out. */
import type { Found } from './record-reader.ts'

export interface Stop {
  readonly found: Found
  /** Where in the file. */
  readonly at: number
  /** Whole valid records behind it in the same file. */
  readonly validBehind: number
  /** Nothing but zeros from here to the end of the file. */
  readonly isZeroToEnd: boolean
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
  if (!isOurs) return isIncomplete && isLast ? 'torn' : 'damaged'
  if (isBeforeMark || stop.wasClean) return 'damaged'
  // What tore a batch is missing, sectors or the end of the file: a damaged byte among others was written, and may
  // have been told of. Whole records that follow can be of the same batch.
  return stop.isMissingSector || (stop.found === 'cut' && isLast) ? 'torn' : 'damaged'
}
