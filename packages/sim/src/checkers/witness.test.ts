import {
  ErrorCode,
  encodeUtf8,
  OpCode,
  openAcl,
  type Request,
  type Stat,
  sessionId,
  zxid,
} from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { MadeHistory, repliesOf, settings, spoil } from '../../test/made-history.ts'
import type { ConnectionRecord, Violation } from '../history.ts'
import { replayHistory } from './witness.ts'

const madeAt = 1_700_000_000_000

function aStat(czxid: bigint, change: Partial<Stat> = {}): Stat {
  return {
    czxid: zxid(czxid),
    mzxid: zxid(czxid),
    ctime: madeAt,
    mtime: madeAt,
    version: 0,
    cversion: 0,
    aversion: 0,
    ephemeralOwner: sessionId(0n),
    dataLength: 1,
    numChildren: 0,
    pzxid: zxid(czxid),
    ...change,
  }
}

const createA: Request & { readonly kind: 'create' } = {
  kind: 'create',
  op: OpCode.Create,
  path: '/a',
  data: encodeUtf8('1'),
  acl: openAcl,
  flags: 0,
}
const getA: Request = { kind: 'getData', path: '/a', watch: false }
const setA = (version: number): Request => ({ kind: 'setData', path: '/a', data: encodeUtf8('2'), version })

interface Good {
  readonly history: MadeHistory
  readonly ann: ConnectionRecord
  readonly bob: ConnectionRecord
}

/** Two clients, one znode: create, set, a refused set, reads, an ephemeral, the end of a session. */
function aGoodHistory(): Good {
  const history = new MadeHistory()
  const ann = history.connect('ann', 100n) // zxid 1
  const bob = history.connect('bob', 200n) // zxid 2
  const common = { path: '/a', data: encodeUtf8('1'), acl: openAcl }
  history.write(
    ann,
    createA,
    { kind: 'create', type: OpCode.Create, ...common, isEphemeral: false, parentCversion: 1 },
    { kind: 'path', path: '/a' },
  ) // 3
  history.read(bob, getA, { kind: 'data', data: encodeUtf8('1'), stat: aStat(3n) })
  const changed = aStat(3n, { mzxid: zxid(4n), version: 1 })
  history.write(
    bob,
    setA(0),
    { kind: 'setData', path: '/a', data: encodeUtf8('2'), version: 1 },
    { kind: 'stat', stat: changed },
  ) // 4
  history.write(
    ann,
    setA(0),
    { kind: 'error', err: ErrorCode.BadVersion },
    { kind: 'none' },
    ErrorCode.BadVersion,
  ) // 5
  history.read(ann, getA, { kind: 'data', data: encodeUtf8('2'), stat: changed })
  history.write(
    ann,
    { ...createA, op: OpCode.Create2, path: '/e', flags: 1 },
    {
      kind: 'create',
      type: OpCode.Create2,
      ...common,
      path: '/e',
      isEphemeral: true,
      parentCversion: 2,
    },
    { kind: 'pathStat', path: '/e', stat: aStat(6n, { ephemeralOwner: sessionId(100n) }) },
  ) // 6
  history.write(ann, { kind: 'closeSession' }, { kind: 'closeSession', paths: ['/e'] }, { kind: 'none' }) // 7
  history.read(bob, { kind: 'exists', path: '/e', watch: false }, { kind: 'none' }, ErrorCode.NoNode)
  return { history, ann, bob }
}

function judge(history: MadeHistory): readonly Violation[] {
  return replayHistory({ history, committed: history.committed, settings }).violations
}

test('a good history is accepted, and every reply of it was looked at', () => {
  const { history } = aGoodHistory()

  const replay = replayHistory({ history, committed: history.committed, settings })

  expect(replay.violations).toEqual([])
  expect(replay.judged).toBe(history.ops.length)
  expect(replay.tree.find('/a')?.version).toBe(1)
})

test('a request without an answer may have taken effect, or not', () => {
  const lost = aGoodHistory()
  const never = aGoodHistory()
  // The reply to the second write is lost; everything after it on that connection as well.
  const op = lost.bob.ops[1]
  if (op !== undefined) op.reply = undefined
  lost.bob.arrivals.splice(1)
  never.history.ask(never.bob, setA(-1))

  expect(judge(lost.history)).toEqual([])
  expect(judge(never.history)).toEqual([])
})

