const maxPingIdleMs = 10_000
const pingSlackMs = 1000

/**
 * When a session was last heard and spoken for, and what follows from it: when to ping, when to take the server for
 * dead, when to take the session for lost. All times are those of `SessionMachine.step`.
 *
 * Source: ClientCnxn.SendThread in the Java client, with the local expiry of 3.9.3.
 */
export class Liveness {
  /** Asked for, and from the first handshake on: granted. */
  timeoutMs: number
  /** Of the last frame from a server, or of the handshake that began the session. */
  lastHeardMs = 0
  lastSentMs = 0

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs
  }

  /** Every server has forgotten the session by then. */
  expiresMs(): number {
    return this.lastHeardMs + (this.timeoutMs * 4) / 3
  }

  /** A connection is given up that brought nothing until then. */
  silentMs(): number {
    return this.lastHeardMs + this.patienceMs()
  }

  /** How long an answer may take. */
  patienceMs(): number {
    return (this.timeoutMs * 2) / 3
  }

  /**
   * A third of the timeout after the last write, less a second where that leaves any, and 10 s at the latest.
   */
  pingMs(): number {
    const third = this.timeoutMs / 3
    const idle = third <= pingSlackMs ? third : Math.max(pingSlackMs, third - pingSlackMs)
    return this.lastSentMs + Math.min(idle, maxPingIdleMs)
  }
}
