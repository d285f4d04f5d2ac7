/** What a connection asked for and never got goes with it: whoever comes next at its slot hears nothing of it. */
import { encodeUtf8, OpCode, openAcl, type Request, type Zxid } from '@corral/protocol'
import { expect, test } from 'vitest'
import { defaultConfig } from '../src/config.ts'
import { OneServer } from './one-server.ts'

const replay: Request = { kind: 'setWatches', relativeZxid: 0n as Zxid, data: [], exist: [], child: [] }
const watchRoot: Request = { kind: 'getChildren2', path: '/', watch: true }
const createA: Request = {
  kind: 'create',
  op: OpCode.Create,
  path: '/a',
  data: encodeUtf8('x'),
  acl: openAcl,
  flags: 0,
}

test('a read that was held back behind the handshake sets no watch when the connection is closed within its step', () => {
  const one = new OneServer()
  const gone = one.open(1)
  one.connect(gone)
  // It makes what follows wait for the handshake's own write.
  one.request(gone, 1, replay)
  one.request(gone, 2, watchRoot)
  // Shorter than any request: the connection is closed.
  one.receive(gone, Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 3))
  one.disk()
  expect(gone.isClosed).toBe(true)

  const next = one.client(2)
  one.request(next, 1, createA)
  one.disk()

  expect(next.inbox).toEqual([expect.stringMatching(/^reply 1 .* ok \/a$/)])
})

test('a connection that has had its share of the step in which it is closed is not paused after its end', () => {
  const one = new OneServer({ requestThrottle: { ...defaultConfig.requestThrottle, maxRequests: 3 } })
  const gone = one.client(1)
  one.request(gone, 1, { ...createA, path: '/big', data: new Uint8Array(600_000) })
  one.disk()
  // The reads wait for the write, the bad frame for the throttle, so all come in the step of the write.
  one.request(gone, 2, createA)
  for (const xid of [3, 4]) one.request(gone, xid, { kind: 'getData', path: '/big', watch: false })
  one.receive(gone, Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 3))
  one.effects.length = 0
  one.disk()

  expect(gone.isClosed).toBe(true)
  expect(one.effects.slice(one.effects.indexOf('close'))).toEqual(['close'])
})
