/**
 * Applies txns, live and in replay, straight from their log bytes. Nothing but the tree and the txn decides what
 * happens: all checks were made when the txn was prepared.
 *
 * Replay starts from snapshots that were written while txns were applied, so each txn must also be right over a tree
 * that has its effect already, and over one that has the effects of later ones. Hence a create of what exists still
 * sets the ACL and raises the parent, a delete of what is gone still raises the parent, and values come from the txn.
 *
 * Source: DataTree.processTxn in the Java server, ZOOKEEPER-3125, 3127, 3144, 3145, 4846.
 */
import {
  assert,
  digestVersion,
  ErrorCode,
  OpCode,
  type Space,
  TxnHead,
  txnDigestBytes,
  Writer,
} from '@corral/protocol'
import { OpenAcl } from './acl-table.ts'
import {
  changeByAversion,
  changeByCversion,
  changeByPzxid,
  contentCrcOf,
  pathCrc,
  rowDigest,
} from './digest.ts'
import type { FiredWatches } from './fired-watches.ts'
import { MultiResults } from './multi-results.ts'
import { isLess, lastSlash } from './raw-bytes.ts'
import type { TreeParts } from './tree-parts.ts'
import { subTxnHeadBytes, TxnView } from './txn-view.ts'
import { ConfigId, Flag, Row, type ZnodeId, ZookeeperId } from './znode-rows.ts'
import { containerOwnerHigh, ttlOwnerHigh } from './znodes.ts'

/** What its preparation knew of a txn: it is the same at its turn, so it is not looked for again. */
export interface Foreknown {
  /** The znode; of a create its parent. 0: nothing is known, as of a multi. */
  readonly znode: ZnodeId
  /** Of a create or delete: {@link DataTree.hashOf} its path. */
  readonly pathHash: number
  /** Of a create or setData: what the znode adds to the tree digest. */
  readonly digest: number
  /** Of a multi: which of its creates were asked for as create2, and are answered with a Stat. */
  readonly create2s: ReadonlySet<number> | undefined
}

const nothingKnown: Foreknown = { znode: 0, pathHash: 0, digest: 0, create2s: undefined }

export class TxnApplier {
  readonly results: MultiResults = new MultiResults()
  /** Take the digest that a txn carries instead of computing it: for the server that prepared it. */
  adoptsDigests = false
  /** The znode that the last plain create, setData or setACL made or changed. */
  lastPathId: ZnodeId = 0
  readonly #parts: TreeParts
  readonly #body = new TxnView()
  readonly #path = new Writer()
  /** The txn being applied. */
  #txn: Space
  #known: Foreknown = nothingKnown
  #sessionHigh = 0
  #sessionLow = 0
  #zxidHigh = 0
  #zxidLow = 0
  #timeHigh = 0
  #timeLow = 0
  /** Of the digest that the txn carries, as signed words; -1: it has none to compare. */
  #digestAt = -1
  /** The digest is computed, not adopted or switched off. */
  #isDigesting = false

  constructor(parts: TreeParts) {
    this.#parts = parts
    this.#txn = this.#path
  }

