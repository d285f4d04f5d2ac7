import { EventType, Reader, type TxnBody, WatcherType, Writer } from '@corral/protocol'
import { expect, test } from 'vitest'
import { apply, aTree, create, events, space } from '../../test/tree-kit.ts'
import type { DataTree } from './data-tree.ts'
import { FiredWatches } from './fired-watches.ts'
import { WatchKind } from './watch-table.ts'

const { Data, Child, Persistent, Recursive } = WatchKind
const { NodeCreated, NodeDeleted, NodeDataChanged, NodeChildrenChanged } = EventType

let zxid = 0n

function change(tree: DataTree, ...bodies: TxnBody[]): string[] {
  const fired = new FiredWatches()
  for (const body of bodies) apply(tree, body, { zxid: ++zxid }, fired)
  return events(fired).map(({ type, path, slots }) => `${type} ${path} [${slots}]`)
}

function watch(tree: DataTree, slot: number, path: string, kind: number): void {
  const source = space(path)
  tree.watches.add(slot, source, 0, source.bytes.length, kind)
}

function has(tree: DataTree, slot: number, path: string, type: WatcherType): boolean {
  const source = space(path)
  return tree.watches.has(slot, source, 0, source.bytes.length, type)
}

function remove(tree: DataTree, slot: number, path: string, type: WatcherType): boolean {
  const source = space(path)
  return tree.watches.remove(slot, source, 0, source.bytes.length, type)
}

const set = (path: string): TxnBody => ({ kind: 'setData', path, data: null, version: 1 })
const del = (path: string): TxnBody => ({ kind: 'delete', path })

/** /p/w with /p/w/c and /p/w/c/d below it. */
function aWatchedTree(): DataTree {
  const tree = aTree()
  change(tree, create('/p'), create('/p/w'), create('/p/w/c'), create('/p/w/c/d'))
  return tree
}

test.each<[string, number, string[]]>([
  ['data', Data, [`${NodeDataChanged} /p/w [1]`]],
  ['child', Child, []],
  ['persistent', Persistent, [`${NodeDataChanged} /p/w [1]`]],
  ['recursive', Recursive, [`${NodeDataChanged} /p/w [1]`]],
])('a %s watch and data of its znode', (_, kind, expected) => {
  const tree = aWatchedTree()
  watch(tree, 1, '/p/w', kind)

  expect(change(tree, set('/p/w'))).toEqual(expected)
})

test.each<[string, number, string[]]>([
  ['data', Data, []],
  ['child', Child, [`${NodeChildrenChanged} /p/w [1]`]],
  ['persistent', Persistent, [`${NodeChildrenChanged} /p/w [1]`, `${NodeChildrenChanged} /p/w [1]`]],
  ['recursive', Recursive, [`${NodeCreated} /p/w/n [1]`, `${NodeDeleted} /p/w/n [1]`]],
])('a %s watch and a child that comes and goes', (_, kind, expected) => {
  const tree = aWatchedTree()
  watch(tree, 1, '/p/w', kind)

  expect(change(tree, create('/p/w/n'), del('/p/w/n'))).toEqual(expected)
})

test.each<[string, number, string[]]>([
  ['data', Data, []],
  ['child', Child, []],
  ['persistent', Persistent, []],
  ['recursive', Recursive, [`${NodeDataChanged} /p/w/c/d [1]`, `${NodeDeleted} /p/w/c/d [1]`]],
])('a %s watch and what happens further below', (_, kind, expected) => {
  const tree = aWatchedTree()
  watch(tree, 1, '/p/w', kind)

  expect(change(tree, set('/p/w/c/d'), del('/p/w/c/d'))).toEqual(expected)
})

test.each<[string, number, boolean]>([
  ['data', Data, false],
  ['child', Child, false],
  ['persistent', Persistent, true],
  ['recursive', Recursive, true],
])('a %s watch on a znode that goes and comes', (_, kind, isKept) => {
  const tree = aWatchedTree()
  change(tree, del('/p/w/c/d'), del('/p/w/c'))
  watch(tree, 1, '/p/w', kind)

  expect(change(tree, del('/p/w'))).toEqual([`${NodeDeleted} /p/w [1]`])
  expect(change(tree, create('/p/w'))).toEqual(isKept ? [`${NodeCreated} /p/w [1]`] : [])
  expect(change(tree, set('/p/w'))).toEqual(isKept ? [`${NodeDataChanged} /p/w [1]`] : [])
})

test('a watch on what does not exist fires when it is made, once', () => {
  const tree = aTree()
  watch(tree, 1, '/a', Data)

  expect(change(tree, create('/a'))).toEqual([`${NodeCreated} /a [1]`])
  expect(change(tree, set('/a'), del('/a'), create('/a'))).toEqual([])
  expect(tree.watches.count).toBe(0)
})

test('the order is the znode, then its parent', () => {
  const tree = aTree()
  watch(tree, 1, '/a', Data)
  watch(tree, 1, '/', Child)

  expect(change(tree, create('/a'))).toEqual([`${NodeCreated} /a [1]`, `${NodeChildrenChanged} / [1]`])
})

