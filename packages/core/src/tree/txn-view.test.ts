import {
  encodeTxn,
  encodeUtf8,
  makeSpace,
  OpCode,
  openAcl,
  type Space,
  sessionId,
  type TxnBody,
  TxnHead,
  txnDigestBytes,
  txnHeaderBytes,
  txnType,
  zxid,
} from '@corral/protocol'
import { expect, test } from 'vitest'
import { aTree, create, dump } from '../../test/tree-kit.ts'
import { FiredWatches } from './fired-watches.ts'
import { TxnView } from './txn-view.ts'

const data = encodeUtf8('data')
const bodies: readonly TxnBody[] = [
  create('/a/b', { data: null, acl: null, isEphemeral: true, parentCversion: 7 }),
  create('/a', { type: 15 }),
  { kind: 'createContainer', path: '/c', data, acl: openAcl, parentCversion: 1 },
  { kind: 'createTtl', path: '/t', data, acl: openAcl, parentCversion: 1, ttlMs: 0x12_3456_7890 },
  { kind: 'delete', path: '/a' },
  { kind: 'deleteContainer', path: '/c' },
  { kind: 'setData', path: '/', data, version: 3 },
  { kind: 'reconfig', path: '/zookeeper/config', data, version: -1 },
  { kind: 'setAcl', path: '/', acl: openAcl, version: 2 },
  { kind: 'error', err: -101 },
  { kind: 'createSession', timeoutMs: 30_000 },
  { kind: 'closeSession', paths: ['/a', '/b'] },
  { kind: 'closeSession', paths: [] },
  { kind: 'closeSession', paths: undefined },
  {
    kind: 'multi',
    txns: [create('/m'), { kind: 'check', path: '/m', version: 1 }, { kind: 'error', err: -2 }],
  },
  { kind: 'multi', txns: [] },
]

function encoded(body: TxnBody, digest?: bigint): Space {
  const header = { session: sessionId(1n), cxid: 2, zxid: zxid(3n), timeMs: 4, type: txnType(body) }
  const bytes = encodeTxn({
    header,
    body,
    digest: digest === undefined ? undefined : { version: 2, treeDigest: digest },
  })
  const space = makeSpace(bytes.length)
  space.bytes.set(bytes)
  return space
}

/** Nothing may be read behind the payload: these bytes would be noticed. */
function padded(space: Space, length: number): Space {
  const copy = makeSpace(space.bytes.length + 64)
  copy.bytes.fill(0xff)
  copy.bytes.set(space.bytes.subarray(0, length))
  return copy
}

test.each(bodies.map((body, i): [string, TxnBody] => [`${i} ${body.kind}`, body]))(
  'the body of %s ends where its digest begins',
  (_, body) => {
    const bare = encoded(body)
    const full = encoded(body, 0x1234n)
    const view = new TxnView()

    expect(view.readPayload(bare, 0, bare.bytes.length)).toBe(true)
    expect(view.end).toBe(bare.bytes.length)
    expect(view.readPayload(full, 0, full.bytes.length)).toBe(true)
    expect(view.end).toBe(bare.bytes.length)
  },
)

test.each(bodies.map((body, i): [string, TxnBody] => [`${i} ${body.kind}`, body]))(
  '%s cut short is refused, unless it is a shorter form that exists',
  (_, body) => {
    const whole = encoded(body)
    const view = new TxnView()
    const accepted: number[] = []
    for (let length = 0; length < whole.bytes.length; length++) {
      if (!view.readPayload(padded(whole, length), 0, length)) continue
      expect(view.end).toBeLessThanOrEqual(length)
      accepted.push(length)
    }

    expect(accepted).toEqual(shorterForms(body, whole.bytes.length))
  },
)

function shorterForms(body: TxnBody, length: number): number[] {
  if (txnType(body) === OpCode.Create) return [length - 4, length - 3, length - 2, length - 1]
  if (body.kind !== 'closeSession' || body.paths === undefined) return []
  // Twelve bytes that begin with 2 are a digest: a list of two paths is never so short.
  return body.paths.length === 2 ? [txnHeaderBytes, txnHeaderBytes + txnDigestBytes] : [txnHeaderBytes]
}

test('a create from before 3.4 has no parent cversion', () => {
  const whole = encoded(create('/old', { parentCversion: 5 }))
  const view = new TxnView()

  expect(view.readPayload(whole, 0, whole.bytes.length - 4)).toBe(true)
  expect(view.parentCversion).toBe(-1)
})

test('closeSession is told apart by length, whatever the writer was set to', () => {
  const view = new TxnView()
  const bare = encoded({ kind: 'closeSession', paths: undefined }, 0x2_0000_0001n)
  expect(view.readPayload(bare, 0, bare.bytes.length)).toBe(true)
  expect([view.count, view.end]).toEqual([-1, 32])

  const listed = encoded({ kind: 'closeSession', paths: ['/a'] }, 7n)
  expect(view.readPayload(listed, 0, listed.bytes.length)).toBe(true)
  expect([view.count, listed.bytes.length - view.end]).toEqual([1, 12])
})

test.each([
  ['a negative path length', 32, -1],
  ['a path that is too long', 32, 0x7fff_ffff],
  ['a negative data length', 38, -2],
  ['a data length past the end', 38, 1000],
  ['a count of ACLs past the end', 46, 1000],
  ['a negative count of ACLs', 46, -2],
])('%s is refused', (_, at, value) => {
  const whole = encoded(create('/a', { data }))
  whole.view.setInt32(at, value)

  expect(new TxnView().readPayload(whole, 0, whole.bytes.length)).toBe(false)
})

test('a multi inside a multi and an unknown type are refused', () => {
  const nested = encoded({ kind: 'multi', txns: [{ kind: 'multi', txns: [] }] })
  const view = new TxnView()
  expect(view.readPayload(nested, 0, nested.bytes.length)).toBe(true)
  expect(view.readSubTxn(nested, 14, 44, nested.bytes.length)).toBe(false)

  const unknown = encoded(create('/a'))
  unknown.view.setInt32(TxnHead.type, 99)
  expect(view.readPayload(unknown, 0, unknown.bytes.length)).toBe(false)
})

test('a multi is sound only if all its sub-txns are', () => {
  const view = new TxnView()
  const sound = encoded({ kind: 'multi', txns: [create('/m'), { kind: 'delete', path: '/n' }] }, 5n)
  const nested = encoded({ kind: 'multi', txns: [create('/m'), { kind: 'multi', txns: [] }] })

  const verdicts = [sound, nested].map(txn => view.isSound(txn, 0, txn.bytes.length))
  // The type, and the length of the path, of the first sub-txn.
  for (const at of [36, 44]) {
    const damaged = padded(sound, sound.bytes.length)
    damaged.view.setInt32(at, 1000)
    verdicts.push(view.isSound(damaged, 0, sound.bytes.length))
  }

  expect(verdicts).toEqual([true, false, false, false])
  expect(view.readPayload(nested, 0, nested.bytes.length)).toBe(true)
})

test('malformed bytes end the process instead of half a txn', () => {
  const tree = aTree()
  const before = dump(tree)
  const whole = encoded(create('/a'))

  expect(() => tree.apply(whole, 0, whole.bytes.length - 7, new FiredWatches())).toThrow('well-formed')
  expect(dump(tree)).toEqual(before)
})
