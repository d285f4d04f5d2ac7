/**
 * What the simulated disk holds. A file has what is on the platter (durable) and what is in the page cache (current),
 * and between the two the operations that no sync has covered; a directory has the same for its names.
 *
 * It also keeps the truth that no server can know: which bytes and names it was promised and does not have.
 *
 * What a process reads or writes stays in the cache until the power is lost, or, once nobody runs, until something
 * else needs the memory. Till then the cache hides what becomes of the platter.
 */
import type { Random } from '@corral/core'
import { unreachable } from '@corral/protocol'
import { between, chance, pick } from './chance.ts'
import { behind, type Damage, inside, outside, type Range } from './damage.ts'

const pageBytes = 4096
/** What a device writes wholly or not at all. */
export const sectorBytes = 512

interface Fate {
  /** A failed sync covered it: visible to reads, out of reach of later syncs. */
  isClean: boolean
  /** A sync that did nothing covered it. */
  isPromised: boolean
}

interface Write extends Fate {
  readonly kind: 'write'
  readonly at: number
  readonly bytes: Uint8Array
  /** Where it reaches the platter, if not where it belongs. */
  readonly landing: { readonly inode: Inode; readonly at: number } | undefined
}

interface Truncation extends Fate {
  readonly kind: 'truncate'
  readonly lengthBytes: number
}

type FileOp = Write | Truncation

/** Bytes that grow. */
export class Content {
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
export class Inode {
  durable: Content = new Content()
  current: Content = new Content()
  #pending: FileOp[] = []
  /** Of the platter, seen by everybody. */
  #damage: readonly Damage[] = []
  /** Of the platter, behind a cache that is right. */
  #hidden: readonly Damage[] = []
  /** Of the cache alone: what the device answered once. */
  #stale: readonly Damage[] = []
  #isCached = true
  /** What a page of the platter held before it was last written, and before it was first. */
  readonly #before: Map<number, readonly [first: Uint8Array, last: Uint8Array]> = new Map()

