/**
 * The znodes: rows, names and data in the arena, and the index from full paths. Knows nothing of txns, ACL lists,
 * watches or sessions. Nothing here recurses over the depth of the tree.
 *
 *   block in the arena:  name length(4) | name | data
 */
import { assert, copyBytes, type Space, type Writer } from '@corral/protocol'
import { Arena } from './arena.ts'
import { equalBytes, hashBytes } from './raw-bytes.ts'
import { TagTable } from './tag-table.ts'
import { Flag, RootId, Row, rowBytes, type ZnodeId, ZnodeRows } from './znode-rows.ts'

const slash = 0x2f
const nameHeadBytes = 4
const statBytes = rowBytes - Row.stat
/** Words of Stat before dataLength. */
const leadingStatBytes = Row.dataLength - Row.stat

/** What a znode's stored ephemeralOwner says. */
export const ZnodeKind = { Persistent: 0, Ephemeral: 1, Container: 2, Ttl: 3 } as const
export type ZnodeKind = (typeof ZnodeKind)[keyof typeof ZnodeKind]

/** Stored owner of a container, high word. */
export const containerOwnerHigh: number = 0x8000_0000 | 0
/** Stored owner of a TTL znode, upper 24 bits; the TTL in ms is below. */
export const ttlOwnerHigh: number = 0xff00_0000 | 0

/**
 * 0: persistent. 0x8000…: container. 0xff | 0 (16 bits) | ttl (40 bits): TTL, if those are recognised. Anything else
 * is a session.
 */
export function kindOfOwner(high: number, low: number, isTtlEnabled: boolean): ZnodeKind {
  if (low === 0 && high === 0) return ZnodeKind.Persistent
  if (low === 0 && (high | 0) === containerOwnerHigh) return ZnodeKind.Container
  return isTtlEnabled && high >>> 8 === 0xff_0000 ? ZnodeKind.Ttl : ZnodeKind.Ephemeral
}

/** Where path and data of a new znode lie. `dataFrom` is -1 for null. */
export interface ZnodeRanges {
  readonly pathFrom: number
  readonly pathTo: number
  readonly dataFrom: number
  readonly dataTo: number
}

export class Znodes {
  readonly rows: ZnodeRows = new ZnodeRows()
  readonly arena: Arena = new Arena()
  readonly seed: number
  readonly #isTtlEnabled: boolean
  readonly #index = new TagTable(256)
  /** Sums over all znodes. */
  #dataBytes = 0
  #pathBytes = 0

  /** Makes the root, with empty data and a Stat of zeros. */
  constructor(given: { readonly seed: number; readonly isTtlEnabled: boolean }) {
    this.seed = given.seed
    this.#isTtlEnabled = given.isTtlEnabled
    const root = this.rows.allocate()
    assert(root === RootId, 'the first row is the root')
    const content = this.arena.allocate(nameHeadBytes)
    this.arena.space(content).view.setInt32(this.arena.offset(content), 0)
    this.rows.set(root, Row.content, content)
    this.#pathBytes = 1
  }

  get dataBytes(): number {
    return this.#dataBytes
  }

  /** The root counts as one byte. */
  get pathBytes(): number {
    return this.#pathBytes
  }

  get indexBytes(): number {
    return this.#index.sizeBytes
  }

  /** What the index goes by: the same for the same bytes. */
  hashOf(source: Space, from: number, to: number): number {
    return hashBytes(source, from, to, this.seed)
  }

  /** @returns 0 if there is none; '' and '/' are the root */
  find(source: Space, from: number, to: number): ZnodeId {
    return this.findHashed(this.hashOf(source, from, to), source, from, to)
  }

  /**
   * The znode whose path ends where the last slash of a longer path stands.
   *
   * @param cut - offset of that slash. `//name` has no parent, although `/` alone is the root.
   */
  findParent(source: Space, from: number, cut: number): ZnodeId {
    return cut - from === 1 ? 0 : this.find(source, from, cut)
  }

