import { readFileSync } from 'node:fs'
import { encodeUtf8, openAcl, type Space, sessionId, spaceOf, type TxnBody } from '@corral/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { apply, aTree, create, digestOf, find, space } from '../../test/tree-kit.ts'
import {
  changeByAversion,
  changeByCversion,
  changeByPzxid,
  contentCrcOf,
  DigestSum,
  isDigestedPath,
  nodeDigest,
  pathCrc,
} from './digest.ts'

interface Vectors {
  readonly node: Readonly<Record<'path' | 'data' | 'stat' | 'crc32', string>>
  readonly trees: readonly { readonly nodes: readonly string[]; readonly tree: string }[]
}

const vectors: Vectors = JSON.parse(
  readFileSync(new URL('../../../../test/golden/storage-vectors.json', import.meta.url), 'utf8'),
).digest

/** The first txns of a log written by Apache ZooKeeper 3.8.0: the vectors are the digests after each. */
const session = sessionId(0x1000_0109_ce1_0000n)
const written: readonly { body: TxnBody; timeMs: number }[] = [
  { body: { kind: 'createSession', timeoutMs: 40_000 }, timeMs: 1795250585313 },
  { body: made('/app', encodeUtf8('root-data'), 1), timeMs: 1795250585344 },
  { body: made('/app/empty', new Uint8Array(0), 1), timeMs: 1795250585413 },
  { body: made('/app/nulldata', null, 2), timeMs: 1795250585421 },
]

function made(path: string, data: Uint8Array | null, parentCversion: number): TxnBody {
  return { kind: 'create', type: 1, path, data, acl: openAcl, isEphemeral: false, parentCversion }
}

test('20.11 the digests of the tree and of each znode are those of Apache ZooKeeper after each txn', () => {
  const tree = aTree()
  expect(vectors.trees.length).toBe(written.length)
  for (const [i, { nodes, tree: whole }] of vectors.trees.entries()) {
    const { body, timeMs } = written[i] as (typeof written)[number]
    apply(tree, body, { zxid: BigInt(i + 1), session, timeMs })

    const paths = ['/', '/zookeeper', '/app', '/app/empty', '/app/nulldata'].slice(0, nodes.length)
    const shares = paths.map(path => (tree.digestOf(find(tree, path)) >>> 0).toString(16).padStart(8, '0'))
    expect(shares).toEqual(nodes)
    expect(digestOf(tree).toString(16)).toBe(whole)
  }
})

test('20.11 the share of a znode is the CRC-32 over its path, data and Stat', () => {
  const [path, data, stat] = (['path', 'data', 'stat'] as const).map(field =>
    spaceOf(new Uint8Array(Buffer.from(vectors.node[field].replaceAll(' ', ''), 'hex'))),
  ) as [Space, Space, Space]
  const words = Array.from({ length: 15 }, (_, i) => stat.view.getInt32(4 * i))
  // The digest takes pzxid third, on the wire it is last.
  const inWireOrder = Int32Array.from([...words.slice(0, 4), ...words.slice(6), ...words.slice(4, 6)])

  const content = contentCrcOf(pathCrc(path, 0, path.bytes.length), data, 0, data.bytes.length)

  expect((nodeDigest(content, inWireOrder) >>> 0).toString(16)).toBe(vectors.node.crc32)
})

test.each<[string, TxnBody, bigint, number, string]>([
  [
    'a TTL znode',
    {
      kind: 'createTtl',
      path: '/app/ttl',
      data: encodeUtf8('ttl'),
      acl: openAcl,
      parentCversion: 1,
      ttlMs: 0xff_ffff_ffff,
    },
    0xdn,
    1795250585476,
    '9a0d6937',
  ],
  [
    'an ephemeral',
    create('/app/eph', { data: encodeUtf8('e'), isEphemeral: true }),
    9n,
    1795250585460,
    'a75e6b45',
  ],
  ['a name in UTF-8', create('/app/utf8-é中', { data: encodeUtf8('café') }), 5n, 1795250585425, '77a2b997'],
])('%s has the share that Apache ZooKeeper gives it', (_, body, zxid, timeMs, expected) => {
  const tree = aTree()
  apply(tree, create('/app'), { zxid: 2n })
  apply(tree, body, { zxid, timeMs, session })

  const id = tree.firstChild(find(tree, '/app'))
  expect((tree.digestOf(id) >>> 0).toString(16)).toBe(expected)
})

test('what lies below /zookeeper does not count, /zookeeper itself does', () => {
  const isCounted = (path: string): boolean => isDigestedPath(space(`x${path}`), 1, 1 + path.length)

  expect(
    ['/', '', '/zookeeper', '/zookeeperx', '/zookeepers/a', '/a/zookeeper/b'].map(isCounted),
  ).not.toContain(false)
  expect(['/zookeeper/config', '/zookeeper/quota/a'].map(isCounted)).not.toContain(true)
})

test('null and empty data give one checksum, and the root has an empty path', () => {
  const root = space('/')
  expect(pathCrc(root, 0, 1)).toBe(pathCrc(root, 0, 0))
  const name = space('/a')

  expect(contentCrcOf(pathCrc(name, 0, 2), name, -1, -1)).toBe(contentCrcOf(pathCrc(name, 0, 2), name, 2, 2))
})

test('a share changes with the bits of a field as it does when it is computed anew', () => {
  const word = fc.integer()
  fc.assert(
    fc.property(
      word,
      fc.array(word, { minLength: 15, maxLength: 15 }),
      word,
      word,
      (crc, stat, high, low) => {
        const changedBy = (words: Readonly<Record<number, number>>): number =>
          nodeDigest(crc, Int32Array.from(stat)) ^
          nodeDigest(crc, Int32Array.from({ ...stat, ...words, length: 15 }))
        const at = (word: number): number => stat[word] as number

        expect(changeByPzxid(at(13) ^ high, at(14) ^ low)).toBe(changedBy({ 13: high, 14: low }))
        expect(changeByCversion(at(9) ^ low)).toBe(changedBy({ 9: low }))
        expect(changeByAversion(at(10) ^ low)).toBe(changedBy({ 10: low }))
      },
    ),
  )
})

test('the sum wraps at 64 bits and comes back', () => {
  const sum = new DigestSum()
  sum.subtract(1)
  expect([sum.high, sum.low]).toEqual([0xffff_ffff, 0xffff_ffff])
  sum.add(0xffff_ffff)
  expect([sum.high, sum.low]).toEqual([0, 0xffff_fffe])
  sum.add(3)
  expect([sum.high, sum.low]).toEqual([1, 1])
})

test('a carried digest is adopted only when asked for', () => {
  const tree = aTree()
  tree.adoptsDigests = true
  apply(tree, create('/a'), { zxid: 1n, digest: 0x5_0000_0007n })
  expect(digestOf(tree)).toBe(0x5_0000_0007n)
  expect(find(tree, '/a')).not.toBe(0)

  const other = aTree()
  apply(other, create('/a'), { zxid: 1n, digest: 0x5_0000_0007n })
  expect(digestOf(other)).not.toBe(0x5_0000_0007n)
})
