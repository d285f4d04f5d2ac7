import type { ServerAddress } from './connect-string.ts'
import type { Random } from './session-events.ts'

/** The servers a session may use, in an order of its own, so that clients spread over them. */
export class ServerList {
  readonly #servers: readonly ServerAddress[]
  #index = -1
  #otherIndex = -1
  /** Whose turn is next, where it is not the turn of the one behind. */
  #nextIndex: number | undefined
  #failures = 0

  constructor(servers: readonly ServerAddress[], random: Random) {
    this.#servers = shuffled(servers, random)
  }

  get length(): number {
    return this.#servers.length
  }

  /** Connected to, or tried last; undefined before the first attempt. */
  get current(): ServerAddress | undefined {
    return this.#servers[this.#index]
  }

  /** Whose turn it is. */
  next(): ServerAddress {
    this.#index = this.#nextIndex ?? (this.#index + 1) % this.#servers.length
    this.#nextIndex = undefined
    return this.#servers[this.#index] as ServerAddress
  }

  /** One that is not the current one, each in its turn. There must be two or more. */
  other(): ServerAddress {
    const count = this.#servers.length
    this.#otherIndex = (this.#otherIndex + 1) % count
    if (this.#otherIndex === this.#index) this.#otherIndex = (this.#otherIndex + 1) % count
    return this.#servers[this.#otherIndex] as ServerAddress
  }

  /** Makes it the next. */
  prefer(server: ServerAddress): void {
    this.#nextIndex = this.#servers.indexOf(server)
  }

  /** The current one serves us: a new round begins with the next failure. */
  succeeded(): void {
    this.#failures = 0
  }

  /** @returns whether a whole round has failed, none having served in between */
  failed(): boolean {
    this.#failures += 1
    if (this.#failures < this.#servers.length) return false
    this.#failures = 0
    return true
  }
}

/** A part of 1, from 0 (inclusive) to 1 (exclusive). */
export function randomPart(random: Random): number {
  return random.u32() / 0x1_0000_0000
}

/** Fisher and Yates. */
function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  const result = [...items]
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(randomPart(random) * (i + 1))
    const moved = result[i] as T
    result[i] = result[j] as T
    result[j] = moved
  }
  return result
}
