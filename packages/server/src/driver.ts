/**
 * Turns what happened into events, and carries out effects. The only caller of `step`, and never inside one: what
 * happens during a step waits until its effects are carried out.
 *
 * - the clock is read once per step
 * - `turnEnded` comes from `setImmediate`, after all readable sockets of the turn
 * - so does `tick`: Node runs timers before sockets, and an expiry check there would kill sessions whose pings
 *   have already arrived
 */
import type { ConnId, DiskResult, Effect, Event, Inspection, Now, OpId, Peer } from '@corral/core'
import { assert, unreachable } from '@corral/protocol'
import { type Answer, Answers } from './answers.ts'
import type { ChunkPool } from './io/chunk-pool.ts'
import type { Disk } from './io/disk.ts'
import type { ClientSockets, SocketEvents } from './io/net.ts'
import type { Say } from './log-lines.ts'

/** The part of core's `Server` that is used here. */
export interface Machine {
  step(now: Now, event: Event): readonly Effect[]
  inspect(): Inspection
}

export interface Clock {
  now(): Now
}

export const systemClock: Clock = {
  now: () => ({ monotonicMs: performance.now(), wallMs: Date.now() }),
}

/** Answers four-letter words. */
export interface CommandDesk {
  /** @param word - its four bytes as a number */
  answer(
    word: number,
    argument: Uint8Array,
    seen: { readonly inspection: Inspection; readonly now: Now; readonly asker: Peer },
  ): Answer
}

/** Why a server came to its end. */
export type EndReason =
  /** It was told to. */
  | { readonly kind: 'stopped' }
  /** The disk failed, or what is on it cannot be trusted. `exitCode` is that of ZooKeeper, for a process to end with. */
  | { readonly kind: 'fatal'; readonly exitCode: number; readonly reason: string }

export interface DriverParts {
  readonly machine: Machine
  readonly sockets: ClientSockets
  readonly pool: ChunkPool
  readonly disk: Disk
  readonly desk: CommandDesk
  readonly clock: Clock
  readonly tickTimeMs: number
  readonly say: Say
}

const longestTickMs = 100
const acceptComplaintMs = 10_000

export class Driver implements SocketEvents {
  readonly serving: Promise<void>
  /** Told once nothing more will be stepped, sent or written; sockets may still be closing. */
  readonly ended: Promise<EndReason>
  readonly #parts: DriverParts
  readonly #tickMs: number
  readonly #queue: Event[] = []
  readonly #answers: Answers
  #isStepping = false
  #isTurnAsked = false
  #isEnded = false
  #timer: NodeJS.Timeout | undefined
  #tickDueMs = 0
  #acceptComplaintAtMs = Number.NEGATIVE_INFINITY
  #tellServing!: () => void
  #tellEnded!: (reason: EndReason) => void

  constructor(parts: DriverParts) {
    this.#parts = parts
    this.#answers = new Answers({
      sockets: parts.sockets,
      pool: parts.pool,
      hungUp: conn => this.closed(conn),
    })
    this.#tickMs = Math.min(parts.tickTimeMs, longestTickMs)
    this.serving = new Promise(resolve => {
      this.#tellServing = resolve
    })
    this.ended = new Promise(resolve => {
      this.#tellEnded = resolve
    })
  }

  start(): void {
    this.#happen({ kind: 'start' })
    this.#armTick()
  }

  /** Asks for an ordered stop; {@link ended} tells when it is done. */
  stop(): void {
    this.#happen({ kind: 'stop' })
  }

  opened(conn: ConnId, peer: Peer): void {
    this.#happen({ kind: 'opened', conn, peer })
  }

  received(conn: ConnId, bytes: Uint8Array, view: DataView, from: number, to: number): void {
    assert(!this.#isStepping, 'bytes are read between steps: they are borrowed and cannot wait')
    this.#happen({ kind: 'received', conn, bytes, view, from, to })
  }

  unsent(conn: ConnId, lengthBytes: number): void {
    this.#answers.unsent(conn, lengthBytes)
    this.#happen({ kind: 'unsent', conn, lengthBytes })
  }

  closed(conn: ConnId): void {
    this.#answers.drop(conn)
    this.#happen({ kind: 'closed', conn })
  }

  acceptFailed(reason: string): void {
    const { monotonicMs } = this.#parts.clock.now()
    if (monotonicMs - this.#acceptComplaintAtMs < acceptComplaintMs) return
    this.#acceptComplaintAtMs = monotonicMs
    this.#parts.say('warn', 'a connection could not be accepted', { reason })
  }

  diskDone(op: OpId, result: DiskResult): void {
    this.#happen({ kind: 'diskDone', op, result })
  }

  #happen(event: Event): void {
    if (this.#isEnded) return
    if (this.#isStepping) {
      this.#queue.push(event)
      return
    }
    this.#step(event)
    while (this.#queue.length > 0) this.#step(this.#queue.shift() as Event)
  }

  #step(event: Event): void {
    if (this.#isEnded) return
    const now = this.#parts.clock.now()
    this.#isStepping = true
    const effects = this.#parts.machine.step(now, event)
    for (const effect of effects) {
      this.#carryOut(effect, now)
      if (this.#isEnded) break
    }
    this.#isStepping = false
  }

  #carryOut(effect: Effect, now: Now): void {
    const { sockets, disk, say } = this.#parts
    switch (effect.kind) {
      case 'send':
        return sockets.send(effect.conn, effect.chunk, effect.lengthBytes)
      case 'setReading':
        return sockets.setReading(effect.conn, effect.to)
      case 'close':
        this.#answers.drop(effect.conn)
        return sockets.close(effect.conn, effect.how)
      case 'askTurn':
        return this.#askTurn()
      case 'disk':
        return disk.perform(effect.op, effect.do)
      case 'command':
        return this.#command(effect.conn, effect.word, effect.argument, now)
      case 'say':
        return say(effect.level, effect.what, effect.fields)
      case 'serving':
        return this.#tellServing()
      case 'stopped':
        return this.#end({ kind: 'stopped' })
      case 'fatal':
        return this.#end({ kind: 'fatal', exitCode: effect.exitCode, reason: effect.reason })
      default:
        return unreachable(effect)
    }
  }

  #askTurn(): void {
    if (this.#isTurnAsked) return
    this.#isTurnAsked = true
    setImmediate(() => {
      this.#isTurnAsked = false
      this.#happen({ kind: 'turnEnded' })
      this.#parts.sockets.flush()
    })
  }

  #armTick(): void {
    if (this.#isEnded) return
    this.#tickDueMs = this.#parts.clock.now().monotonicMs + this.#tickMs
    this.#timer = setTimeout(() => setImmediate(() => this.#tick()), this.#tickMs)
  }

  #tick(): void {
    const { clock, sockets } = this.#parts
    const { monotonicMs } = clock.now()
    this.#happen({ kind: 'tick', stalledMs: Math.max(0, monotonicMs - this.#tickDueMs) })
    sockets.sweep(monotonicMs)
    this.#armTick()
  }

  #command(conn: ConnId, word: number, argument: Uint8Array, now: Now): void {
    const { desk, machine, sockets } = this.#parts
    const asker = sockets.peerOf(conn)
    if (asker === undefined) return
    this.#answers.give(conn, desk.answer(word, argument, { inspection: machine.inspect(), now, asker }))
  }

  #end(reason: EndReason): void {
    this.#isEnded = true
    this.#queue.length = 0
    this.#answers.dropAll()
    clearTimeout(this.#timer)
    if (reason.kind === 'fatal') void this.#parts.sockets.abort()
    this.#tellEnded(reason)
  }
}
