import {
  ErrorCode,
  encodeUtf8,
  makeSpace,
  openAcl,
  Reader,
  readStat,
  sessionId,
  type TxnBody,
  Writer,
} from '@corral/protocol'
import { expect, test } from 'vitest'
import { apply, aTree, create, digestOf, dump, find, payload, space } from '../../test/tree-kit.ts'
import { checkTree } from './check-tree.ts'
import type { DataTree } from './data-tree.ts'
import { FiredWatches } from './fired-watches.ts'
import { WatchKind } from './watch-table.ts'
import { RootId, rowBytes } from './znode-rows.ts'
import { containerOwnerHigh, ttlOwnerHigh } from './znodes.ts'

const session = sessionId(0x1000_0000_0000_0007n)
let zxid = 0n

function change(tree: DataTree, ...bodies: TxnBody[]): void {
  for (const body of bodies) expect(apply(tree, body, { zxid: ++zxid, session })).toBe(0)
}

function childrenOf(tree: DataTree, id: number): string[] {
  const out = new Writer()
  tree.childrenInto(id, out)
  expect(tree.childrenBytes(id)).toBe(out.at)
  const r = new Reader(out.bytes, 0, out.at)
  return (r.vector(4, reader => reader.text()) ?? []).sort()
}

test('a fresh tree is that of Apache ZooKeeper', () => {
  const tree = aTree()
  const stats = dump(tree)

  expect(Object.keys(stats).sort()).toEqual(['/', '/zookeeper', '/zookeeper/config', '/zookeeper/quota'])
  expect(stats['/']?.stat).toMatchObject({ cversion: -1, numChildren: 1, czxid: 0n, ctime: 0 })
  expect(stats['/zookeeper']?.stat).toMatchObject({ cversion: -2, numChildren: 2 })
  expect(stats['/zookeeper/config']).toMatchObject({
    data: '',
    acl: [{ perms: 1, scheme: 'world', id: 'anyone' }],
    stat: { aversion: -1 },
  })
  expect(digestOf(tree)).toBe(0x51c6d660n)
  expect(tree.approximateDataBytes).toBe(44)
})

test('the empty path and / are the root, and illegal paths are absent', () => {
  const tree = aTree()
  change(tree, create('/a'), create('/a/b'))

  expect([find(tree, ''), find(tree, '/')]).toEqual([RootId, RootId])
  expect(
    ['a', '/a/', '//', '//a', '/a//b', '/a/b/', 'a/b', '/A', '/a/./b'].map(path => find(tree, path)),
  ).toEqual(Array.from({ length: 9 }, () => 0))
})

test('pathInto writes the path, also that of the root', () => {
  const tree = aTree()
  change(tree, create('/é'), create('/é/中'))
  const out = new Writer()
  for (const path of ['/', '/é/中']) tree.pathInto(find(tree, path), out)
  const r = new Reader(out.bytes, 0, out.at)

  expect([r.text(), r.text()]).toEqual(['/', '/é/中'])
  expect(tree.pathOf(find(tree, '/é')).bytes).toEqual(encodeUtf8('/é'))
  expect(tree.pathOf(RootId).bytes).toEqual(encodeUtf8('/'))
})

test('null and empty data are two things', () => {
  const tree = aTree()
  change(tree, create('/n', { data: null }), create('/e', { data: new Uint8Array(0) }))
  expect([dump(tree)['/n']?.data, dump(tree)['/e']?.data]).toEqual([null, ''])
  change(tree, { kind: 'setData', path: '/n', data: new Uint8Array(0), version: 1 })
  change(tree, { kind: 'setData', path: '/e', data: null, version: 1 })

  expect([dump(tree)['/n']?.data, dump(tree)['/e']?.data]).toEqual(['', null])
})

