/**
 * The simulated process around core's server: turns what happened into events, carries out effects, dies at any
 * boundary between two effects, and starts again on what its disk kept. The counterpart of the server package's
 * driver; the only caller of `step` here.
 *
 * A turn of the loop is as Node's: what the sockets and the disk had to say, in the order it came; then the tick if
 * one is due; then `turnEnded` if it was asked for. A stalled process takes no turn, while its inbox fills.
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
import { highWord, lowWord, unreachable } from '@corral/protocol'
import { type Bug, spoilOutput, submitSpoiled } from './bugs.ts'
import { between, chance } from './chance.ts'
import { ChunkPool, poisoned } from './chunk-pool.ts'
import type { CommitLog } from './commit-log.ts'
import type { CrashKind, SimDisk } from './disk.ts'
import type { Violation } from './history.ts'
import type { EndHandler, Network, End as SocketEnd } from './network.ts'
import { Outgoing } from './outgoing.ts'
import { RareMarks } from './rare-marks.ts'
import { RecoveryJudge } from './recovery-judge.ts'
import type { Appointment, Scheduler } from './scheduler.ts'
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

type End = 'refused' | 'bereft'

/** Thrown between two effects to leave a turn: the process is no more. */
class Death {
  readonly crash: Crash
  /** It is not started again. */
  readonly end: End | undefined
  constructor(crash: Crash, end?: End) {
    this.crash = crash
    this.end = end
  }
}

