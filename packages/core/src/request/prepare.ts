/**
 * Request in, txn out: authorises, checks versions against the pending tree, and writes the txn, digest included,
 * straight into the log's staging buffer. A refusal is a txn too: it takes its zxid and is logged as an error.
 *
 * Source: PrepRequestProcessor in the Java server; the order of checks decides which error wins.
 */
import {
  decodeUtf8,
  digestVersion,
  ErrorCode,
  isLegalPath,
  OpCode,
  type RequestView,
  type Space,
  type Writer,
} from '@corral/protocol'
import { longestTxnBytes, type ServerConfig } from '../config.ts'
import type { Fields } from '../effects.ts'
import type { Now } from '../events.ts'
import type { AuthId } from '../session/ids.ts'
import type { Session } from '../session/sessions.ts'
import { mostAcls } from '../tree/acl-table.ts'
import type { DataTree, ZnodeId } from '../tree/data-tree.ts'
import { pathCrc } from '../tree/digest.ts'
import { lastSlash } from '../tree/raw-bytes.ts'
import { kindOfOwner, ZnodeKind } from '../tree/znodes.ts'
import { permOf } from './access.ts'
import { AclFixer, type FixedAcl, isPermitted } from './authorize.ts'
import { type Creation, creationOf, SequentialPath, setOwner } from './creation.ts'
import { type Pending, type PendingZnode, StatWord } from './pending.ts'

/** Who asks, and where the request stands in the order. */
export interface Asker {
  readonly session: Session | undefined
  readonly ids: readonly AuthId[]
  readonly xid: number
}

/** The place and time of the txn being prepared. */
export interface TxnPlace {
  zxidHigh: number
  zxidLow: number
  timeHigh: number
  timeLow: number
}

const specialPaths: readonly Uint8Array[] = ['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config'].map(
  path => Uint8Array.from(path, c => c.charCodeAt(0)),
)

export class Preparer {
  readonly #config: ServerConfig
  readonly #tree: DataTree
  readonly #pending: Pending
  readonly #fixer: AclFixer
  readonly #quotaExceeded: (fields: Fields) => void
  readonly place: TxnPlace = { zxidHigh: 0, zxidLow: 0, timeHigh: 0, timeLow: 0 }
  /** Of the txn prepared last. A znode that has an id at its place in the order keeps it until it is applied. */
  readonly found: {
    znode: ZnodeId
    pathHash: number
    contentCrc: number
    create2s: Set<number> | undefined
  } = { znode: 0, pathHash: 0, contentCrc: 0, create2s: undefined }
  readonly #sequential: SequentialPath = new SequentialPath()

  constructor(given: {
    readonly config: ServerConfig
    readonly tree: DataTree
    readonly pending: Pending
    /** A write went over a quota; only a hard limit refuses it. */
    quotaExceeded(fields: Fields): void
  }) {
    this.#quotaExceeded = given.quotaExceeded
    this.#config = given.config
    this.#tree = given.tree
    this.#pending = given.pending
    // Half of what a txn may have beyond a frame: the rest is for headers and a sequence number.
    const spareBytes = longestTxnBytes(given.config) - given.config.maxFrameBytes
    this.#fixer = new AclFixer(given.config.auth, spareBytes / 2)
  }

  /** Sets zxid and time of the next txn. */
  moveTo(now: Now, zxidHigh: number, zxidLow: number): void {
    const place = this.place
    place.zxidHigh = zxidHigh
    place.zxidLow = zxidLow
    place.timeHigh = Math.floor(now.wallMs / 0x1_0000_0000)
    place.timeLow = now.wallMs | 0
  }

  /** header: session(8) | cxid(4) | zxid(8) | time(8) | type(4) */
  writeHeader(w: Writer, asker: Asker, type: number): void {
    const { place } = this
    w.words(asker.session?.high ?? 0, asker.session?.low ?? 0)
    w.int32(asker.xid)
    w.words(place.zxidHigh, place.zxidLow)
    w.words(place.timeHigh, place.timeLow)
    w.int32(type)
  }

