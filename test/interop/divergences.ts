/**
 * Every allowed difference between Apache ZooKeeper, the oracle, and Corral, which emulates 3.9.5. The differential test
 * accepts what is listed here and nothing else; an entry that a long run never meets fails it too.
 */
import {
  CreateFlags,
  type CreateRequest,
  decodeUtf8,
  ErrorCode,
  OpCode,
  opOf,
  type Request,
  WatcherType,
} from '@corral/protocol'
import type { Seen } from './decode.ts'
import { isJavaBefore } from './java-release.ts'
import type { Sent, Step } from './steps.ts'

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
  /** Whether any other connection may hold a watch at `path`. */
  isWatchedByOthers(path: string): boolean
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
  /** The release from which on there is no difference any more; absent where Corral does otherwise on purpose. */
  readonly until?: string
  /** One side may have spent a zxid that the other has not. */
  readonly mayCostZxid?: true
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

const known: readonly Divergence[] = [
  {
    id: 'notification-zxid',
    section: 'client-protocol §7.7',
    until: '3.9.0',
    what: 'a notification carries the zxid of its txn since 3.9, and -1 before; those of setWatches still do',
    settle: exchange => {
      const isSetWatches = exchange.sent.some(({ request }) => request.kind === 'setWatches')
      return settleNotificationZxids(exchange.subject, isSetWatches, exchange.zxidBefore, exchange.zxidNow)
    },
  },
  {
    id: 'exists-needs-read',
    section: 'client-protocol §3.2',
    until: '3.8.4',
    what: 'exists on a node that may not be read is refused since 3.8.4, and leaves no watch',
    settle: exchange =>
      settlePairs(exchange, pair => {
        const { request, oracle, subject } = pair
        if (request.kind !== 'exists' || oracle.err !== 0 || subject.err !== ErrorCode.NoAuth) return false
        if (request.watch) exchange.forgetWatches(request.path)
        return true
      }),
  },
  {
    id: 'replay-needs-read',
    section: 'fault-scenarios H-10 (CVE-2026-59739)',
    what: 'setWatches replays no event of a node that the connection may not read',
    settle: async exchange => {
      if (!exchange.sent.some(({ request }) => request.kind === 'setWatches')) return false
      let isMet = false
      for (const [i, event] of exchange.oracle.entries()) {
        if (event.kind !== 'event' || event.path === null) continue
        if (JSON.stringify(exchange.subject[i]) === JSON.stringify(event)) continue
        const path = Buffer.from(event.path, 'latin1').toString('utf8')
        if ((await exchange.probe({ kind: 'getData', path, watch: false })) !== ErrorCode.NoAuth) continue
        exchange.subject.splice(i, 0, structuredClone(event))
        isMet = true
      }
      return isMet
    },
  },
  {
    id: 'several-watch-modes',
    section: 'client-protocol §7.1, §7.6',
    until: '3.9.0',
    what: 'one path holds several watch modes per connection since 3.9; before, the last one registered replaces the others',
    settle: exchange =>
      exchange.step.do === 'mixWatchModes' &&
      settlePairs(exchange, ({ request, oracle, subject }) => {
        const isAboutWatches = request.kind === 'checkWatches' || request.kind === 'removeWatches'
        const known: readonly number[] = [ErrorCode.Ok, ErrorCode.NoWatcher, ErrorCode.MarshallingError]
        return isAboutWatches && oracle.err !== subject.err && known.includes(subject.err)
      }),
  },
  {
    id: 'watcher-types-4-and-5',
    section: 'client-protocol §7.6',
    until: '3.9.0',
    what: 'checkWatches and removeWatches know the types Persistent and PersistentRecursive since 3.9; before, they are malformed',
    settle: exchange =>
      settlePairs(exchange, ({ request, oracle, subject }) => {
        if (request.kind !== 'checkWatches' && request.kind !== 'removeWatches') return false
        if (request.type !== WatcherType.Persistent && request.type !== WatcherType.PersistentRecursive)
          return false
        if (oracle.err !== ErrorCode.MarshallingError) return false
        if (request.kind === 'removeWatches') exchange.forgetWatches(request.path)
        return subject.err === ErrorCode.Ok || subject.err === ErrorCode.NoWatcher
      }),
  },
  {
    id: 'watcher-types-select-modes',
    section: 'client-protocol §7.6',
    until: '3.9.0',
    what: 'the types Children and Data mean one-shot watches since 3.9; before, whatever entry the table has',
    settle: exchange =>
      settlePairs(exchange, ({ request, oracle, subject }) => {
        if (request.kind !== 'checkWatches' && request.kind !== 'removeWatches') return false
        if (request.type !== WatcherType.Children && request.type !== WatcherType.Data) return false
        const held = exchange.watchClass(request.path)
        if (held !== 'persistent' && held !== 'recursive') return false
        if (request.kind === 'removeWatches') exchange.forgetWatches(request.path)
        return oracle.err === ErrorCode.Ok && subject.err === ErrorCode.NoWatcher
      }),
  },
  {
    id: 'watches-of-others',
    section: 'client-protocol §7.6; only seen on 3.8.0 (ZOOKEEPER-4466 rewrote it)',
    until: '3.9.0',
    what: 'checkWatches tests the watches of its own connection; 3.8.0 finds those of any connection at the path, or stumbles over one that is null or relative',
    settle: exchange =>
      settlePairs(exchange, ({ request, sent, oracle, subject }) => {
        if ((sent.op ?? opOf(request)) !== OpCode.CheckWatches || subject.err !== ErrorCode.NoWatcher)
          return false
        const path =
          request.kind === 'checkWatches' && sent.mutation?.kind !== 'nullPath' ? request.path : undefined
        return path?.startsWith('/') === true
          ? exchange.isWatchedByOthers(path) && oracle.err === ErrorCode.Ok
          : oracle.err === ErrorCode.MarshallingError
      }),
  },
  {
    id: 'create2-result-in-multi',
    section: 'client-protocol §9.1',
    until: '3.9.0',
    what: 'a create that answers with a Stat has result type 15 inside a multi since 3.9, and 1 without the Stat before: 3.8.0 takes even op 19 with flags 0 for a plain create there (§9.2: a container)',
    settle: exchange => {
      let isMet = false
      for (const { request, oracle, subject } of pairs(exchange)) {
        if (request.kind !== 'multi') continue
        for (const [i, result] of (subject.body.results ?? []).entries()) {
          const theirs = oracle.body.results?.[i]
          const op = request.ops[i]
          if (result.type !== OpCode.Create2 || theirs?.type !== OpCode.Create || op === undefined) continue
          if (result.stat?.czxid !== subject.zxid || result.stat.mzxid !== subject.zxid) continue
          result.type = OpCode.Create
          delete result.stat
          isMet = true
        }
      }
      return isMet
    },
  },
  {
    id: 'unreadable-create-in-multi',
    section: 'client-protocol §9.2',
    until: '3.9.0',
    what: 'illegal flags, or a null ACL, of a create spoil the whole multi since 3.9; before, they are the result of their op, as those of a createTTL still are',
    mayCostZxid: true,
    settle: exchange =>
      settlePairs(exchange, ({ request, oracle, subject }) => {
        if (request.kind !== 'multi' || subject.err !== ErrorCode.MarshallingError) return false
        return (
          request.ops.some(op => op.kind === 'create' && !isReadableInMulti(op)) &&
          (oracle.body.results ?? []).some(({ err }) => err !== 0)
        )
      }),
  },
  {
    id: 'null-path-in-multi',
    section: 'client-protocol §9.2',
    until: '3.9.0',
    what: 'a null path spoils the whole multi like every other malformed list; Java takes a zxid that it does not log, and sends the end mark of a list with the error',
    mayCostZxid: true,
    settle: exchange =>
      settlePairs(
        exchange,
        ({ sent, oracle, subject }) =>
          sent.op === OpCode.Multi &&
          sent.mutation?.kind === 'body' &&
          oracle.body.stray === 'ffffffff01ffffffff' &&
          oracle.err === ErrorCode.MarshallingError &&
          subject.err === ErrorCode.MarshallingError &&
          subject.zxid === oracle.zxid + 1,
      ),
  },
  {
    id: 'check-outside-multi',
    section: 'client-protocol §9.3',
    until: '3.9.3',
    what: 'a check outside a multi is unimplemented since 3.9.3; before, a good one is never answered and a bad one is',
    mayCostZxid: true,
    settle: exchange =>
      settleRefusal(exchange, ({ request, op }) => request.kind === 'check' && op === undefined),
  },
  {
    id: 'internal-opcodes',
    section: 'client-protocol §14 item 25, fault-scenarios H-08',
    what: 'deleteContainer from a client is refused like any unknown opcode; Java tries it',
    mayCostZxid: true,
    settle: exchange => settleRefusal(exchange, ({ op }) => op === OpCode.DeleteContainer),
  },
  {
    id: 'ipv6-acl',
    section: 'client-protocol §8.4',
    until: '3.9.4',
    what: 'ip entries may be IPv6 since 3.9.4',
    settle: exchange =>
      settlePairs(exchange, ({ request, oracle, subject }) => {
        if (
          request.kind !== 'setAcl' ||
          !request.acl?.some(({ scheme, id }) => scheme === 'ip' && id?.includes(':'))
        )
          return false
        return (
          oracle.err === ErrorCode.InvalidAcl && subject.err !== ErrorCode.InvalidAcl && subject.err !== 0
        )
      }),
  },
  {
    id: 'text-byte-for-byte',
    section: 'client-protocol §1.3',
    what: 'text comes back as it was sent; Java writes each UTF-16 unit of it anew (CESU-8), and U+FFFD for what is malformed',
    settle: exchange => settleText(exchange.subject, exchange.oracle),
  },
  {
    id: 'wrong-password',
    section: 'decisions D-35',
    what: 'a reconnect with a wrong password does not close the connection that has the session',
    settle: exchange => {
      if (exchange.step.do !== 'connect' || exchange.step.how !== 'wrongPassword') return false
      const last = exchange.subject.at(-1)
      if (last?.kind !== 'reply' || last.err !== 0) return false
      exchange.subject.splice(-1, 1, { kind: 'closed' })
      return true
    },
  },
  {
    id: 'malformed-takes-a-zxid',
    section: 'storage-format D-12',
    what: 'a malformed write takes a zxid; Java logs it under the zxid before: a reconfig, and since 3.9 every write',
    mayCostZxid: true,
    settle: exchange => {
      let isMet = false
      for (const pair of pairs(exchange)) {
        const { request, oracle, subject } = pair
        if (isJavaBefore('3.9.0') && request.kind !== 'reconfig') continue
        if (oracle.err !== ErrorCode.MarshallingError || subject.err !== ErrorCode.MarshallingError) continue
        if (subject.zxid !== oracle.zxid + 1) continue
        const later = exchange.subject.slice(exchange.subject.indexOf(subject) + 1)
        for (const seen of later) if (seen.kind === 'reply') seen.zxid--
        yieldTo(exchange, pair)
        isMet = true
      }
      return isMet
    },
  },
]