  /** As {@link find}. @param hash - {@link hashOf} the path */
  findHashed(hash: number, source: Space, from: number, to: number): ZnodeId {
    if (to - from <= 1 && (from === to || source.bytes[from] === slash)) return RootId
    const index = this.#index
    for (let slot = index.first(hash); slot >= 0; slot = index.next(slot, hash)) {
      const id = index.valueAt(slot)
      if (this.#isAt(id, source, from, to)) return id
    }
    return 0
  }

  /** Compares component by component, from the end of the path and the znode upwards. */
  #isAt(id: ZnodeId, source: Space, from: number, to: number): boolean {
    let end = to
    for (let node = id; node !== RootId; ) {
      const view = this.rows.view(node)
      const row = this.rows.at(node)
      const content = view.getInt32(row + Row.content)
      const block = this.arena.space(content)
      const at = this.arena.offset(content)
      const length = block.view.getInt32(at)
      const start = end - length
      if (start <= from || source.bytes[start - 1] !== slash) return false
      if (!equalBytes(source, start, block, at + nameHeadBytes, length)) return false
      end = start - 1
      node = view.getInt32(row + Row.parent)
    }
    return end === from
  }

  /**
   * Adds a znode as the first child of its parent. The path must be free. The Stat is of zeros, but for the data's
   * length and the parent's number of children.
   *
   * @param hash - {@link hashOf} the path
   * @param nameFrom - where the last component of the path begins
   */
  insert(parent: ZnodeId, hash: number, source: Space, ranges: ZnodeRanges, nameFrom: number): ZnodeId {
    const id = this.insertUnindexed(parent, source, ranges, nameFrom)
    this.#index.add(hash, id)
    return id
  }

  /** As {@link insert}, but the znode is found only after {@link indexAll}. */
  insertUnindexed(parent: ZnodeId, source: Space, ranges: ZnodeRanges, nameFrom: number): ZnodeId {
    const { rows, arena } = this
    const { pathFrom, pathTo, dataFrom, dataTo } = ranges
    const nameLength = pathTo - nameFrom
    const dataLength = dataFrom < 0 ? 0 : dataTo - dataFrom
    const content = arena.allocate(nameHeadBytes + nameLength + dataLength)
    const block = arena.space(content)
    const at = arena.offset(content)
    block.view.setInt32(at, nameLength)
    copyBytes(source, nameFrom, pathTo, block, at + nameHeadBytes)
    if (dataLength > 0) copyBytes(source, dataFrom, dataTo, block, at + nameHeadBytes + nameLength)

    const id = rows.allocate()
    const view = rows.view(id)
    const row = rows.at(id)
    const sibling = rows.get(parent, Row.firstChild)
    view.setInt32(row + Row.parent, parent)
    view.setInt32(row + Row.content, content)
    view.setInt32(row + Row.nextSibling, sibling)
    view.setInt32(row + Row.dataLength, dataLength)
    if (dataFrom < 0) view.setInt32(row + Row.flagsAndAcl, Flag.NullData << 24)
    if (sibling !== 0) rows.set(sibling, Row.previousSibling, id)
    rows.set(parent, Row.firstChild, id)
    rows.set(parent, Row.childCount, rows.get(parent, Row.childCount) + 1)
    this.#pathBytes += pathTo - pathFrom
    this.#dataBytes += dataLength
    return id
  }

  /**
   * @param hashes - {@link hashOf} the paths of the znodes `first`, `first + 1` and so on, which are not indexed yet
   * @returns whether one of them has the path of another znode
   */
  indexAll(hashes: Int32Array, first: ZnodeId): boolean {
    const twins = this.#index.addAll(hashes, first)
    return twins.some(id => this.#hasDouble(id, hashes[id - first] as number))
  }

  #hasDouble(id: ZnodeId, hash: number): boolean {
    const from = this.nameFrom(id)
    const to = from + this.nameLength(id)
    for (let slot = this.#index.first(hash); slot >= 0; slot = this.#index.next(slot, hash)) {
      const other = this.#index.valueAt(slot)
      if (other === id || this.rows.get(other, Row.parent) !== this.rows.get(id, Row.parent)) continue
      if (this.nameLength(other) !== to - from) continue
      if (equalBytes(this.space(id), from, this.space(other), this.nameFrom(other), to - from)) return true
    }
    return false
  }

