import {
  type Acl,
  decodeTxn,
  encodeUtf8,
  type SessionId,
  type Space,
  sessionId,
  type TxnBody,
  Writer,
} from '@corral/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { apply, aTree, digestOf, dump, events, find, payload, space } from '../../test/tree-kit.ts'
import { TreeModel } from '../../test/tree-model.ts'
import { checkTree } from './check-tree.ts'
import type { DataTree } from './data-tree.ts'
import { FiredWatches } from './fired-watches.ts'
import { WatchKind } from './watch-table.ts'

/** A few names, so that txns meet: siblings, chains, and the excluded subtree. */
const paths = [
  '/a',
  '/b',
  '/a/c',
  '/a/d',
  '/a/c/e',
  '/a/c/e/f',
  '/zookeeper/x',
  '/zookeeperx',
  '/b/é中',
] as const
const acls: readonly (readonly Acl[] | null)[] = [
  null,
  [{ perms: 31, scheme: 'world', id: 'anyone' }],
  [{ perms: 1, scheme: 'digest', id: 'u:h' }],
  [
    { perms: 3, scheme: 'ip', id: '10.0.0.1' },
    { perms: 31, scheme: 'world', id: 'anyone' },
  ],
]
const sessions: readonly SessionId[] = [sessionId(0x1000_0000_0000_0001n), sessionId(-0x1ff_ffff_ffff_fff5n)]

const path = fc.constantFrom(...paths)
const acl = fc.constantFrom(...acls)
const data = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 12 }),
  fc.integer({ min: 0, max: 3000 }).map(length => new Uint8Array(length).fill(length)),
)
const version = fc.integer({ min: -1, max: 5 })
const parentCversion = fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 12 }))

const simpleBody: fc.Arbitrary<TxnBody> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('create' as const),
      type: fc.constantFrom(1 as const, 15 as const),
      path,
      data,
      acl,
      isEphemeral: fc.boolean(),
      parentCversion,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('createContainer' as const), path, data, acl, parentCversion }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('createTtl' as const),
      path,
      data,
      acl,
      parentCversion,
      ttlMs: fc.constantFrom(1, 0xff_ffff_ffff),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('delete' as const, 'deleteContainer' as const), path }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('setData' as const), path, data, version }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('setAcl' as const), path, acl, version }) },
)

const body: fc.Arbitrary<TxnBody> = fc.oneof(
  { weight: 8, arbitrary: simpleBody },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('multi' as const),
      txns: fc.array(
        fc.oneof(
          { weight: 9, arbitrary: simpleBody },
          {
            weight: 1,
            arbitrary: fc.record({ kind: fc.constant('error' as const), err: fc.constant(-103) }),
          },
          { weight: 1, arbitrary: fc.record({ kind: fc.constant('check' as const), path, version }) },
        ),
        { maxLength: 5 },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('closeSession' as const),
      paths: fc.oneof(fc.constant(undefined), fc.array(path, { maxLength: 3 })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('error' as const), err: fc.constant(-101) }) },
)

const txn = fc.record({
  body,
  session: fc.constantFrom(...sessions),
  timeMs: fc.integer({ min: 1, max: 2 ** 42 }),
})
const kinds = fc.constantFrom(WatchKind.Data, WatchKind.Child, WatchKind.Persistent, WatchKind.Recursive)
const watching = fc.oneof(
  { weight: 4, arbitrary: fc.record({ slot: fc.nat(3), path: fc.constantFrom('/', ...paths), kind: kinds }) },
  { weight: 1, arbitrary: fc.record({ slot: fc.nat(3) }) },
)

