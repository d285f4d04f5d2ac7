/**
 * Virtual time: one queue of things to come, ordered by (time, sequence). Nothing in the simulation runs but from
 * here, so the seed fixes everything.
 */
import { assert } from '@corral/protocol'
import type { Trace } from './trace.ts'

export interface Appointment {
  readonly at: number
  readonly sequence: number
  readonly label: string
  readonly run: () => void
  isCancelled: boolean
}

/** Events at one instant of virtual time after which the run is given up: something feeds itself. */
const livelockEvents = 1_000_000

export class LivelockError extends Error {
  override readonly name: string = 'LivelockError'
}

export class Scheduler {
  /** Somebody may have settled a promise: who waits on it must run before the next event. */
  hasPromises = false
  readonly #trace: Trace
  readonly #heap: Appointment[] = []
  #nowMs = 0
  #sequence = 0
  #atThisInstant = 0
  #executed = 0

  constructor(trace: Trace) {
    this.#trace = trace
  }

  /** Virtual milliseconds since the run began; only ever grows. */
  get nowMs(): number {
    return this.#nowMs
  }

  get executed(): number {
    return this.#executed
  }

  get pending(): number {
    return this.#heap.length
  }

  /** @param delayMs - 0 is "after everything due now that was asked for earlier" */
  after(delayMs: number, label: string, run: () => void): Appointment {
    assert(delayMs >= 0, `a delay is not negative: ${delayMs} for ${label}`)
    return this.at(this.#nowMs + delayMs, label, run)
  }

  /** @param atMs - exactly then; a time in the past means now */
  at(atMs: number, label: string, run: () => void): Appointment {
    const at = Math.max(this.#nowMs, atMs)
    const appointment = { at, sequence: this.#sequence++, label, run, isCancelled: false }
    this.#heap.push(appointment)
    this.#siftUp(this.#heap.length - 1)
    return appointment
  }

  /**
   * Runs what comes next.
   *
   * @param untilMs - nothing later than this is run; the clock then stands there
   * @returns false if nothing was due
   */
  step(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.at > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, Math.min(untilMs, Number.MAX_SAFE_INTEGER))
        return false
      }
      this.#removeFirst()
      if (next.isCancelled) continue
      this.#enter(next)
      next.run()
      return true
    }
  }

  /** Runs until the condition holds, or so much virtual time has passed. */
  async until(isDone: () => boolean, withinMs: number): Promise<void> {
    const deadline = this.#nowMs + withinMs
    while (!isDone()) {
      if (!this.step(deadline)) return
      if (!this.hasPromises) continue
      this.hasPromises = false
      // Whatever waits on promises runs now, in an order that the seed fixes.
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  #enter(next: Appointment): void {
    this.#atThisInstant = next.at > this.#nowMs ? 0 : this.#atThisInstant + 1
    this.#nowMs = next.at
    if (this.#atThisInstant > livelockEvents) {
      throw new LivelockError(`${livelockEvents} events at ${next.at} ms, the last of them ${next.label}`)
    }
    this.#executed++
    this.#trace.number(next.at)
    this.#trace.text(next.label)
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop() as Appointment
    if (heap.length === 0) return
    heap[0] = last
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      if (left >= heap.length) return
      const right = left + 1
      const smaller = right < heap.length && this.#isBefore(right, left) ? right : left
      if (!this.#isBefore(smaller, at)) return
      this.#swap(smaller, at)
      at = smaller
    }
  }

  #siftUp(from: number): void {
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(at, parent)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #isBefore(a: number, b: number): boolean {
    const x = this.#heap[a] as Appointment
    const y = this.#heap[b] as Appointment
    return x.at < y.at || (x.at === y.at && x.sequence < y.sequence)
  }

  #swap(a: number, b: number): void {
    const x = this.#heap[a] as Appointment
    this.#heap[a] = this.#heap[b] as Appointment
    this.#heap[b] = x
  }
}
