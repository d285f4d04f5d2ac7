/**
 * Open addressing over pairs tag | value of int32, with linear probing, at most 70 % full. A tag is a hash of
 * whatever the caller looks up; the caller verifies each candidate, so keys are not stored here.
 *
 * Growth is incremental: a table of twice the size is made, and each insertion moves a few of the old one's entries,
 * so no insertion stalls for a rehash. Whole clusters are moved at a time, so probing the old table never meets a
 * hole it should not. Removal shifts back instead of leaving a mark. There is no iterator: the order depends on the
 * seed of the hash, and nothing may depend on that.
 */

/** Added to slots of the old table. */
const oldSlots = 0x4000_0000
/** Slots of the old table that an insertion moves, at least. */
const movedPerInsert = 16
const mostFull = 0.7
/** Parts of 2^13 slots, 64 KiB, stay in a cache while they are filled. */
const partBits = 13

export class TagTable {
  #slots: Int32Array
  #mask: number
  #old: Int32Array = new Int32Array(0)
  #oldMask = 0
  /** Entries left in the old table. */
  #oldCount = 0
  /** The old table is empty up to here, and the slot here is empty. */
  #cursor = 0
  #count = 0

  /** @param capacity - slots to begin with, a power of two */
  constructor(capacity = 64) {
    this.#slots = new Int32Array(2 * capacity)
    this.#mask = capacity - 1
  }

  /** Grows at once, so that so many entries find their place without growing on the way. */
  #reserve(count: number): void {
    while (this.#oldCount > 0) this.#move()
    let capacity = this.#mask + 1
    while (count > mostFull * capacity) capacity *= 2
    if (capacity === this.#mask + 1) return
    const before = this.#slots
    this.#slots = new Int32Array(2 * capacity)
    this.#mask = capacity - 1
    for (let at = 0; at < before.length; at += 2) {
      if (before[at + 1] !== 0) place(this.#slots, this.#mask, before[at] as number, before[at + 1] as number)
    }
  }

  get count(): number {
    return this.#count
  }

  get sizeBytes(): number {
    return this.#slots.byteLength + this.#old.byteLength
  }

  /** @returns the slot of the first candidate, or -1 */
  first(tag: number): number {
    const slot = probe(this.#slots, this.#mask, tag & this.#mask, tag)
    return slot >= 0 || this.#oldCount === 0 ? slot : this.#firstOld(tag)
  }

  /** @returns the slot of the candidate after `slot`, or -1 */
  next(slot: number, tag: number): number {
    if (slot >= oldSlots) {
      const inOld = probe(this.#old, this.#oldMask, (slot - oldSlots + 1) & this.#oldMask, tag)
      return inOld < 0 ? -1 : inOld + oldSlots
    }
    const found = probe(this.#slots, this.#mask, (slot + 1) & this.#mask, tag)
    return found >= 0 || this.#oldCount === 0 ? found : this.#firstOld(tag)
  }

  valueAt(slot: number): number {
    return (slot >= oldSlots ? this.#old[2 * (slot - oldSlots) + 1] : this.#slots[2 * slot + 1]) as number
  }

  /** @param value - not 0 */
  add(tag: number, value: number): void {
    if (this.#oldCount > 0) this.#move()
    else if (this.#count >= mostFull * (this.#mask + 1)) this.#grow()
    this.#count++
    place(this.#slots, this.#mask, tag, value)
  }

  /**
   * Adds many entries, part of the table by part: in the order in which they come, each would be a miss of the
   * processor's caches.
   *
   * @param tags - of the values `firstValue`, `firstValue + 1` and so on
   * @returns the values whose tag another entry has too
   */
  addAll(tags: Int32Array, firstValue: number): readonly number[] {
    this.#reserve(this.#count + tags.length)
    this.#count += tags.length
    const sorted = byPart(tags, this.#mask)
    const twins: number[] = []
    for (let i = 0; i < sorted.length; i++) {
      const index = sorted[i] as number
      const value = firstValue + index
      if (place(this.#slots, this.#mask, tags[index] as number, value)) twins.push(value)
    }
    return twins
  }

  removeAt(slot: number): void {
    this.#count--
    if (slot < oldSlots) return closeGap(this.#slots, this.#mask, slot)
    this.#oldCount--
    closeGap(this.#old, this.#oldMask, slot - oldSlots)
  }

  #firstOld(tag: number): number {
    const slot = probe(this.#old, this.#oldMask, tag & this.#oldMask, tag)
    return slot < 0 ? -1 : slot + oldSlots
  }

  #grow(): void {
    this.#old = this.#slots
    this.#oldMask = this.#mask
    this.#oldCount = this.#count
    this.#slots = new Int32Array(2 * this.#old.length)
    this.#mask = 2 * this.#oldMask + 1
    this.#cursor = 0
    while (this.#old[2 * this.#cursor + 1] !== 0) this.#cursor++
    this.#move()
  }

  #move(): void {
    const old = this.#old
    let slot = this.#cursor
    for (let moved = 0; this.#oldCount > 0; moved++) {
      slot = (slot + 1) & this.#oldMask
      const value = old[2 * slot + 1] as number
      if (value === 0) {
        if (moved >= movedPerInsert) break
        continue
      }
      place(this.#slots, this.#mask, old[2 * slot] as number, value)
      old[2 * slot + 1] = 0
      this.#oldCount--
    }
    this.#cursor = slot
    if (this.#oldCount === 0) this.#old = new Int32Array(0)
  }
}

function probe(slots: Int32Array, mask: number, from: number, tag: number): number {
  for (let slot = from; ; slot = (slot + 1) & mask) {
    if (slots[2 * slot + 1] === 0) return -1
    if (slots[2 * slot] === tag) return slot
  }
}

/** @returns whether it passed an entry with the same tag */
function place(slots: Int32Array, mask: number, tag: number, value: number): boolean {
  let slot = tag & mask
  let isTwin = false
  for (; slots[2 * slot + 1] !== 0; slot = (slot + 1) & mask) if (slots[2 * slot] === tag) isTwin = true
  slots[2 * slot] = tag
  slots[2 * slot + 1] = value
  return isTwin
}

/** @returns the indexes of `tags`, those that belong into one part of the table together */
function byPart(tags: Int32Array, mask: number): Int32Array {
  const ends = new Int32Array((mask >>> partBits) + 1)
  for (let i = 0; i < tags.length; i++) {
    const part = ((tags[i] as number) & mask) >>> partBits
    ends[part] = (ends[part] as number) + 1
  }
  for (let part = 1; part < ends.length; part++)
    ends[part] = (ends[part] as number) + (ends[part - 1] as number)
  const sorted = new Int32Array(tags.length)
  for (let i = tags.length - 1; i >= 0; i--) {
    const part = ((tags[i] as number) & mask) >>> partBits
    const at = (ends[part] as number) - 1
    ends[part] = at
    sorted[at] = i
  }
  return sorted
}

/** Moves each entry of the cluster back that may stand in the gap. */
function closeGap(slots: Int32Array, mask: number, from: number): void {
  let gap = from
  for (let slot = (gap + 1) & mask; slots[2 * slot + 1] !== 0; slot = (slot + 1) & mask) {
    const tag = slots[2 * slot] as number
    if (((slot - tag) & mask) < ((slot - gap) & mask)) continue
    slots[2 * gap] = tag
    slots[2 * gap + 1] = slots[2 * slot + 1] as number
    gap = slot
  }
  slots[2 * gap + 1] = 0
}
