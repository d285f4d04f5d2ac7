/** The watches of connections that are gone are forgotten in parts, which nothing but the server itself may go on with. */
import type { Request, Zxid } from '@corral/protocol'
import { expect, test } from 'vitest'
import { OneServer } from './one-server.ts'

const watchesEach = 20_001

test('connections with many watches that close together leave none, though nobody writes', () => {
  const one = new OneServer()
  const exist = Array.from({ length: watchesEach }, (_, i) => `/absent-${i}`)
  const replay: Request = { kind: 'setWatches', relativeZxid: 0n as Zxid, data: [], exist, child: [] }
  const peers = [1, 2, 3].map(id => one.client(id))
  for (const peer of peers) {
    one.request(peer, 1, replay)
    turns(one)
  }
  expect(one.server.inspect().watchCount()).toBe(peers.length * watchesEach)

  for (const { id } of peers) one.step({ kind: 'closed', conn: id })
  turns(one)

  expect(one.server.inspect().watchCount()).toBe(0)
})

/** As many as are asked for. */
function turns(one: OneServer): void {
  for (let i = 0; i < 10; i++) one.turn()
}
