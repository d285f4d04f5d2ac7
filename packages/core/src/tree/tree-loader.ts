/**
 * Fills a fresh tree from the records of a snapshot. Each method returns what is wrong with its record, or undefined;
 * after a problem the tree is of no use.
 *
 * Snapshots may be fuzzy: a znode may refer to an ACL that the table, written before it, does not have. Such a znode
 * gets an ACL that lets nobody in; replay of the txn that set its ACL puts that right.
 *
 * Source: DataTree.deserialize, ReferenceCountedACLCache in the Java server.
 */
import { fromWords, hexText, type Space, statPersistedBytes, Writer, writeAclList } from '@corral/protocol'
import { grown } from '../lists.ts'
import { type AclIndex, OpenAcl } from './acl-table.ts'
import { contentCrcOf, pathCrc, rowDigest } from './digest.ts'
import { equalBytes, lastSlash } from './raw-bytes.ts'
import type { TreeParts } from './tree-parts.ts'
import { ConfigId, Flag, QuotaId, RootId, Row, rowBytes, type ZnodeId, ZookeeperId } from './znode-rows.ts'
import { ZnodeKind } from './znodes.ts'

/** A hint beyond this is not believed: what a file's length promises need not be in it. */
const mostExpected = 1 << 24

const twice = 'a znode is there twice'

const leadingStatBytes = Row.dataLength - Row.stat

/** Offsets of one znode's record, and the id of its ACL. */
export interface NodeAt {
  pathFrom: number
  pathTo: number
  /** -1: null data. */
  dataFrom: number
  dataTo: number
  aclHigh: number
  aclLow: number
  /** Start of the 60 bytes of StatPersisted. */
  statFrom: number
}

export class TreeLoader {
  readonly #parts: TreeParts
  readonly #acls = new Map<bigint, AclIndex>()
  /** The last id met, and what it stands for. */
  #aclHigh = -1
  #aclLow = -1
  #acl: AclIndex = OpenAcl
  /** The znodes that a fresh tree has and that have not been met yet. */
  readonly #untouched: Set<ZnodeId> = new Set([RootId, ZookeeperId, QuotaId, ConfigId])
  /** Path of the last record's parent: its siblings follow. */
  readonly #parentPath = new Writer()
  #parent: ZnodeId = RootId
  /** The last record and the length of its path: its children may follow. */
  #last: ZnodeId = RootId
  #lastLength = 0
  /** Hashes of the znodes, numbered one after the other, that are not in the tree's index yet. */
  #hashes = new Int32Array(64)
  #firstUnindexed: ZnodeId = ConfigId + 1
  #unindexedCount = 0
  #hasDouble = false

  constructor(parts: TreeParts) {
    this.#parts = parts
  }

  /** About so many znodes are to come: only a hint. */
  expect(znodes: number): void {
    this.#makeRoom(Math.min(znodes, mostExpected))
  }

