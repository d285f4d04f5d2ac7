/**
 * Requests that wait for an earlier write of their own connection: copies of the frames, in order. Memory only while
 * somebody waits.
 */
import { copyBytes, makeSpace, type Space } from '@corral/protocol'
import type { AuthId } from './auth-ids.ts'

/** from, to, sequence number of the write it waits for, arrival ms, 1 if throttled */
const entryFields = 5
const spareBytes = 16 * 1024

export class Backlog {
  #space: Space | undefined = undefined
  #used = 0
  /** Of the first one's parts, those that are answered: a long request is answered over several steps. */
  partsDone = 0
  readonly #entries: number[] = []
  /** Of each entry. */
  readonly #ids: (readonly AuthId[])[] = []
  #head = 0

  get isEmpty(): boolean {
    return this.#head === this.#entries.length
  }

  get lengthBytes(): number {
    return this.isEmpty ? 0 : this.#used - this.from
  }

  push(
    source: Space,
    from: number,
    to: number,
    on: {
      readonly newestWrite: number
      readonly nowMs: number
      readonly ids: readonly AuthId[]
      readonly isThrottled: boolean
    },
  ): void {
    const length = to - from
    const space = this.#room(length)
    copyBytes(source, from, to, space, this.#used)
    this.#entries.push(this.#used, this.#used + length, on.newestWrite, on.nowMs, Number(on.isThrottled))
    this.#ids.push(on.ids)
    this.#used += length
  }

  /** Is the first one waiting for a write up to `write`? */
  isDue(write: number): boolean {
    return this.#head < this.#entries.length && (this.#entries[this.#head + 2] as number) <= write
  }

  /** The first frame; {@link drop} it after use. */
  get space(): Space {
    return this.#space as Space
  }

  get from(): number {
    return this.#entries[this.#head] as number
  }

  get to(): number {
    return this.#entries[this.#head + 1] as number
  }

  get arrivedMs(): number {
    return this.#entries[this.#head + 3] as number
  }

  /** It waited too long to get here. */
  get isThrottled(): boolean {
    return this.#entries[this.#head + 4] === 1
  }

  /** Whose permissions it has, whatever the connection was told to be since. */
  get ids(): readonly AuthId[] {
    return this.#ids[this.#head / entryFields] as readonly AuthId[]
  }

  drop(): void {
    this.#head += entryFields
    this.partsDone = 0
    if (this.#head < this.#entries.length) return
    this.#empty()
    if (this.#space !== undefined && this.#space.bytes.length > spareBytes) this.#space = undefined
  }

  /** Nobody is there any more to be answered. */
  clear(): void {
    this.#empty()
    this.partsDone = 0
    this.#space = undefined
  }

  #empty(): void {
    this.#entries.length = 0
    this.#ids.length = 0
    this.#head = 0
    this.#used = 0
  }

  /** What is answered goes when the space is full: a client that always waits for some write never has an empty one. */
  #room(length: number): Space {
    const space = this.#space
    if (space !== undefined && this.#used + length <= space.bytes.length) return space
    const kept = this.lengthBytes
    const moved = makeSpace(Math.max(4096, kept + length, 2 * kept))
    if (space !== undefined) moved.bytes.set(space.bytes.subarray(this.#used - kept, this.#used))
    this.#dropAnswered()
    this.#used = kept
    this.#space = moved
    return moved
  }

  #dropAnswered(): void {
    if (this.#head === 0) return
    const { from } = this
    this.#entries.splice(0, this.#head)
    this.#ids.splice(0, this.#head / entryFields)
    this.#head = 0
    for (let i = 0; i < this.#entries.length; i += entryFields) {
      this.#entries[i] = (this.#entries[i] as number) - from
      this.#entries[i + 1] = (this.#entries[i + 1] as number) - from
    }
  }
}
