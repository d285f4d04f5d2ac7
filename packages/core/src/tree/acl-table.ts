/**
 * ACLs by number: each distinct list is kept once, as its wire bytes, with a count of the znodes that use it and of
 * whoever else holds it. Number 0 is the open ACL, which snapshots call -1 and which is in no table.
 *
 * A list that nobody uses any more stays readable until {@link AclTable.sweep}, which the tree calls before each txn:
 * the events of a delete are still checked against the deleted znode's ACL. While a snapshot is being written no
 * number is given out again: those below the end at its begin are the ones that the snapshot's table has.
 */
import { type Acl, openAcl, Reader, readAclList, type Space, Writer, writeAclList } from '@corral/protocol'
import { grown } from '../lists.ts'
import type { Arena } from './arena.ts'
import { PathIndex } from './path-index.ts'

/** 0 is the open ACL (world:anyone, all permissions). */
export type AclIndex = number

export const OpenAcl: AclIndex = 0

/** A row has 24 bits for the number of an ACL, and 0 is taken. */
const numbers = (1 << 24) - 1
/** For writes that are under way: one may have its list forgotten before its turn, and need a number again. */
const keptNumbers = 1 << 16
/** Lists that writes may bring the table to. */
export const mostAcls: number = numbers - keptNumbers

/** Only files of another server hold as many lists as make the table overflow. */
export class TooManyAcls extends Error {
  override readonly name: string = 'TooManyAcls'

  constructor() {
    super(`more than ${numbers} different ACLs`)
  }
}

/** Decoded lists kept for {@link AclTable.entries}, and entries in all of them: a frame holds a list of many thousand. */
const maxDecoded = 1024
const maxDecodedEntries = 64 * 1024

export class AclTable {
  readonly #index: PathIndex
  /** By number: place in the index (0: free), uses by znodes, holds of others. */
  #entries = new Int32Array(16)
  #uses = new Int32Array(16)
  #holds = new Int32Array(16)
  #end = 1
  #freed: number[] = []
  /** Numbers that may have become unused; while a snapshot is written, each may do so any number of times. */
  readonly #unused: Set<AclIndex> = new Set()
  #frozen = 0
  #last: AclIndex = OpenAcl
  readonly #decoded = new Map<AclIndex, readonly Acl[]>()
  #decodedEntries = 0
  readonly #open: Writer

