/**
 * A workload that touches every durable step, and a crash after each of its disk calls: what clients were told is
 * there after the restart, nothing else than the txns in their order is, and no operator is needed.
 */
import { OpCode, type Zxid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { CrashDisk, type CrashOutcome } from '../../test/crash-disk.ts'
import { LogRun } from '../../test/log-run.ts'
import { seededRandom } from '../random.ts'

const storage = { snapCount: 6, preAllocBytes: 16 * 1024, purge: { retainCount: 3 } }
const acl = [{ perms: 31, scheme: 'world', id: 'anyone' }]
const txnCount = 90
/** Of what one crash can leave. */
const draws = { kill: 2, 'power loss': 8 }

/** The txn with this zxid: creates first, then values that differ in size, so that batches have one page or many. */
function bodyAt(id: Zxid): Parameters<LogRun['append']>[0] extends (id: Zxid) => infer Body ? Body : never {
  const n = Number(id)
  const size = n % 7 === 0 ? 9000 : 100 * (n % 13)
  const data = new Uint8Array(size).fill(1 + (n % 250))
  if (n % 3 === 1) {
    return {
      kind: 'create',
      type: OpCode.Create,
      path: `/n${n}`,
      data,
      acl,
      isEphemeral: false,
      parentCversion: -1,
    }
  }
  return { kind: 'setData', path: `/n${n - (n % 3) + (n % 3 === 0 ? -2 : 1)}`, data, version: n % 3 }
}

/** Works to the orderly end; comes back at the beginning and after each disk call that was carried out. */
function* working(
  disk: CrashDisk,
  given: { readonly seed: number; readonly txns: number },
): Generator<LogRun, LogRun> {
  const run = new LogRun(disk, { storage, seed: given.seed })
  const chance = seededRandom(given.seed)
  let appended = 0
  let calls = -1
  let isStopping = false
  while (!run.isOver) {
    if (disk.carriedOut > calls) yield run
    calls = disk.carriedOut
    const isBusy = !run.isIdle
    if (run.recovered !== undefined && appended < given.txns && (!isBusy || chance.u32() % 3 === 0)) {
      for (let n = 1 + (chance.u32() % 5); n > 0 && appended < given.txns; n--, appended++) run.append(bodyAt)
    } else if (isBusy && chance.u32() % 40 === 0) run.tickAt(run.now.monotonicMs + 100)
    else if (isBusy) run.step()
    else {
      expect(isStopping, 'is idle, and does not come to the end of its stop').toBe(false)
      isStopping = true
      run.stop()
    }
  }
  yield run
  return run
}

function workToTheEnd(seed: number): LogRun {
  const steps = working(new CrashDisk(), { seed, txns: txnCount })
  for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value
}

/** A start that gets only so far. */
function interruptedStart(disk: CrashDisk, calls: number, seed: number): CrashDisk {
  for (const run of working(disk, { seed, txns: 0 })) if (run.disk.carriedOut >= calls) break
  return disk
}

/** The tree's digest after each zxid, from a run without a crash. */
function digestsOf(run: LogRun, upTo: number): Map<bigint, string> {
  const digests = new Map<bigint, string>([[run.lastZxid, digestOf(run)]])
  while (run.lastZxid < upTo) {
    run.append(bodyAt)
    run.untilIdle()
    digests.set(run.lastZxid, digestOf(run))
  }
  return digests
}

function digestOf(run: LogRun): string {
  return `${run.tree.digestHigh >>> 0}:${run.tree.digestLow >>> 0} of ${run.tree.znodeCount}`
}

const right = digestsOf(new LogRun(new CrashDisk(), { storage, seed: 1 }).untilIdle(), 2 * txnCount)

function recoverFrom(disk: CrashDisk, told: Zxid): LogRun {
  const run = new LogRun(disk, { storage, seed: 7 }).untilIdle()
  expect(run.fatal).toBeUndefined()
  expect(run.recovered).toBeDefined()
  expect(run.lastZxid).toBeGreaterThanOrEqual(told)
  expect(digestOf(run)).toBe(right.get(run.lastZxid))
  expect(run.said.filter(({ level }) => level === 'error')).toEqual([])
  return run
}

describe.each([1, 2])('schedule %i', seed => {
  const whole = workToTheEnd(seed)

  test('without a crash every step of the list is touched', () => {
    expect(whole.isStopped).toBe(true)
    expect(whole.log.counters.snapshots).toBeGreaterThan(3)
    expect(whole.said.some(({ what }) => what === 'purged old files')).toBe(true)
    expect(whole.lastZxid).toBe(BigInt(txnCount))
  })

  test('from every snapshot that is kept the same tree comes back', () => {
    const kept = whole.disk.namesIn('data')
    expect(kept.length).toBeGreaterThanOrEqual(3)
    for (const name of kept) {
      const image = whole.disk.image()
      for (const other of kept) if (other !== name) image.get('data')?.delete(other)

      const run = recoverFrom(new CrashDisk(image), whole.told)
      expect(run.lastZxid).toBe(whole.told)
    }
  })

  test.each(['kill', 'power loss'] as const)('%s after each call', kind => {
    let crashes = 0
    for (const before of working(new CrashDisk(), { seed, txns: txnCount })) {
      const calls = before.disk.carriedOut
      const seen = new Set<string>()
      for (let draw = 0; draw < draws[kind]; draw++) {
        const outcome = (): CrashOutcome => ({ kind, random: seededRandom(1000 * calls + draw) })
        const crashed = before.disk.fork().crash(outcome())
        if (seen.has(crashed.print)) continue
        seen.add(crashed.print)

        // Then a second crash, in the middle of the recovery, and a third start that goes on working.
        const interrupted = interruptedStart(crashed, (calls * 7) % 40, seed)
        const after = recoverFrom(interrupted.crash(outcome()), before.told)

        after.append(bodyAt)
        after.append(bodyAt)
        after.untilIdle()
        expect(digestOf(after)).toBe(right.get(after.lastZxid))
        after.stop()
        after.untilIdle()
        expect(after.isStopped).toBe(true)
        recoverFrom(after.disk.crash(outcome()), after.told)
        crashes++
      }
    }
    expect(crashes).toBeGreaterThan(kind === 'kill' ? 100 : 300)
  })

  test('an error of each call ends the run or is said, and costs nothing that was told', () => {
    let ends = 0
    for (let call = 1; call <= whole.disk.carriedOut; call++) {
      const disk = new CrashDisk()
      disk.isFailing = () => disk.carriedOut === call
      let run: LogRun | undefined
      for (run of working(disk, { seed, txns: txnCount }));
      const { fatal, said, told } = run as LogRun
      ends += fatal === undefined ? 0 : 1
      if (fatal !== undefined) expect(fatal.exitCode).toBe(10)
      else if (disk.carriedOut > call) expect(said.some(({ level }) => level === 'error')).toBe(true)

      recoverFrom(disk.crash({ kind: 'power loss', random: seededRandom(call) }), told)
    }
    expect(ends).toBeGreaterThan(50)
  })
})
