/**
 * The whole server as one machine: `step(now, event)` decides, effects say what is to be done. Composes the machines
 * of this package and carries what passes between them; nothing here reads a clock, a socket or a file.
 *
 * Life: new -> recovering -> serving -> stopping -> ended, and from any of them to ended when something is fatal.
 * Connections are taken until it stops; while it is not serving they get four-letter words and nothing else.
 */
import {
  decodeUtf8,
  epochOf,
  Fifo,
  fromWords,
  hexText,
  type SessionId,
  type Space,
  sessionId,
  unreachable,
  zxid,
} from '@corral/protocol'
import type { ServerConfig } from './config.ts'
import type { DiskResult, OpId } from './disk.ts'
import type { Chunks, Effect, Fields, Level } from './effects.ts'
import type { ConnId, Event, Now, Peer } from './events.ts'
import type { Counters, Inspection } from './inspect.ts'
import { inspectionOf, zeroCounters } from './inspector.ts'
import { empty } from './lists.ts'
import { Log, type LogReport } from './log/log.ts'
import type { Random } from './random.ts'
import { Pipeline } from './request/pipeline.ts'
import { Reaper } from './request/reaper.ts'
import { type Connection, isTired, Pause } from './session/connection.ts'
import { Connections } from './session/connections.ts'
import { FlowControl } from './session/flow-control.ts'
import { Handshake } from './session/handshake.ts'
import { Intake } from './session/intake.ts'
import { Outbox } from './session/outbox.ts'
import { type Session, Sessions } from './session/sessions.ts'
import { DataTree } from './tree/data-tree.ts'

type Life = 'new' | 'recovering' | 'serving' | 'stopping' | 'ended'

/** Txns applied and answered in one step; more when the next batch is durable already and waits for them. */
const txnsPerPiece = 256
const txnsPerHurriedPiece = 512
/** Watches of a connection that is gone, forgotten in one step. */
const watchesPerPiece = 20_000
/** Sessions whose end is submitted in one step. */
const expiredPerPiece = 1000

interface DiskAnswer {
  readonly op: OpId
  readonly result: DiskResult
}

export interface ServerGiven {
  readonly config: ServerConfig
  readonly random: Random
  readonly chunks: Chunks
  sha1(bytes: Uint8Array): Uint8Array
  /** Rare branches that a simulation may take; always false in production. */
  maybe(label: string): boolean
}

export class Server {
  readonly #given: ServerGiven
  readonly #config: ServerConfig
  readonly #effects: Effect[] = []
  readonly #emit = (effect: Effect): void => void this.#effects.push(effect)
  readonly #connections: Connections = new Connections()
  /** Slots of connections that are gone, and of whose watches some are left. */
  readonly #abandonedSlots: number[] = []
  /** What the disk has said and the log has not heard: as many as are in flight, at the most. */
  readonly #diskResults: DiskAnswer[] = []
  readonly #sessions: Sessions
  /** Marked as closing; their ends are to be submitted. */
  readonly #expired: Fifo<Session> = new Fifo()
  readonly #timeouts: Map<SessionId, number> = new Map()
  readonly #handshake: Handshake
  readonly #flow: FlowControl
  readonly #outbox: Outbox
  readonly #intake: Intake
  readonly #log: Log
  readonly #counters: Counters = zeroCounters()
  #tree: DataTree
  #pipeline: Pipeline | undefined = undefined
  #reaper: Reaper | undefined = undefined
  #life: Life = 'new'
  #now: Now = { monotonicMs: 0, wallMs: 0 }
  /** Time that the process was stalled, which no session is charged for. */
  #stalledMs = 0
  #isTurnAsked = false

