import { type DiskCall, type DiskResult, type FileId, seededRandom } from '@corral/core'
import { describe, expect, test } from 'vitest'
import { SimDisk } from './disk.ts'
import { type DiskOptions, healthyDisk } from './disk-options.ts'
import { Scheduler } from './scheduler.ts'
import { Trace } from './trace.ts'

function aDisk(options: Partial<DiskOptions> = {}, seed = 1) {
  const trace = new Trace()
  const scheduler = new Scheduler(trace)
  const disk = new SimDisk({
    scheduler,
    trace,
    random: seededRandom(seed),
    options: { ...healthyDisk, ...options },
  })
  const run = (): void => {
    while (scheduler.pending > 0 && scheduler.step(1e9));
  }
  const call = (what: DiskCall): DiskResult => {
    let result: DiskResult | undefined
    disk.submit(what, done => {
      result = done
    })
    run()
    if (result === undefined) throw new Error('the disk gave no answer')
    return result
  }
  const create = (name: string): FileId => {
    const result = call({ call: 'open', dir: 'log', name, mode: 'create', codec: 'plain' })
    return result.ok ? (result.file ?? -1) : -1
  }
  const write = (file: FileId, at: number, text: string, sync = false): DiskResult =>
    call({ call: 'write', file, at, pieces: [Buffer.from(text)], sync })
  const text = (name: string): string | undefined => {
    const content = disk.volume.content('log', name)
    return content === undefined ? undefined : Buffer.from(content).toString()
  }
  return { disk, scheduler, call, create, write, text, run }
}

describe('without faults', () => {
  test('a file is read as it was written, by any handle', () => {
    const { create, write, call } = aDisk()
    const file = create('a')
    write(file, 0, 'hello world')
    write(file, 6, 'there')

    const opened = call({ call: 'open', dir: 'log', name: 'a', mode: 'read', codec: 'plain' })
    const into = new Uint8Array(20)
    const read = call({ call: 'read', file: opened.ok ? (opened.file ?? -1) : -1, at: 0, into })

    expect(opened).toMatchObject({ ok: true, sizeBytes: 11 })
    expect(read).toEqual({ ok: true, count: 11 })
    expect(Buffer.from(into.subarray(0, 11)).toString()).toBe('hello there')
  })

  test('what is missing is said to be missing', () => {
    const { call } = aDisk()

    const opened = call({ call: 'open', dir: 'log', name: 'no', mode: 'update', codec: 'plain' })
    const renamed = call({ call: 'rename', dir: 'log', from: 'no', to: 'yes' })

    expect([opened, renamed]).toMatchObject([
      { ok: false, errno: 'ENOENT' },
      { ok: false, errno: 'ENOENT' },
    ])
  })

  test('lent buffers are copied: what their owner does to them later changes nothing', () => {
    const { disk, create, text, run } = aDisk()
    const file = create('a')
    const piece = Buffer.from('mine')

    disk.submit({ call: 'write', file, at: 0, pieces: [piece], sync: true }, () => undefined)
    piece.fill(0)
    run()

    expect(text('a')).toBe('mine')
  })

  test('calls on one file end in the order they were given', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const { disk, create, run } = aDisk({ meanLatencyMs: 10 }, seed)
      const file = create('a')
      const ended: number[] = []

      for (let i = 0; i < 8; i++) {
        disk.submit({ call: 'write', file, at: i, pieces: [Uint8Array.of(i)], sync: false }, () =>
          ended.push(i),
        )
      }
      run()

      expect(ended).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    }
  })
})

