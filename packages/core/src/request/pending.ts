/**
 * The tree as it will be when every accepted write is applied: the committed tree, overlaid with one record for each
 * znode that an outstanding write touched. Writes are validated against this, and the tree digest that a txn carries
 * is predicted from it. A record goes when the last write that touched it is applied.
 *
 * A record hangs on the id of a znode that the tree has, or on the path of one that it does not have. One that is
 * deleted and made again while both are outstanding moves to its path: the id may be another znode's by then. The end
 * of a session deletes what it owns, which may be much: of what no record speaks, none is made, the owner says enough.
 *
 * Source: outstandingChanges of PrepRequestProcessor in the Java server.
 */
import { Fifo, fromWords, makeSpace, type Space } from '@corral/protocol'
import { grown } from '../lists.ts'
import type { AclIndex } from '../tree/acl-table.ts'
import type { DataTree } from '../tree/data-tree.ts'
import {
  changeByAversion,
  changeByCversion,
  changeByPzxid,
  contentCrcOf,
  DigestSum,
  isDigestedPath,
  nodeDigest,
  pathCrc,
} from '../tree/digest.ts'
import { equalBytes } from '../tree/raw-bytes.ts'
import { TagTable } from '../tree/tag-table.ts'
import type { ZnodeId } from '../tree/znode-rows.ts'
import { kindOfOwner, type ZnodeKind } from '../tree/znodes.ts'

/** Offsets, in words, of the stored Stat in a record: StatPersisted in wire order. */
export const StatWord = {
  Czxid: 0,
  Mzxid: 2,
  Ctime: 4,
  Mtime: 6,
  Version: 8,
  Cversion: 9,
  Aversion: 10,
  Owner: 11,
  Pzxid: 13,
} as const
const statWords = 15

const noPath: Space = makeSpace(0)
const smallestPathBytes = 64
/** Room for a longer path goes with it: in time each of the records would have had one. */
const mostKeptPathBytes = 1024

/** A znode as it will be, or that it will not be. */
export class PendingZnode {
  readonly index: number
  readonly stat: Int32Array = new Int32Array(statWords)
  /** In the tree; 0: the record hangs on its path. */
  id: ZnodeId = 0
  pathHash = 0
  /** Only of a record that hangs on it. */
  path: Space = noPath
  pathBytes = 0
  exists = false
  childCount = 0
  /** What its next sequential child is called: the stored cversion, but that stops at 2^31 - 1, and this goes on below 0. */
  sequence = 0
  acl: AclIndex = 0
  dataBytes = 0
  isDigested = false
  /** What it contributes to the tree digest now, signed. */
  digest = 0
  /** The newest write that touched it; 0: none, and nobody finds the record. */
  write = 0
  /** The newest multi that kept what the record was before it. */
  savedBy = 0

  constructor(index: number) {
    this.index = index
  }
}

/** A record as it was before a multi. */
interface Saved {
  readonly znode: PendingZnode
  readonly stat: Int32Array
  readonly id: ZnodeId
  readonly exists: boolean
  readonly childCount: number
  readonly sequence: number
  readonly acl: AclIndex
  readonly dataBytes: number
  readonly digest: number
  readonly write: number
}

export class Pending {
  readonly #tree: DataTree
  /** By znode id: the index of its record plus one, or 0. */
  #byId: Int32Array = new Int32Array(1024)
  /** By the hash of the path: the index of the record plus one. */
  readonly #byPath = new TagTable()
  readonly #records: PendingZnode[] = []
  readonly #free: PendingZnode[] = []
  /** Records that were looked at, and perhaps not touched: used again in turn. No request looks at more than four. */
  readonly #looked: (PendingZnode | undefined)[] = [undefined, undefined, undefined, undefined]
  #lookedNext = 0
  /** Records touched by writes, in order; `#touchedBy` holds the write of each. */
  readonly #touched: Fifo<PendingZnode> = new Fifo()
  readonly #touchedBy: Fifo<number> = new Fifo()
  /** Ephemerals that outstanding writes make, in order, and the write of each. */
  readonly #ephemerals: Fifo<PendingZnode> = new Fifo()
  readonly #ephemeralsBy: Fifo<number> = new Fifo()
  #write = 0
  /** Sessions that outstanding writes end, and the write of each: their znodes in the tree will be gone. */
  readonly #ended: Map<bigint, number> = new Map()
  /** The same in order: the first of a map is found behind the places of all that were deleted before it. */
  readonly #endedInOrder: Fifo<bigint> = new Fifo()
  /** The tree digest after all outstanding writes. */
  readonly digest: DigestSum = new DigestSum()
  /** What to put back if the multi that is being prepared fails; undefined outside a multi. */
  #undo: Saved[] | undefined = undefined
  #undoDigestHigh = 0
  #undoDigestLow = 0
  #undoTouched = 0
  #undoEphemerals = 0