test('data and child watch on a deleted znode make one event and are both used up', () => {
  const tree = aWatchedTree()
  watch(tree, 1, '/p/w/c/d', Data)
  watch(tree, 1, '/p/w/c/d', Child)
  watch(tree, 2, '/p/w/c/d', Child)
  watch(tree, 1, '/p/w/c', Child)

  expect(change(tree, del('/p/w/c/d'))).toEqual([
    `${NodeDeleted} /p/w/c/d [1,2]`,
    `${NodeChildrenChanged} /p/w/c [1]`,
  ])
  expect(tree.watches.count).toBe(0)
})

test('several matching watches of one connection make one event in a step', () => {
  const tree = aWatchedTree()
  watch(tree, 1, '/', Recursive)
  watch(tree, 1, '/p', Recursive)
  watch(tree, 1, '/p/w', Data)
  watch(tree, 1, '/p/w', Persistent)

  expect(change(tree, set('/p/w'))).toEqual([`${NodeDataChanged} /p/w [1]`])
})

test('a one-shot watch fires for the first op of a multi only', () => {
  const tree = aTree()
  watch(tree, 1, '/m', Data)
  watch(tree, 1, '/', Child)

  expect(change(tree, { kind: 'multi', txns: [create('/m'), set('/m'), create('/n'), del('/m')] })).toEqual([
    `${NodeCreated} /m [1]`,
    `${NodeChildrenChanged} / [1]`,
  ])
})

test('setACL, failed txns and quota counters fire nothing', () => {
  const tree = aWatchedTree()
  watch(tree, 1, '/', Recursive)
  watch(tree, 1, '/p/w', Data)

  expect(
    change(
      tree,
      { kind: 'setAcl', path: '/p/w', acl: null, version: 1 },
      { kind: 'error', err: -101 },
      { kind: 'multi', txns: [set('/p/w'), { kind: 'error', err: -103 }] },
    ),
  ).toEqual([])
})

test('the end of a session fires for each of its ephemerals', () => {
  const tree = aTree()
  change(tree, create('/a', { isEphemeral: true }), create('/b', { isEphemeral: true }))
  watch(tree, 4, '/', Persistent)
  watch(tree, 4, '/b', Data)

  expect(change(tree, { kind: 'closeSession', paths: ['/a', '/b'] })).toEqual([
    `${NodeChildrenChanged} / [4]`,
    `${NodeDeleted} /b [4]`,
    `${NodeChildrenChanged} / [4]`,
  ])
})

test('registering twice changes nothing', () => {
  const tree = aWatchedTree()
  watch(tree, 1, '/p', Data)
  watch(tree, 1, '/p', Data)
  watch(tree, 1, '/absent', Data)
  watch(tree, 1, '/absent', Data)

  expect(tree.watches.count).toBe(2)
  expect(change(tree, set('/p'))).toHaveLength(1)
})

test('a persistent watch counts in both tables', () => {
  const tree = aTree()
  watch(tree, 1, '/', Persistent)
  expect(tree.watches.count).toBe(2)
  watch(tree, 1, '/', Data)
  expect(tree.watches.count).toBe(2)
  watch(tree, 1, '/', Recursive)
  expect(tree.watches.count).toBe(2)
  watch(tree, 2, '/', Child)
  expect(tree.watches.count).toBe(3)
})

test.each<[string, number, WatcherType, WatcherType[]]>([
  ['data', Data, WatcherType.Data, [WatcherType.Any]],
  ['child', Child, WatcherType.Children, [WatcherType.Any]],
  ['persistent', Persistent, WatcherType.Persistent, [WatcherType.Any]],
  ['recursive', Recursive, WatcherType.PersistentRecursive, [WatcherType.Any]],
])('a %s watch is found and removed by its own type and by any', (_, kind, own, also) => {
  const matching = [own, ...also]
  for (const path of ['/p/w', '/absent']) {
    for (const type of Object.values(WatcherType)) {
      const tree = aWatchedTree()
      watch(tree, 1, path, kind)
      expect(has(tree, 1, path, type)).toBe(matching.includes(type))
      expect(has(tree, 2, path, type)).toBe(false)
      expect(remove(tree, 2, path, type)).toBe(false)
      expect(remove(tree, 1, path, type)).toBe(matching.includes(type))
      expect(tree.watches.count > 0).toBe(!matching.includes(type))
    }
  }
})

test('removing one kind leaves the others', () => {
  const tree = aWatchedTree()
  watch(tree, 1, '/p/w', Data)
  watch(tree, 1, '/p/w', Persistent)

  expect(remove(tree, 1, '/p/w', WatcherType.Data)).toBe(true)
  expect(change(tree, set('/p/w'))).toEqual([`${NodeDataChanged} /p/w [1]`])
  expect(remove(tree, 1, '/p/w', WatcherType.Persistent)).toBe(true)
  expect(change(tree, set('/p/w'))).toEqual([])
})

test('a recursive watch is known at its own path only', () => {
  const tree = aWatchedTree()
  watch(tree, 1, '/p', Recursive)

  expect(has(tree, 1, '/p/w', WatcherType.PersistentRecursive)).toBe(false)
})

