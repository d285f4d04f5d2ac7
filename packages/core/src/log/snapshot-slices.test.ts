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

  const written = disk
    .askedIn('data')
    .flatMap(call => (call.call === 'write' ? [call.pieces[0]?.length ?? 0] : []))

  expect(run.log.counters.snapshots).toBeGreaterThan(1)
  expect(written.length).toBeGreaterThan(4)
  expect(Math.max(...written)).toBeLessThan(1500 * 100)
  run.stop()
  run.untilIdle()
  const again = new LogRun(disk, { storage: {}, seed: 1 }).untilIdle()
  expect(again.sessions).toEqual(sessions)
})
