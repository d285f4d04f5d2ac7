/**
 * The simulated disk: answers core's disk calls with the faults of real ones.
 *
 * Every file has what is on the platter (durable) and what is in the page cache (current), and between the two the
 * list of pending operations; a directory has the same for its names. A call takes effect when it ends, not when it
 * is asked for; a sync covers what was pending when it began. What a crash leaves:
 *
 *   process kill   everything pending stays in the page cache, still not durable
 *   power loss     of the pending operations any subset survives; of a write any subset of its 4 KiB pages, with old
 *                  content or zeros in the rest; names and contents independently
 *
 * A failed sync makes its pages clean: visible to reads, out of reach of later syncs, and at a power loss gone with
 * probability 1/2 each. Codecs are not simulated: files with a codec hold plain bytes.
 */
import type { Dir, DirEntry, DiskCall, DiskResult, FileId, Random } from '@corral/core'
import { assert, unreachable } from '@corral/protocol'
import { between, chance, exponential } from './chance.ts'
import type { Appointment, Scheduler } from './scheduler.ts'
import type { Trace } from './trace.ts'

export interface DiskOptions {
  readonly meanLatencyMs: number
  readonly meanSyncMs: number
  /** Probability that a sync takes {@link slowSyncMs}. */
  readonly slowSync: number
  readonly slowSyncMs: number
  /** Probability per call of the kind, while the budget lasts. */
  readonly writeError: number
  readonly syncError: number
  readonly readError: number
  readonly noSpace: number
  readonly errorBudget: number
  /** A sync that says yes and does nothing: a device that lies. */
  readonly lostSync: number
  /** Probability that a write lands at a wrong offset of its file, whole, and says yes. */
  readonly misdirected: number
}

export const healthyDisk: DiskOptions = {
  meanLatencyMs: 0.05,
  meanSyncMs: 1,
  slowSync: 0,
  slowSyncMs: 0,
  writeError: 0,
  syncError: 0,
  readError: 0,
  noSpace: 0,
  errorBudget: 0,
  lostSync: 0,
  misdirected: 0,
}

export interface DiskCounters {
  calls: number
  syncs: number
  writes: number
  writeErrors: number
  syncErrors: number
  readErrors: number
  noSpace: number
  lostSyncs: number
  misdirected: number
  kills: number
  powerLosses: number
  /** Pending operations that a power loss took back, wholly or partly. */
  takenBack: number
}

const pageBytes = 4096
/** What a device writes wholly or not at all. */
const sectorBytes = 512

type FileOp =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array; isClean: boolean }
  | { readonly kind: 'truncate'; readonly lengthBytes: number; isClean: boolean }

/** Bytes that grow. */
class Content {
  #bytes: Uint8Array = new Uint8Array(256)
  #length = 0

  get length(): number {
    return this.#length
  }

  write(at: number, bytes: Uint8Array): void {
    this.#reach(at + bytes.length)
    this.#bytes.set(bytes, at)
  }

