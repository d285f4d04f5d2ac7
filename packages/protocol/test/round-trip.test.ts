/** Whatever is written is read back as the same value, and written again as the same bytes. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Acl,
  type ConnectRequest,
  type ConnectResponse,
  decodeTxn,
  encodeTxn,
  type MultiOp,
  OpCode,
  type OpResult,
  opOf,
  Reader,
  type ReplyBody,
  type Request,
  readConnectRequest,
  readConnectResponse,
  readMultiHeader,
  readReplyBody,
  readReplyFrame,
  readReplyHeader,
  readRequestFrame,
  readWatcherEvent,
  type SessionId,
  type Stat,
  type Txn,
  type TxnBody,
  txnType,
  type WatcherEvent,
  Writer,
  writeConnectRequest,
  writeConnectResponse,
  writeMultiHeader,
  writeReplyBody,
  writeReplyFrame,
  writeReplyHeader,
  writeRequestFrame,
  writeWatcherEvent,
  type Zxid,
} from '../src/index.ts'
import { hexOfBytes } from './golden.ts'
import { viewRequest } from './view-as-request.ts'

const int = fc.integer()
const text = fc.string({ unit: 'binary', maxLength: 12 })
const textOrNull = fc.option(text)
const bytes = fc.uint8Array({ maxLength: 40 }).map(raw => Uint8Array.from(raw))
const data = fc.option(bytes)
const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const zxid = long as fc.Arbitrary<Zxid>
const session = long as fc.Arbitrary<SessionId>
const measure = fc.maxSafeInteger()
const texts = fc.array(text, { maxLength: 4 })
const acl: fc.Arbitrary<readonly Acl[] | null> = fc.option(
  fc.array(fc.record({ perms: int, scheme: textOrNull, id: textOrNull }), { maxLength: 3 }),
)

const stat: fc.Arbitrary<Stat> = fc.record({
  czxid: zxid,
  mzxid: zxid,
  ctime: measure,
  mtime: measure,
  version: int,
  cversion: int,
  aversion: int,
  ephemeralOwner: session,
  dataLength: int,
  numChildren: int,
  pzxid: zxid,
})

function kind<K extends string>(...kinds: readonly K[]): fc.Arbitrary<K> {
  return fc.constantFrom(...kinds)
}

const multiOp: fc.Arbitrary<MultiOp> = fc.oneof(
  fc.record({
    kind: kind('create'),
    op: fc.constantFrom(OpCode.Create, OpCode.Create2, OpCode.CreateContainer),
    path: text,
    data,
    acl,
    flags: int,
  }),
  fc.record({ kind: kind('createTtl'), path: text, data, acl, flags: int, ttlMs: measure }),
  fc.record({ kind: kind('delete'), path: text, version: int }),
  fc.record({ kind: kind('setData'), path: text, data, version: int }),
  fc.record({ kind: kind('check'), path: text, version: int }),
)

const request: fc.Arbitrary<Request> = fc.oneof(
  multiOp,
  fc.record({
    kind: kind('exists', 'getData', 'getChildren', 'getChildren2'),
    path: text,
    watch: fc.boolean(),
  }),
  fc.record({ kind: kind('setAcl'), path: text, acl, version: int }),
  fc.record({ kind: kind('getAcl', 'sync', 'getEphemerals', 'getAllChildrenNumber'), path: text }),
  fc.record({ kind: kind('multi'), ops: fc.array(multiOp, { maxLength: 4 }) }),
  fc.record({
    kind: kind('multiRead'),
    ops: fc.array(fc.record({ kind: kind('getData', 'getChildren'), path: text, watch: fc.boolean() }), {
      maxLength: 4,
    }),
  }),
  fc.record({
    kind: kind('reconfig'),
    joiningServers: textOrNull,
    leavingServers: textOrNull,
    newMembers: textOrNull,
    configId: long,
  }),
  fc.record(
    {
      kind: kind('setWatches'),
      relativeZxid: zxid,
      data: texts,
      exist: texts,
      child: texts,
      persistent: fc.record({ plain: texts, recursive: texts }),
    },
    { requiredKeys: ['kind', 'relativeZxid', 'data', 'exist', 'child'] },
  ),
  fc.record({ kind: kind('addWatch'), path: text, mode: int }),
  fc.record({ kind: kind('checkWatches', 'removeWatches'), path: text, type: int }),
  fc.record({ kind: kind('auth'), scheme: text, auth: data }),
  fc.record({ kind: kind('sasl'), token: data }),
  fc.record({ kind: kind('ping', 'whoAmI', 'closeSession') }),
)

test('requests, by objects and in place', () => {
  const seen = new Set<number>()

  fc.assert(
    fc.property(int, request, (xid, given) => {
      seen.add(opOf(given))
      const frame = write(w => writeRequestFrame(w, xid, given))
      const expected = { xid, op: opOf(given), request: given }

      expect(new DataView(frame.buffer).getInt32(0)).toBe(frame.length - 4)
      expect(readRequestFrame(frame, 4)).toEqual(expected)
      expect(viewRequest(frame, 4, frame.length)).toEqual(expected)
    }),
    { numRuns: 3000 },
  )

  const internal: readonly number[] = [
    OpCode.Notification,
    OpCode.DeleteContainer,
    OpCode.CreateSession,
    OpCode.Error,
  ]
  expect([...seen].sort(ascending)).toEqual(
    Object.values(OpCode)
      .filter(op => !internal.includes(op))
      .sort(ascending),
  )
})

const result: fc.Arbitrary<OpResult> = fc.oneof(
  fc.record({ kind: kind('created'), path: text, stat }, { requiredKeys: ['kind', 'path'] }),
  fc.record({ kind: kind('deleted', 'checked') }),
  fc.record({ kind: kind('set'), stat }),
  fc.record({ kind: kind('data'), data, stat }),
  fc.record({ kind: kind('children'), children: texts }),
  fc.record({ kind: kind('error'), err: int }),
)

/** Each body with the opcodes it answers. */
const bodies: readonly { readonly ops: readonly number[]; readonly body: fc.Arbitrary<ReplyBody> }[] = [
  { ops: [OpCode.Create, OpCode.Sync], body: fc.record({ kind: kind('path'), path: text }) },
  {
    ops: [OpCode.Create2, OpCode.CreateContainer, OpCode.CreateTtl],
    body: fc.record({ kind: kind('pathStat'), path: text, stat }),
  },
  {
    ops: [OpCode.Exists, OpCode.SetData, OpCode.SetAcl],
    body: fc.record({ kind: kind('stat'), stat }),
  },
  { ops: [OpCode.GetData, OpCode.Reconfig], body: fc.record({ kind: kind('data'), data, stat }) },
  { ops: [OpCode.GetChildren], body: fc.record({ kind: kind('children'), children: texts }) },
  { ops: [OpCode.GetChildren2], body: fc.record({ kind: kind('children'), children: texts, stat }) },
  {
    ops: [OpCode.GetAcl],
    body: fc.record({ kind: kind('acl'), acl: acl.map(list => list ?? []), stat }),
  },
  { ops: [OpCode.GetEphemerals], body: fc.record({ kind: kind('ephemerals'), paths: texts }) },
  { ops: [OpCode.GetAllChildrenNumber], body: fc.record({ kind: kind('number'), number: int }) },
  {
    ops: [OpCode.WhoAmI],
    body: fc.record({
      kind: kind('clientInfo'),
      infos: fc.array(fc.record({ scheme: text, user: text }), { maxLength: 3 }),
    }),
  },
  { ops: [OpCode.AddWatch], body: fc.record({ kind: kind('error'), err: int }) },
  {
    ops: [OpCode.Multi, OpCode.MultiRead],
    body: fc.record({ kind: kind('results'), results: fc.array(result, { maxLength: 5 }) }),
  },
  { ops: [OpCode.Sasl], body: fc.record({ kind: kind('token'), token: data }) },
  {
    ops: [OpCode.Delete, OpCode.Ping, OpCode.CheckWatches, OpCode.RemoveWatches, OpCode.CloseSession],
    body: fc.record({ kind: kind('none') }),
  },
]

