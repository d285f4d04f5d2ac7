/** One run of a log on a crash disk, in steps that a seed orders; stands where a server would. */
import {
  encodeTxn,
  highWord,
  logRecordHeadBytes,
  lowWord,
  type SessionId,
  type Txn,
  txnType,
  type Zxid,
  zxid,
} from '@corral/protocol'
import { defaultConfig, type ServerConfig, type StorageConfig } from '../src/config.ts'
import type { Effect } from '../src/effects.ts'
import { Log, type LogReport } from '../src/log/log.ts'
import { drawBelow, type Random, seededRandom } from '../src/random.ts'
import { DataTree } from '../src/tree/data-tree.ts'
import { FiredWatches } from '../src/tree/fired-watches.ts'
import type { CrashDisk } from './crash-disk.ts'

export class LogRun {
  readonly log: Log
  readonly disk: CrashDisk
  readonly sessions: Map<SessionId, number> = new Map()
  readonly said: Extract<Effect, { readonly kind: 'say' }>[] = []
  tree: DataTree
  /** Highest zxid reported durable: what clients were told. */
  told: Zxid = zxid(0n)
  recovered: Extract<LogReport, { readonly kind: 'recovered' }> | undefined
  isStopped = false
  fatal: Extract<Effect, { readonly kind: 'fatal' }> | undefined
  readonly #random: Random
  #isTurnAsked = false
  #nowMs = 0

  constructor(
    disk: CrashDisk,
    given: {
      readonly storage: Partial<StorageConfig>
      readonly rest?: Partial<ServerConfig>
      readonly seed: number
      /** The uncommon branches that are always taken. */
      readonly marks?: readonly string[]
    },
  ) {
    const { storage, rest } = given
    const config: ServerConfig = {
      ...defaultConfig,
      ...rest,
      storage: { ...defaultConfig.storage, ...storage },
    }
    this.disk = disk
    this.#random = seededRandom(given.seed)
    const treeRandom = seededRandom(1)
    const makeTree = (): DataTree =>
      new DataTree({ random: treeRandom, isTtlEnabled: true, isDigestEnabled: true })
    this.tree = makeTree()
    this.log = new Log({
      config,
      random: seededRandom(given.seed),
      sessions: this.sessions,
      maybe: label => given.marks?.includes(label) ?? false,
      tree: () => this.tree,
      makeTree,
      replaceTree: tree => {
        this.tree = tree
      },
      emit: effect => this.#onEffect(effect),
    })
    this.log.start(this.now)
  }

  get now(): { readonly monotonicMs: number; readonly wallMs: number } {
    return { monotonicMs: this.#nowMs, wallMs: 0 }
  }

  get isOver(): boolean {
    return this.isStopped || this.fatal !== undefined
  }

  /** Nothing is left to be done. */
  get isIdle(): boolean {
    return this.disk.isIdle && !this.#isTurnAsked
  }

  /** Lets one thing happen that can: an operation ends, or the turn. */
  step(): void {
    this.#nowMs++
    const choices = (this.disk.isIdle ? 0 : 3) + (this.#isTurnAsked ? 1 : 0)
    if (this.#isTurnAsked && drawBelow(this.#random, choices) === 0) {
      this.#isTurnAsked = false
      this.#onReport(this.log.turnEnded(this.now))
    } else if (!this.disk.isIdle) {
      const { op, result } = this.disk.next(this.#random)
      this.#onReport(this.log.diskDone(this.now, op, result))
    }
  }

  untilIdle(): this {
    while (!this.isIdle && !this.isOver) this.step()
    return this
  }

  tickAt(monotonicMs: number): void {
    this.#nowMs = monotonicMs
    this.#onReport(this.log.tick(this.now))
  }

  stop(): void {
    this.#onReport(this.log.stop(this.now))
  }

  /** Hands the log the txn that makes `body` at the next zxid. */
  append(bodyAt: (id: Zxid) => Txn['body'], session = 0x100n): Zxid {
    const id = zxid(this.log.lastZxid + 1n)
    const body = bodyAt(id)
    const bytes = encodeTxn({
      header: { session: session as SessionId, cxid: 0, zxid: id, timeMs: 1000, type: txnType(body) },
      body,
      digest: undefined,
    })
    const out = this.log.beginTxn()
    out.ensure(bytes.length)
    out.bytes.set(bytes, out.at)
    out.at += bytes.length
    this.log.endTxn(highWord(id), lowWord(id))
    return id
  }

  get lastZxid(): Zxid {
    return zxid((BigInt(this.tree.lastZxidHigh) << 32n) | BigInt(this.tree.lastZxidLow >>> 0))
  }

  #onEffect(effect: Effect): void {
    if (effect.kind === 'disk') this.disk.ask(effect.op, effect.do)
    else if (effect.kind === 'askTurn') this.#isTurnAsked = true
    else if (effect.kind === 'say') this.said.push(effect)
    else if (effect.kind === 'fatal') this.fatal = effect
  }

  #onReport(report: LogReport): void {
    if (report.kind === 'recovered') this.recovered = report
    else if (report.kind === 'stopped') this.isStopped = true
    else if (report.kind === 'durable') this.#apply(report)
  }

  #apply({ space, from, to }: Extract<LogReport, { readonly kind: 'durable' }>): void {
    const fired = new FiredWatches()
    for (let at = from; at < to; ) {
      const payloadTo = at + logRecordHeadBytes + space.view.getInt32(at + 8)
      this.tree.apply(space, at + logRecordHeadBytes, payloadTo, fired)
      fired.clear()
      at = payloadTo + 1
    }
    this.told = this.lastZxid
  }
}
