/**
 * The main judge: replies carry the zxid the server had reached, so the order of all writes is given and nothing has
 * to be searched. The committed txns are replayed through the reference model; every txn must be what the model would
 * have made of the request that asked for it, every reply must say what the model says at its zxid, and zxids must
 * respect real time. Linear in the length of the history.
 */
import {
  ErrorCode,
  EventType,
  hexText,
  Perm,
  type ReplyBody,
  type SessionId,
  type SetWatchesRequest,
  type Txn,
  type TxnBody,
  type WatcherEvent,
} from '@corral/protocol'
import { brief, canonical } from '../canonical.ts'
import type { Committed } from '../commit-log.ts'
import {
  type ConnectionRecord,
  describe,
  type History,
  type Op,
  type Reply,
  sessionOf,
  type Violation,
} from '../history.ts'
import { noQuotas, type QuotaRule, type QuotaView, quotaRule, unlimited } from '../model/quotas.ts'
import {
  type Asker,
  digestIdentity,
  type Identity,
  isContainerOver,
  isPermitted,
  isWrite,
  prepare,
  read,
  writeReply,
} from '../model/rules.ts'
import { type Change, ModelTree } from '../model/znodes.ts'
import type { HandshakeSettings } from './handshakes.ts'

export interface WitnessInput {
  readonly history: History
  /** From zxid 1, without gaps. */
  readonly committed: readonly Committed[]
  readonly settings: WitnessSettings
}

export interface WitnessSettings extends HandshakeSettings {
  /** `user:base64 sha1` that gives super rights. */
  readonly superDigest: string | undefined
  readonly isTtlEnabled: boolean
  readonly isQuotaEnforced: boolean
  /** Requests that waited may be answered ThrottledOp. */
  readonly isThrottled: boolean
  /** Sessions of which the history knows nothing may write (hostile clients ran). */
  readonly hasStrangers: boolean
}

/** What a setWatches request found when it was carried out. */
export interface SetWatchesOutcome {
  readonly events: readonly WatcherEvent[]
  readonly data: readonly string[]
  readonly child: readonly string[]
}

export interface Replay {
  readonly violations: readonly Violation[]
  readonly tree: ModelTree
  /** Index = zxid; what each txn changed. */
  readonly changes: readonly (readonly Change[])[]
  readonly setWatches: ReadonlyMap<Op, SetWatchesOutcome>
  /**
   * Of the writes that were never answered those that are in the log, refused or not, each with the moment at which
   * somebody was told of a zxid that is not below its own.
   */
  readonly unanswered: ReadonlyMap<Op, number | undefined>
  /** How many replies were compared with the model. */
  readonly judged: number
}

export function replayHistory(input: WitnessInput): Replay {
  return new Witness(input).run()
}

/** The identities a connection has when it sends `op`: auth packets take effect in their place in the order. */
export function identitiesBefore(
  connection: ConnectionRecord,
  op: Op | undefined,
  superDigest: string | undefined,
): readonly Identity[] {
  const identities: Identity[] = [{ scheme: 'ip', id: connection.address }]
  for (const earlier of connection.ops) {
    if (earlier === op) break
    const { request } = earlier
    if (request.kind !== 'auth' || request.scheme !== 'digest' || request.auth === null) continue
    const identity = digestIdentity(request.auth)
    if (identity.id === superDigest) identities.push({ scheme: 'super', id: '' })
    identities.push(identity)
  }
  return identities
}

/** Errors with which a write may be answered without a txn. */
const unloggedErrors: ReadonlySet<number> = new Set([
  ErrorCode.MarshallingError,
  ErrorCode.Unimplemented,
  ErrorCode.SessionExpired,
  ErrorCode.ThrottledOp,
])

/** Of a quota whose usage is not known: all fits, or nothing. */
const all = Number.POSITIVE_INFINITY
const nothing = Number.NEGATIVE_INFINITY

