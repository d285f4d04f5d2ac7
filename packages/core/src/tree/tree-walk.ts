/**
 * Writes the ACLs and znodes of a tree as a snapshot holds them, in slices between which txns go on being applied.
 *
 * The ACLs come first: the numbers that the table has given out when the walk begins stay as they are until it ends.
 *
 * Pre-order, along first-child and next-sibling links, with one cursor: the znode to write next. When that znode is
 * removed the tree moves the cursor on. Hence every parent is written before its children, no path twice, and every
 * znode that exists throughout is written once; what came or went meanwhile is put right by replaying the log over the
 * snapshot.
 *
 * What was created since the walk began is passed over, and an ACL that came since is written as the open one until
 * replay sets it: no record refers to an ACL that the table, written before the znodes, does not have. The Java server
 * gives such a number to another list during replay, and the znode ends with a stranger's ACL (ZOOKEEPER-4689, 4846).
 *
 *   record:  path length | path (the root: empty) | data length | data | ACL id(8) | StatPersisted(60)
 */
import { Writer } from '@corral/protocol'
import { type AclIndex, type AclTable, OpenAcl } from './acl-table.ts'
import { isLess } from './raw-bytes.ts'
import { RootId, Row, type ZnodeId } from './znode-rows.ts'
import type { Znodes } from './znodes.ts'

const slash = 0x2f

export class TreeWalk {
  readonly #znodes: Znodes
  readonly #acls: AclTable
  readonly #walks: Set<TreeWalk>
  #next: ZnodeId = RootId
  /** Path of the last znode's parent: siblings follow each other. */
  readonly #prefix = new Writer()
  #parent: ZnodeId = 0
  readonly #startedHigh: number
  readonly #startedLow: number
  /** Numbers of ACLs that came since are not below this. */
  readonly #aclEnd: AclIndex
  readonly #aclCount: number
  /** The ACL to write next; 0 before the section begins. */
  #nextAcl: AclIndex = 0

  /** @param given - `walks`: those the tree moves on */
  constructor(given: {
    readonly znodes: Znodes
    readonly acls: AclTable
    readonly walks: Set<TreeWalk>
    readonly lastZxidHigh: number
    readonly lastZxidLow: number
  }) {
    this.#startedHigh = given.lastZxidHigh
    this.#startedLow = given.lastZxidLow
    this.#aclEnd = given.acls.end
    this.#aclCount = given.acls.count
    this.#znodes = given.znodes
    this.#acls = given.acls
    this.#walks = given.walks
    this.#walks.add(this)
    this.#acls.freeze()
  }

  /**
   * Writes the next part of the ACL section, count first: id(8) | vector for each. Comes before the znodes.
   *
   * @param maxAcls - at least 1; numbers that nobody has count as well
   * @param maxBytes - the slice ends with the ACL that reaches it
   * @returns true when all are written
   */
  aclsInto(out: Writer, maxAcls: number, maxBytes: number): boolean {
    if (this.#nextAcl === 0) {
      out.int32(this.#aclCount)
      this.#nextAcl = 1
    }
    const to = Math.min(this.#nextAcl + maxAcls, this.#aclEnd)
    this.#nextAcl = this.#acls.entriesInto(out, this.#nextAcl, to, maxBytes)
    return this.#nextAcl >= this.#aclEnd
  }

  /**
   * Writes the next znodes.
   *
   * @param maxZnodes - at least 1; those passed over count as well
   * @param maxBytes - the slice ends with the znode that reaches it
   * @returns true when all are written
   */
  nextInto(out: Writer, maxZnodes: number, maxBytes: number): boolean {
    const start = out.at
    this.#parent = 0 // ids may have been given out again since the last slice
    for (let met = 0; met < maxZnodes && this.#next !== 0; met++) {
      const id = this.#next
      if (this.#isNew(id)) {
        this.#next = this.#znodes.afterSubtree(id, RootId)
        continue
      }
      this.#writeZnode(id, out)
      this.#next = this.#znodes.after(id, RootId)
      if (out.at - start >= maxBytes) break
    }
    return this.#next === 0
  }

  /** Must be called once, however far the walk came. */
  close(): void {
    if (this.#walks.delete(this)) this.#acls.thaw()
  }

  /** The tree is about to remove this znode, which has no children. */
  leave(id: ZnodeId): void {
    if (id === this.#next) this.#next = this.#znodes.afterSubtree(id, RootId)
  }

  /** Then so is all that is below it. */
  #isNew(id: ZnodeId): boolean {
    const { rows } = this.#znodes
    return isLess(this.#startedHigh, this.#startedLow, rows.get(id, Row.czxid), rows.get(id, Row.czxid + 4))
  }

  #writeZnode(id: ZnodeId, out: Writer): void {
    if (id === RootId) out.int32(0)
    else this.#writePath(id, out)
    this.#znodes.dataInto(id, out)
    const acl = this.#znodes.rows.acl(id)
    if (acl === OpenAcl || acl >= this.#aclEnd) out.words(-1, -1)
    else out.words(0, acl)
    this.#znodes.persistedStatInto(id, out)
  }

  #writePath(id: ZnodeId, out: Writer): void {
    const znodes = this.#znodes
    const prefix = this.#prefix
    const parent = znodes.rows.get(id, Row.parent)
    if (parent !== this.#parent) {
      prefix.at = 0
      znodes.rawPathInto(parent, prefix)
      prefix.byte(slash)
      this.#parent = parent
    }
    const nameLength = znodes.nameLength(id)
    const nameFrom = znodes.nameFrom(id)
    out.int32(prefix.at + nameLength)
    out.raw(prefix, 0, prefix.at)
    out.raw(znodes.space(id), nameFrom, nameFrom + nameLength)
  }
}
