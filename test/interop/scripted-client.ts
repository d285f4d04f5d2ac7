/** A client for scripts that run against several servers: what it finds is told in words, so that it can be compared. */
import {
  type ConnectResponse,
  EventType,
  Reader,
  type ReplyBody,
  type Request,
  readConnectResponse,
  readReplyHeader,
  readWatcherEvent,
  Xid,
} from '@corral/protocol'
import { connectFrame, type Handshake, RawClient } from './raw-client.ts'

const eventNames: ReadonlyMap<number, string> = new Map(
  Object.entries(EventType).map(([name, number]) => [number, name]),
)

export interface Answer {
  readonly err: number
  readonly zxid: bigint
  readonly body: ReplyBody
}

export class ScriptedClient {
  readonly session: ConnectResponse
  /** On the clock of `performance.now()`: just before the last request left. */
  sentMs: number
  readonly #client: RawClient
  #xid = 0

  private constructor(client: RawClient, session: ConnectResponse, sentMs: number) {
    this.#client = client
    this.session = session
    this.sentMs = sentMs
  }

  /** @throws Error when the server closes instead of answering */
  static async connect(port: number, handshake: Handshake = {}): Promise<ScriptedClient> {
    const sentMs = performance.now()
    const { client, session } = await RawClient.connect(port, handshake)
    return new ScriptedClient(client, session, sentMs)
  }

  /** What another connection needs to take this session over. */
  get credentials(): { readonly sessionId: bigint; readonly password: Uint8Array | null } {
    return this.session
  }

  async ask(request: Request): Promise<Answer> {
    this.sentMs = performance.now()
    const xid = request.kind === 'ping' ? Xid.Ping : request.kind === 'auth' ? Xid.Auth : ++this.#xid
    const { header, body } = await this.#client.request(xid, request)
    return { err: header.err, zxid: header.zxid, body }
  }

  /** @returns the events that came before the answer to a ping */
  async eventsSoFar(): Promise<string[]> {
    await this.ask({ kind: 'ping' })
    return this.#takeEvents(Number.POSITIVE_INFINITY)
  }

  /** Waits for them. @returns `NodeDeleted /a`, or `nothing` for each that does not come */
  async events(count: number): Promise<string[]> {
    const { frames } = this.#client
    await this.#client.until(() => frames.filter(isEvent).length >= count)
    const events = this.#takeEvents(count)
    while (events.length < count) events.push('nothing')
    return events
  }

  /** Replies that somebody else waits for stay. */
  #takeEvents(most: number): string[] {
    const { frames } = this.#client
    const taken = frames.filter(isEvent).slice(0, most)
    frames.splice(0, frames.length, ...frames.filter(frame => !taken.includes(frame)))
    return taken.map(describeFrame)
  }

  /** Waits for the end of the connection. @returns `closed`, behind a word for each frame that came before it */
  async untilClosed(): Promise<string> {
    const client = this.#client
    await client.until(() => client.isClosed)
    return [...client.frames.splice(0).map(describeFrame), client.isClosed ? 'closed' : 'open'].join(', ')
  }

  /** Asks the same thing again and again, as a client does that has nothing to say. @returns ends it */
  keepAsking(request: Request, everyMs: number): () => void {
    const timer = setInterval(() => void this.ask(request).catch(() => clearInterval(timer)), everyMs)
    return () => clearInterval(timer)
  }

  /** Ends the connection, and not the session. */
  drop(): void {
    this.#client.drop()
  }

  /** Ends the session too, if it is still on this connection. */
  async close(): Promise<void> {
    if (!this.#client.isClosed) await this.ask({ kind: 'closeSession' }).catch(() => undefined)
    this.drop()
  }
}

/** How a server answers a connect request that it may refuse: in words. A new session is closed, another stays. */
export async function describeHandshake(port: number, handshake: Handshake): Promise<string> {
  const client = await RawClient.open(port)
  try {
    client.send(connectFrame(handshake))
    return await describeAnswer(client, handshake)
  } finally {
    client.drop()
  }
}

async function describeAnswer(client: RawClient, handshake: Handshake): Promise<string> {
  const frame = await client.next()
  if (frame === undefined) return client.isClosed ? 'closed without an answer' : 'silence'
  const { timeoutMs, sessionId, password } = readConnectResponse(new Reader(frame))
  if (sessionId === 0n) {
    await client.until(() => client.isClosed)
    const isBlank = timeoutMs === 0 && password?.length === 16 && password.every(byte => byte === 0)
    return `${isBlank ? 'expired' : 'a strange refusal'}, then ${client.isClosed ? 'closed' : 'open'}`
  }
  if (sessionId === handshake.sessionId) return `the same session, ${timeoutMs} ms`
  await client.request(1, { kind: 'closeSession' }).catch(() => undefined) // it may have ended by itself
  return `a new session, ${timeoutMs} ms`
}

function isEvent(frame: Uint8Array): boolean {
  return readReplyHeader(new Reader(frame)).xid === Xid.Notification
}

function describeFrame(frame: Uint8Array): string {
  const r = new Reader(frame)
  const { xid, err } = readReplyHeader(r)
  if (xid !== Xid.Notification) return `reply ${xid} ${err}`
  const { type, path } = readWatcherEvent(r)
  return `${eventNames.get(type)} ${path}`
}
