/**
 * A client that speaks the protocol itself: it pipelines, reconnects with its session, restores its watches, reads
 * slowly, hangs up, lets its session expire and closes it, as the seed will have it. It shares no code with the client
 * library, so that a mistake in one is not hidden by the other.
 */
import type { Random } from '@corral/core'
import {
  AddWatchMode,
  cutFrames,
  EventType,
  encodeUtf8,
  FrameTail,
  noSession,
  noZxid,
  opOf,
  Reader,
  type Request,
  readConnectResponse,
  readReplyFrame,
  readReplyHeader,
  readWatcherEvent,
  type SessionId,
  sessionPassword,
  Writer,
  writeRequestFrame,
  Xid,
  type Zxid,
} from '@corral/protocol'
import { between, chance, exponential, pick } from '../chance.ts'
import type { Appointment } from '../scheduler.ts'
import { dial, type Line } from './dialer.ts'
import { secrets } from './generator.ts'
import { connectFrame } from './handshake.ts'
import type { ClientGiven, SimClient } from './sim-client.ts'

interface Watches {
  readonly data: Set<string>
  readonly exist: Set<string>
  readonly child: Set<string>
  readonly persistent: Set<string>
  readonly recursive: Set<string>
}

interface Pending {
  readonly xid: number
  readonly request: Request
}

export class WireClient implements SimClient {
  readonly name: string
  readonly #given: ClientGiven
  readonly #random: Random
  readonly #auth: string | undefined
  #session: SessionId = noSession
  #password: Uint8Array = new Uint8Array(16)
  #timeoutMs: number
  #lastZxid: Zxid = noZxid
  #xid = 0
  #line: Line | undefined
  #hangUp: (() => void) | undefined
  #isConnected = false
  #tail: FrameTail = new FrameTail()
  #pending: Pending[] = []
  #watches: Watches = noWatches()
  #think: Appointment | undefined
  #watchdog: Appointment | undefined
  #heardAtMs = 0
  #sentAtMs = 0
  #isQuiescing = false
  #isLastSyncSent = false
  #isQuiet = false
  #hasLeft = false

  constructor(given: ClientGiven) {
    this.name = given.name
    this.#given = given
    this.#random = given.random
    this.#timeoutMs = given.habits.sessionTimeoutMs
    this.#auth = chance(given.random, 0.5) ? pick(given.random, secrets) : undefined
  }

  get isQuiet(): boolean {
    return this.#isQuiet
  }

  start(): void {
    this.#reconnectAfter(0)
  }

  quiesce(): void {
    this.#isQuiescing = true
    this.#line?.setReading(true)
    this.#goOn()
  }

  leave(): void {
    this.#hasLeft = true
    this.#disconnect()
  }

  // -- the connection

