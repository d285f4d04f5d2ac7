/** After a run that died the newest log is written anew: what stands in the copy must be what was examined. */
import { fileHeaderBytes, OpCode, type Zxid } from '@corral/protocol'
import { expect, test } from 'vitest'
import { CrashDisk } from '../../test/crash-disk.ts'
import { LogRun } from '../../test/log-run.ts'
import type { DiskCall, DiskResult, OpId } from '../disk.ts'
import { type Random, seededRandom } from '../random.ts'

/** Reads right until a log is being written anew, and then otherwise. */
class FickleDisk extends CrashDisk {
  readonly #calls: Map<OpId, DiskCall> = new Map()
  readonly #misread: (file: Uint8Array) => void
  #isFickle = false

  constructor(image: ReturnType<CrashDisk['image']>, misread: (file: Uint8Array) => void) {
    super(image)
    this.#misread = misread
  }

  override ask(op: OpId, call: DiskCall): void {
    this.#calls.set(op, call)
    if (call.call === 'open' && call.name === 'tmp-log.1') this.#isFickle = true
    super.ask(op, call)
  }

  override next(random: Random): { readonly op: OpId; readonly result: DiskResult } {
    const { op, result } = super.next(random)
    const call = this.#calls.get(op)
    if (!this.#isFickle || call?.call !== 'read' || !result.ok) return { op, result }
    const file = this.bytesOf('log', 'log.1').slice()
    this.#misread(file)
    const part = file.subarray(call.at, call.at + call.into.length)
    call.into.set(part)
    return { op, result: { ok: true, count: part.length } }
  }
}

const storage = { preAllocBytes: 0 }

function started(disk: CrashDisk): LogRun {
  return new LogRun(disk, { storage, seed: 1 }).untilIdle()
}

function createAt(id: Zxid): ReturnType<Parameters<LogRun['append']>[0]> {
  const data = new Uint8Array(3000).fill(7)
  return { kind: 'create', type: OpCode.Create, path: `/n${id}`, data, ...plain }
}

const plain = { acl: [{ perms: 31, scheme: 'world', id: 'anyone' }], isEphemeral: false, parentCversion: -1 }

/** Of 600 txns, each durable on its own: more than is read at once. */
function killed(): ReturnType<CrashDisk['image']> {
  const run = started(new CrashDisk())
  for (let i = 0; i < 600; i++) {
    run.append(createAt)
    run.untilIdle()
  }
  return run.disk.crash({ kind: 'kill', random: seededRandom(1) }).image()
}

const image = killed()

test('the copy is the same, byte for byte, but for the mark', () => {
  const before = image.get('log')?.get('log.1') as Uint8Array

  const run = started(new CrashDisk(image))

  expect(run.fatal).toBeUndefined()
  const after = run.disk.bytesOf('log', 'log.1')
  expect(after.length).toBe(before.length)
  expect([...after.subarray(0, 8)]).toEqual([...before.subarray(0, 8)])
  expect(Buffer.from(after.subarray(16)).equals(Buffer.from(before.subarray(16)))).toBe(true)
})

/** @returns where a record begins, counted from 1 */
function recordAt(log: Uint8Array, number: number): number {
  const view = new DataView(log.buffer, log.byteOffset, log.byteLength)
  let at = fileHeaderBytes
  for (let i = 1; i < number; i++) at += 12 + view.getInt32(at + 8) + 1
  return at
}

test.each<[string, number, (file: Uint8Array, at: number) => void]>([
  ['a byte of the magic', 0, file => file.fill(0xff, 0, 1)],
  ['no mark', 0, file => file.fill(0, 8, 16)],
  ['a byte of the first record', 1, (file, at) => file.fill(8, at + 100, at + 101)],
  ['a byte far behind', 500, (file, at) => file.fill(8, at + 100, at + 101)],
  ['a longer record', 500, (file, at) => file.fill(1, at + 9, at + 10)],
  ['no record', 500, (file, at) => file.fill(0, at, at + 3500)],
  ['zeros from the third record on', 3, (file, at) => file.fill(0, at)],
  ['a byte of the last record', 600, (file, at) => file.fill(8, at + 100, at + 101)],
])('%s, read the second time, ends the start and leaves the log as it was', (_, number, misread) => {
  const before = image.get('log')?.get('log.1') as Uint8Array
  const at = number === 0 ? 0 : recordAt(before, number)

  const run = started(new FickleDisk(image, file => misread(file, at)))

  expect(run.fatal).toMatchObject({
    exitCode: 10,
    reason: expect.stringMatching(new RegExp(`^log\\.1 .*at byte ${at}\\b.*second time`)),
  })
  expect(Buffer.from(run.disk.bytesOf('log', 'log.1')).equals(before)).toBe(true)
  expect(started(new CrashDisk(run.disk.image())).lastZxid).toBe(600n)
})
