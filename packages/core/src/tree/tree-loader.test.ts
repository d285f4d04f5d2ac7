import { type Acl, encodeUtf8, openAcl, Writer, writeAclList } from '@corral/protocol'
import { expect, test } from 'vitest'
import { apply, aTree, create, digestOf, dump, find } from '../../test/tree-kit.ts'
import { checkTree } from './check-tree.ts'
import type { DataTree } from './data-tree.ts'
import type { TreeLoader } from './tree-loader.ts'

interface Given {
  readonly data?: string | null
  readonly acl?: bigint
  readonly owner?: bigint
  readonly zxid?: bigint
}

function node(loader: TreeLoader, path: string, given: Given = {}): string | undefined {
  const { data = '', acl = -1n, owner = 0n, zxid = 1n } = given
  const out = new Writer()
  out.string(path)
  const pathTo = out.at
  out.buffer(data === null ? null : encodeUtf8(data))
  const dataTo = out.at
  for (const value of [zxid, zxid, 5n, 6n]) out.int64(value)
  for (const value of [1, 2, 3]) out.int32(value)
  out.int64(owner)
  out.int64(zxid)
  const dataFrom = data === null ? -1 : pathTo + 4
  return loader.node(out, {
    pathFrom: 4,
    pathTo,
    dataFrom,
    dataTo,
    aclHigh: Number(acl >> 32n),
    aclLow: Number(BigInt.asIntN(32, acl)),
    statFrom: dataTo,
  })
}

function acl(loader: TreeLoader, id: bigint, list: readonly Acl[]): string | undefined {
  const out = new Writer()
  writeAclList(out, list)
  return loader.acl(Number(id >> 32n), Number(BigInt.asIntN(32, id)), out, 0, out.at)
}

/** Root and built-in znodes. */
function begin(tree: DataTree): TreeLoader {
  const loader = tree.loader()
  for (const path of ['', '/zookeeper', '/zookeeper/config', '/zookeeper/quota'])
    expect(node(loader, path)).toBe(undefined)
  return loader
}

/** @returns the first problem */
function load(loader: TreeLoader, ...paths: string[]): string | undefined {
  for (const path of paths) {
    const problem = node(loader, path)
    if (problem !== undefined) return problem
  }
  return loader.finish(0, 1)
}

const secret: readonly Acl[] = [{ perms: 31, scheme: 'digest', id: 'u:h' }]

test('znodes, ACLs, ephemerals, containers and the digest are all there after loading', () => {
  const tree = aTree()
  const loader = tree.loader()
  expect(acl(loader, 5n, secret)).toBe(undefined)
  expect(acl(loader, 6n, openAcl)).toBe(undefined)
  for (const path of ['', '/zookeeper', '/zookeeper/quota', '/zookeeper/config']) node(loader, path)
  node(loader, '/a', { data: 'x', acl: 5n })
  node(loader, '/a/n', { data: null, acl: 5n })
  node(loader, '/a/e', { owner: 0x1000_0000_0000_0001n })
  node(loader, '/c', { owner: -0x8000_0000_0000_0000n })
  expect(loader.finish(3, 9)).toBe(undefined)

  expect(checkTree(tree)).toEqual([])
  expect([tree.lastZxidHigh, tree.lastZxidLow]).toEqual([3, 9])
  expect(tree.ephemeralsOf(0x1000_0000, 1)).toEqual([find(tree, '/a/e')])
  expect(tree.ephemeralOwners()).toEqual([{ high: 0x1000_0000, low: 1 }])
  expect(tree.acls.count).toBe(1)
  expect(dump(tree)['/a']).toMatchObject({
    data: 'x',
    acl: secret,
    stat: { version: 1, cversion: 2 * 2 - 2, mtime: 6 },
  })
  expect(dump(tree)['/a/n']?.data).toBe(null)
})

test('a snapshot from before 3.5 has no /zookeeper/config: it keeps that of a fresh tree', () => {
  const tree = aTree()
  const loader = tree.loader()
  for (const path of ['', '/zookeeper', '/zookeeper/quota']) node(loader, path)

  expect(loader.finish(0, 1)).toBe(undefined)
  expect(dump(tree)['/zookeeper/config']).toMatchObject({ data: '', stat: { aversion: -1 } })
  expect(checkTree(tree)).toEqual([])
})

test.each<[string, (loader: TreeLoader) => string | undefined]>([
  ['a znode that is there twice', loader => load(loader, '/a', '/a')],
  ['a znode that is there again after others', loader => load(loader, '/a', '/a/b', '/b', '/a')],
  ['a znode that is there again, below it', loader => load(loader, '/a', '/b', '/a/b', '/a/b')],
  ['a root that is there twice', loader => node(loader, '')],
  ['a built-in znode that is there twice', loader => node(loader, '/zookeeper')],
  ['a missing parent', loader => node(loader, '/no/child')],
  ['a path without a slash', loader => node(loader, 'a')],
  ['a path without a name', loader => node(loader, '/a/')],
  ['an empty component', loader => node(loader, '//a')],
  ['a reserved owner', loader => node(loader, '/a', { owner: BigInt.asIntN(64, 0xff01n << 48n) })],
  ['an ACL number that is there twice', loader => acl(loader, 1n, secret) ?? acl(loader, 1n, secret)],
])('%s is a problem', (_, problem) => {
  expect(problem(begin(aTree()))).toEqual(expect.any(String))
})

