/**
 * H-06: a deep chain of znodes goes through a snapshot and is taken down from its bottom.
 *
 * Each record of a snapshot, and each txn that deletes, has the whole path: 9 MB for 3,000 links, and 250 GB for the
 * 500,000 of the longest path that a frame holds. That depth is walked, named and watched in `data-tree.test.ts`; here
 * it is what a test has time for.
 */
import { fromWords, sessionId, spaceOf, zxid } from '@corral/protocol'
import { expect, test } from 'vitest'
import { SnapshotReader } from '../src/log/snapshot-reader.ts'
import { SnapshotWriter } from '../src/log/snapshot-writer.ts'
import { checkTree } from '../src/tree/check-tree.ts'
import type { DataTree } from '../src/tree/data-tree.ts'
import { apply, aTree, create, digestOf, find } from './tree-kit.ts'

const depth = 3000

test(`H-06 a chain of ${depth} znodes is written, restored to the same digest, and deleted`, () => {
  const tree = aTree()
  const path = '/d'.repeat(depth)
  for (let i = 1; i <= depth; i++) apply(tree, create(path.slice(0, 2 * i)), { zxid: BigInt(i) })

  const restored = throughSnapshot(tree)

  expect(restored.znodeCount).toBe(tree.znodeCount)
  expect(digestOf(restored)).toBe(digestOf(tree))
  expect(find(restored, path)).not.toBe(0)
  expect(restored.descendantCount(find(restored, '/d'))).toBe(depth - 1)
  for (let i = depth; i > 0; i--) {
    const code = apply(
      restored,
      { kind: 'delete', path: path.slice(0, 2 * i) },
      { zxid: BigInt(2 * depth - i + 1) },
    )
    if (code !== 0) throw new Error(`delete at depth ${i}: ${code}`)
  }
  expect(restored.znodeCount).toBe(aTree().znodeCount)
  expect(checkTree(restored)).toEqual([])
})

/** Written in slices, each read as it comes: the file is never whole in memory. */
function throughSnapshot(tree: DataTree): DataTree {
  const restored = aTree()
  const loader = restored.loader()
  const reader = new SnapshotReader({
    maxLengthBytes: 0xfffff,
    sink: {
      session: () => undefined,
      acl: (high, low, source, from, to) => loader.acl(high, low, source, from, to),
      node: (source, at) => loader.node(source, at),
    },
  })
  const writer = new SnapshotWriter()
  const walk = tree.openWalk()
  const read = (): void => {
    const bytes = writer.take()
    const used = reader.consume(spaceOf(bytes), 0, bytes.length)
    if (used !== bytes.length) throw new Error(reader.problem ?? 'a slice ends inside a record')
  }
  writer.begin(0, sessionId(1n))
  walk.aclsInto(writer.out, 1000, 1 << 20)
  read()
  while (!walk.nextInto(writer.out, 1000, 1 << 20)) read()
  const treeDigest = fromWords(tree.digestHigh, tree.digestLow)
  writer.end({ zxid: zxid(BigInt(depth)), treeDigest, hasLastZxid: true })
  walk.close()
  const rest = spaceOf(writer.take())
  const trailer = reader.finish(rest, reader.consume(rest, 0, rest.bytes.length), rest.bytes.length)
  expect(reader.problem ?? loader.finish(0, depth)).toBeUndefined()
  expect(trailer?.digest?.treeDigest).toBe(digestOf(restored))
  return restored
}