test('data grows and shrinks through all sizes of block', () => {
  const tree = aTree()
  change(tree, create('/a', { data: null }))
  for (const length of [1, 100, 3, 5000, 4999, 100_000, 32_768, 40_000, 0, 17]) {
    const data = new Uint8Array(length).map((_, i) => i * 7)
    change(tree, { kind: 'setData', path: '/a', data, version: 1 })

    expect(Buffer.from(dump(tree)['/a']?.data as string, 'latin1')).toEqual(Buffer.from(data))
    expect(checkTree(tree)).toEqual([])
  }
})

test('clients see creations and deletions in cversion, and no markers in ephemeralOwner', () => {
  const tree = aTree()
  change(tree, create('/p'), create('/p/a'), create('/p/b'), { kind: 'delete', path: '/p/a' })
  change(tree, { kind: 'createContainer', path: '/c', data: null, acl: null, parentCversion: 9 })
  change(tree, { kind: 'createTtl', path: '/t', data: null, acl: null, parentCversion: 10, ttlMs: 5 })
  change(tree, create('/e', { isEphemeral: true }))

  expect(dump(tree)['/p']?.stat).toMatchObject({ cversion: 3, numChildren: 1 })
  expect(tree.storedCversion(find(tree, '/p'))).toBe(2)
  const owners = ['/c', '/t', '/e'].map(path => dump(tree)[path]?.stat.ephemeralOwner)
  expect(owners).toEqual([0n, 0n, session])
  const stored = ['/p', '/c', '/t'].map(path => tree.ownerHigh(find(tree, path)))
  expect(stored).toEqual([0, containerOwnerHigh, ttlOwnerHigh])
})

test('the counter of a full parent stays where it is', () => {
  const tree = aTree()
  change(tree, create('/p'), create('/p/a', { parentCversion: 0x7fff_ffff }))
  const pzxid = dump(tree)['/p']?.stat.pzxid
  change(tree, create('/p/b', { parentCversion: -0x8000_0000 }), create('/p/c', { parentCversion: -1 }))

  expect(tree.storedCversion(find(tree, '/p'))).toBe(0x7fff_ffff)
  expect(dump(tree)['/p']?.stat).toMatchObject({ pzxid, cversion: -5 })
})

test('a delete of what has children or must stay is reported and changes nothing', () => {
  const tree = aTree()
  change(tree, create('/a'), create('/a/b'))
  const before = dump(tree)

  for (const path of ['/a', '/zookeeper', '/zookeeper/quota', '/zookeeper/config']) {
    expect(apply(tree, { kind: 'delete', path }, { zxid })).toBe(ErrorCode.DataInconsistency)
  }
  expect(apply(tree, { kind: 'delete', path: '/' }, { zxid })).toBe(ErrorCode.NoNode)
  expect(dump(tree)).toEqual(before)
})

test.each(['/', '', 'a', '/a/', '/no/parent', '//x'])(
  'a create of %j changes nothing and does not throw',
  path => {
    const tree = aTree()
    change(tree, create('/a'))
    const before = dump(tree)

    expect(apply(tree, create(path), { zxid: ++zxid })).toBeLessThan(0)
    expect(dump(tree)).toEqual(before)
  },
)

test('the last zxid moves with every txn, and never back', () => {
  const tree = aTree()
  apply(tree, { kind: 'error', err: -101 }, { zxid: 0x5_ffff_fff0n })
  expect([tree.lastZxidHigh, tree.lastZxidLow >>> 0]).toEqual([5, 0xffff_fff0])
  apply(tree, create('/a'), { zxid: 7n })

  expect([tree.lastZxidHigh, tree.lastZxidLow >>> 0]).toEqual([5, 0xffff_fff0])
})