  /** @param from - start of a log payload: header | body | digest. @returns as the client sees it; 0 for a multi that changed the tree */
  apply(
    txn: Space,
    from: number,
    to: number,
    fired: FiredWatches,
    known: Foreknown = nothingKnown,
  ): ErrorCode {
    const parts = this.#parts
    const body = this.#body
    parts.acls.sweep()
    this.results.clear()
    this.lastPathId = 0
    assert(body.readPayload(txn, from, to), 'the bytes of a txn to apply are well-formed')
    this.#begin(txn, from)
    this.#known = known
    const hasDigest = to - body.end >= txnDigestBytes && txn.view.getInt32(body.end) === digestVersion
    this.#digestAt = hasDigest ? body.end + 4 : -1
    const isAdopting = this.adoptsDigests && hasDigest
    this.#isDigesting = parts.isDigestEnabled && !isAdopting

    const code = this.#applyBody(txn.view.getInt32(from + TxnHead.type), fired)

    if (isAdopting) parts.digest.set(txn.view.getInt32(this.#digestAt), txn.view.getInt32(this.#digestAt + 4))
    parts.raiseLastZxid(this.#zxidHigh, this.#zxidLow)
    return code
  }

  /** Whether the txn, applied last, carries a digest to compare. */
  isDigestKnown(): boolean {
    return this.#parts.isDigestEnabled && this.#digestAt >= 0
  }

  /** Whether the tree's digest is the one that the txn, applied last, carries; true if it carries none to compare. */
  isDigestRight(): boolean {
    if (!this.isDigestKnown()) return true
    const { digest } = this.#parts
    const at = this.#digestAt
    const { view } = this.#txn
    return view.getUint32(at) === digest.high && view.getUint32(at + 4) === digest.low
  }

  #begin(txn: Space, from: number): void {
    const { view } = txn
    this.#txn = txn
    this.#sessionHigh = view.getInt32(from + TxnHead.session)
    this.#sessionLow = view.getInt32(from + TxnHead.session + 4)
    this.#zxidHigh = view.getInt32(from + TxnHead.zxid)
    this.#zxidLow = view.getInt32(from + TxnHead.zxid + 4)
    this.#timeHigh = view.getInt32(from + TxnHead.time)
    this.#timeLow = view.getInt32(from + TxnHead.time + 4)
  }

  #applyBody(type: number, fired: FiredWatches): ErrorCode {
    const body = this.#body
    switch (type) {
      case OpCode.Create:
      case OpCode.Create2:
        return body.isEphemeral
          ? this.#create(this.#sessionHigh, this.#sessionLow, fired)
          : this.#create(0, 0, fired)
      case OpCode.CreateContainer:
        return this.#create(containerOwnerHigh, 0, fired)
      case OpCode.CreateTtl:
        return this.#create(ttlOwnerHigh | (body.ttlHigh & 0xff), body.ttlLow, fired)
      case OpCode.Delete:
      case OpCode.DeleteContainer:
        return this.#delete(this.#txn, body.pathFrom, body.pathTo, fired)
      case OpCode.SetData:
      case OpCode.Reconfig:
        return this.#setData(fired)
      case OpCode.SetAcl:
        return this.#setAcl()
      case OpCode.Multi:
        return this.#multi(fired)
      case OpCode.CloseSession:
        return this.#closeSession(fired)
      case OpCode.Error:
        return body.err as ErrorCode
      default:
        return ErrorCode.Ok // check and createSession change nothing here
    }
  }

  #create(ownerHigh: number, ownerLow: number, fired: FiredWatches): ErrorCode {
    const { znodes, acls, quotas, watches } = this.#parts
    const body = this.#body
    const txn = this.#txn
    const { pathFrom: from, pathTo: to } = body
    const cut = lastSlash(txn.bytes, from, to)
    if (cut < 0) return ErrorCode.NoNode
    if (cut + 1 === to) return cut === from ? ErrorCode.NodeExists : ErrorCode.NoNode
    const isKnown = this.#known.znode !== 0
    const parent = isKnown ? this.#known.znode : znodes.findParent(txn, from, cut)
    if (parent === 0) return ErrorCode.NoNode

    const acl = body.aclCount < 0 ? OpenAcl : acls.intern(txn, body.aclFrom, body.aclTo)
    const hash = isKnown ? this.#known.pathHash : znodes.hashOf(txn, from, to)
    const existing = isKnown ? 0 : znodes.findHashed(hash, txn, from, to)
    if (existing !== 0) {
      this.#parts.setAcl(existing, acl)
      this.#raiseParent(parent)
      return ErrorCode.NodeExists
    }
    const id = znodes.insert(parent, hash, txn, body, cut + 1)
    this.#fillRow(id, parent, ownerHigh, ownerLow)
    this.#parts.setAcl(id, acl)
    this.#parts.enlist(id)
    this.#dropChildList(parent)
    this.#raiseParent(parent)
    quotas.created(id, txn, from, to)
    watches.created(id, txn, from, to, fired)
    this.lastPathId = id
    return ErrorCode.Ok
  }

