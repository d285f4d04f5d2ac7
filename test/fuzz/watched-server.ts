/**
 * One server core under watch: every step is timed, every chunk is poisoned before it is handed out and counted until
 * it is given away, every byte said is kept. The disk is in memory, the clock stands still unless told.
 */
import { createHash } from 'node:crypto'
import {
  type Chunk,
  defaultConfig,
  type Effect,
  type Event,
  Server,
  type ServerConfig,
  seededRandom,
} from '@corral/core'
import {
  cutFrames,
  FrameTail,
  makeSpace,
  Reader,
  type Request,
  readConnectResponse,
  type SessionId,
  sessionId,
  Writer,
  writeConnectRequest,
  writeRequestFrame,
  type Zxid,
} from '@corral/protocol'
import { SyncDisk } from './sync-disk.ts'
import { must, stopwatch } from './target.ts'

/** What one connection was sent. */
export class Line {
  readonly conn: number
  readonly frames: Uint8Array[] = []
  readonly #tail: FrameTail = new FrameTail()
  /** Bytes that wait because the server does not read. */
  readonly waiting: Uint8Array[] = []
  isReading = true
  isClosed = false
  /** A four-letter word was asked. */
  command: { readonly word: number; readonly argument: Uint8Array } | undefined = undefined
  saidBytes = 0

  constructor(conn: number) {
    this.conn = conn
  }

  take(bytes: Uint8Array): void {
    must(!this.isClosed, 'nothing is sent after the close')
    this.saidBytes += bytes.length
    cutFrames(this.#tail, { bytes, from: 0, to: bytes.length }, 1 << 30, (space, from, to) => {
      this.frames.push(space.bytes.slice(from, to))
      return true
    })
  }

  get hasHalfFrame(): boolean {
    return this.#tail.lengthBytes > 0
  }

  /** The last frame as a reply. */
  lastReply(): { readonly xid: number; readonly zxid: bigint; readonly err: number; readonly body: Reader } {
    const frame = this.frames.at(-1)
    must(frame !== undefined && frame.length >= 16, 'there is a reply')
    const r = new Reader(frame)
    return { xid: r.int32(), zxid: r.int64(), err: r.int32(), body: r }
  }
}

export interface WatchedOptions {
  readonly config?: Partial<ServerConfig>
  readonly disk?: SyncDisk
  /** Chunks are full of it. */
  readonly poison?: number
}

/** No zero-filling, and no snapshot but the first. */
export const plainConfig: ServerConfig = {
  ...defaultConfig,
  storage: { ...defaultConfig.storage, preAllocBytes: 0, purge: undefined },
}

export class WatchedServer {
  readonly server: Server
  readonly disk: SyncDisk
  readonly lines: Map<number, Line> = new Map()
  readonly said: Extract<Effect, { kind: 'say' }>[] = []
  readonly config: ServerConfig
  readonly #poison: number
  readonly #held: Set<Chunk> = new Set()
  #heldBytes = 0
  #isTurnAsked = false
  #monotonicMs = 1000
  #wallMs = 1_700_000_000_000
  #isStepping = false
  isServing = false
  fatal: string | undefined = undefined
  slowestStepMs = 0
  /** Of the step in hand, and the most that any step said. */
  stepBytes = 0
  largestStepBytes = 0
  largestHeldBytes = 0

