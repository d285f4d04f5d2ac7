/** Carries out {@link Step}s on a server, and judges after each what the server did and what it keeps. */
import { createHash } from 'node:crypto'
import {
  encodeUtf8,
  makeSpace,
  OpCode,
  openAcl,
  type Request,
  type SessionId,
  type Space,
  sessionId,
  sessionPassword,
  Writer,
  writeConnectRequest,
  writeRequestFrame,
  type Zxid,
} from '@corral/protocol'
import { defaultConfig, type ServerConfig } from '../../src/config.ts'
import type { DiskCall } from '../../src/disk.ts'
import type { Effect } from '../../src/effects.ts'
import type { Event } from '../../src/events.ts'
import { seededRandom } from '../../src/random.ts'
import { Server } from '../../src/server.ts'
import { MemoryFiles } from '../memory-files.ts'
import { OneServer } from '../one-server.ts'
import { Caller } from './caller.ts'
import type { Probe } from './probe.ts'
import { bigBytes, type Handshake, type Item, paths, type Step, type World } from './steps.ts'

/** Turns of the loop within which a server that nobody disturbs is done. */
const mostRounds = 300

export class Bench {
  readonly #config: ServerConfig
  readonly #server: Server
  readonly #files: MemoryFiles = new MemoryFiles()
  readonly #probe: Probe
  readonly #callers: Map<number, Caller> = new Map()
  readonly #seats: (Caller | undefined)[] = []
  readonly #sessions: SessionId[] = []
  /** Whose end was asked for, or has come. */
  readonly #ending: Set<SessionId> = new Set()
  readonly #expired: Set<SessionId> = new Set()
  /** Somebody else has come with: its older connection is closed. */
  readonly #contested: Set<SessionId> = new Set()
  readonly #given: Set<Space> = new Set()
  #nextConn = 1
  #monotonicMs = 1000
  #isTurnAsked = false
  #isStopping = false
  #isStopped = false

  constructor({ hasBig, config }: World, probe: Probe) {
    probe.reset()
    this.#probe = probe
    this.#config = { ...defaultConfig, storage: { ...defaultConfig.storage, preAllocBytes: 0 }, ...config }
    this.#server = new Server({
      config: this.#config,
      random: seededRandom(1),
      chunks: { take: atLeastBytes => this.#lend(atLeastBytes) },
      sha1: bytes => createHash('sha1').update(bytes).digest(),
      maybe: () => false,
    })
    this.#happen({ kind: 'start' })
    while (!this.#server.inspect().isServing) this.#diskCall(0)
    this.#turn()
    this.#begin(hasBig)
  }

