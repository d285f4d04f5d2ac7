import { expect, test } from 'vitest'
import { aTree, space } from '../../test/tree-kit.ts'
import { Pending } from './pending.ts'

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
