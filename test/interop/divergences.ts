/**
 * Every allowed difference between Apache ZooKeeper 3.8.0, the oracle, and Corral, which emulates 3.9.5. The
 * differential test accepts what is listed here and nothing else; an entry that a long run never meets fails it too.
 */
import { ErrorCode, OpCode, type Request, WatcherType, Xid } from '@corral/protocol'
import type { Seen } from './decode.ts'
import type { Sent, Step } from './generator.ts'

export type WatchClass = 'standard' | 'persistent' | 'recursive'

/** One step's frames from both. */
export interface Exchange {
  readonly step: Step
  readonly sent: readonly Sent[]
  readonly oracle: Seen[]
  /** Changed by the rules until it says what the oracle says. */
  readonly subject: Seen[]
  /** Of the last reply on this connection before the exchange. */
  readonly zxidBefore: number
  readonly zxidNow: number
  watchClass(path: string): WatchClass | undefined
  /** Asks the oracle alone, on the same connection. @returns the error code */
  probe(request: Request): Promise<number>
  /** To be equal again, both must lose their watches at `path`. */
  forgetWatches(path: string): void
  /** To be equal again, both must lose the connection. */
  endConnections(): void
}

export interface Divergence {
  readonly id: string
  /** Where it is decided: a section of the protocol reference (§) or an entry of the decisions (D-). */
  readonly section: string
  readonly what: string
  /** Changes `subject` to what the oracle said, where the rule applies. @returns whether it did */
  settle(exchange: Exchange): boolean | Promise<boolean>
}

type Reply = Seen & { kind: 'reply' }

interface Pair {
  readonly request: Request
  readonly sent: Sent
  readonly oracle: Reply
  readonly subject: Reply
}

function* pairs(exchange: Exchange): Generator<Pair> {
  const oracle = exchange.oracle.filter(seen => seen.kind === 'reply')
  const subject = exchange.subject.filter(seen => seen.kind === 'reply')
  for (const [i, sent] of exchange.sent.entries()) {
    const [ours, theirs] = [subject[i], oracle[i]]
    if (ours !== undefined && theirs !== undefined) {
      yield { request: sent.request, sent, oracle: theirs, subject: ours }
    }
  }
}

/** Puts the oracle's reply in place of the subject's. */
function yieldTo(exchange: Exchange, pair: Pair): void {
  exchange.subject[exchange.subject.indexOf(pair.subject)] = structuredClone(pair.oracle)
}

/** @returns whether a zxid was there and was that of a txn after `before`, up to `now` */
export function settleNotificationZxids(
  subject: readonly Seen[],
  isSetWatches: boolean,
  before: number,
  now: number,
): boolean {
  let isMet = false
  for (const seen of subject) {
    if (seen.kind !== 'event') continue
    const isOfTxn = seen.zxid > before && seen.zxid <= now
    if (isOfTxn) {
      isMet = true
      seen.zxid = -1
    } else if (!isSetWatches) seen.zxid = Number.NaN
  }
  return isMet
}

export const divergences: readonly Divergence[] = [
  {
    id: 'notification-zxid',
    section: 'client-protocol §7.7',
    what: 'a notification carries the zxid of its txn since 3.9, and -1 before; those of setWatches still do',
    settle: exchange => {
      const isSetWatches = exchange.sent.some(({ request }) => request.kind === 'setWatches')
      return settleNotificationZxids(exchange.subject, isSetWatches, exchange.zxidBefore, exchange.zxidNow)
    },
  },
  {
    id: 'exists-needs-read',
    section: 'client-protocol §3.2',
    what: 'exists on a node that may not be read is refused since 3.8.4, and leaves no watch',
    settle: async exchange => {
      let isMet = false
      for (const pair of pairs(exchange)) {
        const { request, oracle, subject } = pair
        if (request.kind !== 'exists' || oracle.err !== 0 || subject.err !== ErrorCode.NoAuth) continue
        yieldTo(exchange, pair)
        if (request.watch) exchange.forgetWatches(request.path)
        isMet = true
      }
      return isMet
    },
  },
]