  truncate(length: number): void {
    if (length < this.#length) this.#bytes.fill(0, length, this.#length)
    else this.#reach(length)
    this.#length = length
  }

  /** A view, until the next change. */
  slice(from: number, to: number): Uint8Array {
    return this.#bytes.subarray(Math.min(from, this.#length), Math.min(to, this.#length))
  }

  copy(): Content {
    const twin = new Content()
    twin.write(0, this.slice(0, this.#length))
    return twin
  }

  #reach(length: number): void {
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#bytes.length))
      grown.set(this.slice(0, this.#length))
      this.#bytes = grown
    }
    this.#length = Math.max(this.#length, length)
  }
}

/** A file, whatever its names. */
class Inode {
  readonly number: number
  durable: Content = new Content()
  current: Content = new Content()
  pending: FileOp[] = []

  constructor(number: number) {
    this.number = number
  }

  apply(op: FileOp): void {
    perform(this.current, op)
    this.pending.push(op)
  }

  /** Calls take effect when they end, so a sync that ends now covers what ended before. */
  makeDurable(): void {
    for (const op of this.pending) if (!op.isClean) perform(this.durable, op)
    this.pending = this.pending.filter(op => op.isClean)
  }
}

function perform(content: Content, op: FileOp): void {
  if (op.kind === 'write') content.write(op.at, op.bytes)
  else content.truncate(op.lengthBytes)
}

type NameOp =
  | { readonly kind: 'link'; readonly name: string; readonly inode: Inode }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly inode: Inode }
  | { readonly kind: 'unlink'; readonly name: string }

class Directory {
  readonly durable: Map<string, Inode> = new Map()
  readonly current: Map<string, Inode> = new Map()
  pending: NameOp[] = []

  apply(op: NameOp): void {
    performName(this.current, op)
    this.pending.push(op)
  }
}

function performName(names: Map<string, Inode>, op: NameOp): void {
  switch (op.kind) {
    case 'link':
      names.set(op.name, op.inode)
      return
    case 'rename':
      names.delete(op.from)
      names.set(op.to, op.inode)
      return
    case 'unlink':
      names.delete(op.name)
      return
    default:
      unreachable(op)
  }
}

interface Handle {
  readonly inode: Inode
  readonly dir: Dir
  readonly name: string
  isOpen: boolean
  /** Calls on one file end in the order they were given. */
  busyUntilMs: number
}

interface Running {
  readonly call: DiskCall
  readonly appointment: Appointment
  readonly handle: Handle | undefined
}

/** Told of what reaches the page cache and the platter, when it does: how the committed log becomes known. */
export interface DiskObserver {
  written(dir: Dir, name: string, at: number, lengthBytes: number): void
  truncated(dir: Dir, name: string, lengthBytes: number): void
  /** Something in this directory became durable. */
  synced(dir: Dir): void
}

export type CrashKind = 'kill' | 'powerLoss'

export class SimDisk {
  readonly counters: DiskCounters = {
    calls: 0,
    syncs: 0,
    writes: 0,
    writeErrors: 0,
    syncErrors: 0,
    readErrors: 0,
    noSpace: 0,
    lostSyncs: 0,
    misdirected: 0,
    kills: 0,
    powerLosses: 0,
    takenBack: 0,
  }
  observer: DiskObserver | undefined
  options: DiskOptions
  readonly #scheduler: Scheduler
  readonly #trace: Trace
  readonly #random: Random
  readonly #directories: Record<Dir, Directory> = {
    data: new Directory(),
    log: new Directory(),
    dataRoot: new Directory(),
    logRoot: new Directory(),
  }
  readonly #handles: Map<FileId, Handle> = new Map()
  #lastFile = 0
  #lastInode = 0
  #errorsLeft: number
  readonly #running: Set<Running> = new Set()

  constructor(given: { scheduler: Scheduler; trace: Trace; random: Random; options: DiskOptions }) {
    this.#scheduler = given.scheduler
    this.#trace = given.trace
    this.#random = given.random
    this.options = given.options
    this.#errorsLeft = given.options.errorBudget
  }

  heal(): void {
    this.options = {
      ...this.options,
      slowSync: 0,
      writeError: 0,
      syncError: 0,
      readError: 0,
      noSpace: 0,
      lostSync: 0,
      misdirected: 0,
    }
  }

  /** Carries out one call; `done` is called once, later, unless the process dies first. */
  submit(call: DiskCall, done: (result: DiskResult) => void): void {
    this.counters.calls++
    const lent = call.call === 'write' ? { ...call, pieces: [join(call.pieces)] } : call
    const handle = 'file' in lent ? this.#handles.get(lent.file) : undefined
    const durationMs = this.#duration(lent)
    // A fill runs beside the writes to its file; everything else on a file waits for what was asked before it.
    const waitsInLine = handle !== undefined && lent.call !== 'fill'
    const startMs = waitsInLine ? Math.max(this.#scheduler.nowMs, handle.busyUntilMs) : this.#scheduler.nowMs
    if (waitsInLine) handle.busyUntilMs = startMs + durationMs
    const appointment = this.#scheduler.at(startMs + durationMs, `disk ${lent.call}`, () => {
      this.#running.delete(running)
      const result = this.#finish(lent, handle)
      this.#note(lent, handle, result)
      done(result)
    })
    const running: Running = { call: lent, appointment, handle }
    this.#running.add(running)
  }

