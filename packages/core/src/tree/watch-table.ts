/**
 * Watches of this server's connections: never replicated, never stored.
 *
 * A record joins one place and one connection and says which kinds of watch that connection has there. The place is
 * the znode while it exists, else an entry of an index over absent paths; create and delete move what stays. Recursive
 * watches are found by walking up from the changed znode: a znode's ancestors always exist.
 *
 *   record:  place | slot(24) flags(8) | next, previous at the place | next, previous of the connection
 *
 * Source: WatchManager, WatcherOrBitSet and DataTree in the Java server (3.9: a set of modes per path and watcher).
 */
import { assert, EventType, type Space, unreachable, WatcherType, type Writer } from '@corral/protocol'
import { grown } from '../lists.ts'
import type { FiredWatches } from './fired-watches.ts'
import { PathIndex } from './path-index.ts'
import { Slab, SparseColumn } from './slab.ts'
import { Flag, Row, type ZnodeId } from './znode-rows.ts'
import type { Znodes } from './znodes.ts'

/** Data, Child: fire once. Persistent: in both tables. Recursive: in the data table, for all that is below too. */
export const WatchKind = { Data: 1, Child: 2, Persistent: 4, Recursive: 8 } as const
export type WatchKind = (typeof WatchKind)[keyof typeof WatchKind]

const dataTable = WatchKind.Data | WatchKind.Persistent
const childTable = WatchKind.Child | WatchKind.Persistent
const oneShot = WatchKind.Data | WatchKind.Child
const allKinds = 15
/** Not a kind: the place is an absent path. */
const absent = 16

const wordsPerRecord = 6
const place = 0
const slotAndFlags = 1
const nextHere = 2
const previousHere = 3
const nextOfSlot = 4
const previousOfSlot = 5

const maxSlots = 1 << 24

/** Of the data table. */
export interface DataWatchTotals {
  readonly connections: number
  readonly paths: number
  readonly watches: number
}

/** A place in a connection's list of watches. A watch that goes hands it on to the next, so it outlives changes. */
export interface WatchCursor {
  /** 0: at the end. */
  record: number
}

export class WatchTable {
  readonly #znodes: Znodes
  readonly #records = new Slab(wordsPerRecord)
  /** First record at each znode. */
  readonly #atZnode = new SparseColumn()
  /** First record at each absent path. */
  readonly #atAbsent: PathIndex
  /** First record of each slot. */
  #ofSlot = new Int32Array(64)
  #count = 0
  #recursiveCount = 0
  readonly #cursors: Set<WatchCursor> = new Set()

  constructor(znodes: Znodes) {
    this.#znodes = znodes
    this.#atAbsent = new PathIndex({ seed: znodes.seed, arena: znodes.arena })
  }

  /** Entries of both tables: a persistent watch counts twice. */
  get count(): number {
    return this.#count
  }

  /**
   * How many connections watch how many places in the data table, and in how many entries. One pass over all records:
   * behind a place's first such record no walk back goes further than to the one before.
   */
  dataTotals(): DataWatchTotals {
    let connections = 0
    let paths = 0
    let watches = 0
    for (const head of this.#ofSlot) {
      const before = watches
      for (let record = head; record !== 0; record = this.nextOf(record)) {
        if (!this.isOfData(record)) continue
        watches += 1
        if (this.isFirstOfData(record)) paths += 1
      }
      if (watches > before) connections += 1
    }
    return { connections, paths, watches }
  }

  /** Whether no earlier one at its place {@link isOfData}. */
  isFirstOfData(record: number): boolean {
    const records = this.#records
    let earlier = records.get(record, previousHere)
    while (earlier !== 0 && !this.isOfData(earlier)) earlier = records.get(earlier, previousHere)
    return earlier === 0
  }

  isOfData(record: number): boolean {
    return (this.kindsOf(record) & (dataTable | WatchKind.Recursive)) !== 0
  }