test('the tree does what the model does, whatever the txns, applied once or again', () => {
  const steps = fc.array(fc.oneof({ weight: 3, arbitrary: txn }, { weight: 2, arbitrary: watching }), {
    maxLength: 60,
    size: 'max',
  })
  fc.assert(
    fc.property(steps, fc.nat(30), (given, repeated) => {
      const tree = aTree()
      const model = new TreeModel()
      const fired = new FiredWatches()
      let zxid = 0n
      const done: { txn: Space; from: number; to: number }[] = []
      const applyBoth = (made: { txn: Space; from: number; to: number }): void => {
        fired.clear()
        model.events = []
        const result = tree.apply(made.txn, made.from, made.to, fired)
        const expected = model.apply(decodeTxn(made.txn.bytes, made.from, made.to))
        compareResults(tree, result, expected)
        compareEvents(fired, model)
        expect(digestOf(tree)).toBe(model.digest())
      }
      for (const step of given) {
        if ('body' in step) {
          const made = payload(step.body, { ...step, zxid: ++zxid })
          done.push(made)
          applyBoth(made)
        } else if ('path' in step) {
          const watched = space(step.path)
          tree.watches.add(step.slot, watched, 0, watched.bytes.length, step.kind)
          model.watch(step.slot, step.path, step.kind)
        } else {
          tree.watches.dropConnection(step.slot)
          model.dropWatcher(step.slot)
        }
        expect(tree.watches.count).toBe(model.watchCount())
        expect(tree.watches.dataTotals()).toEqual(model.dataTotals())
      }
      for (const made of done.slice(done.length - Math.min(repeated, done.length))) applyBoth(made)

      compareTrees(tree, model)
      // Txns that no leader would log, applied again, can set zxids back.
      expect(checkTree(tree).filter(problem => !problem.includes('before it was made'))).toEqual([])
      expect((BigInt(tree.lastZxidHigh) << 32n) | BigInt(tree.lastZxidLow >>> 0)).toBe(model.lastZxid)
    }),
    { numRuns: 200 },
  )
})

test('replay over a fuzzy snapshot ends at the tree that was live', () => {
  fc.assert(
    fc.property(
      fc.array(txn, { maxLength: 60, size: 'max' }),
      fc.nat(20),
      fc.array(fc.nat(4), { maxLength: 60, size: 'max' }),
      (given, openedAt, slices) => {
        const live = aTree()
        const made = makeLeaderTxns(given)
        const before = made.slice(0, openedAt)
        const after = made.slice(openedAt)
        for (const { txn: bytes, from, to } of before) live.apply(bytes, from, to, new FiredWatches())

        const records = new Writer()
        const aclCache = new Writer()
        const walk = live.openWalk()
        let hasAcls = false
        let isDone = false
        const slice = (): void => {
          if (hasAcls) isDone = walk.nextInto(records, 1, 1)
          else hasAcls = walk.aclsInto(aclCache, 1, 1)
        }
        after.forEach(({ txn: bytes, from, to }, i) => {
          for (let s = 0; s < (slices[i] ?? 1) && !isDone; s++) slice()
          live.apply(bytes, from, to, new FiredWatches())
        })
        while (!isDone) slice()
        walk.close()

        const loaded = aTree({ seed: 7 })
        load(loaded, aclCache, records, BigInt(before.length))
        expect(checkTree(loaded)).toEqual([])
        for (const { txn: bytes, from, to } of after) loaded.apply(bytes, from, to, new FiredWatches())

        expect(dump(loaded)).toEqual(dump(live))
        expect(digestOf(loaded)).toBe(digestOf(live))
        expect(checkTree(loaded)).toEqual([])
        expect(checkTree(live)).toEqual([])
      },
    ),
    { numRuns: 200 },
  )
})

/** Only what a leader would log: each body is tried on a tree, and what that refuses becomes an error txn. */
function makeLeaderTxns(
  given: readonly { body: TxnBody; session: SessionId; timeMs: number }[],
): { txn: Space; from: number; to: number }[] {
  const leader = aTree({ seed: 3 })
  const model = new TreeModel()
  let zxid = 0n
  return given.map(({ body: asked, ...header }) => {
    zxid++
    const prepared = prepare(model, asked, header.session)
    const made = payload(prepared, { ...header, zxid })
    leader.apply(made.txn, made.from, made.to, new FiredWatches())
    model.apply(decodeTxn(made.txn.bytes, made.from, made.to))
    return made
  })
}

