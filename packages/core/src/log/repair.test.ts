import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { OpCode } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { CrashDisk } from '../../test/crash-disk.ts'
import { LogRun } from '../../test/log-run.ts'
import { defaultConfig } from '../config.ts'
import { seededRandom } from '../random.ts'
import { DataTree } from '../tree/data-tree.ts'
import { planRepair, type RepairPlan, repair } from './repair.ts'
import { DiskOps, type Script } from './script.ts'

const kill = { kind: 'kill', random: seededRandom(1) } as const
const now = { monotonicMs: 0, wallMs: 0 }
const acl = [{ perms: 31, scheme: 'world', id: 'anyone' }]

/** What the script came to; its calls are carried out until the disk is told to fail. */
function carriedOut<T>(disk: CrashDisk, script: Script<T>): T {
  const ops = new DiskOps(effect => {
    if (effect.kind === 'disk') disk.ask(effect.op, effect.do)
  })
  let end: { readonly value: T } | { readonly failure: Error } | undefined
  ops.run(now, script, {
    done: (_now, value) => {
      end = { value }
    },
    failed: (_now, failure) => {
      end = { failure }
    },
  })
  while (!disk.isIdle) {
    const { op, result } = disk.next(kill.random)
    ops.diskDone(now, op, result)
  }
  if (end === undefined) throw new Error('the script has not ended')
  if ('failure' in end) throw end.failure
  return end.value
}

function planFor(disk: CrashDisk): RepairPlan | undefined {
  const makeTree = (): DataTree =>
    new DataTree({ random: seededRandom(1), isTtlEnabled: true, isDigestEnabled: true })
  return carriedOut(disk, planRepair({ config: defaultConfig, makeTree, say: () => undefined }))
}

function golden(directory: string): CrashDisk {
  const disk = new CrashDisk()
  const at = new URL(
    `../../../../test/golden/data-dirs/zookeeper-3.8.0/${directory}/data/version-2/`,
    import.meta.url,
  )
  for (const name of existsSync(at) ? readdirSync(at) : []) {
    const dir = name.startsWith('log.') ? 'log' : 'data'
    disk.put(dir, name, new Uint8Array(readFileSync(new URL(name, at))))
  }
  return disk
}

/** Forty txns in logs of about ten, after a kill. */
function killed(): { readonly disk: CrashDisk; readonly logs: readonly string[] } {
  const run = new LogRun(new CrashDisk(), {
    storage: { preAllocBytes: 0, txnLogSizeLimitBytes: 1000 },
    seed: 1,
  })
  run.untilIdle()
  for (let i = 0; i < 40; i++) {
    run.append(id => ({
      kind: 'create',
      type: OpCode.Create,
      path: `/n${id}`,
      data: new Uint8Array(10).fill(7),
      acl,
      isEphemeral: false,
      parentCversion: -1,
    }))
    run.untilIdle()
  }
  const disk = run.disk.crash(kill)
  const byZxid = (name: string): number => Number.parseInt(name.slice(4), 16)
  return { disk, logs: disk.namesIn('log').sort((a, b) => byZxid(a) - byZxid(b)) }
}

function restarted(disk: CrashDisk): LogRun {
  return new LogRun(disk.crash(kill), { storage: {}, seed: 1 }).untilIdle()
}

