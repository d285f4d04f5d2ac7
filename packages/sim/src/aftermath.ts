/**
 * What is left on the disk after the last crash, looked at by servers that do nothing of their own accord: one that
 * starts as any start would, and one for each older snapshot, from which the logs must lead to the same tree.
 */
import { defaultConfig, type Random, type ServerConfig } from '@corral/core'
import { hexText, noZxid, zxid } from '@corral/protocol'
import { chance } from './chance.ts'
import { compareSessions, type OpenSessions } from './checkers/sessions.ts'
import { Auditor, compareWithModel } from './clients/auditor.ts'
import { dial } from './clients/dialer.ts'
import { connectFrame } from './clients/handshake.ts'
import { type CommitLog, zxidIn } from './commit-log.ts'
import { SimDisk } from './disk.ts'
import { healthyDisk } from './disk-options.ts'
import { type DriverOptions, type MakeMachine, SimServer } from './driver.ts'
import type { Violation } from './history.ts'
import type { ModelTree } from './model/znodes.ts'
import { instantNetwork, Network } from './network.ts'
import type { Scheduler } from './scheduler.ts'
import type { Trace } from './trace.ts'

/** More snapshots than this are sampled. */
const mostSnapshots = 5

export interface AftermathGiven {
  readonly scheduler: Scheduler
  readonly trace: Trace
  readonly random: Random
  readonly disk: SimDisk
  readonly config: ServerConfig
  readonly options: DriverOptions
  readonly makeMachine: MakeMachine
}

interface Started {
  readonly server: SimServer
  readonly network: Network
}

export class Aftermath {
  readonly violations: Violation[] = []
  snapshotsReplayed = 0
  readonly #given: AftermathGiven

  constructor(given: AftermathGiven) {
    this.#given = given
  }

  /** @param due - where recovery must end, at least */
  async start(log: CommitLog | undefined, due: bigint): Promise<Started> {
    const started = this.#boot(this.#given.disk, 'last', log)
    started.server.promises.highestToldZxid = due
    await this.#untilUp(started.server)
    this.violations.push(...started.server.violations)
    return started
  }

  /** L2: no session was forgotten, changed, or brought back. */
  auditSessions(server: SimServer, open: OpenSessions, when: string): void {
    const held = server.inspect()?.sessions() ?? []
    this.violations.push(...compareSessions(held, open, when))
  }

  /** L2: the tree that came back is the model's. */
  async audit(network: Network, tree: ModelTree, when: string): Promise<void> {
    const auditor = new Auditor(network)
    auditor.start()
    await this.#given.scheduler.until(() => auditor.isDone, 60_000)
    if (!auditor.isDone) this.#violate('L2', `${when}: the tree could not be read in a minute`)
    else this.violations.push(...compareWithModel(auditor, tree, when))
  }

  /** P4: who has seen more than there is gets no session, and is told nothing. */
  async turnAway(network: Network, server: SimServer): Promise<void> {
    const last = server.inspect()?.lastZxid() ?? noZxid
    let outcome: 'closed' | 'answered' | undefined
    const hangUp = dial(network, undefined, 'ahead', {
      opened: line => line.send(connectFrame({ timeoutMs: 60_000, lastZxidSeen: zxid(last + 1n) })),
      received: () => {
        outcome ??= 'answered'
      },
      closed: () => {
        outcome ??= 'closed'
      },
    })
    await this.#given.scheduler.until(() => outcome !== undefined, 60_000)
    hangUp()
    if (outcome !== 'closed')
      this.#violate('P4', `who has seen ${hexText(last + 1n)} is ${outcome ?? 'kept waiting'}`)
  }

  /**
   * L3: from every retained snapshot the logs lead to the same tree and sessions; on a disk that was damaged, perhaps
   * nowhere.
   *
   * @param open - with the last auditor's
   */
  async replayOlderSnapshots(tree: ModelTree, open: OpenSessions): Promise<void> {
    const { disk, scheduler, trace, random } = this.#given
    const snapshots = disk.volume.names('data').filter(name => name.startsWith('snapshot.'))
    snapshots.sort((a, b) => (zxidIn(a) > zxidIn(b) ? -1 : 1))
    const { rotten, lostSyncs, misdirected, staleReads, lostFiles, copies, restored } = disk.counters
    const wasDamaged =
      rotten + lostSyncs + misdirected + staleReads + lostFiles + Math.min(copies, restored) > 0
    const draws = random.fork('older snapshots')
    for (const [i, snapshot] of snapshots.slice(1).entries()) {
      const isChosen = snapshots.length <= mostSnapshots || chance(draws, 4 / snapshots.length)
      if (!isChosen || this.#isPurged(snapshot)) continue
      const twin = new SimDisk({
        scheduler,
        trace,
        random: random.fork(`disk older ${i}`),
        options: healthyDisk,
        volume: disk.volume.copy(),
      })
      for (const newer of snapshots.slice(0, i + 1)) twin.volume.destroy('data', newer)
      const { server, network } = this.#boot(twin, `older ${i}`, undefined)
      await this.#untilUp(server)
      const when = `replayed from ${snapshot}`
      if (server.isServing) {
        this.auditSessions(server, open, when)
        await this.audit(network, tree, when)
      } else if (!wasDamaged) this.#violate('L3', `${when}: ${server.fatalReason ?? server.state}`)
      this.violations.push(...server.violations)
      server.crash('kill')
      this.snapshotsReplayed++
    }
  }

  /** A purge that a crash cut short has removed the logs and not yet the snapshots. */
  #isPurged(snapshot: string): boolean {
    const logs = this.#given.disk.volume.names('log').filter(name => name.startsWith('log.'))
    return logs.length > 0 && logs.every(name => zxidIn(name) > zxidIn(snapshot) + 1n)
  }

  #boot(disk: SimDisk, label: string, log: CommitLog | undefined): Started {
    const { scheduler, trace, config, options, makeMachine } = this.#given
    const common = { scheduler, trace }
    const random = this.#given.random.fork(label)
    // An audit must be over before a recovered session runs out.
    const network = new Network({ ...common, random: random.fork('network'), options: instantNetwork })
    const server = new SimServer({
      ...common,
      network,
      disk,
      log,
      random: random.fork('server'),
      config: passive(config),
      makeMachine,
      options: { ...options, turnMs: 0, clockRate: 1 },
      bug: undefined,
    })
    server.isRestarting = false
    server.boot()
    return { server, network }
  }

  async #untilUp(server: SimServer): Promise<void> {
    await this.#given.scheduler.until(() => server.isServing || server.state !== 'up', 60_000)
  }

  #violate(rule: string, message: string): void {
    this.violations.push({ rule, message })
  }
}

/** No purge and no reaper: nothing changes but by a client. And nobody is kept waiting. */
function passive(config: ServerConfig): ServerConfig {
  return {
    ...config,
    requestThrottle: defaultConfig.requestThrottle,
    connectionThrottle: defaultConfig.connectionThrottle,
    largeRequest: defaultConfig.largeRequest,
    container: { ...config.container, checkIntervalMs: 1_000_000_000 },
    storage: { ...config.storage, purge: undefined },
  }
}