  /** Its log has a file, and whoever came first is gone. */
  #begin(hasBig: boolean): void {
    const caller = this.#open('10.0.0.7')
    this.#write(caller, [
      { ...newSession, timeoutMs: 200 },
      { kind: 'request', request: { kind: 'auth', scheme: 'digest', auth: encodeUtf8('ann:secret') } },
    ])
    if (hasBig) this.#write(caller, [{ kind: 'request', request: createBig }])
    this.#push(caller, 0)
    this.#settle()
    this.#leave(caller)
  }

  run(steps: readonly Step[]): void {
    for (const step of steps) if (!this.#isStopped) this.#do(step)
  }

  #do(step: Step): void {
    switch (step.kind) {
      case 'join': {
        const old = this.#seats[step.seat]
        if (old?.isOpen === true) this.#leave(old)
        return this.#say(this.#sit(step.seat, step.address), step.items, step.held)
      }
      case 'send': {
        const seated = this.#seats[step.seat]
        if (seated?.isOpen === true) return this.#say(seated, step.items, step.held)
        return this.#say(this.#sit(step.seat, 0), [newSession, ...step.items], step.held)
      }
      case 'leave': {
        const caller = this.#seats[step.seat]
        if (caller?.isOpen === true) this.#leave(caller)
        return
      }
      case 'clog': {
        const caller = this.#seats[step.seat]
        if (caller !== undefined) caller.isClogged = true
        return
      }
      case 'drain': {
        const caller = this.#seats[step.seat]
        if (caller !== undefined) this.#drain(caller)
        return
      }
      case 'disk':
        return this.#diskCall(step.nth)
      case 'rest':
        return this.#rest()
      case 'turn':
        return this.#turn()
      case 'tick':
        return this.#tick(step.ms, step)
      case 'stop':
        this.#isStopping = true
        return this.#happen({ kind: 'stop' })
    }
  }

  // ---- the world around the server

  #lend(atLeastBytes: number): Space {
    const chunk = makeSpace(Math.max(4096, atLeastBytes))
    this.#given.add(chunk)
    return chunk
  }

  #open(address: string): Caller {
    const id = this.#nextConn++
    const caller: Caller = new Caller({
      ...{ id, address, openedMs: this.#monotonicMs, longestFrame: this.#config.maxFrameBytes },
      welcomed: session => this.#onWelcome(caller, session),
    })
    this.#callers.set(id, caller)
    this.#happen({ kind: 'opened', conn: id, peer: { address, port: id } })
    return caller
  }

  #leave(caller: Caller): void {
    caller.isOpen = false
    this.#happen({ kind: 'closed', conn: caller.id })
  }

  #sit(seat: number, address: number): Caller {
    const caller = this.#open(`10.0.0.${address}`)
    this.#seats[seat] = caller
    return caller
  }

  #say(caller: Caller, items: readonly Item[], held: number): void {
    this.#write(caller, items)
    this.#push(caller, held)
  }

  #write(caller: Caller, items: readonly Item[]): void {
    const w = new Writer()
    w.raw(spaceOf(caller.outgoing), 0, caller.outgoing.length)
    for (const item of items) {
      if (item.kind === 'connect') this.#writeConnect(w, item)
      else if (item.kind === 'request') writeRequestFrame(w, ++caller.xid, item.request)
      else for (const byte of item.bytes) w.byte(byte)
    }
    caller.outgoing = w.written().slice()
  }

  #writeConnect(w: Writer, { as, nth, timeoutMs, hasReadOnlyByte }: Handshake): void {
    const id = this.#sessions[this.#sessions.length - 1 - nth]
    const isNew = as === 'new' || as === 'fromTheFuture' || (id === undefined && as !== 'stranger')
    const asked = isNew ? sessionId(0n) : as === 'stranger' ? sessionId(0x123456789n) : (id as SessionId)
    const start = w.beginFrame()
    writeConnectRequest(w, {
      protocolVersion: 0,
      lastZxidSeen: (as === 'fromTheFuture' ? 1n << 40n : 0n) as Zxid,
      timeoutMs,
      sessionId: asked,
      password: isNew || as === 'wrongPassword' ? new Uint8Array(16) : sessionPassword(asked),
      readOnly: hasReadOnlyByte ? false : undefined,
    })
    w.endFrame(start)
  }

  /** Gives the server what the client has written, but for the last bytes; nothing while it does not read. */
  #push(caller: Caller, held: number): void {
    const { outgoing } = caller
    const length = outgoing.length - held
    if (!caller.isOpen || !caller.isReading || length <= 0) return
    caller.outgoing = outgoing.slice(length)
    const bytes = outgoing.slice(0, length)
    const wasAsked = caller.asked.length
    caller.deliver(bytes)
    if (caller.wanted !== undefined && caller.wanted !== 0n) this.#contested.add(caller.wanted)
    const isClosing = caller.asked.slice(wasAsked).some(({ op }) => op === OpCode.CloseSession)
    if (isClosing && caller.wanted !== undefined && caller.wanted !== 0n) this.#ending.add(caller.wanted)
    if (isClosing) caller.endsItself = true
    this.#happen({
      kind: 'received',
      conn: caller.id,
      bytes,
      view: new DataView(bytes.buffer),
      ...{ from: 0, to: bytes.length },
    })
    bytes.fill(0xee) // it was only lent
  }

  #drain(caller: Caller): void {
    caller.isClogged = false
    if (caller.unsentBytes === 0) return
    caller.unsentBytes = 0
    if (caller.isOpen) this.#happen({ kind: 'unsent', conn: caller.id, lengthBytes: 0 })
  }

  #turn(): void {
    if (!this.#isTurnAsked || this.#isStopped) return
    this.#isTurnAsked = false
    this.#happen({ kind: 'turnEnded' })
  }

  #tick(ms: number, { isStall }: { readonly isStall: boolean }): void {
    this.#monotonicMs += ms
    this.#happen({ kind: 'tick', stalledMs: isStall ? ms : 0 })
  }

  /** Ends the `nth` of those calls that need not wait for an earlier one. */
  #diskCall(nth: number): void {
    const { waiting } = this.#files
    const free = waiting
      .map((_, i) => i)
      .filter(i => !waiting.slice(0, i).some(w => areOrdered(w.call, waiting[i]?.call)))
    if (free.length === 0) return
    const done = this.#files.next(free[nth % free.length] as number)
    if (done !== undefined) this.#happen({ kind: 'diskDone', ...done })
  }

  // ---- what the server does

  #happen(event: Event): void {
    if (this.#isStopped) return
    for (const caller of this.#callers.values()) caller.stepBytes = 0
    const now = { monotonicMs: this.#monotonicMs, wallMs: 1_700_000_000_000 + this.#monotonicMs }
    for (const effect of this.#server.step(now, event)) this.#onEffect(effect)
    for (const caller of this.#callers.values()) {
      caller.must(!caller.isOver || !caller.isOpen, 'is closed when it has been sent its last answer')
    }
    this.#judge()
    for (const caller of this.#callers.values()) {
      if (!caller.isOpen && caller.stepBytes === 0) this.#callers.delete(caller.id)
      else if (caller.isOpen && caller.isClogged && caller.stepBytes > 0) {
        caller.stepBytes = 0
        this.#happen({ kind: 'unsent', conn: caller.id, lengthBytes: caller.unsentBytes })
      }
    }
  }

  #onEffect(effect: Effect): void {
    switch (effect.kind) {
      case 'send': {
        must(this.#given.delete(effect.chunk), 'a chunk is given away once')
        const caller = this.#callerOf(effect.conn)
        caller.take(effect.chunk.bytes.slice(0, effect.lengthBytes))
        effect.chunk.bytes.fill(0xee)
        return
      }
      case 'close': {
        const caller = this.#callerOf(effect.conn)
        caller.must(caller.isOpen, 'is closed once')
        caller.must(this.#mayClose(caller), 'is not closed without a reason')
        caller.isOpen = false
        return
      }
      case 'setReading': {
        const caller = this.#callerOf(effect.conn)
        caller.must(caller.isOpen, 'is not read any more after its end')
        caller.isReading = effect.to === 'on'
        return
      }
      case 'command': {
        const caller = this.#callerOf(effect.conn)
        return caller.must(caller.isOpen && caller.isCommand, 'gives a command only if it is one')
      }
      case 'disk':
        return this.#files.ask(effect.op, effect.do)
      case 'askTurn':
        must(!this.#isTurnAsked, 'one turn is asked for at a time')
        this.#isTurnAsked = true
        return
      case 'say':
        if (effect.what === 'a session expires')
          this.#expires(sessionId(BigInt(String(effect.fields['session']))))
        return
      case 'stopped':
        this.#isStopped = true
        return
      case 'fatal':
        return must(false, `the server does not end: ${effect.reason}`)
      case 'serving':
        return
    }
  }

  #onWelcome(caller: Caller, session: SessionId): void {
    const isLate = caller.wanted !== 0n && this.#expired.has(session)
    caller.must(!isLate, 'is refused a session that has expired')
    if (!this.#sessions.includes(session)) this.#sessions.push(session)
    if (caller.endsItself) this.#ending.add(session)
    if (this.#ending.has(session)) caller.isPassedOver = true
  }

  #expires(session: SessionId): void {
    const id = sessionId(BigInt.asIntN(64, session))
    this.#expired.add(id)
    this.#ending.add(id)
    for (const caller of this.#callers.values()) if (caller.session === id) caller.isPassedOver = true
  }

  #mayClose(caller: Caller): boolean {
    const { session, wanted } = caller
    const { largeRequest, connectionThrottle, sessionlessTimeoutMs, unsentLimitBytes } = this.#config
    const isSessionless = session === undefined && caller.openedMs + sessionlessTimeoutMs <= this.#monotonicMs
    return (
      this.#isStopping ||
      caller.hasErred ||
      caller.isOver ||
      isSessionless ||
      (session !== undefined && (this.#ending.has(session) || this.#contested.has(session))) ||
      (session === undefined && connectionThrottle.tokens > 0) ||
      (session === undefined && !caller.hasConnected) ||
      (session === undefined && wanted !== undefined) ||
      largeRequest.thresholdBytes > 0 ||
      caller.unsentBytes + caller.stepBytes > unsentLimitBytes
    )
  }

  #callerOf(conn: number): Caller {
    const caller = this.#callers.get(conn)
    if (caller === undefined) throw new Error(`nothing is done to connection ${conn} after its end`)
    return caller
  }

  /** What the server keeps, after each step. */
  #judge(): void {
    const inspection = this.#server.inspect()
    let open = 0
    let watches = 0
    let isBlurred = false
    for (const caller of this.#callers.values()) {
      if (!caller.isOpen) continue
      open++
      watches += caller.watches.count
      isBlurred ||= caller.isBlurred
    }
    must(
      inspection.connectionCount() === open,
      `${open} connections are open, not ${inspection.connectionCount()}`,
    )
    must(
      isBlurred || inspection.watchCount() === watches,
      `${watches} watches are set, not ${inspection.watchCount()}`,
    )
    let outstanding = 0
    for (const connection of this.#probe.connections) {
      outstanding += connection.outstanding
      if (this.#callers.get(connection.id)?.isOpen === true) continue
      const isEmpty = connection.backlog.isEmpty && connection.outstanding === 0
      must(
        isEmpty && connection.chunk === undefined,
        `connection ${connection.id} is gone and has something to do`,
      )
    }
    const { counters } = inspection
    must(counters.outstanding === outstanding, `${outstanding} are outstanding, not ${counters.outstanding}`)
    must(this.#probe.slotsTaken === open, `${open} slots are taken, not ${this.#probe.slotsTaken}`)
    let owned = 0
    const living = new Set<SessionId>()
    for (const { session } of inspection.sessions()) living.add(session)
    for (const { session, isOpen, id } of this.#callers.values()) {
      if (session === undefined || !isOpen) continue
      must(living.delete(session), `connection ${id} has a session, alone`)
    }
    for (const { session } of inspection.sessions()) owned += [...inspection.ephemeralsOf(session)].length
    must(inspection.ephemeralCount() === owned, 'who has an ephemeral znode lives')
  }

  // ---- the end

  /** Lets everything happen that is under way. @throws unless everybody got what is theirs, and nothing is kept after */
  finish(): void {
    for (const caller of this.#callers.values()) this.#drain(caller)
    this.#settle()
    if (this.#isStopping) return this.#startAgain()
    for (const caller of this.#callers.values()) this.#mustBeServed(caller)
    this.#audit()
    for (const caller of [...this.#callers.values()]) if (caller.isOpen) this.#leave(caller)
    this.#settle()
    for (let left = 8; left > 0; left--) {
      this.#tick(1000, { isStall: false })
      this.#settle()
    }
    const inspection = this.#server.inspect()
    must(inspection.sessionCount() === 0, `no session is left, of ${inspection.sessionCount()}`)
    must(inspection.ephemeralCount() === 0, 'no ephemeral is left')
    must(inspection.watchCount() === 0, 'no watch is left')
    must(inspection.counters.outstanding === 0, 'nothing is outstanding')
    const { accounts } = this.#probe
    const { maxBytes } = this.#config.largeRequest
    const isZero =
      accounts?.hasRoomForLarge(maxBytes) !== false && accounts?.hasRoomForLarge(maxBytes + 1) !== true
    must(isZero, 'no bytes of large requests are outstanding')
  }

  /** What the log holds is what the txns said it would be. */
  #startAgain(): void {
    must(this.#isStopped, 'the server stops')
    const again = new OneServer(this.#config, this.#files).server.inspect()
    must(
      again.isServing && again.storage().digestMismatches === 0,
      'the log replays to the digests of its txns',
    )
  }

  /** Everything that the disk was asked for is done, and what follows from that. */
  #rest(): void {
    while (!this.#isStopped && (this.#files.waiting.length > 0 || this.#isTurnAsked)) {
      this.#turn()
      this.#diskCall(0)
    }
  }

  #settle(): void {
    for (let round = 0; round < mostRounds && !this.#isStopped; round++) {
      this.#rest()
      let isDone = this.#server.inspect().counters.outstanding === 0
      for (const caller of this.#callers.values()) {
        if (caller.isClogged) this.#drain(caller)
        if (!caller.isOpen || (caller.outgoing.length === 0 && caller.isReading)) continue
        isDone &&= !caller.isReading && caller.session === undefined
        this.#push(caller, 0)
      }
      if (isDone && this.#files.waiting.length === 0 && !this.#isTurnAsked) return
      if (round % 4 === 3) this.#tick(1, { isStall: false })
    }
    must(this.#isStopped, 'the server comes to rest')
  }

  #mustBeServed(caller: Caller): void {
    if (!caller.isOpen || caller.isPassedOver || caller.session === undefined) return
    caller.must(caller.asked.length === 0, `is answered all (not xid ${caller.asked[0]?.xid})`)
    caller.must(caller.isReading, 'is read')
    caller.must(!caller.hasErred, 'is closed for what it did')
  }

  /** Nobody may have missed a change. */
  #audit(): void {
    if (this.#config.connectionThrottle.tokens > 0) return
    const others = [...this.#callers.values()]
    const auditor = this.#open('10.0.0.9')
    this.#write(auditor, [
      newSession,
      { kind: 'request', request: { kind: 'auth', scheme: 'digest', auth: encodeUtf8('ann:secret') } },
    ])
    for (const path of paths) {
      const request: Request = { kind: 'exists', path, watch: false }
      this.#write(auditor, [{ kind: 'request', request }])
    }
    auditor.onShown = (path, stat) => {
      for (const caller of others) if (caller.isOpen) caller.show(path, stat)
    }
    this.#push(auditor, 0)
    this.#settle()
    must(auditor.asked.length === 0 && auditor.isOpen, 'the auditor is served')
  }
}

const newSession: Handshake = {
  ...{ kind: 'connect', as: 'new', nth: 0 },
  ...{ timeoutMs: 5000, hasReadOnlyByte: true },
}

const createBig: Request = {
  ...{ kind: 'create', op: OpCode.Create, path: '/big' },
  ...{ data: new Uint8Array(bigBytes), acl: openAcl, flags: 0 },
}

function must(fact: boolean, what: string): void {
  if (!fact) throw new Error(what)
}

function spaceOf(bytes: Uint8Array): Space {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
}

/** Must the later of two calls wait for the earlier? */
function areOrdered(a: DiskCall, b: DiskCall | undefined): boolean {
  if (b === undefined) return false
  if ('file' in a || 'file' in b) return 'file' in a && 'file' in b && a.file === b.file
  return a.dir === b.dir
}
