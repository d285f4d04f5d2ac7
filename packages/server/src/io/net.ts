/**
 * Client sockets: reports what arrives, writes what it is given. All plain sockets are read through one buffer
 * (`onread`), whose contents are handed on before the read returns; a write is one system call on the descriptor and
 * its chunk goes back to the pool when the kernel took it all. Node's stream gets only what the kernel did not take:
 * its machinery costs a small reply more than the kernel does.
 *
 * What is sent in a turn of the loop leaves together at its end: the peers, which share the machine's processors or its
 * interrupts, are then woken once for all of it, not once for each reply.
 *
 * Sockets are half-open: `echo ruok | nc` ends its side at once and must still get its answer.
 */
import { writeSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, Socket, type SocketConstructorOpts } from 'node:net'
import type { Chunk, ConnId, Peer } from '@corral/core'
import type { ChunkPool } from './chunk-pool.ts'
import { javaAddress } from './java-address.ts'

export interface SocketEvents {
  opened(conn: ConnId, peer: Peer): void
  /** The bytes are borrowed for the call; `view` is over the same memory, offset for offset. */
  received(conn: ConnId, bytes: Uint8Array, view: DataView, from: number, to: number): void
  /** What the kernel has not taken yet; told again when it has (then 0). */
  unsent(conn: ConnId, lengthBytes: number): void
  /** By the peer or an error; not told for what {@link ClientSockets.close} closed. */
  closed(conn: ConnId): void
  /** A connection could not be accepted; the port stays open. */
  acceptFailed(reason: string): void
}

export interface ListenOptions {
  /** undefined: all interfaces. */
  readonly host: string | undefined
  /** 0: any free port. */
  readonly port: number
  readonly backlog: number | undefined
  readonly hasKeepAlive: boolean
  /** Further ones are closed unseen; undefined: no limit. */
  readonly mostConnections?: number | undefined
}

/** onread: one buffer for all. data: a buffer for each read, for Node versions without the former. */
export type ReadPath = 'onread' | 'data'

const receiveBytes = 64 * 1024
/** More than this does not wait for the end of the turn. */
const mostQueuedSends = 64
const mostQueuedBytes = 1024 * 1024
/** A closed connection is destroyed when its peer has not closed too after this time. */
const lingerMs = 5000

interface Client {
  readonly conn: ConnId
  readonly socket: Socket
  /** undefined: this socket is written through Node's stream only. */
  readonly handle: TcpHandle | undefined
  readonly peer: Peer
  readonly events: SocketEvents
  /** answering: its peer's end of input is not its own. closing: nothing more is written or reported. */
  phase: 'open' | 'answering' | 'closing'
  isRead: boolean
  isUnsentTold: boolean
  readonly onWritten: () => void
}

interface QueuedSend {
  readonly client: Client
  readonly chunk: Chunk
  readonly lengthBytes: number
}

export class ClientSockets {
  readonly #pool: ChunkPool
  readonly #readPath: ReadPath
  readonly #clients: Map<ConnId, Client> = new Map()
  /** Since when, on the monotonic clock; NaN until the first sweep has seen it. */
  readonly #lingering: Map<Client, number> = new Map()
  readonly #received: Uint8Array = new Uint8Array(receiveBytes)
  readonly #receivedView: DataView = new DataView(this.#received.buffer)
  #listener: Server | undefined
  #lastConn = 0
  /** Of this turn. */
  #queue: QueuedSend[] = []
  #queuedBytes = 0

  constructor(given: { readonly pool: ChunkPool; readonly readPath?: ReadPath }) {
    this.#pool = given.pool
    this.#readPath = given.readPath ?? 'onread'
  }

