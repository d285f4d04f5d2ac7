import { sessionId, zxid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { MadeHistory, settings, spoil } from '../../test/made-history.ts'
import type { ConnectionRecord } from '../history.ts'
import { checkHandshakes } from './handshakes.ts'

interface Good {
  readonly history: MadeHistory
  readonly first: ConnectionRecord
  /** The same session, on another connection. */
  readonly second: ConnectionRecord
  /** It asked for the session after its end. */
  readonly late: ConnectionRecord
}

function aGoodHistory(): Good {
  const history = new MadeHistory()
  const first = history.connect('ann', 100n) // zxid 1
  history.answer(history.ask(first, { kind: 'ping' }), 1n)
  const second = again(history, 1n)
  history.event(second, 1n, 1, '/a')
  history.answer(history.ask(second, { kind: 'sync', path: '/' }), 1n)
  history.commit({ kind: 'closeSession', paths: [] }, sessionId(100n), 0) // zxid 2
  const late = again(history, 1n)
  if (late.response !== undefined)
    late.response = { ...late.response, timeoutMs: 0, sessionId: sessionId(0n) }
  return { history, first, second, late }
}

function again(history: MadeHistory, lastZxidSeen: bigint): ConnectionRecord {
  const connection = history.reconnect('ann', 100n)
  const { request } = connection
  if (request !== undefined) {
    const asked = {
      sessionId: sessionId(100n),
      password: new Uint8Array(16),
      lastZxidSeen: zxid(lastZxidSeen),
    }
    connection.request = { ...request, ...asked }
  }
  return connection
}

function rules({ history }: Good): readonly string[] {
  return checkHandshakes({ history, committed: history.committed, settings }).map(({ rule }) => rule)
}

test('a good history is accepted', () => {
  expect(rules(aGoodHistory())).toEqual([])
})

function respond(connection: ConnectionRecord, change: Partial<ConnectionRecord['response']>): void {
  const { response } = connection
  if (response !== undefined) connection.response = { ...response, ...change }
}

function ask(connection: ConnectionRecord, change: Partial<ConnectionRecord['request']>): void {
  const { request } = connection
  if (request !== undefined) connection.request = { ...request, ...change }
}

describe('a spoilt history is rejected', () => {
  const spoilers: readonly [string, string, (good: Good) => void][] = [
    ['P9', 'a session that lives is said to be gone', ({ second }) => respond(second, { timeoutMs: 0 })],
    ['P9', 'a new session is refused', ({ first }) => respond(first, { timeoutMs: 0 })],
    [
      'P9',
      'one that has ended comes back',
      good => respond(good.late, { timeoutMs: 1000, sessionId: sessionId(100n) }),
    ],
    [
      'P9',
      'a client gets another session under its handle',
      ({ second }) => respond(second, { sessionId: sessionId(7n) }),
    ],
    [
      'S8',
      'a wrong password is taken',
      ({ second }) => ask(second, { password: new Uint8Array(16).fill(1) }),
    ],
    ['S8', 'a client from the future is welcomed', ({ second }) => ask(second, { lastZxidSeen: zxid(2n) })],
    [
      'session',
      'a timeout beyond the bounds is granted',
      ({ first }) => respond(first, { timeoutMs: 50_000 }),
    ],
    [
      'P2',
      'a session that came back was answered from before a write of its lost connection',
      ({ history, first }) => {
        const { xid } = history.ask(first, { kind: 'setData', path: '/a', data: null, version: -1 })
        history.commit({ kind: 'setData', path: '/a', data: null, version: 1 }, sessionId(100n), xid)
      },
    ],
    [
      'S2',
      'a reply names an earlier zxid than an event before it',
      ({ second }) => {
        const event = second.arrivals[0]
        if (event?.kind === 'event') spoil(event).zxid = zxid(2n)
      },
    ],
    [
      'S2',
      'another connection of the session begins earlier than the last one ended',
      ({ first }) => {
        const reply = first.arrivals[0]
        if (reply?.kind === 'reply') spoil(reply).header = { ...reply.header, zxid: zxid(2n) }
      },
    ],
  ]

  test.each(spoilers)('%s: %s', (rule, _what, spoiler) => {
    const good = aGoodHistory()

    spoiler(good)

    expect(rules(good)).toContain(rule)
  })
})
