/** Both disks answer the same calls in the same way; what is special to real files comes after. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { DiskCall, DiskResult, FileCodec, FileId } from '@corral/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Disk, FileDisk } from './disk.ts'
import { MemoryDisk } from './memory-disk.ts'

let root = ''
const opened: Disk[] = []

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'corral-disk-'))
})

afterEach(async () => {
  for (const disk of opened.splice(0)) await disk.close()
  rmSync(root, { recursive: true })
})

/** A disk whose calls are promises. */
class Asked<D extends Disk = Disk> {
  readonly disk: D
  readonly results: number[] = []
  readonly #waiting: Map<number, (result: DiskResult) => void> = new Map()
  #lastOp = 0

  constructor(make: (report: (op: number, result: DiskResult) => void) => D) {
    this.disk = make((op, result) => {
      this.results.push(op)
      this.#waiting.get(op)?.(result)
      this.#waiting.delete(op)
    })
    opened.push(this.disk)
  }

  do(call: DiskCall): Promise<DiskResult> {
    const op = ++this.#lastOp
    return new Promise(done => {
      this.#waiting.set(op, done)
      const before = this.results.length
      this.disk.perform(op, call)
      expect(this.results.length).toBe(before)
    })
  }

  async open(name: string, mode: 'create' | 'update' | 'read', codec: FileCodec = 'plain'): Promise<FileId> {
    const result = await this.do({ call: 'open', dir: 'data', name, mode, codec })
    if (!result.ok || result.file === undefined) throw new Error(JSON.stringify(result))
    return result.file
  }
}

/** Real files, and a clock that the test moves. */
class Clocked {
  nowMs = 0
  /** What each look at the clock adds. */
  stepMs = 0
  readonly asked: Asked<FileDisk>

  constructor() {
    const paths = { data: root, log: root, dataRoot: root, logRoot: root }
    const clock = { nowMs: () => (this.nowMs += this.stepMs) }
    this.asked = new Asked(report => new FileDisk({ paths, report, clock }))
  }

  sync(file: FileId, at = 0): Promise<DiskResult> {
    return this.asked.do({ call: 'write', file, at, pieces: [text('x')], sync: true })
  }
}

function fileDisk(): Asked {
  for (const dir of ['data', 'log']) mkdirSync(join(root, dir), { recursive: true })
  const paths = { data: join(root, 'data'), log: join(root, 'log'), dataRoot: root, logRoot: root }
  return new Asked(report => new FileDisk({ paths, report }))
}