  #reconnectAfter(delayMs: number): void {
    this.#given.scheduler.after(delayMs, `${this.name} dials`, () => {
      if (this.#hasLeft || this.#hangUp !== undefined) return
      this.#hangUp = dial(this.#given.network, this.#given.recorder, this.name, {
        opened: line => this.#onOpened(line),
        received: bytes => this.#onReceived(bytes),
        closed: () => this.#onClosed(),
      })
      this.#heard()
    })
  }

  #onOpened(line: Line): void {
    this.#line = line
    this.#tail = new FrameTail()
    const frame = connectFrame({
      timeoutMs: this.#given.habits.sessionTimeoutMs,
      sessionId: this.#session,
      password: this.#password,
      lastZxidSeen: this.#lastZxid,
    })
    line.send(frame)
    this.#heard()
  }

  #onClosed(): void {
    this.#disconnect()
    if (!this.#hasLeft) this.#reconnectAfter(exponential(this.#random, 50))
  }

  #disconnect(): void {
    this.#hangUp?.()
    this.#hangUp = undefined
    this.#line = undefined
    this.#isConnected = false
    this.#pending = []
    this.#isLastSyncSent = false
    for (const appointment of [this.#think, this.#watchdog]) {
      if (appointment !== undefined) appointment.isCancelled = true
    }
    this.#watchdog = undefined
    this.#think = undefined
  }

  /** Two thirds of the timeout without a frame, and the client looks for another connection. */
  #heard(): void {
    this.#heardAtMs = this.#given.scheduler.nowMs
    if (this.#watchdog !== undefined) return
    const watch = (): void => {
      this.#watchdog = this.#given.scheduler.after(
        this.#timeoutMs / 3,
        `${this.name} looks at its watch`,
        () => {
          const nowMs = this.#given.scheduler.nowMs
          if (nowMs - this.#heardAtMs > (2 * this.#timeoutMs) / 3) {
            this.#onClosed()
            return
          }
          if (this.#isConnected && nowMs - this.#sentAtMs > this.#timeoutMs / 4)
            this.#send(Xid.Ping, { kind: 'ping' })
          watch()
        },
      )
    }
    watch()
  }

  #onReceived(bytes: Uint8Array): void {
    this.#heard()
    cutFrames(this.#tail, { bytes, from: 0, to: bytes.length }, 2 ** 30, (space, from, to) => {
      if (!this.#isConnected) this.#onHandshake(new Reader(space.bytes, from, to))
      else this.#onFrame(space.bytes, from, to)
      return this.#line !== undefined
    })
  }

  #onHandshake(r: Reader): void {
    const response = readConnectResponse(r)
    if (response.timeoutMs <= 0) {
      this.#forgetSession()
      this.#onClosed()
      return
    }
    this.#isConnected = true
    this.#session = response.sessionId
    this.#password = sessionPassword(response.sessionId)
    this.#timeoutMs = response.timeoutMs
    if (this.#auth !== undefined) {
      this.#send(Xid.Auth, { kind: 'auth', scheme: 'digest', auth: encodeUtf8(this.#auth) })
    }
    this.#restoreWatches()
    if (chance(this.#random, 0.01)) {
      // Nobody knows this scheme: it costs the connection.
      this.#send(Xid.Auth, { kind: 'auth', scheme: 'kerberos', auth: encodeUtf8('ann') })
    }
    this.#goOn()
  }

  #forgetSession(): void {
    this.#session = noSession
    this.#password = new Uint8Array(16)
    this.#timeoutMs = this.#given.habits.sessionTimeoutMs
    this.#watches = noWatches()
  }

  #restoreWatches(): void {
    const { data, exist, child, persistent, recursive } = this.#watches
    if (data.size + exist.size + child.size + persistent.size + recursive.size === 0) return
    const isPersistent = persistent.size + recursive.size > 0
    this.#send(Xid.SetWatches, {
      kind: 'setWatches',
      relativeZxid: this.#lastZxid,
      data: [...data],
      exist: [...exist],
      child: [...child],
      ...(isPersistent ? { persistent: { plain: [...persistent], recursive: [...recursive] } } : {}),
    })
  }

  // -- requests

  #send(xid: number, request: Request): void {
    const w = new Writer()
    writeRequestFrame(w, xid, request)
    this.#sendAll(w.written(), [{ xid, request }])
  }

  #sendAll(bytes: Uint8Array, pending: readonly Pending[]): void {
    this.#pending.push(...pending)
    this.#sentAtMs = this.#given.scheduler.nowMs
    this.#line?.send(bytes)
  }

  /** Sooner or later, the next thought. */
  #goOn(): void {
    if (this.#isQuiescing) {
      if (this.#isConnected && this.#pending.length === 0) this.#finish()
      return
    }
    if (!this.#isConnected || this.#think !== undefined) return
    const delayMs = exponential(this.#random, this.#given.habits.meanThinkMs)
    this.#think = this.#given.scheduler.after(delayMs, `${this.name} thinks`, () => {
      this.#think = undefined
      if (this.#isQuiescing) this.#goOn()
      else this.#thought()
    })
  }

  /** The end: one last sync, so that everything that was due to come has come before it. */
  #finish(): void {
    if (this.#isLastSyncSent) {
      this.#isQuiet = true
      return
    }
    this.#isLastSyncSent = true
    this.#send(++this.#xid, { kind: 'sync', path: '/' })
  }

  #thought(): void {
    const { hangUp, letExpire, closeSession, readSlowly, maxPipelined } = this.#given.habits
    if (chance(this.#random, hangUp)) return this.#onClosed()
    if (chance(this.#random, letExpire)) {
      this.#disconnect()
      this.#reconnectAfter(this.#timeoutMs * (1 + between(this.#random, 0, 20) / 10))
      return
    }
    if (chance(this.#random, readSlowly)) this.#stopReading()
    if (chance(this.#random, closeSession)) {
      this.#send(++this.#xid, { kind: 'closeSession' })
      return
    }
    if (this.#pending.length < maxPipelined) this.#burst()
    this.#goOn()
  }

  #burst(): void {
    const room = this.#given.habits.maxPipelined - this.#pending.length
    const count = between(this.#random, 1, room)
    const w = new Writer()
    const pending: Pending[] = []
    for (let i = 0; i < count; i++) {
      const request = this.#given.generator.next()
      const xid = ++this.#xid
      writeRequestFrame(w, xid, request)
      pending.push({ xid, request })
    }
    this.#sendAll(w.written(), pending)
  }

  #stopReading(): void {
    const line = this.#line
    line?.setReading(false)
    this.#given.scheduler.after(
      exponential(this.#random, this.#timeoutMs / 4),
      `${this.name} reads again`,
      () => {
        line?.setReading(true)
      },
    )
  }

  // -- answers

  #onFrame(bytes: Uint8Array, from: number, to: number): void {
    const r = new Reader(bytes, from, to)
    const header = readReplyHeader(r)
    if (header.xid === Xid.Notification) {
      const event = readWatcherEvent(r)
      this.#onEvent(event.type, event.path)
      return
    }
    const pending = this.#pending.shift()
    // The recorder has already said what is wrong here.
    if (pending === undefined || pending.xid !== header.xid) return this.#onClosed()
    if (header.zxid > this.#lastZxid && pending.request.kind !== 'auth') this.#lastZxid = header.zxid
    if (pending.request.kind === 'closeSession') {
      this.#forgetSession()
      return this.#onClosed()
    }
    const { body } = readReplyFrame(opOf(pending.request), bytes, from, to)
    this.#given.generator.learn(pending.request, header.err, body)
    this.#remember(pending.request, header.err)
    this.#goOn()
  }

  #remember(request: Request, err: number): void {
    const watches = this.#watches
    switch (request.kind) {
      case 'exists':
        if (request.watch && err === 0) watches.data.add(request.path)
        if (request.watch && err === -101) watches.exist.add(request.path)
        return
      case 'getData':
        if (request.watch && err === 0) watches.data.add(request.path)
        return
      case 'getChildren':
      case 'getChildren2':
        if (request.watch && err === 0) watches.child.add(request.path)
        return
      case 'addWatch': {
        if (err !== 0) return
        const list = request.mode === AddWatchMode.Persistent ? watches.persistent : watches.recursive
        list.add(request.path)
        return
      }
      case 'removeWatches':
        if (err === 0) for (const list of Object.values(watches) as Set<string>[]) list.delete(request.path)
        return
      default:
        return
    }
  }

  #onEvent(type: number, path: string): void {
    const { data, exist, child } = this.#watches
    if (type !== EventType.NodeChildrenChanged) {
      data.delete(path)
      exist.delete(path)
    }
    if (type === EventType.NodeChildrenChanged || type === EventType.NodeDeleted) child.delete(path)
  }
}

function noWatches(): Watches {
  return { data: new Set(), exist: new Set(), child: new Set(), persistent: new Set(), recursive: new Set() }
}
