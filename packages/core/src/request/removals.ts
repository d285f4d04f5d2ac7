/**
 * Znodes that go: the change itself, and the two removals that nobody's permission is asked for: containers and TTL
 * znodes that the reaper found, and the ephemerals of a session that ends.
 *
 * Source: PrepRequestProcessor in the Java server, cases deleteContainer and closeSession.
 */
import { ErrorCode, type Space, type Writer } from '@corral/protocol'
import type { Session } from '../session/sessions.ts'
import type { DataTree, ZnodeId } from '../tree/data-tree.ts'
import { lastSlash } from '../tree/raw-bytes.ts'
import { ZnodeKind } from '../tree/znodes.ts'
import { kindOf, type Pending, type PendingZnode, StatWord } from './pending.ts'
import type { TxnPlace } from './txn-place.ts'

export class Removals {
  readonly #tree: DataTree
  readonly #pending: Pending
  readonly #place: TxnPlace
  readonly #isTtlEnabled: boolean

  constructor(given: {
    readonly tree: DataTree
    readonly pending: Pending
    readonly place: TxnPlace
    readonly isTtlEnabled: boolean
  }) {
    this.#tree = given.tree
    this.#pending = given.pending
    this.#place = given.place
    this.#isTtlEnabled = given.isTtlEnabled
  }

  /** The change itself: everything is checked by now. */
  remove(parent: PendingZnode, znode: PendingZnode): void {
    const pending = this.#pending
    pending.touch(parent)
    parent.childCount--
    pending.setPzxid(parent, this.#place.zxidHigh, this.#place.zxidLow)
    pending.touch(znode)
    pending.remove(znode)
  }

  /**
   * A container or TTL znode that the reaper found: everything is checked again.
   *
   * @param path - whole
   */
  prepareReap(w: Writer, path: Space): ErrorCode {
    const pending = this.#pending
    const lengthBytes = path.bytes.length
    const cut = lastSlash(path.bytes, 0, lengthBytes)
    if (cut < 0) return ErrorCode.BadArguments
    const parent = pending.get(path, 0, cut)
    const znode = pending.get(path, 0, lengthBytes)
    if (!parent.exists || !znode.exists) return ErrorCode.NoNode
    if (znode.childCount > 0) return ErrorCode.NotEmpty
    const kind = kindOf(znode, this.#isTtlEnabled)
    if (kind !== ZnodeKind.Container && kind !== ZnodeKind.Ttl) return ErrorCode.BadVersion
    // Found by what was applied, and changed since, or made anew: a later check will see.
    if (znode.write !== 0) return ErrorCode.BadVersion
    this.remove(parent, znode)
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
    pending.forEachNewEphemeral(znode => {
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
        parentId = tree.parent(id)
        parent = pending.get(w, from + 4, lastSlash(w.bytes, from + 4, w.at))
        pending.touch(parent)
        pending.setPzxid(parent, this.#place.zxidHigh, this.#place.zxidLow)
      }
      parent.childCount--
      pending.digest.subtract(tree.digestOf(id))
      count++
    }
    return count
  }

  /** @returns 1, or 0 if there will be no such znode of the session's */
  #removeRecorded(w: Writer, session: Session, path: Space, pathBytes: number): number {
    const pending = this.#pending
    const znode = pending.get(path, 0, pathBytes)
    if (!znode.exists || !isOwner(znode, session)) return 0
    this.remove(pending.get(path, 0, lastSlash(path.bytes, 0, pathBytes)), znode)
    w.int32(pathBytes)
    w.raw(path, 0, pathBytes)
    return 1
  }
}

function isOwner(znode: PendingZnode, session: Session): boolean {
  return znode.stat[StatWord.Owner] === session.high && znode.stat[StatWord.Owner + 1] === session.low
}
