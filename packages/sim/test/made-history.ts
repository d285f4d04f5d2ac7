/** Histories made by hand: a scribe that answers as the protocol says it must, and leaves the record to be spoilt. */
import {
  type ConnectResponse,
  encodeTxn,
  noZxid,
  type ReplyBody,
  type Request,
  type SessionId,
  sessionId,
  type TxnBody,
  txnType,
  type WatcherEvent,
  Xid,
  zxid,
} from '@corral/protocol'
import type { WitnessSettings } from '../src/checkers/witness.ts'
import type { Committed } from '../src/commit-log.ts'
import type { Arrival, ConnectionRecord, History, Op, Reply, SeenEvent } from '../src/history.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

export const settings: WitnessSettings = {
  minSessionTimeoutMs: 100,
  maxSessionTimeoutMs: 10_000,
  clockRate: 1,
  superDigest: undefined,
  isTtlEnabled: true,
  isQuotaEnforced: false,
  isThrottled: false,
  hasStrangers: false,
}

export class MadeHistory implements History {
  readonly connections: ConnectionRecord[] = []
  readonly ops: Op[] = []
  readonly committed: Committed[] = []
  #order = 0
  #xid = 0

  get now(): number {
    return this.#order
  }

  /** Time passes. */
  wait(ms: number): void {
    this.#order += ms
  }

  /** A connection whose session is made by a txn of its own. */
  connect(client: string, session: bigint, timeoutMs = 1000): ConnectionRecord {
    this.commit({ kind: 'createSession', timeoutMs }, sessionId(session), 0)
    return this.reconnect(client, session, timeoutMs)
  }

  reconnect(client: string, session: bigint, timeoutMs = 1000): ConnectionRecord {
    const response: ConnectResponse = {
      protocolVersion: 0,
      timeoutMs,
      sessionId: sessionId(session),
      password: new Uint8Array(16),
      readOnly: false,
    }
    const connection: ConnectionRecord = {
      number: this.connections.length,
      client,
      address: '10.0.0.1',
      openedAt: this.#order,
      request: {
        protocolVersion: 0,
        lastZxidSeen: noZxid,
        timeoutMs,
        sessionId: sessionId(0n),
        password: null,
        readOnly: false,
      },
      response: { ...response, at: this.#order, order: this.#order++ },
      ops: [],
      arrivals: [],
      closedAt: undefined,
    }
    this.connections.push(connection)
    return connection
  }

  /** A request leaves a client. */
  ask(connection: ConnectionRecord, request: Request): Op {
    const xid = request.kind === 'auth' ? Xid.Auth : ++this.#xid
    const op: Op = {
      kind: 'op',
      connection,
      xid,
      request,
      invokedAt: this.#order,
      invokedOrder: this.#order++,
      reply: undefined,
    }
    connection.ops.push(op)
    this.ops.push(op)
    return op
  }

  commit(body: TxnBody, session: SessionId, cxid: number, timeMs = 1_700_000_000_000): bigint {
    const id = zxid(BigInt(this.committed.length + 1))
    const txn = { header: { session, cxid, zxid: id, timeMs, type: txnType(body) }, body, digest: undefined }
    this.committed.push({ txn, payload: encodeTxn(txn), writtenAt: this.#order++ })
    return id
  }

  answer(op: Op, at: bigint, body: ReplyBody = { kind: 'none' }, err = 0): Reply {
    const header = { xid: op.xid, zxid: zxid(at), err }
    const reply: Reply = { kind: 'reply', op, header, body, at: this.#order, order: this.#order++ }
    op.reply = reply
    op.connection.arrivals.push(reply)
    return reply
  }

  event(connection: ConnectionRecord, at: bigint, type: number, path: string): void {
    const event: WatcherEvent = { type, state: 3, path }
    connection.arrivals.push({ kind: 'event', event, zxid: zxid(at), at: this.#order, order: this.#order++ })
  }

  /** Asks, commits and answers in one go. */
  write(connection: ConnectionRecord, request: Request, body: TxnBody, reply: ReplyBody, err = 0): Op {
    const op = this.ask(connection, request)
    const id = this.commit(body, connection.response?.sessionId as SessionId, op.xid)
    this.answer(op, id, reply, err)
    return op
  }

  read(connection: ConnectionRecord, request: Request, reply: ReplyBody, err = 0): Op {
    const op = this.ask(connection, request)
    this.answer(op, BigInt(this.committed.length), reply, err)
    return op
  }
}

/** Lets a test change what the record holds. */
export function spoil<T extends object>(record: T): Mutable<T> {
  return record as Mutable<T>
}

export function repliesOf(connection: ConnectionRecord): Reply[] {
  return connection.arrivals.filter((arrival: Arrival): arrival is Reply => arrival.kind === 'reply')
}

export function eventsOf(connection: ConnectionRecord): SeenEvent[] {
  return connection.arrivals.filter((arrival: Arrival): arrival is SeenEvent => arrival.kind === 'event')
}
