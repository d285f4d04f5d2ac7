import { defaultConfig } from '@corral/core'
import { encodeUtf8 } from '@corral/protocol'
import { expect, test } from 'vitest'
import { Bench, damage } from '../test/bench.ts'
import { create } from './clients/generator.ts'
import { zxidIn } from './commit-log.ts'
import { RecoveryJudge } from './recovery-judge.ts'

/** A server that wrote one txn after the other, and is gone; zxid 1 made the session. */
function aWrittenDisk(
  how: { readonly end?: 'stop' | 'kill'; readonly writes?: number; readonly snapCount?: number } = {},
): Bench {
  const { end = 'kill', writes = 12, snapCount = 100_000 } = how
  const storage = { ...defaultConfig.storage, preAllocBytes: 4096, snapCount, purge: undefined }
  const bench = new Bench({ storage, tickTimeMs: 10_000 })
  const hand = bench.connect()
  for (let i = 0; i < writes; i++) {
    hand.ask(create(`/n${i}`, encodeUtf8('x')))
    bench.runFor(10)
  }
  bench.runFor(500)
  bench.server.isRestarting = false
  if (end === 'kill') bench.server.crash('kill')
  else bench.server.stop()
  bench.runFor(100)
  return bench
}

/** One bit of a txn's record, or all of its sector. */
function spoil(bench: Bench, zxid: bigint, what: 'bit' | 'sector' = 'bit'): void {
  const place = bench.log.placeOf(zxid)
  if (place === undefined) throw new Error(`zxid ${zxid} was not written`)
  const { name, from } = place
  if (what === 'sector') {
    damage(bench.disk, { dir: 'log', name, at: from - (from % 512) }, new Uint8Array(512))
    return
  }
  const byte = bench.disk.volume.content('log', name)?.[from + 20] ?? 0
  damage(bench.disk, { dir: 'log', name, at: from + 20 }, Uint8Array.of(byte ^ 1))
}

/** As if so much of the log had been marked durable. */
function mark(bench: Bench, durableBytes: number): void {
  const content = bench.disk.volume.content('log', 'log.1') as Uint8Array
  new DataView(content.buffer, content.byteOffset).setBigUint64(8, BigInt(durableBytes))
}

function judgeOf(bench: Bench): RecoveryJudge {
  return new RecoveryJudge(bench.disk, bench.log)
}

test('a sound disk excuses nothing', () => {
  const bench = aWrittenDisk()
  const judge = judgeOf(bench)

  expect(judge.isDamaged).toBe(false)
  expect(judge.problemOfLoss(12n, 13n)).toMatch(/which is whole/)
})

test('a damaged last record may be taken for a torn one after a kill', () => {
  const bench = aWrittenDisk()
  spoil(bench, 13n)
  mark(bench, 16)

  expect(judgeOf(bench).isDamaged).toBe(true)
  expect(judgeOf(bench).problemOfLoss(12n, 13n)).toBeUndefined()
})

test('… but not after an orderly end', () => {
  const bench = aWrittenDisk({ end: 'stop' })
  spoil(bench, 13n)

  expect(judgeOf(bench).problemOfLoss(12n, 13n)).toMatch(/ended in order/)
})

test('a damaged record with whole ones behind it is no torn tail', () => {
  const bench = aWrittenDisk()
  spoil(bench, 11n)
  mark(bench, 16)

  expect(judgeOf(bench).problemOfLoss(10n, 13n)).toMatch(/whole records follow/)
})

test('a loss that begins beside the damage is not excused by it', () => {
  const bench = aWrittenDisk()
  spoil(bench, 13n)

  expect(judgeOf(bench).problemOfLoss(11n, 13n)).toMatch(/which is whole/)
})

test('nothing before the mark is ever torn', () => {
  const bench = aWrittenDisk()
  spoil(bench, 9n, 'sector')
  expect(judgeOf(bench).problemOfLoss(8n, 13n)).toMatch(/marked durable up to/)

  mark(bench, 16)

  expect(judgeOf(bench).problemOfLoss(8n, 13n)).toMatch(/whole records follow/)
})

