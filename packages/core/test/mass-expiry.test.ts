/** Thousands of sessions that end in one beat, as when a network falls apart, are no long step. */
import { expect, test } from 'vitest'
import { defaultConfig } from '../src/config.ts'
import { OneServer } from './one-server.ts'

const clients = 2500
const expiry = 'a session expires'

test('sessions that expire together are ended a thousand a step, and all of them', () => {
  const one = new OneServer({ ...defaultConfig, maxClientCnxns: 0 })
  const peers = Array.from({ length: clients }, (_, i) => one.client(i + 1))
  const expired = (): number => one.said.filter(what => what === expiry).length

  while (expired() === 0) one.pass(100)
  const counts = [expired()]
  for (let i = 0; i < 2; i++) {
    one.turn()
    counts.push(expired())
  }

  expect(counts).toEqual([1000, 2000, clients])
  one.disk()
  for (let i = 0; i < 20; i++) one.turn()
  expect(peers.every(peer => peer.isClosed)).toBe(true)
  expect(one.server.inspect().sessionCount()).toBe(0)
})
