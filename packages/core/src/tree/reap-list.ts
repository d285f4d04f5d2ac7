/**
 * Container and TTL znodes, and which of them may go.
 *
 * Source: ContainerManager in the Java server.
 */
import { grown } from '../lists.ts'
import { fromTimeWords } from './raw-bytes.ts'
import { SparseColumn } from './slab.ts'
import { Row, type ZnodeId } from './znode-rows.ts'
import { ZnodeKind, type Znodes } from './znodes.ts'

export class ReapList {
  readonly #znodes: Znodes
  #ids = new Int32Array(16)
  #count = 0
  /** Place in the list, counted from 1. */
  readonly #placeOf = new SparseColumn()
  /** Where the next search begins. */
  #cursor = 0

  constructor(znodes: Znodes) {
    this.#znodes = znodes
  }

  get count(): number {
    return this.#count
  }

  has(id: ZnodeId): boolean {
    return this.#placeOf.get(id) !== 0
  }

  add(id: ZnodeId): void {
    if (this.#count === this.#ids.length) this.#ids = grown(this.#ids)
    this.#ids[this.#count++] = id
    this.#placeOf.set(id, this.#count)
  }

  /** The last of the list takes the place. */
  remove(id: ZnodeId): void {
    const at = this.#placeOf.get(id)
    const moved = this.#ids[--this.#count] as number
    this.#ids[at - 1] = moved
    this.#placeOf.set(moved, at)
    this.#placeOf.set(id, 0)
  }

  /**
   * @param maxNeverUsedMs - containers that never had a child go after this time; 0 keeps them
   * @param limit - at most so many; the next call goes on behind the last znode looked at
   */
  candidates(nowMs: number, maxNeverUsedMs: number, limit: number): ZnodeId[] {
    const found: ZnodeId[] = []
    for (let looked = 0; looked < this.#count && found.length < limit; looked++) {
      if (this.#cursor >= this.#count) this.#cursor = 0
      const id = this.#ids[this.#cursor++] as number
      if (this.#mayGo(id, nowMs, maxNeverUsedMs)) found.push(id)
    }
    return found
  }

  #mayGo(id: ZnodeId, nowMs: number, maxNeverUsedMs: number): boolean {
    const view = this.#znodes.rows.view(id)
    const row = this.#znodes.rows.at(id)
    if (view.getInt32(row + Row.childCount) !== 0) return false
    const idleMs = nowMs - fromTimeWords(view.getInt32(row + Row.mtime), view.getInt32(row + Row.mtime + 4))
    if (this.#znodes.kind(id) === ZnodeKind.Ttl) {
      const ttlHigh = view.getInt32(row + Row.owner) & 0xff
      return idleMs > ttlHigh * 0x1_0000_0000 + view.getUint32(row + Row.owner + 4)
    }
    // The stored cversion counts creations of children.
    if (view.getInt32(row + Row.cversion) > 0) return true
    return maxNeverUsedMs > 0 && idleMs > maxNeverUsedMs
  }
}