test('a refusal names file and place', () => {
  const bench = aWrittenDisk()
  spoil(bench, 11n)
  const judge = judgeOf(bench)

  expect(
    judge.problemOfRefusal('log.1 is damaged (bad checksum), at byte 700, after zxid 0xa'),
  ).toBeUndefined()
  expect(judge.problemOfRefusal('something is wrong with the disk')).toMatch(/names no file/)
})

test('a start may not be refused while a whole snapshot and all logs behind it are there', () => {
  const bench = aWrittenDisk({ snapCount: 4, writes: 30 })
  const snapshots = bench.disk.volume.names('data').filter(name => name.startsWith('snapshot.'))
  snapshots.sort((a, b) => Number(zxidIn(a) - zxidIn(b)))
  expect(snapshots.length).toBeGreaterThan(2)
  damage(bench.disk, { dir: 'data', name: snapshots.at(-1) ?? '', at: 100 }, Uint8Array.of(0xff, 0xff))

  expect(judgeOf(bench).problemOfRefusal('no usable snapshot, but there are txn logs')).toMatch(/are whole/)
  for (const name of snapshots) damage(bench.disk, { dir: 'data', name, at: 100 }, Uint8Array.of(0xff, 0xff))
  expect(judgeOf(bench).problemOfRefusal('no usable snapshot, but there are txn logs')).toBeUndefined()
})

test('damage to a log that is not needed any more is no reason to refuse', () => {
  const bench = aWrittenDisk({ snapCount: 4, writes: 30 })
  const logs = bench.disk.volume.names('log').filter(name => name.startsWith('log.'))
  logs.sort((a, b) => Number(zxidIn(a) - zxidIn(b)))
  expect(logs.length).toBeGreaterThan(3)
  const reason = `${logs[0]} is damaged (bad checksum), at byte 700, after zxid 0xa`

  damage(bench.disk, { dir: 'log', name: logs[0] ?? '', at: 100 }, Uint8Array.of(0xff, 0xff))
  expect(judgeOf(bench).problemOfRefusal(reason)).toMatch(/all logs behind it are whole/)

  damage(bench.disk, { dir: 'log', name: logs.at(-1) ?? '', at: 100 }, Uint8Array.of(0xff, 0xff))
  expect(judgeOf(bench).problemOfRefusal(reason)).toBeUndefined()
})

test('… but a log without a record does not tell that the one before it is not', () => {
  const bench = aWrittenDisk()
  const { data, log } = bench.disk.volume.directories
  data.link('snapshot.d').write(0, encodeUtf8('whole'))
  const next = log.link('log.e')
  next.write(0, new Uint8Array(64))
  spoil(bench, 13n)
  const reason = 'log.1 is damaged (bad checksum), at byte 700, after zxid 0xd'
  expect(judgeOf(bench).problemOfRefusal(reason)).toBeUndefined()

  next.write(16, encodeUtf8('a record'))

  expect(judgeOf(bench).problemOfRefusal(reason)).toMatch(/snapshot\.d and all logs behind it are whole/)
})

test('a newest log that is gone takes with it what nothing else tells of', () => {
  const bench = aWrittenDisk()
  bench.disk.volume.destroy('log', 'log.1')
  const judge = judgeOf(bench)

  expect(judge.isDamaged).toBe(true)
  expect(judge.due(5n)).toBe(13n)
  expect(judge.problemOfLoss(0n, 13n)).toMatch(/corral\.state tells of more/)

  bench.disk.volume.destroy('logRoot', 'corral.state')

  expect(judgeOf(bench).problemOfLoss(0n, 13n)).toBeUndefined()
})

test('a log that is gone is missed by the one behind it, and by a snapshot', () => {
  const bench = aWrittenDisk({ snapCount: 4, writes: 30 })
  const { zxid: last, name: newest } = bench.log.placeOf(31n) ?? { zxid: 0n, name: '' }
  const { zxid: gone, name: middle } = bench.log.placeOf(zxidIn(newest) - 1n) ?? { zxid: 0n, name: '' }
  expect(last - gone).toBeGreaterThan(0n)
  bench.disk.volume.destroy('log', middle)

  expect(judgeOf(bench).problemOfLoss(zxidIn(middle) - 1n, last)).toMatch(/tells of more/)

  for (const name of bench.disk.volume.names('data')) bench.disk.volume.destroy('data', name)
  expect(judgeOf(bench).problemOfLoss(zxidIn(middle) - 1n, last)).toMatch(
    /is gone, and log\.\w+ behind it is not/,
  )
})