  writeDigest(w: Writer): void {
    if (!this.#config.storage.isDigestEnabled) return
    w.int32(digestVersion)
    w.words(this.#pending.digest.high, this.#pending.digest.low)
  }

  /**
   * Checks one write of the view (not multi, not closeSession), changes the pending tree, and writes the txn body.
   *
   * @param request - read whole
   * @param type - the kind of txn, see {@link txnTypeOf}
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
    if (!isLegalPath(source.bytes, from, to)) return ErrorCode.BadArguments
    const znode = pending.get(source, from, to)
    if (znode.exists) return ErrorCode.NodeExists
    if (this.#kindOf(parent) === ZnodeKind.Ephemeral) return ErrorCode.NoChildrenForEphemerals
    const dataBytes = request.dataFrom < 0 ? 0 : request.dataTo - request.dataFrom
    if (this.#isOverQuota(source, from, to, { count: 1, bytes: dataBytes })) return ErrorCode.QuotaExceeded
    if (!this.#admitsAcl(fixed, source, from, to)) return ErrorCode.QuotaExceeded

    const parentCversion = (parent.sequence + 1) | 0
    pending.touch(parent)
    parent.childCount++
    parent.sequence = parentCversion
    // The tree refuses to go back when the counter wraps, and then moves neither field.
    if (parentCversion > (parent.stat[StatWord.Cversion] as number)) {
      parent.stat[StatWord.Cversion] = parentCversion
      this.#stamp(parent, StatWord.Pzxid)
    }
    pending.rehash(parent)

    pending.touch(znode)
    pending.create(znode, source, from, to)
    pending.setAcl(znode, this.#tree.acls.intern(fixed.space, fixed.from, fixed.to))
    this.#stamp(znode, StatWord.Czxid)
    this.#stamp(znode, StatWord.Mzxid)
    this.#stamp(znode, StatWord.Pzxid)
    this.#stampTime(znode, StatWord.Ctime)
    this.#stampTime(znode, StatWord.Mtime)
    setOwner(znode, asker.session, request, creation)
    pending.setContent(znode, pathCrc(source, from, to), request)
    pending.rehash(znode)
    this.found.znode = parent.id
    this.found.pathHash = znode.pathHash
    this.found.contentCrc = znode.contentCrc

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
    if (isSpecial(bytes, pathFrom, pathTo)) return ErrorCode.BadArguments
    const parent = pending.get(request, pathFrom, cut)
    if (!parent.exists) return ErrorCode.NoNode
    if (!this.#may(asker, parent, permOf(OpCode.Delete))) return ErrorCode.NoAuth
    const znode = pending.get(request, pathFrom, pathTo)
    if (!znode.exists) return ErrorCode.NoNode
    if (!isVersion(request.version, znode.stat[StatWord.Version] as number)) return ErrorCode.BadVersion
    if (znode.childCount > 0) return ErrorCode.NotEmpty
    this.#remove(parent, znode)
    writePath(w, request)
    return ErrorCode.Ok
  }

  /**
   * A container or TTL znode that the reaper found: everything is checked again, but no ACL.
   *
   * @param path - holds the path from 0 to `lengthBytes`
   */
  prepareReap(w: Writer, path: Space, lengthBytes: number): ErrorCode {
    const pending = this.#pending
    const cut = lastSlash(path.bytes, 0, lengthBytes)
    if (cut < 0) return ErrorCode.BadArguments
    const parent = pending.get(path, 0, cut)
    const znode = pending.get(path, 0, lengthBytes)
    if (!parent.exists || !znode.exists) return ErrorCode.NoNode
    if (znode.childCount > 0) return ErrorCode.NotEmpty
    const kind = this.#kindOf(znode)
    if (kind !== ZnodeKind.Container && kind !== ZnodeKind.Ttl) return ErrorCode.BadVersion
    // Found by what was applied, and changed since, or made anew: a later check will see.
    if (znode.write !== 0) return ErrorCode.BadVersion
    this.#remove(parent, znode)
    w.int32(lengthBytes)
    w.raw(path, 0, lengthBytes)
    return ErrorCode.Ok
  }

  /**
   * The end of a session: one txn that deletes all its ephemerals, those of outstanding writes included.
   *
   * @param ephemerals - of the committed tree
   */
  prepareClose(w: Writer, session: Session, ephemerals: readonly ZnodeId[]): void {
    const pending = this.#pending
    const countAt = w.at
    w.int32(0)
    const recorded: Space[] = []
    let count = this.#removeOwned(w, ephemerals, recorded)
    for (const path of recorded) count += this.#removeRecorded(w, session, path, path.bytes.length)
    const fresh: PendingZnode[] = []
    pending.forEachNew(znode => {
      if (isOwner(znode, session)) fresh.push(znode)
    })
    for (const { path, pathBytes } of fresh) count += this.#removeRecorded(w, session, path, pathBytes)
    pending.endSession(session.high, session.low)
    w.view.setInt32(countAt, count)
  }

  /**
   * Those that no outstanding write has touched: their siblings, which come together, change the parent once.
   *
   * @param recorded - gets the paths of the others
   */
  #removeOwned(w: Writer, ephemerals: readonly ZnodeId[], recorded: Space[]): number {
    const pending = this.#pending
    const tree = this.#tree
    let count = 0
    let parentId: ZnodeId = 0
    let parent: PendingZnode | undefined
    for (const id of ephemerals) {
      const from = w.at
      tree.pathInto(id, w)
      if (pending.isRecorded(id, w, from + 4, w.at)) {
        w.at = from
        recorded.push(tree.pathOf(id))
        continue
      }
      if (parent === undefined || tree.parent(id) !== parentId) {
        if (parent !== undefined) pending.rehash(parent)
        parentId = tree.parent(id)
        parent = pending.get(w, from + 4, lastSlash(w.bytes, from + 4, w.at))
        pending.touch(parent)
        this.#stamp(parent, StatWord.Pzxid)
      }
      parent.childCount--
      pending.digest.subtract(tree.digestOf(id))
      count++
    }
    if (parent !== undefined) pending.rehash(parent)
    return count
  }

  /** @returns 1, or 0 if there will be no such znode of the session's */
  #removeRecorded(w: Writer, session: Session, path: Space, pathBytes: number): number {
    const pending = this.#pending
    const znode = pending.get(path, 0, pathBytes)
    if (!znode.exists || !isOwner(znode, session)) return 0
    this.#remove(pending.get(path, 0, lastSlash(path.bytes, 0, pathBytes)), znode)
    w.int32(pathBytes)
    w.raw(path, 0, pathBytes)
    return 1
  }