  /** @returns the slots that have watches of the data table at the place of this record, from it on */
  dataSlotsFrom(record: number): number[] {
    const slots: number[] = []
    for (let here = record; here !== 0; here = this.#records.get(here, nextHere)) {
      if (this.isOfData(here)) slots.push(this.#records.get(here, slotAndFlags) >>> 8)
    }
    return slots
  }

  /** At the first watch of the connection. To be closed. */
  openCursor(slot: number): WatchCursor {
    const cursor = { record: this.firstOf(slot) }
    this.#cursors.add(cursor)
    return cursor
  }

  closeCursor(cursor: WatchCursor): void {
    this.#cursors.delete(cursor)
  }

  /** Bytes of records and heads; the keys of absent paths are counted in the tree's arena. */
  get sizeBytes(): number {
    const heads = this.#atZnode.sizeBytes + this.#atAbsent.sizeBytes + this.#ofSlot.byteLength
    return this.#records.sizeBytes + heads
  }

  /**
   * @param slot - a small number of the connection
   * @param kind - one or more of {@link WatchKind}; registering twice changes nothing
   */
  add(slot: number, source: Space, from: number, to: number, kind: number): void {
    assert(slot >= 0 && slot < maxSlots, 'a connection slot is below 2^24')
    const id = this.#find(source, from, to)
    const entry = id === 0 ? this.#absentEntry(source, from, to) : 0
    const record = this.#recordOf(slot, id, entry) || this.#newRecord(slot, id, entry)
    this.#setKinds(record, this.kindsOf(record) | kind)
    if (id !== 0) this.#znodes.rows.addFlags(id, flagsFor(kind))
  }

  /** @returns whether there was such a watch at exactly this path */
  remove(slot: number, source: Space, from: number, to: number, type: WatcherType): boolean {
    const record = this.#lookUp(slot, source, from, to)
    const kinds = kindsFor(type)
    if (record === 0 || (this.kindsOf(record) & kinds) === 0) return false
    this.#takeKinds(record, kinds)
    return true
  }

  has(slot: number, source: Space, from: number, to: number, type: WatcherType): boolean {
    const record = this.#lookUp(slot, source, from, to)
    return record !== 0 && (this.kindsOf(record) & kindsFor(type)) !== 0
  }

  /** The connection is gone. @returns false if it had more than `most` watches, and some are left */
  dropConnection(slot: number, most: number = Number.POSITIVE_INFINITY): boolean {
    for (let left = most; left > 0; left--) {
      const record = this.firstOf(slot)
      if (record === 0) return true
      this.#takeKinds(record, allKinds)
    }
    return this.firstOf(slot) === 0
  }

  /** @returns a record of the connection, or 0; valid until the next change of this table or the tree */
  firstOf(slot: number): number {
    return slot < this.#ofSlot.length ? (this.#ofSlot[slot] as number) : 0
  }

  nextOf(record: number): number {
    return this.#records.get(record, nextOfSlot)
  }

  /** A set of {@link WatchKind}. */
  kindsOf(record: number): number {
    return this.#records.get(record, slotAndFlags) & allKinds
  }

  /** Writes length and bytes of the path watched. */
  pathInto(record: number, out: Writer): void {
    const at = this.#records.get(record, place)
    if (!this.#isAbsent(record)) return this.#znodes.pathInto(at, out)
    out.int32(this.#atAbsent.keyLength(at))
    this.#atAbsent.keyInto(at, out)
  }

  /** A znode was made at this path: watches that waited for it fire or move to it, then those of its parent. */
  created(id: ZnodeId, path: Space, from: number, to: number, fired: FiredWatches): void {
    if (this.#records.count === 0) return
    fired.begin()
    const entry = this.#atAbsent.count === 0 ? 0 : this.#atAbsent.entry(path, from, to)
    if (entry !== 0) {
      this.#notify(this.#atAbsent.valueOf(entry), dataTable | WatchKind.Recursive, WatchKind.Data, fired)
      this.#moveToZnode(this.#atAbsent.entry(path, from, to), id)
    }
    this.#notifyRecursive(this.#znodes.rows.get(id, Row.parent), fired)
    fired.end(EventType.NodeCreated, this.#znodes.rows.acl(id), path, from, to)
    this.#childrenChanged(id, path, from, to, fired)
  }

  dataChanged(id: ZnodeId, path: Space, from: number, to: number, fired: FiredWatches): void {
    if (this.#records.count === 0) return
    const flags = this.#znodes.rows.flags(id)
    if (this.#recursiveCount === 0 && (flags & Flag.DataWatch) === 0) return
    fired.begin()
    if ((flags & Flag.DataWatch) !== 0) this.#notifyAt(id, dataTable, WatchKind.Data, fired)
    this.#notifyRecursive(id, fired)
    fired.end(EventType.NodeDataChanged, this.#znodes.rows.acl(id), path, from, to)
  }

  /**
   * A znode is about to be removed. Its data and child watches make one event for each connection, and both are used
   * up; what stays waits for the path.
   */
  deleting(id: ZnodeId, path: Space, from: number, to: number, fired: FiredWatches): void {
    if (this.#records.count === 0) return
    const rows = this.#znodes.rows
    fired.begin()
    if ((rows.flags(id) & (Flag.DataWatch | Flag.ChildWatch)) !== 0) {
      this.#notifyAt(id, dataTable | childTable, oneShot, fired)
    }
    this.#notifyRecursive(id, fired)
    fired.end(EventType.NodeDeleted, rows.acl(id), path, from, to)
    if (this.#atZnode.get(id) !== 0) this.#moveToAbsent(id, path, from, to)
    this.#childrenChanged(id, path, from, to, fired)
  }

  #childrenChanged(child: ZnodeId, path: Space, from: number, to: number, fired: FiredWatches): void {
    const rows = this.#znodes.rows
    const parent = rows.get(child, Row.parent)
    if (!rows.hasFlag(parent, Flag.ChildWatch)) return
    fired.begin()
    this.#notifyAt(parent, childTable, WatchKind.Child, fired)
    fired.end(
      EventType.NodeChildrenChanged,
      rows.acl(parent),
      path,
      from,
      to - 1 - this.#znodes.nameLength(child),
    )
  }

  #notifyRecursive(from: ZnodeId, fired: FiredWatches): void {
    if (this.#recursiveCount === 0) return
    const rows = this.#znodes.rows
    for (let id = from; id !== 0; id = rows.get(id, Row.parent)) {
      if (rows.hasFlag(id, Flag.RecursiveWatch)) this.#notifyAt(id, WatchKind.Recursive, 0, fired)
    }
  }

  /** Notifies, and puts the znode's presence bits right. */
  #notifyAt(id: ZnodeId, kinds: number, used: number, fired: FiredWatches): void {
    const left = this.#notify(this.#atZnode.get(id), kinds, used, fired)
    this.#znodes.rows.dropFlags(id, watchFlags)
    this.#znodes.rows.addFlags(id, flagsFor(left))
  }

  /**
   * Notifies the connections that have one of `kinds` in this chain, and takes `used` from their records.
   *
   * @returns the kinds that are left in the chain
   */
  #notify(head: number, kinds: number, used: number, fired: FiredWatches): number {
    let left = 0
    for (let record = head; record !== 0; ) {
      const word = this.#records.get(record, slotAndFlags)
      const next = this.#records.get(record, nextHere)
      if ((word & kinds) !== 0) {
        fired.notify(word >>> 8)
        if ((word & used) !== 0) this.#takeKinds(record, used)
      }
      // A record that lost its last kind is free by now, so its word is not read again.
      left |= (word & kinds) !== 0 ? word & allKinds & ~used : word & allKinds
      record = next
    }
    return left
  }

  /** Unlike reads, watches do not take the empty path for the root: nothing ever changes there. */
  #find(source: Space, from: number, to: number): ZnodeId {
    return from === to ? 0 : this.#znodes.find(source, from, to)
  }

  #lookUp(slot: number, source: Space, from: number, to: number): number {
    const id = this.#find(source, from, to)
    if (id !== 0) return this.#recordOf(slot, id, 0)
    const entry = this.#atAbsent.count === 0 ? 0 : this.#atAbsent.entry(source, from, to)
    return entry === 0 ? 0 : this.#recordOf(slot, 0, entry)
  }

  /** Walks the chains of the place and of the connection in step, so the shorter one decides the cost. */
  #recordOf(slot: number, id: ZnodeId, entry: number): number {
    const records = this.#records
    const at = id === 0 ? entry : id
    let here = id === 0 ? this.#atAbsent.valueOf(entry) : this.#atZnode.get(id)
    let own = this.firstOf(slot)
    while (here !== 0 && own !== 0) {
      if (records.get(here, slotAndFlags) >>> 8 === slot) return here
      if (records.get(own, place) === at && this.#isAbsent(own) === (id === 0)) return own
      here = records.get(here, nextHere)
      own = records.get(own, nextOfSlot)
    }
    return 0
  }

  #absentEntry(source: Space, from: number, to: number): number {
    return this.#atAbsent.entry(source, from, to) || this.#atAbsent.insert(source, from, to, 0)
  }

  #newRecord(slot: number, id: ZnodeId, entry: number): number {
    const records = this.#records
    const record = records.allocate()
    records.set(record, slotAndFlags, (slot << 8) | (id === 0 ? absent : 0))
    this.#linkHere(record, id, entry)

    if (slot >= this.#ofSlot.length) this.#ofSlot = grown(this.#ofSlot, slot + 1)
    const after = this.#ofSlot[slot] as number
    records.set(record, nextOfSlot, after)
    records.set(record, previousOfSlot, 0)
    if (after !== 0) records.set(after, previousOfSlot, record)
    this.#ofSlot[slot] = record
    return record
  }

  /** Puts the record at the head of the chain of its place. */
  #linkHere(record: number, id: ZnodeId, entry: number): void {
    const records = this.#records
    const after = id === 0 ? this.#atAbsent.valueOf(entry) : this.#atZnode.get(id)
    records.set(record, place, id === 0 ? entry : id)
    records.set(record, nextHere, after)
    records.set(record, previousHere, 0)
    if (after !== 0) records.set(after, previousHere, record)
    if (id === 0) this.#atAbsent.setValueOf(entry, record)
    else this.#atZnode.set(id, record)
  }

  /** Takes kinds from a record; a record without any goes. */
  #takeKinds(record: number, kinds: number): void {
    const left = this.kindsOf(record) & ~kinds
    this.#setKinds(record, left)
    if (left === 0) this.#drop(record)
  }

  #setKinds(record: number, kinds: number): void {
    const word = this.#records.get(record, slotAndFlags)
    this.#count += tableEntries(kinds) - tableEntries(word & allKinds)
    this.#recursiveCount += (kinds >>> 3) - ((word & WatchKind.Recursive) >>> 3)
    this.#records.set(record, slotAndFlags, (word & ~allKinds) | kinds)
  }

  #drop(record: number): void {
    const records = this.#records
    const after = records.get(record, nextHere)
    const before = records.get(record, previousHere)
    if (after !== 0) records.set(after, previousHere, before)
    if (before !== 0) records.set(before, nextHere, after)
    else this.#setHead(record, after)

    const afterOfSlot = records.get(record, nextOfSlot)
    const beforeOfSlot = records.get(record, previousOfSlot)
    if (afterOfSlot !== 0) records.set(afterOfSlot, previousOfSlot, beforeOfSlot)
    if (beforeOfSlot !== 0) records.set(beforeOfSlot, nextOfSlot, afterOfSlot)
    else this.#ofSlot[records.get(record, slotAndFlags) >>> 8] = afterOfSlot
    if (this.#cursors.size > 0) this.#handOn(record, afterOfSlot)
    records.release(record)
  }

  #handOn(record: number, next: number): void {
    for (const cursor of this.#cursors) {
      if (cursor.record === record) cursor.record = next
    }
  }