  /** A new row holds zeros but for its links, name and data. */
  #fillRow(id: ZnodeId, parent: ZnodeId, ownerHigh: number, ownerLow: number): void {
    const { rows } = this.#parts.znodes
    const isUndigested = parent === ZookeeperId || rows.hasFlag(parent, Flag.Undigested)
    rows.setWords(id, Row.czxid, this.#zxidHigh, this.#zxidLow)
    rows.setWords(id, Row.mzxid, this.#zxidHigh, this.#zxidLow)
    rows.setWords(id, Row.ctime, this.#timeHigh, this.#timeLow)
    rows.setWords(id, Row.mtime, this.#timeHigh, this.#timeLow)
    rows.setWords(id, Row.owner, ownerHigh, ownerLow)
    rows.setWords(id, Row.pzxid, this.#zxidHigh, this.#zxidLow)
    if (isUndigested) rows.addFlags(id, Flag.Undigested)
    this.#digestAnew(id)
  }

  /** The stored cversion counts creations and never goes back, nor does it come twice from one txn. */
  #raiseParent(parent: ZnodeId): void {
    const { rows } = this.#parts.znodes
    const stored = rows.get(parent, Row.cversion)
    const given = this.#body.parentCversion === -1 ? (stored + 1) | 0 : this.#body.parentCversion
    if (given <= stored) return
    rows.set(parent, Row.cversion, given)
    this.#changeDigest(parent, changeByCversion(stored ^ given))
    this.#setPzxid(parent, rows.get(parent, Row.pzxid), rows.get(parent, Row.pzxid + 4))
  }

  #delete(path: Space, from: number, to: number, fired: FiredWatches): ErrorCode {
    const { znodes } = this.#parts
    const cut = lastSlash(path.bytes, from, to)
    if (cut < 0 || cut + 1 === to) return ErrorCode.NoNode
    const isKnown = this.#known.znode !== 0
    const hash = isKnown ? this.#known.pathHash : znodes.hashOf(path, from, to)
    const id = isKnown ? this.#known.znode : znodes.findHashed(hash, path, from, to)
    if (id !== 0) {
      if (znodes.rows.get(id, Row.childCount) !== 0) this.#removeLaterOnes(id, fired)
      return this.#remove(id, hash, path, from, to, fired)
    }
    const parent = znodes.findParent(path, from, cut)
    if (parent !== 0) this.#raisePzxid(parent)
    return ErrorCode.NoNode
  }

  #remove(id: ZnodeId, hash: number, path: Space, from: number, to: number, fired: FiredWatches): ErrorCode {
    const { znodes, acls, quotas, watches, walks } = this.#parts
    const { rows } = znodes
    // No leader prepares either; Java would leave children that no path leads to.
    if (id <= ConfigId || rows.get(id, Row.childCount) !== 0) return ErrorCode.DataInconsistency
    const parent = rows.get(id, Row.parent)
    quotas.deleting(id, path, from, to)
    watches.deleting(id, path, from, to, fired)
    if (walks.size > 0) for (const walk of walks) walk.leave(id)
    if (this.#isDigesting) this.#parts.digest.subtract(this.#parts.digestOf(id))
    this.#parts.delist(id)
    acls.unuse(rows.acl(id))
    znodes.remove(id, hash, to - from)
    this.#dropChildList(parent)
    this.#raisePzxid(parent)
    return ErrorCode.Ok
  }

  /**
   * The Java server's snapshots may hold a znode that was deleted and made anew while they were taken, with its new
   * children. For the txns before that they are not there yet: replay makes them again when it comes to them.
   */
  #removeLaterOnes(top: ZnodeId, fired: FiredWatches): void {
    const { rows } = this.#parts.znodes
    const isLater = isLess(
      this.#zxidHigh,
      this.#zxidLow,
      rows.get(top, Row.czxid),
      rows.get(top, Row.czxid + 4),
    )
    if (!isLater) return
    for (let id = top; rows.get(top, Row.childCount) !== 0; ) {
      const child = rows.get(id, Row.firstChild)
      const parent = rows.get(id, Row.parent)
      if (child === 0) this.#removeById(id, fired)
      id = child === 0 ? parent : child
    }
  }

  #removeById(id: ZnodeId, fired: FiredWatches): void {
    const path = this.#path
    path.at = 0
    this.#parts.znodes.rawPathInto(id, path)
    this.#remove(id, this.#parts.znodes.hashOf(path, 0, path.at), path, 0, path.at, fired)
  }

