/**
 * The sessions of this server and when they expire: buckets of one tick, so that a touch costs next to nothing and a
 * session lives for (timeout, timeout + tick]. The clock given is the monotonic one less the time the process was
 * stalled, so that a pause never expires anybody.
 *
 * Source: SessionTrackerImpl, ExpiryQueue in the Java server.
 */
import { firstSessionId, highWord, lowWord, type SessionId, serverId, sessionId } from '@corral/protocol'
import type { ConnId } from '../events.ts'

export class Session {
  readonly id: SessionId
  readonly high: number
  readonly low: number
  /** As negotiated last; the one that was persisted may differ. */
  timeoutMs: number
  /** A closeSession txn is on its way: nothing more is accepted. */
  isClosing = false
  /** The connection it is attached to, if it has one. */
  conn: ConnId | undefined = undefined
  /** End of its bucket on the session clock. */
  bucketMs = 0

  constructor(id: SessionId, timeoutMs: number) {
    this.id = id
    this.high = highWord(id)
    this.low = lowWord(id)
    this.timeoutMs = timeoutMs
  }
}

export class Sessions {
  readonly #tickMs: number
  readonly #byId: Map<SessionId, Session> = new Map()
  readonly #buckets: Map<number, Set<Session>> = new Map()
  #nextId: SessionId
  /** End of the earliest bucket that may hold a session. */
  #dueMs = 0

  constructor(tickMs: number) {
    this.#tickMs = tickMs
    this.#nextId = 0n as SessionId
  }

  get size(): number {
    return this.#byId.size
  }

  get(id: SessionId): Session | undefined {
    return this.#byId.get(id)
  }

  all(): IterableIterator<Session> {
    return this.#byId.values()
  }

  /** @param highestKnown - of this server in snapshot and log: ids are never used again, also after a clock step */
  startIds(server: bigint, wallMs: number, highestKnown: SessionId): void {
    const first = firstSessionId(serverId(server), wallMs)
    const next = sessionId(highestKnown + 1n)
    this.#nextId = highestKnown !== 0n && next > first ? next : first
  }

  /** A new session with the next id. */
  open(timeoutMs: number, clockMs: number): Session {
    const id = this.#nextId
    const following = sessionId(id + 1n)
    this.#nextId = following === -0x8000000000000000n ? sessionId(following + 1n) : following
    return this.restore(id, timeoutMs, clockMs)
  }

  /** Tracks a session found in snapshot or log, with its full timeout. */
  restore(id: SessionId, timeoutMs: number, clockMs: number): Session {
    const session = new Session(id, timeoutMs)
    this.#byId.set(id, session)
    this.touch(session, clockMs)
    return session
  }

  /** It was heard of: it lives for its whole timeout from now on. */
  touch(session: Session, clockMs: number): void {
    const bucketMs = this.#bucketOf(clockMs + session.timeoutMs)
    if (bucketMs === session.bucketMs) return
    this.#buckets.get(session.bucketMs)?.delete(session)
    session.bucketMs = bucketMs
    // The clock goes back when a stall is taken off it: the earliest bucket may be a new one.
    if (this.#dueMs === 0 || bucketMs < this.#dueMs) this.#dueMs = bucketMs
    const bucket = this.#buckets.get(bucketMs)
    if (bucket === undefined) this.#buckets.set(bucketMs, new Set([session]))
    else bucket.add(session)
  }

  remove(session: Session): void {
    this.#byId.delete(session.id)
    this.#buckets.get(session.bucketMs)?.delete(session)
  }

  /** @returns the sessions whose bucket ended, marked as closing */
  expire(clockMs: number): Session[] {
    const expired: Session[] = []
    for (; this.#dueMs !== 0 && this.#dueMs <= clockMs; this.#dueMs += this.#tickMs) {
      const bucket = this.#buckets.get(this.#dueMs)
      if (bucket === undefined) continue
      this.#buckets.delete(this.#dueMs)
      for (const session of bucket) {
        if (!session.isClosing) expired.push(session)
        session.isClosing = true
      }
    }
    return expired
  }

  #bucketOf(deadlineMs: number): number {
    return (Math.floor(deadlineMs / this.#tickMs) + 1) * this.#tickMs
  }
}
