/**
 * The loop of one simulated process, from its start to its death. A turn is as Node's: what the sockets and the disk
 * had to say, in the order it came; then the tick if one is due; then `turnEnded` if it was asked for. A stalled
 * process takes no turn, while its inbox fills.
 */
import type { Event, Random } from '@corral/core'
import { between } from './chance.ts'
import type { ProcessClock } from './process-clock.ts'
import type { Appointment, Scheduler } from './scheduler.ts'

export interface LoopGiven {
  readonly scheduler: Scheduler
  readonly random: Random
  readonly clock: ProcessClock
  /** Mean length of a turn: what happens within one is handled in one. */
  readonly turnMs: number
  /** undefined: it is never told that time passes. */
  readonly tickPeriodMs: number | undefined
  /** Handles the events one by one, and may stop anywhere: what is asked for meanwhile is still among them. */
  readonly takeTurn: (events: Iterable<Event>) => void
}

/** A tick that comes later than this was held up. */
const leastStallMs = 5

export class Loop {
  readonly #given: LoopGiven
  #inbox: Event[] = []
  #turn: Appointment | undefined
  #tick: Appointment | undefined
  #isTickDue = false
  #lastTickMs = 0
  #isTurnAsked = false
  #stalledUntilMs = 0

  constructor(given: LoopGiven) {
    this.#given = given
  }

  start(): void {
    this.post({ kind: 'start' })
    this.#lastTickMs = this.#given.clock.monotonicMs()
    this.#scheduleTick()
  }

  /** Nothing happens in it any more. */
  end(): void {
    for (const appointment of [this.#turn, this.#tick])
      if (appointment !== undefined) appointment.isCancelled = true
  }

  post(event: Event): void {
    this.#inbox.push(event)
    this.#scheduleTurn()
  }

  askTurn(): void {
    this.#isTurnAsked = true
  }

  stall(forMs: number): void {
    this.#stalledUntilMs = Math.max(this.#stalledUntilMs, this.#given.scheduler.nowMs + forMs)
  }

  #scheduleTurn(): void {
    if (this.#turn !== undefined) return
    const { scheduler, random, turnMs } = this.#given
    const delayMs = turnMs === 0 ? 0 : between(random, 0, 1000 * turnMs) / 1000
    this.#turn = scheduler.after(delayMs, 'turn', () => {
      const leftMs = this.#stalledUntilMs - scheduler.nowMs
      if (leftMs <= 0) this.#takeTurn()
      else this.#turn = scheduler.after(leftMs, 'turn after a stall', () => this.#takeTurn())
    })
  }

  #scheduleTick(): void {
    const { scheduler, tickPeriodMs } = this.#given
    if (tickPeriodMs === undefined) return
    this.#tick = scheduler.after(tickPeriodMs, 'tick', () => {
      this.#isTickDue = true
      this.#scheduleTurn()
      this.#scheduleTick()
    })
  }

  #takeTurn(): void {
    this.#turn = undefined
    this.#given.takeTurn(this.#events())
  }

  *#events(): Generator<Event> {
    const inbox = this.#inbox
    this.#inbox = []
    yield* inbox
    if (this.#isTickDue) yield this.#takeTick()
    if (!this.#isTurnAsked) return
    this.#isTurnAsked = false
    yield { kind: 'turnEnded' }
  }

  #takeTick(): Event {
    const { clock, tickPeriodMs = 0 } = this.#given
    this.#isTickDue = false
    const nowMs = clock.monotonicMs()
    const stalledMs = nowMs - this.#lastTickMs - tickPeriodMs
    this.#lastTickMs = nowMs
    return { kind: 'tick', stalledMs: stalledMs < leastStallMs ? 0 : stalledMs }
  }
}