test('an empty directory is missed by the note that it was used', () => {
  const bench = aWrittenDisk()
  const { volume } = bench.disk
  for (const dir of ['data', 'log'] as const) for (const name of volume.names(dir)) volume.destroy(dir, name)
  expect(judgeOf(bench).problemOfLoss(0n, 13n)).toMatch(/corral\.state tells of more/)
  expect(
    judgeOf(bench).problemOfRefusal(
      'there is neither a snapshot nor a txn log, but corral.state says that …',
    ),
  ).toBeUndefined()

  volume.destroy('logRoot', 'corral.state')

  expect(judgeOf(bench).problemOfLoss(0n, 13n)).toBeUndefined()
})

test('a marker that lies there again declares an empty directory new, whatever the note says', () => {
  const bench = aWrittenDisk()
  const { volume } = bench.disk
  volume.directories.dataRoot.lostNames.add('initialize')
  expect(judgeOf(bench).problemOfLoss(0n, 13n)).toMatch(/which is whole/)
  for (const name of volume.names('log')) volume.destroy('log', name)
  expect(judgeOf(bench).problemOfLoss(0n, 13n)).toMatch(/corral\.state tells of more/)

  for (const name of volume.names('data')) volume.destroy('data', name)

  expect(judgeOf(bench).problemOfLoss(0n, 13n)).toBeUndefined()
})

test('a restored state is owed as it was when it was put by', () => {
  const bench = aWrittenDisk()
  bench.disk.backUp(bench.random)
  bench.server.boot()
  bench.runFor(1000)
  const hand = bench.connect()
  hand.ask(create('/later', encodeUtf8('x')))
  bench.runFor(500)
  bench.disk.expect('restore')
  bench.server.crash('kill')
  const judge = judgeOf(bench)

  expect(judge.isDamaged).toBe(true)
  expect(judge.due(13n)).toBe(15n)
  expect(judge.problemOfLoss(13n, 15n)).toBeUndefined()
  expect(judge.problemOfLoss(12n, 15n)).toMatch(/which is whole/)
  expect(judge.problemOfRefusal('log.1 is damaged (bad checksum), at byte 700, after zxid 0xa')).toMatch(
    /all logs behind it are whole/,
  )
})

/** Twelve txns lie in log.1 and were copied; then came another, and the copy took its place. */
function aCopiedDisk(): Bench {
  const bench = aWrittenDisk()
  bench.disk.startCopy(bench.random)
  bench.runFor(100_000)
  bench.server.boot()
  bench.runFor(1000)
  bench.connect([create('/later', encodeUtf8('x'))])
  bench.runFor(500)
  bench.disk.expect('restore')
  bench.server.crash('kill')
  return bench
}

test('a copy that was made file by file may be refused, but not anyhow', () => {
  const judge = judgeOf(aCopiedDisk())

  expect(judge.isDamaged).toBe(true)
  expect(
    judge.problemOfRefusal('log.1 is damaged (bad checksum), at byte 700, after zxid 0xa'),
  ).toBeUndefined()
  expect(judge.problemOfRefusal('something is wrong with the disk')).toMatch(/names no file/)
})

test('… and is served from where it was begun, unless a log was purged before its turn came', () => {
  const bench = aCopiedDisk()

  expect(judgeOf(bench).problemOfLoss(13n, 15n)).toBeUndefined()
  expect(judgeOf(bench).problemOfLoss(12n, 15n)).toMatch(/which is whole/)

  bench.disk.volume.directories.log.unlink('log.1')

  expect(judgeOf(bench).problemOfLoss(0n, 15n)).toMatch(/corral\.state tells of more/)
  bench.disk.volume.directories.logRoot.unlink('corral.state')
  expect(judgeOf(bench).problemOfLoss(0n, 15n)).toBeUndefined()
})
