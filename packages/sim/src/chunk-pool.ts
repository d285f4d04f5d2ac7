/**
 * Output memory, as the real driver's pool hands it out. What comes back is poisoned, so that a core that writes to a
 * chunk it gave away, or reads from one, shows itself.
 */
import type { Chunk, Chunks } from '@corral/core'
import { assert } from '@corral/protocol'

const poison = 0xdb
const smallestBytes = 256

export class ChunkPool implements Chunks {
  readonly #free: { readonly chunk: Chunk; readonly poisonedBytes: number }[] = []
  readonly #outside: Set<Chunk> = new Set()

  take(atLeastBytes: number): Chunk {
    const i = this.#free.findIndex(entry => entry.chunk.bytes.length >= atLeastBytes)
    const entry = i === -1 ? undefined : this.#free.splice(i, 1)[0]
    if (entry !== undefined) {
      for (let at = 0; at < entry.poisonedBytes; at++) {
        assert(entry.chunk.bytes[at] === poison, `byte ${at} of a chunk was written after it was given away`)
      }
    }
    const chunk = entry?.chunk ?? makeChunk(Math.max(atLeastBytes, smallestBytes))
    this.#outside.add(chunk)
    return chunk
  }

  /** @param lengthBytes - how much of it was sent */
  give(chunk: Chunk, lengthBytes: number): void {
    assert(this.#outside.delete(chunk), 'a chunk is given away once')
    chunk.bytes.fill(poison, 0, lengthBytes)
    this.#free.push({ chunk, poisonedBytes: lengthBytes })
  }
}

function makeChunk(lengthBytes: number): Chunk {
  const bytes = new Uint8Array(lengthBytes)
  return { bytes, view: new DataView(bytes.buffer) }
}

export function poisoned(bytes: Uint8Array): void {
  bytes.fill(poison)
}