describe('a spoilt history is rejected', () => {
  /** By the rule that is broken. */
  const spoilers: Readonly<Record<string, (good: Good) => void>> = {
    'P1: a reply with a lower zxid': ({ bob }) => {
      const reply = repliesOf(bob)[2]
      if (reply !== undefined) spoil(reply).header = { ...reply.header, zxid: zxid(3n) }
    },
    'P1: a write that names the zxid of another': ({ bob }) => {
      const reply = repliesOf(bob)[1]
      if (reply !== undefined) spoil(reply).header = { ...reply.header, zxid: zxid(5n) }
    },
    'C2: a value that nobody wrote': ({ bob }) => {
      const reply = repliesOf(bob)[0]
      if (reply !== undefined) spoil(reply).body = { kind: 'data', data: encodeUtf8('9'), stat: aStat(3n) }
    },
    'C2: a stat with a wrong version': ({ ann }) => {
      const reply = repliesOf(ann)[2]
      if (reply?.body.kind === 'data') spoil(reply.body).stat = { ...reply.body.stat, version: 7 }
    },
    'C2: two replies that changed places': ({ bob }) => {
      const [first, second] = repliesOf(bob)
      if (first === undefined || second === undefined) return
      const body = first.body
      spoil(first).body = second.body
      spoil(second).body = body
    },
    'C1: a refusal answered as a success': ({ ann }) => {
      const reply = repliesOf(ann)[1]
      if (reply !== undefined) spoil(reply).header = { ...reply.header, err: 0 }
    },
    'C1: another refusal than the right one': ({ ann }) => {
      const reply = repliesOf(ann)[1]
      if (reply !== undefined) spoil(reply).header = { ...reply.header, err: ErrorCode.NoNode }
    },
    'P5: a success that is not in the log': ({ history }) => {
      history.committed.splice(3)
    },
    'Z1: a txn that nobody asked for': ({ history }) => {
      history.commit({ kind: 'delete', path: '/a' }, sessionId(200n), 999)
    },
    'Z1: one request, two txns': ({ history, bob }) => {
      const op = bob.ops[1]
      history.commit(
        { kind: 'setData', path: '/a', data: encodeUtf8('2'), version: 2 },
        sessionId(200n),
        op?.xid ?? 0,
      )
    },
    'Z1: a txn with another effect than was asked for': ({ history }) => {
      const committed = history.committed[3]
      if (committed?.txn.body.kind === 'setData') spoil(committed.txn.body).version = 5
    },
    'Z1: an ephemeral that outlives its session': ({ history }) => {
      const body = history.committed[6]?.txn.body
      if (body?.kind === 'closeSession') spoil(body).paths = []
    },
    'S4: a txn after the end of its session': ({ history, ann }) => {
      const op = history.ask(ann, setA(-1))
      history.commit(
        { kind: 'setData', path: '/a', data: encodeUtf8('2'), version: 2 },
        sessionId(100n),
        op.xid,
      )
    },
    'S7: a session id used twice': ({ history }) => {
      history.commit({ kind: 'createSession', timeoutMs: 1000 }, sessionId(200n), 0)
    },
    'S5: an expiry while the session was heard': ({ history }) => {
      history.commit({ kind: 'closeSession', paths: [] }, sessionId(200n), 0)
    },
    'session: a timeout beyond the bounds': ({ history }) => {
      history.commit({ kind: 'createSession', timeoutMs: 50_000 }, sessionId(300n), 0)
    },
    'T8: a txn that cannot be applied': ({ history }) => {
      history.commit({ kind: 'deleteContainer', path: '/missing' }, sessionId(0n), 0)
    },
    'T1: a digest that is not the tree': ({ history }) => {
      const txn = history.committed[5]?.txn
      if (txn !== undefined) spoil(txn).digest = { version: 2, treeDigest: 1n }
    },
    'P1: a read that is older than what somebody had seen': ({ history, bob }) => {
      const op = history.ask(bob, getA)
      history.answer(op, 3n, { kind: 'data', data: encodeUtf8('1'), stat: aStat(3n) })
    },
  }

  test.each(Object.keys(spoilers))('%s', name => {
    const good = aGoodHistory()
    spoilers[name]?.(good)

    expect(judge(good.history).map(({ rule }) => rule)).toContain(name.slice(0, name.indexOf(':')))
  })
})

test('an expiry after the timeout is right', () => {
  const { history } = aGoodHistory()

  history.wait(1001)
  history.commit({ kind: 'closeSession', paths: [] }, sessionId(200n), 0)

  expect(judge(history)).toEqual([])
})
