/** The clocks of the simulated process: a wall clock that is stepped, and a monotonic one that runs too fast or too slow. */
import type { Scheduler } from './scheduler.ts'

/** When the runs begin, by an honest wall clock. */
const epochMs = 1_700_000_000_000

export class ProcessClock {
  readonly #scheduler: Scheduler
  readonly #rate: number
  #wallOffsetMs: number
  #bootedAtMs = 0

  /** @param given - rate: of the monotonic clock against virtual time */
  constructor(given: { scheduler: Scheduler; rate: number; wallOffsetMs: number }) {
    this.#scheduler = given.scheduler
    this.#rate = given.rate
    this.#wallOffsetMs = given.wallOffsetMs
  }

  /** The monotonic clock begins again, as that of a new process may. */
  restart(): void {
    this.#bootedAtMs = this.#scheduler.nowMs
  }

  stepWall(byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  monotonicMs(): number {
    return (this.#scheduler.nowMs - this.#bootedAtMs) * this.#rate + 1000
  }

  /** Since 1970. */
  wallMs(): number {
    return Math.floor(epochMs + this.#wallOffsetMs + this.#scheduler.nowMs)
  }
}
