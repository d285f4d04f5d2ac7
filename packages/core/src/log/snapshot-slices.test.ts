import { OpCode, sessionId } from '@corral/protocol'
import { expect, test } from 'vitest'
import { LogRun } from '../../test/log-run.ts'
import { WatchedDisk } from '../../test/watched-disk.ts'

test('no step of a snapshot writes more than a slice, of sessions, ACLs or znodes', () => {
  const disk = new WatchedDisk()
  const run = new LogRun(disk, { storage: { preAllocBytes: 0, snapCount: 8000 }, seed: 1 }).untilIdle()
  for (let i = 1; i <= 30_000; i++) run.sessions.set(sessionId(BigInt(i)), i)
  const sessions = new Map(run.sessions)
  disk.asked.length = 0
  for (let i = 0; i < 8000; i++) {
    run.append(id => ({
      kind: 'create',
      type: OpCode.Create,
      path: `/n${id}`,
      data: new Uint8Array(10),
      acl: [{ perms: 31, scheme: 'ip', id: `10.0.${i >> 8}.${i & 255}` }],
      isEphemeral: false,
      parentCversion: -1,
    }))
    if (i % 500 === 499) run.untilIdle()
  }

  const written = writtenSlices(disk)
  expect(run.log.counters.snapshots).toBeGreaterThan(1)
  expect(written.length).toBeGreaterThan(4)
  expect(Math.max(...written)).toBeLessThan(1500 * 100)
  run.stop()
  run.untilIdle()
  const again = new LogRun(disk, { storage: {}, seed: 1 }).untilIdle()
  expect(again.sessions).toEqual(sessions)
})

test('a process begins with short slices, which grow with what it has written', () => {
  const sessionBytes = 12
  const disk = new WatchedDisk()
  const run = new LogRun(disk, { storage: { preAllocBytes: 0, snapCount: 100 }, seed: 1 }).untilIdle()
  for (let i = 1; i <= 80_000; i++) run.sessions.set(sessionId(BigInt(i)), i)
  disk.asked.length = 0
  const before = run.log.counters.snapshots
  while (run.log.counters.snapshots === before) {
    run.append(() => ({ kind: 'error', err: -101 }))
    run.untilIdle()
  }

  const ofSessions = writtenSlices(disk).slice(1, -1)
  expect(ofSessions[0]).toBeLessThan(100 * sessionBytes)
  for (const [i, bytes] of ofSessions.slice(1).entries())
    expect(bytes).toBeLessThan(1.1 * (ofSessions[i] as number))
  expect(Math.max(...ofSessions)).toBe(1500 * sessionBytes)
})

function writtenSlices(disk: WatchedDisk): number[] {
  return disk.askedIn('data').flatMap(call => (call.call === 'write' ? [call.pieces[0]?.length ?? 0] : []))
}