  #remove(parent: PendingZnode, znode: PendingZnode): void {
    const pending = this.#pending
    pending.touch(parent)
    parent.childCount--
    this.#stamp(parent, StatWord.Pzxid)
    pending.rehash(parent)
    pending.touch(znode)
    znode.exists = false
    pending.rehash(znode)
    this.found.znode = znode.id
    this.found.pathHash = znode.pathHash
  }

  #setData(w: Writer, asker: Asker, request: RequestView): ErrorCode {
    const pending = this.#pending
    if (!isLegalPath(request.bytes, request.pathFrom, request.pathTo)) return ErrorCode.BadArguments
    const znode = pending.get(request, request.pathFrom, request.pathTo)
    if (!znode.exists) return ErrorCode.NoNode
    if (!this.#may(asker, znode, permOf(OpCode.SetData))) return ErrorCode.NoAuth
    const growth = (request.dataFrom < 0 ? 0 : request.dataTo - request.dataFrom) - znode.dataBytes
    if (this.#isOverQuota(request, request.pathFrom, request.pathTo, { count: 0, bytes: growth })) {
      return ErrorCode.QuotaExceeded
    }
    const version = znode.stat[StatWord.Version] as number
    if (!isVersion(request.version, version)) return ErrorCode.BadVersion
    pending.touch(znode)
    znode.stat[StatWord.Version] = version + 1
    this.#stamp(znode, StatWord.Mzxid)
    this.#stampTime(znode, StatWord.Mtime)
    pending.setContent(znode, pathCrc(request, request.pathFrom, request.pathTo), request)
    pending.rehash(znode)
    this.found.znode = znode.id
    this.found.contentCrc = znode.contentCrc
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
    if (!this.#admitsAcl(fixed, request, request.pathFrom, request.pathTo)) return ErrorCode.QuotaExceeded
    pending.touch(znode)
    znode.stat[StatWord.Aversion] = aversion + 1
    pending.setAcl(znode, this.#tree.acls.intern(fixed.space, fixed.from, fixed.to))
    pending.rehash(znode)
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

  #kindOf({ stat }: PendingZnode): ZnodeKind {
    const { isTtlEnabled } = this.#config
    return kindOfOwner(stat[StatWord.Owner] as number, stat[StatWord.Owner + 1] as number, isTtlEnabled)
  }

  #isOverQuota(
    source: Space,
    from: number,
    to: number,
    change: { readonly count: number; readonly bytes: number },
  ): boolean {
    if (!this.#config.isQuotaEnforced) return false
    const quota = this.#tree.quotaOver(source, from, to)
    if (quota === undefined) return false
    const path = (): string => decodeUtf8(source.bytes, from, from + quota.rootLength)
    const { limits, usage } = quota
    const isOver = (name: 'count' | 'bytes', hard: number): boolean => {
      const wanted = usage[name] + change[name]
      const limit = hard > -1 ? hard : limits[name]
      if (change[name] === 0 || limit < 0 || wanted <= limit) return false
      this.#quotaExceeded({ path: path(), [name]: wanted, limit, kind: hard > -1 ? 'hard' : 'soft' })
      return hard > -1
    }
    return isOver('count', limits.countHard) || isOver('bytes', limits.bytesHard)
  }

  /** The Java server has no limit here but its memory. */
  #admitsAcl(acl: Extract<FixedAcl, { ok: true }>, source: Space, from: number, to: number): boolean {
    if (this.#tree.acls.admits(acl.space, acl.from, acl.to)) return true
    const acls = this.#tree.acls.count + 1
    this.#quotaExceeded({ path: decodeUtf8(source.bytes, from, to), acls, limit: mostAcls, kind: 'hard' })
    return false
  }

  #stamp(znode: PendingZnode, word: number): void {
    znode.stat[word] = this.place.zxidHigh
    znode.stat[word + 1] = this.place.zxidLow
  }

  #stampTime(znode: PendingZnode, word: number): void {
    znode.stat[word] = this.place.timeHigh
    znode.stat[word + 1] = this.place.timeLow
  }
}

function isVersion(expected: number, found: number): boolean {
  return expected === -1 || expected === found
}

function isOwner(znode: PendingZnode, session: Session): boolean {
  return znode.stat[StatWord.Owner] === session.high && znode.stat[StatWord.Owner + 1] === session.low
}

function isSpecial(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from > 17 || (to - from > 1 && bytes[from + 1] !== 0x7a)) return false
  return specialPaths.some(path => isSame(path, bytes.subarray(from, to)))
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

function hasNul(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] === 0) return true
  return false
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
