/**
 * The ephemeral znodes of each session, in order of creation.
 *
 *   owner record:  session high | session low | first | last | next, previous owner
 *   znode record:  znode | owner | next | previous
 */
import { Slab, SparseColumn } from './slab.ts'
import { TagTable } from './tag-table.ts'
import type { ZnodeId } from './znode-rows.ts'

const high = 0
const low = 1
const first = 2
const last = 3
const nextOwner = 4
const previousOwner = 5

const znode = 0
const owner = 1
const next = 2
const previous = 3

export interface SessionWords {
  readonly high: number
  readonly low: number
}

export class Ephemerals {
  readonly #seed: number
  readonly #owners = new Slab(6)
  readonly #index = new TagTable()
  readonly #records = new Slab(4)
  readonly #ofZnode = new SparseColumn()
  #firstOwner = 0

  constructor(given: { readonly seed: number }) {
    this.#seed = given.seed
  }

  /** Ephemeral znodes of all sessions. */
  get count(): number {
    return this.#records.count
  }

  add(id: ZnodeId, sessionHigh: number, sessionLow: number): void {
    const of = this.#find(sessionHigh, sessionLow) || this.#newOwner(sessionHigh, sessionLow)
    const record = this.#records.allocate()
    const before = this.#owners.get(of, last)
    this.#records.set(record, znode, id)
    this.#records.set(record, owner, of)
    this.#records.set(record, next, 0)
    this.#records.set(record, previous, before)
    if (before === 0) this.#owners.set(of, first, record)
    else this.#records.set(before, next, record)
    this.#owners.set(of, last, record)
    this.#ofZnode.set(id, record)
  }

  remove(id: ZnodeId): void {
    const record = this.#ofZnode.get(id)
    const of = this.#records.get(record, owner)
    const after = this.#records.get(record, next)
    const before = this.#records.get(record, previous)
    if (before === 0) this.#owners.set(of, first, after)
    else this.#records.set(before, next, after)
    if (after === 0) this.#owners.set(of, last, before)
    else this.#records.set(after, previous, before)
    this.#records.release(record)
    this.#ofZnode.set(id, 0)
    if (this.#owners.get(of, first) === 0) this.#dropOwner(of)
  }

  /** @returns the session's oldest ephemeral, or 0 */
  firstOf(sessionHigh: number, sessionLow: number): ZnodeId {
    const of = this.#find(sessionHigh, sessionLow)
    return of === 0 ? 0 : this.#records.get(this.#owners.get(of, first), znode)
  }

  of(sessionHigh: number, sessionLow: number): ZnodeId[] {
    const ids: ZnodeId[] = []
    const of = this.#find(sessionHigh, sessionLow)
    let record = of === 0 ? 0 : this.#owners.get(of, first)
    for (; record !== 0; record = this.#records.get(record, next)) ids.push(this.#records.get(record, znode))
    return ids
  }

  /** The sessions that own znodes, the newest first. */
  owners(): SessionWords[] {
    const sessions: SessionWords[] = []
    for (let of = this.#firstOwner; of !== 0; of = this.#owners.get(of, nextOwner)) {
      sessions.push({ high: this.#owners.get(of, high), low: this.#owners.get(of, low) })
    }
    return sessions
  }

  #find(sessionHigh: number, sessionLow: number): number {
    const tag = this.#hash(sessionHigh, sessionLow)
    for (let slot = this.#index.first(tag); slot >= 0; slot = this.#index.next(slot, tag)) {
      const of = this.#index.valueAt(slot)
      if (this.#owners.get(of, high) === (sessionHigh | 0) && this.#owners.get(of, low) === (sessionLow | 0))
        return of
    }
    return 0
  }

  #hash(sessionHigh: number, sessionLow: number): number {
    let h = Math.imul(this.#seed ^ sessionHigh, 0x9e3779b1)
    h = Math.imul(h ^ (h >>> 15) ^ sessionLow, 0x85ebca6b)
    return h ^ (h >>> 13)
  }

  #newOwner(sessionHigh: number, sessionLow: number): number {
    const of = this.#owners.allocate()
    this.#owners.set(of, high, sessionHigh)
    this.#owners.set(of, low, sessionLow)
    this.#owners.set(of, first, 0)
    this.#owners.set(of, last, 0)
    this.#owners.set(of, nextOwner, this.#firstOwner)
    this.#owners.set(of, previousOwner, 0)
    if (this.#firstOwner !== 0) this.#owners.set(this.#firstOwner, previousOwner, of)
    this.#firstOwner = of
    this.#index.add(this.#hash(sessionHigh, sessionLow), of)
    return of
  }

  #dropOwner(of: number): void {
    const tag = this.#hash(this.#owners.get(of, high), this.#owners.get(of, low))
    let slot = this.#index.first(tag)
    while (this.#index.valueAt(slot) !== of) slot = this.#index.next(slot, tag)
    this.#index.removeAt(slot)

    const after = this.#owners.get(of, nextOwner)
    const before = this.#owners.get(of, previousOwner)
    if (before === 0) this.#firstOwner = after
    else this.#owners.set(before, nextOwner, after)
    if (after !== 0) this.#owners.set(after, previousOwner, before)
    this.#owners.release(of)
  }
}
