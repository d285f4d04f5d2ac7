/** L2: a server that starts has the sessions that its txns left open, each with the timeout it was created with. */
import { hexText, type SessionId } from '@corral/protocol'
import type { Violation } from '../history.ts'

/** A reconnect negotiates another timeout for the live session only: it is not persisted. */
export type OpenSessions = ReadonlyMap<SessionId, number>

export interface HeldSession {
  readonly session: SessionId
  readonly timeoutMs: number
}

/** @param held - after a start, before any client came */
export function compareSessions(
  held: Iterable<HeldSession>,
  open: OpenSessions,
  when: string,
): readonly Violation[] {
  const violations: Violation[] = []
  const violate = (session: SessionId, problem: string): void => {
    const message = `${when}: session ${hexText(session)} ${problem}`
    if (violations.length < 5) violations.push({ rule: 'L2', message })
  }
  const missing = new Map(open)
  for (const { session, timeoutMs } of held) {
    const createdWithMs = missing.get(session)
    if (createdWithMs === undefined) violate(session, 'should not exist')
    else if (timeoutMs !== createdWithMs)
      violate(session, `was created with ${createdWithMs} ms, and has ${timeoutMs} ms`)
    missing.delete(session)
  }
  for (const session of missing.keys()) violate(session, 'is missing')
  return violations
}
