import { expect, test } from 'vitest'
import { aTree, space } from '../../test/tree-kit.ts'
import { Pending, type PendingZnode } from './pending.ts'

test('a record keeps no room for a long path that it had', () => {
  const pending = new Pending(aTree())
  const path = space(`/${'x'.repeat(100_000)}`)
  pending.beginWrite(1)
  const znode = pending.get(path, 0, path.bytes.length)
  pending.touch(znode)
  pending.create(znode, path, 0, path.bytes.length)
  expect(znode.path.bytes.length).toBeGreaterThan(100_000)

  pending.applied(1)

  expect(znode.path.bytes.length).toBe(0)
})

test('only ephemerals that outstanding writes make are looked at where a session ends', () => {
  const pending = new Pending(aTree())
  const make = (write: number, name: string): PendingZnode => {
    const path = space(name)
    pending.beginWrite(write)
    const znode = pending.get(path, 0, path.bytes.length)
    pending.touch(znode)
    pending.create(znode, path, 0, path.bytes.length)
    return znode
  }
  const seen = (): readonly PendingZnode[] => {
    const found: PendingZnode[] = []
    pending.forEachNewEphemeral(znode => found.push(znode))
    return found
  }
  for (let write = 1; write <= 100; write++) make(write, `/p${write}`)
  const first = make(101, '/first')
  pending.noteEphemeral(first)
  const second = make(102, '/second')
  pending.noteEphemeral(second)
  pending.beginMulti()
  pending.noteEphemeral(make(103, '/third'))
  pending.rollBackMulti()

  expect(seen()).toEqual([first, second])
  second.exists = false
  expect(seen()).toEqual([first])
  second.exists = true
  pending.applied(101)
  expect(seen()).toEqual([second])
  pending.applied(102)
  expect(seen()).toEqual([])
})
