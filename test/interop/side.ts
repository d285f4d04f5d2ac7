/** One of the two servers that are compared: its connections, its sessions, and what it answers, as values. */
import {
  ErrorCode,
  OpCode,
  sessionId,
  sessionPassword,
  Writer,
  writeRequestFrame,
  Xid,
} from '@corral/protocol'
import { decodeConnected, decodeEvent, decodeReply, type Names, type Seen } from './decode.ts'
import type { InteropServer } from './interop-server.ts'
import { connectFrame, type Handshake, RawClient } from './raw-client.ts'

/** One connection of one side. */
class Connection {
  readonly client: RawClient
  /** Of the requests not answered yet. */
  readonly ops: number[] = []
  lastZxid = 0

  constructor(client: RawClient) {
    this.client = client
  }

  get isOpen(): boolean {
    return !this.client.isClosed
  }
}

export class Side implements Names {
  readonly server: InteropServer
  readonly connections: (Connection | undefined)[] = []
  readonly sessions: bigint[] = []
  lastZxid = 0
  readonly #times = new Map<bigint, bigint>([[0n, 0n]])

  constructor(server: InteropServer) {
    this.server = server
  }

  session(id: bigint): string {
    if (id === 0n) return 'none'
    const index = this.sessions.indexOf(id)
    return index < 0 ? `unknown: ${id.toString(16)}` : `session ${index}`
  }

  time(zxidOfTxn: bigint, timeMs: bigint): string {
    const known = this.#times.get(zxidOfTxn)
    if (known === undefined) this.#times.set(zxidOfTxn, timeMs)
    return known === undefined || known === timeMs ? 'of its txn' : `not of its txn: ${timeMs}, ${known}`
  }

  /** Takes frames up to the last awaited reply. */
  async exchange(connection: Connection, bytes: Uint8Array, ops: readonly number[]): Promise<Seen[]> {
    connection.ops.push(...ops)
    connection.client.send(bytes)
    const { frames } = connection.client
    let replies = 0
    let scanned = 0
    await connection.client.until(() => {
      for (; scanned < frames.length && replies < ops.length; scanned++) {
        if (xidOf(frames[scanned] as Uint8Array) !== Xid.Notification) replies++
      }
      return replies === ops.length
    })
    const seen = frames.splice(0, scanned).map(frame => this.#decode(connection, frame))
    const last = seen.at(-1)
    if (replies < ops.length) seen.push(connection.isOpen ? { kind: 'silent' } : { kind: 'closed' })
    else if (last?.kind === 'reply' && isFarewell(last, ops.at(-1))) {
      seen.push(...(await this.untilClosed(connection)))
    }
    return seen
  }

  /** For requests that may never be answered: it is so when a ping behind them is. */
  async exchangeAtMost(connection: Connection, bytes: Uint8Array, ops: readonly number[]): Promise<Seen[]> {
    const ping = new Writer()
    writeRequestFrame(ping, Xid.Ping, { kind: 'ping' })
    connection.ops.push(...ops)
    connection.client.send(Buffer.concat([bytes, ping.written()]))
    const { frames } = connection.client
    const findPong = (): number => frames.findIndex(frame => xidOf(frame) === Xid.Ping)
    await connection.client.until(() => findPong() >= 0)
    const told = frames.splice(0, findPong() + 1)
    const seen = told.slice(0, -1).map(frame => this.#decode(connection, frame))
    connection.ops.length = 0
    return seen.some(({ kind }) => kind === 'reply') ? seen : [...seen, { kind: 'silent' }]
  }

  async untilClosed(connection: Connection): Promise<Seen[]> {
    await connection.client.until(() => connection.client.isClosed)
    const rest = connection.client.frames.splice(0).map(frame => this.#decode(connection, frame))
    return [...rest, { kind: connection.isOpen ? 'silent' : 'closed' }]
  }

  #decode(connection: Connection, frame: Uint8Array): Seen {
    const xid = xidOf(frame)
    try {
      if (xid === Xid.Notification) return decodeEvent(frame)
      const op = connection.ops.shift() ?? OpCode.Ping
      const seen = decodeReply(op, frame, this)
      if (seen.kind === 'reply' && seen.zxid > 0) {
        connection.lastZxid = seen.zxid
        this.lastZxid = Math.max(this.lastZxid, seen.zxid)
      }
      return seen
    } catch (error) {
      return { kind: 'undecodable', hex: Buffer.from(frame).toString('hex'), why: String(error) }
    }
  }

  async open(slot: number, handshake: Handshake): Promise<Seen[]> {
    const client = await RawClient.open(this.server.port)
    const connection = new Connection(client)
    this.connections[slot] = connection
    client.send(connectFrame(handshake))
    const frame = await client.next()
    if (frame === undefined) return [{ kind: client.isClosed ? 'closed' : 'silent' }]
    const id = Buffer.from(frame).readBigInt64BE(8)
    if (id !== 0n && !this.sessions.includes(id)) this.sessions.push(id)
    const seen = decodeConnected(frame, this, of => sessionPassword(sessionId(of)))
    return id === 0n ? [seen, ...(await this.untilClosed(connection))] : [seen]
  }

  drop(slot: number): void {
    this.connections[slot]?.client.drop()
    this.connections[slot] = undefined
  }
}

/** Replies after which the server closes the connection. */
function isFarewell(reply: Seen & { kind: 'reply' }, op: number | undefined): boolean {
  return (
    op === OpCode.CloseSession ||
    (reply.err === ErrorCode.Unimplemented && reply.zxid === -1) ||
    (reply.err === ErrorCode.AuthFailed && op === OpCode.Auth)
  )
}

function xidOf(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset).getInt32(0)
}
