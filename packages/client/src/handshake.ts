/**
 * Who the session is to servers: what is presented to them, and what their answers make of it. A session that only
 * read-only servers know is unknown to all others, so it is not presented: each makes a new one.
 *
 * Source: SendThread.primeConnection and onConnected of ClientCnxn in the Java client.
 */
import {
  type ConnectRequest,
  type ConnectResponse,
  noSession,
  passwordBytes,
  type SessionId,
  type Zxid,
} from '@corral/protocol'
import { ProtocolError } from './protocol-error.ts'
import type { SessionConfig } from './session-events.ts'

export class Handshake {
  readonly #wantedTimeoutMs: number
  readonly #canBeReadOnly: boolean
  #sessionId: SessionId
  #password: Uint8Array
  /** Only read-only servers know the session. */
  #isLocal = false

  constructor({ sessionTimeoutMs, canBeReadOnly, session }: SessionConfig) {
    this.#wantedTimeoutMs = sessionTimeoutMs
    this.#canBeReadOnly = canBeReadOnly
    this.#sessionId = session?.id ?? noSession
    this.#password = session === undefined ? noPassword() : new Uint8Array(session.password)
  }

  get sessionId(): SessionId {
    return this.#sessionId
  }

  get password(): Uint8Array {
    return this.#password
  }

  request(lastZxidSeen: Zxid): ConnectRequest {
    return {
      protocolVersion: 0,
      lastZxidSeen,
      timeoutMs: this.#wantedTimeoutMs,
      sessionId: this.#presented(),
      password: this.#isLocal ? noPassword() : this.#password,
      readOnly: this.#canBeReadOnly,
    }
  }

  /**
   * @returns unknown: the server does not know the session. unwanted: it is read-only, which was not asked for
   * @throws ProtocolError
   */
  take(response: ConnectResponse): 'taken' | 'unknown' | 'unwanted' {
    const { sessionId, password, timeoutMs } = response
    const presented = this.#presented()
    const isOther = presented !== noSession && sessionId !== presented
    if (timeoutMs <= 0 || isOther) return 'unknown'
    if (sessionId === noSession || password?.length !== passwordBytes) {
      throw new ProtocolError('a session without an id, or without a password of 16 bytes')
    }
    const isReadOnly = response.readOnly === true
    if (isReadOnly && !this.#canBeReadOnly) return 'unwanted'
    this.#sessionId = sessionId
    this.#password = password
    this.#isLocal = isReadOnly && (this.#isLocal || presented === noSession)
    return 'taken'
  }

  #presented(): SessionId {
    return this.#isLocal ? noSession : this.#sessionId
  }
}

function noPassword(): Uint8Array {
  return new Uint8Array(passwordBytes)
}
