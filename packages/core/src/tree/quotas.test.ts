import { encodeUtf8, type TxnBody, Writer } from '@corral/protocol'
import { expect, test } from 'vitest'
import { apply, aTree, create, dump, find, space } from '../../test/tree-kit.ts'
import { checkTree } from './check-tree.ts'
import type { DataTree } from './data-tree.ts'
import { readQuotaText, writeQuotaText } from './quota-text.ts'

let zxid = 0n

function change(tree: DataTree, ...bodies: TxnBody[]): void {
  for (const body of bodies) expect(apply(tree, body, { zxid: ++zxid })).toBe(0)
}

const text = (path: string, data: string): TxnBody => create(path, { data: encodeUtf8(data) })
const set = (path: string, data: string): TxnBody => ({
  kind: 'setData',
  path,
  data: encodeUtf8(data),
  version: 1,
})

/** As the command line makes it: the limits first, then the usage, whose data the server replaces. */
function quota(path: string, limits = 'count=10,bytes=1000'): TxnBody[] {
  const parts = path.split('/').slice(1)
  const dirs = parts.map((_, i) => text(`/zookeeper/quota/${parts.slice(0, i + 1).join('/')}`, ''))
  const dir = `/zookeeper/quota${path}`
  return [...dirs, text(`${dir}/zookeeper_limits`, limits), text(`${dir}/zookeeper_stats`, 'count=0,bytes=0')]
}

function usage(tree: DataTree, path: string): string | null | undefined {
  return dump(tree)[`/zookeeper/quota${path}/zookeeper_stats`]?.data
}

function over(tree: DataTree, path: string): ReturnType<DataTree['quotaOver']> {
  const source = space(`.${path}`)
  return tree.quotaOver(source, 1, source.bytes.length)
}

test('the usage is counted when the quota is made, its root included', () => {
  const tree = aTree()
  change(tree, text('/q', 'abc'), text('/q/a', 'de'), text('/q/a/b', ''), text('/other', 'xyz'))
  change(tree, ...quota('/q'))

  expect(usage(tree, '/q')).toBe('count=3,bytes=5')
})

test('creates, deletes and sets below a quota change its usage and no Stat', () => {
  const tree = aTree()
  change(tree, text('/q', ''), ...quota('/q'))
  const before = dump(tree)['/zookeeper/quota/q/zookeeper_stats']
  change(tree, text('/q/a', '12345'), text('/q/b', '1'), set('/q/a', '123'), set('/q', '1234567'))
  change(tree, { kind: 'delete', path: '/q/b' })

  expect(usage(tree, '/q')).toBe('count=2,bytes=10')
  const after = dump(tree)['/zookeeper/quota/q/zookeeper_stats']
  expect({ ...after?.stat, dataLength: 0 }).toEqual({ ...before?.stat, dataLength: 0 })
  expect(checkTree(tree)).toEqual([])
})

test('a usage znode below a quota is charged with the data it was made with', () => {
  const tree = aTree()
  change(tree, ...quota('/zookeeper'))

  // 19 bytes of limits, and 15 of usage twice: counted, and charged.
  expect(usage(tree, '/zookeeper')).toBe('count=7,bytes=49')
})

test('the deepest quota alone is charged', () => {
  const tree = aTree()
  change(tree, text('/q', ''), text('/q/in', ''), ...quota('/q'))
  change(tree, ...quota('/q/in').slice(1))
  change(tree, text('/q/in/a', '12'), text('/q/b', '3'))

  expect(usage(tree, '/q/in')).toBe('count=2,bytes=2')
  expect(usage(tree, '/q')).toBe('count=3,bytes=1')
})

test('a quota for what does not exist yet counts from its creation', () => {
  const tree = aTree()
  change(tree, ...quota('/late'))
  expect(usage(tree, '/late')).toBe('count=0,bytes=0')
  change(tree, text('/late', 'ab'), text('/late/c', 'd'))

  expect(usage(tree, '/late')).toBe('count=2,bytes=3')
  expect(checkTree(tree)).toEqual([])
})

test('a deleted quota counts no more', () => {
  const tree = aTree()
  change(tree, text('/q', ''), ...quota('/q'))
  change(tree, { kind: 'delete', path: '/zookeeper/quota/q/zookeeper_limits' }, text('/q/a', 'a'))

  expect(usage(tree, '/q')).toBe('count=1,bytes=0')
  expect(over(tree, '/q/a')).toBe(undefined)
  expect(checkTree(tree)).toEqual([])
})