function memoryDisk(): Asked {
  return new Asked(report => new MemoryDisk({ report }))
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

async function contentOf(asked: Asked, name: string, codec: FileCodec = 'plain'): Promise<string> {
  const file = await asked.open(name, 'read', codec)
  const into = new Uint8Array(1 << 20)
  const result = await asked.do({ call: 'read', file, at: 0, into })
  await asked.do({ call: 'close', file })
  return result.ok ? Buffer.from(into.subarray(0, result.count)).toString() : result.errno
}

describe.each([
  { kind: 'files', make: fileDisk },
  { kind: 'memory', make: memoryDisk },
])('a disk of $kind', ({ make }) => {
  test('writes pieces one behind the other, at the place given, and reads them', async () => {
    const asked = make()
    const file = await asked.open('a', 'create')

    await asked.do({ call: 'write', file, at: 0, pieces: [text('ab'), text('cd'), text('')], sync: false })
    expect(await asked.do({ call: 'write', file, at: 3, pieces: [text('DE')], sync: true })).toEqual({
      ok: true,
    })
    const into = new Uint8Array(3)
    expect(await asked.do({ call: 'read', file, at: 1, into })).toEqual({ ok: true, count: 3 })
    expect(Buffer.from(into).toString()).toBe('bcD')
    expect(await asked.do({ call: 'read', file, at: 4, into })).toEqual({ ok: true, count: 1 })
    expect(await asked.do({ call: 'read', file, at: 5, into })).toEqual({ ok: true, count: 0 })
  })

  test('keeps the order of calls on one file, close last', async () => {
    const asked = make()
    const file = await asked.open('a', 'create')
    const into = new Uint8Array(9)

    const results = await Promise.all([
      asked.do({ call: 'write', file, at: 0, pieces: [text('x'.repeat(9000))], sync: true }),
      asked.do({ call: 'write', file, at: 0, pieces: [text('y')], sync: true }),
      asked.do({ call: 'truncate', file, lengthBytes: 2 }),
      asked.do({ call: 'read', file, at: 0, into }),
      asked.do({ call: 'sync', file }),
      asked.do({ call: 'close', file }),
    ])

    expect(results.every(({ ok }) => ok)).toBe(true)
    expect(Buffer.from(into.subarray(0, 2)).toString()).toBe('yx')
    expect(await contentOf(asked, 'a')).toBe('yx')
  })

  test('small writes without a sync are there with what is asked next, whatever it is, and by themselves', async () => {
    const asked = make()
    const file = await asked.open('a', 'create')
    const small = (at: number, bytes: string): Promise<DiskResult> =>
      asked.do({ call: 'write', file, at, pieces: [text(bytes)], sync: false })
    const ended: string[] = []
    const noted = (name: string, call: Promise<DiskResult>): Promise<unknown> =>
      call.then(result => ended.push(`${name} ${result.ok}`))

    await Promise.all([
      noted('mark', small(0, 'mark')),
      noted('batch', asked.do({ call: 'write', file, at: 4, pieces: [text('B'.repeat(5000))], sync: true })),
      noted('one', small(0, 'one')),
      noted('two, on one', small(2, 'TWO')),
      noted('cut', asked.do({ call: 'truncate', file, lengthBytes: 8 })),
      noted('late', small(7, 'late')),
    ])

    expect(ended).toEqual(['mark', 'batch', 'one', 'two, on one', 'cut', 'late'].map(name => `${name} true`))
    expect(await contentOf(asked, 'a')).toBe('onTWOBBlate')
    await asked.do({ call: 'close', file })
  })

  test('create replaces, update keeps, read and update want a file', async () => {
    const asked = make()
    const first = await asked.open('a', 'create')
    await asked.do({ call: 'write', file: first, at: 0, pieces: [text('old')], sync: false })
    const kept = await asked.do({ call: 'open', dir: 'data', name: 'a', mode: 'update', codec: 'plain' })
    expect(kept).toMatchObject({ ok: true, sizeBytes: 3 })
    await asked.open('a', 'create')

    expect(await contentOf(asked, 'a')).toBe('')
    for (const mode of ['read', 'update'] as const) {
      const result = await asked.do({ call: 'open', dir: 'data', name: 'none', mode, codec: 'plain' })
      expect(result).toMatchObject({ ok: false, errno: 'ENOENT' })
    }
  })

  test('lists, renames over another file, and removes', async () => {
    const asked = make()
    for (const name of ['a', 'b']) {
      const file = await asked.open(name, 'create')
      await asked.do({ call: 'write', file, at: 0, pieces: [text(name.repeat(3))], sync: true })
    }

    expect(await asked.do({ call: 'rename', dir: 'data', from: 'a', to: 'b' })).toEqual({ ok: true })
    expect(await asked.do({ call: 'syncDir', dir: 'data' })).toEqual({ ok: true })
    expect(await asked.do({ call: 'list', dir: 'data' })).toEqual({
      ok: true,
      entries: [{ name: 'b', sizeBytes: 3 }],
    })
    expect(await contentOf(asked, 'b')).toBe('aaa')
    expect(await asked.do({ call: 'remove', dir: 'data', name: 'b' })).toEqual({ ok: true })
    expect(await asked.do({ call: 'remove', dir: 'data', name: 'b' })).toMatchObject({ errno: 'ENOENT' })
    expect(await asked.do({ call: 'rename', dir: 'data', from: 'b', to: 'c' })).toMatchObject({
      errno: 'ENOENT',
    })
  })

  test('a truncated file that grows again has zeros there', async () => {
    const asked = make()
    const file = await asked.open('a', 'create')
    await asked.do({ call: 'write', file, at: 0, pieces: [text('abcdef')], sync: false })
    await asked.do({ call: 'truncate', file, lengthBytes: 2 })
    await asked.do({ call: 'write', file, at: 4, pieces: [text('x')], sync: false })

    expect(await contentOf(asked, 'a')).toBe('ab\0\0x')
  })
})

describe('files', () => {
  test('a fill puts zeros, also while writes go on, and close waits for it', async () => {
    const asked = fileDisk()
    const file = await asked.open('a', 'create')

    const results = await Promise.all([
      asked.do({ call: 'write', file, at: 0, pieces: [text('head')], sync: true }),
      asked.do({ call: 'fill', file, at: 4096, lengthBytes: 300_000 }),
      asked.do({ call: 'write', file, at: 4, pieces: [text('tail')], sync: true }),
      asked.do({ call: 'close', file }),
    ])

    expect(results).toEqual([{ ok: true }, { ok: true }, { ok: true }, { ok: true }])
    const bytes = readFileSync(join(root, 'data', 'a'))
    expect(bytes.length).toBe(4096 + 300_000)
    expect(bytes.subarray(0, 8).toString()).toBe('headtail')
    expect(bytes.subarray(8).every(byte => byte === 0)).toBe(true)
  })

  test('after a hundred quick syncs small batches are synced in the loop, and answered later all the same', async () => {
    const clocked = new Clocked()
    const { asked } = clocked
    const { disk } = asked
    const file = await asked.open('a', 'create')
    clocked.nowMs = 2000

    for (let i = 0; i < 120; i++) {
      expect(await clocked.sync(file, i)).toEqual({ ok: true })
    }
    expect(disk.syncsInLoop).toBe(20)
    await asked.do({ call: 'write', file, at: 0, pieces: [new Uint8Array(513)], sync: true })
    expect(disk.syncsInLoop).toBe(20)
  })

  test('the first slow sync sends the next hundred through the pool', async () => {
    const clocked = new Clocked()
    const { asked } = clocked
    const { disk } = asked
    const file = await asked.open('a', 'create')
    clocked.nowMs = 2000
    for (let i = 0; i < 101; i++) await clocked.sync(file)
    expect(disk.syncsInLoop).toBe(1)

    clocked.stepMs = 2
    await clocked.sync(file)
    clocked.stepMs = 0
    for (let i = 0; i < 100; i++) await clocked.sync(file)
    expect(disk.syncsInLoop).toBe(2)
    await clocked.sync(file)
    expect(disk.syncsInLoop).toBe(3)
  })

  test('other work sends syncs through the pool until two seconds after its end', async () => {
    const clocked = new Clocked()
    const { asked } = clocked
    const { disk } = asked
    const file = await asked.open('a', 'create')
    for (let i = 0; i < 101; i++) await clocked.sync(file)
    expect(disk.syncsInLoop).toBe(0)

    clocked.nowMs = 2000
    await clocked.sync(file)
    expect(disk.syncsInLoop).toBe(1)
    const removed = asked.do({ call: 'remove', dir: 'data', name: 'gone' })
    await clocked.sync(file)
    await removed
    clocked.nowMs = 3999
    await clocked.sync(file)
    expect(disk.syncsInLoop).toBe(1)

    clocked.nowMs = 4000
    await clocked.sync(file)
    expect(disk.syncsInLoop).toBe(2)
  })

  test('closed, it has ended what was under way, and does nothing more', async () => {
    const asked = fileDisk()
    const openFile = (name: string): unknown =>
      asked.do({ call: 'open', dir: 'data', name, mode: 'create', codec: 'plain' })
    openFile('late')
    await asked.disk.close()
    expect(readdirSync(join(root, 'data'))).toEqual(['late'])
    openFile('later')
    await asked.disk.close()

    expect(readdirSync(join(root, 'data'))).toEqual(['late'])
    expect(asked.results).toEqual([])
  })

  test('a call on a file that is not open is refused', async () => {
    expect(await fileDisk().do({ call: 'sync', file: 77 })).toMatchObject({ ok: false, errno: 'EBADF' })
  })

  test('lists the files that symbolic links lead to, and refuses to list past one that leads nowhere', async () => {
    const asked = fileDisk()
    writeFileSync(join(root, 'elsewhere'), '12345')
    symlinkSync(join(root, 'elsewhere'), join(root, 'log', 'log.1'))
    symlinkSync(root, join(root, 'log', 'directory'))

    expect(await asked.do({ call: 'list', dir: 'log' })).toEqual({
      ok: true,
      entries: [{ name: 'log.1', sizeBytes: 5 }],
    })
    symlinkSync(join(root, 'unmounted'), join(root, 'log', 'log.9'))
    symlinkSync(join(root, 'unmounted'), join(root, 'myid'))
    expect(await asked.do({ call: 'list', dir: 'log' })).toMatchObject({
      ok: false,
      errno: 'ENOENT',
      message: expect.stringContaining('log.9'),
    })
    expect(await asked.do({ call: 'list', dir: 'logRoot' })).toEqual({
      ok: true,
      entries: [{ name: 'elsewhere', sizeBytes: 5 }],
    })
  })

  test('lists plain files only', async () => {
    const asked = fileDisk()
    writeFileSync(join(root, 'myid'), '1')

    expect(await asked.do({ call: 'list', dir: 'dataRoot' })).toEqual({
      ok: true,
      entries: [{ name: 'myid', sizeBytes: 1 }],
    })
  })
})

describe.each(['gz', 'snappy'] as const)('the codec %s', codec => {
  async function writeWith(asked: Asked, pieces: readonly Uint8Array[]): Promise<void> {
    const file = await asked.open('a', 'create', codec)
    let at = 0
    for (const piece of pieces) {
      const lent = piece.slice()
      expect(await asked.do({ call: 'write', file, at, pieces: [lent], sync: false })).toEqual({ ok: true })
      lent.fill(0xff) // lent until then, and no longer
      at += piece.length
    }
    expect(await asked.do({ call: 'sync', file })).toEqual({ ok: true })
    expect(await asked.do({ call: 'close', file })).toEqual({ ok: true })
  }

  test.each([
    { what: 'nothing but a few bytes', sizes: [3] },
    { what: 'pieces of odd sizes', sizes: [1, 32_767, 32_768, 32_769, 100_000, 5] },
  ])('gives back $what', async ({ sizes }) => {
    const asked = fileDisk()
    const pieces = sizes.map((size, i) => new Uint8Array(size).map((_, at) => (at * (i + 3)) >> 3))
    await writeWith(asked, pieces)

    const all = Buffer.concat(pieces)
    const file = await asked.open('a', 'read', codec)
    for (const step of [all.length + 10]) {
      const into = new Uint8Array(step)
      expect(await asked.do({ call: 'read', file, at: 0, into })).toEqual({ ok: true, count: all.length })
      expect(Buffer.from(into.subarray(0, all.length)).equals(all)).toBe(true)
      expect(await asked.do({ call: 'read', file, at: all.length, into })).toEqual({ ok: true, count: 0 })
    }
  })

  test('reads on where the last read ended', async () => {
    const asked = fileDisk()
    const all = new Uint8Array(100_000).map((_, at) => at % 251)
    await writeWith(asked, [all])

    const file = await asked.open('a', 'read', codec)
    for (let at = 0; at < all.length; ) {
      const into = new Uint8Array(777)
      const result = await asked.do({ call: 'read', file, at, into })
      const count = result.ok ? (result.count ?? 0) : -1
      expect(count).toBe(Math.min(777, all.length - at))
      expect(Buffer.from(into.subarray(0, count)).equals(Buffer.from(all.subarray(at, at + count)))).toBe(
        true,
      )
      at += count
    }
  })

  test('a damaged stream is EBADMSG, a missing file ENOENT; neither ends the process', async () => {
    const asked = fileDisk()
    writeFileSync(join(root, 'data', 'bad'), 'this is no compressed file at all')
    writeFileSync(join(root, 'data', 'empty'), '')

    expect(await contentOf(asked, 'bad', codec)).toBe('EBADMSG')
    expect(['EBADMSG', '']).toContain(await contentOf(asked, 'empty', codec))
    const missing = await asked.do({ call: 'open', dir: 'data', name: 'none', mode: 'read', codec })
    expect(missing).toMatchObject({ errno: 'ENOENT' })
  })

  test('given up in the middle, it writes nothing any more once it is closed', async () => {
    const asked = fileDisk()
    const file = await asked.open('a', 'create', codec)
    const noise = new Uint8Array(300_000).map((_, at) => (at * at * 31 + (at >> 3)) & 0xff)
    const writing = asked.do({ call: 'write', file, at: 0, pieces: [noise], sync: false })
    const closing = asked.do({ call: 'close', file })

    expect([await writing, await closing]).toEqual([{ ok: true }, { ok: true }])
    // The next file gets the number of the closed one.
    const next = await asked.open('b', 'create')
    await asked.do({ call: 'sync', file: next })
    expect(readFileSync(join(root, 'data', 'b')).length).toBe(0)
  })

  test('a stream cut anywhere is EBADMSG', async () => {
    const asked = fileDisk()
    await writeWith(asked, [new Uint8Array(40_000).map((_, at) => at % 7)])
    const whole = readFileSync(join(root, 'data', 'a'))
    for (const length of [1, 7, 9, 15, 17, 19, 40, whole.length - 1]) {
      writeFileSync(join(root, 'data', 'cut'), whole.subarray(0, length))
      expect(await contentOf(asked, 'cut', codec), `cut to ${length}`).toBe('EBADMSG')
    }
  })
})

test('what gz writes is a gzip file, and other gzip files are read', async () => {
  const asked = fileDisk()
  const file = await asked.open('a', 'create', 'gz')
  await asked.do({ call: 'write', file, at: 0, pieces: [text('hello')], sync: false })
  await asked.do({ call: 'sync', file })
  await asked.do({ call: 'close', file })
  writeFileSync(join(root, 'data', 'b'), gzipSync('from elsewhere'))

  expect(gunzipSync(readFileSync(join(root, 'data', 'a'))).toString()).toBe('hello')
  expect(await contentOf(asked, 'b', 'gz')).toBe('from elsewhere')
  expect(existsSync(join(root, 'data', 'a'))).toBe(true)
})
