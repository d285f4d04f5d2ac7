import { EventType, WatcherType, zxid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { type WatchList, WatchRegistry } from './watch-registry.ts'

const lists: readonly WatchList[] = ['data', 'exist', 'child', 'persistent', 'recursive']

/** One watcher of each kind at /w, numbered in the order of `lists`, and recursive ones above. */
function aRegistry(): WatchRegistry {
  const registry = new WatchRegistry()
  for (const [i, list] of lists.entries()) registry.add(list, '/w', i + 1)
  registry.add('recursive', '/', 6)
  return registry
}

const [data, exist, child, persistent, recursive, root] = [1, 2, 3, 4, 5, 6]

describe('an event goes to', () => {
  test.each([
    ['created', EventType.NodeCreated, '/w', [data, exist, persistent, recursive, root]],
    ['data changed', EventType.NodeDataChanged, '/w', [data, exist, persistent, recursive, root]],
    ['deleted', EventType.NodeDeleted, '/w', [data, exist, child, persistent, recursive, root]],
    ['children changed', EventType.NodeChildrenChanged, '/w', [child, persistent]],
    ['child created', EventType.NodeCreated, '/w/c', [recursive, root]],
    ['descendant deleted', EventType.NodeDeleted, '/w/c/d', [recursive, root]],
    ['children of a child changed', EventType.NodeChildrenChanged, '/w/c', []],
    ['sibling with the same beginning created', EventType.NodeCreated, '/wc', [root]],
    ['root changed', EventType.NodeDataChanged, '/', [root]],
  ])('%s', (_what, type, path, watchers) => {
    expect(aRegistry().fire(type, path)).toEqual(watchers)
  })

  test.each([
    ['created', EventType.NodeCreated, [child]],
    ['deleted', EventType.NodeDeleted, []],
    ['children changed', EventType.NodeChildrenChanged, [data, exist]],
  ])('one-shot watchers once: those left after %s', (_what, type, left) => {
    const registry = aRegistry()

    registry.fire(type, '/w')

    expect(registry.fire(EventType.NodeDeleted, '/w')).toEqual([...left, persistent, recursive, root])
  })
})

test('events far below recursive watchers cost no look-up of every ancestor: that would take minutes', () => {
  const registry = new WatchRegistry()
  for (const path of ['/', '/a', '/a/a', '/a/a/b']) registry.add('recursive', path, path.length)

  const fired = Array.from({ length: 1000 }, () => registry.fire(EventType.NodeCreated, '/a'.repeat(8000)))

  expect(fired).toEqual(fired.map(() => [4, 2, 1]))
})

describe('forgetting', () => {
  test.each([
    [
      'data',
      WatcherType.Data,
      [
        [EventType.DataWatchRemoved, [data]],
        [EventType.DataWatchRemoved, [exist]],
      ],
    ],
    ['children', WatcherType.Children, [[EventType.ChildWatchRemoved, [child]]]],
    ['persistent', WatcherType.Persistent, [[EventType.PersistentWatchRemoved, [persistent]]]],
    ['recursive', WatcherType.PersistentRecursive, [[EventType.PersistentWatchRemoved, [recursive]]]],
  ])('%s watchers leaves the others', (_what, type, events) => {
    const registry = aRegistry()

    expect(registry.forget('/w', type).map(event => [event.type, event.watchers])).toEqual(events)

    expect(registry.has('/w', type)).toBe(false)
    expect(registry.has('/w', WatcherType.Any)).toBe(true)
  })

  test('any takes all of exactly this path', () => {
    const registry = aRegistry()

    expect(registry.forget('/w', WatcherType.Any).flatMap(event => event.watchers)).toEqual([1, 2, 3, 4, 5])
    expect(registry.fire(EventType.NodeDeleted, '/w')).toEqual([root])
  })
})

describe('restoring', () => {
  test('nothing asks for nothing', () => {
    expect([...new WatchRegistry().restore(zxid(1n))]).toEqual([])
  })

  test('many paths are cut at 128 KiB, and each batch is as old as it may be', () => {
    const registry = new WatchRegistry()
    const name = 'n'.repeat(995)
    const paths = Array.from({ length: 300 }, (_, i) => `/${name}${String(i).padStart(4, '0')}`)
    for (const path of paths) registry.add('data', path, 1)
    registry.add('persistent', '/p', 2)

    const batches = [...registry.restore(zxid(5n))]

    expect(batches.map(batch => batch.data.length)).toEqual([132, 132, 36])
    expect(batches.map(batch => batch.persistent !== undefined)).toEqual([false, false, true])
    expect(batches.flatMap(batch => batch.data)).toEqual(paths)
    expect(batches.every(batch => batch.relativeZxid === 5n)).toBe(true)
  })
})