test('a multi answers with the Stat as it was right after each op', () => {
  const tree = aTree()
  const set = { kind: 'setData', path: '/m', data: null } as const
  const { txn, from, to } = payload(
    {
      kind: 'multi',
      txns: [
        create('/m'),
        { ...set, version: 1 },
        create('/m/c', { type: 15 }),
        { kind: 'check', path: '/m', version: 2 },
        { kind: 'createTtl', path: '/t', data: null, acl: openAcl, parentCversion: 2, ttlMs: 9 },
        { ...set, version: 2 },
        { kind: 'delete', path: '/m/c' },
      ],
    },
    { zxid: 5n },
  )
  expect(tree.apply(txn, from, to, new FiredWatches())).toBe(0)

  expect(Array.from({ length: tree.resultCount }, (_, i) => tree.resultType(i))).toEqual([
    1, 5, 15, 13, 15, 5, 2,
  ])
  const stats = [1, 2, 4, 5].map(i => {
    const out = new Writer()
    tree.resultStatInto(i, out)
    return readStat(new Reader(out.bytes, 0, out.at))
  })
  expect(stats).toMatchObject([
    { version: 1, numChildren: 0 },
    { version: 0, dataLength: 1, czxid: 5n },
    { version: 0, ephemeralOwner: 0n },
    { version: 2, numChildren: 1, cversion: 1 },
  ])
  const path = Buffer.from(txn.bytes.subarray(tree.resultPathFrom(2), tree.resultPathTo(2))).toString()
  expect(path).toBe('/m/c')
})

test('a failed multi reports each op and changes nothing', () => {
  const tree = aTree()
  const before = dump(tree)
  const txns: TxnBody[] = [
    create('/m'),
    { kind: 'error', err: -103 },
    { kind: 'error', err: -2 },
    create('/n'),
  ]

  expect(apply(tree, { kind: 'multi', txns }, { zxid: ++zxid })).toBe(-103)
  expect([0, 1, 2, 3].map(i => [tree.resultType(i), tree.resultCode(i)])).toEqual([
    [-1, 0],
    [-1, -103],
    [-1, -2],
    [-1, -2],
  ])
  expect(dump(tree)).toEqual(before)
})

test('lastPathId is the znode of a plain change', () => {
  const tree = aTree()
  change(tree, create('/a'))
  expect(tree.lastPathId).toBe(find(tree, '/a'))
  change(tree, { kind: 'delete', path: '/a' })
  expect(tree.lastPathId).toBe(0)
  change(tree, { kind: 'setAcl', path: '/', acl: openAcl, version: 1 })
  expect(tree.lastPathId).toBe(RootId)
})

test('the end of a session takes the listed znodes and all others it owns', () => {
  const tree = aTree()
  const other = sessionId(9n)
  change(tree, create('/a', { isEphemeral: true }), create('/b', { isEphemeral: true }), create('/keep'))
  apply(tree, create('/other', { isEphemeral: true }), { zxid: ++zxid, session: other })
  expect(tree.ephemeralsOf(0x1000_0000, 7)).toEqual([find(tree, '/a'), find(tree, '/b')])
  expect(tree.ephemeralCount).toBe(3)
  change(tree, { kind: 'closeSession', paths: ['/b', '/gone'] })

  expect(Object.keys(dump(tree)).sort().slice(1, 3)).toEqual(['/keep', '/other'])
  expect(tree.ephemeralOwners()).toEqual([{ high: 0, low: 9 }])
  expect(checkTree(tree)).toEqual([])
})

test('the digest of a txn is compared with that of the tree', () => {
  const tree = aTree()
  change(tree, create('/a'))
  const right = payload(create('/b'), { zxid: ++zxid, digest: digestAfter(create('/b')) })
  tree.apply(right.txn, right.from, right.to, new FiredWatches())
  expect(tree.isDigestRight()).toBe(true)
  right.txn.bytes[right.to - 1] = (right.txn.bytes[right.to - 1] as number) ^ 1
  expect(tree.isDigestRight()).toBe(false)
  const without = payload(create('/c'), { zxid: ++zxid })
  tree.apply(without.txn, without.from, without.to, new FiredWatches())
  expect(tree.isDigestRight()).toBe(true)

  function digestAfter(body: TxnBody): bigint {
    const twin = aTree({ seed: 9 })
    apply(twin, create('/a'), { zxid: zxid - 1n })
    apply(twin, body, { zxid })
    return digestOf(twin)
  }
})

