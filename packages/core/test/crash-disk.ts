/**
 * A disk for crash tests: knows what is durable and what a power loss may take back. Calls take effect when they are
 * carried out. A crash makes a new disk, from the same image, for the next run.
 *
 *     kill         everything written is seen by the next run, durable or not
 *     power loss   of the writes not synced any subset of their pages survives, of a directory's changes a prefix
 */
import type { Dir, DiskCall, DiskResult, FileId, OpId } from '../src/disk.ts'
import { drawBelow, type Random } from '../src/random.ts'

const pageBytes = 4096
const dirs = ['data', 'log', 'dataRoot', 'logRoot'] as const

type Change = { readonly at: number; readonly bytes: Uint8Array } | { readonly lengthBytes: number }

interface Inode {
  /** As the next read sees it. */
  seen: Uint8Array
  durable: Uint8Array
  changes: Change[]
}

interface Waiting {
  readonly op: OpId
  readonly call: DiskCall
}

type Names = Map<string, Inode>

interface Directory {
  readonly names: Names
  /** What the names were after each change since the last sync, the synced state first. */
  history: Names[]
}

export interface CrashOutcome {
  readonly kind: 'kill' | 'power loss'
  readonly random: Random
}

export class CrashDisk {
  readonly #dirs: Map<Dir, Directory> = new Map()
  readonly #open: Map<FileId, Inode> = new Map()
  readonly #waiting: Waiting[] = []
  #lastFile: FileId = 0
  /** The call with this number (from 1) and all after it fail. */
  failFrom: number = Number.POSITIVE_INFINITY
  /** So do those for which this says so. */
  isFailing: (call: DiskCall) => boolean = () => false
  /** Calls for which this says so wait, and with them what is behind them in order. */
  isStuck: (call: DiskCall) => boolean = () => false
  carriedOut = 0

  constructor(image?: ReadonlyMap<Dir, ReadonlyMap<string, Uint8Array>>) {
    for (const dir of dirs) {
      const names: Names = new Map()
      for (const [name, bytes] of image?.get(dir) ?? []) {
        names.set(name, { seen: bytes.slice(), durable: bytes.slice(), changes: [] })
      }
      this.#dirs.set(dir, { names, history: [new Map(names)] })
    }
  }

  ask(op: OpId, call: DiskCall): void {
    this.#waiting.push({ op, call })
  }

  /** Nothing that waits can be carried out. */
  get isIdle(): boolean {
    return this.#candidates().length === 0
  }

  /** Nothing was asked for that was not done. */
  get isStill(): boolean {
    return this.#waiting.length === 0
  }

