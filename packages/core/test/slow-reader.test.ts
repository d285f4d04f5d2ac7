/** A client that takes its output as fast as it can, but never all of it: events come as fast as it reads. */
import { expect, test } from 'vitest'
import { OneServer } from './one-server.ts'

const kibibyte = 1024

test('it is heard again when most of its output is taken, so its session does not expire', () => {
  const one = new OneServer()
  const peer = one.client(1, 6000)
  const unsent = (lengthBytes: number) => one.step({ kind: 'unsent', conn: peer.id, lengthBytes })
  unsent(2048 * kibibyte)
  for (let beat = 0; beat < 12; beat++) {
    one.request(peer, -2, { kind: 'ping' })
    one.pass(1000)
    unsent((beat % 2 === 0 ? 300 : 400) * kibibyte)
  }

  one.disk()
  expect(one.server.inspect().sessionCount()).toBe(1)
  expect(peer.inbox.length).toBe(12)
})

test('it is not heard while it has taken only little', () => {
  const one = new OneServer()
  const peer = one.client(1)
  one.step({ kind: 'unsent', conn: peer.id, lengthBytes: 2048 * kibibyte })
  one.request(peer, 1, { kind: 'ping' })
  one.step({ kind: 'unsent', conn: peer.id, lengthBytes: 900 * kibibyte })
  one.turn()

  expect(peer.inbox).toEqual([])
})
