/**
 * A first-in, first-out queue whose `shift` moves nothing. What has left it is given up at once, and its places now and
 * then, so a queue that is never empty does not grow.
 */
const fewestPlaces = 1024

export class Fifo<T> {
  #items: T[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  /** Places that memory is taken for. */
  get places(): number {
    return this.#items.length
  }

  /** The oldest. */
  get first(): T | undefined {
    return this.#items[this.#head]
  }

  /** @param index - below {@link length}; 0 is the oldest */
  at(index: number): T {
    return this.#items[this.#head + index] as T
  }

  push(item: T): void {
    this.#items.push(item)
  }

  /** Takes the oldest. */
  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head] as T
    this.#items[this.#head] = undefined as T
    this.#head++
    if (this.#head === this.#items.length) this.#items = []
    else if (this.#head < fewestPlaces || 2 * this.#head < this.#items.length) return item
    else this.#items = this.#items.slice(this.#head)
    this.#head = 0
    return item
  }

  /** Drops all but the `length` oldest. */
  truncate(length: number): void {
    this.#items.length = this.#head + length
  }

  /** Empties the queue. @returns what was in it, oldest first */
  drain(): T[] {
    const items = this.#items.slice(this.#head)
    this.#items = []
    this.#head = 0
    return items
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i] as T
  }
}
