/** The machine: which disk calls, in which order, and what is reported when. */
import { logRecordHeadBytes, OpCode, type SessionId, TxnHead, type Zxid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { CrashDisk } from '../../test/crash-disk.ts'
import { LogRun } from '../../test/log-run.ts'
import { golden, WatchedDisk } from '../../test/watched-disk.ts'
import type { StorageConfig } from '../config.ts'
import type { DiskCall } from '../disk.ts'
import { seededRandom } from '../random.ts'
import { RecordReader } from './record-reader.ts'

const acl = [{ perms: 31, scheme: 'world', id: 'anyone' }]
type Body = ReturnType<Parameters<LogRun['append']>[0]>

function started(storage: Partial<StorageConfig> = {}): { readonly run: LogRun; readonly disk: WatchedDisk } {
  const disk = new WatchedDisk()
  const run = new LogRun(disk, { storage: { preAllocBytes: 0, ...storage }, seed: 1 }).untilIdle()
  disk.asked.length = 0
  return { run, disk }
}

function create(id: Zxid, data = new Uint8Array(10)): Body {
  return {
    kind: 'create',
    type: OpCode.Create,
    path: `/n${id}`,
    data,
    acl,
    isEphemeral: false,
    parentCversion: -1,
  }
}

function writesOf(disk: WatchedDisk): Extract<DiskCall, { readonly call: 'write' }>[] {
  return disk.asked.filter(call => call.call === 'write')
}

describe('an empty directory', () => {
  test('gets a durable snapshot.0, and the note of a run, before anything is served', () => {
    const disk = new WatchedDisk()
    const run = new LogRun(disk, { storage: {}, seed: 1 }).untilIdle()

    expect(run.recovered).toMatchObject({ lastZxid: 0n, maxSessionId: 0n, replayedTxns: 0 })
    expect(disk.namesIn('data')).toEqual(['snapshot.0'])
    expect(disk.namesIn('logRoot')).toEqual(['corral.state'])
    const steps = disk.asked.map(({ call }) => call)
    expect(steps.indexOf('rename')).toBeGreaterThan(steps.indexOf('sync'))
    expect(steps.lastIndexOf('syncDir')).toBe(steps.length - 1)
  })

  test('declared new by a marker is taken where it must be, and the marker goes', () => {
    const disk = new WatchedDisk()
    disk.put('dataRoot', 'initialize', new Uint8Array(0))

    const run = new LogRun(disk, { storage: { isDbAutocreated: false }, seed: 1 }).untilIdle()

    expect(run.recovered).toBeDefined()
    expect(disk.namesIn('dataRoot')).toEqual([])
  })
})

test('a directory that has held data and is empty now is refused, unless it is declared new', () => {
  const { disk } = started()
  for (const name of disk.namesIn('data')) disk.drop('data', name)
  const again = (): LogRun => new LogRun(disk, { storage: {}, seed: 1 }).untilIdle()

  expect(again().fatal).toMatchObject({ exitCode: 10, reason: expect.stringContaining('corral.state') })
  disk.put('dataRoot', 'initialize', new Uint8Array(0))
  expect(again().recovered).toMatchObject({ lastZxid: 0n })
})

describe('group commit', () => {
  test('the first txn of a turn asks for its end; all of the turn go in one write with one sync', () => {
    const { run, disk } = started()
    run.append(create)
    run.untilIdle()
    disk.asked.length = 0

    run.append(create)
    run.append(create)
    run.append(create)
    expect(disk.asked).toEqual([])
    run.untilIdle()

    expect(writesOf(disk).filter(({ sync }) => sync)).toHaveLength(1)
    expect(run.told).toBe(4n)
    expect(run.log.counters).toMatchObject({ syncs: 2, txnsLogged: 4 })
  })

  test('one write is in flight; what is staged meanwhile leaves in the step in which it comes back', () => {
    const { run, disk } = started()
    run.append(create)
    run.untilIdle()
    run.append(create)
    run.log.turnEnded(run.now)
    disk.asked.length = 0

    run.append(create)
    run.append(create)
    expect(run.log.turnEnded(run.now)).toEqual({ kind: 'none' })
    expect(disk.asked).toEqual([])
    const { op, result } = disk.next(seededRandom(1))
    const report = run.log.diskDone(run.now, op, result)

    expect(report).toMatchObject({ kind: 'durable', count: 1 })
    expect(writesOf(disk).filter(({ sync }) => sync)).toHaveLength(1)
  })

  test('a zxid that leaves a hole is refused', () => {
    const { run } = started()
    const out = run.log.beginTxn()
    for (let i = 0; i < 4; i++) out.int64(0n)
    out.view.setBigInt64(logRecordHeadBytes + TxnHead.zxid, 2n)

    expect(() => run.log.endTxn(0, 2)).toThrow(/successor/)
  })

  test('without forced syncs the write carries none', () => {
    const { run, disk } = started({ isSyncForced: false })
    run.append(create)
    run.untilIdle()

    expect(writesOf(disk).some(({ sync }) => sync)).toBe(false)
    expect(run.told).toBe(1n)
  })

  test('a failed write or sync ends everything: nothing is acknowledged, nothing more is written', () => {
    const { run, disk } = started()
    run.append(create)
    run.untilIdle()
    run.append(create)
    disk.failFrom = disk.carriedOut + 1
    run.untilIdle()
    disk.asked.length = 0
    run.append(create)
    run.log.turnEnded(run.now)

    expect(run.fatal).toMatchObject({
      exitCode: 10,
      reason: expect.stringMatching(/log\.1 at byte \d+: EIO/),
    })
    expect(run.told).toBe(1n)
    expect(disk.asked).toEqual([])
    expect(run.log.stop(run.now)).toEqual({ kind: 'none' })
  })
})

describe('a segment', () => {
  test('has a name only with a durable header, and a durable name before the first record is written to it', () => {
    const { run, disk } = started()
    run.append(create)
    run.untilIdle()

    expect(disk.asked).toMatchObject([
      { call: 'open', dir: 'log', name: 'tmp-log.next', mode: 'create' },
      { call: 'write', at: 0 },
      { call: 'sync' },
      { call: 'rename', from: 'tmp-log.next', to: 'log.1' },
      { call: 'syncDir', dir: 'log' },
      { call: 'write', at: 16, sync: true },
    ])
  })

  test('goes on being written to while the next one is made', () => {
    const { run, disk } = started({ txnLogSizeLimitBytes: 1000 })
    for (let i = 0; i < 30; i++) {
      run.append(id => create(id, new Uint8Array(200)))
      run.step()
    }
    run.untilIdle()

    const asked = disk.askedIn('log')
    const opened = asked.findLastIndex(({ call }) => call === 'open')
    const made = asked.findIndex(({ call }, i) => i > opened && call === 'sync')
    const batches = asked.slice(opened, made).filter(call => call.call === 'write' && call.sync)
    expect(batches.length).toBeGreaterThan(0)
    expect(run.told).toBe(30n)
  })

  test('that was made and is not needed leaves nothing behind', () => {
    const { run, disk } = started({ txnLogSizeLimitBytes: 1000 })
    for (let i = 0; i < 3; i++) {
      run.append(id => create(id, new Uint8Array(300)))
      run.untilIdle()
    }
    expect(disk.namesIn('log')).toEqual(['log.1', 'tmp-log.next'])

    run.log.stop(run.now)
    run.untilIdle()

    expect(disk.namesIn('log')).toEqual(['log.1'])
  })

  test('is left at the size limit; the next is named after its first txn', () => {
    const { run, disk } = started({ txnLogSizeLimitBytes: 1000 })
    for (let i = 0; i < 30; i++) {
      run.append(id => create(id, new Uint8Array(200)))
      run.untilIdle()
    }

    expect(disk.namesIn('log').length).toBeGreaterThan(5)
    expect(disk.namesIn('log').every(name => disk.bytesOf('log', name).length < 1400)).toBe(true)
    expect(run.log.counters.snapshots).toBe(1)
  })

  test('is filled with zeros ahead of its end, a piece at a time, and never over a record', () => {
    const { run, disk } = started({ preAllocBytes: 1 << 20 })
    for (let i = 0; i < 20; i++) {
      run.append(id => create(id, new Uint8Array(50_000).fill(7)))
      run.untilIdle()
    }

    const fills = disk.asked.filter(call => call.call === 'fill')
    expect(fills.length).toBeGreaterThan(8)
    expect(fills.every(({ lengthBytes }) => lengthBytes <= 128 * 1024)).toBe(true)
    const again = new LogRun(disk.crash({ kind: 'kill', random: seededRandom(1) }), { storage: {}, seed: 1 })
    expect(again.untilIdle().lastZxid).toBe(20n)
  })
})

test('given the payloads of the Java server, the records are its own, byte for byte', () => {
  const java = golden('zookeeper-3.8.0/standalone-basic/data/version-2/log.1')
  const space = { bytes: java, view: new DataView(java.buffer, java.byteOffset, java.byteLength) }
  const { run, disk } = started()
  let end = 16
  for (const reader = new RecordReader({ maxPayloadBytes: 0xfffff }); ; end = reader.end) {
    if (reader.read(space, end, java.length, true) !== 'record') break
    run.log.beginTxn().raw(space, reader.payloadFrom, reader.payloadTo)
    run.log.endTxn(reader.zxidHigh, reader.zxidLow)
  }
  run.untilIdle()

  expect(end).toBe(4012)
  const ours = disk.bytesOf('log', 'log.1')
  expect(Buffer.from(ours.subarray(16)).equals(Buffer.from(java.subarray(16, end)))).toBe(true)
  expect([...ours.subarray(0, 8)]).toEqual([...java.subarray(0, 8)])
})

test('after a failed sync the newest segment is written anew, and a sync of the old one is not trusted', () => {
  const { run, disk } = started()
  for (let i = 0; i < 5; i++) {
    run.append(create)
    run.untilIdle()
  }
  run.append(create)
  disk.failFrom = disk.carriedOut + 1
  run.untilIdle()
  expect(run.fatal).toBeDefined()
  const again = new WatchedDisk(disk.crash({ kind: 'kill', random: seededRandom(3) }).image())

  const next = new LogRun(again, { storage: {}, seed: 1 }).untilIdle()

  expect(next.lastZxid).toBeGreaterThanOrEqual(5n)
  const steps = again.asked.map(call => ('name' in call ? `${call.call} ${call.name}` : call.call))
  const copied = steps.indexOf('open tmp-log.1')
  expect(steps.slice(copied)).toEqual(expect.arrayContaining(['write', 'sync', 'close', 'rename', 'syncDir']))
  expect(steps.indexOf('rename', copied)).toBeGreaterThan(steps.indexOf('sync', copied))
})

describe('damage to what was acknowledged', () => {
  function crashedWith(damage: (log: Uint8Array) => void): LogRun {
    const { run, disk } = started()
    for (let i = 0; i < 40; i++) {
      run.append(id => create(id, new Uint8Array(900).fill(7)))
      run.untilIdle()
    }
    damage(disk.bytesOf('log', 'log.1'))
    return new LogRun(disk.crash({ kind: 'kill', random: seededRandom(1) }), {
      storage: {},
      seed: 1,
    }).untilIdle()
  }

  test('is found where a page became zeros, though what follows is whole', () => {
    const run = crashedWith(log => log.fill(0, 8192, 12_288))

    expect(run.fatal).toMatchObject({
      exitCode: 10,
      reason: expect.stringMatching(/log\.1 is damaged.*whole records follow.*repair-log/),
    })
  })

  test('is found where a bit turned in the last record', () => {
    const run = crashedWith(log => {
      log[log.length - 100] = 9
    })

    expect(run.fatal).toMatchObject({ exitCode: 10, reason: expect.stringContaining('bad checksum') })
  })

  test('is found where the end mark of the last record turned, which no crash explains', () => {
    const run = crashedWith(log => {
      log[log.length - 1] = 0x43
    })

    expect(run.fatal).toMatchObject({ exitCode: 10, reason: expect.stringContaining('no end mark') })
  })

  test.each(['stop', 'kill'] as const)(
    'is found after a %s where the sector of header and records became zeros',
    end => {
      const { run, disk } = started({ preAllocBytes: 4096 })
      run.append(create)
      run.untilIdle()
      if (end === 'stop') run.stop()
      run.untilIdle()
      disk.bytesOf('log', 'log.1').fill(0, 0, 512)

      const kept = disk.crash({ kind: 'kill', random: seededRandom(1) })
      const next = new LogRun(kept, { storage: {}, seed: 1 }).untilIdle()

      expect(next.fatal).toMatchObject({ exitCode: 10, reason: expect.stringContaining('no log header') })
    },
  )

  test('is found where a length reaches over all the records that follow', () => {
    const run = crashedWith(log => {
      new DataView(log.buffer, log.byteOffset).setInt32(16 + 8, 8000)
    })

    expect(run.fatal).toMatchObject({ exitCode: 10, reason: expect.stringContaining('bad length') })
  })

  test('is found after an orderly stop even where it looks like a torn tail', () => {
    const { run, disk } = started()
    run.append(create)
    run.append(create)
    run.untilIdle()
    run.stop()
    run.untilIdle()
    expect(run.isStopped).toBe(true)
    disk.bytesOf('log', 'log.1').fill(0, disk.bytesOf('log', 'log.1').length - 1)

    const next = new LogRun(disk.crash({ kind: 'kill', random: seededRandom(1) }), {
      storage: {},
      seed: 1,
    }).untilIdle()

    expect(next.fatal).toMatchObject({ exitCode: 10, reason: expect.stringContaining('no end mark') })
  })
})

describe('the mark', () => {
  const marksOf = (disk: WatchedDisk): number[] =>
    writesOf(disk).flatMap(({ at, pieces }) =>
      at === 8 && pieces[0]?.length === 8 ? [pieces[0][7] ?? 0] : [],
    )

  /** A batch of two pages, then small ones within one page; `ticks` after the last. */
  function written(ticks: number): {
    readonly run: LogRun
    readonly disk: WatchedDisk
    readonly end: number
  } {
    const { run, disk } = started()
    for (let i = 0; i < 8; i++) {
      run.append(id => create(id, new Uint8Array(i === 0 ? 5000 : 200).fill(7)))
      run.untilIdle()
    }
    for (let i = 0; i < ticks; i++) run.tickAt(run.now.monotonicMs + 100)
    run.untilIdle()
    return { run, disk, end: disk.bytesOf('log', 'log.1').length }
  }

  function restart(disk: CrashDisk): LogRun {
    const kept = disk.crash({ kind: 'kill', random: seededRandom(1) })
    return new LogRun(kept, { storage: {}, seed: 1 }).untilIdle()
  }

  test('moves at a tick to the end of what is durable, without a sync, and only when it must', () => {
    const { disk, run } = written(1)
    run.append(create)
    run.untilIdle()
    const end = disk.bytesOf('log', 'log.1').length
    disk.asked.length = 0

    run.tickAt(run.now.monotonicMs + 100)
    run.untilIdle()
    run.tickAt(run.now.monotonicMs + 100)
    run.untilIdle()

    expect(disk.asked).toMatchObject([{ call: 'write', at: 8, sync: false }])
    const { buffer, byteOffset } = disk.bytesOf('log', 'log.1')
    expect(new DataView(buffer, byteOffset).getBigUint64(8)).toBe(BigInt(end))
  })

  test('goes with the next batch when one is in flight at the tick', () => {
    const { run, disk } = written(1)
    run.append(create)
    run.log.turnEnded(run.now)
    disk.asked.length = 0
    run.tickAt(run.now.monotonicMs + 100)
    expect(disk.asked).toEqual([])

    run.append(create)
    run.untilIdle()

    expect(writesOf(disk).map(({ at, sync }) => ({ isMark: at === 8, sync }))).toEqual([
      { isMark: true, sync: false },
      { isMark: false, sync: true },
    ])
  })

  test('stays where it is while syncs are not forced', () => {
    const { run, disk } = started({ isSyncForced: false })
    run.append(id => create(id, new Uint8Array(9000)))
    run.untilIdle()
    run.tickAt(run.now.monotonicMs + 100)
    run.append(id => create(id, new Uint8Array(9000)))
    run.untilIdle()

    expect(marksOf(disk)).toEqual([])
  })

  test.each([
    { lost: 'a sector of single-page batches', from: 5632, to: 6144 },
    { lost: 'the rest of the file', from: 5632, to: 1 << 20 },
    { lost: 'the end mark of the last record', from: -1, to: 1 << 20 },
    { lost: 'every record', from: 16, to: 1 << 20 },
  ])('tells $lost from what was never acknowledged', ({ from, to }) => {
    const { disk } = written(1)
    const log = disk.bytesOf('log', 'log.1')
    log.fill(0, from < 0 ? log.length + from : from, Math.min(to, log.length))

    expect(restart(disk).fatal).toMatchObject({
      exitCode: 10,
      reason: expect.stringMatching(/log\.1 is damaged.*durable up to byte \d+.*repair-log/),
    })
  })

  test('tells that a file became shorter', () => {
    const { disk } = written(1)
    const log = disk.bytesOf('log', 'log.1')
    disk.put('log', 'log.1', log.slice(0, 5120))

    expect(restart(disk).fatal?.reason).toMatch(/durable up to byte/)
  })

  test('is at the end, durably, before an orderly stop is noted', () => {
    const { run, disk, end } = written(0)
    disk.asked.length = 0
    run.stop()
    run.untilIdle()

    expect(disk.asked.slice(0, 3).map(({ call }) => call)).toEqual(['write', 'sync', 'close'])
    expect(disk.asked[0]).toMatchObject({ at: 8 })
    disk.bytesOf('log', 'log.1').fill(0, 5632, end)
    expect(restart(disk).fatal?.reason).toMatch(/durable up to byte/)
  })
})

describe('a snapshot', () => {
  const storage = { snapCount: 10, purge: { retainCount: 3 } }

  test('that cannot be written is given up, and tried again after a delay that doubles', () => {
    const { run, disk } = started(storage)
    disk.isFailing = call => call.call === 'open' && call.dir === 'data'
    const attempts = (): number =>
      disk.asked.filter(call => call.call === 'open' && call.dir === 'data').length
    for (let i = 0; i < 12; i++) {
      run.append(create)
      run.untilIdle()
    }
    expect(attempts()).toBe(1)
    expect(run.fatal).toBeUndefined()
    const since = run.now.monotonicMs

    run.tickAt(since + 900)
    expect(attempts()).toBe(1)
    run.tickAt(since + 1000)
    run.untilIdle()
    expect(attempts()).toBe(2)
    run.tickAt(since + 2500)
    expect(attempts()).toBe(2)
    disk.isFailing = () => false
    run.tickAt(since + 3100)
    run.untilIdle()

    expect(attempts()).toBe(3)
    expect(disk.namesIn('data')).toHaveLength(2)
    expect(run.said.filter(({ level }) => level === 'error')).toHaveLength(2)
  })

  test('is written under a name that is no snapshot, made durable, then named', () => {
    const { run, disk } = started(storage)
    for (let i = 0; i < 11; i++) {
      run.append(create)
      run.untilIdle()
    }
    const asked = disk.askedIn('data')

    expect(asked.slice(0, 6).map(({ call }) => call)).toEqual([
      'open',
      'write',
      'sync',
      'close',
      'rename',
      'syncDir',
    ])
    expect(asked[0]).toMatchObject({ name: expect.not.stringMatching(/^snapshot/) })
  })

  test('that falls due while one is taken follows it, so that no start replays more than that', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const disk = new CrashDisk()
      const run = new LogRun(disk, { storage: { snapCount: 10 }, seed }).untilIdle()
      for (let i = 0; i < 40; i++) {
        run.append(create)
        run.step()
      }
      run.untilIdle()
      const taken = disk.namesIn('data').map(name => Number.parseInt(name.replace('snapshot.', ''), 16))

      expect(Number(run.told) - Math.max(...taken), `seed ${seed}`).toBeLessThanOrEqual(10)
    }
  })

  test('is taken at most once at a time, at a random point of the upper half', () => {
    const counts = [1, 2, 3, 4, 5].map(seed => {
      const run = new LogRun(new CrashDisk(), { storage: { snapCount: 40 }, seed }).untilIdle()
      let count = 0
      for (; run.log.counters.snapshots === 1; count++) {
        run.append(create)
        run.untilIdle()
      }
      return count
    })

    expect(counts.every(count => count > 20 && count <= 41)).toBe(true)
    expect(new Set(counts).size).toBeGreaterThan(1)
  })
})

