/**
 * The lists of children as getChildren answers them: count, then length | name for each, in no order that clients
 * may rely on. Lists that took many steps to collect are kept, encoded, until a child comes or goes.
 */
import { copyBytes, makeSpace, type Space, Writer } from '@corral/protocol'
import { Flag, Row, type ZnodeId } from './znode-rows.ts'
import type { Znodes } from './znodes.ts'

/** Shorter lists are collected anew each time. */
const smallestCached = 32
/** All cached lists together; the oldest go first. */
const maxCachedBytes = 64 * 1024 * 1024
/** When some have to go: the search for the oldest has to pass all places of the map that were given up before. */
const keptBytes = 56 * 1024 * 1024
/** Working memory above this is not kept. */
const maxScratchBytes = 1024 * 1024

export class ChildLists {
  readonly #znodes: Znodes
  readonly #cached = new Map<ZnodeId, Space>()
  #cachedBytes = 0
  readonly #scratch = new Writer()

  constructor(znodes: Znodes) {
    this.#znodes = znodes
  }

  get sizeBytes(): number {
    return this.#cachedBytes
  }

  writeInto(id: ZnodeId, out: Writer): void {
    if (this.#znodes.rows.get(id, Row.childCount) < smallestCached) return this.#collectInto(id, out)
    const list = this.#cachedList(id)
    if (list === undefined) this.#collectInto(id, out)
    else out.raw(list, 0, list.bytes.length)
  }

  /** Exactly the bytes that {@link writeInto} would write. */
  lengthOf(id: ZnodeId): number {
    const list = this.#znodes.rows.get(id, Row.childCount) < smallestCached ? undefined : this.#cachedList(id)
    if (list !== undefined) return list.bytes.length
    let length = 4
    for (let child = this.#first(id); child !== 0; child = this.#next(child)) {
      length += 4 + this.#znodes.nameLength(child)
    }
    return length
  }

  /** A child came or went. */
  drop(id: ZnodeId): void {
    const list = this.#cached.get(id)
    if (list === undefined) return
    this.#cached.delete(id)
    this.#cachedBytes -= list.bytes.length
    this.#znodes.rows.dropFlags(id, Flag.CachedChildren)
  }

  #cachedList(id: ZnodeId): Space | undefined {
    const known = this.#cached.get(id)
    if (known !== undefined) return known
    const scratch = this.#scratch
    scratch.at = 0
    this.#collectInto(id, scratch)
    const length = scratch.at
    if (length > maxCachedBytes) {
      scratch.attach(makeSpace(256), 0)
      return undefined
    }
    if (this.#cachedBytes + length > maxCachedBytes) this.#dropOldest(length)
    const list = makeSpace(length)
    copyBytes(scratch, 0, length, list, 0)
    if (scratch.bytes.length > maxScratchBytes) scratch.attach(makeSpace(256), 0)
    this.#cached.set(id, list)
    this.#cachedBytes += length
    this.#znodes.rows.addFlags(id, Flag.CachedChildren)
    return list
  }

  #dropOldest(length: number): void {
    for (const oldest of this.#cached.keys()) {
      if (this.#cachedBytes + length <= keptBytes) return
      this.drop(oldest)
    }
  }

  #collectInto(id: ZnodeId, out: Writer): void {
    const znodes = this.#znodes
    out.int32(znodes.rows.get(id, Row.childCount))
    for (let child = this.#first(id); child !== 0; child = this.#next(child)) {
      const content = znodes.rows.get(child, Row.content)
      const block = znodes.arena.space(content)
      const at = znodes.arena.offset(content)
      // Name length and name lie in the arena as they go out.
      out.raw(block, at, at + 4 + block.view.getInt32(at))
    }
  }

  #first(id: ZnodeId): ZnodeId {
    return this.#znodes.rows.get(id, Row.firstChild)
  }

  #next(child: ZnodeId): ZnodeId {
    return this.#znodes.rows.get(child, Row.nextSibling)
  }
}
