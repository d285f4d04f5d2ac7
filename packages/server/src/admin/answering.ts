/** What the answers to four-letter words are made from. */
import type { Inspection, Now } from '@corral/core'

/** Where the server is, for `conf`, `dirs` and `mntr`. */
export interface Place {
  readonly clientPort: number
  /** -1: the system's default. */
  readonly backlog: number
  /** The `version-2` directories; undefined in memory. */
  readonly dataDir: string | undefined
  readonly dataLogDir: string | undefined
  readonly startedMonotonicMs: number
}

export interface Answering {
  readonly inspection: Inspection
  readonly now: Now
  readonly place: Place
  /** undefined: that of the process. */
  readonly timeZone: string | undefined
  sizeOfDir(dir: string): Promise<number>
  environment(): string
  traceMask(): bigint
  /** Takes it from the argument. @returns the new one */
  setTraceMask(): bigint
}

/** With a point and up to four decimals, as Java prints a double. */
export function averageLatency({ counters }: Inspection): string {
  const { latencyCount, latencySumMs } = counters
  const average = latencyCount === 0 ? 0 : Math.round((latencySumMs / latencyCount) * 10_000) / 10_000
  return Number.isInteger(average) ? `${average}.0` : String(average)
}

/** The original keeps the root under two names, and counts both. */
export function znodeCount(inspection: Inspection): number {
  return inspection.znodeCount() + 1
}
