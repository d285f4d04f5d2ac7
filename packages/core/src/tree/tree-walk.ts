/**
 * Writes the znodes of a tree as a snapshot holds them, in slices between which txns go on being applied.
 *
 * Pre-order, along first-child and next-sibling links, with one cursor: the znode to write next. When that znode is
 * removed the tree moves the cursor on. New znodes become first children, so the cursor meets only those whose parent
 * it has not passed. Hence every parent is written before its children, no path twice, and every znode that exists
 * throughout is written once; what came or went meanwhile is put right by replaying the log over the snapshot.
 *
 *   record:  path length | path (the root: empty) | data length | data | ACL id(8) | StatPersisted(60)
 */
import type { Writer } from '@corral/protocol'
import { type AclTable, OpenAcl } from './acl-table.ts'
import { RootId, type ZnodeId } from './znode-rows.ts'
import type { Znodes } from './znodes.ts'

export class TreeWalk {
  readonly #znodes: Znodes
  readonly #acls: AclTable
  readonly #walks: Set<TreeWalk>
  #next: ZnodeId = RootId

  /** @param given - `walks`: those the tree moves on */
  constructor(given: { readonly znodes: Znodes; readonly acls: AclTable; readonly walks: Set<TreeWalk> }) {
    this.#znodes = given.znodes
    this.#acls = given.acls
    this.#walks = given.walks
    this.#walks.add(this)
    this.#acls.freeze()
  }

  /**
   * Writes the next znodes, at least one.
   *
   * @param maxBytes - the slice ends with the znode that reaches it
   * @returns true when all are written
   */
  nextInto(out: Writer, maxZnodes: number, maxBytes: number): boolean {
    const start = out.at
    for (let written = 0; written < maxZnodes && this.#next !== 0; written++) {
      this.#writeZnode(this.#next, out)
      this.#next = this.#znodes.after(this.#next, RootId)
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

  #writeZnode(id: ZnodeId, out: Writer): void {
    if (id === RootId) out.int32(0)
    else this.#znodes.pathInto(id, out)
    this.#znodes.dataInto(id, out)
    const acl = this.#znodes.rows.acl(id)
    if (acl === OpenAcl) out.words(-1, -1)
    else out.words(0, acl)
    this.#znodes.persistedStatInto(id, out)
  }
}
