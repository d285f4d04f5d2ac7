/**
 * Each txn carries the digest that prepare predicted from pending changes; a server that starts on the log computes
 * the digests again. Whatever clients pipelined, the two must agree, txn by txn.
 */
import { encodeUtf8, type MultiOp, OpCode, openAcl, type Request, readAcl } from '@corral/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { OneServer } from './one-server.ts'

const path = fc.constantFrom('/a', '/b', '/a/x', '/a/y', '/b/x', '/a/x/deep', '/zookeeper/quota/q')
const data = fc.constantFrom(null, '', 'v', 'a longer value')
const version = fc.constantFrom(-1, -1, 0, 1)

const multiOp: fc.Arbitrary<MultiOp> = fc.oneof(
  fc.record({ path, data, flags: fc.constantFrom(0, 1, 2, 4) }).map(create),
  fc.record({ path, version }).map(r => ({ kind: 'delete', ...r }) as const),
  fc.record({ path, data, version }).map(setData),
  fc.record({ path, version }).map(r => ({ kind: 'check', ...r }) as const),
)

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
      const clients = [first.client(1), first.client(2)]
      let xid = 1
      for (const event of events) {
        if (event.kind === 'disk') first.disk()
        else if (event.kind === 'closeSession') {
          first.request(clients[event.client] as (typeof clients)[0], xid++, { kind: 'closeSession' })
          clients[event.client] = first.client(2 + xid)
        } else first.request(clients[event.client] as (typeof clients)[0], xid++, event.request)
      }
      first.disk()
      const zxid = first.server.inspect().lastZxid()

      const second = new OneServer({}, first.files)

      expect(second.ended).toBeUndefined()
      expect(second.server.inspect().lastZxid()).toBe(zxid)
      expect(second.server.inspect().storage().digestMismatches).toBe(0)
    }),
    { numRuns: 150 },
  )
})

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
