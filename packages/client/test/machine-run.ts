/** Plays a server and a clock to a {@link SessionMachine}. */
import {
  type ConnectRequest,
  type ConnectResponse,
  type ErrorCode,
  type MultiOp,
  OpCode,
  openAcl,
  Reader,
  type ReplyBody,
  type Request,
  readConnectRequest,
  readRequestFrame,
  sessionId,
  Writer,
  writeConnectResponse,
  writeReplyFrame,
  writeReplyHeader,
  writeWatcherEvent,
  Xid,
  zxid,
} from '@corral/protocol'
import type { Random, SessionConfig, SessionEffect, SessionEvent } from '../src/session-events.ts'
import { SessionMachine } from '../src/session-machine.ts'

export const noBody: ReplyBody = { kind: 'none' }

export const someStat = {
  czxid: zxid(1n),
  mzxid: zxid(1n),
  ctime: 0,
  mtime: 0,
  version: 0,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: sessionId(0n),
  dataLength: 0,
  numChildren: 0,
  pzxid: zxid(1n),
} as const

/** Bodies that a server answers with. */
export const statBody: ReplyBody = { kind: 'stat', stat: someStat }
export const dataBody: ReplyBody = { kind: 'data', data: new Uint8Array(0), stat: someStat }

/** Requests that tests make. */
export const getA: Request = { kind: 'getData', path: '/a', watch: false }
export const watchA: Request = { kind: 'getData', path: '/a', watch: true }
export const existsA: Request = { kind: 'exists', path: '/a', watch: true }
export const addWatchA: Request = { kind: 'addWatch', path: '/a', mode: 0 }
export const createA: MultiOp = {
  kind: 'create',
  op: OpCode.Create,
  path: '/a',
  data: null,
  acl: openAcl,
  flags: 0,
}
/** What an addWatch is answered with. */
export const addWatchBody: ReplyBody = { kind: 'error', err: 0 }

export function responseFrame(response: Partial<ConnectResponse> = {}): Uint8Array {
  const w = new Writer()
  const start = w.beginFrame()
  writeConnectResponse(w, {
    protocolVersion: 0,
    timeoutMs: 30_000,
    sessionId: sessionId(7n),
    password: new Uint8Array(16).fill(9),
    readOnly: false,
    ...response,
  })
  w.endFrame(start)
  return w.written()
}

export function replyFrame(
  xid: number,
  at: number,
  body: ReplyBody = noBody,
  err: ErrorCode = 0,
): Uint8Array {
  const w = new Writer()
  writeReplyFrame(w, { xid, zxid: zxid(BigInt(at)), err }, body)
  return w.written()
}

export function eventFrame(type: number, path: string, at = -1): Uint8Array {
  const w = new Writer()
  const start = w.beginFrame()
  writeReplyHeader(w, { xid: Xid.Notification, zxid: zxid(BigInt(at)), err: 0 })
  writeWatcherEvent(w, { type, state: 3, path })
  w.endFrame(start)
  return w.written()
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** A generator that gives these numbers (parts of 1), again and again. */
export function drawing(...parts: readonly number[]): Random {
  let at = 0
  return { u32: () => Math.floor((parts[at++ % parts.length] ?? 0) * 0x1_0000_0000) }
}

export const aConfig: SessionConfig = {
  servers: [{ host: 'a', port: 2181 }],
  sessionTimeoutMs: 30_000,
  canBeReadOnly: false,
  session: undefined,
  maxReplyBytes: undefined,
  maxReconnectPauseMs: undefined,
  requestTimeoutMs: undefined,
  restoresWatches: true,
  random: drawing(0.5),
}

export type Sent = { readonly xid: number; readonly op: number; readonly request: Request }

export class MachineRun {
  readonly machine: SessionMachine
  nowMs = 1_000_000
  /** Everything asked for since it was last taken. */
  effects: SessionEffect[] = []
  /** The newest connection. */
  connection = 0
  #lastCall = 0

  constructor(config: Partial<SessionConfig> = {}) {
    this.machine = new SessionMachine({ ...aConfig, ...config })
  }

  step(event: SessionEvent): readonly SessionEffect[] {
    const effects = this.machine.step(this.nowMs, event)
    this.effects.push(...effects)
    for (const effect of effects) if (effect.kind === 'connect') this.connection = effect.connection
    return effects
  }

  start(): void {
    this.step({ kind: 'start' })
  }

  opened(): void {
    this.step({ kind: 'opened', connection: this.connection })
  }

  received(...frames: readonly Uint8Array[]): readonly SessionEffect[] {
    const bytes = joined(...frames)
    return this.step({ kind: 'received', connection: this.connection, bytes, from: 0, to: bytes.length })
  }

  broken(): void {
    this.step({ kind: 'closed', connection: this.connection, reason: 'reset' })
  }

  /** Starts if that was not done yet, opens and shakes hands. */
  connected(response: Partial<ConnectResponse> = {}): void {
    if (this.connection === 0) this.start()
    this.opened()
    this.received(responseFrame(response))
  }

  /** Lost and connected again, with everything up to the handshake's answer forgotten. */
  reconnected(): void {
    this.broken()
    this.advance(1000)
    this.opened()
    this.take()
    this.received(responseFrame())
  }

  call(request: Request, watch?: Extract<SessionEvent, { kind: 'call' }>['watch']): number {
    this.#lastCall += 1
    this.step({ kind: 'call', call: this.#lastCall, request, watch })
    return this.#lastCall
  }

  /** A call number for events other than `call`. */
  nextCall(): number {
    this.#lastCall += 1
    return this.#lastCall
  }

  /** Lets time pass, with a tick at each deadline. */
  advance(ms: number): void {
    const endsMs = this.nowMs + ms
    while (this.machine.deadlineMs <= endsMs) {
      this.nowMs = Math.max(this.nowMs, this.machine.deadlineMs)
      this.step({ kind: 'tick' })
    }
    this.nowMs = endsMs
  }

  take(): SessionEffect[] {
    const effects = this.effects
    this.effects = []
    return effects
  }

  of<K extends SessionEffect['kind']>(kind: K): Extract<SessionEffect, { kind: K }>[] {
    return this.effects.filter(
      (effect): effect is Extract<SessionEffect, { kind: K }> => effect.kind === kind,
    )
  }

  outcomes(): unknown[] {
    return this.of('settled').map(({ call, outcome }) => [
      call,
      outcome.kind === 'reply' ? outcome.err : outcome.kind === 'lost' ? outcome.code : outcome.kind,
    ])
  }

  /** Frames written since effects were last taken. */
  frames(): Uint8Array[] {
    const bytes = joined(...this.of('send').map(effect => effect.bytes))
    const view = new DataView(bytes.buffer)
    const frames: Uint8Array[] = []
    for (let at = 0; at < bytes.length; ) {
      const length = view.getInt32(at)
      frames.push(bytes.slice(at + 4, at + 4 + length))
      at += 4 + length
    }
    return frames
  }

  sent(): Sent[] {
    return this.frames().map(frame => readRequestFrame(frame))
  }

  sentHandshake(): ConnectRequest {
    return readConnectRequest(new Reader(this.frames()[0] ?? new Uint8Array(0)))
  }
}

/** Connected, with everything that led there forgotten. */
export function connectedRun(config: Partial<SessionConfig> = {}): MachineRun {
  const run = new MachineRun(config)
  run.connected()
  run.take()
  return run
}
