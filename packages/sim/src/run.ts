/**
 * One run: options drawn from the seed; clients and faults until the operations are spent; everything healed, and
 * everybody answered; a last crash, a restart, and the whole tree read; then the history is judged.
 */
import { drawBelow, type Random, type ServerConfig, seededRandom } from '@corral/core'
import { assert } from '@corral/protocol'
import type { Bug } from './bugs.ts'
import { between, chance, exponential, pick } from './chance.ts'
import { checkWatches } from './checkers/watches.ts'
import { type Replay, replayHistory, type WitnessSettings } from './checkers/witness.ts'
import { checkZnodes } from './checkers/znode-model.ts'
import { Auditor, compareWithModel } from './clients/auditor.ts'
import { Generator, registerPaths } from './clients/generator.ts'
import { HostileClient } from './clients/hostile-client.ts'
import { LibraryClient } from './clients/library-client.ts'
import { type Budget, type SimClient, WireClient } from './clients/wire-client.ts'
import { CommitLog } from './commit-log.ts'
import { type CrashKind, healthyDisk, SimDisk } from './disk.ts'
import { type MakeMachine, SimServer } from './driver.ts'
import { Recorder, type Violation } from './history.ts'
import { Network, type NetworkOptions } from './network.ts'
import { drawOptions, type FaultClass, type RunOptions, superDigest } from './options.ts'
import { Scheduler } from './scheduler.ts'
import { Trace } from './trace.ts'

export interface Wanted {
  readonly seed: number
  readonly operations?: number
  readonly faults?: readonly FaultClass[]
  readonly bug?: Bug
  /** Besides the plan: the process dies after its so manieth effect, counted from the first start. */
  readonly crashAt?: { readonly effect: number; readonly kind: CrashKind }
}

export type Activity = Readonly<Record<string, number>>

export interface RunResult {
  readonly options: RunOptions
  readonly violations: readonly Violation[]
  /** Equal for equal seeds, or nothing else here means anything. */
  readonly traceHash: string
  readonly activity: Activity
  /** What should have happened and did not: the run proves less than it seems to. */
  readonly wasted: readonly string[]
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
  readonly #makeMachine: MakeMachine
  readonly #violations: Violation[] = []
  readonly #clients: SimClient[] = []
  readonly #wire: WireClient[] = []
  readonly #library: LibraryClient[] = []
  readonly #hostile: HostileClient[] = []
  readonly #budget: Budget
  #isPlanOver = false
  #storms = 0
  #snapshotsReplayed = 0
  #recoveries = 0