  constructor(tree: DataTree) {
    this.#tree = tree
    this.digest.set(tree.digestHigh, tree.digestLow)
  }

  /** Everything changed from now on belongs to this write; its number is larger than all before. */
  beginWrite(write: number): void {
    this.#write = write
  }

  /**
   * The znode at a path, absent ones included (`exists` false). Only for looking: call {@link touch} before changing it.
   */
  get(source: Space, from: number, to: number): PendingZnode {
    const hash = this.#tree.hashOf(source, from, to)
    const id = this.#tree.findHashed(hash, source, from, to)
    const known = this.#byId[id] ?? 0
    if (known !== 0) return this.#records[known - 1] as PendingZnode
    const slot = this.#slotOf(hash, source, from, to)
    if (slot >= 0) return this.#records[this.#byPath.valueAt(slot) - 1] as PendingZnode
    const znode = id === 0 ? this.#absent(source, from, to) : this.#load(id)
    znode.pathHash = hash
    return znode
  }

  /**
   * The present write ends a session: what it owns in the tree is gone, but for the records that are there already.
   * Parents, and the digest, are the caller's.
   */
  endSession(high: number, low: number): void {
    const session = fromWords(high, low)
    this.#ended.set(session, this.#write)
    this.#endedInOrder.push(session)
  }

