/** What tests of the log begin with: a disk that notes what it was asked for, and files that real servers wrote. */
import { readFileSync } from 'node:fs'
import type { Dir, DiskCall, DiskResult, FileId, OpId } from '../src/disk.ts'
import type { Random } from '../src/random.ts'
import { CrashDisk } from './crash-disk.ts'

/** Notes the calls in the order in which they were asked for. */
export class WatchedDisk extends CrashDisk {
  readonly asked: DiskCall[] = []
  readonly #opening: Map<OpId, Dir> = new Map()
  readonly #dirOf: Map<FileId, Dir> = new Map()

  override ask(op: OpId, call: DiskCall): void {
    this.asked.push(call)
    if (call.call === 'open') this.#opening.set(op, call.dir)
    super.ask(op, call)
  }

  override next(random: Random): { readonly op: OpId; readonly result: DiskResult } {
    const done = super.next(random)
    const dir = this.#opening.get(done.op)
    if (dir !== undefined && done.result.ok && done.result.file !== undefined)
      this.#dirOf.set(done.result.file, dir)
    return done
  }

  /** Of a directory and the files in it. */
  askedIn(dir: Dir): DiskCall[] {
    return this.asked.filter(call => ('dir' in call ? call.dir : this.#dirOf.get(call.file)) === dir)
  }
}

/** @param path - below the captured data directories */
export function golden(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../../test/golden/data-dirs/${path}`, import.meta.url)))
}