describe('the place to cut', () => {
  test.each([
    { directory: 'corrupt-middle-crc', at: 250, found: 'bad checksum', lastGood: 3n },
    { directory: 'torn-tail-bad-crc', at: 615, found: 'bad checksum', lastGood: 8n },
    { directory: 'torn-tail-bad-length', at: 615, found: 'bad length', lastGood: 8n },
    { directory: 'torn-tail-zeroed-with-eor', at: 615, found: 'bad checksum', lastGood: 8n },
  ])('of $directory', ({ directory, at, found, lastGood }) => {
    expect(planFor(golden(directory))?.damage).toEqual({ name: 'log.1', at, found, lastGood })
  })

  test.each(['standalone-basic', 'torn-tail-cut', 'torn-tail-no-eor', 'empty-last-log'])(
    'is none in %s, which a start mends by itself',
    directory => {
      expect(planFor(golden(directory))).toBeUndefined()
    },
  )

  test('is none in a log from before the snapshot that a start loads', () => {
    const { disk, logs } = killed()
    const first = logs[0] ?? ''
    disk.bytesOf('log', first).fill(0xff, 40, 60)
    expect(planFor(disk)?.damage.name).toBe(first)

    const run = new LogRun(new CrashDisk(), { storage: { snapCount: 10, purge: undefined }, seed: 1 })
    run.untilIdle()
    for (let i = 0; i < 40; i++) {
      run.append(() => ({ kind: 'createSession', timeoutMs: 5000 }), BigInt(i))
      run.untilIdle()
    }
    run.disk.bytesOf('log', 'log.1').fill(0xff, 40, 60)
    expect(planFor(run.disk.crash(kill))).toBeUndefined()
  })

  test('is the begin of the log behind a gap', () => {
    const { disk, logs } = killed()
    disk.drop('log', logs[1] ?? '')

    expect(planFor(disk)).toMatchObject({
      damage: { name: logs[2], at: 16, found: expect.stringContaining('are missing') },
      isWholeFile: true,
    })
  })
})

test('what cutting does not mend is refused as a start refuses it', () => {
  const disk = golden('standalone-basic')
  disk.drop('data', 'snapshot.0')

  expect(() => planFor(disk)).toThrow(/no usable snapshot/)
})

test('a repair cuts at the damage, keeps the rest as a log under another name and sets later logs aside', () => {
  const { disk, logs } = killed()
  const [first = '', second = '', ...later] = logs
  const whole = disk.bytesOf('log', second).slice()
  disk.put('log', `damaged-${second}`, new Uint8Array(1))
  const damagedAt = 16 + 13 + new DataView(whole.buffer).getInt32(16 + 8)
  disk.bytesOf('log', second).fill(0xff, damagedAt + 20, damagedAt + 22)
  expect(restarted(disk.fork()).fatal).toMatchObject({ reason: expect.stringContaining('repair-log') })

  const plan = planFor(disk)
  expect(plan).toMatchObject({
    keepAside: `damaged-${second}-2`,
    isWholeFile: false,
    setAside: later.toReversed().map(from => ({ from, to: `damaged-${from}` })),
  })
  if (plan === undefined) return
  carriedOut(disk, repair(plan))

  expect(disk.namesIn('log').filter(name => name.startsWith('log.'))).toEqual([first, second].sort())
  const aside = disk.bytesOf('log', `damaged-${second}-2`)
  expect(aside.subarray(0, 16)).toEqual(whole.subarray(0, 16))
  expect(aside.subarray(16 + 22)).toEqual(whole.subarray(damagedAt + 22))
  expect(restarted(disk).recovered?.lastZxid).toBe(plan.damage.lastGood)
})

test('a repair may be interrupted anywhere: the next one ends at the same place', () => {
  for (let calls = 1; ; calls++) {
    const { disk: whole, logs } = killed()
    whole.bytesOf('log', logs[1] ?? '').fill(0xff, 40, 60)
    const disk = new CrashDisk(whole.image())
    const plan = planFor(disk)
    if (plan === undefined) throw new Error('there is damage')
    disk.failFrom = disk.carriedOut + calls
    let isDone = true
    try {
      carriedOut(disk, repair(plan))
    } catch {
      isDone = false
    }
    const left = disk.crash({ kind: 'power loss', random: seededRandom(calls) })

    const rest = planFor(left)
    if (rest !== undefined) carriedOut(left, repair(rest))
    expect(restarted(left).recovered?.lastZxid).toBe(plan.damage.lastGood)
    if (isDone) return
  }
})

test('after a repair the note of the last run does not ask for what was cut', () => {
  const { disk } = killed()
  const run = restarted(disk)
  run.stop()
  run.untilIdle()
  const [first = ''] = run.disk.namesIn('log').sort()
  run.disk.bytesOf('log', first).fill(0xff, 40, 60)
  const left = run.disk.crash(kill)
  const plan = planFor(left)
  if (plan === undefined) throw new Error('there is damage')

  carriedOut(left, repair(plan))

  expect(restarted(left).recovered?.lastZxid).toBe(plan.damage.lastGood)
})