test('containers and TTL znodes may go when their time has come', () => {
  const tree = aTree()
  const at = (body: TxnBody, timeMs: number): number => apply(tree, body, { zxid: ++zxid, timeMs })
  const container = (path: string): TxnBody => {
    return { kind: 'createContainer', path, data: null, acl: null, parentCversion: -1 }
  }
  at(container('/used'), 0)
  at(create('/used/c'), 0)
  at(container('/fresh'), 0)
  at(
    { kind: 'createTtl', path: '/ttl', data: null, acl: null, parentCversion: -1, ttlMs: 0x1_0000_0005 },
    1000,
  )
  const due = (nowMs: number, neverUsedMs: number): string[] => {
    const ids = tree.reapCandidates(nowMs, neverUsedMs, 10)
    return ids.map(id => Buffer.from(tree.pathOf(id).bytes).toString()).sort()
  }

  expect(due(10, 0)).toEqual([])
  at({ kind: 'delete', path: '/used/c' }, 10)
  expect(due(10, 0)).toEqual(['/used'])
  expect(due(101, 100)).toEqual(['/fresh', '/used'])
  expect(due(0x1_0000_0005 + 1000, 0)).toEqual(['/used'])
  expect(due(0x1_0000_0005 + 1001, 0)).toEqual(['/ttl', '/used'])
  at({ kind: 'setData', path: '/ttl', data: null, version: 1 }, 2000)
  expect(due(0x1_0000_0005 + 1001, 0)).toEqual(['/used'])
  at({ kind: 'deleteContainer', path: '/used' }, 3000)
  expect(due(3000, 0)).toEqual([])
})

test('a limited search for candidates goes on where the last one ended', () => {
  const tree = aTree()
  for (let i = 0; i < 5; i++) {
    apply(
      tree,
      { kind: 'createTtl', path: `/t${i}`, data: null, acl: null, parentCversion: -1, ttlMs: 1 },
      { zxid: ++zxid, timeMs: 0 },
    )
  }
  const found = [
    ...tree.reapCandidates(9, 0, 2),
    ...tree.reapCandidates(9, 0, 2),
    ...tree.reapCandidates(9, 0, 1),
  ]

  expect(new Set(found).size).toBe(5)
})

test('lists of children follow every change, cached or not', () => {
  const tree = aTree()
  change(tree, create('/p'))
  const names: string[] = []
  for (let i = 0; i < 100; i++) {
    change(tree, create(`/p/c${i}`))
    names.push(`c${i}`)
    expect(childrenOf(tree, find(tree, '/p'))).toEqual([...names].sort())
  }
  for (let i = 0; i < 100; i += 3) {
    change(tree, { kind: 'delete', path: `/p/c${i}` })
    names.splice(names.indexOf(`c${i}`), 1)
    expect(childrenOf(tree, find(tree, '/p'))).toEqual([...names].sort())
  }
})

test('cached lists are let go of by the dozen, the oldest first', () => {
  const tree = aTree()
  const { childLists } = tree.parts()
  const name = 'n'.repeat(25_000)
  const listBytes = 4 + 32 * (4 + name.length + 2)
  const parents = Array.from({ length: 100 }, (_, i) => `/p${i}`)
  for (const parent of parents) {
    change(tree, create(parent))
    for (let child = 10; child < 42; child++) change(tree, create(`${parent}/${name}${child}`))
  }
  const counts = parents.map(parent => {
    tree.childrenInto(find(tree, parent), new Writer(makeSpace(listBytes)))
    return childLists.sizeBytes / listBytes
  })

  const most = Math.floor((64 * 1024 * 1024) / listBytes)
  const kept = Math.floor((56 * 1024 * 1024) / listBytes)
  const expected = parents.map((_, i) => (i < most ? i + 1 : kept + ((i - most) % (most - kept + 1))))
  expect(counts).toEqual(expected)
})

