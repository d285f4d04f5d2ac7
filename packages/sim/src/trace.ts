/** What happened, as a running hash and a short memory: two runs of one seed must agree in every bit of it. */

const remembered = 500
/** Text is made only for the memory, and only when it is asked for. */
type Line = () => string

/**
 * A 64-bit hash (two murmur-like lanes) over everything that the run does, in order, and a ring of the last events.
 * It is no witness against an adversary, only against chance.
 */
export class Trace {
  #first = 0x9e3779b9 | 0
  #second = 0x85ebca6b | 0
  #count = 0
  readonly #ring: Line[] = []

  number(value: number): void {
    this.#mix(value | 0)
    this.#mix(Math.floor(value / 0x1_0000_0000) | 0)
    // Times have fractions.
    this.#mix(((value - Math.floor(value)) * 0x4000_0000) | 0)
  }

  text(value: string): void {
    for (let i = 0; i < value.length; i++) this.#mix(value.charCodeAt(i))
    this.#mix(value.length)
  }

  bytes(value: Uint8Array): void {
    const { length } = value
    let at = 0
    for (; at + 4 <= length; at += 4) {
      this.#mix(
        (value[at] as number) |
          ((value[at + 1] as number) << 8) |
          ((value[at + 2] as number) << 16) |
          ((value[at + 3] as number) << 24),
      )
    }
    for (; at < length; at++) this.#mix(value[at] as number)
    this.#mix(length)
  }

  /** Ends a fact: it is remembered, without being part of the hash. */
  event(line: Line): void {
    this.#ring[this.#count % remembered] = line
    this.#count++
  }

  /** 16 hex digits. */
  digest(): string {
    const half = (value: number): string => (value >>> 0).toString(16).padStart(8, '0')
    return half(this.#first) + half(this.#second)
  }

  /** The last events, oldest first. */
  last(): readonly string[] {
    const lines: string[] = []
    for (let i = Math.max(0, this.#count - remembered); i < this.#count; i++)
      lines.push((this.#ring[i % remembered] as Line)())
    return lines
  }

  #mix(value: number): void {
    this.#first = Math.imul(this.#first ^ value, 0x2c1b3c6d)
    this.#first ^= this.#first >>> 15
    this.#second = (Math.imul(this.#second, 0x297a2d39) + value) | 0
    this.#second ^= this.#second >>> 13
  }
}
