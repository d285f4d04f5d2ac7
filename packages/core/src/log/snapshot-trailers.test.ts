/** What stands behind the nodes of a snapshot: the seals and trailers that each version of the Java server writes. */
import { readFileSync } from 'node:fs'
import { sessionId, spaceOf, zxid } from '@corral/protocol'
import { expect, test } from 'vitest'
import { SnapshotReader } from './snapshot-reader.ts'
import { SnapshotWriter } from './snapshot-writer.ts'

interface Vector {
  readonly title: string
  readonly hex: readonly string[]
}

const golden = new URL('../../../../test/golden/', import.meta.url)
const vectors: readonly Vector[] = JSON.parse(
  readFileSync(new URL('storage-vectors.json', golden), 'utf8'),
).trailers

/** An empty tree up to the end mark, the same in all four: this file ends with the mark (5) and a seal (13). */
const noTrailer = readFileSync(
  new URL('data-dirs/zookeeper-3.8.0/no-digest-no-closetxn/data/version-2/snapshot.0', golden),
)
const nodes = new Uint8Array(noTrailer.subarray(0, -18))

const digest = { zxid: zxid(0n), treeDigest: 0n }
// Nothing was applied yet: whatever the digest of the tree is, none is written.
const applied = { zxid: zxid(0n), treeDigest: 0x51c6_d660n }
const cases = [
  { digest, lastZxid: undefined, written: { ...applied, hasLastZxid: false } },
  { digest, lastZxid: zxid(0n), written: { ...applied, hasLastZxid: true } },
  // Java with digests on misreads this one: it is read and never written.
  { digest: undefined, lastZxid: zxid(0n), written: 'never' },
  { digest: undefined, lastZxid: undefined, written: undefined },
] as const

test.each(cases.map((given, i) => ({ ...given, ...(vectors[i] as Vector) })))('20.9 $title', given => {
  const end = new Uint8Array(Buffer.from(given.hex.join('').replaceAll(' ', ''), 'hex'))
  const file = spaceOf(new Uint8Array([...nodes, ...end]))
  const sink = { session: () => undefined, acl: () => undefined, node: () => undefined }
  const reader = new SnapshotReader({ maxLengthBytes: 0xfffff, sink })

  const trailer = reader.finish(file, reader.consume(file, 0, file.bytes.length), file.bytes.length)

  expect(reader.problem).toBeUndefined()
  expect(trailer).toEqual({ digest: given.digest, lastZxid: given.lastZxid, unknownBytes: 0 })
  if (given.written === 'never') return
  const writer = new SnapshotWriter()
  writer.begin(0, sessionId(-1n))
  writer.out.ensure(nodes.length)
  writer.out.bytes.set(nodes.subarray(writer.out.at), writer.out.at)
  writer.out.at = nodes.length
  writer.end(given.written)
  expect(Buffer.from(writer.take()).toString('hex')).toBe(Buffer.from(file.bytes).toString('hex'))
})

test('20.9 there are no other vectors', () => {
  expect(vectors.length).toBe(cases.length)
})
