/** The requests that change nothing: answered from the tree as it is when their turn comes. Source: FinalRequestProcessor. */
import {
  type Acl,
  ErrorCode,
  hasNul,
  highWord,
  lowWord,
  OpCode,
  Perm,
  type RequestView,
  type SessionId,
  type Writer,
  writeAclList,
} from '@corral/protocol'
import type { ServerConfig } from '../config.ts'
import { userName } from '../session/auth-ids.ts'
import type { Connection } from '../session/connection.ts'
import type { DataTree } from '../tree/data-tree.ts'
import { WatchKind } from '../tree/watch-table.ts'
import type { ZnodeId } from '../tree/znode-rows.ts'
import { permOf } from './access.ts'
import { isPermitted, redactAcl } from './authorize.ts'
import { countOps, isMultiWrite } from './multi.ts'
import {
  beginReply,
  endReply,
  refuse,
  refuseWithBody,
  writeErrorResult,
  writeResultHead,
  writeResultsEnd,
} from './reply.ts'
import { isReplay, type Watching } from './watching.ts'

const slash = 0x2f

export class Reads {
  readonly #config: ServerConfig
  readonly #tree: DataTree
  readonly #watching: Watching

  constructor(given: {
    readonly config: ServerConfig
    readonly tree: DataTree
    readonly watching: Watching
  }) {
    this.#config = given.config
    this.#tree = given.tree
    this.#watching = given.watching
  }

  /**
   * Writes the whole reply frame.
   *
   * @param isWhole - the request's body could be read
   * @returns false if there is no reply yet, because only a part of the request is done
   */
  answer(w: Writer, connection: Connection, request: RequestView, isWhole: boolean): boolean {
    const tree = this.#tree
    const replayErr = isReplay(request.op) ? this.#watching.setWatches(connection, request) : undefined
    if (replayErr === 'unfinished') return false
    const xid = request.op === OpCode.Ping ? -2 : request.xid
    const start = beginReply(w, xid, tree.lastZxidHigh, tree.lastZxidLow)
    if (request.op === OpCode.MultiRead) {
      this.#multiRead(w, start, connection, request)
      return true
    }
    const err = !isWhole ? ErrorCode.MarshallingError : (replayErr ?? this.#body(w, connection, request))
    if (err === ErrorCode.Ok) endReply(w, start)
    else refuse(w, start, err)
    return true
  }

  #body(w: Writer, connection: Connection, request: RequestView): ErrorCode {
    switch (request.op) {
      case OpCode.GetData:
      case OpCode.GetChildren:
      case OpCode.GetChildren2:
      case OpCode.GetAllChildrenNumber:
        return this.#znode(w, connection, request)
      case OpCode.Exists:
        return this.#exists(w, connection, request)
      case OpCode.GetAcl:
        return this.#getAcl(w, connection, request)
      case OpCode.Sync:
        w.int32(request.pathFrom < 0 ? -1 : request.pathTo - request.pathFrom)
        if (request.pathFrom >= 0) w.raw(request, request.pathFrom, request.pathTo)
        return ErrorCode.Ok
      case OpCode.GetEphemerals:
        return this.#getEphemerals(w, connection, request)
      case OpCode.WhoAmI:
        w.vector(connection.askerIds, (writer, id) => {
          writer.string(id.scheme)
          writer.string(userName(id))
        })
        return ErrorCode.Ok
      case OpCode.AddWatch:
      case OpCode.CheckWatches:
      case OpCode.RemoveWatches:
        return this.#watching.answer(w, connection, request)
      default:
        return ErrorCode.Ok // ping
    }
  }

