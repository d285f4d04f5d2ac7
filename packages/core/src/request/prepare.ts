/**
 * Request in, txn out: authorises, checks versions against the pending tree, changes that, and writes the body of the
 * txn straight into the log's staging buffer.
 *
 * Source: PrepRequestProcessor in the Java server; the order of checks decides which error wins.
 */
import {
  ErrorCode,
  hasNul,
  isLegalPath,
  OpCode,
  type RequestView,
  type Space,
  type Writer,
} from '@corral/protocol'
import { longestTxnBytes, type ServerConfig } from '../config.ts'
import type { Fields } from '../effects.ts'
import type { DataTree, ZnodeId } from '../tree/data-tree.ts'
import { asciiSpace, equalBytes, lastSlash } from '../tree/raw-bytes.ts'
import { ZnodeKind } from '../tree/znodes.ts'
import { permOf } from './access.ts'
import { AclFixer, isPermitted } from './authorize.ts'
import { type Creation, creationOf, SequentialPath, setOwner } from './creation.ts'
import { kindOf, type Pending, type PendingZnode, StatWord } from './pending.ts'
import { QuotaCheck } from './quota-check.ts'
import type { Removals } from './removals.ts'
import type { Asker, TxnPlace } from './txn-place.ts'

const specialPaths: readonly Space[] = ['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config'].map(
  asciiSpace,
)
/** The Java server ends when it applies its creation, and again whenever it reads it in a log or snapshot. */
const rootQuota = asciiSpace('/zookeeper/quota/zookeeper_limits')

export class Preparer {
  readonly #config: ServerConfig
  readonly #tree: DataTree
  readonly #pending: Pending
  readonly #fixer: AclFixer
  readonly #place: TxnPlace
  readonly #removals: Removals
  readonly #quota: QuotaCheck
  /**
   * What the txn prepared last is about, so that it need not be looked up again when it is applied: a znode that has an
   * id at that place in the order has the same one then.
   */
  readonly found: {
    znode: ZnodeId
    pathHash: number
    digest: number
    create2s: Set<number> | undefined
  } = { znode: 0, pathHash: 0, digest: 0, create2s: undefined }
  readonly #sequential: SequentialPath = new SequentialPath()