describe('after a power loss', () => {
  test('what was synced, name and content, is there', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const { disk, call, create, write, text } = aDisk({}, seed)
      const file = create('a')
      write(file, 0, 'safe', true)
      call({ call: 'syncDir', dir: 'log' })
      write(file, 4, ' and not')

      disk.crash('powerLoss')

      expect(text('a')?.slice(0, 4)).toBe('safe')
    }
  })

  test('a file whose directory was not synced may be gone, and may be there', () => {
    const outcomes = new Set<boolean>()
    for (let seed = 1; seed <= 50; seed++) {
      const { disk, create, write, text } = aDisk({}, seed)
      write(create('a'), 0, 'safe', true)

      disk.crash('powerLoss')

      outcomes.add(text('a') === 'safe')
    }
    expect(outcomes.size).toBe(2)
  })

  test('a large write survives in any subset of its pages', () => {
    const outcomes = new Set<string>()
    for (let seed = 1; seed <= 300; seed++) {
      const { disk, call, create, write, text } = aDisk({}, seed)
      const file = create('a')
      write(file, 0, '.'.repeat(3 * 4096), true)
      call({ call: 'syncDir', dir: 'log' })
      write(file, 0, 'x'.repeat(3 * 4096))

      disk.crash('powerLoss')

      const content = text('a') ?? ''
      outcomes.add([0, 1, 2].map(page => content[page * 4096]).join(''))
    }
    expect(outcomes).toEqual(new Set(['...', 'x..', '.x.', '..x', 'xx.', 'x.x', '.xx', 'xxx']))
  })

  test('a rename is wholly done or not at all', () => {
    const outcomes = new Set<string>()
    for (let seed = 1; seed <= 50; seed++) {
      const { disk, call, create, write } = aDisk({}, seed)
      write(create('a.tmp'), 0, 'new', true)
      call({ call: 'syncDir', dir: 'log' })
      call({ call: 'rename', dir: 'log', from: 'a.tmp', to: 'a' })

      disk.crash('powerLoss')

      outcomes.add(disk.volume.names('log').join())
    }
    expect(outcomes).toEqual(new Set(['a.tmp', 'a']))
  })
})

test('a killed process leaves everything pending in the page cache, still not durable', () => {
  const lost = new Set<boolean>()
  for (let seed = 1; seed <= 50; seed++) {
    const { disk, call, create, write, text } = aDisk({}, seed)
    const file = create('a')
    call({ call: 'syncDir', dir: 'log' })
    write(file, 0, 'pending')

    disk.crash('kill')
    expect(text('a')).toBe('pending')
    disk.crash('powerLoss')

    lost.add(text('a') !== 'pending')
  }
  expect(lost.size).toBe(2)
})

test('a crash tells nobody of the calls it cut off', () => {
  const { disk, create, run } = aDisk()
  const file = create('a')
  let isTold = false
  disk.submit({ call: 'write', file, at: 0, pieces: [Uint8Array.of(1)], sync: true }, () => {
    isTold = true
  })

  disk.crash('kill')
  run()

  expect(isTold).toBe(false)
})

describe('faults', () => {
  test('a failed sync keeps the bytes readable and loses them, half of the time, with the power', () => {
    const lost = new Set<boolean>()
    for (let seed = 1; seed <= 60; seed++) {
      const { disk, call, create, write, text } = aDisk({ errorBudget: 1 }, seed)
      const file = create('a')
      call({ call: 'syncDir', dir: 'log' })
      disk.options = { ...disk.options, syncError: 1 }

      const first = write(file, 0, 'unlucky', true)
      const second = call({ call: 'sync', file })

      expect([first.ok, second.ok]).toEqual([false, true])
      expect(text('a')).toBe('unlucky')
      disk.crash('powerLoss')
      lost.add(text('a') !== 'unlucky')
    }
    expect(lost.size).toBe(2)
  })

  test('the budget bounds how many errors there are', () => {
    const { create, write, disk } = aDisk({ writeError: 1, errorBudget: 2 })
    const file = create('a')

    const results = [1, 2, 3, 4].map(() => write(file, 0, 'x').ok)

    expect(results).toEqual([false, false, true, true])
    expect(disk.counters.writeErrors).toBe(2)
  })

  test('no space: the file may have been extended in part', () => {
    const { create, write } = aDisk({ noSpace: 1, errorBudget: 2 }, 5)

    const opened = create('a')

    expect(opened).toBe(-1)
    expect(write(opened, 0, 'x').ok).toBe(false)
  })

  test('a device that lies says yes to a sync and saves nothing', () => {
    const lost = new Set<boolean>()
    for (let seed = 1; seed <= 40; seed++) {
      const { disk, call, create, write, text } = aDisk({}, seed)
      const file = create('a')
      call({ call: 'syncDir', dir: 'log' })
      disk.options = { ...disk.options, lostSync: 1 }

      expect(write(file, 0, 'promised', true).ok).toBe(true)
      disk.crash('powerLoss')

      lost.add(text('a') !== 'promised')
    }
    expect(lost.size).toBe(2)
  })
})