  /** Whether an outstanding write touched a znode that the tree has at this path. */
  isRecorded(id: ZnodeId, path: Space, from: number, to: number): boolean {
    if ((this.#byId[id] ?? 0) !== 0) return true
    return this.#slotOf(this.#tree.hashOf(path, from, to), path, from, to) >= 0
  }

  /** The record will stay until the present write is applied. */
  touch(znode: PendingZnode): void {
    if (this.#undo !== undefined && znode.savedBy !== this.#write) {
      znode.savedBy = this.#write
      this.#hold(znode.acl)
      this.#undo.push(save(znode))
    }
    if (znode.write === this.#write) return
    if (znode.write === 0) this.#hang(znode)
    znode.write = this.#write
    this.#touched.push(znode)
    this.#touchedBy.push(this.#write)
  }

  /** A touched znode that is absent comes to be: from now on its path is its name. */
  create(znode: PendingZnode, source: Space, from: number, to: number): void {
    znode.exists = true
    znode.childCount = 0
    znode.sequence = 0
    znode.stat.fill(0)
    if (znode.id === 0) return
    this.#unhang(znode)
    znode.id = 0
    keepPath(znode, source, from, to)
    this.#hang(znode)
  }

  /** A touched znode goes. */
  remove(znode: PendingZnode): void {
    znode.exists = false
    this.#setDigest(znode, 0)
  }

  /**
   * Sets a znode's data: only what the digest and the quota need of it. All else of a new znode is set by now.
   *
   * @param path - its path, from `from` to `to`
   * @param data - where the request has it; `dataFrom` -1 is null
   */
  setContent(
    znode: PendingZnode,
    path: Space,
    from: number,
    to: number,
    data: Space & { readonly dataFrom: number; readonly dataTo: number },
  ): void {
    const { dataFrom, dataTo } = data
    znode.dataBytes = dataFrom < 0 ? 0 : dataTo - dataFrom
    if (!znode.isDigested) return
    const contentCrc = contentCrcOf(pathCrc(path, from, to), data, dataFrom, dataTo)
    this.#setDigest(znode, nodeDigest(contentCrc, znode.stat))
  }

  setCversion(znode: PendingZnode, cversion: number): void {
    const before = znode.stat[StatWord.Cversion] as number
    znode.stat[StatWord.Cversion] = cversion
    this.#changeDigest(znode, changeByCversion(before ^ cversion))
  }

  setAversion(znode: PendingZnode, aversion: number): void {
    const before = znode.stat[StatWord.Aversion] as number
    znode.stat[StatWord.Aversion] = aversion
    this.#changeDigest(znode, changeByAversion(before ^ aversion))
  }

  setPzxid(znode: PendingZnode, high: number, low: number): void {
    const { stat } = znode
    const beforeHigh = stat[StatWord.Pzxid] as number
    const beforeLow = stat[StatWord.Pzxid + 1] as number
    stat[StatWord.Pzxid] = high
    stat[StatWord.Pzxid + 1] = low
    this.#changeDigest(znode, changeByPzxid(beforeHigh ^ high, beforeLow ^ low))
  }

  /** The ACL stays in the table as long as the record refers to it. */
  setAcl(znode: PendingZnode, acl: AclIndex): void {
    this.#hold(acl)
    this.#let(znode.acl)
    znode.acl = acl
  }

  /** The write was applied: the tree now says what its records said. */
  applied(write: number): void {
    if (this.#ended.size > 0) this.#forgetEnded(write)
    while (this.#touchedBy.length > 0 && this.#touchedBy.at(0) <= write) {
      const znode = this.#touched.at(0)
      if (znode.write <= write && znode.write !== 0) this.#forget(znode)
      this.#touched.shift()
      this.#touchedBy.shift()
    }
    while (this.#ephemeralsBy.length > 0 && this.#ephemeralsBy.at(0) <= write) {
      this.#ephemerals.shift()
      this.#ephemeralsBy.shift()
    }
  }

  /** The present write made this znode for a session. */
  noteEphemeral(znode: PendingZnode): void {
    this.#ephemerals.push(znode)
    this.#ephemeralsBy.push(this.#write)
  }

  /**
   * The ephemerals of outstanding writes, some twice. They are apart from what else was touched: when many sessions end
   * together, each of them looks for its own.
   */
  forEachNewEphemeral(visit: (znode: PendingZnode) => void): void {
    for (let i = 0; i < this.#ephemerals.length; i++) {
      const znode = this.#ephemerals.at(i)
      if (znode.exists) visit(znode)
    }
  }

  beginMulti(): void {
    this.#undo = []
    this.#undoDigestHigh = this.digest.high
    this.#undoDigestLow = this.digest.low
    this.#undoTouched = this.#touched.length
    this.#undoEphemerals = this.#ephemerals.length
  }

  keepMulti(): void {
    for (const saved of this.#undo ?? []) this.#let(saved.acl)
    this.#undo = undefined
  }

  /** Puts everything back as it was at {@link beginMulti}. */
  rollBackMulti(): void {
    const undo = this.#undo ?? []
    this.#undo = undefined
    for (let i = undo.length - 1; i >= 0; i--) {
      const saved = undo[i] as Saved
      const { znode } = saved
      this.#let(znode.acl)
      if (znode.id !== saved.id) {
        this.#unhang(znode)
        znode.id = saved.id
        this.#hang(znode)
      }
      restore(saved)
      if (saved.write !== 0) continue
      znode.write = this.#write // it was hung up by this multi
      this.#forget(znode)
    }
    this.digest.set(this.#undoDigestHigh, this.#undoDigestLow)
    this.#touched.truncate(this.#undoTouched)
    this.#touchedBy.truncate(this.#undoTouched)
    this.#ephemerals.truncate(this.#undoEphemerals)
    this.#ephemeralsBy.truncate(this.#undoEphemerals)
  }

  /** @param bits - in which its share of the tree digest changes */
  #changeDigest(znode: PendingZnode, bits: number): void {
    if (znode.isDigested) this.#setDigest(znode, znode.digest ^ bits)
  }

  #setDigest(znode: PendingZnode, digest: number): void {
    this.digest.subtract(znode.digest)
    this.digest.add(digest)
    znode.digest = digest
  }

  #forgetEnded(write: number): void {
    const sessions = this.#endedInOrder
    while (sessions.length > 0 && (this.#ended.get(sessions.at(0)) ?? 0) <= write) {
      this.#ended.delete(sessions.at(0))
      sessions.shift()
    }
  }

  #isEnded(id: ZnodeId): boolean {
    const high = this.#tree.ownerHigh(id)
    const low = this.#tree.ownerLow(id)
    return (high | low) !== 0 && this.#ended.has(fromWords(high, low))
  }

  #load(id: ZnodeId): PendingZnode {
    const tree = this.#tree
    const znode = this.#spare()
    znode.id = id
    znode.exists = this.#ended.size === 0 || !this.#isEnded(id)
    tree.persistedInto(id, znode.stat)
    znode.childCount = tree.childCount(id)
    znode.sequence = tree.storedCversion(id)
    this.setAcl(znode, tree.acl(id))
    znode.dataBytes = tree.dataLength(id)
    znode.isDigested = tree.isDigested(id)
    znode.digest = znode.exists ? tree.digestOf(id) : 0
    return znode
  }

  #absent(source: Space, from: number, to: number): PendingZnode {
    const znode = this.#spare()
    znode.id = 0
    znode.exists = false
    keepPath(znode, source, from, to)
    znode.isDigested = this.#tree.isDigestEnabled && isDigestedPath(source, from, to)
    znode.digest = 0
    return znode
  }

  /** A record that nobody finds; of the tree's state it has nothing but an ACL of 0. */
  #spare(): PendingZnode {
    const looked = this.#looked
    const next = this.#lookedNext
    this.#lookedNext = (next + 1) % looked.length
    const old = looked[next]
    if (old !== undefined && old.write === 0) {
      this.setAcl(old, 0)
      return old
    }
    const fresh = this.#free.pop() ?? this.#make()
    looked[next] = fresh
    return fresh
  }