  #setHead(record: number, head: number): void {
    const at = this.#records.get(record, place)
    if (this.#isAbsent(record)) {
      if (head === 0) this.#atAbsent.removeEntry(at)
      else this.#atAbsent.setValueOf(at, head)
      return
    }
    this.#atZnode.set(at, head)
    if (head === 0) this.#znodes.rows.dropFlags(at, watchFlags)
  }

  #moveToZnode(entry: number, id: ZnodeId): void {
    if (entry === 0) return
    let kinds = 0
    const head = this.#atAbsent.valueOf(entry)
    for (let record = head; record !== 0; record = this.#records.get(record, nextHere)) {
      const word = this.#records.get(record, slotAndFlags)
      kinds |= word & allKinds
      this.#records.set(record, place, id)
      this.#records.set(record, slotAndFlags, word & ~absent)
    }
    this.#atAbsent.removeEntry(entry)
    this.#atZnode.set(id, head)
    this.#znodes.rows.addFlags(id, flagsFor(kinds))
  }

  #moveToAbsent(id: ZnodeId, path: Space, from: number, to: number): void {
    const head = this.#atZnode.get(id)
    const entry = this.#atAbsent.insert(path, from, to, head)
    for (let record = head; record !== 0; record = this.#records.get(record, nextHere)) {
      this.#records.set(record, place, entry)
      this.#records.set(record, slotAndFlags, this.#records.get(record, slotAndFlags) | absent)
    }
    this.#atZnode.set(id, 0)
  }

  #isAbsent(record: number): boolean {
    return (this.#records.get(record, slotAndFlags) & absent) !== 0
  }
}

const watchFlags = Flag.DataWatch | Flag.ChildWatch | Flag.RecursiveWatch

/** The presence bits of a znode with watches of these kinds. */
function flagsFor(kinds: number): number {
  return (
    ((kinds & dataTable) !== 0 ? Flag.DataWatch : 0) |
    ((kinds & childTable) !== 0 ? Flag.ChildWatch : 0) |
    ((kinds & WatchKind.Recursive) !== 0 ? Flag.RecursiveWatch : 0)
  )
}

function tableEntries(kinds: number): number {
  return ((kinds & (dataTable | WatchKind.Recursive)) !== 0 ? 1 : 0) + ((kinds & childTable) !== 0 ? 1 : 0)
}

function kindsFor(type: WatcherType): number {
  switch (type) {
    case WatcherType.Children:
      return WatchKind.Child
    case WatcherType.Data:
      return WatchKind.Data
    case WatcherType.Any:
      return allKinds
    case WatcherType.Persistent:
      return WatchKind.Persistent
    case WatcherType.PersistentRecursive:
      return WatchKind.Recursive
    default:
      return unreachable(type)
  }
}
