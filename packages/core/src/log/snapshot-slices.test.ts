import { OpCode, sessionId } from '@corral/protocol'
import { expect, test } from 'vitest'
import { LogRun } from '../../test/log-run.ts'
import { WatchedDisk } from '../../test/watched-disk.ts'
import { seededRandom } from '../random.ts'

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

test('sessions may come and go between the slices of a snapshot', () => {
  const disk = new WatchedDisk()
  const marks = ['log: tiny snapshot slice']
  const run = new LogRun(disk, { storage: { snapCount: 40 }, seed: 1, marks }).untilIdle()
  const open = (id: bigint): void => {
    run.append(() => ({ kind: 'createSession', timeoutMs: Number(id) }), id)
    run.sessions.set(sessionId(id), Number(id))
  }
  const close = (id: bigint): void => {
    run.append(() => ({ kind: 'closeSession', paths: [] }), id)
    run.sessions.delete(sessionId(id))
  }
  for (let id = 1n; id <= 20n; id++) open(id)
  run.untilIdle()

  for (let id = 21n; run.log.counters.snapshots < 4; id++) {
    open(id)
    close(id - 20n)
    for (let steps = 0; steps < 6; steps++) run.step()
  }

  while (run.told < run.log.lastZxid) run.step()
  expect(run.log.counters.snapshots).toBe(4) // the newest was taken meanwhile
  const again = new LogRun(disk.crash({ kind: 'kill', random: seededRandom(1) }), { storage: {}, seed: 1 })
  again.untilIdle()
  expect(again.recovered).toBeDefined()
  expect(again.said.filter(({ level }) => level !== 'info')).toEqual([])
  expect(again.sessions).toEqual(run.sessions)
})
