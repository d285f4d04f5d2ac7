/** The captured log records, snapshot parts and digests: decoded to what is listed beside the bytes, and back. */
import { expect, test } from 'vitest'
import {
  type Acl,
  adler32,
  crc32,
  decodeTxn,
  encodeTxn,
  endOfRecord,
  fileHeaderBytes,
  fileVersion,
  hexOf,
  logMagic,
  logRecordHeadBytes,
  makeSpace,
  Reader,
  sealBytes,
  snapshotMagic,
  spaceOf,
  statPersistedBytes,
  type TxnBody,
  type TxnHeader,
  txnType,
  Writer,
  writeAclList,
} from '../src/index.ts'
import { bytesOf, hexOfBytes, type NamedBytes, storageVectors } from './golden.ts'

const vectors = storageVectors()

function joined(fields: readonly NamedBytes[]): Uint8Array {
  return bytesOf(fields.map(field => field.hex).join(''))
}

test('the log header', () => {
  const [head] = vectors.log
  const bytes = joined(head?.fields ?? [])
  const r = new Reader(bytes)

  const read = { magic: r.int32(), version: r.int32(), dbid: r.int64() }

  expect(read).toEqual({ magic: logMagic, version: fileVersion, dbid: 0n })
  expect(bytes.length).toBe(fileHeaderBytes)
})

for (const { id, title, fields } of vectors.log.slice(1)) {
  test(`${id} ${title}`, () => {
    const record = joined(fields)
    const r = new Reader(record)
    const checksum = r.int64()
    const length = r.int32()
    const payload = r.raw(length)
    const mark = r.byte()

    const txn = decodeTxn(payload)

    const { session, cxid, zxid, timeMs, type } = txn.header
    const listed = [
      `crc = 0x${hexOf(checksum)}`,
      `len = ${length}`,
      `clientId = 0x${hexOf(session)}`,
      `cxid = ${cxid}`,
      `zxid = 0x${hexOf(zxid)}`,
      `time = ${timeMs}`,
      `type = ${type}`,
      ...bodyLines(txn.body),
      ...(txn.digest === undefined
        ? []
        : [
            `digest.version = ${txn.digest.version}`,
            `digest.treeDigest = 0x${hexOf(txn.digest.treeDigest)}`,
          ]),
      `EOR = ${mark}`,
    ]
    expect(listed).toEqual(fields.map(field => field.says))
    expect(txnType(txn.body)).toBe(type)
    expect(adler32(spaceOf(payload), 0, payload.length)).toBe(Number(checksum))
    expect(hexOfBytes(encodeTxn(txn))).toBe(hexOfBytes(payload))
    expect(r.remaining).toBe(0)
    expect(record.length).toBe(logRecordHeadBytes + length + 1)
    expect(mark).toBe(endOfRecord)
  })
}

function bodyLines(body: TxnBody): string[] {
  switch (body.kind) {
    case 'create':
      return [
        ...nodeLines(body),
        `ephemeral = ${body.isEphemeral ? 1 : 0}`,
        `parentCVersion = ${body.parentCversion}`,
      ]
    case 'createTtl':
      return [
        ...nodeLines(body),
        `parentCVersion = ${body.parentCversion}`,
        `ttl = 0x${hexOf(BigInt(body.ttlMs ?? 0))}`,
      ]
    case 'error':
      return [`err = ${body.err}`]
    case 'createSession':
      return [`timeOut = ${body.timeoutMs}`]
    case 'closeSession':
      return [`paths2Delete.count = ${body.paths?.length}`, ...(body.paths ?? []).flatMap(pathLines)]
    case 'multi':
      return [
        `txns.count = ${body.txns.length}`,
        ...body.txns.flatMap(txn => [
          `txn.type = ${txnType(txn)}`,
          `txn.data.len = ${subBytes(txn)}`,
          ...bodyLines(txn),
        ]),
      ]
    default:
      throw new Error(`the vectors have no ${body.kind}`)
  }
}

function subBytes(body: TxnBody): number {
  const header = { session: 0n, cxid: 0, zxid: 0n, timeMs: 0, type: 0 } as Parameters<
    typeof encodeTxn
  >[0]['header']
  return encodeTxn({ header, body, digest: undefined }).length - 32
}

function nodeLines(body: TxnBody & { readonly kind: 'create' | 'createTtl' | 'createContainer' }): string[] {
  return [
    ...pathLines(body.path),
    ...dataLines(body.data),
    `acl.count = ${body.acl?.length}`,
    ...(body.acl ?? []).flatMap(aclLines),
  ]
}

function pathLines(path: string): string[] {
  return [`path.len = ${Buffer.byteLength(path)}`, ...(path === '' ? [] : [`path = '${path}'`])]
}

function dataLines(data: Uint8Array | null): string[] {
  if (data === null) return ['data.len = -1']
  return [`data.len = ${data.length}`, ...(data.length === 0 ? [] : [`data = '${Buffer.from(data)}'`])]
}

function aclLines(acl: Acl): string[] {
  return [
    `perms = ${acl.perms}`,
    `scheme.len = ${acl.scheme?.length}`,
    `scheme = '${acl.scheme}'`,
    `id.len = ${acl.id?.length}`,
    `id = '${acl.id}'`,
  ]
}

