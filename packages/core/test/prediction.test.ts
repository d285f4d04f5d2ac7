/**
 * Each txn carries the digest that prepare predicted from pending changes; a server that starts on the log computes
 * the digests again. Whatever clients pipelined, the two must agree, txn by txn.
 */
import { encodeUtf8, type MultiOp, OpCode, openAcl, type Request, readAcl } from '@corral/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { OneServer, type Peer } from './one-server.ts'

const path = fc.constantFrom('/a', '/b', '/a/x', '/a/y', '/b/x', '/a/x/deep', '/zookeeper/quota/q')
const data = fc.constantFrom(null, '', 'v', 'a longer value')
const version = fc.constantFrom(-1, -1, 0, 1)

const multiOp: fc.Arbitrary<MultiOp> = fc.oneof(
  fc.record({ path, data, flags: fc.constantFrom(0, 1, 2, 4) }).map(create),
  fc.record({ path, version }).map(r => ({ kind: 'delete', ...r }) as const),
  fc.record({ path, data, version }).map(setData),
  fc.record({ path, version }).map(r => ({ kind: 'check', ...r }) as const),
)

const failing: MultiOp = { kind: 'check', path: '/a', version: 99 }
const childOfA: MultiOp = create({ path: '/a/x', data: 'v', flags: 0 })

const anyRequest: fc.Arbitrary<Request> = fc.oneof(
  { weight: 6, arbitrary: multiOp.filter(op => op.kind !== 'check') },
  fc
    .record({ path, version })
    .map(r => ({ kind: 'setAcl', acl: r.version === 0 ? readAcl : openAcl, ...r }) as const),
  fc.array(multiOp, { maxLength: 5 }).map(ops => ({ kind: 'multi', ops }) as const),
)

/** What happens to the server: a request of one of two clients, the disk, a client that goes. */
const anyEvent = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ kind: fc.constant('request'), client: fc.nat(1), request: anyRequest }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: 'disk' } as const) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('closeSession'), client: fc.nat(1) }) },
)

test('a log replays to the digests that its txns carry', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { minLength: 1, maxLength: 60 }), events => {
      const first = new OneServer()
      const clients: (Peer | undefined)[] = [first.client(1), first.client(2)]
      let xid = 1
      for (const event of events) {
        if (event.kind === 'disk') {
          first.disk()
          // Not before: to come back it would have to wait for the end of its session.
          for (const i of clients.keys()) clients[i] ??= first.client(2 + xid++)
          continue
        }
        const client = clients[event.client]
        if (client === undefined) continue
        const isEnd = event.kind === 'closeSession'
        first.request(client, xid++, isEnd ? { kind: 'closeSession' } : event.request)
        if (isEnd) clients[event.client] = undefined
      }
      first.disk()

      mustReplay(first)
    }),
    { numRuns: 150 },
  )
})

/** Asked for by two clients while nothing comes back from the disk, behind what is in the tree already. */
test.each<[string, readonly Request[], readonly (readonly [0 | 1, Request])[]]>([
  [
    'an ephemeral is made anew while the end of its session is outstanding',
    [ephemeral('/e')],
    [
      [0, { kind: 'closeSession' }],
      [1, ephemeral('/e')],
      [1, { kind: 'setData', path: '/e', data: bytes('v'), version: 0 }],
    ],
  ],
  [
    'a multi fails over a znode that an outstanding write has changed',
    [create({ path: '/a', data: null, flags: 0 })],
    [
      [0, setData({ path: '/a', data: 'v', version: 0 })],
      [1, { kind: 'multi', ops: [setData({ path: '/a', data: 'w', version: 1 }), failing] }],
      [0, setData({ path: '/a', data: 'x', version: 1 })],
    ],
  ],
  [
    'a multi fails over a znode, and over one that it made',
    [create({ path: '/a', data: null, flags: 0 })],
    [
      [0, { kind: 'multi', ops: [setData({ path: '/a', data: 'w', version: 0 }), childOfA, failing] }],
      [1, childOfA],
      [0, setData({ path: '/a', data: 'x', version: 0 })],
    ],
  ],
])('%s', (_, before, outstanding) => {
  const first = new OneServer()
  const clients = [first.client(1), first.client(2)] as const
  let xid = 1
  for (const request of before) first.request(clients[0], xid++, request)
  first.disk()
  for (const [client, request] of outstanding) first.request(clients[client], xid++, request)
  first.disk()

  const answers = clients.flatMap(({ inbox }) => inbox)
  expect(answers.filter(text => !/ ok\b/.test(text))).toEqual([])
  mustReplay(first)
})

function mustReplay(first: OneServer): void {
  const second = new OneServer({}, first.files)

  expect(second.ended).toBeUndefined()
  expect(second.server.inspect().lastZxid()).toBe(first.server.inspect().lastZxid())
  expect(second.server.inspect().storage().digestMismatches).toBe(0)
}

function ephemeral(path: string): MultiOp {
  return create({ path, data: null, flags: 1 })
}

function create(r: { readonly path: string; readonly data: string | null; readonly flags: number }): MultiOp {
  const op = r.flags === 4 ? OpCode.CreateContainer : OpCode.Create2
  return { kind: 'create', op, path: r.path, data: bytes(r.data), acl: openAcl, flags: r.flags }
}

function setData(r: {
  readonly path: string
  readonly data: string | null
  readonly version: number
}): MultiOp {
  return { kind: 'setData', path: r.path, data: bytes(r.data), version: r.version }
}

function bytes(text: string | null): Uint8Array | null {
  return text === null ? null : encodeUtf8(text)
}
