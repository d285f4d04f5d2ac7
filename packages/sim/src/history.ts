/**
 * What clients did and saw, taken from the wire at the client's end: whoever speaks there, the judgement is the same.
 * Order is the order of the run's one thread; times are virtual.
 */
import {
  type ConnectRequest,
  type ConnectResponse,
  cutFrames,
  DecodeError,
  FrameTail,
  hexText,
  opOf,
  Reader,
  type ReplyBody,
  type ReplyHeader,
  type Request,
  readConnectRequest,
  readConnectResponse,
  readReplyFrame,
  readReplyHeader,
  readRequestBody,
  readWatcherEvent,
  type SessionId,
  type WatcherEvent,
  Xid,
  type Zxid,
} from '@corral/protocol'
import type { Scheduler } from './scheduler.ts'

export interface Op {
  readonly kind: 'op'
  readonly connection: ConnectionRecord
  readonly xid: number
  readonly request: Request
  readonly invokedAt: number
  /** Position in the one order of everything that clients sent and received. */
  readonly invokedOrder: number
  reply: Reply | undefined
}

export interface Reply {
  readonly kind: 'reply'
  readonly op: Op
  readonly header: ReplyHeader
  readonly body: ReplyBody
  readonly at: number
  readonly order: number
}

export interface SeenEvent {
  readonly kind: 'event'
  readonly event: WatcherEvent
  /** The txn that fired it, or -1 (fired by setWatches). */
  readonly zxid: Zxid
  readonly at: number
  readonly order: number
}

export type Arrival = Reply | SeenEvent

export interface ConnectionRecord {
  readonly number: number
  readonly client: string
  readonly address: string
  readonly openedAt: number
  request: ConnectRequest | undefined
  response: (ConnectResponse & { readonly at: number; readonly order: number }) | undefined
  readonly ops: Op[]
  readonly arrivals: Arrival[]
  closedAt: number | undefined
}

/** A rule that was broken, and how. */
export interface Violation {
  readonly rule: string
  readonly message: string
}

export interface History {
  readonly connections: readonly ConnectionRecord[]
  readonly ops: readonly Op[]
}

const maxFrameBytes = 64 * 1024 * 1024

export class Recorder implements History {
  readonly connections: ConnectionRecord[] = []
  readonly ops: Op[] = []
  readonly violations: Violation[] = []
  /** Replies to requests, pings and the like included. */
  replies = 0
  #order = 0
  readonly #scheduler: Scheduler

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  open(client: string, address: string): ConnectionTap {
    const record: ConnectionRecord = {
      number: this.connections.length,
      client,
      address,
      openedAt: this.#scheduler.nowMs,
      request: undefined,
      response: undefined,
      ops: [],
      arrivals: [],
      closedAt: undefined,
    }
    this.connections.push(record)
    return new ConnectionTap(this, record)
  }

  get nowMs(): number {
    return this.#scheduler.nowMs
  }

  nextOrder(): number {
    return this.#order++
  }

  violate(rule: string, message: string): void {
    this.violations.push({ rule, message })
  }
}

/** Listens to one connection. */
export class ConnectionTap {
  readonly record: ConnectionRecord
  readonly #recorder: Recorder
  readonly #sentTail: FrameTail = new FrameTail()
  readonly #receivedTail: FrameTail = new FrameTail()
  readonly #outstanding: Op[] = []

  constructor(recorder: Recorder, record: ConnectionRecord) {
    this.#recorder = recorder
    this.record = record
  }

  sent(bytes: Uint8Array): void {
    cutFrames(this.#sentTail, { bytes, from: 0, to: bytes.length }, maxFrameBytes, (space, from, to) => {
      this.#onRequest(new Reader(space.bytes, from, to))
      return true
    })
  }

  received(bytes: Uint8Array): void {
    const isWellFormed = cutFrames(
      this.#receivedTail,
      { bytes, from: 0, to: bytes.length },
      maxFrameBytes,
      (space, from, to) => {
        try {
          this.#onFrame(space.bytes, from, to)
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error
          this.#violate('decode', `a frame from the server does not decode: ${error.message}`)
        }
        return true
      },
    )
    if (!isWellFormed) this.#violate('decode', 'a length word from the server is impossible')
  }

  closed(): void {
    this.record.closedAt ??= this.#recorder.nowMs
  }

  #onRequest(r: Reader): void {
    const { record } = this
    if (record.request === undefined) {
      record.request = readConnectRequest(r)
      return
    }
    const xid = r.int32()
    const request = readRequestBody(r, r.int32())
    const op: Op = {
      kind: 'op',
      connection: record,
      xid,
      request,
      invokedAt: this.#recorder.nowMs,
      invokedOrder: this.#recorder.nextOrder(),
      reply: undefined,
    }
    record.ops.push(op)
    this.#recorder.ops.push(op)
    this.#outstanding.push(op)
  }

  #onFrame(bytes: Uint8Array, from: number, to: number): void {
    const at = this.#recorder.nowMs
    const order = this.#recorder.nextOrder()
    if (this.record.response === undefined) {
      this.record.response = { ...readConnectResponse(new Reader(bytes, from, to)), at, order }
      return
    }
    const r = new Reader(bytes, from, to)
    const header = readReplyHeader(r)
    if (header.xid === Xid.Notification) {
      this.record.arrivals.push({ kind: 'event', event: readWatcherEvent(r), zxid: header.zxid, at, order })
      return
    }
    const op = this.#outstanding.shift()
    if (op === undefined || op.xid !== header.xid) {
      this.#violate('S1', `reply with xid ${header.xid} where ${op === undefined ? 'none' : op.xid} was due`)
      return
    }
    const { body } = readReplyFrame(opOf(op.request), bytes, from, to)
    op.reply = { kind: 'reply', op, header, body, at, order }
    this.record.arrivals.push(op.reply)
    this.#recorder.replies++
  }

  #violate(rule: string, message: string): void {
    const { client, number } = this.record
    this.#recorder.violate(rule, `${client}, connection ${number}: ${message}`)
  }
}

export function sessionOf(connection: ConnectionRecord): SessionId | undefined {
  const { response } = connection
  return response === undefined || response.timeoutMs <= 0 ? undefined : response.sessionId
}

/** One line, for reports. */
export function describe(op: Op): string {
  const { request, connection, xid } = op
  const path = 'path' in request ? ` ${request.path}` : ''
  const reply =
    op.reply === undefined
      ? 'no reply'
      : `err ${op.reply.header.err} at zxid ${hexText(op.reply.header.zxid)}`
  return `${connection.client}, connection ${connection.number}, xid ${xid}: ${request.kind}${path} (${reply})`
}
