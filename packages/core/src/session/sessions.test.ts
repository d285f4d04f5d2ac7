import { type SessionId, serverId } from '@corral/protocol'
import { expect, test } from 'vitest'
import { Sessions } from './sessions.ts'

const tickMs = 1000

function someSessions(): Sessions {
  const sessions = new Sessions(tickMs)
  sessions.startIds(1n, 1_700_000_000_000, 0n as SessionId)
  return sessions
}

test('a silent session expires after its timeout and within one tick more', () => {
  const sessions = someSessions()
  const session = sessions.open(3000, 500)

  const early = sessions.expire(3500)
  const due = sessions.expire(4500)

  expect(early).toEqual([])
  expect(due).toEqual([session])
  expect(session.isClosing).toBe(true)
})

test('a touched session lives for its whole timeout from then on', () => {
  const sessions = someSessions()
  const session = sessions.open(3000, 0)

  sessions.touch(session, 2900)

  expect(sessions.expire(5900)).toEqual([])
  expect(sessions.expire(6900)).toEqual([session])
})

test('no bucket is skipped when the clock jumps over many', () => {
  const sessions = someSessions()
  const opened = [1000, 5000, 9000].map(timeoutMs => sessions.open(timeoutMs, 0))

  const expired = sessions.expire(100_000)

  expect(expired).toEqual(opened)
})

test('a removed session never expires', () => {
  const sessions = someSessions()
  const session = sessions.open(1000, 0)

  sessions.remove(session)

  expect(sessions.expire(10_000)).toEqual([])
  expect(sessions.get(session.id)).toBeUndefined()
})

test('the highest byte of a session id is the server, and ids count up', () => {
  const sessions = new Sessions(tickMs)
  sessions.startIds(serverId(5n), 1_700_000_000_000, 0n as SessionId)

  const [first, second] = [sessions.open(1000, 0), sessions.open(1000, 0)]

  expect(first.id >> 56n).toBe(5n)
  expect(second.id).toBe(first.id + 1n)
})

test('a clock that went back does not bring ids back', () => {
  const before = someSessions().open(1000, 0).id
  const sessions = new Sessions(tickMs)
  sessions.startIds(1n, 1_600_000_000_000, before)

  const after = sessions.open(1000, 0).id

  expect(after > before).toBe(true)
})

test('a session expires though the clock went back, for a stall, after the first one was opened', () => {
  const sessions = new Sessions(1000)
  sessions.open(10_000, 50_000)
  const later = sessions.open(2000, 11_000)

  expect(sessions.expire(13_000)).toEqual([])
  expect(sessions.expire(14_000)).toEqual([later])
})