  constructor(given: ServerGiven) {
    const { config, random } = given
    this.#given = given
    this.#config = config
    this.#sessions = new Sessions(config.tickTimeMs)
    this.#outbox = new Outbox(given.chunks, this.#emit)
    this.#flow = new FlowControl(config, this.#counters, {
      emit: this.#emit,
      askTurn: () => this.#askTurn(),
      isOpen: connection => this.#connections.get(connection.id) === connection,
      resumeIntake: connection => this.#intake.resume(connection),
      resumeBacklog: connection => this.#pipeline?.resumeBacklog(this.#now, connection),
    })
    this.#handshake = new Handshake({
      config,
      random: random.fork('connection-throttle'),
      sessions: this.#sessions,
      outbox: this.#outbox,
      counters: this.#counters,
      host: {
        lastZxid: () => zxid(fromWords(this.#tree.lastZxidHigh, this.#tree.lastZxidLow)),
        connectionOf: session => this.#connectionOf(session),
        openSession: (connection, timeoutMs) =>
          this.#pipeline?.openSession(this.#now, this.#clockMs(), connection, timeoutMs),
        reopened: connection => this.#pipeline?.awaitWrites(connection),
        pause: (connection, why) => this.#flow.pause(this.#now, connection, why),
        unpause: (connection, why) => this.#flow.unpause(connection, why),
        sent: connection => this.#pipeline?.countSent(connection),
        abort: connection => this.#abort(connection),
        closeAfterReply: connection => this.#closeAfterReply(connection),
        say: (what, fields) => this.#say('info', what, fields),
      },
    })
    this.#intake = new Intake(config, {
      connect: (connection, space, from, to) => this.#onConnectRequest(connection, space, from, to),
      request: (connection, space, from, to) => this.#onRequest(connection, space, from, to),
      command: (connection, word, argument) => this.#onCommand(connection, word, argument),
      abort: connection => this.#abort(connection),
      badLength: (connection, length) => this.#onBadLength(connection, length),
    })
    this.#tree = this.#makeTree()
    this.#log = new Log({
      config,
      random: random.fork('log'),
      maybe: label => given.maybe(label),
      tree: () => this.#tree,
      replaceTree: tree => {
        this.#tree = tree
      },
      makeTree: () => this.#makeTree(),
      sessions: this.#timeouts,
      emit: effect => (effect.kind === 'askTurn' ? this.#askTurn() : this.#emit(effect)),
    })
  }

  /** @returns what is to be done, in this order. The array is reused: valid until the next step. */
  step(now: Now, event: Event): readonly Effect[] {
    empty(this.#effects)
    this.#now = now
    if (this.#life === 'ended') return this.#effects
    switch (event.kind) {
      case 'received': {
        const connection = this.#connections.get(event.conn)
        if (connection !== undefined) this.#intake.receive(connection, event, event.from, event.to)
        break
      }
      case 'diskDone':
        this.#onDiskDone(event.op, event.result)
        break
      case 'turnEnded':
        this.#onTurnEnded()
        break
      case 'unsent':
        this.#onUnsent(event.conn, event.lengthBytes)
        break
      case 'tick':
        this.#onTick(event.stalledMs)
        break
      case 'opened':
        this.#onOpened(event.conn, event.peer)
        break
      case 'closed':
        this.#onClosed(event.conn)
        break
      case 'start':
        this.#life = 'recovering'
        this.#log.start(now)
        break
      case 'stop':
        this.#onStop()
        break
      default:
        return unreachable(event)
    }
    this.#outbox.flush(connection => this.#afterOutput(connection))
    if (this.#effects.some(isFatal)) this.#life = 'ended'
    return this.#effects
  }

  /** For four-letter words; to look at, but for the resets. */
  inspect(): Inspection {
    return inspectionOf({
      config: this.#config,
      isServing: this.#life === 'serving',
      counters: this.#counters,
      log: this.#log,
      tree: this.#tree,
      connections: this.#connections,
      sessions: this.#sessions,
      stalledMs: this.#stalledMs,
      digests: this.#pipeline?.digests() ?? [],
    })
  }

  // ---- connections

  #onOpened(conn: ConnId, peer: Peer): void {
    const full = this.#connections.limitReachedFor(peer, this.#config)
    if (full !== undefined || this.#life === 'stopping') {
      this.#counters.connectionsRejected++
      if (full !== undefined) this.#say('warn', 'too many connections', { address: peer.address, ...full })
      this.#emit({ kind: 'close', conn, how: 'abort' })
      return
    }
    this.#handshake.expect(this.#connections.add(conn, peer, this.#now))
  }

  #onClosed(conn: ConnId): void {
    const connection = this.#connections.get(conn)
    if (connection === undefined) return
    if (connection.phase !== 'command') this.#counters.connectionsDropped++
    this.#drop(connection)
  }

  /** Forgets a connection; its session lives on until it expires. */
  #drop(connection: Connection): void {
    this.#connections.remove(connection)
    this.#handshake.forget(connection)
    this.#flow.forget(connection)
    this.#forgetWatches(connection.slot)
    // It may be answering just now: what waits must set no watch, nor make an answer.
    connection.backlog.clear()
    this.#outbox.forget(connection)
    this.#pipeline?.forget(connection)
    if (connection.session?.conn === connection.id) connection.session.conn = undefined
    connection.phase = 'ending'
  }

  /** Of a connection that is gone: some now, the rest in later steps. What they fire finds nobody at the slot. */
  #forgetWatches(slot: number): void {
    if (this.#tree.watches.dropConnection(slot, watchesPerPiece)) this.#connections.releaseSlot(slot)
    else {
      this.#abandonedSlots.push(slot)
      this.#askTurn()
    }
  }

  #abort(connection: Connection): void {
    this.#emit({ kind: 'close', conn: connection.id, how: 'abort' })
    this.#drop(connection)
  }

  /** Closes when everything written for it has left. */
  #closeAfterReply(connection: Connection): void {
    connection.phase = 'ending'
    connection.isClosingAfterStep = true
    this.#outbox.open(connection) // so that the end of the step looks at it
  }

  #afterOutput(connection: Connection): void {
    if (this.#connections.get(connection.id) !== connection) return
    const { unsentHighBytes, unsentLimitBytes } = this.#config
    const lengthBytes = connection.unsentBytes + connection.stepBytes
    if (connection.isClosingAfterStep) {
      this.#emit({ kind: 'close', conn: connection.id, how: 'flush' })
      this.#drop(connection)
    } else if (lengthBytes > unsentLimitBytes) {
      this.#say('warn', 'a client does not read its replies', {
        address: connection.peer.address,
        session: sessionText(connection),
        unsentBytes: lengthBytes,
      })
      this.#abort(connection)
    } else if (lengthBytes > unsentHighBytes) this.#flow.pause(this.#now, connection, Pause.Output)
  }

  #onUnsent(conn: ConnId, lengthBytes: number): void {
    const connection = this.#connections.get(conn)
    if (connection !== undefined) this.#flow.unsent(this.#now, connection, lengthBytes)
  }

  #onBadLength(connection: Connection, length: number): void {
    this.#say('warn', 'a frame of impossible length', {
      address: connection.peer.address,
      session: sessionText(connection),
      lengthBytes: length,
      limitBytes: this.#config.maxFrameBytes,
    })
    this.#abort(connection)
  }

  #onCommand(connection: Connection, word: number, argument: Uint8Array): void {
    connection.phase = 'command'
    connection.received++
    this.#counters.packetsReceived++
    this.#emit({ kind: 'command', conn: connection.id, word, argument })
  }

  // ---- handshake and requests

  #onConnectRequest(connection: Connection, space: Space, from: number, to: number): void {
    if (this.#life !== 'serving') return this.#abort(connection)
    this.#handshake.accept(this.#now, this.#clockMs(), connection, space, from, to)
  }

  #onRequest(connection: Connection, space: Space, from: number, to: number): void {
    if (this.#pipeline === undefined || connection.phase !== 'open') return
    this.#pipeline.accept(this.#now, this.#clockMs(), connection, space, from, to)
    if (isTired(connection) && connection.phase === 'open')
      this.#flow.pause(this.#now, connection, Pause.Output)
  }

  // ---- time and disk

  #onTick(stalledMs: number): void {
    if (2 * stalledMs > this.#config.tickTimeMs) this.#stalledMs += stalledMs
    this.#handshake.closeOverdue(this.#now)
    this.#handle(this.#log.tick(this.#now))
    const pipeline = this.#pipeline
    if (this.#life !== 'serving' || pipeline === undefined) return
    this.#handshake.answerGuessers()
    for (const session of this.#sessions.expire(this.#clockMs())) this.#expired.push(session)
    this.#expireSome(pipeline)
    this.#reaper?.tick(this.#now, path => {
      this.#say('info', 'a container or TTL znode is due for removal', { path: decodeUtf8(path.bytes) })
      pipeline.reap(this.#now, path)
    })
    this.#flow.relieve()
  }

  #expireSome(pipeline: Pipeline): void {
    for (let left = expiredPerPiece; left > 0 && this.#expired.length > 0; left--) {
      const session = this.#expired.shift() as Session
      this.#counters.sessionsExpired++
      this.#say('info', 'a session expires', { session: hexText(session.id), timeoutMs: session.timeoutMs })
      pipeline.expire(this.#now, session)
    }
    if (this.#expired.length > 0) this.#askTurn()
  }

  #onTurnEnded(): void {
    this.#isTurnAsked = false
    if (this.#pipeline !== undefined && this.#life === 'serving') this.#expireSome(this.#pipeline)
    this.#handle(this.#log.turnEnded(this.#now))
    this.#applyPiece()
    this.#hearDisk()
    const slot = this.#abandonedSlots.shift()
    if (slot !== undefined) this.#forgetWatches(slot)
    if (this.#abandonedSlots.length > 0) this.#askTurn()
    this.#flow.turnEnded()
  }

  #askTurn(): void {
    if (this.#isTurnAsked) return
    this.#isTurnAsked = true
    this.#emit({ kind: 'askTurn' })
  }

  /** Some of what is durable; the rest follows when the turn ends. */
  #applyPiece(): void {
    if (this.#pipeline?.apply(this.#now, txnsPerPiece) === true) this.#askTurn()
    this.#flow.relieve()
  }

  #onDiskDone(op: OpId, result: DiskResult): void {
    this.#diskResults.push({ op, result })
    this.#pipeline?.apply(this.#now, txnsPerHurriedPiece)
    this.#hearDisk()
  }

  /** The log may need the memory of the last batch again, so what the disk says waits until that is applied. */
  #hearDisk(): void {
    while (this.#diskResults.length > 0 && this.#pipeline?.isApplying !== true) {
      const { op, result } = this.#diskResults.shift() as DiskAnswer
      this.#handle(this.#log.diskDone(this.#now, op, result))
    }
  }

  #handle(report: LogReport): void {
    switch (report.kind) {
      case 'none':
        return
      case 'recovered':
        return this.#onRecovered(report)
      case 'durable':
        this.#pipeline?.durable(report)
        return this.#applyPiece()
      case 'stopped':
        this.#life = 'ended'
        return this.#emit({ kind: 'stopped' })
      default:
        return unreachable(report)
    }
  }

  #onRecovered(report: Extract<LogReport, { readonly kind: 'recovered' }>): void {
    const { lastZxid, maxSessionId, digests } = report
    const { config } = this.#given
    this.#tree.adoptsDigests = true // they are this server's own from here on
    const clockMs = this.#clockMs()
    for (const [id, timeoutMs] of this.#timeouts) this.#sessions.restore(id, timeoutMs, clockMs)
    this.#sessions.startIds(config.serverId, this.#now.wallMs, sessionId(maxSessionId))
    this.#pipeline = new Pipeline({
      config,
      tree: this.#tree,
      log: this.#log,
      outbox: this.#outbox,
      sessions: this.#sessions,
      timeouts: this.#timeouts,
      digests,
      counters: this.#counters,
      sha1: bytes => this.#given.sha1(bytes),
      connectionAt: slot => this.#connections.atSlot(slot),
      host: {
        closeAfterReply: connection => this.#closeAfterReply(connection),
        abort: connection => this.#abort(connection),
        opened: connection => this.#handshake.welcome(connection),
        sessionEnded: session => this.#onSessionEnded(session),
        pause: (connection, why) => this.#flow.pause(this.#now, connection, why),
        relieved: connection => this.#flow.relieved(connection),
        quotaExceeded: fields => this.#say('warn', 'Quota exceeded', fields),
        authFailed: (connection, scheme) =>
          this.#say('warn', 'an authentication failed', {
            address: connection.peer.address,
            session: sessionText(connection),
            scheme,
          }),
      },
    })
    this.#reaper = new Reaper(config.container, this.#tree)
    this.#life = 'serving'
    this.#say('info', 'recovered', {
      zxid: hexText(lastZxid),
      epoch: epochOf(lastZxid),
      znodes: this.#tree.znodeCount,
      sessions: this.#sessions.size,
    })
    this.#emit({ kind: 'serving' })
  }

  #onSessionEnded(session: Session): void {
    const connection = this.#connectionOf(session)
    if (connection !== undefined && !connection.isClosingAfterStep) this.#closeAfterReply(connection)
  }

  #onStop(): void {
    this.#life = 'stopping'
    for (const connection of [...this.#connections.all()]) {
      this.#outbox.flushOne(connection)
      this.#emit({ kind: 'close', conn: connection.id, how: 'flush' })
      this.#drop(connection)
    }
    this.#handle(this.#log.stop(this.#now))
  }

  // ---- small things

  #makeTree(): DataTree {
    return new DataTree({
      random: this.#given.random.fork('tree'),
      isTtlEnabled: this.#config.isTtlEnabled,
      isDigestEnabled: this.#config.storage.isDigestEnabled,
    })
  }

  #clockMs(): number {
    return this.#now.monotonicMs - this.#stalledMs
  }

  #connectionOf(session: Session): Connection | undefined {
    return session.conn === undefined ? undefined : this.#connections.get(session.conn)
  }

  #say(level: Level, what: string, fields: Fields): void {
    this.#emit({ kind: 'say', level, what, fields })
  }
}

function isFatal(effect: Effect): boolean {
  return effect.kind === 'fatal'
}

function sessionText(connection: Connection): string {
  return connection.session === undefined ? 'none' : hexText(connection.session.id)
}
