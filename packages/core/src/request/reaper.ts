/**
 * Finds containers and TTL znodes whose time is up and hands them out one by one, no faster than the configured
 * rate: a clock that jumps ahead cannot make it delete everything at once. What has waited its turn is looked at again:
 * if it was written meanwhile, or the clock went back, it stays, and a later check will see.
 *
 * Source: ContainerManager in the Java server, which does not look again.
 */
import type { Space } from '@corral/protocol'
import type { ContainerConfig } from '../config.ts'
import type { Now } from '../events.ts'
import type { DataTree } from '../tree/data-tree.ts'

/** Candidates found in one check at most; the next one, which follows as soon as these are gone, finds the rest. */
export const mostCandidates = 10_000
const minuteMs = 60_000

interface Candidate {
  readonly path: Space
  /** Of its last change when it was found: a setData, or that it was made anew. */
  readonly mzxidHigh: number
  readonly mzxidLow: number
}

export class Reaper {
  readonly #config: ContainerConfig
  readonly #tree: DataTree
  #queue: Candidate[] = []
  #foundAtWallMs = 0
  #nextCheckMs: number | undefined = undefined
  #lastTickMs = 0
  /** Removals allowed now; grows with time. */
  #allowance = 0

  constructor(config: ContainerConfig, tree: DataTree) {
    this.#config = config
    this.#tree = tree
  }

  /** @param reap - called with the whole path of each znode to be removed now */
  tick(now: Now, reap: (path: Space) => void): void {
    const { checkIntervalMs, maxPerMinute } = this.#config
    this.#nextCheckMs ??= now.monotonicMs + checkIntervalMs
    const elapsedMs = now.monotonicMs - this.#lastTickMs
    this.#lastTickMs = now.monotonicMs
    this.#allowance = Math.min(maxPerMinute, this.#allowance + (elapsedMs * maxPerMinute) / minuteMs)
    if (this.#queue.length === 0 && now.monotonicMs >= this.#nextCheckMs) {
      this.#look(now)
      this.#nextCheckMs = now.monotonicMs + (this.#queue.length < mostCandidates ? checkIntervalMs : 0)
    }
    const count = Math.min(Math.floor(this.#allowance), this.#queue.length)
    this.#allowance -= count
    for (const candidate of this.#queue.splice(0, count))
      if (this.#isOver(candidate, now)) reap(candidate.path)
    if (this.#queue.length === 0) this.#allowance = Math.min(this.#allowance, 1)
  }

  #look(now: Now): void {
    const candidates = this.#tree.reapCandidates(
      now.wallMs,
      this.#config.maxNeverUsedIntervalMs,
      mostCandidates,
    )
    this.#queue = candidates.map(znode => ({
      path: this.#tree.pathOf(znode),
      mzxidHigh: this.#tree.mzxidHigh(znode),
      mzxidLow: this.#tree.mzxidLow(znode),
    }))
    this.#foundAtWallMs = now.wallMs
    this.#allowance = Math.max(this.#allowance, 1)
  }

  #isOver({ path, mzxidHigh, mzxidLow }: Candidate, now: Now): boolean {
    const tree = this.#tree
    const znode = tree.find(path, 0, path.bytes.length)
    if (znode === 0 || now.wallMs < this.#foundAtWallMs) return false
    return tree.mzxidHigh(znode) === mzxidHigh && tree.mzxidLow(znode) === mzxidLow
  }
}