  constructor(wanted: Wanted, makeMachine: MakeMachine) {
    this.#wanted = wanted
    this.#random = seededRandom(wanted.seed)
    this.#options = drawOptions(this.#random.fork('options'), wanted)
    this.#makeMachine = makeMachine
    this.#budget = { left: this.#options.operations }
    const common = { scheduler: this.#scheduler, trace: this.#trace }
    this.#network = new Network({
      ...common,
      random: this.#random.fork('network'),
      options: this.#options.network,
    })
    this.#disk = new SimDisk({ ...common, random: this.#random.fork('disk'), options: this.#options.disk })
    this.#log = new CommitLog(this.#disk, () => this.#scheduler.nowMs)
    this.#disk.observer = this.#log
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
  }

  async execute(): Promise<RunResult> {
    try {
      this.#makeClients()
      this.#server.boot()
      const { crashAt } = this.#wanted
      if (crashAt !== undefined) this.#server.crashAfter(crashAt.effect, crashAt.kind)
      for (const client of [...this.#clients, ...this.#hostile]) client.start()
      this.#planNextFault()
      await this.#until(() => this.#budget.left === 0 || this.#hasFailed(), 600_000)
      if (this.#hasFailed()) return this.#result()
      await this.#healAndSettle()
      await this.#endSessions()
      await this.#restartAndCompare()
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.#violations.push({ rule: 'run', message: text })
    }
    return this.#result()
  }

  /** What is wrong already need not be waited for. */
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
      return { ...common, name, random, generator, habits, budget: this.#budget }
    }
    for (let i = 0; i < wireClients; i++) this.#wire.push(new WireClient(ordinary(`wire-${i}`)))
    for (let i = 0; i < libraryClients; i++) this.#library.push(new LibraryClient(ordinary(`library-${i}`)))
    for (let i = 0; i < hostileClients; i++) {
      const name = `hostile-${i}`
      this.#hostile.push(new HostileClient({ ...common, name, random: this.#random.fork(name) }))
    }
    this.#clients.push(...this.#wire, ...this.#library)
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
    const { faults, habits } = this.#options
    if (faults.length === 0) return
    const fault = pick(random, faults)
    switch (fault) {
      case 'kill':
      case 'powerLoss':
        this.#server.crashAfter(drawBelow(random, 30), fault)
        return
      case 'stall':
        this.#server.stall(between(random, 1, 2 * habits.sessionTimeoutMs))
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
        // These strike by themselves.
        return
    }
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
    for (const hostile of this.#hostile) hostile.leave()
    for (const client of this.#clients) client.quiesce()
    const { maxSessionTimeoutMs } = this.#options.config
    const bound = 120_000 + 10 * maxSessionTimeoutMs + this.#server.counters.longestStallMs
    await this.#until(() => this.#clients.every(client => client.isQuiet), bound)
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
    const sessions = (): number => this.#server.inspect()?.sessions().length ?? -1
    await this.#until(() => sessions() === 0, bound)
    if (sessions() !== 0)
      this.#violate('V5', `${sessions()} sessions are left ${bound} ms after their clients`)
    // What the last expiries wrote has to be durable before the end.
    await this.#until(() => false, 2000)
  }

  async #restartAndCompare(): Promise<void> {
    const random = this.#random.fork('end')
    const isOrdered = chance(random, 0.3)
    this.#server.isRestarting = false
    if (isOrdered) {
      this.#server.stop()
      await this.#until(() => this.#server.state !== 'up', 60_000)
      if (this.#server.state !== 'stopped') {
        this.#violate(
          'stop',
          `after an ordered stop the server is ${this.#server.state}: ${this.#server.fatalReason}`,
        )
      }
      // A machine that goes off after an ordered stop loses nothing.
      this.#disk.crash('powerLoss')
    } else this.#server.crash(pick(random, ['kill', 'powerLoss'] as const))
    if (this.#server.state === 'failed') return
    const before = this.#log.inOrder().length
    const { server, network } = this.#startOn(this.#disk, 'last', this.#log)
    await this.#until(() => server.isServing || server.state !== 'up', 60_000)
    this.#recoveries += server.counters.recoveries
    this.#violations.push(...server.violations)
    if (!server.isServing) {
      this.#violate('V2', `the server does not start again: ${server.fatalReason ?? server.state}`)
      return
    }
    const replay = this.#judge()
    if (replay.tree.lastZxid !== BigInt(before)) {
      this.#violate('L4', `${before} txns were written in peace, ${replay.tree.lastZxid} are recovered`)
    }
    await this.#audit(network, replay, 'after the last restart')
    server.crash('kill')
    await this.#replayOlderSnapshots(replay)
  }

  /** A server that does nothing of its own accord: what it read from the disk stays as it is. */
  #startOn(
    disk: SimDisk,
    label: string,
    log: CommitLog | undefined,
  ): { server: SimServer; network: Network } {
    const common = { scheduler: this.#scheduler, trace: this.#trace }
    const random = this.#random.fork(label)
    const network = new Network({ ...common, random: random.fork('network'), options: instantNetwork })
    const server = new SimServer({
      ...common,
      network,
      disk,
      log,
      random: random.fork('server'),
      config: passive(this.#options.config),
      makeMachine: this.#makeMachine,
      options: { ...this.#options.driver, turnMs: 0, clockRate: 1 },
      bug: undefined,
    })
    server.highestToldZxid = log === undefined ? 0n : this.#server.highestToldZxid
    server.isRestarting = false
    server.boot()
    return { server, network }
  }

  async #audit(network: Network, replay: Replay, when: string): Promise<void> {
    const auditor = new Auditor(network)
    auditor.start()
    await this.#until(() => auditor.isDone, 60_000)
    if (!auditor.isDone) this.#violate('L2', `${when}: the tree could not be read in a minute`)
    else this.#violations.push(...compareWithModel(auditor, replay.tree, when))
  }

  /** L3: from every retained snapshot the logs lead to the same tree. */
  async #replayOlderSnapshots(replay: Replay): Promise<void> {
    const snapshots = this.#disk.names('data').filter(name => /^snapshot\.[0-9a-f]+$/.test(name))
    snapshots.sort((a, b) => Number(BigInt(`0x${b.slice(9)}`) - BigInt(`0x${a.slice(9)}`)))
    const draws = this.#random.fork('older snapshots')
    const isChosen = (): boolean => snapshots.length <= 5 || chance(draws, 4 / snapshots.length)
    const oldestLog = this.#oldestLog()
    for (const [i, snapshot] of snapshots.slice(1).entries()) {
      // A purge that a crash cut short has removed the logs and not yet the snapshots.
      const isPurged = oldestLog !== undefined && BigInt(`0x${snapshot.slice(9)}`) + 1n < oldestLog
      if (isPurged || !isChosen()) continue
      const random = this.#random.fork(`disk older ${i}`)
      const disk = this.#disk.clone({
        scheduler: this.#scheduler,
        trace: this.#trace,
        random,
        options: healthyDisk,
      })
      for (const newer of snapshots.slice(0, i + 1)) disk.destroy('data', newer)
      const { server, network } = this.#startOn(disk, `older ${i}`, undefined)
      await this.#until(() => server.isServing || server.state !== 'up', 60_000)
      const when = `replayed from ${snapshot}`
      if (server.isServing) await this.#audit(network, replay, when)
      else this.#violate('L3', `${when}: ${server.fatalReason ?? server.state}`)
      this.#violations.push(...server.violations)
      server.crash('kill')
      this.#snapshotsReplayed++
    }
  }

  #oldestLog(): bigint | undefined {
    const names = this.#disk.names('log').filter(name => /^log\.[0-9a-f]+$/.test(name))
    const zxids = names.map(name => BigInt(`0x${name.slice(4)}`)).sort((a, b) => (a < b ? -1 : 1))
    return zxids[0]
  }

  // -- the judgement

  #judge(): Replay {
    const settings: WitnessSettings = {
      minSessionTimeoutMs: this.#options.config.minSessionTimeoutMs,
      maxSessionTimeoutMs: this.#options.config.maxSessionTimeoutMs,
      clockRate: this.#options.driver.clockRate,
      superDigest,
      hasStrangers: this.#hostile.length > 0,
    }
    const replay = replayHistory({ history: this.#recorder, committed: this.#log.inOrder(), settings })
    const watches = checkWatches({ history: this.#recorder, replay, superDigest })
    const znodes = checkZnodes(this.#recorder, registerPaths)
    this.#violations.push(...replay.violations, ...watches.violations, ...znodes.violations)
    this.#judged = replay.judged
    this.#eventsJudged = watches.fired
    this.#searched = znodes.decided
    return replay
  }

  #judged = 0
  #eventsJudged = 0
  #searched = 0

  #result(): RunResult {
    const activity = this.#activity()
    return {
      options: this.#options,
      violations: [
        ...this.#violations,
        ...this.#recorder.violations,
        ...this.#server.violations,
        ...this.#log.violations,
      ],
      traceHash: this.#trace.digest(),
      activity,
      wasted: this.#wasted(activity),
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
      judged: this.#judged,
      eventsJudged: this.#eventsJudged,
      searched: this.#searched,
      txns: this.#log.count,
      connections: network.connections,
      breaks: network.breaks,
      clogs: network.clogs,
      refused: network.refused,
      boots: counters.boots,
      recoveries: counters.recoveries + this.#recoveries,
      fatals: counters.fatals,
      stalls: counters.stalls,
      clockSteps: counters.clockSteps,
      kills: disk.kills,
      powerLosses: disk.powerLosses,
      takenBack: disk.takenBack,
      diskErrors: disk.writeErrors + disk.syncErrors + disk.readErrors + disk.noSpace,
      syncs: disk.syncs,
      effects: counters.effects,
      storms: this.#storms,
      attacks: this.#hostile.reduce((sum, client) => sum + client.attacks, 0),
      snapshotsReplayed: this.#snapshotsReplayed,
      marks: counters.marks.size,
      events: this.#scheduler.executed,
    }
  }

  /** A run that did nothing proves nothing. */
  #wasted(activity: Activity): readonly string[] {
    const wasted: string[] = []
    const demand = (name: string, atLeast: number): void => {
      const value = activity[name] ?? 0
      if (value < atLeast) wasted.push(`${name} ${value} < ${atLeast}`)
    }
    const { operations, faults } = this.#options
    demand('operations', operations / 2)
    demand('replies', operations / 4)
    demand('ok', operations / 20)
    demand('judged', operations / 10)
    demand('txns', 10)
    demand('searched', registerPaths.length)
    if (faults.includes('hostile')) demand('attacks', 1)
    return wasted
  }

  // -- time

  /** Runs until the condition holds, or so much virtual time has passed. */
  async #until(isDone: () => boolean, withinMs: number): Promise<void> {
    const deadline = this.#scheduler.nowMs + withinMs
    while (!isDone()) {
      if (!this.#scheduler.step(deadline)) return
      if (this.#scheduler.hasPromises) {
        this.#scheduler.hasPromises = false
        // Whatever waits on promises runs now, in an order that the seed fixes.
        await new Promise(resolve => setImmediate(resolve))
      }
    }
  }

  #violate(rule: string, message: string): void {
    this.#violations.push({ rule, message })
  }
}