function prepare(model: TreeModel, asked: TxnBody, session: SessionId): TxnBody {
  const refused: TxnBody = { kind: 'error', err: -101 }
  switch (asked.kind) {
    case 'create':
    case 'createContainer':
    case 'createTtl': {
      const parent = model.znodes.get(asked.path.slice(0, asked.path.lastIndexOf('/')) || '/')
      const isParent =
        parent !== undefined && (parent.owner === 0n || !sessions.includes(parent.owner as SessionId))
      if (!isParent || model.znodes.has(asked.path)) return refused
      return { ...asked, parentCversion: parent.cversion + 1 }
    }
    case 'delete':
    case 'deleteContainer':
      return model.znodes.has(asked.path) && model.children(asked.path).length === 0 ? asked : refused
    case 'setData': {
      const znode = model.znodes.get(asked.path)
      return znode === undefined ? refused : { ...asked, version: znode.version + 1 }
    }
    case 'setAcl': {
      const znode = model.znodes.get(asked.path)
      return znode === undefined ? refused : { ...asked, version: znode.aversion + 1 }
    }
    case 'multi':
      // Sub-txns see each other's effects, which this does not foresee: one is enough here.
      return { kind: 'multi', txns: asked.txns.slice(0, 1).map(sub => prepare(model, sub, session)) }
    case 'closeSession':
      // Without the list a parent written before its child would keep an old pzxid.
      return { kind: 'closeSession', paths: ownedBy(model, session) }
    default:
      return asked
  }
}

function ownedBy(model: TreeModel, session: SessionId): string[] {
  return [...model.znodes].filter(([, znode]) => znode.owner === session).map(([at]) => at)
}

function load(tree: DataTree, aclCache: Writer, records: Writer, zxid: bigint): void {
  const loader = tree.loader()
  let at = 4
  for (let i = 0; i < aclCache.view.getInt32(0); i++) {
    const from = at + 8
    let to = from + 4
    for (let entry = 0; entry < aclCache.view.getInt32(from); entry++) {
      to += 4
      to += 4 + aclCache.view.getInt32(to)
      to += 4 + aclCache.view.getInt32(to)
    }
    expect(loader.acl(aclCache.view.getInt32(at), aclCache.view.getInt32(at + 4), aclCache, from, to)).toBe(
      undefined,
    )
    at = to
  }
  for (at = 0; at < records.at; ) {
    const pathFrom = at + 4
    const pathTo = pathFrom + records.view.getInt32(at)
    const length = records.view.getInt32(pathTo)
    const dataFrom = length < 0 ? -1 : pathTo + 4
    const aclAt = pathTo + 4 + Math.max(0, length)
    const aclHigh = records.view.getInt32(aclAt)
    const aclLow = records.view.getInt32(aclAt + 4)
    const dataTo = dataFrom + length
    const node = { pathFrom, pathTo, dataFrom, dataTo, aclHigh, aclLow, statFrom: aclAt + 8 }
    expect(loader.node(records, node)).toBe(undefined)
    at = aclAt + 68
  }
  expect(loader.finish(0, Number(zxid))).toBe(undefined)
}

function compareResults(tree: DataTree, result: number, expected: number | number[]): void {
  if (!Array.isArray(expected)) return expect(result).toBe(expected)
  expect(Array.from({ length: tree.resultCount }, (_, i) => tree.resultCode(i))).toEqual(expected)
  expect(result).toBe(expected.find(code => code !== 0) ?? 0)
}

/** In order for each connection; which connection comes first within an event is open. */
function compareEvents(fired: FiredWatches, model: TreeModel): void {
  const got = events(fired)
  for (let slot = 0; slot < 4; slot++) {
    const mine = got
      .filter(event => event.slots.includes(slot))
      .map(({ type, path: at }) => ({ type, path: at }))
    const wanted = model.events
      .filter(event => event.slot === slot)
      .map(({ type, path: at }) => ({ type, path: at }))
    expect(mine).toEqual(wanted)
  }
}

function compareTrees(tree: DataTree, model: TreeModel): void {
  const got = dump(tree)
  expect(Object.keys(got).sort()).toEqual([...model.znodes.keys()].sort())
  for (const [at, znode] of model.znodes) {
    expect(got[at]).toEqual({
      data: znode.data === null ? null : Buffer.from(znode.data).toString('latin1'),
      acl: znode.acl,
      stat: model.stat(at),
    })
    expect(find(tree, at)).not.toBe(0)
    expect(tree.descendantCount(find(tree, at))).toBe(
      [...model.znodes.keys()].filter(other => other !== at && other.startsWith(at === '/' ? '/' : `${at}/`))
        .length,
    )
  }
}

test('a txn may lie anywhere in its memory', () => {
  const tree = aTree()

  const code = apply(tree, { kind: 'setData', path: '/', data: encodeUtf8('root'), version: 1 }, { zxid: 1n })

  expect(code).toBe(0)
  expect(dump(tree)['/']?.data).toBe('root')
})