describe('replies', () => {
  for (const { ops, body } of bodies) {
    test(`to ${ops.join(', ')}`, () => {
      fc.assert(
        fc.property(fc.constantFrom(...ops), fc.record({ xid: int, zxid }), body, (op, head, given) => {
          const header = { ...head, err: 0 }
          const frame = write(w => writeReplyFrame(w, header, given))
          const again = write(w => writeReplyBody(w, given))

          expect(readReplyFrame(op, frame, 4)).toEqual({ header, body: given })
          expect(readReplyBody(new Reader(again), op)).toEqual(given)
        }),
      )
    })
  }

  test('an error is the header alone', () => {
    fc.assert(
      fc.property(
        fc.record({ xid: int, zxid, err: int.filter(err => err !== 0) }),
        fc.oneof(...bodies.map(entry => entry.body)),
        (header, body) => {
          const frame = write(w => writeReplyFrame(w, header, body))
          expect(frame.length).toBe(20)
          expect(readReplyFrame(OpCode.GetData, frame, 4)).toEqual({ header, body: { kind: 'none' } })
        },
      ),
    )
  })
})

test('handshakes, with and without the read-only byte', () => {
  const common = { protocolVersion: int, timeoutMs: int, sessionId: session, password: data }
  const readOnly = fc.option(fc.boolean(), { nil: undefined })
  const asked: fc.Arbitrary<ConnectRequest> = fc.record({ ...common, lastZxidSeen: zxid, readOnly })
  const answered: fc.Arbitrary<ConnectResponse> = fc.record({ ...common, readOnly })
  fc.assert(
    fc.property(asked, answered, (request, response) => {
      expect(readConnectRequest(new Reader(write(w => writeConnectRequest(w, request))))).toEqual(request)
      expect(readConnectResponse(new Reader(write(w => writeConnectResponse(w, response))))).toEqual(response)
    }),
  )
})

