/** Runs targets over seeds, saved inputs and new ones, and keeps what broke. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from '@corral/core'
import { compressedFileTarget, configTarget, decoderTarget, snappyTarget } from './byte-targets.ts'
import { clientTarget } from './client-target.ts'
import { aclTarget, connectionTarget, quotaTarget } from './server-targets.ts'
import { logTarget, snapshotTarget } from './storage-targets.ts'
import { longestStepMs, must, type Target, type Verdict } from './target.ts'
import { wordTarget } from './word-target.ts'

export const targets: readonly Target[] = [
  connectionTarget,
  quotaTarget,
  aclTarget,
  wordTarget,
  decoderTarget,
  logTarget,
  snapshotTarget,
  snappyTarget,
  compressedFileTarget,
  configTarget,
  clientTarget,
]

export interface Failure {
  readonly input: Uint8Array
  readonly error: unknown
}

export interface Summary {
  readonly cases: number
  readonly slowestStepMs: number
  /** Outcome -> cases. */
  readonly outcomes: ReadonlyMap<string, number>
  readonly failures: readonly Failure[]
}

const corpus = 'test/fuzz/corpus'

/** Inputs that broke something once, or are worth keeping. */
export function savedInputs(
  target: Target,
): readonly { readonly name: string; readonly input: Uint8Array }[] {
  const folder = join(corpus, target.name)
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .sort()
    .map(name => ({ name, input: new Uint8Array(readFileSync(join(folder, name))) }))
}

/** @returns the path under which the input is kept */
export function save(target: Target, input: Uint8Array): string {
  const folder = join(corpus, target.name)
  mkdirSync(folder, { recursive: true })
  const path = join(folder, createHash('sha1').update(input).digest('hex').slice(0, 12))
  writeFileSync(path, input)
  return path
}

/** Seeds, saved inputs, then new ones until `isEnough`. Stops at the first few failures. */
export async function fuzz(
  target: Target,
  seed: number,
  isEnough: (cases: number) => boolean,
): Promise<Summary> {
  const random = seededRandom(seed).fork(target.name)
  const known = [...target.seeds(), ...savedInputs(target).map(({ input }) => input)]
  const outcomes = new Map<string, number>()
  const failures: Failure[] = []
  let slowestStepMs = 0
  let cases = 0
  for (; cases < known.length || !isEnough(cases - known.length); cases++) {
    const input = known[cases] ?? target.make(random, known)
    try {
      const verdict = await runInTime(target, input)
      outcomes.set(verdict.outcome, (outcomes.get(verdict.outcome) ?? 0) + 1)
      slowestStepMs = Math.max(slowestStepMs, verdict.slowestStepMs)
    } catch (error) {
      failures.push({ input, error })
      if (failures.length === 5) break
    }
  }
  return { cases, slowestStepMs, outcomes, failures }
}

/** A step that is too long the first time may have been compiled in it, or met the collector. */
export async function runInTime(target: Target, input: Uint8Array): Promise<Verdict> {
  const first = await target.run(input)
  if (first.slowestStepMs <= longestStepMs) return first
  const second = await target.run(input)
  const ms = Math.min(first.slowestStepMs, second.slowestStepMs)
  must(ms <= longestStepMs, `no step takes ${ms.toFixed(1)} ms`)
  return { ...second, slowestStepMs: ms }
}
