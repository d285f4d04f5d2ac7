/**
 * One row of 96 bytes per znode, in segments of 2^20 rows that are made when needed. Id 0 is none, id 1 the root.
 * All words are big-endian, so that the Stat goes to clients and files as it lies.
 *
 *   word  0      share of the tree digest, 0 if it has none (a free row: the next free id)
 *         1      parent (0: the root, or a free row)
 *         2      arena reference of  name length(4) | name | data
 *         3      flags(8) | ACL index(24)
 *         4 5 6  first child, next sibling, previous sibling
 *         7-23   Stat in wire order: czxid mzxid ctime mtime (2 words each), version, cversion, aversion,
 *                ephemeralOwner(2), dataLength, numChildren, pzxid(2)
 *
 * cversion and ephemeralOwner are the stored values: cversion counts creations of children only, and the owner of a
 * container or TTL znode is its marker. What clients see is derived when a Stat is written.
 */
import { assert, makeSpace, type Space } from '@corral/protocol'

/** Ids are used again after a znode was removed. 0 is none. */
export type ZnodeId = number

export const RootId = 1
/** /zookeeper, /zookeeper/quota and /zookeeper/config always exist. */
export const ZookeeperId = 2
export const QuotaId = 3
export const ConfigId = 4

/** Byte offsets in a row. */
export const Row = {
  digest: 0,
  parent: 4,
  content: 8,
  flagsAndAcl: 12,
  firstChild: 16,
  nextSibling: 20,
  previousSibling: 24,
  stat: 28,
  czxid: 28,
  mzxid: 36,
  ctime: 44,
  mtime: 52,
  version: 60,
  cversion: 64,
  aversion: 68,
  owner: 72,
  dataLength: 80,
  childCount: 84,
  pzxid: 88,
} as const

export const rowBytes = 96

export const Flag = {
  /** The data is null, not empty. */
  NullData: 1,
  /** Some watch of the data table hangs here, recursive ones not counted. May be set without need. */
  DataWatch: 2,
  ChildWatch: 4,
  RecursiveWatch: 8,
  /** Below /zookeeper: takes no part in the tree digest. */
  Undigested: 16,
  /** The root of a quota. */
  Quota: 32,
  /** The encoded list of its children is cached. */
  CachedChildren: 64,
} as const

const segmentBits = 20
const segmentRows = 1 << segmentBits
const rowMask = segmentRows - 1

/** Rows of the first segment: small trees stay small, and no step copies more than 768 KiB. */
const firstSegmentSteps: readonly number[] = [64, 1024, 8192, segmentRows]

export class ZnodeRows {
  readonly #segments: Space[] = [makeSpace((firstSegmentSteps[0] as number) * rowBytes)]
  #free = 0
  #end = 1
  #count = 0

  /** Rows in use. */
  get count(): number {
    return this.#count
  }

  /** Ids ever used are below this. */
  get end(): ZnodeId {
    return this.#end
  }

  get sizeBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes.length, 0)
  }

  space(id: ZnodeId): Space {
    return this.#segments[id >>> segmentBits] as Space
  }

  view(id: ZnodeId): DataView {
    return (this.#segments[id >>> segmentBits] as Space).view
  }

  /** Byte offset of the row in its segment. */
  at(id: ZnodeId): number {
    return (id & rowMask) * rowBytes
  }

  get(id: ZnodeId, field: number): number {
    return this.view(id).getInt32(this.at(id) + field)
  }

  set(id: ZnodeId, field: number, value: number): void {
    this.view(id).setInt32(this.at(id) + field, value)
  }

  setWords(id: ZnodeId, field: number, high: number, low: number): void {
    const view = this.view(id)
    const at = this.at(id) + field
    view.setInt32(at, high)
    view.setInt32(at + 4, low)
  }

  flags(id: ZnodeId): number {
    return this.get(id, Row.flagsAndAcl) >>> 24
  }

  hasFlag(id: ZnodeId, flag: number): boolean {
    return ((this.get(id, Row.flagsAndAcl) >>> 24) & flag) !== 0
  }

  addFlags(id: ZnodeId, flags: number): void {
    this.set(id, Row.flagsAndAcl, this.get(id, Row.flagsAndAcl) | (flags << 24))
  }

  dropFlags(id: ZnodeId, flags: number): void {
    this.set(id, Row.flagsAndAcl, this.get(id, Row.flagsAndAcl) & ~(flags << 24))
  }

  acl(id: ZnodeId): number {
    return this.get(id, Row.flagsAndAcl) & 0xff_ffff
  }

  setAcl(id: ZnodeId, acl: number): void {
    this.set(id, Row.flagsAndAcl, (this.get(id, Row.flagsAndAcl) & ~0xff_ffff) | acl)
  }

  /** @returns the id of a row of zeros */
  allocate(): ZnodeId {
    this.#count++
    const id = this.#free
    if (id !== 0) {
      this.#free = this.get(id, Row.digest)
      this.set(id, Row.digest, 0)
      return id
    }
    if (this.#end >>> segmentBits >= this.#segments.length || this.#isFirstFull()) this.#grow()
    return this.#end++
  }

  release(id: ZnodeId): void {
    this.#count--
    const at = this.at(id)
    this.space(id).bytes.fill(0, at, at + rowBytes)
    this.set(id, Row.digest, this.#free)
    this.#free = id
  }

  #isFirstFull(): boolean {
    return this.#segments.length === 1 && this.#end * rowBytes === (this.#segments[0] as Space).bytes.length
  }

  #grow(): void {
    const first = this.#segments[0] as Space
    const size = firstSegmentSteps.find(rows => rows > this.#end)
    if (size === undefined || this.#end >= segmentRows) {
      assert(this.#segments.length < 2048, 'the tree has no room for more than 2^31 znodes')
      this.#segments.push(makeSpace(segmentRows * rowBytes))
      return
    }
    const larger = makeSpace(size * rowBytes)
    larger.bytes.set(first.bytes)
    this.#segments[0] = larger
  }
}