  /** Rejects with the error of the bind. */
  listen(
    { host, port, backlog, hasKeepAlive, mostConnections }: ListenOptions,
    events: SocketEvents,
  ): Promise<AddressInfo> {
    const options = { noDelay: true, keepAlive: hasKeepAlive, pauseOnConnect: true, allowHalfOpen: true }
    const listener = createServer(options, accepted => this.#accept(accepted, events))
    if (mostConnections !== undefined) listener.maxConnections = mostConnections
    listener.on('drop', () =>
      events.acceptFailed(
        `${mostConnections} connections are open, as many as the limit of files (ulimit -n) allows`,
      ),
    )
    this.#listener = listener
    return new Promise((resolve, reject) => {
      listener.once('error', reject)
      listener.listen(
        { port, ...(host === undefined ? {} : { host }), ...(backlog === undefined ? {} : { backlog }) },
        () => {
          listener.off('error', reject)
          listener.on('error', error => events.acceptFailed(error.message))
          resolve(listener.address() as AddressInfo)
        },
      )
    })
  }

  has(conn: ConnId): boolean {
    return this.#clients.has(conn)
  }

  peerOf(conn: ConnId): Peer | undefined {
    return this.#clients.get(conn)?.peer
  }

  /** The chunk is given away. It leaves when the turn ends; what the kernel does not take then is reported as unsent. */
  send(conn: ConnId, chunk: Chunk, lengthBytes: number): void {
    const client = this.#clients.get(conn)
    if (client === undefined) {
      this.#pool.putBack(chunk)
      return
    }
    const queued = this.#queue.push({ client, chunk, lengthBytes })
    this.#queuedBytes += lengthBytes
    if (queued >= mostQueuedSends || this.#queuedBytes >= mostQueuedBytes) this.flush()
    else if (queued === 1) setImmediate(() => this.flush())
  }

  /** Writes what was sent in this turn so far. */
  flush(): void {
    const queue = this.#queue
    if (queue.length === 0) return
    this.#queue = []
    this.#queuedBytes = 0
    for (const each of queue) this.#write(each)
  }

  #write({ client, chunk, lengthBytes }: QueuedSend): void {
    if (client.phase === 'closing') {
      this.#pool.putBack(chunk)
      return
    }
    const { socket } = client
    const { bytes } = chunk
    const taken = writeAtOnce(client, bytes, lengthBytes)
    if (taken === lengthBytes) {
      this.#pool.putBack(chunk)
      return
    }
    const lengthLeft = lengthBytes - taken
    if (lengthLeft * 2 <= bytes.length) {
      // It will wait: a small message must not pin a large chunk for as long.
      socket.write(bytes.slice(taken, lengthBytes), client.onWritten)
      this.#pool.putBack(chunk)
    } else {
      // Back as soon as it is written: the stream of a peer that is slower than the server may never be empty.
      socket.write(Buffer.from(bytes.buffer, bytes.byteOffset + taken, lengthLeft), error => {
        if (error === null || error === undefined) this.#pool.putBack(chunk)
        client.onWritten()
      })
    }
    if (socket.writableLength === 0) return
    client.isUnsentTold = true
    client.events.unsent(client.conn, socket.writableLength)
  }

  setReading(conn: ConnId, to: 'on' | 'off'): void {
    const client = this.#clients.get(conn)
    if (client === undefined) return
    client.isRead = to === 'on'
    if (client.isRead) client.socket.resume()
    else client.socket.pause()
  }

  /** An answer is still to come, even if the peer ends its side before. */
  awaitAnswer(conn: ConnId): void {
    const client = this.#clients.get(conn)
    if (client !== undefined) client.phase = 'answering'
  }

  /**
   * flush: what was sent before still arrives. The peer then has some time to close too, its bytes ignored: to close
   * first and at once could reset the connection under its unread answer.
   */
  close(conn: ConnId, how: 'flush' | 'abort'): void {
    const client = this.#clients.get(conn)
    if (client === undefined) return
    if (how === 'flush') this.flush()
    this.#clients.delete(conn)
    client.phase = 'closing'
    if (how === 'abort') {
      client.socket.destroy()
      return
    }
    this.#lingering.set(client, Number.NaN)
    client.socket.end()
    client.socket.resume()
  }

  /** Destroys what was closed long ago; to be called now and then. */
  sweep(monotonicMs: number): void {
    for (const [client, since] of this.#lingering) {
      if (Number.isNaN(since)) this.#lingering.set(client, monotonicMs)
      else if (monotonicMs - since >= lingerMs) client.socket.destroy()
    }
  }

  /** Closes the port and every connection, what was sent still leaves. @returns when no handle is left */
  async shutDown(): Promise<void> {
    const isClosed = this.#closeListener()
    for (const conn of [...this.#clients.keys()]) this.close(conn, 'flush')
    const deadline = setTimeout(() => this.abort(), 1000)
    for (const { socket } of this.#lingering.keys()) socket.destroySoon()
    await isClosed
    clearTimeout(deadline)
  }

  /** Closes the port and every connection at once. @returns when no handle is left */
  abort(): Promise<void> {
    const isClosed = this.#closeListener()
    for (const conn of [...this.#clients.keys()]) this.close(conn, 'abort')
    for (const { socket } of this.#lingering.keys()) socket.destroy()
    return isClosed
  }

  #closeListener(): Promise<void> {
    const listener = this.#listener
    return new Promise(resolve => {
      if (listener === undefined) resolve()
      else listener.close(() => resolve()) // an error says that it is closed already
    })
  }

  #accept(accepted: Socket, events: SocketEvents): void {
    const conn = ++this.#lastConn
    const onBytes = (lengthBytes: number, bytes: Uint8Array): boolean => {
      if (this.#clients.get(conn)?.phase !== 'open') return true
      if (bytes === this.#received) events.received(conn, bytes, this.#receivedView, 0, lengthBytes)
      else
        events.received(
          conn,
          bytes,
          new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
          0,
          lengthBytes,
        )
      return true
    }
    const moved = this.#readPath === 'onread' ? readThrough(this.#received, onBytes, accepted) : undefined
    if (moved === undefined) {
      accepted.on('data', data =>
        onBytes(data.length, new Uint8Array(data.buffer, data.byteOffset, data.length)),
      )
    }
    const client = this.#welcome(conn, moved ?? { socket: accepted, handle: undefined }, events)
    if (client === undefined) return
    events.opened(conn, client.peer)
    if (client.phase === 'open' && client.isRead) client.socket.resume()
  }

  #welcome(
    conn: ConnId,
    { socket, handle }: Pick<Client, 'socket' | 'handle'>,
    events: SocketEvents,
  ): Client | undefined {
    const { remoteAddress, remotePort } = socket
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.destroy() // gone between the kernel's accept and ours
      return undefined
    }
    const client: Client = {
      conn,
      socket,
      handle,
      peer: { address: javaAddress(remoteAddress), port: remotePort },
      phase: 'open',
      isRead: true,
      isUnsentTold: false,
      events,
      onWritten: () => this.#onWritten(client),
    }
    this.#clients.set(conn, client)
    socket.on('end', () => this.#onEnd(client))
    socket.on('close', () => this.#onClose(client))
    socket.on('error', ignoreError)
    return client
  }

  #onWritten(client: Client): void {
    if (!client.isUnsentTold || client.socket.writableLength > 0 || client.socket.destroyed) return
    client.isUnsentTold = false
    if (client.phase !== 'closing') client.events.unsent(client.conn, 0)
  }

  #onEnd(client: Client): void {
    if (client.phase !== 'open') return
    this.close(client.conn, 'abort')
    client.events.closed(client.conn)
  }

  #onClose(client: Client): void {
    this.#lingering.delete(client)
    if (client.phase === 'closing') return
    client.phase = 'closing'
    this.#clients.delete(client.conn)
    client.events.closed(client.conn)
  }
}

/** What an error leads to is 'close', which always follows. */
function ignoreError(): void {
  return undefined
}

/**
 * What the kernel takes of it now, nothing while older bytes wait. An error is left to the stream, which meets the same one.
 *
 * @returns bytes taken
 */
function writeAtOnce({ socket, handle }: Client, bytes: Uint8Array, lengthBytes: number): number {
  if (handle === undefined || socket.destroyed || socket.writableLength > 0) return 0
  const { fd } = handle
  if (fd < 0) return 0 // Windows, or closing
  try {
    return writeSync(fd, bytes, 0, lengthBytes)
  } catch {
    return 0
  }
}

/**
 * Node offers `onread` for outgoing connections only; this moves an accepted socket's handle into a new socket that has it.
 *
 * @returns undefined where this version of Node has other internals: the accepted socket is then still whole
 */
function readThrough(
  buffer: Uint8Array,
  callback: (lengthBytes: number, bytes: Uint8Array) => boolean,
  accepted: Socket,
): Pick<Client, 'socket' | 'handle'> | undefined {
  if (!hasMovableHandle(accepted)) return undefined
  const handle = accepted._handle
  const options: MovedSocketOptions = {
    handle,
    allowHalfOpen: true,
    onread: { buffer, callback },
  }
  Object.assign(accepted, { _handle: null })
  const socket: Socket & { _server?: unknown } = new Socket(options)
  socket._server = accepted._server // keeps the listener's count of connections right
  accepted._server = null
  return { socket, handle }
}

/** Node's own handle of a plain connection; its descriptor does not block. */
interface TcpHandle {
  /** Negative while there is none. */
  readonly fd: number
}

interface MovedSocketOptions extends SocketConstructorOpts {
  handle: unknown
  onread: { buffer: Uint8Array; callback: (lengthBytes: number, bytes: Uint8Array) => boolean }
}

interface Movable {
  _handle: TcpHandle
  _server: unknown
}

function hasMovableHandle(socket: object): socket is Movable {
  if (!('_handle' in socket) || !('_server' in socket)) return false
  const handle = socket._handle
  return typeof handle === 'object' && handle !== null && 'useUserBuffer' in handle && 'fd' in handle
}
