/**
 * The real disk: carries out the calls of the log and reports each one's end, later, in a turn of its own.
 *
 * Calls on one file run one after another in the order given, except `fill`, which may run beside a write. A batch of a
 * txn or two is written and synced right here in the loop's thread while syncs are quick, which saves two hops to the
 * thread pool. A synchronous sync stops everything, so the first slow one sends the next hundred through the pool; so
 * does all other work for a while, since the journal is busy with a snapshot or a removed file for longer than its call.
 * Nothing else is written in the loop's thread: even a few bytes for the page cache may wait there for the journal. A
 * small write without a sync is held until the turn ends, so that it leaves together with a batch. What the caller sees
 * is the same both ways.
 */
import {
  close,
  fdatasync,
  fdatasyncSync,
  fstat,
  fsync,
  ftruncate,
  open,
  rename,
  unlink,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import type { Dir, DiskCall, DiskResult, FileId, OpId } from '@corral/core'
import { type Encoder, makeEncoder, PlainReader } from './disk-codecs.ts'
import {
  type Callback,
  failureOf,
  list,
  ok,
  readAll,
  resultOf,
  settle,
  syncDir,
  writeAll,
} from './file-calls.ts'

/** A disk as the driver sees it: real files, or memory. */
export interface Disk {
  /** Begins a call. Its end is reported once, never before this returned. */
  perform(op: OpId, call: DiskCall): void
  /**
   * Closes what is open, without a word to the log: after a server ended without closing its files. What is under way
   * ends first, what waits is given up.
   */
  close(): Promise<void>
}

export interface DiskGiven {
  /** Told of the end of each call. */
  report(op: OpId, result: DiskResult): void
}

/** Where each directory of the calls is. */
export type DirPaths = Readonly<Record<Dir, string>>

type CallOf<Kind extends DiskCall['call']> = Extract<DiskCall, { readonly call: Kind }>
type FileCall = Extract<DiskCall, { readonly file: FileId }>
type WriteCall = CallOf<'write'>

interface HeldWrite {
  readonly op: OpId
  readonly call: WriteCall
}

interface OpenFile {
  readonly fd: number
  readonly path: string
  readonly encoder: Encoder | undefined
  readonly reader: PlainReader | undefined
  readonly waiting: { readonly op: OpId; readonly call: FileCall }[]
  /** Small writes without a sync, of this turn: they come after what runs, and before what is asked next. */
  held: HeldWrite[]
  isBusy: boolean
  fillsRunning: number
  /** Written, and not synced since. */
  dirtyBytes: number
}

/** A batch up to this size may be synced in the loop's thread: a client or two that wait for each answer. */
const loneBatchBytes = 512
/** A write without a sync up to this size is held. */
const smallWriteBytes = 4096
/**
 * A file never has more to sync than this: the one sync at the end of a snapshot of 200 MB kept a processor, and the
 * journal, for 50 ms.
 */
const mostDirtyBytes = 8 * 1024 * 1024
const quickSyncMs = 1
/** Quick syncs in a row before the loop's thread is trusted with one. */
const quickStreak = 100
/** So long after other work than batches no sync is expected to be quick. */
const unrestMs = 2000

const zeros: Uint8Array = new Uint8Array(128 * 1024)

export class FileDisk implements Disk {
  readonly #paths: DirPaths
  readonly #done: DiskGiven['report']
  readonly #files: Map<FileId, OpenFile> = new Map()
  #lastFile: FileId = 0
  /** Calls that were begun, or wait, and were not reported. */
  #unreported = 0
  #tellIdle: (() => void) | undefined
  #finished: { readonly op: OpId; readonly result: DiskResult }[] = []
  readonly #nowMs: () => number
  #quickSyncs = 0
  /** Calls under way that are not the work of batches. */
  readonly #otherWork: Set<OpId> = new Set()
  #unrestUntilMs = 0
  /** Syncs done in the loop's thread, for measurements. */
  syncsInLoop = 0

  /** @param given.clock - by which syncs are measured; the machine's own unless a test says otherwise */
  constructor(
    given: DiskGiven & { readonly paths: DirPaths; readonly clock?: { readonly nowMs: () => number } },
  ) {
    this.#paths = given.paths
    this.#nowMs = given.clock?.nowMs ?? (() => performance.now())
    this.#done = (op, result) => {
      if (this.#otherWork.delete(op)) this.#unrestUntilMs = this.#nowMs() + unrestMs
      this.#unreported--
      if (this.#tellIdle === undefined) given.report(op, result)
      else if (this.#unreported === 0) this.#tellIdle()
    }
  }

  perform(op: OpId, call: DiskCall): void {
    if (this.#tellIdle !== undefined) return
    this.#unreported++
    if (!isOfBatches(call)) this.#otherWork.add(op)
    const report: Callback = result => this.#done(op, result)
    switch (call.call) {
      case 'open':
        return this.#open(call, report)
      case 'list':
        return list(this.#paths[call.dir], { areLostLinksAllowed: isShared(call.dir) }, report)
      case 'syncDir':
        return syncDir(this.#paths[call.dir], report)
      case 'rename':
        return rename(this.#path(call.dir, call.from), this.#path(call.dir, call.to), error =>
          report(resultOf(error)),
        )
      case 'remove':
        return unlink(this.#path(call.dir, call.name), error => report(resultOf(error)))
      default:
        return this.#startOnFile(op, call)
    }
  }

  async close(): Promise<void> {
    for (const file of this.#files.values()) {
      this.#unreported -= file.waiting.length + file.held.length
      file.waiting.length = 0
      file.held = []
    }
    await new Promise<void>(idle => {
      this.#tellIdle = idle
      if (this.#unreported === 0) idle()
    })
    const files = [...this.#files.values()]
    this.#files.clear()
    await Promise.all(files.map(closeQuietly))
  }

  #path(dir: Dir, name: string): string {
    return join(this.#paths[dir], name)
  }

  #open(call: CallOf<'open'>, report: Callback): void {
    const path = this.#path(call.dir, call.name)
    open(path, openFlags[call.mode], 0o644, (error, fd) => {
      if (error !== null) return report(resultOf(error))
      fstat(fd, (statError, stats) => {
        if (statError !== null) return close(fd, () => report(resultOf(statError)))
        const id = ++this.#lastFile
        const isCoded = call.codec !== 'plain'
        this.#files.set(id, {
          fd,
          path,
          encoder: isCoded && call.mode === 'create' ? makeEncoder(call.codec, fd) : undefined,
          reader: isCoded && call.mode === 'read' ? new PlainReader(call.codec, path) : undefined,
          waiting: [],
          held: [],
          isBusy: false,
          fillsRunning: 0,
          dirtyBytes: 0,
        })
        report({ ok: true, file: id, sizeBytes: stats.size })
      })
    })
  }

  #startOnFile(op: OpId, call: FileCall): void {
    const file = this.#files.get(call.file)
    if (file === undefined)
      return this.#later(op, { ok: false, errno: 'EBADF', message: `file ${call.file} is not open` })
    if (call.call === 'fill') return this.#fill(file, op, call)
    if (isHeld(file, call)) return this.#hold(file, { op, call })
    if (file.isBusy || (call.call === 'close' && file.fillsRunning > 0)) {
      file.waiting.push({ op, call })
      return
    }
    this.#run(file, op, call)
  }

  #hold(file: OpenFile, write: HeldWrite): void {
    if (file.held.push(write) > 1) return
    setImmediate(() => {
      if (!file.isBusy) this.#goOn(file)
    })
  }

  #run(file: OpenFile, op: OpId, call: Exclude<FileCall, CallOf<'fill'>>): void {
    if (file.held.length > 0 && !isJoinable(file.held, call)) {
      file.waiting.unshift({ op, call })
      return this.#writeHeld(file)
    }
    file.isBusy = true
    const ended: Callback = result => {
      this.#goOn(file)
      this.#done(op, result)
    }
    switch (call.call) {
      case 'write':
        return this.#write(file, { op, call, reported: ended })
      case 'read':
        if (file.reader !== undefined)
          return settle(file.reader.read(call.into), count => ({ ok: true, count }), ended)
        return readAll(file.fd, { at: call.at, into: call.into, filled: 0 }, ended)
      case 'sync':
        if (file.encoder === undefined) return fsync(file.fd, error => ended(resultOf(error)))
        return settle(
          file.encoder.finish(),
          () => ok,
          result => {
            if (!result.ok) return ended(result)
            fsync(file.fd, error => ended(resultOf(error)))
          },
        )
      case 'truncate':
        return ftruncate(file.fd, call.lengthBytes, error => ended(resultOf(error)))
      case 'close':
        this.#files.delete(call.file)
        file.reader?.close()
        return settle(
          file.encoder?.abandon() ?? Promise.resolve(),
          () => ok,
          () => close(file.fd, error => ended(resultOf(error))),
        )
    }
  }

  /** The next call that waits for this file. */
  #goOn(file: OpenFile): void {
    file.isBusy = false
    const next = file.waiting[0]
    if (next === undefined && file.held.length > 0) return this.#writeHeld(file)
    if (next === undefined || (next.call.call === 'close' && file.fillsRunning > 0)) return
    file.waiting.shift()
    // Fills never wait.
    if (next.call.call !== 'fill') this.#run(file, next.op, next.call)
  }

  #write(
    file: OpenFile,
    { op, call, reported }: { readonly op: OpId; readonly call: WriteCall; readonly reported: Callback },
  ): void {
    const ended: Callback = result => (result.ok ? this.#limitDirt(file, call, reported) : reported(result))
    if (file.encoder !== undefined) return settle(file.encoder.write(call.pieces), () => ok, ended)
    if (call.sync && lengthOf(call) <= loneBatchBytes && this.#isSyncQuick(file)) {
      for (const held of takeHeld(file)) this.#later(held.op, this.#writeHere(file, held.call))
      const result = this.#writeHere(file, call)
      this.#goOn(file)
      return this.#later(op, result)
    }
    const from = this.#nowMs()
    this.#writeTogether(file, { op, call }, result => {
      if (!result.ok || !call.sync) return ended(result)
      fdatasync(file.fd, error => {
        this.#noteSync(this.#nowMs() - from)
        reported(resultOf(error))
      })
    })
  }

  #limitDirt(file: OpenFile, call: WriteCall, ended: Callback): void {
    file.dirtyBytes += lengthOf(call)
    if (file.dirtyBytes < mostDirtyBytes) return ended(ok)
    file.dirtyBytes = 0
    fdatasync(file.fd, error => ended(resultOf(error)))
  }

  /** Beside the held writes, which lie elsewhere. @param written - told the result of this one, when all have ended */
  #writeTogether(file: OpenFile, write: HeldWrite, written: Callback): void {
    const held = takeHeld(file)
    const results = new Map<OpId, DiskResult>()
    for (const { op, call } of [...held, write]) {
      writeAll(file.fd, call.pieces, call.at, result => {
        results.set(op, result)
        if (results.size <= held.length) return
        for (const each of held) this.#done(each.op, results.get(each.op) ?? ok)
        written(results.get(write.op) ?? ok)
      })
    }
  }

  /** Alone: nothing came to leave with them. */
  #writeHeld(file: OpenFile): void {
    const last = file.held.pop()
    if (last === undefined) return
    file.isBusy = true
    this.#writeTogether(file, last, result => {
      this.#goOn(file)
      this.#done(last.op, result)
    })
  }

  /** Lately it was; and nothing else, a snapshot or zeros, keeps the journal busy. */
  #isSyncQuick(file: OpenFile): boolean {
    if (this.#quickSyncs < quickStreak || file.fillsRunning > 0 || this.#otherWork.size > 0) return false
    return this.#nowMs() >= this.#unrestUntilMs
  }

  #writeHere(file: OpenFile, call: WriteCall): DiskResult {
    const from = this.#nowMs()
    try {
      let at = call.at
      for (const piece of call.pieces) {
        for (let done = 0; done < piece.length; ) {
          done += writeSync(file.fd, piece, done, piece.length - done, at + done)
        }
        at += piece.length
      }
      if (!call.sync) return ok
      fdatasyncSync(file.fd)
    } catch (error) {
      return failureOf(error)
    }
    this.syncsInLoop++
    this.#noteSync(this.#nowMs() - from)
    return ok
  }

  #noteSync(tookMs: number): void {
    this.#quickSyncs = tookMs < quickSyncMs ? this.#quickSyncs + 1 : 0
  }

  #fill(file: OpenFile, op: OpId, call: CallOf<'fill'>): void {
    file.fillsRunning++
    const pieces: Uint8Array[] = []
    for (let left = call.lengthBytes; left > 0; left -= zeros.length) pieces.push(zeros.subarray(0, left))
    const ended = (result: DiskResult): void => {
      file.fillsRunning--
      if (!file.isBusy) this.#goOn(file)
      this.#done(op, result)
    }
    writeAll(file.fd, pieces, call.at, result => {
      if (!result.ok) return ended(result)
      fdatasync(file.fd, error => ended(resultOf(error)))
    })
  }

  /** In a turn of its own, as results that took time are. */
  #later(op: OpId, result: DiskResult): void {
    if (this.#finished.push({ op, result }) > 1) return
    setImmediate(() => {
      const finished = this.#finished
      this.#finished = []
      for (const end of finished) this.#done(end.op, end.result)
    })
  }
}