  #raisePzxid(parent: ZnodeId): void {
    const { rows } = this.#parts.znodes
    const high = rows.get(parent, Row.pzxid)
    const low = rows.get(parent, Row.pzxid + 4)
    if (isLess(high, low, this.#zxidHigh, this.#zxidLow)) this.#setPzxid(parent, high, low)
  }

  /** @param high - what it was, as `low` */
  #setPzxid(id: ZnodeId, high: number, low: number): void {
    this.#parts.znodes.rows.setWords(id, Row.pzxid, this.#zxidHigh, this.#zxidLow)
    this.#changeDigest(id, changeByPzxid(high ^ this.#zxidHigh, low ^ this.#zxidLow))
  }

  #setData(fired: FiredWatches): ErrorCode {
    const { znodes, quotas, watches } = this.#parts
    const { rows } = znodes
    const body = this.#body
    const txn = this.#txn
    const { pathFrom: from, pathTo: to } = body
    const id = this.#known.znode || znodes.find(txn, from, to)
    if (id === 0) return ErrorCode.NoNode
    const oldLength = rows.get(id, Row.dataLength)
    znodes.setData(id, txn, body.dataFrom, body.dataTo)
    rows.setWords(id, Row.mzxid, this.#zxidHigh, this.#zxidLow)
    rows.setWords(id, Row.mtime, this.#timeHigh, this.#timeLow)
    rows.set(id, Row.version, body.version)
    this.#digestAnew(id)
    quotas.changed(id, txn, from, to, 0, rows.get(id, Row.dataLength) - oldLength)
    watches.dataChanged(id, txn, from, to, fired)
    this.lastPathId = id
    return ErrorCode.Ok
  }

  #setAcl(): ErrorCode {
    const { znodes, acls } = this.#parts
    const { rows } = znodes
    const body = this.#body
    const id = this.#known.znode || znodes.find(this.#txn, body.pathFrom, body.pathTo)
    if (id === 0) return ErrorCode.NoNode
    const acl = body.aclCount < 0 ? OpenAcl : acls.intern(this.#txn, body.aclFrom, body.aclTo)
    this.#parts.setAcl(id, acl)
    this.#changeDigest(id, changeByAversion(rows.get(id, Row.aversion) ^ body.version))
    rows.set(id, Row.aversion, body.version)
    this.lastPathId = id
    return ErrorCode.Ok
  }

  #multi(fired: FiredWatches): ErrorCode {
    const { count, listFrom } = this.#body
    return this.#hasFailed(count, listFrom)
      ? this.#reportFailed(count, listFrom)
      : this.#applyAll(count, listFrom, fired)
  }

