/**
 * The tree of znodes: what clients read and txns change. All names are bytes with offsets, and a znode is a number,
 * so neither the tree nor a read of it makes objects.
 *
 * Ids, and what lies behind them, are valid until the next `apply`.
 */
import {
  assert,
  type ErrorCode,
  makeSpace,
  readAcl,
  type Space,
  Writer,
  writeAclList,
} from '@corral/protocol'
import type { AclIndex, AclTable } from './acl-table.ts'
import { pathCrc, rowDigest } from './digest.ts'
import type { SessionWords } from './ephemerals.ts'
import type { FiredWatches } from './fired-watches.ts'
import type { Quota } from './quotas.ts'
import { asciiSpace, lastSlash } from './raw-bytes.ts'
import { TreeLoader } from './tree-loader.ts'
import { TreeParts, type TreeSettings } from './tree-parts.ts'
import { TreeWalk } from './tree-walk.ts'
import { type Foreknown, TxnApplier } from './txn-applier.ts'
import type { WatchTable } from './watch-table.ts'
import { ConfigId, Flag, QuotaId, RootId, Row, type ZnodeId, ZookeeperId } from './znode-rows.ts'

const slash = 0x2f

export type { ZnodeId } from './znode-rows.ts'

export class DataTree {
  readonly acls: AclTable
  readonly watches: WatchTable
  readonly #parts: TreeParts
  readonly #applier: TxnApplier