test('rows and blocks of deleted znodes are used again', () => {
  const tree = aTree()
  const fill = (): void => {
    for (let i = 0; i < 2000; i++) change(tree, create(`/n${i}`, { data: new Uint8Array(i % 300) }))
    for (let i = 0; i < 2000; i++) change(tree, { kind: 'delete', path: `/n${i}` })
  }
  fill()
  const reserved = tree.reservedBytes
  for (let round = 0; round < 5; round++) fill()

  expect(tree.reservedBytes).toBe(reserved)
  expect(tree.znodeCount).toBe(4)
  expect(checkTree(tree)).toEqual([])
})

test('a million znodes of 100 bytes under one parent', { timeout: 120_000 }, () => {
  const tree = aTree()
  const count = 1_000_000
  const { znodes, childLists } = tree.parts()
  change(tree, create('/p'))
  const parent = find(tree, '/p')
  const source = makeSpace(110)
  source.bytes.set(encodeUtf8('/p/n0000000'))
  const ranges = { pathFrom: 0, pathTo: 10, dataFrom: 10, dataTo: 110 }
  for (let i = 0; i < count; i++) {
    for (let at = 9, rest = i; at > 3; at--, rest = Math.floor(rest / 10)) source.bytes[at] = 48 + (rest % 10)
    znodes.insert(parent, znodes.hashOf(source, 0, 10), source, ranges, 3)
  }

  expect(tree.childCount(parent)).toBe(count)
  expect(tree.descendantCount(RootId)).toBe(count + 4)
  expect(find(tree, '/p/n999999')).not.toBe(0)
  const usedBytes = count * rowBytes + znodes.indexBytes + znodes.arena.usedBytes
  expect(usedBytes / count).toBeLessThan(240)
  const out = new Writer()
  tree.childrenInto(parent, out)
  expect(out.at).toBe(4 + count * 11)
  expect(tree.childrenBytes(parent)).toBe(out.at)
  expect(childLists.sizeBytes).toBe(out.at)
})

test('a chain of 500,000 znodes is walked, counted, named, watched and taken down', () => {
  const tree = aTree()
  const depth = 500_000
  const { znodes, watches } = tree.parts()
  // Full paths of such a chain add up to 250 GB, so it is built link by link; the hashes need not be of paths.
  const name = space('/d')
  const ranges = { pathFrom: 0, pathTo: 2, dataFrom: -1, dataTo: -1 }
  const ids = [RootId]
  for (let i = 1; i <= depth; i++) ids.push(znodes.insert(ids[i - 1] as number, i, name, ranges, 1))
  const deepest = ids[depth] as number

  expect(tree.descendantCount(RootId)).toBe(depth + 3)
  expect(tree.descendantCount(ids[10] as number)).toBe(depth - 10)
  const out = new Writer()
  tree.pathInto(deepest, out)
  expect(out.at).toBe(4 + 2 * depth)
  expect(znodes.pathLength(deepest)).toBe(2 * depth)

  const fired = new FiredWatches()
  const root = space('/')
  watches.add(3, root, 0, 1, WatchKind.Recursive)
  watches.dataChanged(deepest, out, 4, out.at, fired)
  expect([...fired.slots.subarray(fired.slotsFrom(0), fired.slotsTo(0))]).toEqual([3])

  const walk = tree.openWalk()
  for (const walked of tree.parts().walks) walked.leave(RootId)
  for (let i = depth; i > 0; i--) znodes.remove(ids[i] as number, i, 2)
  walk.close()
  expect(tree.descendantCount(RootId)).toBe(3)
})

test('a path of a whole frame is found, changed and deleted', () => {
  const tree = aTree()
  let path = ''
  for (let i = 0; i < 40; i++) {
    path += `/${'x'.repeat(25_000)}`
    change(tree, create(path))
  }
  change(tree, { kind: 'setData', path, data: encodeUtf8('deep'), version: 1 })

  expect(dump(tree)[path]?.data).toBe('deep')
  expect(checkTree(tree)).toEqual([])
  change(tree, { kind: 'delete', path })
  expect(find(tree, path)).toBe(0)
})
