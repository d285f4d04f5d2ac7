import { seededRandom } from '@corral/core'
import { encodeUtf8 } from '@corral/protocol'
import { expect, test } from 'vitest'
import { SimDisk } from './disk.ts'
import { healthyDisk } from './disk-options.ts'
import { LiveCopy } from './live-copy.ts'
import { Scheduler } from './scheduler.ts'
import { Trace } from './trace.ts'
import { Volume } from './volume.ts'

/** Some pieces, however long they are. */
const fileBytes = 8 * 65_536

function aVolume(): Volume {
  const volume = new Volume()
  volume.directories.log.link('log.1').write(0, new Uint8Array(fileBytes).fill(1))
  volume.directories.data.link('snapshot.0').write(0, encodeUtf8('whole'))
  return volume
}

/** @param meanwhile - is run after so many steps */
function copyOf(volume: Volume, seed: number, steps = 0, meanwhile = (): void => undefined): Volume {
  const scheduler = new Scheduler(new Trace())
  const copies: Volume[] = []
  new LiveCopy({ volume, scheduler, random: seededRandom(seed), done: copy => copies.push(copy) })
  for (let i = steps; i > 0; i--) scheduler.step(1e6)
  meanwhile()
  while (scheduler.step(1e6));
  expect(copies).toHaveLength(1)
  return copies[0] as Volume
}

test('every file is of its own instant, and every piece of it', () => {
  const seen = new Set<string>()
  for (let seed = 1; seed <= 60; seed++) {
    const volume = aVolume()
    const copy = copyOf(volume, seed, seed % 12, () => {
      volume.inode('log', 'log.1').write(0, new Uint8Array(fileBytes).fill(2))
      volume.directories.data.unlink('snapshot.0')
      volume.directories.data.link('snapshot.5')
    })

    const log = copy.content('log', 'log.1') ?? new Uint8Array(0)
    expect(log.length).toBe(fileBytes)
    seen.add(`log ${[...new Set(log)].join(' then ')}`)
    for (const name of copy.names('data')) seen.add(name)
    seen.add(`${copy.names('data').length} snapshots`)
  }

  expect([...seen].sort()).toEqual([
    '0 snapshots',
    '1 snapshots',
    'log 1',
    'log 1 then 2',
    'log 2',
    'snapshot.0',
    'snapshot.5',
  ])
})

test('what is damaged is damaged in the copy, and what is lost is missed there', () => {
  const volume = aVolume()
  volume.spoil({ dir: 'log', name: 'log.1' }, { how: 'wrong', at: 70_000, lengthBytes: 1 }, Uint8Array.of(7))
  volume.destroy('data', 'snapshot.0')

  const copy = copyOf(volume, 1)

  expect(volume.damagedFiles().length).toBe(2)
  expect(copy.damagedFiles()).toEqual(volume.damagedFiles())
})

test('a copy ends with the power, and goes on when the server is killed', () => {
  for (const kind of ['kill', 'powerLoss'] as const) {
    const scheduler = new Scheduler(new Trace())
    const random = seededRandom(1)
    const disk = new SimDisk({
      scheduler,
      trace: new Trace(),
      random,
      options: healthyDisk,
      volume: aVolume(),
    })
    disk.startCopy(random)

    disk.crash(kind)
    while (scheduler.step(1e6));

    expect(disk.hasBackup).toBe(kind === 'kill')
    expect(disk.counters.copies).toBe(kind === 'kill' ? 1 : 0)
  }
})
