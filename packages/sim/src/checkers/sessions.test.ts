import { sessionId } from '@corral/protocol'
import { expect, test } from 'vitest'
import { compareSessions, type HeldSession } from './sessions.ts'

const one: HeldSession = { session: sessionId(1n), timeoutMs: 4000 }
const two: HeldSession = { session: sessionId(2n), timeoutMs: 6000 }

/** Where the txns left open the first of the two only. */
function problemsOf(held: readonly HeldSession[]): readonly string[] {
  const open = new Map([[one.session, one.timeoutMs]])
  return compareSessions(held, open, 'now').map(({ rule, message }) => `${rule} ${message}`)
}

test('sessions as they were left are right', () => {
  expect(problemsOf([one])).toEqual([])
})

test('L2: another timeout is refused', () => {
  expect(problemsOf([{ ...one, timeoutMs: 4001 }])).toEqual([
    'L2 now: session 0x1 was created with 4000 ms, and has 4001 ms',
  ])
})

test('L2: a session that is lost is refused', () => {
  expect(problemsOf([])).toEqual(['L2 now: session 0x1 is missing'])
})

test('L2: a session that was closed is refused', () => {
  expect(problemsOf([one, two])).toEqual(['L2 now: session 0x2 should not exist'])
})