  /**
   * The znode of a path at or above another one, which need not be indexed.
   *
   * @param length - of the path of `id`
   * @returns 0 if the path is neither that of `id` nor above it
   */
  findAbove(id: ZnodeId, length: number, source: Space, from: number, to: number): ZnodeId {
    let node = id
    let left = length
    for (; left > to - from; node = this.rows.get(node, Row.parent)) left -= 1 + this.nameLength(node)
    return left === to - from && this.#isAt(node, source, from, to) ? node : 0
  }

  /** Removes a znode that has no children. @param hash - {@link hashOf} its path of `pathLength` bytes */
  remove(id: ZnodeId, hash: number, pathLength: number): void {
    const { rows, arena } = this
    let slot = this.#index.first(hash)
    while (slot >= 0 && this.#index.valueAt(slot) !== id) slot = this.#index.next(slot, hash)
    assert(slot >= 0, 'what is removed is in the index')
    this.#index.removeAt(slot)

    const parent = rows.get(id, Row.parent)
    const after = rows.get(id, Row.nextSibling)
    const before = rows.get(id, Row.previousSibling)
    if (before === 0) rows.set(parent, Row.firstChild, after)
    else rows.set(before, Row.nextSibling, after)
    if (after !== 0) rows.set(after, Row.previousSibling, before)
    rows.set(parent, Row.childCount, rows.get(parent, Row.childCount) - 1)

    const content = rows.get(id, Row.content)
    const dataLength = rows.get(id, Row.dataLength)
    arena.release(content, nameHeadBytes + this.nameLength(id) + dataLength)
    rows.release(id)
    this.#dataBytes -= dataLength
    this.#pathBytes -= pathLength
  }

  /** @param from - -1 for null. The bytes are copied; they may not lie in this tree. */
  setData(id: ZnodeId, source: Space, from: number, to: number): void {
    const { rows, arena } = this
    const view = rows.view(id)
    const row = rows.at(id)
    const length = from < 0 ? 0 : to - from
    const oldLength = view.getInt32(row + Row.dataLength)
    let content = view.getInt32(row + Row.content)
    const head = nameHeadBytes + arena.space(content).view.getInt32(arena.offset(content))
    if (!arena.isSameBlock(head + oldLength, head + length)) {
      const larger = arena.allocate(head + length)
      const at = arena.offset(content)
      copyBytes(arena.space(content), at, at + head, arena.space(larger), arena.offset(larger))
      arena.release(content, head + oldLength)
      view.setInt32(row + Row.content, larger)
      content = larger
    }
    if (length > 0) copyBytes(source, from, to, arena.space(content), arena.offset(content) + head)
    view.setInt32(row + Row.dataLength, length)
    if (from < 0) rows.addFlags(id, Flag.NullData)
    else rows.dropFlags(id, Flag.NullData)
    this.#dataBytes += length - oldLength
  }

  kind(id: ZnodeId): ZnodeKind {
    const view = this.rows.view(id)
    const row = this.rows.at(id)
    return kindOfOwner(view.getInt32(row + Row.owner), view.getInt32(row + Row.owner + 4), this.#isTtlEnabled)
  }

  nameLength(id: ZnodeId): number {
    const content = this.rows.get(id, Row.content)
    return this.arena.space(content).view.getInt32(this.arena.offset(content))
  }

  /** Where the name lies: offset in {@link space}. */
  nameFrom(id: ZnodeId): number {
    return this.arena.offset(this.rows.get(id, Row.content)) + nameHeadBytes
  }

  /** The memory that holds name and data of a znode, until the next change. */
  space(id: ZnodeId): Space {
    return this.arena.space(this.rows.get(id, Row.content))
  }

  /** Where the data lies: offset in {@link space}; its length is in the row. */
  dataFrom(id: ZnodeId): number {
    const content = this.rows.get(id, Row.content)
    const at = this.arena.offset(content)
    return at + nameHeadBytes + this.arena.space(content).view.getInt32(at)
  }

  /** Length of the path in bytes: 1 for the root. */
  pathLength(id: ZnodeId): number {
    if (id === RootId) return 1
    let length = 0
    for (let node = id; node !== RootId; node = this.rows.get(node, Row.parent))
      length += 1 + this.nameLength(node)
    return length
  }

  /** Writes length and bytes. */
  pathInto(id: ZnodeId, out: Writer): void {
    const length = this.pathLength(id)
    out.ensure(4 + length)
    out.int32(length)
    this.#writePath(id, length, out)
  }

  /** Writes the bytes only; nothing for the root. */
  rawPathInto(id: ZnodeId, out: Writer): void {
    if (id === RootId) return
    const length = this.pathLength(id)
    out.ensure(length)
    this.#writePath(id, length, out)
  }

  #writePath(id: ZnodeId, length: number, out: Writer): void {
    let end = out.at + length
    out.at = end
    if (id === RootId) out.bytes[end - 1] = slash
    for (let node = id; node !== RootId; node = this.rows.get(node, Row.parent)) {
      const nameLength = this.nameLength(node)
      const nameFrom = this.nameFrom(node)
      end -= nameLength
      copyBytes(this.space(node), nameFrom, nameFrom + nameLength, out, end)
      out.bytes[--end] = slash
    }
  }

  /** Writes length (-1 for null) and bytes. */
  dataInto(id: ZnodeId, out: Writer): void {
    const view = this.rows.view(id)
    const row = this.rows.at(id)
    const length = view.getInt32(row + Row.dataLength)
    if (length === 0) {
      out.int32(((view.getInt32(row + Row.flagsAndAcl) >>> 24) & Flag.NullData) !== 0 ? -1 : 0)
      return
    }
    const content = view.getInt32(row + Row.content)
    const block = this.arena.space(content)
    const at = this.arena.offset(content)
    const from = at + nameHeadBytes + block.view.getInt32(at)
    out.ensure(4 + length)
    out.int32(length)
    copyBytes(block, from, from + length, out, out.at)
    out.at += length
  }

  /**
   * Writes the 68 bytes of Stat as clients see it: cversion counts creations and deletions, and the markers of
   * containers and TTL znodes are no owners.
   */
  statInto(id: ZnodeId, out: Writer): void {
    out.ensure(statBytes)
    const row = this.rows.at(id)
    const view = this.rows.view(id)
    const target = out.view
    const at = out.at
    for (let i = 0; i < statBytes; i += 4) target.setInt32(at + i, view.getInt32(row + Row.stat + i))
    const visible = 2 * view.getInt32(row + Row.cversion) - view.getInt32(row + Row.childCount)
    target.setInt32(at + Row.cversion - Row.stat, visible)
    const kind = this.kind(id)
    if (kind === ZnodeKind.Container || kind === ZnodeKind.Ttl) {
      target.setInt32(at + Row.owner - Row.stat, 0)
      target.setInt32(at + Row.owner - Row.stat + 4, 0)
    }
    out.at = at + statBytes
  }

  /** The 15 words of StatPersisted in wire order. */
  persistedInto(id: ZnodeId, words: Int32Array): void {
    const view = this.rows.view(id)
    const row = this.rows.at(id)
    const leading = leadingStatBytes / 4
    for (let i = 0; i < leading; i++) words[i] = view.getInt32(row + Row.stat + 4 * i)
    words[leading] = view.getInt32(row + Row.pzxid)
    words[leading + 1] = view.getInt32(row + Row.pzxid + 4)
  }

  /** Writes the 60 bytes of StatPersisted. */
  persistedStatInto(id: ZnodeId, out: Writer): void {
    const row = this.rows.at(id)
    out.raw(this.rows.space(id), row + Row.stat, row + Row.dataLength)
    out.raw(this.rows.space(id), row + Row.pzxid, row + rowBytes)
  }

  /** The znode after `id` in pre-order within the subtree of `top`, or 0 at its end. */
  after(id: ZnodeId, top: ZnodeId): ZnodeId {
    const child = this.rows.get(id, Row.firstChild)
    return child !== 0 ? child : this.afterSubtree(id, top)
  }

  /** As {@link after}, leaving out what is below `id`. */
  afterSubtree(id: ZnodeId, top: ZnodeId): ZnodeId {
    for (let node = id; node !== top; node = this.rows.get(node, Row.parent)) {
      const sibling = this.rows.get(node, Row.nextSibling)
      if (sibling !== 0) return sibling
    }
    return 0
  }
}