test('hard limits that stand in the usage stay there', () => {
  const tree = aTree()
  change(tree, text('/q', ''), ...quota('/q'))
  change(
    tree,
    set('/zookeeper/quota/q/zookeeper_stats', 'count=5,bytes=7=;byteHardLimit=9'),
    text('/q/a', 'xyz'),
  )

  expect(usage(tree, '/q')).toBe('count=6,bytes=10=;byteHardLimit=9')
})

test.each([
  '',
  '=',
  'count',
  'count=,bytes=',
  'garbage',
  'count=9223372036854775808',
  'count=1e3',
  ';;,,',
  'bytes=--1',
  'é',
])('usage %j is taken as not set, and nothing throws', garbage => {
  const tree = aTree()
  change(tree, text('/q', ''), ...quota('/q', garbage))
  change(tree, set('/zookeeper/quota/q/zookeeper_stats', garbage), text('/q/a', 'abc'))

  expect(usage(tree, '/q')).toBe('count=0,bytes=2')
  expect(over(tree, '/q/x')?.limits).toEqual({ count: -1, bytes: -1, countHard: -1, bytesHard: -1 })
})

test('a number may have a plus before it', () => {
  const tree = aTree()
  change(tree, text('/q', ''), ...quota('/q', 'count=+3,bytes=+,byteHardLimit=++9'))

  expect(over(tree, '/q/x')?.limits).toEqual({ count: 3, bytes: -1, countHard: -1, bytesHard: -1 })
})

test('a missing usage znode is no harm, and the quota is not enforced', () => {
  const tree = aTree()
  change(tree, text('/q', ''), ...quota('/q'))
  change(tree, { kind: 'delete', path: '/zookeeper/quota/q/zookeeper_stats' }, text('/q/a', 'abc'))

  expect(over(tree, '/q/a')).toBeUndefined()
})

test('limits for the root, and znodes of these names elsewhere, are nothing special', () => {
  const tree = aTree()
  change(
    tree,
    text('/zookeeper/quota/zookeeper_limits', 'count=1'),
    text('/zookeeper/quota/zookeeper_stats', 'x'),
  )
  change(tree, text('/zookeeper_limits', 'count=1'), text('/zookeeper/zookeeper_stats', 'y'))
  change(tree, text('/a', ''))

  expect(dump(tree)['/zookeeper/quota/zookeeper_stats']?.data).toBe('x')
  expect(dump(tree)['/zookeeper/zookeeper_stats']?.data).toBe('y')
  expect(over(tree, '/a')).toBe(undefined)
})

test('the quota over a path is the deepest, also for paths that do not exist', () => {
  const tree = aTree()
  change(tree, text('/q', ''), text('/q/in', ''), ...quota('/q', 'count=10,bytes=-1=;countHardLimit=12'))
  change(tree, ...quota('/q/in', 'count=2,bytes=3').slice(1))

  expect(over(tree, '/q')?.limits).toEqual({ count: 10, bytes: -1, countHard: 12, bytesHard: -1 })
  expect(over(tree, '/q/no/such/path')?.rootLength).toBe(2)
  expect(over(tree, '/q/in/no')?.limits.count).toBe(2)
  expect(over(tree, '/q/in/no')?.rootLength).toBe(5)
  expect(over(tree, '/qq')).toBe(undefined)
  expect(over(tree, '/')).toBe(undefined)
})

test('a failed multi and a replayed create count nothing', () => {
  const tree = aTree()
  change(tree, text('/q', ''), ...quota('/q'), text('/q/a', 'a'))
  apply(tree, { kind: 'multi', txns: [text('/q/b', 'b'), { kind: 'error', err: -110 }] }, { zxid: ++zxid })
  apply(tree, text('/q/a', 'a'), { zxid: ++zxid })

  expect(usage(tree, '/q')).toBe('count=2,bytes=1')
})

test.each([
  ['count=3,bytes=20', { count: 3, bytes: 20, countHardLimit: -1, byteHardLimit: -1 }],
  [
    'count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=3',
    { count: -1, bytes: -1, countHardLimit: 3, byteHardLimit: 20 },
  ],
])('%s is read and written as Apache ZooKeeper does', (line, expected) => {
  const source = space(line)
  const out = new Writer()
  writeQuotaText(expected, out)

  expect(readQuotaText(source, 0, source.bytes.length)).toEqual(expected)
  expect(Buffer.from(out.written()).toString()).toBe(line)
})

test('a quota below a chain is found without looking at every prefix', () => {
  const tree = aTree()
  change(tree, text('/q', ''), ...quota('/q'))
  let path = '/q'
  for (let i = 0; i < 500; i++) {
    path += '/d'
    change(tree, text(path, 'x'))
  }

  expect(usage(tree, '/q')).toBe('count=501,bytes=500')
  expect(over(tree, path)?.rootLength).toBe(2)
  expect(find(tree, path)).not.toBe(0)
})