  /** A tree with /, /zookeeper, /zookeeper/quota and /zookeeper/config, at zxid 0. */
  constructor(given: TreeSettings) {
    this.#parts = new TreeParts(given)
    this.acls = this.#parts.acls
    this.watches = this.#parts.watches
    this.#applier = new TxnApplier(this.#parts)
    addBuiltIn(this.#parts, '/zookeeper', ZookeeperId)
    addBuiltIn(this.#parts, '/zookeeper/quota', QuotaId)
    addBuiltIn(this.#parts, '/zookeeper/config', ConfigId)
    const list = new Writer()
    writeAclList(list, readAcl)
    this.#parts.setAcl(ConfigId, this.acls.intern(list, 0, list.at))
    this.#parts.znodes.rows.set(ConfigId, Row.aversion, -1)
    if (!given.isDigestEnabled) return
    addDigest(this.#parts, '/', RootId)
    addDigest(this.#parts, '/zookeeper', ZookeeperId)
  }

  /** @returns 0 if there is none; '' and '/' are the root, an illegal path is simply absent */
  find(source: Space, from: number, to: number): ZnodeId {
    return this.#parts.znodes.find(source, from, to)
  }

  /** For {@link findHashed}, and for tables that are asked for the same paths: the same for the same bytes. */
  hashOf(source: Space, from: number, to: number): number {
    return this.#parts.znodes.hashOf(source, from, to)
  }

  /** As {@link find}. @param hash - {@link hashOf} the path */
  findHashed(hash: number, source: Space, from: number, to: number): ZnodeId {
    return this.#parts.znodes.findHashed(hash, source, from, to)
  }

  parent(id: ZnodeId): ZnodeId {
    return this.#parts.znodes.rows.get(id, Row.parent)
  }

  firstChild(id: ZnodeId): ZnodeId {
    return this.#parts.znodes.rows.get(id, Row.firstChild)
  }

  nextSibling(id: ZnodeId): ZnodeId {
    return this.#parts.znodes.rows.get(id, Row.nextSibling)
  }

  /** Creations of children, never going back: where sequence numbers come from. */
  storedCversion(id: ZnodeId): number {
    return this.#parts.znodes.rows.get(id, Row.cversion)
  }

  childCount(id: ZnodeId): number {
    return this.#parts.znodes.rows.get(id, Row.childCount)
  }

  /** 0 for null. */
  dataLength(id: ZnodeId): number {
    return this.#parts.znodes.rows.get(id, Row.dataLength)
  }

  acl(id: ZnodeId): AclIndex {
    return this.#parts.znodes.rows.acl(id)
  }

  /** The stored ephemeralOwner: a session, 0, or the marker of a container or TTL znode. */
  ownerHigh(id: ZnodeId): number {
    return this.#parts.znodes.rows.get(id, Row.owner)
  }

  ownerLow(id: ZnodeId): number {
    return this.#parts.znodes.rows.get(id, Row.owner + 4)
  }

  mzxidHigh(id: ZnodeId): number {
    return this.#parts.znodes.rows.get(id, Row.mzxid)
  }

  mzxidLow(id: ZnodeId): number {
    return this.#parts.znodes.rows.get(id, Row.mzxid + 4)
  }

  pzxidHigh(id: ZnodeId): number {
    return this.#parts.znodes.rows.get(id, Row.pzxid)
  }

  pzxidLow(id: ZnodeId): number {
    return this.#parts.znodes.rows.get(id, Row.pzxid + 4)
  }

  /** The 15 words of StatPersisted in wire order: stored values. */
  persistedInto(id: ZnodeId, words: Int32Array): void {
    this.#parts.znodes.persistedInto(id, words)
  }

  get isDigestEnabled(): boolean {
    return this.#parts.isDigestEnabled
  }

  /** Whether the znode takes part in the tree digest; those below /zookeeper do not, and without digests none does. */
  isDigested(id: ZnodeId): boolean {
    return this.#parts.isDigested(id)
  }

  /** What the znode contributes to the tree digest, signed; 0 if it takes no part. */
  digestOf(id: ZnodeId): number {
    return this.#parts.digestOf(id)
  }

  /** Writes the 68 bytes of Stat as clients see it. */
  statInto(id: ZnodeId, out: Writer): void {
    this.#parts.znodes.statInto(id, out)
  }

  /** Writes length (-1 for null) and bytes. */
  dataInto(id: ZnodeId, out: Writer): void {
    this.#parts.znodes.dataInto(id, out)
  }

  /** Writes count and names of the children. */
  childrenInto(id: ZnodeId, out: Writer): void {
    this.#parts.childLists.writeInto(id, out)
  }

  /** Exactly the bytes that {@link childrenInto} would write. */
  childrenBytes(id: ZnodeId): number {
    return this.#parts.childLists.lengthOf(id)
  }

  /** Writes length and bytes. */
  pathInto(id: ZnodeId, out: Writer): void {
    this.#parts.znodes.pathInto(id, out)
  }

  /** A copy of the path. */
  pathOf(id: ZnodeId): Space {
    const path = makeSpace(this.#parts.znodes.pathLength(id))
    const out = new Writer(path)
    if (id === RootId) out.byte(slash)
    else this.#parts.znodes.rawPathInto(id, out)
    return path
  }

  /** Znodes below this one. Walks over all of them. */
  descendantCount(id: ZnodeId): number {
    let count = -1
    for (let node = id; node !== 0; node = this.#parts.znodes.after(node, id)) count++
    return count
  }

  get znodeCount(): number {
    return this.#parts.znodes.rows.count
  }

  get ephemeralCount(): number {
    return this.#parts.ephemerals.count
  }

  /** Bytes of all paths and data. */
  get approximateDataBytes(): number {
    return this.#parts.znodes.pathBytes + this.#parts.znodes.dataBytes
  }

  /** Memory taken by rows, index, arena and side tables, as address space; what was never touched costs nothing. */
  get reservedBytes(): number {
    const { znodes, watches, childLists } = this.#parts
    const sideTables = watches.sizeBytes + childLists.sizeBytes
    return znodes.rows.sizeBytes + znodes.indexBytes + znodes.arena.reservedBytes + sideTables
  }

  /** Upper half of the tree digest, unsigned. */
  get digestHigh(): number {
    return this.#parts.digest.high
  }

  get digestLow(): number {
    return this.#parts.digest.low
  }

  /** Of the last txn applied, signed words. */
  get lastZxidHigh(): number {
    return this.#parts.lastZxidHigh
  }

  get lastZxidLow(): number {
    return this.#parts.lastZxidLow
  }

  /**
   * Applies one log payload: header | body | digest.
   *
   * @param fired - gets the events, in the order in which they must be sent
   * @param known - of a plain txn that was prepared over this tree
   * @returns the txn's result. DataInconsistency: a delete of a znode that has children or must exist, which no leader
   * logs; it changed nothing.
   */
  apply(txn: Space, from: number, to: number, fired: FiredWatches, known?: Foreknown): ErrorCode {
    return this.#applier.apply(txn, from, to, fired, known)
  }

  /**
   * Whether the tree's digest is the one that the txn applied last carries, whose bytes must still be there. True if it
   * carries none to compare.
   */
  isDigestRight(): boolean {
    return this.#applier.isDigestRight()
  }

  /** Whether the txn applied last carries a digest to compare. */
  isDigestKnown(): boolean {
    return this.#applier.isDigestKnown()
  }

  /**
   * true: take the digest that a txn carries instead of computing it. For the server that prepared the txn and has
   * computed it then.
   */
  set adoptsDigests(does: boolean) {
    this.#applier.adoptsDigests = does
  }

  get adoptsDigests(): boolean {
    return this.#applier.adoptsDigests
  }

  /** The znode that the last apply of a plain create, setData or setACL made or changed; else 0. */
  get lastPathId(): ZnodeId {
    return this.#applier.lastPathId
  }

  /** Ops of the multi applied last. */
  get resultCount(): number {
    return this.#applier.results.count
  }

  /** As its reply has it: 1, 2, 5, 13, 15 for every create that is answered with a Stat, -1 for a failure. */
  resultType(op: number): number {
    return this.#applier.results.typeOf(op)
  }

  resultCode(op: number): number {
    return this.#applier.results.codeOf(op)
  }

  /** The op's path, as offsets in the txn. */
  resultPathFrom(op: number): number {
    return this.#applier.results.pathFrom(op)
  }

  resultPathTo(op: number): number {
    return this.#applier.results.pathTo(op)
  }

  /** Writes the 68 bytes of Stat taken right after the op; results of type 5 and 15 have one. */
  resultStatInto(op: number, out: Writer): void {
    this.#applier.results.statInto(op, out)
  }

  /** In order of creation. */
  ephemeralsOf(sessionHigh: number, sessionLow: number): readonly ZnodeId[] {
    return this.#parts.ephemerals.of(sessionHigh, sessionLow)
  }

  ownsEphemerals(sessionHigh: number, sessionLow: number): boolean {
    return this.#parts.ephemerals.firstOf(sessionHigh, sessionLow) !== 0
  }

  /** The sessions that own ephemerals. */
  ephemeralOwners(): readonly SessionWords[] {
    return this.#parts.ephemerals.owners()
  }

  /**
   * Container and TTL znodes that may be removed now.
   *
   * @param maxNeverUsedMs - containers that never had a child go after this time; 0 keeps them
   * @param limit - at most so many; the next call goes on from there
   */
  reapCandidates(nowWallMs: number, maxNeverUsedMs: number, limit: number): readonly ZnodeId[] {
    return this.#parts.reapList.candidates(nowWallMs, maxNeverUsedMs, limit)
  }

  /** The deepest quota at or above a path, which need not exist. */
  quotaOver(source: Space, from: number, to: number): Quota | undefined {
    return this.#parts.quotas.over(source, from, to)
  }

  /** Begins a snapshot: a walk over all znodes between whose slices txns may be applied. To be closed. */
  openWalk(): TreeWalk {
    return new TreeWalk(this.#parts)
  }

  /** Fills this tree, which must be fresh, from a snapshot. */
  loader(): TreeLoader {
    assert(
      this.znodeCount === ConfigId && this.lastZxidHigh === 0 && this.lastZxidLow === 0,
      'the tree is fresh',
    )
    return new TreeLoader(this.#parts)
  }

  /** @internal for {@link checkTree} */
  parts(): TreeParts {
    return this.#parts
  }
}

function addBuiltIn(parts: TreeParts, name: string, expected: ZnodeId): void {
  const { znodes } = parts
  const path = asciiSpace(name)
  const length = path.bytes.length
  const cut = lastSlash(path.bytes, 0, length)
  const parent = znodes.find(path, 0, cut)
  const ranges = { pathFrom: 0, pathTo: length, dataFrom: length, dataTo: length }
  const id = znodes.insert(parent, znodes.hashOf(path, 0, length), path, ranges, cut + 1)
  assert(id === expected, 'the built-in znodes have the first ids')
  if (parent !== RootId) znodes.rows.addFlags(id, Flag.Undigested)
}

/** Of a built-in znode, whose data is empty. */
function addDigest({ znodes: { rows }, digest }: TreeParts, name: string, id: ZnodeId): void {
  const path = asciiSpace(name)
  const share = rowDigest(rows.space(id), rows.at(id), pathCrc(path, 0, path.bytes.length))
  rows.set(id, Row.digest, share)
  digest.add(share)
}
