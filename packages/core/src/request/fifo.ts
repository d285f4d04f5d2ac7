/** A queue in an array. What has left it is dropped now and then, so one that is never empty does not grow. */
const fewestDropped = 1024

export class Fifo<T> {
  #items: T[] = []
  #first = 0

  get length(): number {
    return this.#items.length - this.#first
  }

  /** Items that memory is taken for. */
  get heldItems(): number {
    return this.#items.length
  }

  /** @param index - below {@link length}; 0 came first */
  at(index: number): T {
    return this.#items[this.#first + index] as T
  }

  push(item: T): void {
    this.#items.push(item)
  }

  /** Drops the first item. */
  shift(): void {
    this.#first++
    if (this.#first === this.#items.length) this.#items = []
    else if (this.#first < fewestDropped || 2 * this.#first < this.#items.length) return
    else this.#items = this.#items.slice(this.#first)
    this.#first = 0
  }

  /** Drops all items but the first `length`. */
  truncate(length: number): void {
    this.#items.length = this.#first + length
  }
}