test('a clone goes its own way', () => {
  const { disk, create, write, text, scheduler } = aDisk()
  write(create('a'), 0, 'same', true)
  const volume = disk.volume.copy()
  const twin = new SimDisk({
    scheduler,
    trace: new Trace(),
    random: seededRandom(9),
    options: healthyDisk,
    volume,
  })

  disk.volume.spoil({ dir: 'log', name: 'a' }, { how: 'wrong', at: 0, lengthBytes: 4 }, Buffer.from('XXXX'))
  twin.volume.destroy('log', 'a')

  expect(text('a')).toBe('XXXX')
  expect(twin.volume.names('log')).toEqual([])
})

describe('behind the back of the server', () => {
  /** A file that is safe, and was written twice. */
  function aSafeFile(seed: number) {
    const made = aDisk({}, seed)
    const file = made.create('a')
    made.write(file, 0, 'older'.repeat(100), true)
    made.call({ call: 'syncDir', dir: 'log' })
    made.write(file, 0, 'newer'.repeat(100), true)
    return { ...made, file, whole: 'newer'.repeat(100) }
  }

  const seeds = Array.from({ length: 40 }, (_, i) => i + 1)

  test('what rots is hidden by the cache, and seen when that is gone', () => {
    const afterKill = new Set<boolean>()
    for (const seed of seeds) {
      const { disk, text, whole } = aSafeFile(seed)
      for (let i = 0; i < 3; i++) disk.rot(seededRandom(seed))
      expect(disk.counters.rotten).toBeGreaterThan(0)
      expect(text('a')).toBe(whole)
      expect(disk.volume.damagedFiles()).toEqual([])

      disk.crash('kill')
      expect(disk.volume.damagedFiles().length).toBe(text('a') === whole ? 0 : 1)
      afterKill.add(text('a') === whole)
      disk.crash('powerLoss')

      expect(text('a')).not.toBe(whole)
      expect(disk.volume.damagedFiles().length).toBe(1)
    }
    expect(afterKill.size).toBe(2)
  })

  test('what is written over is sound again', () => {
    const { disk, file, write, text, whole } = aSafeFile(1)
    for (let i = 0; i < 5; i++) disk.rot(seededRandom(i))
    write(file, 0, whole, true)

    disk.crash('powerLoss')

    expect(text('a')).toBe(whole)
    expect(disk.volume.damagedFiles()).toEqual([])
  })

  test('a device may answer once with what was there before', () => {
    const seen = new Set<string>()
    for (const seed of seeds) {
      const { disk, text, whole } = aSafeFile(seed)
      disk.options = { ...disk.options, staleRead: 1 }

      disk.crash('powerLoss')
      seen.add(text('a')?.slice(0, 5) ?? '')
      expect(disk.volume.damagedFiles().length).toBe(1)
      disk.options = { ...disk.options, staleRead: 0 }
      disk.crash('powerLoss')

      expect(text('a')).toBe(whole)
      expect(disk.volume.damagedFiles()).toEqual([])
    }
    expect(seen).toEqual(new Set(['older', '\0\0\0\0\0']))
  })

  test('files are lost, and the disk knows which', () => {
    const { disk, text } = aSafeFile(1)
    disk.expect('loss')

    disk.crash('kill')

    expect(text('a')).toBeUndefined()
    expect(disk.volume.damagedFiles()).toMatchObject([{ dir: 'log', name: 'a', isNameLost: true }])
    expect(disk.counters.lostFiles).toBe(1)
  })

  test('a backup is what was durable when it was made, as often as it is restored', () => {
    const { disk, call, create, file, write, text, whole } = aSafeFile(1)
    disk.backUp(seededRandom(1))
    for (let round = 0; round < 2; round++) {
      write(round === 0 ? file : create('b'), 0, 'later', true)
      call({ call: 'syncDir', dir: 'log' })
      disk.expect('restore')

      disk.crash('kill')

      expect(text('a')).toBe(whole)
      expect(text('b')).toBeUndefined()
    }
    expect(disk.counters.restored).toBe(2)
  })
})