interface Socket {
  readonly conn: ConnId
  readonly end: SocketEnd
  readonly outgoing: Outgoing
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
  }
  readonly violations: Violation[] = []
  /** Zxids a client may have learned of: nothing above the durable end may ever be among them. */
  highestToldZxid = 0n
  fatalReason: string | undefined
  /** Restarts after a crash or a fatal end; the plan switches it off at its end. */
  isRestarting = true
  /** Where the last recovery ended. */
  recoveredZxid = 0n
  readonly #scheduler: Scheduler
  readonly #trace: Trace
  readonly #network: Network
  readonly #disk: SimDisk
  readonly #log: CommitLog | undefined
  readonly #random: Random
  readonly #config: ServerConfig
  readonly #makeMachine: MakeMachine
  readonly #options: DriverOptions
  readonly #bug: Bug | undefined
  #state: State = 'down'
  #machine: Machine | undefined
  #pool: ChunkPool = new ChunkPool()
  #inbox: Event[] = []
  readonly #sockets: Map<ConnId, Socket> = new Map()
  #lastConn = 0
  #turn: Appointment | undefined
  #tick: Appointment | undefined
  #isTickDue = false
  #lastTickMs = 0
  #isTurnAsked = false
  #isServing = false
  #isStalledUntilMs = 0
  #wallStepMs = 0
  #bootedAtMs = 0
  /** Effects still to be carried out before the process dies. */
  #plannedCrash: PlannedCrash | undefined
  readonly #marks: RareMarks
  #generation = 0
  #judge: RecoveryJudge | undefined
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
    this.#network = given.network
    this.#disk = given.disk
    this.#log = given.log
    this.#random = given.random
    this.#config = given.config
    this.#makeMachine = given.makeMachine
    this.#options = given.options
    this.#bug = given.bug
    this.#marks = new RareMarks(given.options.hasMarks ? given.random.fork('marks') : undefined)
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

  /** The process's wall clock, ms since 1970. */
  get wallMs(): number {
    return Math.floor(
      1_700_000_000_000 + this.#options.wallOffsetMs + this.#wallStepMs + this.#scheduler.nowMs,
    )
  }

  boot(): void {
    this.#generation++
    this.counters.boots++
    this.#state = 'up'
    this.#bootedAtMs = this.#scheduler.nowMs
    this.#pool = new ChunkPool()
    this.#inbox = []
    this.#isServing = false
    this.#isTurnAsked = false
    this.#isStalledUntilMs = 0
    this.fatalReason = undefined
    if (this.#log !== undefined) this.#judge = new RecoveryJudge(this.#disk, this.#log)
    this.#machine = this.#makeMachine({
      config: this.#config,
      random: this.#random.fork(`boot ${this.counters.boots}`),
      chunks: this.#pool,
      sha1: bytes => new Uint8Array(createHash('sha1').update(bytes).digest()),
      maybe: label => this.#marks.maybe(label),
    })
    if (this.#options.isPortOpenEarly) this.#network.listen(end => this.#accept(end))
    this.#post({ kind: 'start' })
    this.#lastTickMs = this.#monotonicMs()
    this.#scheduleTick()
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

  /** A crash that was planned comes no more. */
  calm(): void {
    this.#plannedCrash = undefined
  }

  stall(forMs: number): void {
    if (this.#state !== 'up') return
    this.counters.stalls++
    this.counters.longestStallMs = Math.max(this.counters.longestStallMs, forMs)
    this.#isStalledUntilMs = Math.max(this.#isStalledUntilMs, this.#scheduler.nowMs + forMs)
  }

  stepWallClock(byMs: number): void {
    this.counters.clockSteps++
    this.#wallStepMs += byMs
  }

  #monotonicMs(): number {
    const rate = this.#bug === 'early-expiry' ? 3 : this.#options.clockRate
    return (this.#scheduler.nowMs - this.#bootedAtMs) * rate + 1000
  }

  // -- what happens

  #accept(end: SocketEnd): EndHandler | undefined {
    if (this.#state !== 'up') return undefined
    const conn = ++this.#lastConn
    const socket: Socket = { conn, end, outgoing: new Outgoing() }
    this.#sockets.set(conn, socket)
    this.#post({ kind: 'opened', conn, peer: { address: '10.0.0.1', port: 1024 + (conn % 60_000) } })
    return {
      received: bytes => {
        const copy = new Uint8Array(bytes)
        this.#post({
          kind: 'received',
          conn,
          bytes: copy,
          view: new DataView(copy.buffer),
          from: 0,
          to: copy.length,
        })
      },
      closed: () => {
        if (this.#sockets.delete(conn)) this.#post({ kind: 'closed', conn })
      },
      unsent: lengthBytes => {
        if (this.#sockets.has(conn)) this.#post({ kind: 'unsent', conn, lengthBytes })
      },
    }
  }

  #post(event: Event): void {
    if (this.#state !== 'up') return
    this.#inbox.push(event)
    this.#scheduleTurn()
  }

  #scheduleTurn(): void {
    if (this.#turn !== undefined) return
    const delayMs =
      this.#options.turnMs === 0 ? 0 : between(this.#random, 0, 1000 * this.#options.turnMs) / 1000
    this.#turn = this.#scheduler.after(delayMs, 'turn', () => {
      this.#turn = undefined
      const leftMs = this.#isStalledUntilMs - this.#scheduler.nowMs
      if (leftMs > 0) {
        this.#turn = this.#scheduler.after(leftMs, 'turn after a stall', () => {
          this.#turn = undefined
          this.#takeTurn()
        })
        return
      }
      this.#takeTurn()
    })
  }

  #scheduleTick(): void {
    if (this.#bug === 'no-ticks') return
    const periodMs = Math.min(this.#config.tickTimeMs, 100)
    this.#tick = this.#scheduler.after(periodMs, 'tick', () => {
      this.#isTickDue = true
      this.#scheduleTurn()
      this.#scheduleTick()
    })
  }

  #takeTurn(): void {
    if (this.#state !== 'up') return
    try {
      const inbox = this.#inbox
      this.#inbox = []
      for (const event of inbox) this.#step(event)
      if (this.#isTickDue) {
        this.#isTickDue = false
        const nowMs = this.#monotonicMs()
        const periodMs = Math.min(this.#config.tickTimeMs, 100)
        const stalledMs = Math.max(0, nowMs - this.#lastTickMs - periodMs)
        this.#lastTickMs = nowMs
        this.#step({ kind: 'tick', stalledMs: stalledMs < 5 ? 0 : stalledMs })
      }
      if (this.#isTurnAsked) {
        this.#isTurnAsked = false
        this.#step({ kind: 'turnEnded' })
      }
    } catch (error) {
      if (error instanceof Death) this.#die(error)
      else this.#collapse(error)
    }
  }

  #step(event: Event): void {
    const machine = this.#machine
    if (machine === undefined) return
    // A connection that core has closed tells it nothing more.
    if ('conn' in event && event.kind !== 'closed' && !this.#sockets.has(event.conn)) return
    const now: Now = { monotonicMs: this.#monotonicMs(), wallMs: this.wallMs }
    this.#noteEvent(event)
    const effects = machine.step(now, event)
    for (const effect of effects) {
      this.counters.effects++
      this.#carryOut(effect)
      if (this.#plannedCrash !== undefined && --this.#plannedCrash.effects <= 0)
        throw new Death(this.#plannedCrash)
    }
    // Borrowed until the step returned: whoever kept it reads poison.
    if (event.kind === 'received') poisoned(event.bytes)
  }

  #noteEvent(event: Event): void {
    this.#trace.text(event.kind)
    const atMs = this.#scheduler.nowMs
    if ('conn' in event) this.#trace.number(event.conn)
    if (event.kind === 'received') this.#trace.bytes(event.bytes)
    this.#trace.event(() => `${atMs.toFixed(3)} event ${brief(event)}`)
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
      case 'close': {
        const socket = this.#sockets.get(effect.conn)
        this.#sockets.delete(effect.conn)
        if (effect.how === 'flush') socket?.end.finish()
        else socket?.end.abort()
        break
      }
      case 'askTurn':
        this.#isTurnAsked = true
        return
      case 'disk':
        this.#onDisk(effect.op, effect.do)
        return
      case 'command': {
        const socket = this.#sockets.get(effect.conn)
        this.#sockets.delete(effect.conn)
        socket?.end.send(Uint8Array.of(0x69, 0x6d, 0x6f, 0x6b))
        socket?.end.finish()
        break
      }
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
        throw new Death({ kind: 'kill' }, this.#refusal(effect.reason))
      default:
        unreachable(effect)
    }
    this.#trace.event(() => `${atMs.toFixed(3)} effect ${brief(effect)}`)
  }

  #onServing(): void {
    this.#isServing = true
    this.#vainBoots = 0
    this.counters.recoveries++
    this.recoveredZxid = (this.#machine as Machine).inspect().lastZxid()
    if (this.recoveredZxid < this.highestToldZxid) this.#onLoss()
    this.#log?.recovered(this.recoveredZxid)
    if (!this.#options.isPortOpenEarly) this.#network.listen(end => this.#accept(end))
  }

  /** On a damaged disk a server may end its start, saying why; unless a call of that start failed. */
  #refusal(reason: string): End | undefined {
    if (this.#isServing || this.#judge?.isDamaged !== true || /\bE[A-Z]{2,}:/.test(reason)) return undefined
    const problem = this.#judge.problemOfRefusal(reason)
    if (problem !== undefined) this.violations.push({ rule: 'D-08', message: `${problem}: ${reason}` })
    return 'refused'
  }

  #onLoss(): void {
    const [last, told] = [this.recoveredZxid, this.highestToldZxid]
    const problem = this.#judge?.problemOfLoss(last, told)
    if (this.#judge?.isDamaged === true && problem === undefined) throw new Death({ kind: 'kill' }, 'bereft')
    this.violations.push({
      rule: 'L4',
      message: `start ${this.counters.boots} recovered up to zxid 0x${last.toString(16)}, but clients were told of 0x${told.toString(16)}; ${problem}`,
    })
  }

  #send(conn: ConnId, given: Uint8Array): void {
    const socket = this.#sockets.get(conn)
    if (socket === undefined) return
    const bytes =
      this.#bug === undefined ? given : spoilOutput(this.#bug, given, () => chance(this.#random, 0.05))
    for (const zxid of socket.outgoing.zxidsIn(bytes)) this.#tell(zxid)
    socket.end.send(bytes)
  }

  /** L1 and P6: nothing leaves the server that a power loss could still take back. */
  #tell(zxid: bigint): void {
    if (zxid <= this.highestToldZxid) return
    this.highestToldZxid = zxid
    if (this.#log === undefined || this.#log.promisedZxid >= zxid) return
    this.violations.push({
      rule: 'L1',
      message: `zxid 0x${zxid.toString(16)} leaves the server at ${this.#scheduler.nowMs} ms, and only 0x${this.#log.promisedZxid.toString(16)} is durable`,
    })
  }

  #onDisk(op: OpId, call: DiskCall): void {
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

  // -- how it ends

  #collapse(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.violations.push({ rule: 'throw', message: `the server threw: ${text}` })
    this.isRestarting = false
    this.#die(new Death({ kind: 'kill' }))
    this.#state = 'failed'
  }

  #end(state: State): void {
    for (const socket of this.#sockets.values()) socket.end.abort()
    this.#silence(state)
    this.#disk.crash('kill')
  }

  #die({ crash: { kind, random }, end }: Death): void {
    this.#trace.text(kind)
    const sockets = [...this.#sockets.values()]
    this.#silence(end ?? 'down')
    for (const socket of sockets) {
      if (kind === 'powerLoss') socket.end.vanish()
      else socket.end.abort()
    }
    this.#disk.crash(kind, random)
    if (!this.isRestarting || end !== undefined) return
    if (this.fatalReason !== undefined && ++this.#vainBoots > mostVainBoots) {
      this.violations.push({ rule: 'V2', message: `the server does not start any more: ${this.fatalReason}` })
      this.isRestarting = false
      this.#state = 'failed'
      return
    }
    const delayMs = between(this.#random, 1, Math.max(1, this.#options.restartMs))
    this.#scheduler.after(delayMs, 'restart', () => {
      if (this.#state === 'down' && this.isRestarting) this.boot()
    })
  }

  #silence(state: State): void {
    this.#state = state
    this.#generation++
    this.#isServing = false
    this.#machine = undefined
    this.#inbox = []
    this.#plannedCrash = undefined
    this.#sockets.clear()
    this.#network.listen(undefined)
    for (const appointment of [this.#turn, this.#tick])
      if (appointment !== undefined) appointment.isCancelled = true
    this.#turn = undefined
    this.#isTickDue = false
  }
}

function brief(what: object): string {
  return Object.entries(what)
    .map(([key, value]) => {
      if (value instanceof Uint8Array) return `${key} ${value.length} bytes`
      if (value instanceof DataView) return ''
      if (typeof value === 'bigint') return `${key} ${highWord(value)}:${lowWord(value)}`
      if (typeof value === 'object') return `${key} ${brief(value as object)}`
      return `${key === 'kind' ? '' : key} ${String(value)}`
    })
    .join(' ')
    .trim()
}
