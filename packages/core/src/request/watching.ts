/** The requests about watches, and the delivery of events. A watch belongs to its connection, not to the session. */
import {
  AddWatchMode,
  ErrorCode,
  EventType,
  KeeperState,
  OpCode,
  Perm,
  type RequestView,
  WatcherType,
  Writer,
} from '@corral/protocol'
import type { ServerConfig } from '../config.ts'
import { type Connection, isTired } from '../session/connection.ts'
import type { Outbox } from '../session/outbox.ts'
import type { DataTree } from '../tree/data-tree.ts'
import type { FiredWatches } from '../tree/fired-watches.ts'
import { WatchKind } from '../tree/watch-table.ts'
import type { ZnodeId } from '../tree/znode-rows.ts'
import { isPermitted } from './authorize.ts'

/** The lists of setWatches in wire order, and those that setWatches2 adds. */
const lists = ['data', 'exist', 'child', 'persistent', 'recursive'] as const
type List = (typeof lists)[number]

/** Of a step's znodes that one path of setWatches uses up, besides its length. */
const watchCost = 8

/** Does a request with this opcode set watches again? Such requests go through the connection's backlog. */
export function isReplay(op: number): boolean {
  return op === OpCode.SetWatches || op === OpCode.SetWatches2
}

export class Watching {
  readonly #config: ServerConfig
  readonly #tree: DataTree
  readonly #outbox: Outbox
  readonly #connectionAt: (slot: number) => Connection | undefined
  readonly #sent: (connection: Connection) => void
  readonly #event: Writer = new Writer()

  constructor(given: {
    readonly config: ServerConfig
    readonly tree: DataTree
    readonly outbox: Outbox
    connectionAt(slot: number): Connection | undefined
    /** A packet was written for this connection. */
    sent(connection: Connection): void
  }) {
    this.#config = given.config
    this.#tree = given.tree
    this.#outbox = given.outbox
    this.#connectionAt = given.connectionAt
    this.#sent = given.sent
  }

  /**
   * After a reconnect: each watch either fires at once for what the client missed, or is set again. The events go out
   * before the reply, so this comes before the reply is begun.
   *
   * Done in parts: the first request of the connection's backlog, it counts there the paths that are done, and goes on
   * behind them when it is called again. Txns may be applied in between. A path whose turn comes later is judged by
   * what its znode is then, so nothing is missed, and one whose watch is set is told as usual, so nothing comes twice.
   *
   * @returns `unfinished` when the connection has had its share of the step
   */
  setWatches(connection: Connection, request: RequestView): ErrorCode | 'unfinished' {
    const { view, bodyFrom, bodyTo } = request
    const { backlog } = connection
    const count = request.op === OpCode.SetWatches ? 3 : 5
    if (bodyTo - bodyFrom < 8 || !areLists(view, bodyFrom + 8, bodyTo, count))
      return ErrorCode.MarshallingError
    let done = backlog.partsDone
    let at = bodyFrom + 8
    for (const list of lists.slice(0, count)) {
      const length = view.getInt32(at)
      at += 4
      for (let i = 0; i < length; i++) {
        const pathFrom = at + 4
        at = pathFrom + view.getInt32(at)
        if (done-- > 0) continue
        if (isTired(connection)) return 'unfinished'
        this.#setWatch(connection, request, { list, pathFrom, pathTo: at })
        backlog.partsDone++
        connection.stepZnodes += watchCost + ((at - pathFrom) >> 2)
      }
    }
    return ErrorCode.Ok
  }