  #hasFailed(count: number, listFrom: number): boolean {
    const { view } = this.#txn
    let at = listFrom
    for (let i = 0; i < count; i++) {
      if (view.getInt32(at) === OpCode.Error) return true
      at += subTxnHeadBytes + view.getInt32(at + 4)
    }
    return false
  }

  /** Nothing changes. Those before the one that failed were fine, those after it were not tried. */
  #reportFailed(count: number, listFrom: number): ErrorCode {
    let at = listFrom
    let first: ErrorCode = ErrorCode.Ok
    let isAfter = false
    for (let i = 0; i < count; i++) {
      let code: ErrorCode = isAfter ? ErrorCode.RuntimeInconsistency : ErrorCode.Ok
      if (this.#readSubTxn(at) === OpCode.Error) {
        code = this.#body.err as ErrorCode
        isAfter = true
      }
      if (first === ErrorCode.Ok) first = code
      this.results.addFailure(code)
      at += subTxnHeadBytes + this.#txn.view.getInt32(at + 4)
    }
    return first
  }

  #applyAll(count: number, listFrom: number, fired: FiredWatches): ErrorCode {
    let at = listFrom
    let first: ErrorCode = ErrorCode.Ok
    for (let i = 0; i < count; i++) {
      const type = this.#readSubTxn(at)
      this.lastPathId = 0
      const code = this.#applyBody(type, fired)
      if (first === ErrorCode.Ok) first = code
      const answered = this.#known.create2s?.has(i) === true ? OpCode.Create2 : type
      this.results.add(answered, code, this.#body, this.lastPathId, this.#parts.znodes)
      at += subTxnHeadBytes + this.#txn.view.getInt32(at + 4)
    }
    this.lastPathId = 0
    return first
  }

  /** @returns its type */
  #readSubTxn(at: number): number {
    const { view } = this.#txn
    const type = view.getInt32(at)
    const from = at + subTxnHeadBytes
    assert(
      this.#body.readSubTxn(this.#txn, type, from, from + view.getInt32(at + 4)),
      'the bytes of a sub-txn to apply are well-formed',
    )
    return type
  }

  /** The znodes listed when the session was closed, then whatever else it owns here. */
  #closeSession(fired: FiredWatches): ErrorCode {
    const { view } = this.#txn
    const { count, listFrom } = this.#body
    let at = listFrom
    for (let i = 0; i < count; i++) {
      const to = at + 4 + view.getInt32(at)
      this.#delete(this.#txn, at + 4, to, fired)
      at = to
    }
    const { ephemerals } = this.#parts
    if (ephemerals.firstOf(this.#sessionHigh, this.#sessionLow) === 0) return ErrorCode.Ok
    for (const id of ephemerals.of(this.#sessionHigh, this.#sessionLow)) this.#removeById(id, fired)
    return ErrorCode.Ok
  }

  #dropChildList(parent: ZnodeId): void {
    if (this.#parts.znodes.rows.hasFlag(parent, Flag.CachedChildren)) this.#parts.childLists.drop(parent)
  }

  /** Path or data are new. */
  #digestAnew(id: ZnodeId): void {
    if (!this.#parts.isDigested(id)) return
    this.#setDigest(id, this.#known.znode !== 0 ? this.#known.digest : this.#computeDigest(id))
  }

  #computeDigest(id: ZnodeId): number {
    const { pathFrom, pathTo, dataFrom, dataTo } = this.#body
    const { rows } = this.#parts.znodes
    const contentCrc = contentCrcOf(pathCrc(this.#txn, pathFrom, pathTo), this.#txn, dataFrom, dataTo)
    return rowDigest(rows.space(id), rows.at(id), contentCrc)
  }

  /** @param bits - in which the share of the znode changes */
  #changeDigest(id: ZnodeId, bits: number): void {
    if (this.#parts.isDigested(id)) this.#setDigest(id, this.#parts.digestOf(id) ^ bits)
  }

  /** In the row even while the sum is adopted: it is what the next change starts from. */
  #setDigest(id: ZnodeId, share: number): void {
    const { digest, znodes } = this.#parts
    if (this.#isDigesting) {
      digest.subtract(this.#parts.digestOf(id))
      digest.add(share)
    }
    znodes.rows.set(id, Row.digest, share)
  }
}