class Witness {
  readonly #input: WitnessInput
  readonly #tree: ModelTree = new ModelTree()
  readonly #violations: Violation[] = []
  readonly #changes: (readonly Change[])[] = [[]]
  readonly #setWatches: Map<Op, SetWatchesOutcome> = new Map()
  /** Ops by session and xid; a client may use an xid again on another connection. */
  readonly #bySession: Map<SessionId, Map<number, Op[]>> = new Map()
  readonly #timeouts: Map<SessionId, number> = new Map()
  readonly #ended: Set<SessionId> = new Set()
  /** Ops that are answered at this zxid and made no txn. */
  readonly #answeredAt: Map<bigint, Op[]> = new Map()
  /** Ops in the log, with their zxids. */
  readonly #written: Map<Op, bigint> = new Map()
  /** Per op: the highest zxid that anybody had seen when it was sent. */
  readonly #seenBefore: Map<Op, bigint> = new Map()
  /** Index = zxid. */
  readonly #quotas: QuotaView[] = [noQuotas]
  #judged = 0

  constructor(input: WitnessInput) {
    this.#input = input
  }

  run(): Replay {
    this.#index()
    this.#checkRealTime()
    this.#judgeReadsAt(0n)
    for (const committed of this.#input.committed) {
      const { txn } = committed
      this.#judgeTxn(committed)
      this.#judgeReadsAt(txn.header.zxid)
    }
    this.#judgeLeftOvers()
    return {
      violations: this.#violations,
      tree: this.#tree,
      changes: this.#changes,
      setWatches: this.#setWatches,
      unanswered: this.#unanswered(),
      judged: this.#judged,
    }
  }

