/**
 * Numbers by raw bytes, with a copy of the keys in an arena: roots of quotas and watches on paths that do not exist by
 * path, ACLs by their vector. The tree's own index keeps no keys, because the names are in the tree.
 *
 *   entry in the arena:  value(4) | length(4) | key
 *
 * An entry is referred to by its place in the arena, which stays until the entry is removed.
 */
import { copyBytes, type Space, type Writer } from '@corral/protocol'
import { Arena } from './arena.ts'
import { equalBytes, hashBytes } from './raw-bytes.ts'
import { TagTable } from './tag-table.ts'

const headBytes = 8

export class PathIndex {
  readonly #arena: Arena
  readonly #seed: number
  readonly #table = new TagTable()

  /** @param given - `seed` from a random generator; `arena` to share one */
  constructor(given: { readonly seed: number; readonly arena?: Arena }) {
    this.#seed = given.seed
    this.#arena = given.arena ?? new Arena()
  }

  get count(): number {
    return this.#table.count
  }

  /** Bytes of the table; the keys are counted in the arena. */
  get sizeBytes(): number {
    return this.#table.sizeBytes
  }

  /** @returns the number put there, or -1 */
  get(source: Space, from: number, to: number): number {
    if (this.#table.count === 0) return -1
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
    if (this.#table.count === 0) return false
    const entry = this.entry(source, from, to)
    if (entry === 0) return false
    this.removeEntry(entry)
    return true
  }

  /** @returns the entry's reference, or 0 */
  entry(source: Space, from: number, to: number): number {
    const tag = hashBytes(source, from, to, this.#seed)
    const length = to - from
    for (let slot = this.#table.first(tag); slot >= 0; slot = this.#table.next(slot, tag)) {
      const entry = this.#table.valueAt(slot)
      const space = this.#arena.space(entry)
      const at = this.#arena.offset(entry)
      if (space.view.getInt32(at + 4) !== length) continue
      if (equalBytes(source, from, space, at + headBytes, length)) return entry
    }
    return 0
  }

  /** Adds a key that is not there yet. @returns the entry's reference */
  insert(source: Space, from: number, to: number, value: number): number {
    const entry = this.#arena.allocate(headBytes + to - from)
    const space = this.#arena.space(entry)
    const at = this.#arena.offset(entry)
    space.view.setInt32(at, value)
    space.view.setInt32(at + 4, to - from)
    copyBytes(source, from, to, space, at + headBytes)
    this.#table.add(hashBytes(source, from, to, this.#seed), entry)
    return entry
  }

  valueOf(entry: number): number {
    return this.#arena.space(entry).view.getInt32(this.#arena.offset(entry))
  }

  setValueOf(entry: number, value: number): void {
    this.#arena.space(entry).view.setInt32(this.#arena.offset(entry), value)
  }

  keyLength(entry: number): number {
    return this.#arena.space(entry).view.getInt32(this.#arena.offset(entry) + 4)
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
    const space = this.#arena.space(entry)
    const from = this.#arena.offset(entry) + headBytes
    const length = this.keyLength(entry)
    const tag = hashBytes(space, from, from + length, this.#seed)
    let slot = this.#table.first(tag)
    while (this.#table.valueAt(slot) !== entry) slot = this.#table.next(slot, tag)
    this.#table.removeAt(slot)
    this.#arena.release(entry, headBytes + length)
  }
}
