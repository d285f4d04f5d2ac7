/** A log with a disk under it and nothing above it: what a server would do with its reports. */
import {
  DataTree,
  type DiskCall,
  type DiskResult,
  defaultConfig,
  type Effect,
  FiredWatches,
  Log,
  type LogReport,
  type OpId,
  type ServerConfig,
  type StorageConfig,
  seededRandom,
} from '@corral/core'
import {
  encodeTxn,
  highWord,
  lowWord,
  type SessionId,
  type Txn,
  type TxnBody,
  txnType,
  type Zxid,
  zxid,
} from '@corral/protocol'

export interface DiskUnderTest {
  perform(op: OpId, call: DiskCall): void
}

export type Ended =
  | Extract<LogReport, { readonly kind: 'recovered' | 'stopped' }>
  | { readonly kind: 'fatal'; readonly exitCode: number; readonly reason: string }

export class LogHost {
  readonly sessions: Map<SessionId, number> = new Map()
  readonly said: { readonly level: string; readonly what: string; readonly fields: object }[] = []
  readonly calls: DiskCall[] = []
  readonly log: Log
  tree: DataTree
  #disk: DiskUnderTest | undefined
  #told: (end: Ended) => void = () => undefined
  #next: Promise<Ended>
  #nowMs = 0
  #whenDurable: (() => boolean)[] = []

  constructor(storage: Partial<StorageConfig> = {}, rest: Partial<ServerConfig> = {}) {
    const config: ServerConfig = {
      ...defaultConfig,
      ...rest,
      storage: { ...defaultConfig.storage, ...storage },
    }
    const random = seededRandom(1)
    const makeTree = (): DataTree =>
      new DataTree({
        random,
        isTtlEnabled: config.isTtlEnabled,
        isDigestEnabled: config.storage.isDigestEnabled,
      })
    this.tree = makeTree()
    this.log = new Log({
      config,
      random,
      sessions: this.sessions,
      maybe: () => false,
      tree: () => this.tree,
      makeTree,
      replaceTree: tree => {
        this.tree = tree
      },
      emit: effect => this.#onEffect(effect),
    })
    this.#next = this.#awaitNext()
  }

  use(disk: DiskUnderTest): this {
    this.#disk = disk
    return this
  }

  report(op: OpId, result: DiskResult): void {
    this.#nowMs++
    this.#onReport(this.log.diskDone({ monotonicMs: this.#nowMs, wallMs: 0 }, op, result))
  }

  start(): Promise<Ended> {
    this.log.start({ monotonicMs: this.#nowMs, wallMs: 0 })
    return this.#next
  }

  stop(): Promise<Ended> {
    this.#onReport(this.log.stop({ monotonicMs: this.#nowMs, wallMs: 0 }))
    return this.#next
  }

  turnEnded(): void {
    this.#onReport(this.log.turnEnded({ monotonicMs: this.#nowMs, wallMs: 0 }))
  }

  get lastZxid(): Zxid {
    return zxid((BigInt(this.tree.lastZxidHigh) << 32n) | BigInt(this.tree.lastZxidLow >>> 0))
  }

  /** Hands a txn to the log under the next zxid. */
  append(body: TxnBody, given: { readonly session?: bigint; readonly timeMs?: number } = {}): Zxid {
    const id = zxid(this.log.lastZxid + 1n)
    const txn: Txn = {
      header: {
        session: (given.session ?? 1n) as SessionId,
        cxid: 1,
        zxid: id,
        timeMs: given.timeMs ?? 1_700_000_000_000,
        type: 0,
      },
      body,
      digest: undefined,
    }
    const bytes = encodeTxn({ ...txn, header: { ...txn.header, type: txnType(body) } })
    const out = this.log.beginTxn()
    out.ensure(bytes.length)
    out.bytes.set(bytes, out.at)
    out.at += bytes.length
    this.log.endTxn(highWord(id), lowWord(id))
    return id
  }

  /** Resolves when everything appended so far was reported durable. */
  untilDurable(): Promise<void> {
    const upTo = this.log.lastZxid
    return new Promise(durable => {
      this.#whenDurable.push(() => {
        if (this.lastZxid < upTo) return false
        durable()
        return true
      })
      this.#tellDurable()
    })
  }

  #tellDurable(): void {
    this.#whenDurable = this.#whenDurable.filter(isTold => !isTold())
  }

  #onEffect(effect: Effect): void {
    if (effect.kind === 'disk') {
      this.calls.push(effect.do)
      this.#disk?.perform(effect.op, effect.do)
    } else if (effect.kind === 'say') this.said.push(effect)
    else if (effect.kind === 'askTurn') setImmediate(() => this.turnEnded())
    else if (effect.kind === 'fatal') this.#end(effect)
  }

  #onReport(report: LogReport): void {
    if (report.kind === 'durable') {
      this.#apply(report)
      this.#tellDurable()
    } else if (report.kind === 'recovered' || report.kind === 'stopped') this.#end(report)
  }

  #apply({ space, from, to }: Extract<LogReport, { readonly kind: 'durable' }>): void {
    const fired = new FiredWatches()
    for (let at = from; at < to; ) {
      const length = space.view.getInt32(at + 8)
      this.tree.apply(space, at + 12, at + 12 + length, fired)
      fired.clear()
      at += 13 + length
    }
  }

  #end(end: Ended): void {
    const told = this.#told
    this.#next = this.#awaitNext()
    told(end)
  }

  #awaitNext(): Promise<Ended> {
    return new Promise(told => {
      this.#told = told
    })
  }
}