/** The directories above `version-2` hold other things as well. */
function isShared(dir: Dir): boolean {
  return dir === 'dataRoot' || dir === 'logRoot'
}

/** What the txn log asks for while it runs: batches, its mark, and zeros ahead, which are looked at by themselves. */
function isOfBatches(call: DiskCall): boolean {
  if (call.call === 'write') return call.sync || lengthOf(call) <= smallWriteBytes
  return call.call === 'fill'
}

function lengthOf(call: WriteCall): number {
  return call.pieces.reduce((sum, piece) => sum + piece.length, 0)
}

function isHeld(file: OpenFile, call: FileCall): call is WriteCall {
  if (call.call !== 'write' || call.sync || file.encoder !== undefined) return false
  return file.waiting.length === 0 && lengthOf(call) <= smallWriteBytes && isApart(file.held, call)
}

/** Can the held writes leave with this call, in any order? */
function isJoinable(held: readonly HeldWrite[], call: FileCall): call is WriteCall {
  return call.call === 'write' && isApart(held, call)
}

function isApart(held: readonly HeldWrite[], write: WriteCall): boolean {
  const to = write.at + lengthOf(write)
  return held.every(({ call }) => call.at >= to || call.at + lengthOf(call) <= write.at)
}

function takeHeld(file: OpenFile): readonly HeldWrite[] {
  const { held } = file
  file.held = []
  return held
}

async function closeQuietly(file: OpenFile): Promise<void> {
  await file.encoder?.abandon()
  await new Promise<void>(closed => close(file.fd, () => closed()))
}

const openFlags = { create: 'w+', update: 'r+', read: 'r' } as const
