/**
 * One run: options drawn from the seed; clients and faults until the operations are spent; everything healed, and
 * everybody answered; a last crash, a restart, and the whole tree read; then the history is judged.
 */
import { drawBelow, type Random, seededRandom } from '@corral/core'
import { Aftermath } from './aftermath.ts'
import type { Bug } from './bugs.ts'
import { between, chance, exponential, pick } from './chance.ts'
import { checkHandshakes } from './checkers/handshakes.ts'
import { checkWatches } from './checkers/watches.ts'
import { type Replay, replayHistory, type WitnessSettings } from './checkers/witness.ts'
import { checkZnodes } from './checkers/znode-model.ts'
import { Generator, registerPaths } from './clients/generator.ts'
import { HostileClient } from './clients/hostile-client.ts'
import { LibraryClient } from './clients/library-client.ts'
import type { SimClient } from './clients/sim-client.ts'
import { WireClient } from './clients/wire-client.ts'
import { CommitLog, type Committed } from './commit-log.ts'
import { type Coverage, countResults } from './coverage.ts'
import { type CrashKind, type Mishap, SimDisk } from './disk.ts'
import { type MakeMachine, SimServer } from './driver.ts'
import { Recorder, type Violation } from './history.ts'
import { ModelTree } from './model/znodes.ts'
import { Network } from './network.ts'
import { drawOptions, type FaultClass, type RunOptions, superDigest } from './options.ts'
import { isByNote, isExact, noteName } from './recovery-judge.ts'
import { Scheduler } from './scheduler.ts'
import { Trace } from './trace.ts'

export interface Wanted {
  readonly seed: number
  readonly operations?: number
  /** Ordinary clients at most: of those that the seed draws the first so many. */
  readonly clients?: number
  readonly faults?: readonly FaultClass[]
  readonly bug?: Bug
  /** Besides the plan: the process dies after its so manieth effect, counted from the first start. */
  readonly crashAt?: CrashPoint
}

export interface CrashPoint {
  readonly effect: number
  readonly kind: CrashKind
  /** Which of the many things that a power loss may leave; undefined: as the disk's own draws will have it. */
  readonly outcome?: number
}

/** Virtual time, and events, after which the plan has had its chance: where nobody comes to anything, it never ends. */
const longestMs = 1_200_000
const mostEvents = 600_000

export type Activity = Readonly<Record<string, number>>

export interface RunResult {
  readonly options: RunOptions
  readonly violations: readonly Violation[]
  /** Equal for equal seeds, or nothing else here means anything. */
  readonly traceHash: string
  readonly activity: Activity
  readonly coverage: Coverage
  /** What should have happened and did not: the run proves less than it seems to. */
  readonly wasted: readonly string[]
  /** Kinds of changes on the disk, each with the effects that asked for it. */
  readonly durableSteps: ReadonlyMap<string, readonly number[]>
  readonly lastEvents: readonly string[]
  readonly virtualMs: number
  readonly clientsAtEnd: readonly string[]
}

export async function simulate(wanted: Wanted, makeMachine: MakeMachine): Promise<RunResult> {
  const run = new Run(wanted, makeMachine)
  return await run.execute()
}

class Run {
  readonly #wanted: Wanted
  readonly #options: RunOptions
  readonly #random: Random
  readonly #trace: Trace = new Trace()
  readonly #scheduler: Scheduler = new Scheduler(this.#trace)
  readonly #recorder: Recorder = new Recorder(this.#scheduler)
  readonly #network: Network
  readonly #disk: SimDisk
  readonly #log: CommitLog
  readonly #server: SimServer
  readonly #aftermath: Aftermath
  readonly #violations: Violation[] = []
  readonly #clients: SimClient[] = []
  readonly #wire: WireClient[] = []
  readonly #library: LibraryClient[] = []
  readonly #hostile: HostileClient[] = []
  #isPlanOver = false
  #storms = 0
  #replay: Replay | undefined
  #eventsJudged = 0
  #searched = 0
  #outcome: string = 'none'