  /** An entry of the ACL table. @param from - start of the vector, count included */
  acl(idHigh: number, idLow: number, source: Space, from: number, to: number): string | undefined {
    const id = fromWords(idHigh, idLow)
    if (this.#acls.has(id)) return `ACL ${id} is in the table twice`
    const index = this.#parts.acls.intern(source, from, to)
    this.#parts.acls.retain(index)
    this.#acls.set(id, index)
    return undefined
  }

  /** A znode. @param at - lent for the call */
  node(source: Space, at: NodeAt): string | undefined {
    const ownerHigh = source.view.getInt32(at.statFrom + Row.owner - Row.stat)
    if (this.#parts.isTtlEnabled && ownerHigh >>> 24 === 0xff && ownerHigh >>> 8 !== 0xff_0000) {
      return `a znode has the reserved owner ${hexText(fromWords(ownerHigh, source.view.getInt32(at.statFrom + Row.owner - Row.stat + 4)))}`
    }
    const id = this.#place(source, at)
    if (typeof id === 'string') return id
    this.#fill(id, source, at)
    this.#parts.setAcl(id, this.#aclOf(at.aclHigh, at.aclLow))
    return undefined
  }

  /** All records were given. @param zxidHigh - of the snapshot's zxid, which its name tells */
  finish(zxidHigh: number, zxidLow: number): string | undefined {
    if (this.#untouched.has(RootId)) return 'the snapshot has no root'
    this.#index()
    if (this.#hasDouble) return twice
    const { acls, quotas } = this.#parts
    for (const index of this.#acls.values()) acls.release(index)
    acls.sweep()
    quotas.rebuild()
    this.#parts.lastZxidHigh = zxidHigh | 0
    this.#parts.lastZxidLow = zxidLow | 0
    return undefined
  }

  /** @returns the row for the record, with path and data, or the problem */
  #place(source: Space, at: NodeAt): ZnodeId | string {
    const { znodes } = this.#parts
    const { pathFrom, pathTo } = at
    if (pathFrom === pathTo) return this.#touch(RootId, source, at)
    const cut = lastSlash(source.bytes, pathFrom, pathTo)
    if (cut < 0 || cut + 1 === pathTo) return 'a path without a name'
    const parent = this.#parentAt(source, pathFrom, cut)
    if (parent === 0) return 'a znode comes before its parent, or its parent is missing'
    const hash = znodes.hashOf(source, pathFrom, pathTo)
    const existing = znodes.findHashed(hash, source, pathFrom, pathTo)
    const id =
      existing === 0 ? this.#insert(parent, hash, source, at, cut + 1) : this.#touch(existing, source, at)
    if (typeof id === 'string') return id
    this.#last = id
    this.#lastLength = pathTo - pathFrom
    return id
  }

  #insert(parent: ZnodeId, hash: number, source: Space, at: NodeAt, nameFrom: number): ZnodeId {
    const { znodes } = this.#parts
    const id = znodes.insertUnindexed(parent, source, at, nameFrom)
    const index = id - this.#firstUnindexed
    if (index === this.#hashes.length) this.#makeRoom(2 * index)
    this.#hashes[index] = hash
    this.#unindexedCount = index + 1
    if (parent === ZookeeperId || znodes.rows.hasFlag(parent, Flag.Undigested)) {
      znodes.rows.addFlags(id, Flag.Undigested)
    }
    return id
  }

  #makeRoom(hashes: number): void {
    if (hashes > this.#hashes.length) this.#hashes = grown(this.#hashes, hashes)
  }

  /** What was inserted is found from now on. */
  #index(): void {
    const hashes = this.#hashes.subarray(0, this.#unindexedCount)
    if (this.#parts.znodes.indexAll(hashes, this.#firstUnindexed)) this.#hasDouble = true
    this.#firstUnindexed += this.#unindexedCount
    this.#unindexedCount = 0
  }

  /** A znode that the fresh tree has: the record replaces it. */
  #touch(id: ZnodeId, source: Space, at: NodeAt): ZnodeId | string {
    if (!this.#untouched.delete(id)) return twice
    this.#parts.digest.subtract(this.#parts.digestOf(id))
    this.#parts.znodes.setData(id, source, at.dataFrom, at.dataTo)
    return id
  }

  #parentAt(source: Space, from: number, to: number): ZnodeId {
    const known = this.#parentPath
    const length = to - from
    if (length === known.at && equalBytes(source, from, known, 0, length)) return this.#parent
    known.at = 0
    known.raw(source, from, to)
    this.#parent = this.#findParent(source, from, to)
    return this.#parent
  }

  /** Both servers write depth first, so a parent is the last znode or above it; any order with parents first will do. */
  #findParent(source: Space, from: number, to: number): ZnodeId {
    const { znodes } = this.#parts
    const above = znodes.findAbove(this.#last, this.#lastLength, source, from, to)
    if (above !== 0) return above
    this.#index()
    return znodes.findParent(source, from, to)
  }

  #fill(id: ZnodeId, source: Space, at: NodeAt): void {
    const { znodes } = this.#parts
    const { statFrom } = at
    const row = znodes.rows.at(id)
    const { view } = znodes.rows.space(id)
    for (let i = 0; i < leadingStatBytes; i += 4)
      view.setInt32(row + Row.stat + i, source.view.getInt32(statFrom + i))
    for (let i = Row.pzxid; i < rowBytes; i += 4) {
      view.setInt32(row + i, source.view.getInt32(statFrom + statPersistedBytes - rowBytes + i))
    }
    if (this.#parts.isDigested(id)) {
      const { pathFrom, pathTo, dataFrom, dataTo } = at
      const crc = contentCrcOf(pathCrc(source, pathFrom, pathTo), source, dataFrom, dataTo)
      const share = rowDigest(znodes.rows.space(id), row, crc)
      view.setInt32(row + Row.digest, share)
      this.#parts.digest.add(share)
    }
    if (znodes.kind(id) !== ZnodeKind.Persistent) this.#parts.enlist(id)
  }

  #aclOf(high: number, low: number): AclIndex {
    if (high === this.#aclHigh && low === this.#aclLow) {
      return this.#acl
    }
    const known = high === -1 && low === -1 ? OpenAcl : this.#acls.get(fromWords(high, low))
    this.#aclHigh = high
    this.#aclLow = low
    this.#acl = known ?? this.#dangling(high, low)
    return this.#acl
  }

  #dangling(high: number, low: number): AclIndex {
    const nobody = new Writer()
    writeAclList(nobody, [{ perms: 0, scheme: 'world', id: 'anyone' }])
    const index = this.#parts.acls.intern(nobody, 0, nobody.at)
    this.#parts.acls.retain(index)
    this.#acls.set(fromWords(high, low), index)
    return index
  }
}
