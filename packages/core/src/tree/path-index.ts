/**
 * Numbers by raw bytes, with a copy of the keys in an arena: roots of quotas and watches on paths that do not exist by
 * path, ACLs by their vector. The tree's own index keeps no keys, because the names are in the tree.
 *
 *   entry in the arena:  value(4) | length(4) | next(4) | tag(4) | key
 *
 * An entry is referred to by its place in the arena, which stays until the entry is removed. Those whose tags, hashes
 * of the keys, end alike hang in one chain. There are as many chains as there ever were entries: each new entry beyond
 * divides one chain in two, in a fixed order, so that nothing is ever rehashed in one step (linear hashing) and the
 * index costs 12 bytes an entry at any size.
 */
import { copyBytes, type Space, type Writer } from '@corral/protocol'
import type { Arena } from './arena.ts'
import { equalBytes, hashBytes } from './raw-bytes.ts'
import { SparseColumn } from './slab.ts'

const lengthAt = 4
const nextAt = 8
const tagAt = 12
const headBytes = 16

export class PathIndex {
  readonly #arena: Arena
  readonly #seed: number
  /** First entry of each chain. */
  readonly #heads = new SparseColumn()
  #chainCount = 1
  /** The least of the form 2^n - 1 that has all numbers of chains. */
  #mask = 0
  #count = 0

  /** @param given - `seed` from a random generator; the arena may be shared */
  constructor(given: { readonly seed: number; readonly arena: Arena }) {
    this.#seed = given.seed
    this.#arena = given.arena
  }

  get count(): number {
    return this.#count
  }

  /** Bytes of the chains' heads; the entries are counted in the arena. */
  get sizeBytes(): number {
    return this.#heads.sizeBytes
  }

  /** @returns the number put there, or -1 */
  get(source: Space, from: number, to: number): number {
    if (this.#count === 0) return -1
    const entry = this.entry(source, from, to)
    return entry === 0 ? -1 : this.valueOf(entry)
  }

  /** Replaces what was there. @param value - 0 or more */
  put(source: Space, from: number, to: number, value: number): void {
    const entry = this.entry(source, from, to)
    if (entry === 0) this.insert(source, from, to, value)
    else this.setValueOf(entry, value)
  }

  /** @returns whether it was there */
  delete(source: Space, from: number, to: number): boolean {
    if (this.#count === 0) return false
    const entry = this.entry(source, from, to)
    if (entry === 0) return false
    this.removeEntry(entry)
    return true
  }

  /** @returns the entry's reference, or 0 */
  entry(source: Space, from: number, to: number): number {
    const tag = hashBytes(source, from, to, this.#seed)
    for (let entry = this.#heads.get(this.#chainOf(tag)); entry !== 0; entry = this.#word(entry, nextAt)) {
      if (this.#word(entry, tagAt) === tag && this.isKey(entry, source, from, to)) return entry
    }
    return 0
  }

  /** Adds a key that is not there yet. @returns the entry's reference */
  insert(source: Space, from: number, to: number, value: number): number {
    const entry = this.#arena.allocate(headBytes + to - from)
    const space = this.#arena.space(entry)
    const at = this.#arena.offset(entry)
    const tag = hashBytes(source, from, to, this.#seed)
    space.view.setInt32(at, value)
    space.view.setInt32(at + lengthAt, to - from)
    space.view.setInt32(at + tagAt, tag)
    copyBytes(source, from, to, space, at + headBytes)
    this.#count++
    if (this.#count > this.#chainCount) this.#divideChain()
    this.#link(entry, this.#chainOf(tag))
    return entry
  }

  valueOf(entry: number): number {
    return this.#word(entry, 0)
  }

  setValueOf(entry: number, value: number): void {
    this.#setWord(entry, 0, value)
  }

  keyLength(entry: number): number {
    return this.#word(entry, lengthAt)
  }

  /** Writes the key's bytes, without a length. */
  keyInto(entry: number, out: Writer): void {
    const from = this.#arena.offset(entry) + headBytes
    out.raw(this.#arena.space(entry), from, from + this.keyLength(entry))
  }

  /** Whether the entry's key is just these bytes. */
  isKey(entry: number, source: Space, from: number, to: number): boolean {
    if (this.keyLength(entry) !== to - from) return false
    return equalBytes(
      source,
      from,
      this.#arena.space(entry),
      this.#arena.offset(entry) + headBytes,
      to - from,
    )
  }

  removeEntry(entry: number): void {
    const chain = this.#chainOf(this.#word(entry, tagAt))
    const after = this.#word(entry, nextAt)
    let before = this.#heads.get(chain)
    if (before === entry) this.#heads.set(chain, after)
    else {
      while (this.#word(before, nextAt) !== entry) before = this.#word(before, nextAt)
      this.#setWord(before, nextAt, after)
    }
    this.#count--
    this.#arena.release(entry, headBytes + this.keyLength(entry))
  }

  #chainOf(tag: number): number {
    const chain = tag & this.#mask
    return chain < this.#chainCount ? chain : chain & (this.#mask >>> 1)
  }

  /** The next chain in turn gives the new one the entries whose tags have one bit more. */
  #divideChain(): void {
    const added = this.#chainCount++
    if (added > this.#mask) this.#mask = 2 * this.#mask + 1
    const divided = added & (this.#mask >>> 1)
    let entry = this.#heads.get(divided)
    this.#heads.set(divided, 0)
    while (entry !== 0) {
      const after = this.#word(entry, nextAt)
      this.#link(entry, this.#chainOf(this.#word(entry, tagAt)))
      entry = after
    }
  }

  #link(entry: number, chain: number): void {
    this.#setWord(entry, nextAt, this.#heads.get(chain))
    this.#heads.set(chain, entry)
  }

  #word(entry: number, at: number): number {
    return this.#arena.space(entry).view.getInt32(this.#arena.offset(entry) + at)
  }

  #setWord(entry: number, at: number, value: number): void {
    this.#arena.space(entry).view.setInt32(this.#arena.offset(entry) + at, value)
  }
}
