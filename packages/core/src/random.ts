/** Chance is handed in: the same seed gives the same draws, so a run can be repeated. */
export interface Random {
  /** Uniform in 0 … 2^32 - 1. */
  u32(): number
  /** An independent generator, so that a new draw in one part does not shift those of another. */
  fork(label: string): Random
}

/** @returns uniform in 0 … `below` - 1; `below` must be 1 … 2^32 */
export function drawBelow(random: Random, below: number): number {
  return Math.floor((random.u32() / 0x1_0000_0000) * below)
}

/** sfc32: small, fast, and good enough for everything but secrets. */
export function seededRandom(seed: number): Random {
  return new Sfc32(seed >>> 0, 0x9e3779b9, 0x243f6a88, 1)
}

class Sfc32 implements Random {
  #a: number
  #b: number
  #c: number
  #counter: number
  readonly #origin: readonly [number, number, number]

  constructor(a: number, b: number, c: number, counter: number) {
    this.#origin = [a, b, c]
    this.#a = a
    this.#b = b
    this.#c = c
    this.#counter = counter
    for (let i = 0; i < 12; i++) this.u32()
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  fork(label: string): Random {
    let hash = 0x811c9dc5
    for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193)
    const [a, b, c] = this.#origin
    return new Sfc32(a ^ hash, b ^ Math.imul(hash, 0x85ebca6b), c, label.length + 1)
  }
}
