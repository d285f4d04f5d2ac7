/** A client that is nothing but a socket: it sends the bytes it is given and keeps every frame that comes back. */
import { connect, type Socket } from 'node:net'
import {
  type ConnectResponse,
  cutFrames,
  FrameTail,
  opOf,
  Reader,
  type Request,
  readConnectResponse,
  readReplyFrame,
  sessionId,
  Writer,
  writeConnectRequest,
  writeRequestFrame,
  zxid,
} from '@corral/protocol'

/** Ends what hangs: no machine is so slow. */
export const patienceMs = 30_000

/** Replies are as large as they like: a getChildren of everything is not limited by jute.maxbuffer. */
const maxReplyBytes = 64 * 1024 * 1024

export interface Handshake {
  readonly timeoutMs?: number
  readonly sessionId?: bigint
  readonly password?: Uint8Array | null
  readonly lastZxidSeen?: bigint
  /** undefined leaves the byte out, as clients before 3.4 do. */
  readonly readOnly?: boolean | undefined
}

export class RawClient {
  /** Every frame received, in order, without its length word. */
  readonly frames: Uint8Array[] = []
  isClosed = false
  readonly #socket: Socket
  readonly #tail = new FrameTail()
  #wake: (() => void)[] = []

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', bytes => {
      const isGood = cutFrames(
        this.#tail,
        { bytes, from: 0, to: bytes.length },
        maxReplyBytes,
        (space, from, to) => {
          this.frames.push(new Uint8Array(space.bytes.subarray(from, to)))
          return true
        },
      )
      if (!isGood) socket.destroy(new Error('a frame length that cannot be'))
      this.#changed()
    })
    socket.on('error', () => this.#ended())
    socket.on('end', () => socket.destroy())
    socket.on('close', () => this.#ended())
  }

  static open(port: number, host = '127.0.0.1'): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, host)
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.removeListener('error', reject)
        resolve(new RawClient(socket))
      })
    })
  }

  /** Opens and shakes hands. @throws Error when the server closes instead of answering */
  static async connect(port: number, handshake: Handshake = {}): Promise<ConnectedClient> {
    const client = await RawClient.open(port)
    client.send(connectFrame(handshake))
    const frame = await client.next()
    if (frame === undefined) throw new Error('the server closed the connection instead of answering')
    return { client, session: readConnectResponse(new Reader(frame)) }
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes)
  }

  /** @returns false if it did not come true in time; a closed connection is asked once more and then given up */
  async until(isTrue: () => boolean, timeoutMs = patienceMs): Promise<boolean> {
    const deadline = performance.now() + timeoutMs
    while (!isTrue()) {
      const leftMs = deadline - performance.now()
      if (this.isClosed || leftMs <= 0) return isTrue()
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
    return true
  }

  /** Takes the oldest frame, waiting for it. @returns undefined when the connection is closed first */
  async next(): Promise<Uint8Array | undefined> {
    await this.until(() => this.frames.length > 0 || this.isClosed)
    return this.frames.shift()
  }

  /** One request and its reply; notifications that precede it stay in {@link frames}. */
  async request(xid: number, request: Request): Promise<ReturnType<typeof readReplyFrame>> {
    const writer = new Writer()
    writeRequestFrame(writer, xid, request)
    this.send(writer.written())
    const find = (): number => this.frames.findIndex(frame => new Reader(frame).int32() === xid)
    await this.until(() => find() >= 0)
    const at = find()
    if (at < 0) throw new Error(`no reply to ${request.kind}`)
    const [frame] = this.frames.splice(at, 1)
    return readReplyFrame(opOf(request), frame as Uint8Array)
  }

  /** Closes the socket without a closeSession: the session stays. */
  drop(): void {
    this.#socket.destroy()
    this.#ended()
  }

  #ended(): void {
    this.isClosed = true
    this.#changed()
  }

  #changed(): void {
    const waiting = this.#wake
    this.#wake = []
    for (const wake of waiting) wake()
  }
}

export interface ConnectedClient {
  readonly client: RawClient
  readonly session: ConnectResponse
}

export function connectFrame(handshake: Handshake = {}): Uint8Array {
  const writer = new Writer()
  const start = writer.beginFrame()
  writeConnectRequest(writer, {
    protocolVersion: 0,
    lastZxidSeen: zxid(handshake.lastZxidSeen ?? 0n),
    timeoutMs: handshake.timeoutMs ?? 10_000,
    sessionId: sessionId(handshake.sessionId ?? 0n),
    password: handshake.password === undefined ? new Uint8Array(16) : handshake.password,
    readOnly: 'readOnly' in handshake ? handshake.readOnly : false,
  })
  writer.endFrame(start)
  return writer.written()
}