  /**
   * The process is gone. Calls under way have happened or not; nobody is told.
   */
  crash(kind: CrashKind): void {
    this.#trace.text(kind)
    this.#trace.event(() => `disk: ${kind}`)
    for (const { call, appointment, handle } of this.#running) {
      appointment.isCancelled = true
      this.#leaveUnfinished(call, handle)
    }
    this.#running.clear()
    this.#handles.clear()
    if (kind === 'kill') {
      this.counters.kills++
      return
    }
    this.counters.powerLosses++
    this.#losePower()
  }

  /** A disk with the same content, in other hands. It shares nothing that changes. */
  clone(given: { scheduler: Scheduler; trace: Trace; random: Random; options: DiskOptions }): SimDisk {
    const twin = new SimDisk(given)
    for (const dir of dirs) {
      const names = new Map<Inode, Inode>()
      const mine = this.#directories[dir]
      const copyOf = (inode: Inode): Inode => {
        let copy = names.get(inode)
        if (copy === undefined) {
          copy = new Inode(++twin.#lastInode)
          copy.durable = inode.durable.copy()
          copy.current = inode.current.copy()
          copy.pending = inode.pending.map(op => ({ ...op }))
          names.set(inode, copy)
        }
        return copy
      }
      const theirs = twin.#directories[dir]
      for (const [name, inode] of mine.durable) theirs.durable.set(name, copyOf(inode))
      for (const [name, inode] of mine.current) theirs.current.set(name, copyOf(inode))
      theirs.pending = mine.pending.map(op => ('inode' in op ? { ...op, inode: copyOf(op.inode) } : op))
    }
    return twin
  }

  /** Names as a running process sees them, sorted. */
  names(dir: Dir): readonly string[] {
    return [...this.#directories[dir].current.keys()].sort()
  }

  /** The page-cache content of a file, a view until the next change. */
  content(dir: Dir, name: string): Uint8Array | undefined {
    const inode = this.#directories[dir].current.get(name)
    return inode?.current.slice(0, inode.current.length)
  }

  /** Is this file, name and content, safe from a power loss? */
  isDurable(dir: Dir, name: string): boolean {
    const directory = this.#directories[dir]
    const inode = directory.current.get(name)
    return inode !== undefined && directory.durable.get(name) === inode && inode.pending.length === 0
  }

  /** Removes a file for good: an operator's, or a test's, hand. */
  destroy(dir: Dir, name: string): void {
    this.#directories[dir].current.delete(name)
    this.#directories[dir].durable.delete(name)
    this.#directories[dir].pending = []
  }

  /** Overwrites bytes where they lie, durably: rot, or a test's hand. */
  damage(dir: Dir, name: string, at: number, bytes: Uint8Array): void {
    const inode = this.#directories[dir].current.get(name)
    assert(inode !== undefined, `there is a file ${dir}/${name} to damage`)
    inode.current.write(at, bytes)
    inode.durable.write(at, bytes)
  }

  truncateFile(dir: Dir, name: string, lengthBytes: number): void {
    const inode = this.#directories[dir].current.get(name)
    assert(inode !== undefined, `there is a file ${dir}/${name} to cut`)
    inode.current.truncate(lengthBytes)
    inode.durable.truncate(lengthBytes)
  }

  #duration(call: DiskCall): number {
    const isSync = call.call === 'sync' || call.call === 'syncDir' || call.call === 'fill'
    const syncs = isSync || (call.call === 'write' && call.sync)
    const plain = 0.001 + exponential(this.#random, this.options.meanLatencyMs)
    if (!syncs) return plain
    if (chance(this.#random, this.options.slowSync)) return plain + this.options.slowSyncMs
    return plain + exponential(this.#random, this.options.meanSyncMs)
  }

  #finish(call: DiskCall, handle: Handle | undefined): DiskResult {
    switch (call.call) {
      case 'open':
        return this.#open(call)
      case 'list':
        return { ok: true, entries: this.#list(call.dir) }
      case 'syncDir':
        return this.#syncDir(call.dir)
      case 'rename':
        return this.#rename(call)
      case 'remove': {
        const directory = this.#directories[call.dir]
        if (!directory.current.has(call.name)) return failed('ENOENT', call.name)
        directory.apply({ kind: 'unlink', name: call.name })
        return { ok: true }
      }
      default:
        if (handle === undefined || !handle.isOpen) return failed('EBADF', `${call.call} on a closed file`)
        return this.#onFile(call, handle)
    }
  }

  #onFile(
    call: Exclude<DiskCall, { call: 'open' | 'list' | 'syncDir' | 'rename' | 'remove' }>,
    handle: Handle,
  ): DiskResult {
    const { inode } = handle
    switch (call.call) {
      case 'write':
        return this.#write(call, handle)
      case 'fill': {
        if (this.#strikes(this.options.noSpace)) {
          this.counters.noSpace++
          return failed('ENOSPC', 'no space left on device, fill')
        }
        this.#put(handle, call.at, new Uint8Array(call.lengthBytes))
        return this.#sync(handle)
      }
      case 'read': {
        if (this.#strikes(this.options.readError)) {
          this.counters.readErrors++
          return failed('EIO', 'i/o error, read')
        }
        const bytes = inode.current.slice(call.at, call.at + call.into.length)
        call.into.set(bytes)
        return { ok: true, count: bytes.length }
      }
      case 'sync':
        return this.#sync(handle)
      case 'truncate':
        inode.apply({ kind: 'truncate', lengthBytes: call.lengthBytes, isClean: false })
        this.observer?.truncated(handle.dir, handle.name, call.lengthBytes)
        return { ok: true }
      case 'close':
        handle.isOpen = false
        return { ok: true }
      default:
        return unreachable(call)
    }
  }

  #open(call: DiskCall & { call: 'open' }): DiskResult {
    const directory = this.#directories[call.dir]
    let inode = directory.current.get(call.name)
    if (call.mode === 'create') {
      if (this.#strikes(this.options.noSpace)) {
        this.counters.noSpace++
        return failed('ENOSPC', `no space left on device, open '${call.name}'`)
      }
      inode = new Inode(++this.#lastInode)
      directory.apply({ kind: 'link', name: call.name, inode })
      this.observer?.truncated(call.dir, call.name, 0)
    }
    if (inode === undefined) return failed('ENOENT', `no such file, open '${call.name}'`)
    const file = ++this.#lastFile
    this.#handles.set(file, { inode, dir: call.dir, name: call.name, isOpen: true, busyUntilMs: 0 })
    return { ok: true, file, sizeBytes: inode.current.length }
  }

  #write(call: DiskCall & { call: 'write' }, handle: Handle): DiskResult {
    this.counters.writes++
    const bytes = call.pieces[0] as Uint8Array
    if (this.#strikes(this.options.noSpace)) {
      this.counters.noSpace++
      this.#putPart(handle, call.at, bytes)
      return failed('ENOSPC', 'no space left on device, write')
    }
    if (this.#strikes(this.options.writeError)) {
      this.counters.writeErrors++
      this.#putPart(handle, call.at, bytes)
      return failed('EIO', 'i/o error, write')
    }
    let at = call.at
    if (this.#strikes(this.options.misdirected)) {
      this.counters.misdirected++
      at = between(this.#random, 0, handle.inode.current.length)
    }
    this.#put(handle, at, bytes)
    return call.sync ? this.#sync(handle) : { ok: true }
  }

  #put(handle: Handle, at: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return
    handle.inode.apply({ kind: 'write', at, bytes, isClean: false })
    this.observer?.written(handle.dir, handle.name, at, bytes.length)
  }

  /** A write that was cut short: whole sectors of it, from its start. */
  #putPart(handle: Handle, at: number, bytes: Uint8Array): void {
    const end = chance(this.#random, 0.5)
      ? at + bytes.length
      : sectorBytes * Math.floor((at + between(this.#random, 0, bytes.length)) / sectorBytes)
    this.#put(handle, at, bytes.subarray(0, Math.max(0, end - at)))
  }

  #sync(handle: Handle): DiskResult {
    const { inode } = handle
    this.counters.syncs++
    if (this.#strikes(this.options.syncError)) {
      this.counters.syncErrors++
      for (const op of inode.pending) op.isClean = true
      return failed('EIO', 'i/o error, fdatasync')
    }
    if (chance(this.#random, this.options.lostSync)) {
      this.counters.lostSyncs++
      return { ok: true }
    }
    inode.makeDurable()
    this.observer?.synced(handle.dir)
    return { ok: true }
  }

  #syncDir(dir: Dir): DiskResult {
    if (this.#strikes(this.options.syncError)) {
      this.counters.syncErrors++
      return failed('EIO', 'i/o error, fsync of a directory')
    }
    const directory = this.#directories[dir]
    for (const op of directory.pending.splice(0)) performName(directory.durable, op)
    this.observer?.synced(dir)
    return { ok: true }
  }

  #rename(call: DiskCall & { call: 'rename' }): DiskResult {
    const directory = this.#directories[call.dir]
    const inode = directory.current.get(call.from)
    if (inode === undefined) return failed('ENOENT', `no such file, rename '${call.from}'`)
    directory.apply({ kind: 'rename', from: call.from, to: call.to, inode })
    for (const handle of this.#handles.values()) {
      if (handle.inode === inode) Object.assign(handle, { name: call.to })
    }
    // What is read under the new name has to be read from its start.
    this.observer?.truncated(call.dir, call.to, 0)
    return { ok: true }
  }

  #list(dir: Dir): readonly DirEntry[] {
    const entries: DirEntry[] = []
    for (const [name, inode] of this.#directories[dir].current) {
      entries.push({ name, sizeBytes: inode.current.length })
    }
    // "Any order": turned by the seed, so that nobody comes to rely on one.
    for (let i = entries.length - 1; i > 0; i--) {
      const j = between(this.#random, 0, i)
      const entry = entries[i] as DirEntry
      entries[i] = entries[j] as DirEntry
      entries[j] = entry
    }
    return entries
  }

  #strikes(probability: number): boolean {
    if (probability === 0 || this.#errorsLeft === 0 || !chance(this.#random, probability)) return false
    this.#errorsLeft--
    return true
  }

  /** A call cut off by the crash: a write has reached the page cache up to some byte, a name is changed or not. */
  #leaveUnfinished(call: DiskCall, handle: Handle | undefined): void {
    const hasBegun = chance(this.#random, 0.5)
    if (!hasBegun) return
    if (call.call === 'write' && handle?.isOpen === true) {
      const bytes = call.pieces[0] as Uint8Array
      this.#putPart(handle, call.at, bytes)
    } else if (call.call === 'fill' && handle?.isOpen === true) {
      this.#putPart(handle, call.at, new Uint8Array(call.lengthBytes))
    } else if (call.call === 'truncate' && handle?.isOpen === true) {
      handle.inode.apply({ kind: 'truncate', lengthBytes: call.lengthBytes, isClean: false })
      this.observer?.truncated(handle.dir, handle.name, call.lengthBytes)
    } else if (call.call === 'rename') this.#rename(call)
    else if (call.call === 'remove') {
      const directory = this.#directories[call.dir]
      if (directory.current.has(call.name)) directory.apply({ kind: 'unlink', name: call.name })
    } else if (call.call === 'open' && call.mode === 'create') {
      this.#directories[call.dir].apply({
        kind: 'link',
        name: call.name,
        inode: new Inode(++this.#lastInode),
      })
      this.observer?.truncated(call.dir, call.name, 0)
    }
  }

  #losePower(): void {
    for (const dir of dirs) {
      const directory = this.#directories[dir]
      const inodes = new Set([...directory.durable.values(), ...directory.current.values()])
      for (const op of directory.pending.splice(0)) {
        if (chance(this.#random, 0.5)) performName(directory.durable, op)
        else this.counters.takenBack++
      }
      for (const inode of inodes) this.#loseContent(inode)
      directory.current.clear()
      for (const [name, inode] of directory.durable) directory.current.set(name, inode)
    }
  }

  #loseContent(inode: Inode): void {
    for (const op of inode.pending) {
      if (op.kind === 'truncate') {
        if (chance(this.#random, 0.5)) inode.durable.truncate(op.lengthBytes)
        else this.counters.takenBack++
      } else this.#loseWrite(inode, op)
    }
    inode.pending = []
    inode.current = inode.durable.copy()
  }

  /** Page by page: new content, old content, or (beyond the old end, when a later page made it) zeros. */
  #loseWrite(inode: Inode, op: FileOp & { kind: 'write' }): void {
    const how = op.isClean ? 'scattered' : between(this.#random, 0, 3)
    if (how === 0) {
      this.counters.takenBack++
      return
    }
    if (how === 1) {
      inode.durable.write(op.at, op.bytes)
      return
    }
    this.counters.takenBack++
    const end = op.at + op.bytes.length
    let at = op.at
    while (at < end) {
      const next = Math.min(end, (Math.floor(at / pageBytes) + 1) * pageBytes)
      if (chance(this.#random, 0.5)) {
        // The size may be older than the page: then the page is cut by it.
        const isCut = how === 3 && next === end && end > inode.durable.length && chance(this.#random, 0.5)
        const to = isCut
          ? Math.max(at, sectorBytes * Math.floor(between(this.#random, at, next) / sectorBytes))
          : next
        inode.durable.write(at, op.bytes.subarray(at - op.at, to - op.at))
      } else {
        // The size made it to the platter, the page did not: zeros.
        const isZeroed = how === 3 && next > inode.durable.length && chance(this.#random, 0.5)
        if (isZeroed) inode.durable.truncate(next)
      }
      at = next
    }
  }

  #note(call: DiskCall, handle: Handle | undefined, result: DiskResult): void {
    const trace = this.#trace
    if (call.call === 'write') {
      trace.number(call.at)
      trace.bytes(call.pieces[0] as Uint8Array)
    }
    trace.text(result.ok ? 'ok' : result.errno)
    const atMs = this.#scheduler.nowMs
    trace.event(() => {
      const name = handle?.name ?? ('name' in call ? call.name : 'dir' in call ? call.dir : '')
      const to = 'to' in call ? ` ${call.from} -> ${call.to}` : ''
      const range =
        call.call === 'write'
          ? ` at ${call.at}, ${(call.pieces[0] as Uint8Array).length} bytes${call.sync ? ', synced' : ''}`
          : 'at' in call
            ? ` at ${call.at}`
            : ''
      return `${atMs.toFixed(3)} disk ${call.call} ${name}${to}${range}: ${result.ok ? 'ok' : result.errno}`
    })
  }
}

const dirs: readonly Dir[] = ['data', 'log', 'dataRoot', 'logRoot']

function failed(errno: string, message: string): DiskResult {
  return { ok: false, errno, message: `${errno}: ${message}` }
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const piece of pieces) length += piece.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
