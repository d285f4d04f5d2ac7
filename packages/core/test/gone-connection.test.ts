/** What a connection asked for and never got goes with it: whoever comes next at its slot hears nothing of it. */
import { encodeUtf8, OpCode, openAcl, type Request, type Zxid } from '@corral/protocol'
import { expect, test } from 'vitest'
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
