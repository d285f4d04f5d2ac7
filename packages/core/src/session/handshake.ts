/**
 * From a connect request to a session: a new one, or one that comes back on a new connection. Until then a connection
 * has a deadline. A wrong password is told so late: guessing must be slow.
 *
 * Source: ZooKeeperServer.processConnectRequest and reopenSession in the Java server.
 */
import {
  type ConnectRequest,
  DecodeError,
  hexText,
  passwordBytes,
  Reader,
  readConnectRequest,
  type SessionId,
  type Space,
  sessionPassword,
  writeConnectResponse,
  type Zxid,
} from '@corral/protocol'
import type { ServerConfig } from '../config.ts'
import type { Fields } from '../effects.ts'
import type { Now } from '../events.ts'
import type { Counters } from '../inspect.ts'
import type { Random } from '../random.ts'
import { type Connection, Pause } from './connection.ts'
import { ConnectionThrottle } from './connection-throttle.ts'
import type { Outbox } from './outbox.ts'
import type { Session, Sessions } from './sessions.ts'

export interface HandshakeHost {
  /** Of the tree. */
  lastZxid(): Zxid
  connectionOf(session: Session): Connection | undefined
  /** Makes a session for the connection; {@link Handshake.welcome} follows when it is durable. */
  openSession(connection: Connection, timeoutMs: number): void
  /** A session came back on the connection. */
  reopened(connection: Connection): void
  pause(connection: Connection, why: number): void
  unpause(connection: Connection, why: number): void
  /** A packet was written for this connection. */
  sent(connection: Connection): void
  abort(connection: Connection): void
  /** Closes after everything written for it has left. */
  closeAfterReply(connection: Connection): void
  say(what: string, fields: Fields): void
}

export class Handshake {
  readonly #config: ServerConfig
  readonly #throttle: ConnectionThrottle
  readonly #sessions: Sessions
  readonly #outbox: Outbox
  readonly #counters: Counters
  readonly #host: HandshakeHost
  /** Connections without a session, oldest first. */
  readonly #sessionless: Set<Connection> = new Set()
  /** Came with a wrong password, and are not told yet. */
  readonly #guessers: Set<Connection> = new Set()

  constructor(given: {
    readonly config: ServerConfig
    readonly random: Random
    readonly sessions: Sessions
    readonly outbox: Outbox
    readonly counters: Counters
    readonly host: HandshakeHost
  }) {
    this.#config = given.config
    this.#throttle = new ConnectionThrottle(given.config.connectionThrottle, given.random)
    this.#sessions = given.sessions
    this.#outbox = given.outbox
    this.#counters = given.counters
    this.#host = given.host
  }

  /** A connection has come. */
  expect(connection: Connection): void {
    this.#sessionless.add(connection)
  }

  /** The connection is gone. */
  forget(connection: Connection): void {
    this.#sessionless.delete(connection)
    this.#guessers.delete(connection)
  }

  /** Takes the first frame of a connection. @param clockMs - the session clock */
  accept(now: Now, clockMs: number, connection: Connection, space: Space, from: number, to: number): void {
    const request = decode(space, from, to)
    if (request === undefined) return this.#host.abort(connection)
    this.#counters.packetsReceived++
    connection.received++
    if (!this.#throttle.admit(now.monotonicMs, { isRenewal: request.sessionId !== 0n })) {
      this.#counters.connectionsRejected++
      return this.#host.abort(connection)
    }
    const last = this.#host.lastZxid()
    if (request.lastZxidSeen > last) {
      this.#host.say('a client has seen a later zxid than this server', {
        address: connection.peer.address,
        clientZxid: hexText(request.lastZxidSeen),
        serverZxid: hexText(last),
      })
      return this.#host.abort(connection)
    }
    connection.hasReadOnlyByte = request.readOnly !== undefined
    const { minSessionTimeoutMs, maxSessionTimeoutMs } = this.#config
    const timeoutMs = Math.min(Math.max(request.timeoutMs, minSessionTimeoutMs), maxSessionTimeoutMs)
    this.#sessionless.delete(connection)
    if (request.sessionId !== 0n) return this.#reopen(clockMs, connection, request, timeoutMs)
    connection.phase = 'connecting'
    this.#host.pause(connection, Pause.Handshake)
    this.#host.openSession(connection, timeoutMs)
  }

  /** A session comes back on a new connection. The password is checked before the old connection is touched. */
  #reopen(clockMs: number, connection: Connection, request: ConnectRequest, timeoutMs: number): void {
    const session = this.#sessions.get(request.sessionId)
    const isRight = isSamePassword(sessionPassword(request.sessionId), request.password)
    if (!isRight || session === undefined || session.isClosing) {
      this.#host.say('a session that is not valid', {
        address: connection.peer.address,
        session: hexText(request.sessionId),
        why: session === undefined ? 'unknown or expired' : isRight ? 'closing' : 'wrong password',
      })
      if (isRight) return this.#refuse(connection)
      this.#counters.wrongPasswords++
      connection.phase = 'ending'
      this.#guessers.add(connection)
      return
    }
    const older = this.#host.connectionOf(session)
    if (older !== undefined) this.#host.abort(older)
    session.timeoutMs = timeoutMs
    session.conn = connection.id
    connection.session = session
    connection.phase = 'open'
    this.#sessions.touch(session, clockMs)
    this.#host.reopened(connection)
    this.#respond(connection)
  }

  /** The new session of the connection is durable: its frames may be read. */
  welcome(connection: Connection): void {
    this.#respond(connection)
    connection.phase = 'open'
    this.#host.unpause(connection, Pause.Handshake)
  }

  /** Those whose time without a session is up. */
  closeOverdue(now: Now): void {
    for (const connection of this.#sessionless) {
      if (now.monotonicMs - connection.openedMonotonicMs < this.#config.sessionlessTimeoutMs) return
      this.#host.abort(connection)
    }
  }

  answerGuessers(): void {
    for (const connection of this.#guessers) this.#refuse(connection)
    this.#guessers.clear()
  }

  #refuse(connection: Connection): void {
    this.#respond(connection)
    this.#host.closeAfterReply(connection)
  }

  /** A connection without a session is told that its own is not valid. */
  #respond(connection: Connection): void {
    const { session } = connection
    const w = this.#outbox.open(connection)
    const start = w.beginFrame()
    writeConnectResponse(w, {
      protocolVersion: 0,
      timeoutMs: session?.timeoutMs ?? 0,
      sessionId: session?.id ?? (0n as SessionId),
      password: session === undefined ? new Uint8Array(passwordBytes) : sessionPassword(session.id),
      readOnly: connection.hasReadOnlyByte ? false : undefined,
    })
    w.endFrame(start)
    this.#host.sent(connection)
  }
}

function decode(space: Space, from: number, to: number): ConnectRequest | undefined {
  try {
    return readConnectRequest(new Reader(space.bytes, from, to))
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

/** In constant time. */
function isSamePassword(right: Uint8Array, given: Uint8Array | null): boolean {
  if (given === null || given.length !== right.length) return false
  let difference = 0
  for (let i = 0; i < right.length; i++) difference |= (right[i] as number) ^ (given[i] as number)
  return difference === 0
}