  #setWatch(
    connection: Connection,
    request: RequestView,
    watch: { readonly list: List; readonly pathFrom: number; readonly pathTo: number },
  ): void {
    const { list, pathFrom, pathTo } = watch
    const znode = this.#tree.find(request, pathFrom, pathTo)
    const seenFrom = request.bodyFrom
    const seenHigh = request.view.getInt32(seenFrom)
    const missed = this.#missed(list, znode, seenHigh, request.view.getInt32(seenFrom + 4))
    if (missed === undefined) this.#tree.watches.add(connection.slot, request, pathFrom, pathTo, kindOf[list])
    else this.#replay(connection, request, { type: missed, znode, pathFrom, pathTo })
  }

  /** @param w - the reply, begun */
  answer(w: Writer, connection: Connection, request: RequestView): ErrorCode {
    switch (request.op) {
      case OpCode.AddWatch:
        return this.#addWatch(w, connection, request)
      default:
        return this.#find(connection, request)
    }
  }

  /**
   * Sends the events of an applied txn to everybody who watches and may read the znode. A one-shot watch is spent
   * all the same when its event is withheld.
   */
  deliver(fired: FiredWatches, zxidHigh: number, zxidLow: number): void {
    for (let i = 0; i < fired.eventCount; i++) {
      const acl = this.#tree.acls.entries(fired.aclOf(i))
      this.#encode(fired.typeOf(i), zxidHigh, zxidLow)
      this.#event.int32(fired.pathTo(i) - fired.pathFrom(i))
      this.#event.raw(fired.space, fired.pathFrom(i), fired.pathTo(i))
      this.#event.endFrame(0)
      for (let s = fired.slotsFrom(i); s < fired.slotsTo(i); s++) {
        const connection = this.#connectionAt(fired.slots[s] as number)
        if (connection === undefined || !isPermitted(this.#config.auth, connection.ids, acl, Perm.Read))
          continue
        this.#outbox.append(connection, this.#event, 0, this.#event.at)
        this.#sent(connection)
      }
    }
  }

  #addWatch(w: Writer, connection: Connection, request: RequestView): ErrorCode {
    if (request.pathFrom < 0) return ErrorCode.MarshallingError
    const kind =
      request.flags === AddWatchMode.Persistent
        ? WatchKind.Persistent
        : request.flags === AddWatchMode.PersistentRecursive
          ? WatchKind.Recursive
          : undefined
    if (kind === undefined) return ErrorCode.MarshallingError
    this.#tree.watches.add(connection.slot, request, request.pathFrom, request.pathTo, kind)
    w.int32(ErrorCode.Ok) // an ErrorResponse, of all things
    return ErrorCode.Ok
  }

  #find(connection: Connection, request: RequestView): ErrorCode {
    const { pathFrom, pathTo, flags } = request
    if (flags < WatcherType.Children || flags > WatcherType.PersistentRecursive) {
      return ErrorCode.MarshallingError
    }
    if (pathFrom < 0) return ErrorCode.NoWatcher
    const { watches } = this.#tree
    const isFound =
      request.op === OpCode.CheckWatches
        ? watches.has(connection.slot, request, pathFrom, pathTo, flags as WatcherType)
        : watches.remove(connection.slot, request, pathFrom, pathTo, flags as WatcherType)
    return isFound ? ErrorCode.Ok : ErrorCode.NoWatcher
  }

  /** The event that the client has missed since the zxid it saw last, if any. */
  #missed(list: List, znode: ZnodeId, seenHigh: number, seenLow: number): EventType | undefined {
    const tree = this.#tree
    switch (list) {
      case 'exist':
        return znode === 0 ? undefined : EventType.NodeCreated
      case 'data':
        if (znode === 0) return EventType.NodeDeleted
        return isAfter(tree.mzxidHigh(znode), tree.mzxidLow(znode), seenHigh, seenLow)
          ? EventType.NodeDataChanged
          : undefined
      case 'child':
        if (znode === 0) return EventType.NodeDeleted
        return isAfter(tree.pzxidHigh(znode), tree.pzxidLow(znode), seenHigh, seenLow)
          ? EventType.NodeChildrenChanged
          : undefined
      default:
        return undefined
    }
  }

  #replay(
    connection: Connection,
    request: RequestView,
    event: {
      readonly type: EventType
      readonly znode: ZnodeId
      readonly pathFrom: number
      readonly pathTo: number
    },
  ): void {
    const tree = this.#tree
    if (event.znode !== 0) {
      const acl = tree.acls.entries(tree.acl(event.znode))
      if (!isPermitted(this.#config.auth, connection.ids, acl, Perm.Read)) return
    }
    this.#encode(event.type, -1, -1)
    this.#event.int32(event.pathTo - event.pathFrom)
    this.#event.raw(request, event.pathFrom, event.pathTo)
    this.#event.endFrame(0)
    this.#outbox.append(connection, this.#event, 0, this.#event.at)
    this.#sent(connection)
  }

  /** xid -1 | zxid | err 0 | type | state, after room for the length; the path follows. */
  #encode(type: number, zxidHigh: number, zxidLow: number): void {
    const w = this.#event
    w.at = 0
    w.beginFrame()
    w.int32(-1)
    w.words(zxidHigh, zxidLow)
    w.int32(ErrorCode.Ok)
    w.int32(type)
    w.int32(KeeperState.SyncConnected)
  }
}

const kindOf: Readonly<Record<List, WatchKind>> = {
  data: WatchKind.Data,
  exist: WatchKind.Data,
  child: WatchKind.Child,
  persistent: WatchKind.Persistent,
  recursive: WatchKind.Recursive,
}

function isAfter(high: number, low: number, seenHigh: number, seenLow: number): boolean {
  return high === seenHigh ? low >>> 0 > seenLow >>> 0 : high > seenHigh
}

/** Are there `count` vectors of non-null strings between `at` and `to`? */
function areLists(view: DataView, from: number, to: number, count: number): boolean {
  let at = from
  for (let list = 0; list < count; list++) {
    if (to - at < 4) return false
    const length = view.getInt32(at)
    at += 4
    if (length === -1) return false
    for (let i = 0; i < length; i++) {
      if (to - at < 4) return false
      const bytes = view.getInt32(at)
      at += 4
      if (bytes < 0 || bytes > to - at) return false
      at += bytes
    }
  }
  return true
}
