/**
 * A disk that does not answer. No answer for so long is as good as an error, which at least ends the waiting of all
 * clients. Time is told by ticks.
 */
import type { Zxid } from '@corral/protocol'
import type { Now } from '../events.ts'
import { DiskFailure } from './script.ts'

/** Something that the disk is waited for. */
export interface Wait {
  readonly what: string
  /** Tells it from the one before it of the same name; undefined: nothing is waited for. */
  readonly which: Zxid | number | undefined
}

/** Time between two ticks counts as the disk's only up to this: behind more the process stood still itself. */
const longestBeatMs = 1000

export class Stall {
  readonly #limitMs: number
  #tickedAtMs = 0
  #waits: readonly (Wait & { readonly forMs: number })[] = []

  /** @param limitMs - 0: the disk may take as long as it likes */
  constructor(limitMs: number) {
    this.#limitMs = limitMs
  }

  /** @returns what has been waited for too long */
  tick(now: Now, waits: readonly Wait[]): DiskFailure | undefined {
    const passedMs = Math.min(now.monotonicMs - this.#tickedAtMs, longestBeatMs)
    this.#tickedAtMs = now.monotonicMs
    const known = this.#waits
    this.#waits = waits
      .filter(({ which }) => which !== undefined)
      .map(({ what, which }) => {
        const before = known.find(wait => wait.what === what && wait.which === which)
        return { what, which, forMs: before === undefined ? 0 : before.forMs + passedMs }
      })
    const stalled = this.#waits.find(({ forMs }) => this.#limitMs > 0 && forMs > this.#limitMs)
    if (stalled === undefined) return undefined
    const message = `no answer for ${Math.round(stalled.forMs)} ms`
    return new DiskFailure({ what: stalled.what, errno: 'ETIMEDOUT', message })
  }
}