  constructor(wanted: Wanted, makeMachine: MakeMachine) {
    this.#wanted = wanted
    this.#random = seededRandom(wanted.seed)
    this.#options = drawOptions(this.#random.fork('options'), wanted)
    const common = { scheduler: this.#scheduler, trace: this.#trace }
    this.#network = new Network({
      ...common,
      random: this.#random.fork('network'),
      options: this.#options.network,
    })
    this.#disk = new SimDisk({ ...common, random: this.#random.fork('disk'), options: this.#options.disk })
    this.#log = new CommitLog(this.#disk, () => this.#scheduler.nowMs)
    this.#disk.observer = this.#log
    if (this.#options.isDeclaredNew) this.#disk.volume.directories.dataRoot.link('initialize')
    this.#server = new SimServer({
      ...common,
      network: this.#network,
      disk: this.#disk,
      log: this.#log,
      random: this.#random.fork('server'),
      config: this.#options.config,
      makeMachine,
      options: this.#options.driver,
      bug: wanted.bug,
    })
    this.#aftermath = new Aftermath({
      ...common,
      random: this.#random.fork('aftermath'),
      disk: this.#disk,
      config: this.#options.config,
      options: this.#options.driver,
      makeMachine,
    })
  }

  async execute(): Promise<RunResult> {
    try {
      this.#makeClients()
      this.#server.boot()
      const { crashAt } = this.#wanted
      if (crashAt !== undefined) this.#server.crashAt(this.#appointedCrash(crashAt))
      for (const client of [...this.#clients, ...this.#hostile]) client.start()
      this.#planNextFault()
      await this.#backUpMidway()
      await this.#until(this.#options.operations)
      if (!this.#isOver()) await this.#healAndSettle()
      if (!this.#isOver()) await this.#endSessions()
      if (!this.#isOver()) await this.#restartAndCompare()
      else if (!this.#hasFailed()) {
        this.#judge(this.#log.inOrder())
        await this.#judgeEnd(this.#server)
      }
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.#violations.push({ rule: 'run', message: text })
    }
    return this.#result()
  }

  async #until(replies: number): Promise<void> {
    const isDone = (): boolean =>
      this.#recorder.replies >= replies || this.#scheduler.executed >= mostEvents || this.#isOver()
    await this.#scheduler.until(isDone, longestMs)
  }

  /** So that there is one, whatever the plan does. */
  async #backUpMidway(): Promise<void> {
    const { faults, operations } = this.#options
    if (!this.#isBackedUp) return
    const random = this.#random.fork('backup')
    await this.#until(Math.ceil((operations * between(random, 10, 90)) / 100))
    if (faults.includes('rollback')) this.#disk.backUp(random)
    if (faults.includes('liveCopy')) this.#disk.startCopy(random.fork('copy'))
  }

  /** The server has come to an end, or to something that is wrong: there is nothing more to wait for. */
  #isOver(): boolean {
    return this.#hasFailed() || this.#server.state === 'refused' || this.#server.state === 'bereft'
  }

  #hasFailed(): boolean {
    return this.#recorder.violations.length + this.#server.violations.length + this.#log.violations.length > 0
  }

  // -- the safety phase

  #makeClients(): void {
    const { wireClients, libraryClients, hostileClients, mix, habits, maxValueBytes } = this.#options
    const common = { scheduler: this.#scheduler, network: this.#network, recorder: this.#recorder }
    const ordinary = (name: string) => {
      const random = this.#random.fork(name)
      const generator = new Generator({ random: random.fork('work'), name, mix, maxValueBytes })
      return { ...common, name, random, generator, habits }
    }
    for (let i = 0; i < wireClients; i++) this.#wire.push(new WireClient(ordinary(`wire-${i}`)))
    for (let i = 0; i < libraryClients; i++) this.#library.push(new LibraryClient(ordinary(`library-${i}`)))
    for (let i = 0; i < hostileClients; i++) {
      const name = `hostile-${i}`
      this.#hostile.push(new HostileClient({ ...common, name, random: this.#random.fork(name) }))
    }
    this.#clients.push(...this.#wire, ...this.#library)
  }

  #appointedCrash({ effect, kind, outcome }: CrashPoint): Parameters<SimServer['crashAt']>[0] {
    const random = outcome === undefined ? undefined : this.#random.fork(`outcome ${outcome}`)
    return { kind, effect, ...(random === undefined ? {} : { random }) }
  }

  #planNextFault(): void {
    const random = this.#random.fork('plan')
    const next = (): void => {
      this.#scheduler.after(exponential(random, this.#options.meanFaultMs), 'plan', () => {
        if (this.#isPlanOver) return
        this.#strike(random)
        next()
      })
    }
    next()
  }

  #strike(random: Random): void {
    const { faults, maxStallMs } = this.#options
    if (faults.length === 0) return
    const fault = pick(random, faults)
    switch (fault) {
      case 'kill':
      case 'powerLoss':
        this.#server.crashAfter({ kind: fault, effects: drawBelow(random, 30) })
        return
      case 'bitRot':
        // Mostly at the end, or few runs would come to one.
        if (!chance(random, 0.3)) return
        if (chance(random, 0.5)) this.#disk.rot(random)
        else this.#befall('rot', random)
        return
      case 'fileLoss':
        if (chance(random, 0.3)) this.#befall('loss', random)
        return
      case 'rollback':
        if (!this.#disk.hasBackup || chance(random, 0.4)) this.#disk.backUp(random)
        else if (chance(random, 0.5)) this.#befall('restore', random)
        return
      case 'liveCopy':
        if (!this.#disk.hasBackup || chance(random, 0.4)) this.#disk.startCopy(random.fork('copy'))
        else if (chance(random, 0.5)) this.#befall('restore', random)
        return
      case 'stall':
        this.#server.stall(between(random, 1, Math.ceil(maxStallMs)))
        return
      case 'clock':
        this.#server.stepWallClock(between(random, -86_400_000, 86_400_000))
        return
      case 'clients':
        this.#storm(random)
        return
      case 'network':
        this.#network
          .anyConnection(random)
          ?.break({ client: chance(random, 0.5), server: chance(random, 0.5) })
        return
      case 'disk':
      case 'hostile':
      case 'lostSync':
      case 'misdirectedWrite':
      case 'staleRead':
        // These strike by themselves.
        return
    }
  }

  /** The process dies, and before it comes back this has happened. */
  #befall(mishap: Mishap, random: Random): void {
    this.#disk.expect(mishap)
    this.#server.crashAfter({
      kind: pick(random, ['kill', 'powerLoss'] as const),
      effects: drawBelow(random, 30),
    })
  }

  /** Everybody's connection breaks at once. */
  #storm(random: Random): void {
    this.#storms++
    for (let i = this.#network.openCount; i > 0; i--) {
      this.#network.anyConnection(random)?.break({ client: true, server: true })
    }
  }

  // -- the quiet phase

  async #healAndSettle(): Promise<void> {
    this.#isPlanOver = true
    this.#network.heal()
    this.#disk.heal()
    this.#server.calm()
    for (const hostile of this.#hostile) hostile.leave()
    for (const client of this.#clients) client.quiesce()
    const { maxSessionTimeoutMs } = this.#options.config
    const bound = 120_000 + 10 * maxSessionTimeoutMs + this.#server.counters.longestStallMs
    await this.#scheduler.until(() => this.#isOver() || this.#clients.every(client => client.isQuiet), bound)
    if (this.#isOver()) return
    const waiting = this.#clients.filter(client => !client.isQuiet).map(client => client.name)
    if (waiting.length > 0) {
      this.#violate('V1', `${waiting.join(', ')} had no answer ${bound} ms after everything was healed`)
    }
    for (const client of this.#library) {
      const { calls, settled } = client.counters
      if (client.isQuiet && calls !== settled) {
        this.#violate('client', `${client.name}: ${calls} calls, ${settled} settled`)
      }
    }
  }

  /** V5: clients go without a word, and their sessions end in time. */
  async #endSessions(): Promise<void> {
    for (const client of this.#clients) client.leave()
    const { maxSessionTimeoutMs, tickTimeMs } = this.#options.config
    const { longestStallMs } = this.#server.counters
    const bound = (maxSessionTimeoutMs + 4 * tickTimeMs + 2000) / 0.9 + longestStallMs
    const sessions = (): number => this.#server.inspect()?.sessionCount() ?? -1
    await this.#scheduler.until(() => this.#isOver() || sessions() === 0, bound)
    if (this.#isOver()) return
    if (sessions() !== 0)
      this.#violate('V5', `${sessions()} sessions are left ${bound} ms after their clients`)
    // What the last expiries wrote has to be durable before the end.
    await this.#scheduler.until(() => false, 2000)
  }

  /** The machine dies once more, or stops in order and then goes off; what comes back must be everything. */
  async #restartAndCompare(): Promise<void> {
    const random = this.#random.fork('end')
    this.#server.isRestarting = false
    for (const mishap of this.#lastMishaps(random)) this.#disk.expect(mishap)
    if (chance(random, 0.3)) await this.#stop()
    else this.#server.crash(this.#isDishonest ? 'powerLoss' : pick(random, ['kill', 'powerLoss'] as const))
    if (this.#server.state === 'failed') return
    await this.#judgeAftermath()
  }

  async #stop(): Promise<void> {
    this.#server.stop()
    await this.#scheduler.until(() => this.#server.state !== 'up', 60_000)
    const { state, fatalReason } = this.#server
    // Unless a crash came between, as one is wanted at a certain place.
    if (state === 'up' || fatalReason !== undefined) {
      this.#violate('stop', `after an ordered stop it is ${state}: ${fatalReason}`)
    }
    // A machine that goes off after an ordered stop loses nothing.
    this.#disk.crash('powerLoss')
  }

  #lastMishaps(random: Random): readonly Mishap[] {
    const { faults } = this.#options
    const rotten = Array<Mishap>(between(random, 1, 3)).fill('rot')
    return [
      ...(faults.includes('bitRot') ? rotten : []),
      ...(faults.includes('fileLoss') ? (['loss'] as const) : []),
      ...(this.#isBackedUp && chance(random, 0.6) ? (['restore'] as const) : []),
    ]
  }

  get #isBackedUp(): boolean {
    return this.#options.faults.some(each => each === 'rollback' || each === 'liveCopy')
  }

  /** A disk that only shows at a power loss what it did not keep. */
  get #isDishonest(): boolean {
    const { faults } = this.#options
    return (['lostSync', 'misdirectedWrite', 'bitRot', 'staleRead'] as const).some(each =>
      faults.includes(each),
    )
  }

  async #judgeAftermath(): Promise<void> {
    const aftermath = this.#aftermath
    // All of it was written in peace.
    const committed = this.#log.inOrder()
    const { server, network } = await aftermath.start(this.#log, BigInt(committed.length))
    this.#outcome = server.isServing ? 'whole' : server.state
    this.#judge(committed)
    if (server.isServing) {
      const { tree } = this.#replay as Replay
      await aftermath.audit(network, tree, 'after the last restart')
      server.crash('kill')
      await aftermath.replayOlderSnapshots(tree, this.#log.openSessions())
    } else await this.#judgeEnd(server)
  }

  /** The start was refused, or brought back less than was promised: only a damaged disk excuses that. */
  async #judgeEnd(server: SimServer): Promise<void> {
    this.#outcome = server.state
    if (server.state === 'refused') return await this.#overrule(server)
    if (server.state !== 'bereft') {
      this.#violate('V2', `the server does not start again: ${server.fatalReason ?? server.state}`)
      return
    }
    // What is left must be right, up to where it ends.
    const { server: again } = await this.#auditLeftovers('what a damaged disk kept')
    if (!again.isServing) this.#violate('V2', `after a loss it does not start again: ${again.fatalReason}`)
    else if (again.promises.recoveredZxid !== server.promises.recoveredZxid)
      this.#violate('L4', 'after a loss the next start ends elsewhere')
  }

  /** Where only the note of the last run forbids a start, an operator who removes it gets a state that was. */
  async #overrule({ fatalReason = '' }: SimServer): Promise<void> {
    if (!isByNote(fatalReason)) return
    this.#disk.volume.destroy('logRoot', noteName)
    const { server } = await this.#auditLeftovers('without the note')
    if (!server.isServing && !isExact(server.fatalReason ?? ''))
      this.#violate('D-08', `without the note: ${server.fatalReason ?? server.state}`)
  }

  /** What a start makes of a disk that lacks something must be right, up to where it ends. */
  async #auditLeftovers(when: string): ReturnType<Aftermath['start']> {
    const txns = this.#log.inOrderAtRest()
    // From here on zxids mean something else.
    this.#disk.observer = undefined
    this.#disk.heal()
    const started = await this.#aftermath.start(undefined, 0n)
    const { server, network } = started
    if (server.isServing) {
      const tree = treeAfter(txns.slice(0, Number(server.promises.recoveredZxid)))
      this.#aftermath.auditSessions(server, tree.sessions, when)
      await this.#aftermath.turnAway(network, server)
      await this.#aftermath.audit(network, tree, when)
    }
    return started
  }

  // -- the judgement

  #judge(committed: readonly Committed[]): void {
    const settings: WitnessSettings = {
      minSessionTimeoutMs: this.#options.config.minSessionTimeoutMs,
      maxSessionTimeoutMs: this.#options.config.maxSessionTimeoutMs,
      clockRate: this.#options.driver.clockRate,
      superDigest,
      isTtlEnabled: this.#options.config.isTtlEnabled,
      isQuotaEnforced: this.#options.config.isQuotaEnforced,
      isThrottled: this.#options.config.requestThrottle.throttledOpWaitTimeMs > 0,
      hasStrangers: this.#hostile.length > 0,
    }
    const replay = replayHistory({ history: this.#recorder, committed, settings })
    const watches = checkWatches({ history: this.#recorder, replay, superDigest })
    const znodes = checkZnodes(this.#recorder, registerPaths, replay.unanswered)
    const handshakes = checkHandshakes({ history: this.#recorder, committed, settings })
    this.#violations.push(...replay.violations, ...handshakes, ...watches.violations, ...znodes.violations)
    this.#replay = replay
    this.#eventsJudged = watches.fired
    this.#searched = znodes.decided
  }

  #result(): RunResult {
    const activity = this.#activity()
    const coverage: Coverage = new Map()
    countResults(coverage, this.#recorder.ops)
    return {
      options: this.#options,
      violations: [
        ...this.#violations,
        ...this.#recorder.violations,
        ...this.#server.violations,
        ...this.#log.violations,
        ...this.#aftermath.violations,
      ],
      traceHash: this.#trace.digest(),
      activity,
      coverage,
      wasted: this.#wasted(activity),
      durableSteps: this.#server.counters.durableSteps,
      lastEvents: this.#trace.last(),
      virtualMs: this.#scheduler.nowMs,
      clientsAtEnd: this.#clients.map(client => `${client.name}: ${client.isQuiet ? 'quiet' : 'waiting'}`),
    }
  }

  #activity(): Activity {
    const { counters } = this.#server
    const network = this.#network.counters
    const disk = this.#disk.counters
    return {
      operations: this.#recorder.ops.length,
      replies: this.#recorder.ops.filter(op => op.reply !== undefined).length,
      ok: this.#recorder.ops.filter(op => op.reply?.header.err === 0).length,
      judged: this.#replay?.judged ?? 0,
      eventsJudged: this.#eventsJudged,
      searched: this.#searched,
      txns: this.#log.count,
      connections: network.connections,
      breaks: network.breaks,
      clogs: network.clogs,
      refused: network.refused,
      boots: counters.boots,
      recoveries: counters.recoveries,
      endedWhole: Number(this.#outcome === 'whole'),
      endedRefused: Number(this.#outcome === 'refused'),
      endedBereft: Number(this.#outcome === 'bereft'),
      fatals: counters.fatals,
      stalls: counters.stalls,
      clockSteps: counters.clockSteps,
      kills: disk.kills,
      powerLosses: disk.powerLosses,
      takenBack: disk.takenBack,
      diskErrors: disk.writeErrors + disk.syncErrors + disk.readErrors + disk.noSpace + disk.nameErrors,
      lostSyncs: disk.lostSyncs,
      misdirected: disk.misdirected,
      rotten: disk.rotten,
      staleReads: disk.staleReads,
      lostFiles: disk.lostFiles,
      copies: disk.copies,
      restored: disk.restored,
      syncs: disk.syncs,
      effects: counters.effects,
      storms: this.#storms,
      attacks: this.#hostile.reduce((sum, client) => sum + client.attacks, 0),
      snapshotsReplayed: this.#aftermath.snapshotsReplayed,
      marks: this.#server.marks.size,
      events: this.#scheduler.executed,
    }
  }

  /** A run that did nothing proves nothing. */
  #wasted(activity: Activity): readonly string[] {
    // A disk that could not be started on any more ends a run wherever it is.
    if (this.#outcome === 'refused' || this.#outcome === 'bereft') return []
    const wasted: string[] = []
    const demand = (name: string, atLeast: number): void => {
      const value = activity[name] ?? 0
      if (value < atLeast) wasted.push(`${name} ${value} < ${atLeast}`)
    }
    const { operations, faults } = this.#options
    demand('replies', operations / 2)
    demand('ok', operations / 20)
    demand('judged', operations / 10)
    demand('txns', 10)
    demand('searched', registerPaths.length)
    if (faults.includes('hostile')) demand('attacks', 1)
    return wasted
  }

  #violate(rule: string, message: string): void {
    this.#violations.push({ rule, message })
  }
}

/** The model's tree after these txns. */
function treeAfter(committed: readonly Committed[]): ModelTree {
  const tree = new ModelTree()
  for (const { txn } of committed) tree.apply(txn.header, txn.body)
  return tree
}