  constructor(given: { readonly arena: Arena; readonly seed: number }) {
    this.#index = new PathIndex(given)
    this.#open = new Writer()
    writeAclList(this.#open, openAcl)
    this.#decoded.set(OpenAcl, openAcl)
  }

  /** Lists in the table, the open ACL not counted. */
  get count(): number {
    return this.#index.count
  }

  /** So many lists can be added. */
  room(): number {
    return numbers + 1 - this.#end + (this.#frozen === 0 ? this.#freed.length : 0)
  }

  /** Whether a write may have this list. @param from - as of {@link intern} */
  admits(source: Space, from: number, to: number): boolean {
    return (
      this.room() > keptNumbers || source.view.getInt32(from) === -1 || this.#index.get(source, from, to) >= 0
    )
  }

  /** Numbers are below this. */
  get end(): AclIndex {
    return this.#end
  }

  /**
   * The number of a list; a new list is added.
   *
   * @param from - start of the vector, count included; a null vector is the open ACL
   * @returns valid until the next {@link sweep} unless it is used or retained
   * @throws TooManyAcls
   */
  intern(source: Space, from: number, to: number): AclIndex {
    if (source.view.getInt32(from) === -1) return OpenAcl
    const last = this.#last
    if (last !== OpenAcl && this.#index.isKey(this.#entries[last] as number, source, from, to)) return last
    const entry = this.#index.entry(source, from, to)
    const index = entry === 0 ? this.#add(source, from, to) : this.#index.valueOf(entry)
    this.#last = index
    return index
  }

  /** One more znode has this ACL. */
  use(index: AclIndex): void {
    if (index !== OpenAcl) this.#uses[index] = (this.#uses[index] as number) + 1
  }

  unuse(index: AclIndex): void {
    if (index === OpenAcl) return
    const uses = (this.#uses[index] as number) - 1
    this.#uses[index] = uses
    if (uses === 0 && this.#holds[index] === 0) this.#unused.add(index)
  }

  /** Keeps a number for somebody who is not a znode; to be given back with {@link release}. */
  retain(index: AclIndex): void {
    if (index !== OpenAcl) this.#holds[index] = (this.#holds[index] as number) + 1
  }

  release(index: AclIndex): void {
    if (index === OpenAcl) return
    const holds = (this.#holds[index] as number) - 1
    this.#holds[index] = holds
    if (holds === 0 && this.#uses[index] === 0) this.#unused.add(index)
  }

  /** How many znodes have this ACL; 0 for the open one, which is not counted. */
  usesOf(index: AclIndex): number {
    return index === OpenAcl ? 0 : (this.#uses[index] as number)
  }

  isKnown(index: AclIndex): boolean {
    return index === OpenAcl || (index > 0 && index < this.#end && this.#entries[index] !== 0)
  }

  /** The list as objects; the same array each time while it is in memory. */
  entries(index: AclIndex): readonly Acl[] {
    const known = this.#decoded.get(index)
    if (known !== undefined) return known
    const out = new Writer()
    this.writeInto(index, out)
    const list: readonly Acl[] = readAclList(new Reader(out.bytes, 0, out.at)) ?? []
    if (this.#decoded.size >= maxDecoded || this.#decodedEntries + list.length > maxDecodedEntries) {
      this.#decoded.clear()
      this.#decoded.set(OpenAcl, openAcl)
      this.#decodedEntries = 0
    }
    this.#decoded.set(index, list)
    this.#decodedEntries += list.length
    return list
  }

  /** Writes the vector, count included. */
  writeInto(index: AclIndex, out: Writer): void {
    if (index === OpenAcl) out.raw(this.#open, 0, this.#open.at)
    else this.#index.keyInto(this.#entries[index] as number, out)
  }

  /**
   * Writes entries of a snapshot's ACL section, id(8) | vector each; the id is the number.
   *
   * @param to - numbers below this, from `from` on
   * @param maxBytes - ends with the list that reaches it
   * @returns the number to go on with; `to` when all are written
   */
  entriesInto(out: Writer, from: AclIndex, to: AclIndex, maxBytes: number): AclIndex {
    const start = out.at
    let index = from
    for (; index < to && out.at - start < maxBytes; index++) {
      if (this.#entries[index] === 0) continue
      out.words(0, index)
      this.writeInto(index, out)
    }
    return index
  }

  /** Numbers that the next {@link sweep} looks at. */
  get unusedCount(): number {
    return this.#unused.size
  }

  /** Forgets the lists that nobody uses. */
  sweep(): void {
    if (this.#unused.size === 0 || this.#frozen > 0) return
    for (const index of this.#unused) {
      if (this.#entries[index] === 0 || this.#uses[index] !== 0 || this.#holds[index] !== 0) continue
      this.#index.removeEntry(this.#entries[index] as number)
      this.#entries[index] = 0
      this.#decodedEntries -= this.#decoded.get(index)?.length ?? 0
      this.#decoded.delete(index)
      if (this.#last === index) this.#last = OpenAcl
      this.#freed.push(index)
    }
    this.#unused.clear()
  }

  /** Until as many {@link thaw}: no number is forgotten, and none that was is given out again. */
  freeze(): void {
    this.#frozen++
  }

  thaw(): void {
    this.#frozen--
  }

  #add(source: Space, from: number, to: number): AclIndex {
    if (this.room() === 0) throw new TooManyAcls()
    const index = (this.#frozen === 0 ? this.#freed.pop() : undefined) ?? this.#end++
    if (index >= this.#entries.length) {
      this.#entries = grown(this.#entries)
      this.#uses = grown(this.#uses)
      this.#holds = grown(this.#holds)
    }
    this.#entries[index] = this.#index.insert(source, from, to, index)
    this.#uses[index] = 0
    this.#holds[index] = 0
    this.#unused.add(index)
    return index
  }
}
