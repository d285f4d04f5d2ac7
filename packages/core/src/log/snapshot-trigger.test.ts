import { expect, test } from 'vitest'
import { defaultConfig, type StorageConfig } from '../config.ts'
import { seededRandom } from '../random.ts'
import { SnapshotTrigger } from './snapshot-trigger.ts'

const record = { records: 1, bytes: 100 }

/** After how many records each of the next snapshots is due. */
function distances(storage: Partial<StorageConfig>, count: number): number[] {
  const config = { ...defaultConfig.storage, ...storage }
  const trigger = new SnapshotTrigger({ config, random: seededRandom(1) })
  return Array.from({ length: count }, () => {
    let records = 1
    while (!trigger.count(record)) records++
    return records
  })
}

test('a snapshot is due somewhere in the upper half of the count, each time elsewhere', () => {
  const drawn = distances({ snapCount: 100 }, 200)

  expect(Math.min(...drawn)).toBeGreaterThan(50)
  expect(Math.max(...drawn)).toBeLessThanOrEqual(100)
  expect(new Set(drawn).size).toBeGreaterThan(30)
})

test('or in the upper half of the size, if that comes first', () => {
  const drawn = distances({ snapCount: 1_000_000, snapSizeLimitBytes: 10_000 }, 200)

  expect(Math.min(...drawn)).toBeGreaterThan(50)
  expect(Math.max(...drawn)).toBeLessThanOrEqual(101)
  expect(new Set(drawn).size).toBeGreaterThan(30)
})

test('a size of 0 counts for nothing', () => {
  expect(distances({ snapCount: 1000, snapSizeLimitBytes: 0 }, 20)).toEqual(
    distances({ snapCount: 1000, snapSizeLimitBytes: 1e12 }, 20),
  )
})
