/**
 * Sequences of disk calls, written down in the order in which they must become durable. A script is a generator:
 * it yields a call and is resumed with the result, by the machine, within `diskDone`. Every `yield` is a place
 * where the process may die.
 */
import type { Dir, DirEntry, DiskCall, DiskResult, FileCodec, FileId, OpId } from '../disk.ts'
import type { Effect } from '../effects.ts'
import type { Now } from '../events.ts'

export type Script<T> = Generator<DiskCall, T, DiskResult>

/** Exit codes of the Java server: files that cannot be used, a directory that should hold data and does not. */
export const exitStorage = 10
export const exitNoData = 3

/** The disk refused a call. */
export class DiskFailure extends Error {
  override readonly name: string = 'DiskFailure'
  readonly exitCode: number = exitStorage
  readonly errno: string

  constructor(given: { readonly what: string; readonly errno: string; readonly message: string }) {
    super(`${given.what}: ${given.errno} (${given.message})`)
    this.errno = given.errno
  }
}

/** The files are readable, and what they say forbids to start. */
export class StorageRefusal extends Error {
  override readonly name: string = 'StorageRefusal'
  readonly exitCode: number

  constructor(given: { readonly exitCode: number; readonly reason: string }) {
    super(given.reason)
    this.exitCode = given.exitCode
  }
}

type Done = (now: Now, result: DiskResult) => void

/** Gives out operation numbers and brings each result back to whoever waits for it. */
export class DiskOps {
  readonly #emit: (effect: Effect) => void
  readonly #waiting: Map<OpId, Done> = new Map()
  #lastOp: OpId = 0

  constructor(emit: (effect: Effect) => void) {
    this.#emit = emit
  }

  issue(call: DiskCall, done: Done): void {
    const op = ++this.#lastOp
    this.#waiting.set(op, done)
    this.#emit({ kind: 'disk', op, do: call })
  }

  /** @param ended - gets the script's value, or the error it ended with */
  run<T>(
    now: Now,
    script: Script<T>,
    ended: { done(now: Now, value: T): void; failed(now: Now, failure: DiskFailure | StorageRefusal): void },
  ): void {
    const resume = (at: Now, result: DiskResult | undefined): void => {
      let step: IteratorResult<DiskCall, T>
      try {
        step = result === undefined ? script.next() : script.next(result)
      } catch (error) {
        if (error instanceof DiskFailure || error instanceof StorageRefusal) return ended.failed(at, error)
        throw error
      }
      if (step.done === true) return ended.done(at, step.value)
      this.issue(step.value, resume)
    }
    resume(now, undefined)
  }

  /** Results of operations that nobody waits for (any more) are ignored. */
  diskDone(now: Now, op: OpId, result: DiskResult): void {
    const done = this.#waiting.get(op)
    if (done === undefined) return
    this.#waiting.delete(op)
    done(now, result)
  }

  /** Whatever comes back from now on is ignored. */
  forgetAll(): void {
    this.#waiting.clear()
  }
}

export interface OpenedFile {
  readonly file: FileId
  readonly name: string
  readonly sizeBytes: number
}

/** @throws DiskFailure */
export function* must(what: string, call: DiskCall): Script<DiskResult & { readonly ok: true }> {
  const result = yield call
  if (!result.ok) throw new DiskFailure({ what, ...result })
  return result
}

export function* list(dir: Dir): Script<readonly DirEntry[]> {
  const result = yield* must(`listing the ${dir} directory`, { call: 'list', dir })
  return result.entries ?? []
}

export function* open(given: {
  readonly dir: Dir
  readonly name: string
  readonly mode: 'create' | 'update' | 'read'
  readonly codec?: FileCodec
}): Script<OpenedFile> {
  const { dir, name, mode, codec = 'plain' } = given
  const result = yield* must(`opening ${name}`, { call: 'open', dir, name, mode, codec })
  if (result.file === undefined)
    throw new DiskFailure({ what: `opening ${name}`, errno: 'EBADF', message: 'no file' })
  return { file: result.file, name, sizeBytes: result.sizeBytes ?? 0 }
}

export function* close(file: OpenedFile): Script<void> {
  yield* must(`closing ${file.name}`, { call: 'close', file: file.file })
}

export function* sync(file: OpenedFile): Script<void> {
  yield* must(`syncing ${file.name}`, { call: 'sync', file: file.file })
}

export function* syncDir(dir: Dir): Script<void> {
  yield* must(`syncing the ${dir} directory`, { call: 'syncDir', dir })
}

/** @returns bytes read: less than `into` only at the end of the file */
export function* read(file: OpenedFile, at: number, into: Uint8Array): Script<number> {
  const result = yield* must(`reading ${file.name} at byte ${at}`, {
    call: 'read',
    file: file.file,
    at,
    into,
  })
  return result.count ?? 0
}

export function* write(file: OpenedFile, at: number, bytes: Uint8Array): Script<void> {
  yield* must(`writing ${file.name} at byte ${at}`, {
    call: 'write',
    file: file.file,
    at,
    pieces: [bytes],
    sync: false,
  })
}

const copiedAtOnceBytes = 1024 * 1024

/** A part of a file into another one. */
export function* copy(part: {
  readonly from: OpenedFile
  readonly fromAt: number
  readonly into: OpenedFile
  readonly intoAt: number
  readonly lengthBytes: number
}): Script<void> {
  const { from, fromAt, into, intoAt, lengthBytes } = part
  const window = new Uint8Array(Math.min(lengthBytes, copiedAtOnceBytes))
  for (let done = 0; done < lengthBytes; ) {
    const wanted = window.subarray(0, Math.min(window.length, lengthBytes - done))
    const count = yield* read(from, fromAt + done, wanted)
    if (count === 0) {
      const reason = `${from.name} became shorter while it was copied`
      throw new StorageRefusal({ exitCode: exitStorage, reason })
    }
    yield* write(into, intoAt + done, wanted.subarray(0, count))
    done += count
  }
}

export function* truncate(file: OpenedFile, lengthBytes: number): Script<void> {
  yield* must(`cutting ${file.name} at byte ${lengthBytes}`, {
    call: 'truncate',
    file: file.file,
    lengthBytes,
  })
}

/** Gone is gone: a file that is not there counts as removed. */
export function* remove(dir: Dir, name: string): Script<void> {
  const result = yield { call: 'remove', dir, name }
  if (!result.ok && result.errno !== 'ENOENT') throw new DiskFailure({ what: `removing ${name}`, ...result })
}

/** A whole small file, durably, in one step as seen after a crash: temporary name, sync, rename, sync of the directory. */
export function* writeWhole(given: {
  readonly dir: Dir
  readonly name: string
  readonly bytes: Uint8Array
}): Script<void> {
  const { dir, name, bytes } = given
  const temporary = temporaryName(name)
  const file = yield* open({ dir, name: temporary, mode: 'create' })
  yield* write(file, 0, bytes)
  yield* sync(file)
  yield* close(file)
  yield* rename(dir, temporary, name)
  yield* syncDir(dir)
}

export function* rename(dir: Dir, from: string, to: string): Script<void> {
  yield* must(`renaming ${from} to ${to}`, { call: 'rename', dir, from, to })
}

/** Outside the patterns of log and snapshot names, so that neither this server nor the Java server takes it for data. */
export function temporaryName(name: string): string {
  return `tmp-${name}`
}

export function isTemporaryName(name: string): boolean {
  return /^tmp-(?:log|snapshot)\./.test(name)
}
