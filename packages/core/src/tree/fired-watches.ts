/** The events that changes fired, in the order in which they must be sent. Paths are copied. */
import { type EventType, type Space, Writer } from '@corral/protocol'
import { grown } from '../lists.ts'
import type { AclIndex } from './acl-table.ts'

const wordsPerEvent = 6
const type = 0
const acl = 1
const pathFrom = 2
const pathTo = 3
const slotsFrom = 4
const slotsTo = 5

export class FiredWatches {
  #events = new Int32Array(8 * wordsPerEvent)
  #count = 0
  readonly #paths = new Writer()
  #slots = new Int32Array(64)
  #slotCount = 0
  /** By slot: the last step that notified it. */
  #notified = new Int32Array(64)
  #step = 0

  clear(): void {
    this.#count = 0
    this.#slotCount = 0
    this.#paths.at = 0
  }

  get eventCount(): number {
    return this.#count
  }

  /** Holds the paths. */
  get space(): Space {
    return this.#paths
  }

  /** Connections, as ranges `slotsFrom` (inclusive) to `slotsTo` (exclusive) of each event. */
  get slots(): Int32Array {
    return this.#slots
  }

  typeOf(event: number): EventType {
    return this.#word(event, type) as EventType
  }

  /** Whose READ permission the receivers need: of the changed znode, of the parent for NodeChildrenChanged. */
  aclOf(event: number): AclIndex {
    return this.#word(event, acl)
  }

  pathFrom(event: number): number {
    return this.#word(event, pathFrom)
  }

  pathTo(event: number): number {
    return this.#word(event, pathTo)
  }

  slotsFrom(event: number): number {
    return this.#word(event, slotsFrom)
  }

  slotsTo(event: number): number {
    return this.#word(event, slotsTo)
  }

  /** Begins a step: each connection is notified at most once in it. */
  begin(): void {
    this.#step = (this.#step + 1) | 0
    if (this.#step === 0) {
      this.#notified.fill(0)
      this.#step = 1
    }
  }

  notify(slot: number): void {
    if (slot >= this.#notified.length) this.#notified = grown(this.#notified, slot + 1)
    if (this.#notified[slot] === this.#step) return
    this.#notified[slot] = this.#step
    if (this.#slotCount === this.#slots.length) this.#slots = grown(this.#slots, this.#slotCount + 1)
    this.#slots[this.#slotCount++] = slot
  }

  /** Ends the step: an event if any connection was notified. @param from - of the event's path */
  end(given: EventType, ofAcl: AclIndex, path: Space, from: number, to: number): void {
    const first = this.#count === 0 ? 0 : this.slotsTo(this.#count - 1)
    if (first === this.#slotCount) return
    const at = this.#count * wordsPerEvent
    if (at === this.#events.length) this.#events = grown(this.#events, at + wordsPerEvent)
    const start = this.#paths.at
    if (from === to) this.#paths.byte(0x2f)
    else this.#paths.raw(path, from, to)
    this.#events[at + type] = given
    this.#events[at + acl] = ofAcl
    this.#events[at + pathFrom] = start
    this.#events[at + pathTo] = this.#paths.at
    this.#events[at + slotsFrom] = first
    this.#events[at + slotsTo] = this.#slotCount
    this.#count++
  }

  #word(event: number, word: number): number {
    return this.#events[event * wordsPerEvent + word] as number
  }
}