describe('a stop', () => {
  test('makes durable what was accepted, reports it, and notes an orderly end last', () => {
    const { run, disk } = started()
    run.append(create)
    run.append(create)
    run.stop()
    run.untilIdle()

    expect(run.told).toBe(2n)
    expect(run.isStopped).toBe(true)
    expect(Buffer.from(disk.bytesOf('logRoot', 'corral.state')).toString()).toMatch(
      /^clean\n0x[0-9a-f]+\n0x2\n$/,
    )
    expect(disk.asked.at(-1)).toEqual({ call: 'syncDir', dir: 'logRoot' })
  })

  test('in the middle of a snapshot gives it up and leaves no file of it', () => {
    const { run, disk } = started({ snapCount: 2000 })
    for (let i = 0; i < 1990; i++) run.append(create)
    run.untilIdle()
    while (!disk.asked.some(call => call.call === 'open' && call.dir === 'data')) {
      run.append(create)
      run.step()
    }
    run.stop()
    run.untilIdle()

    expect(run.isStopped).toBe(true)
    expect(disk.namesIn('data').filter(name => name.startsWith('tmp-'))).toEqual([])
  })

  test('during recovery ends at once', () => {
    const run = new LogRun(new CrashDisk(), { storage: {}, seed: 1 })
    run.step()
    run.stop()

    expect(run.isStopped).toBe(true)
    run.untilIdle()
    expect(run.recovered).toBeUndefined()
  })
})