  #index(): void {
    for (const connection of this.#input.history.connections) {
      const session = sessionOf(connection)
      if (session === undefined) continue
      const ops = this.#bySession.get(session) ?? new Map<number, Op[]>()
      this.#bySession.set(session, ops)
      for (const op of connection.ops) {
        const same = ops.get(op.xid)
        if (same === undefined) ops.set(op.xid, [op])
        else same.push(op)
        if (op.reply === undefined) continue
        const at = this.#answeredAt.get(op.reply.header.zxid) ?? []
        at.push(op)
        this.#answeredAt.set(op.reply.header.zxid, at)
      }
    }
  }

  /**
   * P1, P4, P11: a reply's zxid is not below any that somebody had seen before the request left, and a write's is
   * above them all.
   */
  #checkRealTime(): void {
    const moments: { readonly order: number; readonly op: Op; readonly isReply: boolean }[] = []
    for (const op of this.#input.history.ops) {
      moments.push({ order: op.invokedOrder, op, isReply: false })
      if (op.reply !== undefined) moments.push({ order: op.reply.order, op, isReply: true })
    }
    moments.sort((a, b) => a.order - b.order)
    let highest = 0n
    for (const { op, isReply } of moments) {
      if (!isReply) {
        this.#seenBefore.set(op, highest)
        continue
      }
      const zxid = op.reply?.header.zxid ?? 0n
      const bound = this.#seenBefore.get(op) ?? 0n
      // Answers to auth and sasl name no zxid.
      if (op.request.kind === 'auth' || op.request.kind === 'sasl') continue
      if (zxid < bound || (zxid === bound && isWrite(op.request) && !isUnlogged(op))) {
        this.#violate('P1', `${describe(op)} is below zxid ${hexText(bound)}, seen before it was sent`)
      }
      if (zxid > highest) highest = zxid
    }
  }

  // -- txns

  #judgeTxn(committed: Committed): void {
    const { txn } = committed
    const { header, body } = txn
    const op = this.#opOf(committed)
    if (header.session !== 0n && this.#ended.has(header.session)) {
      this.#violate('S4', `${nameOf(txn)} comes after the end of its session`)
    }
    const expected = this.#expectedOf(committed, op)
    const actual = canonical(comparable(body))
    if (expected.length > 0 && !expected.some(each => canonical(each) === actual)) {
      const from = op === undefined ? 'no request' : describe(op)
      this.#violate(
        'Z1',
        `${nameOf(txn)} should be ${expected.map(brief).join(' or ')} after ${from}, and is ${brief(comparable(body))}`,
      )
    }
    const applied = this.#apply(txn)
    this.#quotas.push(this.#tree.quotas.view)
    if (txn.digest !== undefined && txn.digest.treeDigest !== this.#tree.digest) {
      this.#violate(
        'T1',
        `${nameOf(txn)} carries digest ${txn.digest.treeDigest.toString(16)}, the model has ${this.#tree.digest.toString(16)}`,
      )
    }
    if (op?.reply !== undefined) this.#judgeWriteReply(op, txn, applied.stats)
  }

  #apply(txn: Txn): ReturnType<ModelTree['apply']> {
    try {
      const applied = this.#tree.apply(txn.header, txn.body)
      this.#changes.push(applied.changes)
      return applied
    } catch (error) {
      if (!(error instanceof Error)) throw error
      this.#violate('T8', `${nameOf(txn)} cannot be applied: ${error.message}`)
      this.#changes.push([])
      return { changes: [], stats: [] }
    }
  }

  #opOf(committed: Committed): Op | undefined {
    const { header } = committed.txn
    if (header.type < 0 && header.cxid === 0) return undefined
    const candidates = this.#bySession.get(header.session)?.get(header.cxid) ?? []
    const fitting = candidates.filter(op => isWrite(op.request) && !this.#written.has(op))
    const op =
      fitting.find(candidate => candidate.reply?.header.zxid === header.zxid) ??
      fitting.find(candidate => candidate.reply === undefined && candidate.invokedAt <= committed.writtenAt)
    if (op !== undefined) this.#written.set(op, header.zxid)
    return op
  }

  /** @returns the bodies of which the txn must have one; none if the history cannot say */
  #expectedOf(committed: Committed, op: Op | undefined): readonly unknown[] {
    const { txn, writtenAt } = committed
    const { header, body } = txn
    if (body.kind === 'createSession') {
      this.#judgeNewSession(txn, body.timeoutMs)
      return []
    }
    if (body.kind === 'closeSession') {
      if (op === undefined) this.#judgeExpiry(header.session, writtenAt, nameOf(txn))
      this.#ended.add(header.session)
      return [{ kind: 'closeSession', paths: [...this.#tree.ephemeralsOf(header.session)].sort() }]
    }
    if (body.kind === 'deleteContainer') {
      const znode = this.#tree.find(body.path)
      if (znode === undefined || !isContainerOver(znode, { nowMs: header.timeMs })) {
        this.#violate('reaper', `${nameOf(txn)} removes ${body.path}, whose time has not come`)
      }
      return []
    }
    if (op === undefined) {
      const isKnown = this.#bySession.has(header.session)
      if (isKnown || !(this.#input.settings.hasStrangers || this.#isReaperRefusal(txn))) {
        this.#violate('Z1', `${nameOf(txn)} was asked for by nobody: ${brief(body)}`)
      }
      return []
    }
    const asker = this.#askerOf(op)
    const { isTtlEnabled } = this.#input.settings
    const bodyUnder = (isOverQuota: QuotaRule): unknown => {
      const verdict = prepare(this.#tree, asker, op.request, { isTtlEnabled, isOverQuota })
      return comparable(verdict.kind === 'txn' ? verdict.body : { kind: 'error', err: verdict.err })
    }
    if (!this.#input.settings.isQuotaEnforced) return [bodyUnder(unlimited)]
    return this.#quotaViews(op, header.zxid).flatMap(view => {
      const asked = new Set<number>()
      const unhindered = bodyUnder(quotaRule(view, { count: all, bytes: all }, asked))
      const rooms = [all, nothing].flatMap(count => [all, nothing, ...asked].map(bytes => ({ count, bytes })))
      return [unhindered, ...rooms.map(room => bodyUnder(quotaRule(view, room)))]
    })
  }

  /** Quotas are compared with what is applied when a request is looked at: any state since it was sent. */
  #quotaViews(op: Op, zxid: bigint): readonly QuotaView[] {
    return [...new Set(this.#quotas.slice(Number(this.#seenBefore.get(op) ?? 0n), Number(zxid)))]
  }

  #isReaperRefusal(txn: Txn): boolean {
    return txn.body.kind === 'error' && txn.header.session === 0n
  }

  #judgeNewSession(txn: Txn, timeoutMs: number): void {
    const { session } = txn.header
    const { minSessionTimeoutMs, maxSessionTimeoutMs } = this.#input.settings
    if (this.#timeouts.has(session)) this.#violate('S7', `${nameOf(txn)} uses a session id again`)
    if (timeoutMs < minSessionTimeoutMs || timeoutMs > maxSessionTimeoutMs) {
      this.#violate('session', `${nameOf(txn)} has a timeout of ${timeoutMs} ms`)
    }
    this.#timeouts.set(session, timeoutMs)
  }

  /**
   * S5: whoever was answered was heard, at the earliest when the request was sent; an expiry earlier than a timeout
   * after that is wrong.
   */
  #judgeExpiry(session: SessionId, writtenAt: number, name: string): void {
    for (const connection of this.#input.history.connections) {
      if (sessionOf(connection) !== session) continue
      const timeoutMs = connection.response?.timeoutMs ?? 0
      for (let i = connection.ops.length - 1; i >= 0; i--) {
        const op = connection.ops[i] as Op
        if (op.reply === undefined || op.request.kind === 'auth') continue
        const silentMs = (writtenAt - op.invokedAt) * this.#input.settings.clockRate
        if (silentMs < timeoutMs) {
          this.#violate(
            'S5',
            `${name} expires a session heard ${silentMs} ms ago, its timeout is ${timeoutMs} ms`,
          )
        }
        break
      }
    }
  }

  #judgeWriteReply(op: Op, txn: Txn, stats: Parameters<typeof writeReply>[2]): void {
    const reply = op.reply
    if (reply === undefined) return
    this.#judged++
    const err = txn.body.kind === 'error' ? txn.body.err : 0
    const body: ReplyBody = err === 0 ? writeReply(op.request, txn.body, stats) : { kind: 'none' }
    if (reply.header.zxid !== txn.header.zxid) {
      this.#violate('C1', `${describe(op)} was logged at zxid ${hexText(txn.header.zxid)}`)
    }
    this.#compare('C1', op, err, body)
  }

  // -- replies without a txn

  #judgeReadsAt(zxid: bigint): void {
    for (const op of this.#answeredAt.get(zxid) ?? []) {
      if (this.#written.has(op)) continue
      if (op.request.kind === 'setWatches') {
        this.#setWatches.set(op, this.#setWatchesOutcome(op.request, this.#askerOf(op)))
        continue
      }
      const verdict = read(this.#tree, this.#askerOf(op), op.request)
      if (verdict === undefined) continue
      this.#judged++
      this.#compare('C2', op, verdict.err, verdict.body)
    }
  }

  #setWatchesOutcome(request: SetWatchesRequest, asker: Asker): SetWatchesOutcome {
    const events: WatcherEvent[] = []
    // What may not be read is not told of here either, and the watch is spent.
    const event = (type: number, path: string): void => {
      const acl = this.#tree.find(path)?.acl ?? []
      if (isPermitted(acl, Perm.Read, asker.identities)) events.push({ type, state: 3, path })
    }
    const data: string[] = []
    const child: string[] = []
    for (const path of request.data) {
      const znode = this.#tree.find(path)
      if (znode === undefined) event(EventType.NodeDeleted, path)
      else if (znode.mzxid > request.relativeZxid) event(EventType.NodeDataChanged, path)
      else data.push(path)
    }
    for (const path of request.exist) {
      if (this.#tree.find(path) === undefined) data.push(path)
      else event(EventType.NodeCreated, path)
    }
    for (const path of request.child) {
      const znode = this.#tree.find(path)
      if (znode === undefined) event(EventType.NodeDeleted, path)
      else if (znode.pzxid > request.relativeZxid) event(EventType.NodeChildrenChanged, path)
      else child.push(path)
    }
    return { events, data, child }
  }

  /** Answers above the last txn, and writes that were answered without one. */
  #judgeLeftOvers(): void {
    const end = BigInt(this.#input.committed.length)
    for (const op of this.#input.history.ops) {
      if (op.reply === undefined) continue
      if (op.reply.header.err === ErrorCode.ThrottledOp) {
        if (!this.#input.settings.isThrottled)
          this.#violate('C1', `${describe(op)}, and nothing is throttled`)
      } else if (op.reply.header.zxid > end) {
        this.#violate(
          'P5',
          `${describe(op)} names a zxid that is not in the log, which ends at ${hexText(end)}`,
        )
      } else if (isWrite(op.request) && !this.#written.has(op) && !isUnlogged(op)) {
        this.#violate('C1', `${describe(op)} was answered, and no txn is its own`)
      }
    }
  }

  #unanswered(): ReadonlyMap<Op, number | undefined> {
    const replies = this.#input.history.ops.flatMap(({ reply }) => (reply === undefined ? [] : [reply]))
    replies.sort((a, b) => (a.header.zxid > b.header.zxid ? -1 : 1))
    const written = [...this.#written].filter(([op]) => op.reply === undefined)
    written.sort(([, a], [, b]) => (a > b ? -1 : 1))
    const unanswered = new Map<Op, number | undefined>()
    let toldAt: number | undefined
    let next = 0
    for (const [op, zxid] of written) {
      for (; next < replies.length && (replies[next] as Reply).header.zxid >= zxid; next++)
        toldAt = Math.min(toldAt ?? Number.POSITIVE_INFINITY, (replies[next] as Reply).order)
      unanswered.set(op, toldAt)
    }
    return unanswered
  }

  // -- comparing

  #compare(rule: string, op: Op, err: number, body: ReplyBody): void {
    const { header, body: said } = op.reply as NonNullable<Op['reply']>
    if (header.err === ErrorCode.ThrottledOp) return
    // What servers may count differently is not compared.
    const path = 'path' in op.request ? op.request.path : ''
    if (path.endsWith('/zookeeper_stats') && !this.#tree.quotas.isExact(path)) return
    if (header.err !== err) this.#violate(rule, `${describe(op)} should be answered with err ${err}`)
    else if (err === 0 && canonical(unordered(said)) !== canonical(unordered(body))) {
      this.#violate(
        rule,
        `${describe(op)} should be ${brief(unordered(body))}, and is ${brief(unordered(said))}`,
      )
    }
  }

  #askerOf(op: Op): Asker {
    const session = sessionOf(op.connection)
    return {
      session: session as SessionId,
      identities: identitiesBefore(op.connection, op, this.#input.settings.superDigest),
    }
  }

  #violate(rule: string, message: string): void {
    this.#violations.push({ rule, message })
  }
}