  /** The reads of a znode that must exist and be readable. */
  #znode(w: Writer, connection: Connection, request: RequestView): ErrorCode {
    const tree = this.#tree
    if (request.pathFrom < 0) return ErrorCode.MarshallingError
    const znode = tree.find(request, request.pathFrom, request.pathTo)
    if (znode === 0) return ErrorCode.NoNode
    if (!this.#may(connection, znode, permOf(request.op as OpCode))) return ErrorCode.NoAuth
    switch (request.op) {
      case OpCode.GetData:
        if (request.isWatching) this.#watch(connection, request, WatchKind.Data)
        tree.dataInto(znode, w)
        tree.statInto(znode, w)
        break
      case OpCode.GetAllChildrenNumber:
        connection.stepZnodes += this.#countDescendants(w, znode, {
          isEmptyPath: request.pathFrom === request.pathTo,
        })
        break
      default:
        if (request.isWatching) this.#watch(connection, request, WatchKind.Child)
        tree.childrenInto(znode, w)
        if (request.op === OpCode.GetChildren2) tree.statInto(znode, w)
    }
    return ErrorCode.Ok
  }

  /** The Java server counts by prefix, and the root itself begins with the empty path and a slash. */
  #countDescendants(w: Writer, znode: ZnodeId, { isEmptyPath }: { readonly isEmptyPath: boolean }): number {
    const count = this.#tree.descendantCount(znode)
    w.int32(isEmptyPath ? count + 1 : count)
    return count
  }

  #exists(w: Writer, connection: Connection, request: RequestView): ErrorCode {
    const { bytes, pathFrom, pathTo } = request
    if (pathFrom < 0) return ErrorCode.MarshallingError
    if (hasNul(bytes, pathFrom, pathTo)) return ErrorCode.BadArguments
    const znode = this.#tree.find(request, pathFrom, pathTo)
    if (znode !== 0 && !this.#may(connection, znode, permOf(OpCode.Exists))) return ErrorCode.NoAuth
    if (request.isWatching) this.#watch(connection, request, WatchKind.Data)
    if (znode === 0) return ErrorCode.NoNode
    this.#tree.statInto(znode, w)
    return ErrorCode.Ok
  }

  #getAcl(w: Writer, connection: Connection, request: RequestView): ErrorCode {
    const tree = this.#tree
    if (request.pathFrom < 0) return ErrorCode.MarshallingError
    const znode = tree.find(request, request.pathFrom, request.pathTo)
    if (znode === 0) return ErrorCode.NoNode
    if (!this.#may(connection, znode, permOf(OpCode.GetAcl))) return ErrorCode.NoAuth
    const acl: readonly Acl[] = tree.acls.entries(tree.acl(znode))
    writeAclList(w, this.#may(connection, znode, Perm.Admin) ? acl : redactAcl(acl))
    tree.statInto(znode, w)
    return ErrorCode.Ok
  }

  /**
   * Each op on its own; all see one state. A reply that would pass the limit is refused before it is built.
   *
   * The Java server has begun its answer by the time it finds an op that is a write, or that has no path: what it has
   * by then goes out next to the error.
   */
  #multiRead(w: Writer, start: number, connection: Connection, request: RequestView): void {
    const { bodyFrom, bodyTo } = request
    let isOfWrites: boolean | undefined
    const count = countOps(request, (view, op) => {
      const isRead = op === OpCode.GetData || op === OpCode.GetChildren
      isOfWrites ??= !isRead
      return isRead ? !isOfWrites : isOfWrites && isMultiWrite(view, op)
    })
    if (count < 0) return refuse(w, start, ErrorCode.MarshallingError)
    let isBad = isOfWrites === true
    const most = w.at + this.#config.maxMultiReadReplyBytes
    let at = bodyFrom
    for (let i = 0; i < count && !isBad; i++) {
      const op = request.readMultiHeader(at, bodyTo) as number
      request.readBody(op, request.at, bodyTo)
      at = request.at
      isBad = request.pathFrom < 0
      if (!isBad && !this.#subRead(w, connection, request, { op, most })) {
        return refuse(w, start, ErrorCode.MarshallingError)
      }
    }
    writeResultsEnd(w)
    if (isBad) refuseWithBody(w, start, ErrorCode.MarshallingError)
    else endReply(w, start)
  }

  /** @returns false if it would bring the reply beyond `most` */
  #subRead(
    w: Writer,
    connection: Connection,
    request: RequestView,
    { op, most }: { readonly op: number; readonly most: number },
  ): boolean {
    const tree = this.#tree
    const znode = tree.find(request, request.pathFrom, request.pathTo)
    if (znode === 0) writeErrorResult(w, ErrorCode.NoNode)
    else if (!this.#may(connection, znode, Perm.Read)) writeErrorResult(w, ErrorCode.NoAuth)
    else {
      const size = op === OpCode.GetData ? tree.dataLength(znode) : tree.childrenBytes(znode)
      if (w.at + size > most) return false
      writeResultHead(w, op, ErrorCode.Ok)
      if (op === OpCode.GetData) {
        tree.dataInto(znode, w)
        tree.statInto(znode, w)
      } else tree.childrenInto(znode, w)
    }
    return true
  }

  /** Of the calling session, by plain string prefix. */
  #getEphemerals(w: Writer, connection: Connection, request: RequestView): ErrorCode {
    const tree = this.#tree
    const id = connection.session?.id ?? (0n as SessionId)
    const countAt = w.at
    w.int32(0)
    let count = 0
    const isAll = isPrefixOfAll(request)
    for (const znode of tree.ephemeralsOf(highWord(id), lowWord(id))) {
      const at = w.at
      tree.pathInto(znode, w)
      if (isAll || hasPrefix(w, at + 4, request)) count++
      else w.at = at
    }
    w.view.setInt32(countAt, count)
    return ErrorCode.Ok
  }

  #may(connection: Connection, znode: ZnodeId, perm: number): boolean {
    return isPermitted(
      this.#config.auth,
      connection.askerIds,
      this.#tree.acls.entries(this.#tree.acl(znode)),
      perm,
    )
  }

  #watch(connection: Connection, request: RequestView, kind: WatchKind): void {
    this.#tree.watches.add(connection.slot, request, request.pathFrom, request.pathTo, kind)
  }
}

/** Null, blank, and a slash among blanks; blank is what String.trim of Java takes away. */
function isPrefixOfAll({ bytes, pathFrom, pathTo }: RequestView): boolean {
  let from = pathFrom
  let to = pathTo
  while (from < to && (bytes[from] as number) <= 0x20) from++
  while (from < to && (bytes[to - 1] as number) <= 0x20) to--
  return from === to || (to - from === 1 && bytes[from] === slash)
}

/** Of text: a prefix that ends within a character of the path is none. */
function hasPrefix(w: Writer, at: number, request: RequestView): boolean {
  const { bytes, pathFrom, pathTo } = request
  const length = pathTo - pathFrom
  if (w.at - at < length) return false
  for (let i = 0; i < length; i++) if (w.bytes[at + i] !== bytes[pathFrom + i]) return false
  return w.at - at === length || ((w.bytes[at + length] as number) & 0xc0) !== 0x80
}