test('sessions are recovered from snapshot and log, and a bound of the ids that this server has made', () => {
  const { run, disk } = started()
  const own = (0x01n << 56n) | 5n
  const foreign = (0x02n << 56n) | 99n
  for (const id of [own, foreign]) {
    run.sessions.set(id as SessionId, 5000)
    run.append(() => ({ kind: 'createSession', timeoutMs: 5000 }), id)
  }
  run.untilIdle()

  const next = new LogRun(disk.crash({ kind: 'kill', random: seededRandom(1) }), {
    storage: {},
    seed: 1,
  }).untilIdle()

  expect(next.recovered).toMatchObject({ lastZxid: 2n, replayedTxns: 2 })
  expect(next.recovered?.maxSessionId).toBeGreaterThanOrEqual(own)
  expect((next.recovered?.maxSessionId ?? 0n) >> 56n).toBe(0x01n)
  expect([...next.sessions]).toEqual([
    [own, 5000],
    [foreign, 5000],
  ])
})

test('a snapshot keeps the bound of session ids that ended, that no log names any more, and whose note is gone', () => {
  const { run, disk } = started({ snapCount: 4, purge: { retainCount: 1 } })
  const own = (0x01n << 56n) | 5n
  run.append(() => ({ kind: 'createSession', timeoutMs: 5000 }), own)
  run.append(() => ({ kind: 'closeSession', paths: undefined }), own)
  for (let i = 0; i < 20; i++) {
    run.append(create)
    run.untilIdle()
  }
  const left = disk.crash({ kind: 'kill', random: seededRandom(1) })
  expect(left.namesIn('log')).not.toContain('log.1')
  left.drop('logRoot', 'corral.state')

  const next = new LogRun(left, { storage: {}, seed: 1 }).untilIdle()

  expect(next.recovered?.maxSessionId).toBeGreaterThanOrEqual(own)
  expect((next.recovered?.maxSessionId ?? 0n) >> 56n).toBe(0x01n)
  // A bound that another server wrote says nothing about this one's ids.
  const moved = new LogRun(next.disk, { storage: {}, rest: { serverId: 2n }, seed: 1 })
  moved.disk.drop('logRoot', 'corral.state')
  expect(moved.untilIdle().recovered?.maxSessionId).toBe(0n)
})

test('ephemerals whose session nobody knows are removed, durably, before anything is logged', () => {
  const { run, disk } = started()
  run.append(() => ({ ...create(1n as Zxid), isEphemeral: true }) as Body)
  run.append(create)
  run.untilIdle()

  const next = new LogRun(disk.crash({ kind: 'kill', random: seededRandom(1) }), {
    storage: {},
    seed: 1,
  }).untilIdle()

  expect(next.tree.ephemeralCount).toBe(0)
  expect(next.disk.namesIn('data')).toContain('snapshot.2')
  next.append(create)
  next.untilIdle()
  const third = new LogRun(next.disk.crash({ kind: 'kill', random: seededRandom(1) }), {
    storage: {},
    seed: 1,
  }).untilIdle()
  expect(third.lastZxid).toBe(3n)
  expect([third.tree.digestHigh, third.tree.digestLow]).toEqual([next.tree.digestHigh, next.tree.digestLow])
})
