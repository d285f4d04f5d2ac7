import { OpCode } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { CrashDisk } from '../../test/crash-disk.ts'
import { LogRun } from '../../test/log-run.ts'
import type { DirEntry } from '../disk.ts'
import { seededRandom } from '../random.ts'
import { planPurge } from './purge.ts'

const entries = (...names: string[]): DirEntry[] => names.map(name => ({ name, sizeBytes: 1 }))

function plan(given: {
  readonly data: string[]
  readonly log: string[]
  readonly verified: string[]
}): ReturnType<typeof planPurge> {
  return planPurge({
    data: entries(...given.data),
    log: entries(...given.log),
    verified: new Set(given.verified),
    retainCount: 3,
  })
}

describe('purge', () => {
  const data = ['snapshot.0', 'snapshot.c', 'snapshot.1c.gz', 'snapshot.28', 'snapshot.3b.snappy']
  const log = ['log.1', 'log.e', 'log.1e', 'log.2a', 'log.3d']

  test('keeps three verified snapshots, and the log that holds the successor of the oldest', () => {
    const verified = ['snapshot.1c.gz', 'snapshot.28', 'snapshot.3b.snappy']

    // log.e ends with 0x1d, which snapshot.1c does not hold.
    expect(plan({ data, log, verified })).toEqual({
      logs: ['log.1'],
      snapshots: ['snapshot.0', 'snapshot.c'],
    })
  })

  test('counts none that nobody verified, and keeps them beside', () => {
    const verified = ['snapshot.c', 'snapshot.28', 'snapshot.3b.snappy']

    expect(plan({ data, log, verified })).toEqual({ logs: [], snapshots: ['snapshot.0'] })
  })

  test('removes nothing while fewer are verified than must be kept', () => {
    expect(plan({ data, log, verified: ['snapshot.28', 'snapshot.3b.snappy'] })).toEqual({
      logs: [],
      snapshots: [],
    })
    expect(plan({ data, log, verified: [] })).toEqual({ logs: [], snapshots: [] })
  })

  test('counts a verified file only while it is there', () => {
    const verified = ['snapshot.28', 'snapshot.3b.snappy', 'snapshot.99']

    expect(plan({ data, log, verified })).toEqual({ logs: [], snapshots: [] })
  })

  test('sorts by number, not by name, and leaves every other name alone', () => {
    const given = {
      data: [
        'snapshot.9',
        'snapshot.10',
        'snapshot.100',
        'snapshot.1000',
        'snapshot.1.tmp',
        'currentEpoch',
        'snapshot.x',
      ],
      log: ['log.5', 'log.10', 'log.11', 'log.101', 'log.5.fixed', 'damaged-log.1'],
      verified: ['snapshot.10', 'snapshot.100', 'snapshot.1000', 'snapshot.9'],
    }

    expect(plan(given)).toEqual({ logs: ['log.5'], snapshots: ['snapshot.9'] })
  })
})

describe('old files', () => {
  const data = new Uint8Array(10)
  const acl = [{ perms: 31, scheme: 'world', id: 'anyone' }]
  const storage = { snapCount: 6, preAllocBytes: 0 }

  function append(run: LogRun, count: number): void {
    for (let i = 0; i < count; i++) {
      run.append(id => ({
        kind: 'create',
        type: OpCode.Create,
        path: `/n${id}`,
        data,
        acl,
        isEphemeral: false,
        parentCversion: -1,
      }))
      run.untilIdle()
    }
  }

  /** Snapshots, and the logs to all of them, after an orderly stop. */
  const image = imageOf()

  function imageOf(): ReturnType<CrashDisk['image']> {
    const run = new LogRun(new CrashDisk(), {
      storage: { ...storage, purge: undefined },
      seed: 1,
    }).untilIdle()
    append(run, 30)
    run.stop()
    run.untilIdle()
    return run.disk.image()
  }

  function start(disk: CrashDisk): LogRun {
    return new LogRun(disk, { storage: { ...storage, purge: { retainCount: 1 } }, seed: 1 })
  }

  test('are gone after a start', () => {
    expect(image.get('data')?.size).toBeGreaterThan(5)

    const run = start(new CrashDisk(image)).untilIdle()

    expect(run.disk.namesIn('data')).toHaveLength(1)
    expect(run.disk.namesIn('log').length).toBeLessThanOrEqual(2)
    expect(run.lastZxid).toBe(30n)
  })

  test('go in an order in which each snapshot that is left has its logs, wherever the power fails', () => {
    const whole = start(new CrashDisk(image)).untilIdle()
    const seen = new Set<string>()
    for (let calls = 0; calls <= whole.disk.carriedOut; calls++) {
      for (let draw = 0; draw < 8; draw++) {
        const disk = new CrashDisk(image)
        const run = start(disk)
        while (disk.carriedOut < calls) run.step()
        const after = disk.crash({ kind: 'power loss', random: seededRandom(100 * calls + draw) })
        const snapshots = after.namesIn('data').filter(name => name.startsWith('snapshot.'))
        const left = [...snapshots, ...after.namesIn('log')].join(' ')
        if (seen.has(left)) continue
        seen.add(left)
        for (const name of snapshots) {
          const alone = new CrashDisk(after.image())
          for (const other of snapshots) if (other !== name) alone.drop('data', other)

          const again = new LogRun(alone, { storage: { ...storage, purge: undefined }, seed: 1 }).untilIdle()

          expect(again.fatal).toBeUndefined()
          expect(again.lastZxid).toBe(30n)
        }
      }
    }
    expect(seen.size).toBeGreaterThan(8)
  })

  test('that cannot be removed are reported as such, and tried again after the next snapshot', () => {
    const disk = new CrashDisk(image)
    disk.isFailing = call => call.call === 'remove' && call.name.startsWith('snapshot.')
    const run = start(disk).untilIdle()
    append(run, 2 * storage.snapCount)
    const errors = run.said.filter(({ level }) => level === 'error')

    expect(run.lastZxid).toBe(42n)
    expect(run.log.counters.snapshots).toBeGreaterThan(0)
    expect(errors.length).toBeGreaterThan(1)
    expect(new Set(errors.map(({ what }) => what))).toEqual(new Set(['old files could not be purged']))
    expect(disk.namesIn('log')).toContain('log.1')
    disk.isFailing = () => false
    append(run, 2 * storage.snapCount)
    expect(disk.namesIn('data').length).toBeLessThanOrEqual(2)
    expect(disk.namesIn('log')).not.toContain('log.1')
  })
})
