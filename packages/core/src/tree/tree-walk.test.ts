import { type Acl, Reader, Writer } from '@corral/protocol'
import { expect, test } from 'vitest'
import { apply, aTree, create, find } from '../../test/tree-kit.ts'
import type { DataTree } from './data-tree.ts'
import type { TreeWalk } from './tree-walk.ts'

let zxid = 0n

function make(tree: DataTree, ...paths: string[]): void {
  for (const path of paths) expect(apply(tree, create(path), { zxid: ++zxid })).toBe(0)
}

function drop(tree: DataTree, ...paths: string[]): void {
  for (const path of paths) expect(apply(tree, { kind: 'delete', path }, { zxid: ++zxid })).toBe(0)
}

/** The paths of the next znodes. */
function next(walk: TreeWalk, count: number): string[] {
  const out = new Writer()
  const isDone = walk.nextInto(out, count, 1 << 20)
  const r = new Reader(out.bytes, 0, out.at)
  const paths: string[] = []
  while (r.remaining > 0) {
    paths.push(r.text())
    r.buffer()
    r.skip(68)
  }
  return isDone ? [...paths, 'end'] : paths
}

const builtIn = ['/zookeeper', '/zookeeper/config', '/zookeeper/quota']

test('every znode is written once, parents first, the root as the empty path', () => {
  const tree = aTree()
  make(tree, '/a', '/b', '/a/c', '/a/d', '/a/c/e')
  const paths = next(tree.openWalk(), 100)

  expect([...paths].sort()).toEqual(['', '/a', '/a/c', '/a/c/e', '/a/d', '/b', ...builtIn, 'end'])
  paths.slice(1, -1).forEach((path, i) => {
    expect(paths.slice(0, i + 1)).toContain(path.slice(0, path.lastIndexOf('/')))
  })
})

test('a removed znode that was next is left out, and the walk goes on behind it', () => {
  const tree = aTree()
  make(tree, '/a', '/b', '/b/c')
  const walk = tree.openWalk()
  expect(next(walk, 2)).toEqual(['', '/b'])
  drop(tree, '/b/c', '/b')

  expect(next(walk, 100)).toEqual(['/a', ...['/zookeeper', '/zookeeper/config', '/zookeeper/quota'], 'end'])
})

test('the walk climbs when the last of several levels is removed', () => {
  const tree = aTree()
  make(tree, '/a', '/b', '/b/c', '/b/c/d')
  const walk = tree.openWalk()
  expect(next(walk, 3)).toEqual(['', '/b', '/b/c'])
  drop(tree, '/b/c/d', '/b/c')

  expect(next(walk, 1)).toEqual(['/a'])
})

test('what is made again behind the cursor is not written twice', () => {
  const tree = aTree()
  make(tree, '/a', '/b')
  const walk = tree.openWalk()
  expect(next(walk, 2)).toEqual(['', '/b'])
  drop(tree, '/b')
  make(tree, '/b', '/c')

  expect(next(walk, 100)).toEqual(['/a', ...builtIn.slice(0, 1), ...builtIn.slice(1), 'end'])
})

test('what was created since the walk began is passed over, with all below it', () => {
  const tree = aTree()
  make(tree, '/a', '/b')
  const walk = tree.openWalk()
  expect(next(walk, 2)).toEqual(['', '/b'])
  make(tree, '/a/new', '/a/new/child')
  drop(tree, '/a/new/child', '/a/new')
  drop(tree, '/a')
  make(tree, '/a', '/a/again')

  expect(next(walk, 100)).toEqual([...builtIn, 'end'])
})

test('an ACL that came since the walk began is written as the open one', () => {
  const tree = aTree()
  const ip = (id: string): readonly Acl[] => [{ perms: 31, scheme: 'ip', id }]
  apply(tree, create('/gone', { acl: ip('10.0.0.1') }), { zxid: ++zxid })
  apply(tree, create('/a', { acl: ip('10.0.0.2') }), { zxid: ++zxid })
  apply(tree, create('/b', { acl: ip('10.0.0.3') }), { zxid: ++zxid })
  drop(tree, '/gone')
  make(tree, '/sweep')
  const walk = tree.openWalk()
  apply(tree, { kind: 'setAcl', path: '/a', acl: ip('10.0.0.4'), version: 1 }, { zxid: ++zxid })
  const out = new Writer()
  walk.nextInto(out, 100, 1 << 20)

  const numbers = new Map<string, bigint>()
  for (const r = new Reader(out.bytes, 0, out.at); r.remaining > 0; r.skip(60)) {
    const path = r.text()
    r.buffer()
    numbers.set(path, r.int64())
  }
  expect(numbers.get('/a')).toBe(-1n)
  expect(numbers.get('/b')).toBe(BigInt(tree.acl(find(tree, '/b'))))
  walk.close()
})

test('a removed last znode ends the walk', () => {
  const tree = aTree()
  make(tree, '/zookeeper/quota/last')
  const walk = tree.openWalk()
  expect(next(walk, 4)).toEqual(['', '/zookeeper', '/zookeeper/config', '/zookeeper/quota'])
  drop(tree, '/zookeeper/quota/last')

  expect(next(walk, 1)).toEqual(['end'])
})

test('a slice ends at the number of znodes or of bytes, and has at least one', () => {
  const tree = aTree()
  make(tree, '/a', '/b', '/c')
  const walk = tree.openWalk()
  const out = new Writer()

  expect(walk.nextInto(out, 2, 1_000_000)).toBe(false)
  const two = out.at
  walk.nextInto(out, 100, 1)
  expect(out.at).toBeGreaterThan(two)
  expect(walk.nextInto(out, 100, 1_000_000)).toBe(true)
})

test('two walks go on independently', () => {
  const tree = aTree()
  make(tree, '/a')
  const first = tree.openWalk()
  const second = tree.openWalk()
  next(first, 1)
  drop(tree, '/a')
  first.close()

  expect(next(second, 100)).toEqual(['', ...builtIn, 'end'])
})

test('no ACL number changes its meaning while a walk is open', () => {
  const tree = aTree()
  const ip = (id: string): readonly Acl[] => [{ perms: 31, scheme: 'ip', id }]
  apply(tree, create('/a', { acl: ip('10.0.0.1') }), { zxid: ++zxid })
  const before = tree.acls.count
  const walk = tree.openWalk()
  drop(tree, '/a')
  apply(tree, create('/b', { acl: ip('10.0.0.2') }), { zxid: ++zxid })
  expect(tree.acls.count).toBe(before + 1)
  walk.close()
  make(tree, '/c')

  expect(tree.acls.count).toBe(before + 1) // one forgotten, and that of /c added
})