  /** What a process that reads now is not told as it should be. */
  get damage(): readonly Damage[] {
    return [...this.#damage, ...this.#stale]
  }

  write(at: number, bytes: Uint8Array, landing?: Write['landing']): void {
    this.current.write(at, bytes)
    this.#rightInCache({ at, lengthBytes: bytes.length })
    this.#pending.push({ kind: 'write', at, bytes, landing, isClean: false, isPromised: false })
  }

  truncate(lengthBytes: number): void {
    this.current.truncate(lengthBytes)
    this.#rightInCache(behind(lengthBytes))
    this.#pending.push({ kind: 'truncate', lengthBytes, isClean: false, isPromised: false })
  }

  /** Calls take effect when they end, so a sync that ends now covers what ended before. */
  sync(): void {
    for (const op of this.#pending) if (!op.isClean) this.#persist(op)
    this.#pending = this.#pending.filter(op => op.isClean)
  }

  failSync(): void {
    for (const op of this.#pending) op.isClean = true
  }

  pretendSync(): void {
    for (const op of this.#pending) if (!op.isClean) op.isPromised = true
  }

  /** As far as syncs have said, everything is safe. */
  get isPromised(): boolean {
    return this.#pending.every(op => op.isPromised)
  }

  /** The platter changes; nobody sees it while there is a cache. */
  rot(damage: Damage, bytes: Uint8Array): void {
    this.durable.write(damage.at, bytes)
    if (this.#isCached) this.#hidden = [...this.#hidden, damage]
    else {
      this.current.write(damage.at, bytes)
      this.#damage = [...this.#damage, damage]
    }
  }

  /** Somebody reads: what the device says now is believed until the cache is gone. */
  fetch(): void {
    this.#isCached = true
  }

  get isCached(): boolean {
    return this.#isCached
  }

  /** The device answers with what a page held earlier. @returns whether that is anything else than it holds */
  fetchOld(random: Random): boolean {
    this.fetch()
    const pages = [...this.#before]
    if (pages.length === 0) return false
    const [page, versions] = pick(random, pages)
    const at = page * pageBytes
    const now = this.durable.slice(at, at + pageBytes)
    const old = new Uint8Array(now.length)
    old.set(pick(random, versions).subarray(0, old.length))
    const first = now.findIndex((byte, i) => byte !== old[i])
    if (first === -1) return false
    const last = now.findLastIndex((byte, i) => byte !== old[i])
    this.current.write(at + first, old.subarray(first, last + 1))
    this.#stale = [{ how: 'missing', at: at + first, lengthBytes: last + 1 - first }]
    return true
  }

  /** The cache is needed for something else; what is not written back yet stays. */
  evict(): void {
    if (this.#pending.length === 0) this.#dropCache()
  }

  /** Both on the platter and in every cache. */
  spoil(damage: Damage, bytes: Uint8Array): void {
    for (const op of this.#pending) this.#persist(op)
    this.#pending = []
    this.current = this.durable.copy()
    for (const content of [this.current, this.durable]) content.write(damage.at, bytes)
    this.#reveal(damage)
  }

  /** What was written here was copied from damaged places. */
  taint(damages: readonly Damage[]): void {
    this.#damage = [...this.#damage, ...damages]
  }

  /** @returns how many pending operations were taken back, wholly or partly */
  losePower(random: Random): number {
    let takenBack = 0
    for (const op of this.#pending) {
      const isWhole = op.kind === 'truncate' ? this.#loseTruncation(op, random) : this.#loseWrite(op, random)
      if (isWhole) continue
      takenBack++
      if (op.isPromised) this.#reveal({ how: 'lost', ...rangeOf(op) })
    }
    this.#pending = []
    this.#dropCache()
    return takenBack
  }

  copy(): Inode {
    const twin = new Inode()
    twin.durable = this.durable.copy()
    twin.current = this.current.copy()
    twin.#damage = this.#damage
    twin.#stale = this.#stale
    twin.#isCached = this.#isCached
    for (const [page, versions] of this.#before) twin.#before.set(page, versions)
    twin.#pending = this.#pending.map(op => (op.kind === 'write' ? { ...op, landing: undefined } : { ...op }))
    twin.#hidden = this.#hidden
    return twin
  }

  #reveal(...more: readonly Damage[]): void {
    this.#damage = [...this.#damage, ...this.#hidden, ...more]
    this.#hidden = []
  }

  #dropCache(): void {
    this.#reveal()
    this.#stale = []
    this.#isCached = false
    this.current = this.durable.copy()
  }

  #rightInCache(range: Range): void {
    this.#isCached = true
    this.#hidden = [...this.#hidden, ...inside(this.#damage, range)]
    this.#damage = outside(this.#damage, range)
    this.#stale = outside(this.#stale, range)
  }

  /** Bytes arrive where they belong. */
  #put(at: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return
    for (let page = Math.floor(at / pageBytes); page * pageBytes < at + bytes.length; page++) {
      const now = this.durable.slice(page * pageBytes, (page + 1) * pageBytes).slice()
      this.#before.set(page, [this.#before.get(page)?.[0] ?? now, now])
    }
    this.durable.write(at, bytes)
    this.#hidden = outside(this.#hidden, { at, lengthBytes: bytes.length })
  }

  #cut(lengthBytes: number): void {
    this.durable.truncate(lengthBytes)
    this.#hidden = outside(this.#hidden, behind(lengthBytes))
  }

  #persist(op: FileOp): void {
    if (op.kind === 'truncate') this.#cut(op.lengthBytes)
    else if (op.landing === undefined) this.#put(op.at, op.bytes)
    else {
      const { inode, at } = op.landing
      inode.durable.write(at, op.bytes)
      inode.#hidden = [...inode.#hidden, { how: 'wrong', at, lengthBytes: op.bytes.length }]
      this.#hidden = [...this.#hidden, { how: 'missing', ...rangeOf(op) }]
    }
  }

  #loseTruncation(op: Truncation, random: Random): boolean {
    const isKept = chance(random, 0.5)
    if (isKept) this.#cut(op.lengthBytes)
    return isKept
  }

  /** Page by page: new content, old content, or (beyond the old end, when a later page made it) zeros. */
  #loseWrite(op: Write, random: Random): boolean {
    const how = op.isClean ? 'scattered' : between(random, 0, 3)
    if (how === 0) return false
    if (how === 1 || op.landing !== undefined) {
      this.#persist(op)
      return true
    }
    const end = op.at + op.bytes.length
    let at = op.at
    while (at < end) {
      const next = Math.min(end, (Math.floor(at / pageBytes) + 1) * pageBytes)
      if (chance(random, 0.5)) {
        // The size may be older than the page: then the page is cut by it.
        const isCut = how === 3 && next === end && end > this.durable.length && chance(random, 0.5)
        const to = isCut
          ? Math.max(at, sectorBytes * Math.floor(between(random, at, next) / sectorBytes))
          : next
        this.#put(at, op.bytes.subarray(at - op.at, to - op.at))
      } else {
        // The size made it to the platter, the page did not: zeros.
        const isZeroed = how === 3 && next > this.durable.length && chance(random, 0.5)
        if (isZeroed) this.durable.truncate(next)
      }
      at = next
    }
    return false
  }
}

function rangeOf(op: FileOp): Range {
  return op.kind === 'write' ? { at: op.at, lengthBytes: op.bytes.length } : behind(op.lengthBytes)
}

type NameOp =
  | { readonly kind: 'link'; readonly name: string; readonly inode: Inode; isPromised: boolean }
  | {
      readonly kind: 'rename'
      readonly from: string
      readonly to: string
      readonly inode: Inode
      isPromised: boolean
    }
  | { readonly kind: 'unlink'; readonly name: string; isPromised: boolean }

export class Directory {
  readonly #durable: Map<string, Inode> = new Map()
  readonly current: Map<string, Inode> = new Map()
  /** Names whose last change was promised and is lost, or whose files are. */
  readonly lostNames: Set<string> = new Set()
  #pending: NameOp[] = []

