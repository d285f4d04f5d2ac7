/** A disk that neither does what the log asked of it nor says that it cannot. */
import { OpCode } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { CrashDisk } from '../../test/crash-disk.ts'
import { LogRun } from '../../test/log-run.ts'
import { defaultConfig, type StorageConfig } from '../config.ts'
import type { DiskCall } from '../disk.ts'

const beatMs = 1000
const { stallLimitMs } = defaultConfig.storage

class Serving {
  readonly disk: CrashDisk = new CrashDisk()
  readonly run: LogRun

  /** Rolls after ten txns. */
  constructor(storage: Partial<StorageConfig> = {}) {
    const given = { preAllocBytes: 0, txnLogSizeLimitBytes: 1500, ...storage }
    this.run = new LogRun(this.disk, { storage: given, seed: 1 }).untilIdle()
  }

  append(): void {
    if (this.run.isOver) return
    this.run.append(id => ({
      kind: 'create',
      type: OpCode.Create,
      path: `/n${id}`,
      data: new Uint8Array(64),
      acl: [{ perms: 31, scheme: 'world', id: 'anyone' }],
      isEphemeral: false,
      parentCversion: -1,
    }))
  }

  /** A client goes on as far as the disk lets it. */
  work(txns: number): void {
    for (let i = 0; i < txns; i++) {
      this.append()
      this.run.untilIdle()
    }
  }

  /** @param between - what happens after each tick */
  pass(forMs: number, between = (): void => this.work(1)): void {
    for (let ms = 0; ms < forMs; ms += beatMs) {
      this.run.tickAt(this.run.now.monotonicMs + beatMs)
      between()
    }
  }
}

type IsStuck = (call: DiskCall) => boolean
const isBatch: IsStuck = call => call.call === 'write' && call.sync
/** Batches have theirs with the write. */
const isSync: IsStuck = call => call.call === 'sync'

describe('a disk that does not answer has failed', () => {
  test.each<[string, IsStuck, RegExp]>([
    ['a batch', isBatch, /^writing log\.1: ETIMEDOUT/],
    ['the making of a segment, while batches go on', isSync, /^making the log after log\.1: ETIMEDOUT/],
    ['the naming of it', call => call.call === 'rename', /^creating log\.\w+: ETIMEDOUT/],
  ])('%s', (_, isStuck, reason) => {
    const serving = new Serving({ preAllocBytes: 4096 })
    serving.append()
    serving.work(1)
    serving.disk.isStuck = isStuck
    serving.work(40)
    expect(serving.run.fatal).toBeUndefined()

    serving.pass(stallLimitMs - beatMs)
    expect(serving.run.fatal).toBeUndefined()
    serving.pass(3 * beatMs)

    expect(serving.run.fatal).toMatchObject({ exitCode: 10, reason: expect.stringMatching(reason) })
  })

  test.each<[string, { isStuck: IsStuck; before: number; after: number }, RegExp]>([
    [
      'the making of the next segment',
      { isStuck: isSync, before: 1, after: 12 },
      /^making the log after log\.1: ETIMEDOUT/,
    ],
    [
      'zeros',
      { isStuck: call => call.call === 'fill', before: 0, after: 1 },
      /^filling log\.1 with zeros: ETIMEDOUT/,
    ],
    [
      'closing',
      { isStuck: call => call.call === 'close', before: 1, after: 12 },
      /^closing what came before log\.\w+: ETIMEDOUT/,
    ],
  ])('%s, though it is only a stop that waits for it', (_, { isStuck, before, after }, reason) => {
    const serving = new Serving({ preAllocBytes: 4096 })
    serving.work(before)
    serving.disk.isStuck = isStuck
    serving.work(after)

    serving.run.stop()
    serving.pass(stallLimitMs + 2 * beatMs, () => serving.run.untilIdle())

    expect(serving.run.fatal).toMatchObject({ exitCode: 10, reason: expect.stringMatching(reason) })
  })

  test('unless it is told to wait without end', () => {
    const serving = new Serving({ stallLimitMs: 0 })
    serving.disk.isStuck = isBatch
    serving.append()
    serving.pass(2 * stallLimitMs)

    expect(serving.run.fatal).toBeUndefined()
  })
})

test.each([
  ['a batch and a new segment', { txnLogSizeLimitBytes: 1 }],
  ['a batch and zeros for one segment', { txnLogSizeLimitBytes: 0, preAllocBytes: 4096 }],
])('a disk that answers has not failed, though %s are under way at every tick', (_, storage) => {
  const serving = new Serving({ ...storage, stallLimitMs: 20 * beatMs })
  const { run, disk } = serving
  let beats = 0
  serving.pass(60 * beatMs, () => {
    disk.isStuck = () => false
    run.untilIdle()
    serving.work(1)
    disk.isStuck = call => isSync(call) || isBatch(call) || call.call === 'fill'
    serving.work(30)
    beats += disk.isStill ? 0 : 1
  })

  expect(run.fatal).toBeUndefined()
  expect(beats).toBe(60)
})

test('time that no tick saw pass is not the fault of the disk', () => {
  const serving = new Serving()
  serving.disk.isStuck = isBatch
  serving.work(1)
  serving.pass(2 * beatMs)

  serving.run.tickAt(serving.run.now.monotonicMs + 2 * stallLimitMs)

  expect(serving.run.fatal).toBeUndefined()
})
