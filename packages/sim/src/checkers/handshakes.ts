/**
 * Judges handshakes and the zxids that a session is told, which need no model: a session goes on only under its own id
 * and password, only while it lives, and never back in time; one that lives is never said to be gone.
 */
import { hexText, type SessionId, Xid } from '@corral/protocol'
import type { Committed } from '../commit-log.ts'
import { type Arrival, type ConnectionRecord, type History, sessionOf, type Violation } from '../history.ts'

export interface HandshakeSettings {
  readonly minSessionTimeoutMs: number
  readonly maxSessionTimeoutMs: number
  /** Rate of the server's clock against virtual time. */
  readonly clockRate: number
}

interface Given {
  readonly history: History
  readonly committed: readonly Committed[]
  readonly settings: HandshakeSettings
}

export function checkHandshakes(given: Given): readonly Violation[] {
  return new HandshakeJudge(given).run()
}

class HandshakeJudge {
  readonly #given: Given
  readonly #violations: Violation[] = []
  readonly #passwords: Map<SessionId, string> = new Map()
  /** When its end was written. */
  readonly #endedAt: Map<SessionId, number> = new Map()

  constructor(given: Given) {
    this.#given = given
    for (const { txn, writtenAt } of given.committed)
      if (txn.body.kind === 'closeSession') this.#endedAt.set(txn.header.session, writtenAt)
  }

  run(): readonly Violation[] {
    for (const connection of this.#given.history.connections) {
      this.#judgeConnection(connection)
      this.#judgeComeback(connection)
    }
    this.#judgeOrder()
    return this.#violations
  }

  #judgeConnection(connection: ConnectionRecord): void {
    const { request, response } = connection
    if (request === undefined || response === undefined) return
    const asked = request.sessionId
    if (response.timeoutMs <= 0) {
      if (asked === 0n) this.#violate('P9', connection, 'a new session was refused')
      else if (this.#lives(asked, response.at))
        this.#violate('P9', connection, 'a session that lives was said to be gone')
      return
    }
    this.#judgeTimeout(connection)
    const password = Buffer.from(response.password ?? []).toString('hex')
    if (asked === 0n) {
      this.#passwords.set(response.sessionId, password)
      return
    }
    if (response.sessionId !== asked) this.#violate('P9', connection, 'another session than it asked for')
    const known = this.#passwords.get(asked)
    const said = Buffer.from(request.password ?? []).toString('hex')
    if (known !== said) this.#violate('S8', connection, 'a session was taken over with a wrong password')
    const endedAt = this.#endedAt.get(asked)
    if (endedAt !== undefined && endedAt < connection.openedAt)
      this.#violate('P9', connection, 'a session came back after its end')
    const last = this.#given.committed.findLast(({ writtenAt }) => writtenAt <= response.at)
    if (request.lastZxidSeen > (last?.txn.header.zxid ?? 0n))
      this.#violate('S8', connection, `a client that had seen ${hexText(request.lastZxidSeen)} was welcomed`)
  }

  /**
   * Its end is not written, and not on its way either: nobody asked for it, and it was heard, at the earliest when an
   * answered request was sent, within its timeout.
   */
  #lives(session: SessionId, at: number): boolean {
    if ((this.#endedAt.get(session) ?? at) < at) return false
    const connections = this.#given.history.connections.filter(
      connection => sessionOf(connection) === session && connection.openedAt <= at,
    )
    if (connections.some(({ ops }) => ops.some(({ request }) => request.kind === 'closeSession')))
      return false
    return connections.some(connection => {
      // An auth packet is the connection's, not the session's.
      const heard = connection.ops.findLast(
        ({ request, reply }) => request.kind !== 'auth' && reply !== undefined && reply.at <= at,
      )
      const silentMs = (at - (heard?.invokedAt ?? connection.openedAt)) * this.#given.settings.clockRate
      return silentMs < (connection.response?.timeoutMs ?? 0)
    })
  }

  #judgeTimeout(connection: ConnectionRecord): void {
    const { minSessionTimeoutMs: min, maxSessionTimeoutMs: max } = this.#given.settings
    const asked = connection.request?.timeoutMs ?? 0
    const due = Math.min(max, Math.max(min, asked))
    const said = connection.response?.timeoutMs
    if (said !== due) this.#violate('session', connection, `timeout ${said} ms for ${asked}, due ${due}`)
  }

  /**
   * P2: what a session asked for on a lost connection was accepted before it came back, or never: its first answer
   * there is not older. Where a later connection used the same xid, nobody knows whose the txn is.
   */
  #judgeComeback(connection: ConnectionRecord): void {
    const session = sessionOf(connection)
    const first = connection.arrivals.find(
      arrival => arrival.kind === 'reply' && zxidOf(arrival) !== undefined,
    )
    if (session === undefined || connection.request?.sessionId !== session || first === undefined) return
    const seen = zxidOf(first) as bigint
    const others = this.#given.history.connections.filter(other => sessionOf(other) === session)
    const lost = xidsOf(others.filter(({ number }) => number < connection.number))
    const later = xidsOf(others.filter(({ number }) => number >= connection.number))
    for (const { txn } of this.#given.committed) {
      const { session: owner, cxid, zxid } = txn.header
      if (owner === session && zxid > seen && lost.has(cxid) && !later.has(cxid))
        this.#violate(
          'P2',
          connection,
          `an answer at zxid ${hexText(seen)} is older than ${hexText(zxid)}, asked for on a lost connection`,
        )
    }
  }

  /** S2: what a session is told never goes back, whatever connection brings it. */
  #judgeOrder(): void {
    const bySession = new Map<
      SessionId,
      { readonly connection: ConnectionRecord; readonly arrival: Arrival }[]
    >()
    for (const connection of this.#given.history.connections) {
      const session = sessionOf(connection)
      if (session === undefined) continue
      const arrivals = bySession.get(session) ?? []
      bySession.set(session, arrivals)
      arrivals.push(...connection.arrivals.map(arrival => ({ connection, arrival })))
    }
    for (const arrivals of bySession.values()) {
      let highest = 0n
      arrivals.sort((a, b) => a.arrival.order - b.arrival.order)
      for (const { connection, arrival } of arrivals) {
        const zxid = zxidOf(arrival)
        if (zxid === undefined) continue
        if (zxid < highest)
          this.#violate('S2', connection, `zxid ${hexText(zxid)} comes after ${hexText(highest)}`)
        else highest = zxid
      }
    }
  }

  #violate(rule: string, { client, number }: ConnectionRecord, message: string): void {
    this.#violations.push({ rule, message: `${client}, connection ${number}: ${message}` })
  }
}

function xidsOf(connections: readonly ConnectionRecord[]): ReadonlySet<number> {
  return new Set(connections.flatMap(({ ops }) => ops.map(({ xid }) => xid)))
}

/** undefined: it names none, as answers to auth and sasl packets, and events that a setWatches found. */
function zxidOf(arrival: Arrival): bigint | undefined {
  if (arrival.kind === 'event') return arrival.zxid === -1n ? undefined : arrival.zxid
  const { header, op } = arrival
  const isNameless = header.xid === Xid.Auth || op.request.kind === 'sasl'
  return isNameless ? undefined : header.zxid
}