  link(name: string): Inode {
    const inode = new Inode()
    this.#apply({ kind: 'link', name, inode, isPromised: false })
    return inode
  }

  rename(from: string, to: string, inode: Inode): void {
    this.#apply({ kind: 'rename', from, to, inode, isPromised: false })
  }

  unlink(name: string): void {
    this.#apply({ kind: 'unlink', name, isPromised: false })
  }

  sync(): void {
    for (const op of this.#pending.splice(0)) perform(this.#durable, op)
  }

  pretendSync(): void {
    for (const op of this.#pending) op.isPromised = true
  }

  /** Is this file, name and content, safe from a power loss, as far as syncs have said? */
  isPromised(name: string): boolean {
    const inode = this.current.get(name)
    const isNamed =
      this.#durable.get(name) === inode ||
      this.#pending.some(op => op.isPromised && op.kind !== 'unlink' && op.inode === inode)
    return inode !== undefined && isNamed && inode.isPromised
  }

  /** A file is gone for good, though nobody removed it. */
  destroy(name: string): void {
    // Whatever else was on its way has arrived.
    this.sync()
    this.current.delete(name)
    this.#durable.delete(name)
    this.lostNames.add(name)
  }

  /** @returns how many pending operations were taken back */
  losePower(random: Random): number {
    let takenBack = 0
    const inodes = new Set([...this.#durable.values(), ...this.current.values()])
    for (const op of this.#pending.splice(0)) {
      if (chance(random, 0.5)) perform(this.#durable, op)
      else {
        takenBack++
        if (op.isPromised) this.lostNames.add(op.kind === 'rename' ? op.to : op.name)
      }
    }
    for (const inode of inodes) takenBack += inode.losePower(random)
    this.current.clear()
    for (const [name, inode] of this.#durable) this.current.set(name, inode)
    return takenBack
  }

  /** @param copyOf - gives each inode one copy, whatever its names */
  copyInto(twin: Directory, copyOf: (inode: Inode) => Inode): void {
    for (const [name, inode] of this.#durable) twin.#durable.set(name, copyOf(inode))
    for (const [name, inode] of this.current) twin.current.set(name, copyOf(inode))
    for (const name of this.lostNames) twin.lostNames.add(name)
    twin.#pending = this.#pending.map(op => ('inode' in op ? { ...op, inode: copyOf(op.inode) } : { ...op }))
  }

  #apply(op: NameOp): void {
    this.lostNames.delete(op.kind === 'rename' ? op.to : op.name)
    perform(this.current, op)
    this.#pending.push(op)
  }
}

function perform(names: Map<string, Inode>, op: NameOp): void {
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
