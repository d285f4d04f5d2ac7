/** What tests of the log begin with: a disk that notes what it was asked for, and files that real servers wrote. */
import { readFileSync } from 'node:fs'
import type { DiskCall, OpId } from '../src/disk.ts'
import { CrashDisk } from './crash-disk.ts'

/** Notes the calls in the order in which they were asked for. */
export class WatchedDisk extends CrashDisk {
  readonly asked: DiskCall[] = []

  override ask(op: OpId, call: DiskCall): void {
    this.asked.push(call)
    super.ask(op, call)
  }
}

/** @param path - below the captured data directories */
export function golden(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../../test/golden/data-dirs/${path}`, import.meta.url)))
}
