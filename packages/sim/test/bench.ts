/** A server on a bench: instant network, a disk of constant speed, and hands that send frames when they like. */
import { type Dir, defaultConfig, type Random, Server, type ServerConfig, seededRandom } from '@corral/core'
import {
  cutFrames,
  FrameTail,
  noSession,
  opOf,
  Reader,
  type ReplyBody,
  type ReplyHeader,
  type Request,
  readConnectResponse,
  readReplyFrame,
  type SessionId,
  Writer,
  writeRequestFrame,
} from '@corral/protocol'
import { dial, type Line } from '../src/clients/dialer.ts'
import { connectFrame } from '../src/clients/handshake.ts'
import { CommitLog } from '../src/commit-log.ts'
import { SimDisk } from '../src/disk.ts'
import { type DiskOptions, healthyDisk } from '../src/disk-options.ts'
import { type DriverOptions, SimServer } from '../src/driver.ts'
import { instantNetwork, Network } from '../src/network.ts'
import { Scheduler } from '../src/scheduler.ts'
import { Trace } from '../src/trace.ts'

export const syncMs = 10

const constantDisk: DiskOptions = {
  ...healthyDisk,
  meanLatencyMs: 0,
  slowSync: 1,
  slowSyncMs: syncMs,
}

const plainDriver: DriverOptions = {
  turnMs: 0,
  isPortOpenEarly: false,
  wallOffsetMs: 0,
  clockRate: 1,
  hasMarks: false,
  restartMs: 1,
}

/** Overwrites bytes where they lie, durably. */
export function damage(
  disk: SimDisk,
  where: { readonly dir: Dir; readonly name: string; readonly at: number },
  bytes: Uint8Array,
): void {
  disk.volume.spoil(where, { how: 'wrong', at: where.at, lengthBytes: bytes.length }, bytes)
}

export class Bench {
  readonly trace: Trace = new Trace()
  readonly scheduler: Scheduler = new Scheduler(this.trace)
  readonly network: Network
  readonly disk: SimDisk
  readonly log: CommitLog
  readonly server: SimServer
  readonly random: Random = seededRandom(1)

  constructor(config: Partial<ServerConfig> = {}) {
    const common = { scheduler: this.scheduler, trace: this.trace }
    this.network = new Network({
      ...common,
      random: this.random.fork('network'),
      options: instantNetwork,
    })
    this.disk = new SimDisk({ ...common, random: this.random.fork('disk'), options: constantDisk })
    this.log = new CommitLog(this.disk, () => this.scheduler.nowMs)
    this.disk.observer = this.log
    this.server = new SimServer({
      ...common,
      network: this.network,
      disk: this.disk,
      log: this.log,
      random: this.random.fork('server'),
      config: { ...defaultConfig, storage: { ...defaultConfig.storage, preAllocBytes: 4096 }, ...config },
      makeMachine: given => new Server(given),
      options: plainDriver,
      bug: undefined,
    })
    this.start()
  }

  /** Boots, and waits until it serves. */
  start(): void {
    this.server.boot()
    for (let i = 0; i < 10_000 && !this.server.isServing; i++)
      this.scheduler.step(this.scheduler.nowMs + 1000)
    if (!this.server.isServing) throw new Error(`the server does not start: ${this.server.fatalReason}`)
  }

  runFor(ms: number): void {
    const until = this.scheduler.nowMs + ms
    while (this.scheduler.step(until));
  }

  /** Connects, and sends these requests right behind the handshake, without waiting for its answer. */
  connect(requests: readonly Request[] = [], sessionTimeoutMs = 10_000): Hand {
    const hand = new Hand(sessionTimeoutMs)
    for (const request of requests) hand.ask(request)
    dial(this.network, undefined, 'hand', hand)
    return hand
  }
}

export interface Answer {
  readonly header: ReplyHeader
  readonly body: ReplyBody
}

export class Hand {
  session: SessionId = noSession
  password: Uint8Array = new Uint8Array(16)
  readonly answers: Answer[] = []
  isClosed = false
  readonly #asked: Request[] = []
  readonly #unsent: Uint8Array[] = []
  readonly #tail: FrameTail = new FrameTail()
  #line: Line | undefined
  #isGreeted = false
  #xid = 0

  constructor(sessionTimeoutMs: number) {
    this.#unsent.push(connectFrame({ timeoutMs: sessionTimeoutMs }))
  }

  ask(request: Request): void {
    const w = new Writer()
    writeRequestFrame(w, ++this.#xid, request)
    this.#asked.push(request)
    if (this.#line === undefined) this.#unsent.push(w.written())
    else this.#line.send(w.written())
  }

  opened(line: Line): void {
    this.#line = line
    line.send(Buffer.concat(this.#unsent.splice(0)))
  }

  received(bytes: Uint8Array): void {
    cutFrames(this.#tail, { bytes, from: 0, to: bytes.length }, 2 ** 30, (space, from, to) => {
      if (this.#isGreeted) {
        const op = opOf(this.#asked[this.answers.length] as Request)
        this.answers.push(readReplyFrame(op, space.bytes, from, to))
      } else {
        this.#isGreeted = true
        const { sessionId, password } = readConnectResponse(new Reader(space.bytes, from, to))
        this.session = sessionId
        this.password = Uint8Array.from(password ?? [])
      }
      return true
    })
  }

  closed(): void {
    this.isClosed = true
  }
}