test('20.8 the head of a snapshot: sessions, ACL cache, the first znodes', () => {
  const { head } = vectors.snapshot
  const bytes = joined(head)
  const r = new Reader(bytes)
  const w = new Writer()

  const lines = snapshotLines(r, w, bytes.length)

  expect(lines).toEqual(head.map(field => field.says))
  expect(hexOfBytes(w.written())).toBe(hexOfBytes(bytes))
})

/** Reads from `r`, and writes what it read to `w`. */
function snapshotLines(r: Reader, w: Writer, to: number): string[] {
  const word = (name: string): string => {
    const value = r.int32()
    w.int32(value)
    return `${name} = ${value}`
  }
  const long = (name: string, isHex = true): string => {
    const value = r.int64()
    w.int64(value)
    return `${name} = ${isHex ? `0x${hexOf(value)}` : value}`
  }
  expect(r.int32()).toBe(snapshotMagic)
  w.int32(snapshotMagic)
  const lines = ['magic ZKSN', word('version'), long('dbid')]
  lines.push(word('sessions.count'), long('sessionId'), word('timeout'), word('aclCache.count'))
  for (let i = 0; i < 2; i++) {
    lines.push(long('aclId'))
    const acl = r.vector(12, entry => ({ perms: entry.int32(), scheme: entry.string(), id: entry.string() }))
    writeAclList(w, acl)
    lines.push(`acl.count = ${acl?.length}`, ...(acl ?? []).flatMap(aclLines))
  }
  while (r.at < to) {
    const path = r.text()
    w.string(path)
    const data = r.buffer()
    w.buffer(data)
    lines.push(...pathLines(path), ...dataLines(data), long('acl'))
    const statFrom = r.at
    lines.push(long('czxid'), long('mzxid'), long('ctime', false), long('mtime', false))
    lines.push(word('version'), word('cversion'), word('aversion'), long('ephemeralOwner'), long('pzxid'))
    expect(r.at - statFrom).toBe(statPersistedBytes)
  }
  return lines
}

test('20.8 the tail of a snapshot: end mark, seal, digest, seal', () => {
  const { tail } = vectors.snapshot
  const r = new Reader(joined(tail))

  const read = [r.text(), r.int64(), r.text(), r.zxid(), r.int32(), r.int64(), r.int64(), r.text()]

  expect(read).toEqual(['/', 0x1c9ab7fdn, '/', 0xcn, 2, 0x5327356e2n, 0x1f09bc87n, '/'])
  expect(r.remaining).toBe(0)
})

for (const { title, hex } of vectors.trailers) {
  test(`20.9 each seal of an empty snapshot sums up all before it: ${title}`, () => {
    const [endMark, ...parts] = hex.map(bytesOf)
    let sum = 0xb8a23b49 // of the empty tree, its end mark included: the same in all four files

    const seals = parts.filter(part => {
      const isSeal = part.length === sealBytes
      if (isSeal) expect(new Reader(part).int64()).toBe(BigInt(sum))
      sum = adler32(spaceOf(part), 0, part.length, sum)
      return isSeal
    })

    expect(seals.length).toBeGreaterThan(0)
    expect(new Reader(endMark as Uint8Array).text()).toBe('/')
  })
}

test('20.11 the digest of a node is the CRC-32 over path, data and stat', () => {
  const { node } = vectors.digest
  const bytes = bytesOf(node.path + node.data + node.stat)
  const space = spaceOf(bytes)

  const whole = crc32(space, 0, bytes.length)
  const content = crc32(space, 0, bytes.length - 60)

  expect((whole >>> 0).toString(16)).toBe(node.crc32)
  expect(crc32(space, bytes.length - 60, bytes.length, content)).toBe(whole)
})

test('a txn that was written before 3.4 has no parent cversion', () => {
  const space = makeSpace(256)
  const w = new Writer(space)
  w.int64(1n)
  w.int32(2)
  w.int64(3n)
  w.int64(4n)
  w.int32(1)
  w.string('/old')
  w.buffer(null)
  w.int32(-1)
  w.bool(false)

  const { body, digest } = decodeTxn(w.written())

  expect(body).toEqual({
    kind: 'create',
    type: 1,
    path: '/old',
    data: null,
    acl: null,
    isEphemeral: false,
    parentCversion: -1,
  })
  expect(digest).toBeUndefined()
})

test.each([
  ['nothing', { paths: undefined, digest: undefined }],
  ['a digest alone', { paths: undefined, digest: 0x2_0000_0005n }],
  ['a digest of 0, which looks like two empty paths', { paths: undefined, digest: 0n }],
  ['a list alone', { paths: ['/a', '/b'], digest: undefined }],
  ['an empty list and a digest', { paths: [], digest: 7n }],
])('what follows the header of a closeSession is told by its length: %s', (_what, { paths, digest }) => {
  const header = { session: 1n, cxid: 2, zxid: 3n, timeMs: 4, type: -11 } as TxnHeader
  const payload = encodeTxn({
    header,
    body: { kind: 'closeSession', paths },
    digest: digest === undefined ? undefined : { version: 2, treeDigest: digest },
  })

  const txn = decodeTxn(payload)

  expect(txn.body).toEqual({ kind: 'closeSession', paths })
  expect(txn.digest?.treeDigest).toBe(digest)
})
