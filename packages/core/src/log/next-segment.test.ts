/** The segment that is made ahead, where it meets a stop or a crash. */
import { OpCode } from '@corral/protocol'
import { expect, test } from 'vitest'
import { LogRun } from '../../test/log-run.ts'
import { WatchedDisk } from '../../test/watched-disk.ts'
import type { StorageConfig } from '../config.ts'

const acl = [{ perms: 31, scheme: 'world', id: 'anyone' }]

/** Rolls after each txn, as soon as the next segment is made. */
function serving(storage: Partial<StorageConfig> = {}): { readonly run: LogRun; readonly disk: WatchedDisk } {
  const disk = new WatchedDisk()
  const given = { preAllocBytes: 0, txnLogSizeLimitBytes: 1, ...storage }
  return { disk, run: new LogRun(disk, { storage: given, seed: 1 }).untilIdle() }
}

function work(run: LogRun, txns: number): void {
  for (let i = 0; i < txns; i++) {
    run.append(id => ({
      kind: 'create',
      type: OpCode.Create,
      path: `/n${id}`,
      data: new Uint8Array(10),
      acl,
      isEphemeral: false,
      parentCversion: -1,
    }))
    run.untilIdle()
  }
}

function count(disk: WatchedDisk, call: 'open' | 'close'): number {
  return disk.asked.filter(asked => asked.call === call).length
}

test('a stop leaves no file open, and none that is no log', () => {
  const { run, disk } = serving()
  work(run, 5)
  expect(count(disk, 'open')).toBeGreaterThan(count(disk, 'close'))

  run.stop()
  run.untilIdle()

  expect(run.isStopped).toBe(true)
  expect(count(disk, 'close')).toBe(count(disk, 'open'))
  expect(disk.namesIn('log')).toEqual(['log.1', 'log.2', 'log.3', 'log.4', 'log.5'])
})

test('a stop waits for the segment that is being made', () => {
  const { run, disk } = serving({ txnLogSizeLimitBytes: 200 })
  work(run, 1)
  disk.isStuck = call => call.call === 'sync'
  work(run, 1)
  run.stop()
  run.untilIdle()
  expect(run.isStopped).toBe(false)

  disk.isStuck = () => false
  run.untilIdle()

  expect(run.isStopped).toBe(true)
  expect(count(disk, 'close')).toBe(count(disk, 'open'))
  expect(disk.namesIn('log')).toEqual(['log.1'])
})

test('a simulation may ask for it before any limit does', () => {
  const disk = new WatchedDisk()
  const run = new LogRun(disk, { storage: {}, seed: 1, marks: ['log: roll early'] }).untilIdle()
  work(run, 3)

  expect(disk.namesIn('log')).toEqual(['log.1', 'log.2', 'log.3', 'tmp-log.next'])
})
