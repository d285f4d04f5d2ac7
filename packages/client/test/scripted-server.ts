/** A transport and a clock for a `Client`, played by hand: no sockets, no waiting. */
import {
  type ErrorCode,
  Reader,
  type ReplyBody,
  type Request,
  readConnectRequest,
  readRequestFrame,
} from '@corral/protocol'
import {
  Client,
  type ClientOptions,
  type ServerAddress,
  type Timers,
  type Transport,
  type TransportEvents,
} from '../src/index.ts'
import { eventFrame, joined, noBody, replyFrame, responseFrame } from './machine-run.ts'

export class HandClock implements Timers {
  #nowMs = 0
  #timers: { atMs: number; run: () => void }[] = []

  nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter(other => other !== timer)
    }
  }

  advance(ms: number): void {
    const endsMs = this.#nowMs + ms
    for (;;) {
      const due = this.#timers.filter(timer => timer.atMs <= endsMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (due === undefined) break
      this.#timers = this.#timers.filter(other => other !== due)
      this.#nowMs = Math.max(this.#nowMs, due.atMs)
      due.run()
    }
    this.#nowMs = endsMs
  }

  get pending(): number {
    return this.#timers.length
  }
}

/** Answers to one request: a body, a code, or nothing yet. */
export type Answer = { readonly body?: ReplyBody; readonly err?: ErrorCode; readonly zxid?: number }

export class ScriptedServer implements Transport {
  readonly clock: HandClock = new HandClock()
  readonly opened: ServerAddress[] = []
  /** Requests received after the handshake, oldest first. */
  readonly requests: { readonly xid: number; readonly request: Request }[] = []
  isClosed = false
  #events: TransportEvents | undefined
  #hasHandshake = false

  open(server: ServerAddress, on: TransportEvents): { send(bytes: Uint8Array): void; close(): void } {
    this.opened.push(server)
    this.#events = on
    this.#hasHandshake = false
    this.isClosed = false
    return {
      send: bytes => this.#onBytes(bytes),
      close: () => {
        this.isClosed = true
      },
    }
  }

  /** Accepts the connection and answers the handshake. */
  accept(response: Parameters<typeof responseFrame>[0] = {}): void {
    this.#events?.opened()
    this.push(responseFrame(response))
  }

  push(...frames: readonly Uint8Array[]): void {
    const bytes = joined(...frames)
    this.#events?.received(bytes, 0, bytes.length)
  }

  break(reason = 'reset'): void {
    this.#events?.closed(reason)
  }

  /** Answers the oldest unanswered request. */
  answer({ body = noBody, err = 0, zxid = 1 }: Answer = {}): Request {
    const next = this.requests.shift()
    if (next === undefined) throw new Error('no request waits')
    this.push(replyFrame(next.xid, zxid, body, err))
    return next.request
  }

  fire(type: number, path: string, at?: number): void {
    this.push(eventFrame(type, path, at))
  }

  #onBytes(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let at = 0; at < bytes.length; ) {
      const to = at + 4 + view.getInt32(at)
      if (!this.#hasHandshake) {
        readConnectRequest(new Reader(bytes, at + 4, to))
        this.#hasHandshake = true
      } else {
        const { xid, request } = readRequestFrame(bytes, at + 4, to)
        this.requests.push({ xid, request })
      }
      at = to
    }
  }
}

export function aClient(
  connectString = 'a:2181',
  options: ClientOptions = {},
): { readonly client: Client; readonly server: ScriptedServer } {
  const server = new ScriptedServer()
  const client = new Client(connectString, {
    transport: server,
    timers: server.clock,
    random: { u32: () => 0 },
    ...options,
  })
  return { client, server }
}

export async function aConnectedClient(
  connectString?: string,
  options?: ClientOptions,
): Promise<{ readonly client: Client; readonly server: ScriptedServer }> {
  const made = aClient(connectString, options)
  const connecting = made.client.connect()
  made.server.accept()
  await connecting
  return made
}
