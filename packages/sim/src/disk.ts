/**
 * The simulated disk: answers core's disk calls with the faults of real ones.
 *
 * A call takes effect when it ends, not when it is asked for; a sync covers what was pending when it began. What a
 * crash leaves:
 *
 *   process kill   everything pending stays in the page cache, still not durable
 *   power loss     of the pending operations any subset survives; of a write any subset of its 4 KiB pages, with old
 *                  content or zeros in the rest; names and contents independently
 *
 * A failed sync makes its pages clean: visible to reads, out of reach of later syncs, and at a power loss gone with
 * probability 1/2 each. Errors are counted against a budget; a device that lies does so until the end of the run.
 */
import type { Dir, DirEntry, DiskCall, DiskResult, FileCodec, FileId, Random } from '@corral/core'
import { unreachable } from '@corral/protocol'
import { between, chance, exponential, pick, shuffled } from './chance.ts'
import { decodeStream, makeStreamEncoder, type StreamEncoder } from './codecs.ts'
import { lose, rot } from './decay.ts'
import { type Inode, sectorBytes } from './disk-image.ts'
import { type DiskCounters, type DiskOptions, noCounts } from './disk-options.ts'
import { LiveCopy } from './live-copy.ts'
import type { Appointment, Scheduler } from './scheduler.ts'
import type { Trace } from './trace.ts'
import { Volume } from './volume.ts'

interface Handle {
  readonly inode: Inode
  readonly dir: Dir
  name: string
  readonly codec: FileCodec
  /** Of a file with a codec: what it holds, once it was read, and what writes it, until the stream has ended. */
  plain: Uint8Array | undefined
  encoder: StreamEncoder | undefined
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
  /** Something in this directory is durable, or so a sync said. */
  synced(dir: Dir): void
  /** All that lies there is being put by. @returns to be called when it is */
  backsUp(how: BackupKind): () => void
  /** What was put by lies on the disk again. */
  isRestored(): void
}

export type CrashKind = 'kill' | 'powerLoss'

/**
 * What happens while nobody runs. rot: bytes decay. loss: files are gone. restore: everything is as it was at the last
 * backup.
 */
export type Mishap = 'rot' | 'loss' | 'restore'

/** instant: as a power loss at one moment would leave it. copy: file by file, while the server goes on. */
export type BackupKind = 'instant' | 'copy'

type FileCall = Exclude<DiskCall, { call: 'open' | 'list' | 'syncDir' | 'rename' | 'remove' }>

export class SimDisk {
  readonly counters: DiskCounters = noCounts()
  volume: Volume
  observer: DiskObserver | undefined
  options: DiskOptions
  readonly scheduler: Scheduler
  readonly #trace: Trace
  readonly #random: Random
  readonly #handles: Map<FileId, Handle> = new Map()
  #lastFile = 0
  #errorsLeft: number
  /** As soon as nobody runs. */
  readonly #due: Mishap[] = []
  #backup: Volume | undefined
  #copy: LiveCopy | undefined
  readonly #running: Set<Running> = new Set()

  /** @param given - volume: what lies on it already; it is this disk's from now on */
  constructor(given: {
    scheduler: Scheduler
    trace: Trace
    random: Random
    options: DiskOptions
    volume?: Volume
  }) {
    this.scheduler = given.scheduler
    this.#trace = given.trace
    this.#random = given.random
    this.options = given.options
    this.#errorsLeft = given.options.errorBudget
    this.volume = given.volume ?? new Volume()
  }

  /** No more errors, and no slowness. A device that lies goes on lying. */
  heal(): void {
    this.#errorsLeft = 0
    this.options = { ...this.options, slowSync: 0 }
  }

