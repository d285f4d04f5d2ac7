/**
 * Output memory. Core takes a chunk, fills it and gives it away in a `send`; the sockets put it back when the kernel
 * took it all. A chunk that is never put back is the garbage collector's.
 */
import type { Chunk, Chunks } from '@corral/core'
import { makeSpace } from '@corral/protocol'

const sizesBytes = [4 * 1024, 16 * 1024, 64 * 1024, 256 * 1024, 1024 * 1024] as const
/** Idle chunks of one size are kept up to this many bytes. */
const keptBytesPerSize = 4 * 1024 * 1024

export class ChunkPool implements Chunks {
  readonly #idle: readonly Chunk[][] = sizesBytes.map(() => [])

  take(atLeastBytes: number): Chunk {
    for (let i = 0; i < sizesBytes.length; i++) {
      const size = sizesBytes[i] as number
      if (size >= atLeastBytes) return this.#idle[i]?.pop() ?? makeSpace(size)
    }
    return makeSpace(atLeastBytes)
  }

  /** The caller must not touch it any more. A chunk of a size the pool does not keep is dropped. */
  putBack(chunk: Chunk): void {
    const size = chunk.bytes.length
    const idle = this.#idle[sizesBytes.indexOf(size as (typeof sizesBytes)[number])]
    if (idle !== undefined && (idle.length + 1) * size <= keptBytesPerSize) idle.push(chunk)
  }
}