function isUnlogged(op: Op): boolean {
  return unloggedErrors.has(op.reply?.header.err ?? 0)
}

function nameOf(txn: Txn): string {
  return `txn ${hexText(txn.header.zxid)} (${txn.body.kind} of session ${hexText(txn.header.session)}, xid ${txn.header.cxid})`
}

/** Lists whose order is nobody's promise are sorted before they are compared. */
function unordered(body: ReplyBody): unknown {
  switch (body.kind) {
    case 'children':
      return { ...body, children: [...body.children].sort() }
    case 'ephemerals':
      return { ...body, paths: [...body.paths].sort() }
    case 'results':
      return {
        ...body,
        results: body.results.map(result =>
          result.kind === 'children' ? { ...result, children: [...result.children].sort() } : result,
        ),
      }
    default:
      return body
  }
}

/** The order of a closing session's ephemerals is free, and so is the log's choice between create and create2. */
function comparable(body: TxnBody): unknown {
  switch (body.kind) {
    case 'closeSession':
      return { kind: body.kind, paths: [...(body.paths ?? [])].sort() }
    case 'create': {
      const { type: _type, ...rest } = body
      return rest
    }
    case 'multi':
      return { kind: body.kind, txns: body.txns.map(comparable) }
    default:
      return body
  }
}