test('headers and events', () => {
  const event: fc.Arbitrary<WatcherEvent> = fc.record({ type: int, state: int, path: text })
  const header = fc.record({ xid: int, zxid, err: int })
  const multiHeader = fc.record({ type: int, isDone: fc.boolean(), err: int })
  fc.assert(
    fc.property(header, event, multiHeader, (reply, watch, multi) => {
      const r = new Reader(
        write(w => {
          writeReplyHeader(w, reply)
          writeWatcherEvent(w, watch)
          writeMultiHeader(w, multi)
        }),
      )
      expect([readReplyHeader(r), readWatcherEvent(r), readMultiHeader(r)]).toEqual([reply, watch, multi])
      expect(r.remaining).toBe(0)
    }),
  )
})

const flatTxn: fc.Arbitrary<TxnBody> = fc.oneof(
  fc.record({
    kind: kind('create'),
    type: fc.constantFrom(OpCode.Create, OpCode.Create2),
    path: text,
    data,
    acl,
    isEphemeral: fc.boolean(),
    parentCversion: int,
  }),
  fc.record({ kind: kind('createContainer'), path: text, data, acl, parentCversion: int }),
  fc.record({ kind: kind('createTtl'), path: text, data, acl, parentCversion: int, ttlMs: measure }),
  fc.record({ kind: kind('delete', 'deleteContainer'), path: text }),
  fc.record({ kind: kind('setData', 'reconfig'), path: text, data, version: int }),
  fc.record({ kind: kind('setAcl'), path: text, acl, version: int }),
  fc.record({ kind: kind('check'), path: text, version: int }),
  fc.record({ kind: kind('error'), err: int }),
)
const txnBody: fc.Arbitrary<TxnBody> = fc.oneof(
  flatTxn,
  fc.record({ kind: kind('createSession'), timeoutMs: int }),
  // No ephemeral has an empty path: with two of them a list would look like a digest.
  fc.record({
    kind: kind('closeSession'),
    paths: fc.option(
      texts.map(list => list.map(path => `/${path}`)),
      { nil: undefined },
    ),
  }),
  fc.record({ kind: kind('multi'), txns: fc.array(flatTxn, { maxLength: 4 }) }),
)
const txn: fc.Arbitrary<Txn> = fc
  .record({
    head: fc.record({ session, cxid: int, zxid, timeMs: measure }),
    body: txnBody,
    digest: fc.option(
      fc.record({ version: fc.constant(2), treeDigest: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
      { nil: undefined },
    ),
  })
  .map(({ head, body, digest }) => ({ header: { ...head, type: txnType(body) }, body, digest }))

test('txns, with and without a digest', () => {
  fc.assert(
    fc.property(txn, given => {
      const payload = encodeTxn(given)
      expect(decodeTxn(payload)).toEqual(given)
      expect(hexOfBytes(encodeTxn(decodeTxn(payload)))).toBe(hexOfBytes(payload))
    }),
    { numRuns: 3000 },
  )
})

function write(into: (w: Writer) => void): Uint8Array {
  const w = new Writer()
  into(w)
  return w.written()
}

function ascending(a: number, b: number): number {
  return a - b
}
