import { describe, expect, test } from 'vitest'
import type { DirEntry } from '../disk.ts'
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
