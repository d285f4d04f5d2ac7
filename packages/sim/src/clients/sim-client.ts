/** What the run needs of any client, and what it gives to each that does ordinary work. */
import type { Random } from '@corral/core'
import type { Recorder } from '../history.ts'
import type { Network } from '../network.ts'
import type { Scheduler } from '../scheduler.ts'
import type { Generator } from './generator.ts'

export interface ClientHabits {
  readonly sessionTimeoutMs: number
  readonly meanThinkMs: number
  readonly maxPipelined: number
  /** Probabilities per thought. */
  readonly hangUp: number
  readonly letExpire: number
  readonly closeSession: number
  readonly readSlowly: number
}

export interface ClientGiven {
  readonly name: string
  readonly scheduler: Scheduler
  readonly network: Network
  readonly recorder: Recorder
  readonly random: Random
  readonly generator: Generator
  readonly habits: ClientHabits
}

export interface SimClient {
  readonly name: string
  start(): void
  /** No new operations from now on; faults of its own are over. */
  quiesce(): void
  /** Everything asked is answered, and a last sync as well. */
  readonly isQuiet: boolean
  /** Hangs up for good, without closing the session. */
  leave(): void
}