  /** Carries out one of the calls that may come next: the order is kept within a file, and among the rest. */
  next(random: Random): { readonly op: OpId; readonly result: DiskResult } {
    const candidates = this.#candidates()
    const chosen = candidates[drawBelow(random, candidates.length)] as Waiting
    this.#waiting.splice(this.#waiting.indexOf(chosen), 1)
    this.carriedOut++
    if (this.carriedOut >= this.failFrom || this.isFailing(chosen.call)) {
      return { op: chosen.op, result: { ok: false, errno: 'EIO', message: 'broken' } }
    }
    return { op: chosen.op, result: this.#do(chosen.call) }
  }

  /** What the next run finds. */
  crash(outcome: CrashOutcome): CrashDisk {
    this.#beginWaiting(outcome.random)
    if (outcome.kind === 'kill') return this.#killed()
    const image = new Map<Dir, Map<string, Uint8Array>>()
    for (const dir of dirs) {
      const { history } = this.#dir(dir)
      const names = history[drawBelow(outcome.random, history.length)] as Names
      const files = new Map<string, Uint8Array>()
      for (const [name, inode] of names) files.set(name, survivorOf(inode, outcome.random))
      image.set(dir, files)
    }
    return new CrashDisk(image)
  }

  /** Another disk in the same state. */
  fork(): CrashDisk {
    const twin = new CrashDisk()
    const inodes = new Map<Inode, Inode>()
    const copyOf = (inode: Inode): Inode => {
      const copy = inodes.get(inode) ?? { ...inode, changes: [...inode.changes] }
      inodes.set(inode, copy)
      return copy
    }
    const namesOf = (names: Names): Names => new Map([...names].map(([name, inode]) => [name, copyOf(inode)]))
    for (const [dir, { names, history }] of this.#dirs) {
      twin.#dirs.set(dir, { names: namesOf(names), history: history.map(namesOf) })
    }
    for (const [file, inode] of this.#open) twin.#open.set(file, copyOf(inode))
    twin.#waiting.push(...this.#waiting)
    return twin
  }

  /** What the next run reads. */
  image(): Map<Dir, Map<string, Uint8Array>> {
    const image = new Map<Dir, Map<string, Uint8Array>>()
    for (const dir of dirs) {
      image.set(dir, new Map([...this.#dir(dir).names].map(([name, { seen }]) => [name, seen])))
    }
    return image
  }

  /** Equal for disks that the next run cannot tell apart. */
  get print(): string {
    const files = [...this.image()].flatMap(([dir, names]) =>
      [...names].map(([name, bytes]) => `${dir}/${name} ${Buffer.from(bytes).toString('latin1')}`),
    )
    return files.sort().join()
  }

  /** For damage done on purpose. */
  bytesOf(dir: Dir, name: string): Uint8Array {
    const inode = this.#dir(dir).names.get(name)
    if (inode === undefined) throw new Error(`no ${name}`)
    return inode.seen
  }

  namesIn(dir: Dir): string[] {
    return [...this.#dir(dir).names.keys()].sort()
  }

  drop(dir: Dir, name: string): void {
    this.#dir(dir).names.delete(name)
  }

  put(dir: Dir, name: string, bytes: Uint8Array): void {
    this.#dir(dir).names.set(name, { seen: bytes, durable: bytes, changes: [] })
  }

  #candidates(): Waiting[] {
    return this.#waiting.filter(({ call }, i) => {
      const isBehind = this.#waiting.slice(0, i).some(earlier => fileOf(earlier.call) === fileOf(call))
      return !isBehind && !this.isStuck(call)
    })
  }

  /** Calls that were asked for may have begun: their writes are there, their syncs are not. */
  #beginWaiting(random: Random): void {
    for (const { call } of this.#waiting.splice(0)) {
      if (drawBelow(random, 4) === 0) continue
      if (call.call === 'write') this.#do({ ...call, sync: false })
      else if (call.call === 'fill')
        change(this.#file(call.file), { at: call.at, bytes: new Uint8Array(call.lengthBytes) })
      else if (call.call !== 'sync' && call.call !== 'syncDir' && call.call !== 'read') this.#do(call)
    }
  }

  /** Same files, same open questions; only the process is gone. */
  #killed(): CrashDisk {
    const next = new CrashDisk()
    for (const dir of dirs) {
      const from = this.#dir(dir)
      next.#dirs.set(dir, { names: new Map(from.names), history: [...from.history] })
    }
    return next
  }

  #dir(dir: Dir): Directory {
    return this.#dirs.get(dir) as Directory
  }

  #do(call: DiskCall): DiskResult {
    switch (call.call) {
      case 'open':
        return this.#openFile(call)
      case 'write': {
        const inode = this.#file(call.file)
        let at = call.at
        for (const piece of call.pieces) {
          change(inode, { at, bytes: piece.slice() })
          at += piece.length
        }
        if (call.sync) makeDurable(inode)
        return { ok: true }
      }
      case 'fill': {
        const inode = this.#file(call.file)
        change(inode, { at: call.at, bytes: new Uint8Array(call.lengthBytes) })
        makeDurable(inode)
        return { ok: true }
      }
      case 'read': {
        const part = this.#file(call.file).seen.subarray(call.at, call.at + call.into.length)
        call.into.set(part)
        return { ok: true, count: part.length }
      }
      case 'sync':
        makeDurable(this.#file(call.file))
        return { ok: true }
      case 'truncate':
        change(this.#file(call.file), { lengthBytes: call.lengthBytes })
        return { ok: true }
      case 'close':
        this.#open.delete(call.file)
        return { ok: true }
      case 'list': {
        const entries = [...this.#dir(call.dir).names].map(([name, { seen }]) => ({
          name,
          sizeBytes: seen.length,
        }))
        return { ok: true, entries }
      }
      case 'syncDir': {
        const dir = this.#dir(call.dir)
        dir.history = [new Map(dir.names)]
        return { ok: true }
      }
      case 'rename':
        return this.#changeNames(call.dir, names => {
          const inode = names.get(call.from)
          if (inode === undefined) return false
          names.delete(call.from)
          names.set(call.to, inode)
          return true
        })
      case 'remove':
        return this.#changeNames(call.dir, names => names.delete(call.name))
    }
  }

  #openFile(call: Extract<DiskCall, { readonly call: 'open' }>): DiskResult {
    if (call.mode === 'create') {
      this.#changeNames(call.dir, names => {
        names.set(call.name, { seen: new Uint8Array(0), durable: new Uint8Array(0), changes: [] })
        return true
      })
    }
    const inode = this.#dir(call.dir).names.get(call.name)
    if (inode === undefined) return { ok: false, errno: 'ENOENT', message: call.name }
    this.#open.set(++this.#lastFile, inode)
    return { ok: true, file: this.#lastFile, sizeBytes: inode.seen.length }
  }

  #changeNames(dir: Dir, by: (names: Names) => boolean): DiskResult {
    const { names, history } = this.#dir(dir)
    if (!by(names)) return { ok: false, errno: 'ENOENT', message: 'no such file' }
    history.push(new Map(names))
    return { ok: true }
  }

  #file(id: FileId): Inode {
    const inode = this.#open.get(id)
    if (inode === undefined) throw new Error(`file ${id} is not open`)
    return inode
  }
}

function fileOf(call: DiskCall): FileId | 'names' | 'fill' {
  if (call.call === 'fill') return 'fill'
  return 'file' in call ? call.file : 'names'
}

function change(inode: Inode, by: Change): void {
  inode.seen = changed(inode.seen, by)
  inode.changes.push(by)
}

function changed(before: Uint8Array, by: Change): Uint8Array {
  const length = 'bytes' in by ? Math.max(before.length, by.at + by.bytes.length) : by.lengthBytes
  const after = new Uint8Array(length)
  after.set(before.subarray(0, length))
  if ('bytes' in by) after.set(by.bytes, by.at)
  return after
}

function makeDurable(inode: Inode): void {
  inode.durable = inode.seen.slice()
  inode.changes = []
}

/** Each page of each write on its own, each truncation as a whole. */
function survivorOf(inode: Inode, random: Random): Uint8Array {
  const parts = inode.changes.flatMap((by): Change[] => ('bytes' in by ? pagesOf(by) : [by]))
  return parts.filter(() => drawBelow(random, 2) === 0).reduce(changed, inode.durable)
}

function pagesOf(write: { readonly at: number; readonly bytes: Uint8Array }): Change[] {
  const pages: Change[] = []
  for (let from = 0; from < write.bytes.length; ) {
    const at = write.at + from
    const to = Math.min(write.bytes.length, from + pageBytes - (at % pageBytes))
    pages.push({ at, bytes: write.bytes.subarray(from, to) })
    from = to
  }
  return pages
}
