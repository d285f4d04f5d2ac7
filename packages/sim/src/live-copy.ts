/**
 * A copy of the directories, made while the server goes on: as `cp -r`, tar and rsync make it. A directory is listed at
 * one instant, each file is read at another, each piece of a file at yet another; a file that is gone when its turn
 * comes is left out, and one that came later is not there at all. What is copied is what a reader sees, durable or not.
 */
import type { Dir, Random } from '@corral/core'
import { chance, exponential, pick, shuffled } from './chance.ts'
import { behind, inside } from './damage.ts'
import type { Scheduler } from './scheduler.ts'
import { dirs, Volume } from './volume.ts'

export interface LiveCopyGiven {
  readonly volume: Volume
  readonly scheduler: Scheduler
  readonly random: Random
  done(copy: Volume): void
}

export class LiveCopy {
  readonly #given: LiveCopyGiven
  readonly #copy: Volume = new Volume()
  readonly #steps: Generator<void> = this.#copyAll()
  readonly #meanPauseMs: number
  readonly #pieceBytes: number
  #isAbandoned = false

  constructor(given: LiveCopyGiven) {
    this.#given = given
    this.#meanPauseMs = pick(given.random, [0.1, 5, 50])
    this.#pieceBytes = pick(given.random, [512, 4096, 4096, 65_536])
    this.#goOn()
  }

  /** The machine that copies is the one that lost its power. */
  abandon(): void {
    this.#isAbandoned = true
  }

  #goOn(): void {
    if (this.#isAbandoned) return
    const { scheduler, random, done } = this.#given
    if (this.#steps.next().done === true) return done(this.#copy)
    scheduler.after(exponential(random, this.#meanPauseMs), 'copy', () => this.#goOn())
  }

  *#copyAll(): Generator<void> {
    const { volume, random } = this.#given
    // With one directory for snapshots and logs their files come in any order.
    const visits = chance(random, 0.5) ? [dirs] : shuffled(random, dirs).map(dir => [dir])
    for (const visited of visits) {
      const places = visited.flatMap(dir => volume.names(dir).map(name => ({ dir, name })))
      for (const { dir, name } of shuffled(random, places)) {
        yield
        yield* this.#copyFile(dir, name)
      }
    }
    for (const dir of dirs) this.#copy.directories[dir].sync()
    for (const { dir, name, isNameLost } of volume.damagedFiles())
      if (isNameLost && this.#copy.content(dir, name) === undefined)
        this.#copy.directories[dir].lostNames.add(name)
  }

  *#copyFile(dir: Dir, name: string): Generator<void> {
    const from = this.#given.volume.directories[dir].current.get(name)
    if (from === undefined) return
    const into = this.#copy.directories[dir].link(name)
    let at = 0
    for (; at < from.current.length; at += this.#pieceBytes) {
      const bytes = from.current.slice(at, at + this.#pieceBytes).slice()
      into.write(at, bytes)
      into.taint(inside(from.damage, { at, lengthBytes: bytes.length }))
      yield
    }
    into.taint(inside(from.damage, behind(at)))
    into.sync()
  }
}