  /** Carries out one call; `done` is called once, later, unless the process dies first. */
  submit(call: DiskCall, done: (result: DiskResult) => void): void {
    const lent = call.call === 'write' ? { ...call, pieces: [Buffer.concat(call.pieces)] } : call
    const handle = 'file' in lent ? this.#handles.get(lent.file) : undefined
    const durationMs = this.#duration(lent)
    // A fill runs beside the writes to its file; everything else on a file waits for what was asked before it.
    const waitsInLine = handle !== undefined && lent.call !== 'fill'
    const startMs = waitsInLine ? Math.max(this.scheduler.nowMs, handle.busyUntilMs) : this.scheduler.nowMs
    if (waitsInLine) handle.busyUntilMs = startMs + durationMs
    const appointment = this.scheduler.at(startMs + durationMs, `disk ${lent.call}`, () => {
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
   *
   * @param random - draws what a power loss leaves, if not the disk's own: another outcome of the same moment
   */
  crash(kind: CrashKind, random: Random = this.#random): void {
    this.#leave(kind, random)
    if (kind === 'kill') this.counters.kills++
    else {
      this.#abandonCopy()
      this.counters.powerLosses++
      this.counters.takenBack += this.volume.losePower(random)
    }
    this.volume.evictSome(random)
    this.counters.staleReads += this.volume.fetchSomeOld(random, this.options.staleRead)
    for (const mishap of this.#due.splice(0)) this.#befall(mishap, random)
  }

  /** The process has ended, and the next comes at once: nothing else happens between the two. */
  handOver(): void {
    this.#leave('end', this.#random)
  }

  #leave(how: string, random: Random): void {
    this.#trace.text(how)
    this.#trace.event(() => `disk: ${how}`)
    for (const { call, appointment, handle } of this.#running) {
      appointment.isCancelled = true
      if (chance(random, 0.5)) this.#leaveUnfinished(call, handle)
    }
    this.#running.clear()
    this.#handles.clear()
  }

  /** As soon as nobody runs. */
  expect(mishap: Mishap): void {
    this.#due.push(mishap)
  }

  /** Bytes decay under a running process: it does not notice what it has in its cache. */
  rot(random: Random): void {
    this.#rot('platter', random)
  }

  get hasBackup(): boolean {
    return this.#backup !== undefined
  }

  /** Puts by what a power loss at this moment would leave, as snapshots of block devices do. */
  backUp(random: Random): void {
    this.#backup = this.volume.copy()
    this.#backup.losePower(random)
    this.observer?.backsUp('instant')()
    this.#trace.event(() => 'disk: backed up')
  }

  /** Puts by what is read file by file from now on, unless such a copy is being made. */
  startCopy(random: Random): void {
    if (this.#copy !== undefined) return
    const done = this.observer?.backsUp('copy')
    this.#copy = new LiveCopy({
      volume: this.volume,
      scheduler: this.scheduler,
      random,
      done: copy => {
        this.#copy = undefined
        this.#backup = copy
        this.counters.copies++
        done?.()
        this.#trace.event(() => 'disk: copied')
      },
    })
  }

  #abandonCopy(): void {
    this.#copy?.abandon()
    this.#copy = undefined
  }

  #befall(mishap: Mishap, random: Random): void {
    switch (mishap) {
      case 'rot':
        return this.#rot('everywhere', random)
      case 'loss':
        return this.#lose(random)
      case 'restore':
        return this.#restore()
      default:
        unreachable(mishap)
    }
  }