/** Those of the oracle's release. */
export const divergences: readonly Divergence[] = known.filter(
  ({ until }) => until === undefined || isJavaBefore(until),
)

/** Puts the oracle's reply in place of the subject's for every pair that the rule allows. */
function settlePairs(exchange: Exchange, isAllowed: (pair: Pair) => boolean): boolean {
  let isMet = false
  for (const pair of [...pairs(exchange)]) {
    if (!isAllowed(pair)) continue
    yieldTo(exchange, pair)
    isMet = true
  }
  return isMet
}

/** Gives way where the subject calls one of the requests unimplemented and closes, whatever the oracle says. */
function settleRefusal(exchange: Exchange, isRefused: (sent: Sent) => boolean): boolean {
  if (!exchange.sent.some(isRefused)) return false
  const [reply, end] = exchange.subject.filter(seen => seen.kind !== 'event')
  if (reply?.kind !== 'reply' || reply.err !== ErrorCode.Unimplemented || end?.kind !== 'closed') return false
  exchange.subject.splice(0, exchange.subject.length, ...structuredClone(exchange.oracle))
  exchange.endConnections()
  return true
}

/** Walks both in step and gives way where Java's way of writing the same text is the only difference. */
function settleText(subject: unknown, oracle: unknown): boolean {
  if (typeof subject !== 'object' || subject === null || typeof oracle !== 'object' || oracle === null)
    return false
  let isMet = false
  const [ours, theirs] = [subject as Record<string, unknown>, oracle as Record<string, unknown>]
  for (const key of Object.keys(ours)) {
    const [mine, other] = [ours[key], theirs[key]]
    if (typeof mine === 'string' && typeof other === 'string') {
      if (mine === other || asJavaWrites(mine) !== other) continue
      ours[key] = other
      isMet = true
    } else if (settleText(mine, other)) isMet = true
  }
  return isMet
}

/** @param text - one char per byte, as frames are decoded here */
function asJavaWrites(text: string): string {
  const units = decodeUtf8(Buffer.from(text, 'latin1'))
  const bytes: number[] = []
  for (let i = 0; i < units.length; i++) {
    const unit = units.charCodeAt(i)
    if (unit < 0x80) bytes.push(unit)
    else if (unit < 0x800) bytes.push(0xc0 | (unit >> 6), 0x80 | (unit & 0x3f))
    else bytes.push(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f))
  }
  return Buffer.from(bytes).toString('latin1')
}

function isReadableInMulti({ flags, acl }: CreateRequest): boolean {
  return flags >= CreateFlags.Persistent && flags <= CreateFlags.Container && acl !== null
}