test('a closed connection leaves nothing', () => {
  const tree = aWatchedTree()
  for (const path of ['/p', '/p/w', '/absent', '/', '/absent/too']) {
    for (const kind of [Data, Child, Persistent, Recursive]) {
      watch(tree, 3, path, kind)
      watch(tree, 5, path, kind)
    }
  }
  tree.watches.dropConnection(3)
  expect(change(tree, set('/p/w'), create('/absent'))).toEqual([
    `${NodeDataChanged} /p/w [5]`,
    `${NodeCreated} /absent [5]`,
    `${NodeChildrenChanged} / [5]`,
  ])
  tree.watches.dropConnection(5)

  expect(tree.watches.count).toBe(0)
  expect(change(tree, set('/p/w'), del('/absent'))).toEqual([])
})

test('the watches of a connection can be listed', () => {
  const tree = aWatchedTree()
  watch(tree, 3, '/p', Data)
  watch(tree, 3, '/absent', Recursive)
  const found: string[] = []
  for (let record = tree.watches.firstOf(3); record !== 0; record = tree.watches.nextOf(record)) {
    const out = new Writer()
    tree.watches.pathInto(record, out)
    found.push(`${new Reader(out.bytes, 0, out.at).text()} ${tree.watches.kindsOf(record)}`)
  }

  expect(found.sort()).toEqual([`/absent ${Recursive}`, `/p ${Data}`])
  expect(tree.watches.firstOf(99)).toBe(0)
})

test('an event names the ACL of the changed znode, before its removal, or that of the parent', () => {
  const tree = aTree()
  const own = [{ perms: 1, scheme: 'ip', id: '1.2.3.4' }]
  const parents = [{ perms: 31, scheme: 'digest', id: 'a:b' }]
  change(tree, create('/p', { acl: parents }), create('/p/c', { acl: own }))
  watch(tree, 1, '/p/c', Data)
  watch(tree, 1, '/p', Child)
  const fired = new FiredWatches()

  apply(tree, { kind: 'multi', txns: [del('/p/c'), create('/x', { acl: null })] }, { zxid: ++zxid }, fired)

  expect(tree.acls.entries(fired.aclOf(0))).toEqual(own)
  expect(tree.acls.entries(fired.aclOf(1))).toEqual(parents)
})

test('a watch on the empty path is not one on the root', () => {
  const tree = aTree()
  watch(tree, 1, '', Child)
  const fired = new FiredWatches()

  apply(tree, create('/p'), { zxid: ++zxid }, fired)

  expect(fired.eventCount).toBe(0)
  expect(tree.watches.count).toBe(1)
})

test('a million watches take at most 40 bytes each', () => {
  const tree = aTree()
  const count = 1_000_000
  const znodes = 50_000
  const out = new Writer()
  for (let i = 0; i < znodes; i++) change(tree, create(`/n${i}`, { data: null, acl: null }))
  const before = tree.watches.sizeBytes
  for (let i = 0; i < znodes; i++) {
    out.at = 0
    out.string(`/n${i}`)
    for (let slot = 0; slot < count / znodes; slot++) tree.watches.add(slot, out, 4, out.at, Data)
  }

  expect(tree.watches.count).toBe(count)
  expect((tree.watches.sizeBytes - before) / count).toBeLessThan(40)
  for (let slot = 0; slot < count / znodes; slot++) tree.watches.dropConnection(slot)
  expect(tree.watches.count).toBe(0)
})

test('a million watches on paths that do not exist take at most 40 bytes each, the path aside', () => {
  const tree = aTree()
  const count = 1_000_000
  const before = tree.watches.sizeBytes
  const out = new Writer()
  for (let i = 0; i < count; i++) {
    out.at = 0
    out.string(`/n${i}`)
    tree.watches.add(i % 50, out, 4, out.at, Data)
  }

  expect(tree.watches.count).toBe(count)
  const linkBytes = 8 // next and tag of the index, in the arena
  expect((tree.watches.sizeBytes - before) / count + linkBytes).toBeLessThan(40)
})

test('a cursor outlives the watches it stands at, and its whole connection', () => {
  const tree = aWatchedTree()
  for (const path of ['/p', '/p/w', '/gone', '/p/w/c']) watch(tree, 1, path, Data)
  const cursor = tree.watches.openCursor(1) // the last one is the first of the list
  const pathAt = (): string => {
    const out = new Writer()
    tree.watches.pathInto(cursor.record, out)
    return new Reader(out.written()).string() ?? ''
  }

  remove(tree, 1, '/p/w/c', WatcherType.Data)
  expect(pathAt()).toBe('/gone')
  change(tree, create('/gone')) // fires, and is gone
  expect(pathAt()).toBe('/p/w')
  change(tree, set('/p'))
  expect(pathAt()).toBe('/p/w')
  tree.watches.dropConnection(1)
  expect(cursor.record).toBe(0)

  tree.watches.closeCursor(cursor)
  watch(tree, 1, '/p', Data)
  remove(tree, 1, '/p', WatcherType.Data)
  expect(cursor.record).toBe(0)
})