  #rot(where: 'platter' | 'everywhere', random: Random): void {
    const rotten = rot(this.volume, where, random)
    if (rotten === undefined) return
    this.counters.rotten++
    const { name, damage } = rotten
    this.#trace.event(() => `disk: ${damage.lengthBytes} bytes rot in ${name} at ${damage.at}`)
  }

  #lose(random: Random): void {
    const gone = lose(this.volume, random)
    this.counters.lostFiles += gone.length
    this.#trace.event(() => `disk: ${gone.join(', ')} is gone`)
  }

  #restore(): void {
    if (this.#backup === undefined) return
    this.#abandonCopy()
    this.volume = this.#backup.copy()
    this.counters.restored++
    this.observer?.isRestored()
    this.#trace.event(() => 'disk: the backup is restored')
  }

  #duration(call: DiskCall): number {
    const isSync = call.call === 'sync' || call.call === 'syncDir' || call.call === 'fill'
    const syncs = isSync || (call.call === 'write' && call.sync)
    const plain = 0.001 + exponential(this.#random, this.options.meanLatencyMs)
    if (!syncs) return plain
    if (chance(this.#random, this.options.slowSync)) return plain + this.options.slowSyncMs
    return plain + exponential(this.#random, this.options.meanSyncMs)
  }

  /** The kind of change that a call is, such as `sync tmp-snapshot`; undefined if it changes nothing. */
  stepOf(call: DiskCall): string | undefined {
    switch (call.call) {
      case 'read':
      case 'list':
      case 'close':
        return undefined
      case 'syncDir':
        return `syncDir ${call.dir}`
      case 'open':
        return call.mode === 'create' ? `create ${familyOf(call.name)}` : undefined
      case 'rename':
        return `rename ${familyOf(call.to)}`
      case 'remove':
        return `remove ${familyOf(call.name)}`
      default: {
        const name = familyOf(this.#handles.get(call.file)?.name ?? 'closed')
        if (call.call !== 'write') return `${call.call} ${name}`
        return call.sync ? `write through ${name}` : `write ${name}${call.at < headBytes ? ' head' : ''}`
      }
    }
  }

  // -- calls, at their end

  #finish(call: DiskCall, handle: Handle | undefined): DiskResult {
    switch (call.call) {
      case 'open':
        return this.#open(call)
      case 'list':
        return { ok: true, entries: this.#list(call.dir) }
      case 'syncDir':
        return this.#syncDir(call.dir)
      case 'rename':
        return this.#nameError(call.from) ?? this.#rename(call)
      case 'remove':
        return this.#nameError(call.name) ?? this.#remove(call)
      default:
        if (handle === undefined || !handle.isOpen) return failed('EBADF', `${call.call} on a closed file`)
        return this.#onFile(call, handle)
    }
  }

  #onFile(call: FileCall, handle: Handle): DiskResult {
    switch (call.call) {
      case 'write':
        return this.#write(call, handle)
      case 'fill': {
        if (this.#strikes('noSpace')) return failed('ENOSPC', 'no space left on device, fill')
        this.#put(handle, call.at, new Uint8Array(call.lengthBytes))
        return this.#sync(handle)
      }
      case 'read':
        return this.#read(call, handle)
      case 'sync':
        this.#endStream(handle)
        return this.#sync(handle)
      case 'truncate':
        this.#truncate(handle, call.lengthBytes)
        return { ok: true }
      case 'close':
        handle.isOpen = false
        return { ok: true }
      default:
        return unreachable(call)
    }
  }

  #open(call: DiskCall & { call: 'open' }): DiskResult {
    const refused = this.#nameError(call.name)
    if (refused !== undefined) return refused
    if (call.mode === 'create') {
      if (this.#strikes('noSpace')) return failed('ENOSPC', `no space left on device, open '${call.name}'`)
      this.#create(call.dir, call.name)
    }
    const inode = this.volume.directories[call.dir].current.get(call.name)
    if (inode === undefined) return failed('ENOENT', `no such file, open '${call.name}'`)
    const file = ++this.#lastFile
    const { dir, name, codec } = call
    const encoder = codec === 'plain' ? undefined : makeStreamEncoder(codec)
    this.#handles.set(file, {
      inode,
      dir,
      name,
      codec,
      plain: undefined,
      encoder,
      isOpen: true,
      busyUntilMs: 0,
    })
    return { ok: true, file, sizeBytes: inode.current.length }
  }

  #read(call: DiskCall & { call: 'read' }, handle: Handle): DiskResult {
    const { inode, codec } = handle
    if (this.#strikes('readError')) return failed('EIO', 'i/o error, read')
    inode.fetch()
    const whole = inode.current.slice(0, inode.current.length)
    if (codec !== 'plain') handle.plain ??= decodeStream(codec, whole)
    const plain = codec === 'plain' ? whole : handle.plain
    if (plain === undefined) return failed('EBADMSG', 'bad compressed stream, read')
    const bytes = plain.subarray(call.at, call.at + call.into.length)
    call.into.set(bytes)
    return { ok: true, count: bytes.length }
  }

  #write(call: DiskCall & { call: 'write' }, handle: Handle): DiskResult {
    const { at, bytes } = stored(call, handle)
    if (this.#strikes('noSpace')) {
      this.#putPart(handle, at, bytes)
      return failed('ENOSPC', 'no space left on device, write')
    }
    if (this.#strikes('writeError')) {
      this.#putPart(handle, at, bytes)
      return failed('EIO', 'i/o error, write')
    }
    this.#put(handle, at, bytes)
    return call.sync ? this.#sync(handle) : { ok: true }
  }

  #put(handle: Handle, at: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return
    handle.inode.write(at, bytes, this.#landing(handle.inode))
    this.observer?.written(handle.dir, handle.name, at, bytes.length)
  }

  /** The first sync of a stream writes its end; nothing is written behind it. */
  #endStream(handle: Handle): void {
    const end = handle.encoder?.end()
    if (end === undefined) return
    handle.encoder = undefined
    this.#put(handle, handle.inode.current.length, end)
  }

  /** A write that was cut short: whole sectors of it, from its start. */
  #putPart(handle: Handle, at: number, bytes: Uint8Array): void {
    const end = chance(this.#random, 0.5)
      ? at + bytes.length
      : sectorBytes * Math.floor((at + between(this.#random, 0, bytes.length)) / sectorBytes)
    this.#put(handle, at, bytes.subarray(0, Math.max(0, end - at)))
  }

  /** Where a misdirected write lands: elsewhere in its file, or in another. */
  #landing(meant: Inode): { readonly inode: Inode; readonly at: number } | undefined {
    if (!chance(this.#random, this.options.misdirected)) return undefined
    this.counters.misdirected++
    const others = this.volume.inodes()
    const inode = chance(this.#random, 0.7) ? meant : pick(this.#random, others)
    return { inode, at: between(this.#random, 0, inode.durable.length) }
  }

  #truncate(handle: Handle, lengthBytes: number): void {
    handle.inode.truncate(lengthBytes)
    this.observer?.truncated(handle.dir, handle.name, lengthBytes)
  }

  #sync({ inode, dir }: Handle): DiskResult {
    this.counters.syncs++
    if (this.#strikes('syncError')) {
      inode.failSync()
      return failed('EIO', 'i/o error, fdatasync')
    }
    if (this.#isSyncLost()) inode.pretendSync()
    else inode.sync()
    this.observer?.synced(dir)
    return { ok: true }
  }

  #syncDir(dir: Dir): DiskResult {
    if (this.#strikes('syncError')) return failed('EIO', 'i/o error, fsync of a directory')
    if (this.#isSyncLost()) this.volume.directories[dir].pretendSync()
    else this.volume.directories[dir].sync()
    this.observer?.synced(dir)
    return { ok: true }
  }

  #isSyncLost(): boolean {
    if (!chance(this.#random, this.options.lostSync)) return false
    this.counters.lostSyncs++
    return true
  }

  #create(dir: Dir, name: string): void {
    this.volume.directories[dir].link(name)
    this.observer?.truncated(dir, name, 0)
  }

  #rename({ dir, from, to }: DiskCall & { call: 'rename' }): DiskResult {
    const inode = this.volume.directories[dir].current.get(from)
    if (inode === undefined) return failed('ENOENT', `no such file, rename '${from}'`)
    this.volume.directories[dir].rename(from, to, inode)
    for (const handle of this.#handles.values()) if (handle.inode === inode) handle.name = to
    // What is read under the new name has to be read from its start.
    this.observer?.truncated(dir, to, 0)
    return { ok: true }
  }

  #remove({ dir, name }: DiskCall & { call: 'remove' }): DiskResult {
    if (!this.volume.directories[dir].current.has(name))
      return failed('ENOENT', `no such file, remove '${name}'`)
    this.volume.directories[dir].unlink(name)
    return { ok: true }
  }

  #list(dir: Dir): readonly DirEntry[] {
    const entries: DirEntry[] = []
    for (const [name, inode] of this.volume.directories[dir].current) {
      entries.push({ name, sizeBytes: inode.current.length })
    }
    // "Any order": turned by the seed, so that nobody comes to rely on one.
    return shuffled(this.#random, entries)
  }

  // -- errors

  #nameError(name: string): DiskResult | undefined {
    if (!this.#strikes('nameError')) return undefined
    const errno = pick(this.#random, ['EROFS', 'EACCES', 'EMFILE'])
    return failed(errno, `not possible, '${name}'`)
  }

  #strikes(kind: keyof typeof countedAs): boolean {
    const probability = this.options[kind]
    if (probability === 0 || this.#errorsLeft === 0 || !chance(this.#random, probability)) return false
    this.#errorsLeft--
    this.counters[countedAs[kind]]++
    return true
  }

  // -- crashes

  /** A call that the crash cut off: a write has reached the page cache up to some byte, a name is changed. */
  #leaveUnfinished(call: DiskCall, handle: Handle | undefined): void {
    switch (call.call) {
      case 'rename':
        this.#rename(call)
        return
      case 'remove':
        this.#remove(call)
        return
      case 'open':
        if (call.mode === 'create') this.#create(call.dir, call.name)
        return
      default:
        if (handle?.isOpen !== true) return
        if (call.call === 'write') {
          const { at, bytes } = stored(call, handle)
          this.#putPart(handle, at, bytes)
        } else if (call.call === 'fill') this.#putPart(handle, call.at, new Uint8Array(call.lengthBytes))
        else if (call.call === 'truncate') this.#truncate(handle, call.lengthBytes)
    }
  }

  #note(call: DiskCall, handle: Handle | undefined, result: DiskResult): void {
    const trace = this.#trace
    if (call.call === 'write') {
      trace.number(call.at)
      trace.bytes(call.pieces[0] as Uint8Array)
    }
    trace.text(result.ok ? 'ok' : result.errno)
    const atMs = this.scheduler.nowMs
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

const countedAs = {
  writeError: 'writeErrors',
  syncError: 'syncErrors',
  readError: 'readErrors',
  noSpace: 'noSpace',
  nameError: 'nameErrors',
} as const

/** What reaches the disk of a write, and where: with a codec, behind what did so far. */
function stored(
  call: DiskCall & { call: 'write' },
  { encoder, inode }: Handle,
): { readonly at: number; readonly bytes: Uint8Array } {
  const plain = call.pieces[0] as Uint8Array
  return encoder === undefined
    ? { at: call.at, bytes: plain }
    : { at: inode.current.length, bytes: encoder.piece(plain) }
}

/** Of any file: what stands before its records. */
const headBytes = 16

/** A name without what tells files of one kind apart. */
function familyOf(name: string): string {
  return name.replace(/\.[0-9a-f]+(?:\.gz|\.snappy)?$/, '')
}

function failed(errno: string, message: string): DiskResult {
  return { ok: false, errno, message: `${errno}: ${message}` }
}
