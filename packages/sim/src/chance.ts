/** Draws with a shape, over core's seeded generator. */
import { drawBelow, type Random } from '@corral/core'

export function chance(random: Random, probability: number): boolean {
  return random.u32() < probability * 0x1_0000_0000
}

/** @returns uniform in `from` ... `to`, both inclusive */
export function between(random: Random, from: number, to: number): number {
  return from + drawBelow(random, to - from + 1)
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[drawBelow(random, values.length)] as T
}

/** @returns a copy, in any order */
export function shuffled<T>(random: Random, values: readonly T[]): readonly T[] {
  const all = [...values]
  for (let i = all.length - 1; i > 0; i--) {
    const j = between(random, 0, i)
    const value = all[i] as T
    all[i] = all[j] as T
    all[j] = value
  }
  return all
}

/** Exponential around a mean, in whole microseconds, as milliseconds. */
export function exponential(random: Random, meanMs: number): number {
  const uniform = (random.u32() + 1) / 0x1_0000_0001
  return Math.round(-Math.log(uniform) * meanMs * 1000) / 1000
}

/** One of the keys, each with the weight that stands beside it. */
export function weighted<K extends string>(random: Random, weights: Readonly<Record<K, number>>): K {
  const entries = Object.entries(weights) as [K, number][]
  let total = 0
  for (const [, weight] of entries) total += weight
  let left = (random.u32() / 0x1_0000_0000) * total
  for (const [key, weight] of entries) {
    left -= weight
    if (left < 0) return key
  }
  return (entries[entries.length - 1] as [K, number])[0]
}
