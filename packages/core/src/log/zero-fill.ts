/**
 * Keeps zeros ahead of a log's end, a piece at a time and beside the writing: a sync that need not change the file's
 * size is cheaper. Each piece has a sync of its own, so that no batch pays for it.
 *
 * Zeros never land on records: a piece begins behind the batch in flight, and a batch that would reach into a piece on
 * its way has to wait for it.
 */
import { fileHeaderBytes } from '@corral/protocol'
import type { DiskResult } from '../disk.ts'
import type { Now } from '../events.ts'
import type { DiskOps, OpenedFile } from './script.ts'

const pageBytes = 4096
const pieceBytes = 128 * 1024
const aheadBytes = 4 * 1024 * 1024

export class ZeroFill {
  readonly #preAllocBytes: number
  readonly #ops: DiskOps
  readonly #ended: (now: Now, result: DiskResult) => void
  #segment: OpenedFile | undefined
  /** Up to here the segment holds zeros that are durable. */
  #filledTo = 0
  /** Where the piece on its way begins. */
  pieceFrom = 0
  isFlying = false

  /** @param given.ended - told of each piece */
  constructor(given: {
    readonly preAllocBytes: number
    readonly ops: DiskOps
    ended(now: Now, result: DiskResult): void
  }) {
    this.#preAllocBytes = given.preAllocBytes
    this.#ops = given.ops
    this.#ended = (now, result) => given.ended(now, result)
  }

  /** From now on another segment is filled, that holds a header alone. */
  begin(segment: OpenedFile): void {
    this.#segment = segment
    this.#filledTo = fileHeaderBytes
  }

  isInTheWayOf(batchTo: number): boolean {
    return this.isFlying && batchTo > this.pieceFrom
  }

  /** @param end - of the records, those in flight included */
  goAhead(end: number): void {
    const segment = this.#segment
    if (segment === undefined || this.isFlying || this.#preAllocBytes <= 0) return
    const from = Math.max(this.#filledTo, end)
    if (from - end >= Math.min(aheadBytes, this.#preAllocBytes)) return
    const to = from - (from % pageBytes) + Math.min(pieceBytes, Math.max(this.#preAllocBytes, pageBytes))
    this.isFlying = true
    this.pieceFrom = from
    this.#ops.issue({ call: 'fill', file: segment.file, at: from, lengthBytes: to - from }, (now, result) => {
      this.isFlying = false
      this.#filledTo = to
      this.#ended(now, result)
    })
  }
}
