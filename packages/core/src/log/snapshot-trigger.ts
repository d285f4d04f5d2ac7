/**
 * When the next snapshot is due: after a number of records or of bytes, each drawn from the upper half of its limit,
 * so that the servers of an ensemble do not all take theirs together.
 *
 * Source: SyncRequestProcessor.shouldSnapshot in the Java server.
 */
import type { StorageConfig } from '../config.ts'
import { drawBelow, type Random } from '../random.ts'

export class SnapshotTrigger {
  readonly #config: StorageConfig
  readonly #random: Random
  #records = 0
  #bytes = 0
  #dueAtRecords = 0
  #dueAtBytes = 0

  constructor(given: { readonly config: StorageConfig; readonly random: Random }) {
    this.#config = given.config
    this.#random = given.random
    this.#begin()
  }

  /** @returns whether one is due; then counting begins anew */
  count(logged: { readonly records: number; readonly bytes: number }): boolean {
    this.#records += logged.records
    this.#bytes += logged.bytes
    const isBySize = this.#config.snapSizeLimitBytes > 0 && this.#bytes > this.#dueAtBytes
    const isDue = isBySize || this.#records > this.#dueAtRecords
    if (isDue) this.#begin()
    return isDue
  }

  #begin(): void {
    const halfCount = Math.max(1, Math.floor(this.#config.snapCount / 2))
    const halfBytes = Math.max(1, Math.floor(this.#config.snapSizeLimitBytes / 2))
    this.#records = 0
    this.#bytes = 0
    this.#dueAtRecords = halfCount + drawBelow(this.#random, Math.min(halfCount, 0xffff_ffff))
    this.#dueAtBytes = halfBytes + Math.floor((this.#random.u32() / 0x1_0000_0000) * halfBytes)
  }
}