test.each([
  ['depth first', ['/a', '/a/b', '/a/b/c', '/a/d', '/ab', '/ab/c']],
  ['breadth first', ['/a', '/ab', '/a/b', '/a/d', '/ab/c', '/a/b/c']],
  ['backwards', ['/ab', '/ab/c', '/a', '/a/d', '/a/b', '/a/b/c']],
])('znodes may come %s', (_, paths) => {
  const tree = aTree()

  expect(load(begin(tree), ...paths)).toBe(undefined)
  expect(checkTree(tree)).toEqual([])
  expect(Object.keys(dump(tree))).toEqual(expect.arrayContaining(paths))
})

test('a chain of 2,000 znodes and what follows at its top', () => {
  const tree = aTree()
  const chain = Array.from({ length: 2000 }, (_, depth) => '/a'.repeat(depth + 1))

  expect(load(begin(tree), ...chain, '/b', '/b/c')).toBe(undefined)
  expect(find(tree, '/b/c')).not.toBe(0)
  expect(tree.znodeCount).toBe(4 + 2000 + 2)
})

test.each([0, 1, 190, 100_000])('a hint of %i znodes, given between two of 2,000, changes nothing', hint => {
  const tree = aTree()
  const loader = begin(tree)
  for (let i = 0; i < 2000; i++) {
    if (i === 185) loader.expect(hint) // the index is moving into a larger one
    expect(node(loader, `/${i}`)).toBe(undefined)
  }

  expect(loader.finish(0, 1)).toBe(undefined)
  expect(checkTree(tree)).toEqual([])
})

test('a snapshot without a root is a problem', () => {
  expect(aTree().loader().finish(0, 0)).toEqual(expect.any(String))
})

test('an ACL number that the table does not know lets nobody in until it is set again', () => {
  const tree = aTree()
  const loader = begin(tree)
  node(loader, '/a', { acl: 77n })
  node(loader, '/b', { acl: 78n })
  node(loader, '/a/c', { acl: 77n })
  loader.finish(0, 1)

  expect(dump(tree)['/a']?.acl).toEqual([{ perms: 0, scheme: 'world', id: 'anyone' }])
  apply(tree, create('/a', { acl: secret, parentCversion: 0 }), { zxid: 2n })
  apply(tree, { kind: 'delete', path: '/b' }, { zxid: 3n })
  apply(tree, { kind: 'delete', path: '/a/c' }, { zxid: 4n })
  apply(tree, { kind: 'error', err: -101 }, { zxid: 5n })

  expect(dump(tree)['/a']?.acl).toEqual(secret)
  expect(checkTree(tree)).toEqual([])
})

test('quotas are registered, and their usage is counted anew', () => {
  const tree = aTree()
  const loader = begin(tree)
  node(loader, '/zookeeper/quota/q')
  node(loader, '/zookeeper/quota/q/zookeeper_limits', { data: 'count=5,bytes=-1' })
  node(loader, '/zookeeper/quota/q/zookeeper_stats', { data: 'count=77,bytes=77' })
  node(loader, '/q', { data: 'abc' })
  node(loader, '/q/a', { data: 'de' })
  loader.finish(0, 1)

  expect(dump(tree)['/zookeeper/quota/q/zookeeper_stats']?.data).toBe('count=2,bytes=5')
  apply(tree, create('/q/b'), { zxid: 2n })
  expect(dump(tree)['/zookeeper/quota/q/zookeeper_stats']?.data).toBe('count=3,bytes=6')
  expect(checkTree(tree)).toEqual([])
})

test('with TTL znodes switched off their owners are sessions', () => {
  const tree = aTree({ isTtlEnabled: false })
  const loader = begin(tree)
  const owner = BigInt.asIntN(64, (0xff00n << 48n) | 1000n)
  expect(node(loader, '/t', { owner })).toBe(undefined)
  loader.finish(0, 1)

  expect(tree.ephemeralsOf(Number(owner >> 32n), 1000)).toHaveLength(1)
  expect(checkTree(tree)).toEqual([])
})

test('a tree without digests stays at zero', () => {
  const tree = aTree({ isDigestEnabled: false })
  const loader = begin(tree)
  node(loader, '/a')
  loader.finish(0, 1)
  apply(tree, create('/b'), { zxid: 2n })

  expect(digestOf(tree)).toBe(0n)
})

test('only a fresh tree can be loaded', () => {
  const tree = aTree()
  apply(tree, create('/a'), { zxid: 1n })

  expect(() => tree.loader()).toThrow('fresh')
})

test('a file that is long, as a sparse one is, promises no more znodes than are believed', () => {
  const tree = aTree()
  const loader = begin(tree)

  loader.expect(1e13)

  expect(tree.reservedBytes).toBeLessThan(2 ** 30)
  expect(node(loader, '/a')).toBeUndefined()
})
