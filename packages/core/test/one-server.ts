/** A server on a bench: events by hand, frames read back, time and disk under the test's control. */
import { createHash } from 'node:crypto'
import {
  type ConnectResponse,
  cutFrames,
  EventType,
  errorName,
  FrameTail,
  makeSpace,
  OpCode,
  type OpResult,
  opOf,
  Reader,
  type ReplyBody,
  type Request,
  readConnectResponse,
  readReplyBody,
  readReplyHeader,
  readWatcherEvent,
  type SessionId,
  Writer,
  writeConnectRequest,
  writeRequestFrame,
  type Zxid,
} from '@corral/protocol'
import { defaultConfig, type ServerConfig } from '../src/config.ts'
import type { Effect } from '../src/effects.ts'
import type { Event } from '../src/events.ts'
import { seededRandom } from '../src/random.ts'
import { Server } from '../src/server.ts'
import { MemoryFiles } from './memory-files.ts'

/** One connection as its client sees it. */
export class Peer {
  readonly id: number
  readonly #tail: FrameTail = new FrameTail()
  /** Texts of what came and was not looked at yet. */
  readonly inbox: string[] = []
  readonly #ops: Map<number, number> = new Map()
  isClosed = false
  welcome: ConnectResponse | undefined = undefined

  constructor(id: number) {
    this.id = id
  }

  sent(xid: number, op: number): void {
    this.#ops.set(xid, op)
  }

  take(bytes: Uint8Array): void {
    cutFrames(this.#tail, { bytes, from: 0, to: bytes.length }, 1 << 28, (space, from, to) => {
      this.inbox.push(this.#describe(new Reader(space.bytes, from, to)))
      return true
    })
  }

  #describe(r: Reader): string {
    if (this.welcome === undefined) {
      const welcome = readConnectResponse(r)
      this.welcome = welcome
      return welcome.timeoutMs === 0 ? 'refused' : `welcome timeout=${welcome.timeoutMs}`
    }
    const header = readReplyHeader(r)
    if (header.xid === -1) {
      const event = readWatcherEvent(r)
      const name = Object.entries(EventType).find(([, type]) => type === event.type)?.[0]
      return `event ${name} ${event.path} zxid=${header.zxid}`
    }
    const head = `reply ${header.xid} zxid=${header.zxid}`
    if (header.err !== 0) return `${head} ${errorName(header.err)}`
    return `${head} ok ${describeBody(readReplyBody(r, this.#ops.get(header.xid) ?? OpCode.Ping))}`.trimEnd()
  }
}

function describeBody(body: ReplyBody): string {
  switch (body.kind) {
    case 'none':
      return ''
    case 'path':
    case 'pathStat':
      return body.path
    case 'data':
      return JSON.stringify(body.data === null ? null : Buffer.from(body.data).toString())
    case 'stat':
      return `version=${body.stat.version} cversion=${body.stat.cversion}`
    case 'children':
      return `[${[...body.children].sort().join(', ')}]`
    case 'results':
      return body.results.map(describeResult).join(' ')
    case 'clientInfo':
      return body.infos.map(info => `${info.scheme}:${info.user}`).join(' ')
    default:
      return body.kind
  }
}

function describeResult(result: OpResult): string {
  if (result.kind === 'error') return errorName(result.err)
  return 'stat' in result ? `${result.kind}+stat` : result.kind
}

export class OneServer {
  readonly server: Server
  readonly files: MemoryFiles
  readonly said: string[] = []
  /** Everything asked for in order, by kind. */
  readonly effects: string[] = []
  readonly peers: Map<number, Peer> = new Map()
  #isTurnAsked = false
  #monotonicMs = 1000
  #wallMs = 1_700_000_000_000
  ended: string | undefined = undefined

  constructor(config: Partial<ServerConfig> = {}, files: MemoryFiles = new MemoryFiles()) {
    this.files = files
    this.server = new Server({
      config: { ...defaultConfig, storage: { ...defaultConfig.storage, preAllocBytes: 0 }, ...config },
      random: seededRandom(1),
      chunks: { take: makeSpace },
      sha1: bytes => createHash('sha1').update(bytes).digest(),
      maybe: () => false,
    })
    this.step({ kind: 'start' })
    this.disk()
  }

  step(event: Event): void {
    const now = { monotonicMs: this.#monotonicMs, wallMs: this.#wallMs }
    for (const effect of [...this.server.step(now, event)]) this.#carryOut(effect)
  }

  #carryOut(effect: Effect): void {
    this.effects.push(effect.kind)
    switch (effect.kind) {
      case 'send':
        return this.peers.get(effect.conn)?.take(effect.chunk.bytes.slice(0, effect.lengthBytes))
      case 'close': {
        const peer = this.peers.get(effect.conn)
        if (peer !== undefined) peer.isClosed = true
        return
      }
      case 'disk':
        return this.files.ask(effect.op, effect.do)
      case 'askTurn':
        this.#isTurnAsked = true
        return
      case 'say':
        this.said.push(effect.what)
        return
      case 'fatal':
        this.ended = effect.reason
        return
      case 'stopped':
        this.ended = 'stopped'
        return
      default:
        return
    }
  }

  /** The end of the turn, if it was asked for. */
  turn(): void {
    if (!this.#isTurnAsked) return
    this.#isTurnAsked = false
    this.step({ kind: 'turnEnded' })
  }

  /** Everything the disk was asked for, and what follows from it. */
  disk(): void {
    this.turn()
    for (let done = this.files.next(); done !== undefined; done = this.files.next()) {
      this.step({ kind: 'diskDone', ...done })
      this.turn()
    }
  }

  /** Time passes in beats of 100 ms. */
  pass(ms: number): void {
    for (let left = ms; left > 0 && this.ended === undefined; left -= 100) {
      this.#monotonicMs += 100
      this.#wallMs += 100
      this.step({ kind: 'tick', stalledMs: 0 })
    }
  }

  /** Time passes without a beat: the next one comes late. */
  standStill(ms: number): void {
    this.#monotonicMs += ms
    this.#wallMs += ms
    this.step({ kind: 'tick', stalledMs: ms })
  }

  open(id: number, address = '127.0.0.1'): Peer {
    const peer = new Peer(id)
    this.peers.set(id, peer)
    this.step({ kind: 'opened', conn: id, peer: { address, port: 10_000 + id } })
    return peer
  }

  receive(peer: Peer, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.step({ kind: 'received', conn: peer.id, bytes, view, from: 0, to: bytes.length })
  }

  connect(
    peer: Peer,
    session?: { readonly id: SessionId; readonly password: Uint8Array | null; readonly lastZxidSeen?: Zxid },
    timeoutMs = 10_000,
  ): void {
    const w = new Writer()
    const start = w.beginFrame()
    writeConnectRequest(w, {
      protocolVersion: 0,
      lastZxidSeen: session?.lastZxidSeen ?? (0n as Zxid),
      timeoutMs,
      sessionId: session?.id ?? (0n as SessionId),
      password: session?.password ?? new Uint8Array(16),
      readOnly: false,
    })
    w.endFrame(start)
    this.receive(peer, w.written())
  }

  /** A connection with a session, its welcome already read. */
  client(id: number, timeoutMs?: number): Peer {
    const peer = this.open(id)
    this.connect(peer, undefined, timeoutMs)
    this.disk()
    peer.inbox.length = 0
    return peer
  }

  request(peer: Peer, xid: number, request: Request): void {
    const w = new Writer()
    writeRequestFrame(w, xid, request)
    peer.sent(xid, opOf(request))
    this.receive(peer, w.written())
  }
}