  #make(): PendingZnode {
    const znode = new PendingZnode(this.#records.length)
    this.#records.push(znode)
    return znode
  }

  #hang(znode: PendingZnode): void {
    if (znode.id >= this.#byId.length) this.#byId = grown(this.#byId, 2 * znode.id)
    if (znode.id !== 0) this.#byId[znode.id] = znode.index + 1
    else this.#byPath.add(znode.pathHash, znode.index + 1)
  }

  #unhang(znode: PendingZnode): void {
    if (znode.id !== 0) this.#byId[znode.id] = 0
    else this.#byPath.removeAt(this.#slotOf(znode.pathHash, znode.path, 0, znode.pathBytes))
  }

  /** Where the record of a path hangs, or -1. */
  #slotOf(hash: number, source: Space, from: number, to: number): number {
    const table = this.#byPath
    if (table.count === 0) return -1
    let slot = table.first(hash)
    while (slot >= 0 && !isAt(this.#records[table.valueAt(slot) - 1] as PendingZnode, source, from, to))
      slot = table.next(slot, hash)
    return slot
  }

  #forget(znode: PendingZnode): void {
    this.#unhang(znode)
    znode.write = 0
    this.setAcl(znode, 0)
    if (znode.path.bytes.length > mostKeptPathBytes) znode.path = noPath
    if (!this.#looked.includes(znode)) this.#free.push(znode)
  }

  #hold(acl: AclIndex): void {
    if (acl !== 0) this.#tree.acls.retain(acl)
  }

  #let(acl: AclIndex): void {
    if (acl !== 0) this.#tree.acls.release(acl)
  }
}

/** By its stored owner. */
export function kindOf({ stat }: PendingZnode, isTtlEnabled: boolean): ZnodeKind {
  return kindOfOwner(stat[StatWord.Owner] as number, stat[StatWord.Owner + 1] as number, isTtlEnabled)
}

function isAt({ path, pathBytes }: PendingZnode, source: Space, from: number, to: number): boolean {
  return pathBytes === to - from && equalBytes(source, from, path, 0, pathBytes)
}

function keepPath(znode: PendingZnode, source: Space, from: number, to: number): void {
  const { bytes } = source
  const length = to - from
  if (znode.path.bytes.length < length) znode.path = makeSpace(Math.max(smallestPathBytes, 2 * length))
  for (let i = 0; i < length; i++) znode.path.bytes[i] = bytes[from + i] as number
  znode.pathBytes = length
}

function save(znode: PendingZnode): Saved {
  return {
    znode,
    stat: znode.stat.slice(),
    id: znode.id,
    exists: znode.exists,
    childCount: znode.childCount,
    sequence: znode.sequence,
    acl: znode.acl,
    dataBytes: znode.dataBytes,
    digest: znode.digest,
    write: znode.write,
  }
}

function restore(saved: Saved): void {
  const { znode } = saved
  znode.stat.set(saved.stat)
  znode.exists = saved.exists
  znode.childCount = saved.childCount
  znode.sequence = saved.sequence
  znode.acl = saved.acl
  znode.dataBytes = saved.dataBytes
  znode.digest = saved.digest
  znode.write = saved.write
}