/** No purge and no reaper: nothing changes but by a client. */
function passive(config: ServerConfig): ServerConfig {
  return {
    ...config,
    container: { ...config.container, checkIntervalMs: 1_000_000_000 },
    storage: { ...config.storage, purge: undefined },
  }
}

/** An audit must be over before a recovered session runs out. */
const instantNetwork: NetworkOptions = {
  minLatencyMs: 0,
  meanLatencyMs: 0,
  segmentation: 'whole',
  windowBytes: 10_000_000,
  clog: 0,
  maxClogMs: 0,
  break: 0,
  halfOpen: 0,
  refuse: 0,
}

/** What a failing run is replayed with. */
export function replayCommand(wanted: Wanted, options: RunOptions): string {
  assert(wanted.seed === options.seed, 'options belong to their seed')
  const parts = [`npm run sim -- --seed ${options.seed}`]
  if (wanted.operations !== undefined) parts.push(`--ops ${wanted.operations}`)
  if (wanted.faults !== undefined)
    parts.push(`--faults ${wanted.faults.length === 0 ? 'none' : wanted.faults.join(',')}`)
  if (wanted.bug !== undefined) parts.push(`--bug ${wanted.bug}`)
  if (wanted.crashAt !== undefined) parts.push(`--crash ${wanted.crashAt.kind}@${wanted.crashAt.effect}`)
  return parts.join(' ')
}