  constructor(options: WatchedOptions = {}) {
    this.config = { ...plainConfig, ...options.config }
    this.disk = options.disk ?? new SyncDisk()
    this.#poison = options.poison ?? 0xa5
    this.server = new Server({
      config: this.config,
      random: seededRandom(7),
      chunks: { take: atLeastBytes => this.#take(atLeastBytes) },
      sha1: bytes => createHash('sha1').update(bytes).digest(),
      maybe: () => false,
    })
    this.step({ kind: 'start' })
    this.settle()
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  get nowMs(): number {
    return this.#monotonicMs
  }

  #take(atLeastBytes: number): Chunk {
    const chunk = makeSpace(Math.max(4096, atLeastBytes))
    chunk.bytes.fill(this.#poison)
    this.#held.add(chunk)
    this.#heldBytes += chunk.bytes.length
    this.largestHeldBytes = Math.max(this.largestHeldBytes, this.#heldBytes)
    return chunk
  }

  step(event: Event): void {
    must(!this.#isStepping, 'step is not called while it runs')
    this.#isStepping = true
    const elapsedMs = stopwatch()
    const effects = [...this.server.step({ monotonicMs: this.#monotonicMs, wallMs: this.#wallMs }, event)]
    this.slowestStepMs = Math.max(this.slowestStepMs, elapsedMs())
    this.#isStepping = false
    this.stepBytes = 0
    for (const effect of effects) this.#carryOut(effect)
    this.largestStepBytes = Math.max(this.largestStepBytes, this.stepBytes)
    // What was taken and not given away in this step is garbage: the server has no use for it any more.
    this.#held.clear()
    this.#heldBytes = 0
  }

  #carryOut(effect: Effect): void {
    switch (effect.kind) {
      case 'send': {
        must(
          effect.lengthBytes > 0 && effect.lengthBytes <= effect.chunk.bytes.length,
          'a send is inside its chunk',
        )
        must(this.#held.delete(effect.chunk), 'a chunk that is sent was taken in this step and is sent once')
        this.stepBytes += effect.lengthBytes
        const line = this.lines.get(effect.conn)
        must(line !== undefined, 'only open connections are written to')
        return line.take(effect.chunk.bytes.slice(0, effect.lengthBytes))
      }
      case 'close': {
        const line = this.lines.get(effect.conn)
        must(line !== undefined && !line.isClosed, 'only open connections are closed')
        line.isClosed = true
        line.waiting.length = 0
        return
      }
      case 'setReading': {
        const line = this.lines.get(effect.conn)
        must(line !== undefined && !line.isClosed, 'only open connections are paused')
        line.isReading = effect.to === 'on'
        return
      }
      case 'command': {
        const line = this.lines.get(effect.conn)
        must(line !== undefined && line.command === undefined, 'a connection asks one word')
        line.command = { word: effect.word, argument: effect.argument }
        return
      }
      case 'disk':
        return this.disk.ask(effect.op, effect.do)
      case 'askTurn':
        must(!this.#isTurnAsked, 'a turn is asked for once')
        this.#isTurnAsked = true
        return
      case 'say':
        this.said.push(effect)
        return
      case 'serving':
        this.isServing = true
        return
      case 'fatal':
        this.fatal = effect.reason
        return
      case 'stopped':
        this.isServing = false
        return
    }
  }

  turn(): boolean {
    if (!this.#isTurnAsked) return false
    this.#isTurnAsked = false
    this.step({ kind: 'turnEnded' })
    return true
  }

  /** One answer of the disk. */
  diskOnce(): boolean {
    const done = this.disk.next()
    if (done === undefined) return false
    this.step({ kind: 'diskDone', ...done })
    return true
  }

  /** Turns, disk and waiting bytes, until nothing is left to do. */
  settle(): void {
    for (let i = 0; this.turn() || this.diskOnce() || this.#deliverWaiting(); i++) {
      must(i < 100_000, 'the server comes to rest')
    }
  }

  #deliverWaiting(): boolean {
    for (const line of this.lines.values()) {
      if (!line.isReading || line.isClosed) continue
      const bytes = line.waiting.shift()
      if (bytes === undefined) continue
      this.#deliver(line, bytes)
      return true
    }
    return false
  }

  /** Time in beats of at most 100 ms. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 100) {
      const beat = Math.min(left, 100)
      this.#monotonicMs += beat
      this.#wallMs += beat
      this.step({ kind: 'tick', stalledMs: 0 })
    }
  }

  open(conn: number, address = '127.0.0.1'): Line {
    const line = new Line(conn)
    this.lines.set(conn, line)
    this.step({ kind: 'opened', conn, peer: { address, port: 20_000 + (conn % 40_000) } })
    return line
  }

  /** The peer hangs up. */
  hangUp(line: Line): void {
    if (line.isClosed) return
    line.isClosed = true
    line.waiting.length = 0
    this.step({ kind: 'closed', conn: line.conn })
  }

  send(line: Line, bytes: Uint8Array): void {
    if (line.isClosed || line.command !== undefined) return
    if (line.isReading && line.waiting.length === 0) this.#deliver(line, bytes)
    else line.waiting.push(bytes)
  }

  #deliver(line: Line, bytes: Uint8Array): void {
    // In the middle of other memory that changes afterwards: nothing may be read beside the bytes, or kept of them.
    const space = makeSpace(bytes.length + 32)
    space.bytes.fill(this.#poison)
    space.bytes.set(bytes, 16)
    this.step({ kind: 'received', conn: line.conn, ...space, from: 16, to: 16 + bytes.length })
    space.bytes.fill(this.#poison)
  }

  connect(
    line: Line,
    how: Partial<{ id: SessionId; password: Uint8Array; timeoutMs: number }> = {},
  ): SessionId {
    this.send(line, connectFrame(how))
    this.settle()
    const welcome = line.frames.at(-1)
    if (welcome === undefined) return sessionId(0n)
    return readConnectResponse(new Reader(welcome)).sessionId
  }

  request(line: Line, xid: number, request: Request): void {
    const w = new Writer()
    writeRequestFrame(w, xid, request)
    this.send(line, w.written())
  }

  /** Sends, waits and returns the reply. */
  ask(line: Line, xid: number, request: Request): ReturnType<Line['lastReply']> {
    this.request(line, xid, request)
    this.settle()
    return line.lastReply()
  }
}

export function connectFrame(
  how: Partial<{ id: SessionId; password: Uint8Array; timeoutMs: number; lastZxidSeen: Zxid }> = {},
): Uint8Array {
  const w = new Writer()
  const start = w.beginFrame()
  writeConnectRequest(w, {
    protocolVersion: 0,
    lastZxidSeen: how.lastZxidSeen ?? (0n as Zxid),
    timeoutMs: how.timeoutMs ?? 10_000,
    sessionId: how.id ?? (0n as SessionId),
    password: how.password ?? new Uint8Array(16),
    readOnly: false,
  })
  w.endFrame(start)
  return w.written()
}
