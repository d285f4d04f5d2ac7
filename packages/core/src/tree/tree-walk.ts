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
import { Writer } from '@corral/protocol'
import { type AclTable, OpenAcl } from './acl-table.ts'
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
    this.#parent = 0 // ids may have been given out again since the last slice
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
    else this.#writePath(id, out)
    this.#znodes.dataInto(id, out)
    const acl = this.#znodes.rows.acl(id)
    if (acl === OpenAcl) out.words(-1, -1)
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
