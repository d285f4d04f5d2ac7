/**
 * The simulated process around core's server: hands it what happened, carries out effects one by one, dies at any
 * boundary between two of them, and starts again on what its disk kept. The counterpart of the server package's
 * driver; the only caller of `step` here.
 */
import { createHash } from 'node:crypto'
import type {
  Chunks,
  ConnId,
  DiskCall,
  DiskResult,
  Effect,
  Event,
  Inspection,
  Now,
  OpId,
  Random,
  ServerConfig,
} from '@corral/core'
import { unreachable } from '@corral/protocol'
import { type Bug, spoilOutput, submitSpoiled } from './bugs.ts'
import { between, chance } from './chance.ts'
import { ChunkPool, poisoned } from './chunk-pool.ts'
import type { CommitLog } from './commit-log.ts'
import type { CrashKind, SimDisk } from './disk.ts'
import { inWords } from './event-text.ts'
import type { Violation } from './history.ts'
import { Loop } from './loop.ts'
import type { Network } from './network.ts'
import { ProcessClock } from './process-clock.ts'
import { PromiseJudge, type RightfulEnd } from './promise-judge.ts'
import { RareMarks } from './rare-marks.ts'
import type { Scheduler } from './scheduler.ts'
import { Sockets } from './sockets.ts'
import type { Trace } from './trace.ts'

/** What the driver needs of core's `Server`. */
export interface Machine {
  step(now: Now, event: Event): readonly Effect[]
  inspect(): Inspection
}

export type MakeMachine = (given: {
  readonly config: ServerConfig
  readonly random: Random
  readonly chunks: Chunks
  sha1(bytes: Uint8Array): Uint8Array
  maybe(label: string): boolean
}) => Machine

export interface DriverOptions {
  /** Mean length of a loop's turn: what happens within one is handled in one. */
  readonly turnMs: number
  /** The port opens at once, or when the server serves. */
  readonly isPortOpenEarly: boolean
  readonly wallOffsetMs: number
  /** 0.9 ... 1.1: how fast the process's monotonic clock runs. */
  readonly clockRate: number
  /** Rare-event marks, each armed or not for the run. */
  readonly hasMarks: boolean
  readonly restartMs: number
}

export interface DriverCounters {
  boots: number
  recoveries: number
  fatals: number
  effects: number
  stalls: number
  longestStallMs: number
  clockSteps: number
  said: Map<string, number>
  /** Kinds of calls of the disk that change something, and at which effects they were made. */
  durableSteps: Map<string, number[]>
}

/** As many crashes in a row are no plan any more: something keeps the server from starting. */
const mostVainBoots = 50

interface Crash {
  readonly kind: CrashKind
  /** Draws what a power loss leaves, if not the disk's own. */
  readonly random?: Random
}

export interface PlannedCrash extends Crash {
  /** Still to be carried out before the process dies. */
  effects: number
}

/** Thrown between two effects to leave a turn: the process is no more. */
class Death {
  readonly crash: Crash
  /** It is not started again. */
  readonly end: RightfulEnd | undefined
  constructor(crash: Crash, end?: RightfulEnd) {
    this.crash = crash
    this.end = end
  }
}

/**
 * refused: to start on a damaged disk. bereft: it serves less than was acknowledged, as nobody could know. failed: it
 * broke a rule, or does not come up any more.
 */
type State = 'down' | 'up' | 'stopped' | 'refused' | 'bereft' | 'failed'

export class SimServer {
  readonly counters: DriverCounters = {
    boots: 0,
    recoveries: 0,
    fatals: 0,
    effects: 0,
    stalls: 0,
    longestStallMs: 0,
    clockSteps: 0,
    said: new Map(),
    durableSteps: new Map(),
  }
  fatalReason: string | undefined
  /** Restarts after a crash or a fatal end; the plan switches it off at its end. */
  isRestarting = true
  /** What clients were told, and whether it comes back. */
  readonly promises: PromiseJudge
  readonly #scheduler: Scheduler
  readonly #trace: Trace
  readonly #disk: SimDisk
  readonly #random: Random
  readonly #config: ServerConfig
  readonly #makeMachine: MakeMachine
  readonly #options: DriverOptions
  readonly #bug: Bug | undefined
  #state: State = 'down'
  #machine: Machine | undefined
  #pool: ChunkPool = new ChunkPool()
  #loop: Loop | undefined
  readonly #sockets: Sockets
  readonly #clock: ProcessClock
  #isServing = false
  /** At this effect, counted from the first start, the process dies, whatever the plan does. */
  #appointedCrash: (Crash & { readonly effect: number }) | undefined
  /** Effects still to be carried out before the process dies. */
  #plannedCrash: PlannedCrash | undefined
  readonly #marks: RareMarks
  readonly #broken: Violation[] = []
  #generation = 0
  /** Starts that did not come to serve, one after the other. */
  #vainBoots = 0

