/** What can be fuzzed: where inputs come from, how they change, and what must hold when one is run. */
import type { Random } from '@corral/core'

export interface Target {
  readonly name: string
  /** Inputs to begin with: captured ones, and dictionaries. */
  seeds(): readonly Uint8Array[]
  /** A new input, from one of those known or from nothing. */
  make(random: Random, known: readonly Uint8Array[]): Uint8Array
  /** Throws if something does not hold. */
  run(input: Uint8Array): Verdict | Promise<Verdict>
}

export interface Verdict {
  /** Longest piece of work that could not have been interrupted. */
  readonly slowestStepMs: number
  /** What became of the input: said in statistics, so that a target that refuses everything is noticed. */
  readonly outcome: string
}

/** A rule that does not hold. */
export class Broken extends Error {
  override readonly name: string = 'Broken'
}

export function must(isHeld: boolean, rule: string): asserts isHeld {
  if (!isHeld) throw new Broken(rule)
}

/** No piece of work that cannot be interrupted may take longer. */
export const longestStepMs = 50

/**
 * Starts a watch; the function returned says how long this process has worked since then. Of wall time and CPU time
 * the shorter: a busy machine adds to the one, the other threads of the process to the other.
 */
export function stopwatch(): () => number {
  const startedMs = performance.now()
  const before = process.cpuUsage()
  return () => {
    const { user, system } = process.cpuUsage(before)
    return Math.min(performance.now() - startedMs, (user + system) / 1000)
  }
}

/** @returns what `work` returned, and how long it took */
export function timed<T>(work: () => T): { readonly value: T; readonly ms: number } {
  const elapsedMs = stopwatch()
  const value = work()
  return { value, ms: elapsedMs() }
}
