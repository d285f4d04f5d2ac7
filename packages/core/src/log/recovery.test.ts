/** What a start makes of directories that something else left: operators, the Java server, time. */
import { fileHeaderBytes, logRecordHeadBytes, OpCode, TxnHead, type Zxid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { CrashDisk } from '../../test/crash-disk.ts'
import { LogRun } from '../../test/log-run.ts'
import { golden, WatchedDisk } from '../../test/watched-disk.ts'
import type { StorageConfig } from '../config.ts'
import { seededRandom } from '../random.ts'
import { digestOf } from './replay.ts'

const acl = [{ perms: 31, scheme: 'world', id: 'anyone' }]
type Body = ReturnType<Parameters<LogRun['append']>[0]>

function started(disk: CrashDisk, storage: Partial<StorageConfig> = {}): LogRun {
  return new LogRun(disk, { storage: { preAllocBytes: 0, ...storage }, seed: 1 }).untilIdle()
}

function restarted(disk: CrashDisk, storage: Partial<StorageConfig> = {}): LogRun {
  return started(disk.crash({ kind: 'kill', random: seededRandom(1) }), storage)
}

function stopped(run: LogRun): LogRun {
  run.stop()
  return run.untilIdle()
}

function create(id: Zxid): Body {
  return {
    kind: 'create',
    type: OpCode.Create,
    path: `/n${id}`,
    data: new Uint8Array(10),
    acl,
    isEphemeral: false,
    parentCversion: -1,
  }
}

function written(run: LogRun, txns: number): LogRun {
  for (let i = 0; i < txns; i++) run.append(create)
  return run.untilIdle()
}

function digestAfter(txns: number): bigint {
  return digestOf(written(started(new CrashDisk()), txns).tree)
}

test('the counter of a standalone server goes on beyond 32 bits, as in the Java server', () => {
  const disk = new CrashDisk()
  const snapshot = golden('zookeeper-3.8.0/snapshot-and-logs/data/version-2/snapshot.c')
  disk.put('data', 'snapshot.fffffffd', snapshot)
  const run = written(started(disk), 5)
  expect(run.told).toBe(0x1_0000_0002n)

  const next = restarted(disk)

  expect(next.recovered).toMatchObject({ lastZxid: 0x1_0000_0002n, replayedTxns: 5 })
})

test('the digests that operators compare are recorded in replay, too', () => {
  const run = written(started(new CrashDisk()), 300)

  const { digests } = restarted(run.disk).recovered ?? {}

  expect(digests?.entries.map(({ zxid: id }) => id)).toEqual([128n, 256n])
  expect(digests?.entries.at(-1)?.digest).toBe(digestAfter(256))
})

describe('a directory that ends before what the last run held', () => {
  test.each(['stop', 'restart'] as const)('is refused where the newest log was removed after a %s', how => {
    const run = written(started(new CrashDisk()), 5)
    const { disk } = how === 'stop' ? stopped(run) : restarted(run.disk)
    disk.drop('log', 'log.1')

    expect(restarted(disk).fatal).toMatchObject({
      exitCode: 10,
      reason: expect.stringMatching(/end at zxid 0x0.*has held all up to 0x5.*remove corral\.state/),
    })
  })

  test('is refused after a kill as well, from the tick on that follows the first txn of a log', () => {
    const run = started(new CrashDisk(), { txnLogSizeLimitBytes: 300 })
    for (let round = 0; round < 3; round++) {
      written(run, 5)
      run.tickAt(run.now.monotonicMs + 100)
      run.untilIdle()
    }
    const { disk } = run
    disk.drop('log', 'log.b')

    expect(restarted(disk).fatal?.reason).toMatch(/end at zxid 0xa.*has held all up to 0xf/)
  })

  test('is taken when the note is gone, or is of a version that noted no zxid', () => {
    const { disk } = stopped(written(started(new CrashDisk()), 5))
    disk.drop('log', 'log.1')
    const without = disk.fork()
    without.drop('logRoot', 'corral.state')
    disk.put('logRoot', 'corral.state', new TextEncoder().encode('clean\n0x100000000000000\n'))

    expect(restarted(without).recovered?.lastZxid).toBe(0n)
    expect(restarted(disk).recovered?.lastZxid).toBe(0n)
  })

  test('is taken where the Java server has gone on since', () => {
    const disk = new CrashDisk()
    disk.put('data', 'snapshot.0', golden('zookeeper-3.8.0/standalone-basic/data/version-2/snapshot.0'))
    disk.put('log', 'log.1', golden('zookeeper-3.8.0/standalone-basic/data/version-2/log.1'))
    disk.put('logRoot', 'corral.state', new TextEncoder().encode('clean\n0x100000000000000\n0x5\n'))

    expect(started(disk).recovered?.lastZxid).toBe(0x25n)
  })
})

test('what the Java server logged after an orderly stop is synced before it is relied upon', () => {
  const disk = new WatchedDisk()
  disk.put('data', 'snapshot.0', golden('zookeeper-3.8.0/standalone-basic/data/version-2/snapshot.0'))
  disk.put('log', 'log.1', golden('zookeeper-3.8.0/standalone-basic/data/version-2/log.1'))
  disk.put('logRoot', 'corral.state', new TextEncoder().encode('clean\n0x100000000000000\n0x5\n'))

  started(disk)

  const opened = disk.asked.findLastIndex(call => call.call === 'open' && call.name === 'log.1')
  expect(disk.asked.slice(opened, opened + 4)).toMatchObject([
    { call: 'open', mode: 'read' },
    { call: 'sync' },
    { call: 'close' },
    { call: 'syncDir', dir: 'log' },
  ])
})

test('a record longer than jute.maxbuffer allows is no damage: the log is whole, and nobody is told to cut it', () => {
  const run = started(new CrashDisk())
  run.append(id => ({ ...create(id), data: new Uint8Array(200_000) }) as Body)
  run.append(create)
  const { disk } = stopped(run.untilIdle())
  const tight = { maxFrameBytes: 20_000, extraFrameBytes: 20_000 }
  const kept = disk.crash({ kind: 'kill', random: seededRandom(1) })

  const next = new LogRun(kept, { storage: {}, seed: 1, rest: tight }).untilIdle()

  expect(next.fatal?.reason).toMatch(/log\.1 is whole.*byte 16.*jute\.maxbuffer allows 40000/)
  expect(next.fatal?.reason).not.toContain('repair-log')
})

test('a snapshot that holds parts of txns which no log holds is refused', () => {
  const disk = new CrashDisk()
  const path = 'zookeeper-3.10.0-SNAPSHOT/default-trailer/data/version-2/snapshot.d'
  disk.put('data', 'snapshot.9', golden(path))

  expect(started(disk).fatal).toMatchObject({
    exitCode: 10,
    reason: expect.stringMatching(/snapshot\.9 holds parts of txns up to 0xd, but the txn logs end at 0x9/),
  })
})

test('a snapshot that ends before the zxid in its name was given a wrong one', () => {
  const run = written(started(new CrashDisk()), 3)
  run.disk.put('data', 'snapshot.2', run.disk.bytesOf('data', 'snapshot.0'))

  const next = restarted(run.disk)

  expect(next.recovered).toMatchObject({ lastZxid: 3n, replayedTxns: 3 })
  expect(next.said.map(({ fields }) => fields)).toContainEqual({
    file: 'snapshot.2',
    problem: expect.stringContaining('ends at 0x0'),
  })
})

test('a log that begins before the zxid in its name is refused: the next one would sort before it', () => {
  const { disk } = stopped(written(started(new CrashDisk()), 3))
  disk.put('log', 'log.9', disk.bytesOf('log', 'log.1'))
  disk.drop('log', 'log.1')

  const { fatal } = restarted(disk)

  expect(fatal).toMatchObject({ exitCode: 10, reason: expect.stringMatching(/log\.9 begins with .*log\.1/) })
  expect(fatal?.reason).not.toContain('repair-log')
})

describe('a snapshot that claims much takes little memory', () => {
  const whole = golden('zookeeper-3.8.0/snapshot-and-logs/data/version-2/snapshot.c')
  const megabytes = 20

  function largestReadOf(snapshot: Uint8Array): { readonly run: LogRun; readonly bytes: number } {
    const disk = new WatchedDisk()
    disk.put('data', 'snapshot.c', snapshot)
    const run = started(disk)
    return { run, bytes: Math.max(...disk.asked.map(call => (call.call === 'read' ? call.into.length : 0))) }
  }

  test('however long the trailer behind its tree', () => {
    const { run, bytes } = largestReadOf(new Uint8Array([...whole, ...new Uint8Array(megabytes << 20)]))

    expect(run.recovered?.lastZxid).toBe(0xcn)
    expect(run.said.find(({ what }) => what.includes('trailer'))?.fields).toMatchObject({
      bytes: 33 + (megabytes << 20),
    })
    expect(bytes).toBeLessThanOrEqual(1 << 20)
  })

  test('however many entries an ACL has', () => {
    const aclCacheAt = 16 + 4 + 12
    const entry = new Uint8Array(4 + 4 + 4 + (1 << 20))
    new DataView(entry.buffer).setInt32(8, 1 << 20)
    const head = whole.slice(0, aclCacheAt + 4 + 8 + 4)
    new DataView(head.buffer).setInt32(aclCacheAt + 4 + 8, megabytes)
    const entries = Array.from({ length: megabytes }, () => entry)

    const { run, bytes } = largestReadOf(new Uint8Array(Buffer.concat([head, ...entries])))

    expect(run.fatal).toBeDefined()
    expect(bytes).toBeLessThanOrEqual(4 << 20)
  })
})

test('a snapshot without a byte is passed over like any that is cut', () => {
  const run = written(started(new CrashDisk()), 3)
  run.disk.put('data', 'snapshot.2', new Uint8Array(0))

  const next = restarted(run.disk)

  expect(next.recovered).toMatchObject({ lastZxid: 3n, replayedTxns: 3 })
  expect(next.said).toContainEqual(expect.objectContaining({ what: 'a snapshot cannot be used' }))
})

test('a snapshot that cannot be read is closed', () => {
  const disk = new WatchedDisk()
  stopped(written(started(disk), 1))
  disk.put('data', 'snapshot.1.gz', new Uint8Array(100))
  disk.isFailing = call => call.call === 'read' && call.into.length > 100_000
  disk.asked.length = 0

  const run = new LogRun(disk, { storage: {}, seed: 1 }).untilIdle()

  expect(run.fatal).toBeDefined()
  const opened = disk.asked.filter(({ call }) => call === 'open').length
  expect(disk.asked.filter(({ call }) => call === 'close')).toHaveLength(opened)
})

test('while syncs are not forced the note tells of nothing that a power loss may take', () => {
  const run = written(started(new CrashDisk(), { isSyncForced: false }), 5)
  run.tickAt(run.now.monotonicMs + 100)
  run.untilIdle()
  expect(Buffer.from(run.disk.bytesOf('logRoot', 'corral.state')).toString()).toMatch(/\n0x0\n$/)

  stopped(run)
  expect(Buffer.from(run.disk.bytesOf('logRoot', 'corral.state')).toString()).toMatch(/\n0x5\n$/)
})

describe('the note of a run that is being written', () => {
  function noting(): LogRun {
    const run = written(started(new CrashDisk()), 5)
    run.tickAt(run.now.monotonicMs + 100)
    return run
  }

  test('is waited for by an orderly stop', () => {
    const run = noting()
    run.stop()
    run.untilIdle()

    expect(Buffer.from(run.disk.bytesOf('logRoot', 'corral.state')).toString()).toMatch(/^clean\n.*\n0x5\n$/)
  })

  test('may fail, and is tried again with the next log', () => {
    const run = started(new CrashDisk(), { txnLogSizeLimitBytes: 300 })
    run.disk.isFailing = call => call.call === 'open' && call.dir === 'logRoot'
    written(run, 5).tickAt(run.now.monotonicMs + 100)
    run.untilIdle()
    run.disk.isFailing = () => false
    expect(run.said.map(({ what }) => what)).toContain('the note of this run could not be brought up to date')
    written(run, 5).tickAt(run.now.monotonicMs + 100)
    run.untilIdle()

    expect(run.fatal).toBeUndefined()
    expect(Buffer.from(run.disk.bytesOf('logRoot', 'corral.state')).toString()).toMatch(
      /^running\n.*\n0xa\n$/,
    )
  })
})

test('a refused start has changed nothing', () => {
  const { disk } = stopped(written(started(new CrashDisk()), 5))
  disk.bytesOf('log', 'log.1').fill(0xff, 40, 60)
  disk.put('log', 'log.6', new Uint8Array(3))
  disk.put('data', 'tmp-snapshot.unfinished', new Uint8Array(3))
  const before = disk.print

  const next = restarted(disk)

  expect(next.fatal?.reason).toMatch(/log\.1 is damaged/)
  expect(next.disk.print).toBe(before)
})

describe('the last record of a log of the Java server, which fills its files with zeros ahead', () => {
  const version2 = 'zookeeper-3.8.0/standalone-basic/data/version-2'
  const whole = golden(`${version2}/log.1`)
  const lastAt = 3907
  const end = 4012

  function startedOn(log: Uint8Array): LogRun {
    const disk = new CrashDisk()
    disk.put('data', 'snapshot.0', golden(`${version2}/snapshot.0`))
    disk.put('log', 'log.1', log)
    return started(disk)
  }

  test('is cut off when it was torn, wherever the zeros begin', () => {
    for (let from = lastAt; from < end; from++) {
      const run = startedOn(whole.slice().fill(0, from))

      expect(run.recovered?.lastZxid, `zeros from byte ${from} on`).toBe(0x24n)
      expect(run.said.map(({ what }) => what)).toEqual(
        from < lastAt + 5 ? [] : ['cut a torn record, never acknowledged, off the end of the log'],
      )
    }
  })

  test('is damaged when a byte stands behind its head, and no length in it', () => {
    const log = whole.slice().fill(0, lastAt + 8)
    log[end + 1000] = 1

    expect(startedOn(log).fatal).toMatchObject({
      exitCode: 10,
      reason: expect.stringContaining(`byte ${lastAt}`),
    })
  })
})

describe('a zxid that is not in a log of the Java server', () => {
  /** Without the records of these counters. */
  function without(...gone: readonly number[]): CrashDisk {
    const version2 = 'zookeeper-3.8.0/standalone-basic/data/version-2'
    const whole = golden(`${version2}/log.1`)
    const view = new DataView(whole.buffer, whole.byteOffset)
    const kept = [whole.subarray(0, fileHeaderBytes)]
    for (let at = fileHeaderBytes; at + 32 < whole.length; ) {
      const next = at + 13 + view.getInt32(at + 8)
      if (next === at + 13) break
      if (!gone.includes(view.getInt32(at + logRecordHeadBytes + TxnHead.zxid + 4)))
        kept.push(whole.subarray(at, next))
      at = next
    }
    const disk = new CrashDisk()
    disk.put('data', 'snapshot.0', golden(`${version2}/snapshot.0`))
    disk.put('log', 'log.1', new Uint8Array(Buffer.concat(kept)))
    return disk
  }

  test('was taken and never logged, if the tree that follows has its digest', () => {
    const whole = started(without())
    const run = started(without(0x19, 0x1a)) // errors: no digest stands behind the first that follows

    expect(run.recovered?.lastZxid).toBe(whole.recovered?.lastZxid)
    expect(run.said.filter(({ level }) => level === 'warn')).toMatchObject([
      { what: expect.stringContaining('passes over zxids'), fields: { file: 'log.1', after: '0x18' } },
    ])
  })

  test('is missing, if it has not', () => {
    expect(started(without(4)).fatal).toMatchObject({
      exitCode: 10,
      reason: expect.stringMatching(/its record 0x5 follows 0x3: the txns between are missing/),
    })
  })
})