  constructor(given: {
    scheduler: Scheduler
    trace: Trace
    network: Network
    disk: SimDisk
    log: CommitLog | undefined
    random: Random
    config: ServerConfig
    makeMachine: MakeMachine
    options: DriverOptions
    bug: Bug | undefined
  }) {
    this.#scheduler = given.scheduler
    this.#trace = given.trace
    this.#disk = given.disk
    this.promises = new PromiseJudge(given.disk, given.log)
    this.#sockets = new Sockets({ network: given.network, post: event => this.#post(event) })
    this.#random = given.random
    this.#config = given.config
    this.#makeMachine = given.makeMachine
    this.#options = given.options
    this.#bug = given.bug
    this.#clock = new ProcessClock({
      scheduler: given.scheduler,
      rate: given.bug === 'early-expiry' ? 3 : given.options.clockRate,
      wallOffsetMs: given.options.wallOffsetMs,
    })
    this.#marks = new RareMarks(given.options.hasMarks ? given.random.fork('marks') : undefined)
  }

  get violations(): readonly Violation[] {
    return [...this.promises.violations, ...this.#broken]
  }

  /** How often each rare-event mark fired. */
  get marks(): ReadonlyMap<string, number> {
    return this.#marks.fired
  }

  get isServing(): boolean {
    return this.#isServing
  }

  get state(): State {
    return this.#state
  }

  inspect(): Inspection | undefined {
    return this.#machine?.inspect()
  }

  boot(): void {
    this.#generation++
    this.counters.boots++
    this.#state = 'up'
    this.#clock.restart()
    this.#pool = new ChunkPool()
    this.#isServing = false
    this.fatalReason = undefined
    this.promises.starts()
    this.#machine = this.#makeMachine({
      config: this.#config,
      random: this.#random.fork(`boot ${this.counters.boots}`),
      chunks: this.#pool,
      sha1: bytes => new Uint8Array(createHash('sha1').update(bytes).digest()),
      maybe: label => this.#marks.maybe(label),
    })
    if (this.#options.isPortOpenEarly) this.#sockets.listen()
    this.#loop = new Loop({
      scheduler: this.#scheduler,
      random: this.#random,
      clock: this.#clock,
      turnMs: this.#options.turnMs,
      tickPeriodMs: this.#bug === 'no-ticks' ? undefined : Math.min(this.#config.tickTimeMs, 100),
      takeTurn: events => this.#takeTurn(events),
    })
    this.#loop.start()
  }

  /** An ordered stop; ends in state 'stopped'. */
  stop(): void {
    this.#post({ kind: 'stop' })
  }

  /** Ends the process now. */
  crash(kind: CrashKind): void {
    if (this.#state === 'up') this.#die(new Death({ kind }))
  }

  /** Ends the process after so many more effects, wherever that is. */
  crashAfter(crash: PlannedCrash): void {
    if (this.#state === 'up') this.#plannedCrash = { ...crash }
  }

  /** Ends the process after this effect, counted from the first start: one before it may have been in another process. */
  crashAt(crash: Crash & { readonly effect: number }): void {
    this.#appointedCrash = crash
  }

  /** A crash that was planned comes no more. */
  calm(): void {
    this.#plannedCrash = undefined
  }

  stall(forMs: number): void {
    if (this.#state !== 'up') return
    this.counters.stalls++
    this.counters.longestStallMs = Math.max(this.counters.longestStallMs, forMs)
    this.#loop?.stall(forMs)
  }

  stepWallClock(byMs: number): void {
    this.counters.clockSteps++
    this.#clock.stepWall(byMs)
  }

  // -- what happens

  #post(event: Event): void {
    if (this.#state === 'up') this.#loop?.post(event)
  }

  #takeTurn(events: Iterable<Event>): void {
    try {
      for (const event of events) this.#step(event)
    } catch (error) {
      if (error instanceof Death) this.#die(error)
      else this.#collapse(error)
    }
  }

  #step(event: Event): void {
    const machine = this.#machine
    if (machine === undefined) return
    // A connection that core has closed tells it nothing more.
    if ('conn' in event && event.kind !== 'closed' && this.#sockets.get(event.conn) === undefined) return
    const now: Now = { monotonicMs: this.#clock.monotonicMs(), wallMs: this.#clock.wallMs() }
    this.#noteEvent(event)
    const effects = machine.step(now, event)
    for (const effect of effects) {
      this.counters.effects++
      this.#carryOut(effect)
      this.#dieIfDue()
    }
    // Borrowed until the step returned: whoever kept it reads poison.
    if (event.kind === 'received') poisoned(event.bytes)
  }

  #dieIfDue(): void {
    const [planned, appointed] = [this.#plannedCrash, this.#appointedCrash]
    if (appointed?.effect === this.counters.effects) throw new Death(appointed)
    if (planned !== undefined && --planned.effects <= 0) throw new Death(planned)
  }

  #noteEvent(event: Event): void {
    this.#trace.text(event.kind)
    const atMs = this.#scheduler.nowMs
    if ('conn' in event) this.#trace.number(event.conn)
    if (event.kind === 'received') this.#trace.bytes(event.bytes)
    this.#trace.event(() => `${atMs.toFixed(3)} event ${inWords(event)}`)
  }

  // -- what is done

  #carryOut(effect: Effect): void {
    const atMs = this.#scheduler.nowMs
    this.#trace.text(effect.kind)
    switch (effect.kind) {
      case 'send': {
        const bytes = effect.chunk.bytes.slice(0, effect.lengthBytes)
        this.#pool.give(effect.chunk, effect.lengthBytes)
        this.#trace.bytes(bytes)
        this.#trace.event(() => `${atMs.toFixed(3)} effect send ${effect.conn} ${effect.lengthBytes} bytes`)
        this.#send(effect.conn, bytes)
        return
      }
      case 'setReading':
        this.#sockets.get(effect.conn)?.end.setReading(effect.to === 'on')
        break
      case 'close':
        this.#sockets.close(effect.conn, effect.how)
        break
      case 'askTurn':
        this.#loop?.askTurn()
        return
      case 'disk':
        this.#onDisk(effect.op, effect.do)
        return
      case 'command':
        this.#sockets.get(effect.conn)?.end.send(Uint8Array.of(0x69, 0x6d, 0x6f, 0x6b))
        this.#sockets.close(effect.conn, 'flush')
        break
      case 'say':
        this.counters.said.set(effect.what, (this.counters.said.get(effect.what) ?? 0) + 1)
        this.#trace.text(effect.what)
        break
      case 'serving':
        this.#onServing()
        break
      case 'stopped':
        this.#end('stopped')
        break
      case 'fatal':
        this.fatalReason = effect.reason
        this.#trace.event(() => `${atMs.toFixed(3)} effect fatal ${effect.exitCode}: ${effect.reason}`)
        this.counters.fatals++
        throw new Death({ kind: 'kill' }, this.#isServing ? undefined : this.promises.refuses(effect.reason))
      default:
        unreachable(effect)
    }
    this.#trace.event(() => `${atMs.toFixed(3)} effect ${inWords(effect)}`)
  }

  #onServing(): void {
    this.#isServing = true
    this.#vainBoots = 0
    this.counters.recoveries++
    const inspection = (this.#machine as Machine).inspect()
    const end = this.promises.serves(inspection.lastZxid(), inspection.sessions())
    if (end !== undefined) throw new Death({ kind: 'kill' }, end)
    if (!this.#options.isPortOpenEarly) this.#sockets.listen()
  }

  #send(conn: ConnId, given: Uint8Array): void {
    const socket = this.#sockets.get(conn)
    if (socket === undefined) return
    const bytes =
      this.#bug === undefined ? given : spoilOutput(this.#bug, given, () => chance(this.#random, 0.05))
    for (const zxid of socket.outgoing.zxidsIn(bytes)) this.promises.tells(zxid, this.#scheduler.nowMs)
    socket.end.send(bytes)
  }

  #onDisk(op: OpId, call: DiskCall): void {
    this.#noteStep(call)
    const generation = this.#generation
    const done = (result: DiskResult): void => {
      if (generation === this.#generation) this.#post({ kind: 'diskDone', op, result })
    }
    if (this.#bug === undefined) this.#disk.submit(call, done)
    else
      submitSpoiled(this.#bug, {
        disk: this.#disk,
        call,
        done,
        isRecovering: !this.#isServing,
        random: this.#random,
      })
  }

  #noteStep(call: DiskCall): void {
    const step = this.#disk.stepOf(call)
    if (step === undefined) return
    const effects = this.counters.durableSteps.get(step) ?? []
    this.counters.durableSteps.set(step, effects)
    effects.push(this.counters.effects)
  }

  // -- how it ends

  #collapse(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#broken.push({ rule: 'throw', message: `the server threw: ${text}` })
    this.isRestarting = false
    this.#die(new Death({ kind: 'kill' }))
    this.#state = 'failed'
  }

  #end(state: State): void {
    this.#silence(state, 'abort')
    this.#disk.crash('kill')
  }

  #die({ crash: { kind, random }, end }: Death): void {
    this.#trace.text(kind)
    this.#silence(end ?? 'down', kind === 'powerLoss' ? 'vanish' : 'abort')
    // Where it ends is judged by what lies there now.
    if (end !== undefined) return this.#disk.handOver()
    this.#disk.crash(kind, random)
    if (!this.isRestarting) return
    if (this.fatalReason !== undefined && ++this.#vainBoots > mostVainBoots) {
      this.#broken.push({ rule: 'V2', message: `the server does not start any more: ${this.fatalReason}` })
      this.isRestarting = false
      this.#state = 'failed'
      return
    }
    const delayMs = between(this.#random, 1, Math.max(1, this.#options.restartMs))
    this.#scheduler.after(delayMs, 'restart', () => {
      if (this.#state === 'down' && this.isRestarting) this.boot()
    })
  }

  #silence(state: State, how: 'abort' | 'vanish'): void {
    this.#state = state
    this.#generation++
    this.#isServing = false
    this.#machine = undefined
    this.#plannedCrash = undefined
    this.#loop?.end()
    this.#sockets.leaveAll(how)
  }
}