  constructor(given: {
    readonly config: ServerConfig
    readonly tree: DataTree
    readonly pending: Pending
    readonly place: TxnPlace
    readonly removals: Removals
    /** A write went over a quota; only a hard limit refuses it. */
    quotaExceeded(fields: Fields): void
  }) {
    this.#config = given.config
    this.#tree = given.tree
    this.#pending = given.pending
    this.#place = given.place
    this.#removals = given.removals
    this.#quota = new QuotaCheck({
      isEnforced: given.config.isQuotaEnforced,
      tree: given.tree,
      exceeded: fields => given.quotaExceeded(fields),
    })
    // Half of what a txn may have beyond a frame: the rest is for headers and a sequence number.
    const spareBytes = longestTxnBytes(given.config) - given.config.maxFrameBytes
    this.#fixer = new AclFixer(given.config.auth, spareBytes / 2)
  }

  /**
   * Checks one write of the view (not multi, not closeSession), changes the pending tree, and writes the txn body.
   *
   * @param request - read whole
   * @param type - the kind of txn: the opcode, or what a multi makes of it
   * @returns why it is refused, with nothing written and nothing changed
   */
  prepare(w: Writer, asker: Asker, request: RequestView, type: number): ErrorCode {
    switch (type) {
      case OpCode.Create:
      case OpCode.Create2:
      case OpCode.CreateContainer:
      case OpCode.CreateTtl:
        return this.#create(w, asker, request, creationOf(type, request.flags))
      case OpCode.Delete:
        return this.#delete(w, asker, request)
      case OpCode.SetData:
        return this.#setData(w, asker, request)
      case OpCode.SetAcl:
        return this.#setAcl(w, asker, request)
      case OpCode.Check:
        return this.#check(w, asker, request)
      default:
        return this.#config.isReconfigEnabled ? ErrorCode.Unimplemented : ErrorCode.ReconfigDisabled
    }
  }

  #create(w: Writer, asker: Asker, request: RequestView, creation: Creation): ErrorCode {
    const pending = this.#pending
    const { bytes, pathFrom, pathTo } = request
    if (pathFrom < 0) return ErrorCode.MarshallingError
    const cut = lastSlash(bytes, pathFrom, pathTo)
    if (cut < 0 || hasNul(bytes, pathFrom, pathTo)) return ErrorCode.BadArguments
    const fixed = this.#fixer.fix(asker.ids, request, request.aclFrom, request.aclTo)
    if (!fixed.ok) return fixed.err
    const parent = pending.get(request, pathFrom, cut)
    if (!parent.exists) return ErrorCode.NoNode
    if (!this.#may(asker, parent, permOf(creation.type))) return ErrorCode.NoAuth

    let source: Space = request
    let from = pathFrom
    let to = pathTo
    if (creation.isSequential) {
      to = this.#sequential.write(request, pathFrom, pathTo, parent.sequence)
      source = this.#sequential.space
      from = 0
    }
    if (!isLegalPath(source.bytes, from, to) || isPath(source, from, to, rootQuota))
      return ErrorCode.BadArguments
    const znode = pending.get(source, from, to)
    if (znode.exists) return ErrorCode.NodeExists
    if (kindOf(parent, this.#config.isTtlEnabled) === ZnodeKind.Ephemeral)
      return ErrorCode.NoChildrenForEphemerals
    const dataBytes = request.dataFrom < 0 ? 0 : request.dataTo - request.dataFrom
    if (this.#quota.isOver(source, from, to, { count: 1, bytes: dataBytes })) return ErrorCode.QuotaExceeded
    if (!this.#quota.admitsAcl(fixed, source, from, to)) return ErrorCode.QuotaExceeded

    const parentCversion = (parent.sequence + 1) | 0
    pending.touch(parent)
    parent.childCount++
    parent.sequence = parentCversion
    // The tree refuses to go back when the counter wraps, and then moves neither field.
    if (parentCversion > (parent.stat[StatWord.Cversion] as number)) {
      pending.setCversion(parent, parentCversion)
      pending.setPzxid(parent, this.#place.zxidHigh, this.#place.zxidLow)
    }

    pending.touch(znode)
    pending.create(znode, source, from, to)
    pending.setAcl(znode, this.#tree.acls.intern(fixed.space, fixed.from, fixed.to))
    this.#place.stamp(znode, StatWord.Czxid)
    this.#place.stamp(znode, StatWord.Mzxid)
    this.#place.stamp(znode, StatWord.Pzxid)
    this.#place.stampTime(znode, StatWord.Ctime)
    this.#place.stampTime(znode, StatWord.Mtime)
    setOwner(znode, asker.session, request, creation)
    if (creation.isEphemeral) pending.noteEphemeral(znode)
    pending.setContent(znode, source, from, to, request)
    this.found.znode = parent.id
    this.found.pathHash = znode.pathHash
    this.found.digest = znode.digest

    w.int32(to - from)
    w.raw(source, from, to)
    writeData(w, request)
    w.raw(fixed.space, fixed.from, fixed.to)
    if (creation.type === OpCode.Create || creation.type === OpCode.Create2) w.bool(creation.isEphemeral)
    w.int32(parentCversion)
    if (creation.type === OpCode.CreateTtl) w.words(request.ttlHigh, request.ttlLow)
    return ErrorCode.Ok
  }

  #delete(w: Writer, asker: Asker, request: RequestView): ErrorCode {
    const pending = this.#pending
    const { bytes, pathFrom, pathTo } = request
    if (pathFrom < 0) return ErrorCode.MarshallingError
    const cut = lastSlash(bytes, pathFrom, pathTo)
    if (cut < 0 || hasNul(bytes, pathFrom, pathTo)) return ErrorCode.BadArguments
    if (isSpecial(request, pathFrom, pathTo)) return ErrorCode.BadArguments
    const parent = pending.get(request, pathFrom, cut)
    if (!parent.exists) return ErrorCode.NoNode
    if (!this.#may(asker, parent, permOf(OpCode.Delete))) return ErrorCode.NoAuth
    const znode = pending.get(request, pathFrom, pathTo)
    if (!znode.exists) return ErrorCode.NoNode
    if (!isVersion(request.version, znode.stat[StatWord.Version] as number)) return ErrorCode.BadVersion
    if (znode.childCount > 0) return ErrorCode.NotEmpty
    this.#removals.remove(parent, znode)
    this.found.znode = znode.id
    this.found.pathHash = znode.pathHash
    writePath(w, request)
    return ErrorCode.Ok
  }

  #setData(w: Writer, asker: Asker, request: RequestView): ErrorCode {
    const pending = this.#pending
    if (!isLegalPath(request.bytes, request.pathFrom, request.pathTo)) return ErrorCode.BadArguments
    const znode = pending.get(request, request.pathFrom, request.pathTo)
    if (!znode.exists) return ErrorCode.NoNode
    if (!this.#may(asker, znode, permOf(OpCode.SetData))) return ErrorCode.NoAuth
    const growth = (request.dataFrom < 0 ? 0 : request.dataTo - request.dataFrom) - znode.dataBytes
    if (this.#quota.isOver(request, request.pathFrom, request.pathTo, { count: 0, bytes: growth })) {
      return ErrorCode.QuotaExceeded
    }
    const version = znode.stat[StatWord.Version] as number
    if (!isVersion(request.version, version)) return ErrorCode.BadVersion
    pending.touch(znode)
    znode.stat[StatWord.Version] = version + 1
    this.#place.stamp(znode, StatWord.Mzxid)
    this.#place.stampTime(znode, StatWord.Mtime)
    pending.setContent(znode, request, request.pathFrom, request.pathTo, request)
    this.found.znode = znode.id
    this.found.digest = znode.digest
    writePath(w, request)
    writeData(w, request)
    w.int32((version + 1) | 0)
    return ErrorCode.Ok
  }

  #setAcl(w: Writer, asker: Asker, request: RequestView): ErrorCode {
    const pending = this.#pending
    if (!isLegalPath(request.bytes, request.pathFrom, request.pathTo)) return ErrorCode.BadArguments
    const fixed = this.#fixer.fix(asker.ids, request, request.aclFrom, request.aclTo)
    if (!fixed.ok) return fixed.err
    const znode = pending.get(request, request.pathFrom, request.pathTo)
    if (!znode.exists) return ErrorCode.NoNode
    if (!this.#may(asker, znode, permOf(OpCode.SetAcl))) return ErrorCode.NoAuth
    const aversion = znode.stat[StatWord.Aversion] as number
    if (!isVersion(request.version, aversion)) return ErrorCode.BadVersion
    if (!this.#quota.admitsAcl(fixed, request, request.pathFrom, request.pathTo))
      return ErrorCode.QuotaExceeded
    pending.touch(znode)
    pending.setAversion(znode, (aversion + 1) | 0)
    pending.setAcl(znode, this.#tree.acls.intern(fixed.space, fixed.from, fixed.to))
    this.found.znode = znode.id
    writePath(w, request)
    w.raw(fixed.space, fixed.from, fixed.to)
    w.int32((aversion + 1) | 0)
    return ErrorCode.Ok
  }

  #check(w: Writer, asker: Asker, request: RequestView): ErrorCode {
    if (!isLegalPath(request.bytes, request.pathFrom, request.pathTo)) return ErrorCode.BadArguments
    const znode = this.#pending.get(request, request.pathFrom, request.pathTo)
    if (!znode.exists) return ErrorCode.NoNode
    if (!this.#may(asker, znode, permOf(OpCode.Check))) return ErrorCode.NoAuth
    const version = znode.stat[StatWord.Version] as number
    if (!isVersion(request.version, version)) return ErrorCode.BadVersion
    writePath(w, request)
    w.int32((version + 1) | 0) // as the Java server logs it; nobody reads it
    return ErrorCode.Ok
  }

  #may(asker: Asker, znode: PendingZnode, perm: number): boolean {
    return isPermitted(this.#config.auth, asker.ids, this.#tree.acls.entries(znode.acl), perm)
  }
}

function isVersion(expected: number, found: number): boolean {
  return expected === -1 || expected === found
}

function isSpecial(path: Space, from: number, to: number): boolean {
  const length = to - from
  if (length > 17 || (length > 1 && path.bytes[from + 1] !== 0x7a)) return false
  return specialPaths.some(special => isPath(path, from, to, special))
}

function isPath(path: Space, from: number, to: number, expected: Space): boolean {
  return to - from === expected.bytes.length && equalBytes(expected, 0, path, from, to - from)
}

function writePath(w: Writer, request: RequestView): void {
  w.int32(request.pathTo - request.pathFrom)
  w.raw(request, request.pathFrom, request.pathTo)
}

function writeData(w: Writer, request: RequestView): void {
  if (request.dataFrom < 0) return w.int32(-1)
  w.int32(request.dataTo - request.dataFrom)
  w.raw(request, request.dataFrom, request.dataTo)
}
