/** Places in core where, in a simulation only, the uncommon branch is taken: each armed for a run or not. */
import type { Random } from '@corral/core'
import { chance } from './chance.ts'

export class RareMarks {
  /** How often each mark fired. */
  readonly fired: Map<string, number> = new Map()
  readonly #random: Random | undefined
  readonly #armed: Map<string, boolean> = new Map()

  /** @param random - undefined: none is ever taken */
  constructor(random: Random | undefined) {
    this.#random = random
  }

  maybe(label: string): boolean {
    const random = this.#random
    if (random === undefined) return false
    const isArmed = this.#armed.get(label) ?? chance(random.fork(label), 0.25)
    this.#armed.set(label, isArmed)
    if (!isArmed || !chance(random, 0.25)) return false
    this.fired.set(label, (this.fired.get(label) ?? 0) + 1)
    return true
  }
}
