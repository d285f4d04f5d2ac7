/** What a start makes of directories that something else left: operators, the Java server, time. */
import { readFileSync } from 'node:fs'
import { OpCode, type Zxid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { CrashDisk } from '../../test/crash-disk.ts'
import { LogRun } from '../../test/log-run.ts'
import type { StorageConfig } from '../config.ts'
import type { DiskCall, OpId } from '../disk.ts'
import { seededRandom } from '../random.ts'

const acl = [{ perms: 31, scheme: 'world', id: 'anyone' }]
type Body = ReturnType<Parameters<LogRun['append']>[0]>

/** Notes the calls in the order in which they were asked for. */
class WatchedDisk extends CrashDisk {
  readonly asked: DiskCall[] = []

  override ask(op: OpId, call: DiskCall): void {
    this.asked.push(call)
    super.ask(op, call)
  }
}

function golden(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../../../test/golden/data-dirs/${path}`, import.meta.url)))
}

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

test('the counter of a standalone server goes on beyond 32 bits, as in the Java server', () => {
  const disk = new CrashDisk()
  const snapshot = golden('zookeeper-3.8.0/snapshot-and-logs/data/version-2/snapshot.c')
  disk.put('data', 'snapshot.fffffffd', snapshot)
  const run = written(started(disk), 5)
  expect(run.told).toBe(0x1_0000_0002n)

  const next = restarted(disk)

  expect(next.recovered).toMatchObject({ lastZxid: 0x1_0000_0002n, replayedTxns: 5 })
})
