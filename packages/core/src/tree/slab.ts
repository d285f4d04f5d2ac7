/** Records of a few int32 words, in chunks that are made when needed; and a column of numbers by id. */
import { grown } from '../lists.ts'

const chunkBits = 14
const chunkRecords = 1 << chunkBits

/**
 * Records are numbered from 1; 0 is none. A free record's word 0 links to the next free one. The first chunk begins
 * small and doubles, the others are whole from the start.
 */
export class Slab {
  readonly #words: number
  readonly #chunks: Int32Array[]
  #free = 0
  #end = 1
  #count = 0

  constructor(wordsPerRecord: number) {
    this.#words = wordsPerRecord
    this.#chunks = [new Int32Array(16 * wordsPerRecord)]
  }

  get count(): number {
    return this.#count
  }

  get sizeBytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
  }

  get(record: number, word: number): number {
    const chunk = this.#chunks[record >>> chunkBits] as Int32Array
    return chunk[(record & (chunkRecords - 1)) * this.#words + word] as number
  }

  set(record: number, word: number, value: number): void {
    const chunk = this.#chunks[record >>> chunkBits] as Int32Array
    chunk[(record & (chunkRecords - 1)) * this.#words + word] = value
  }

  /** @returns a record with undefined contents */
  allocate(): number {
    this.#count++
    const record = this.#free
    if (record !== 0) {
      this.#free = this.get(record, 0)
      return record
    }
    const at = this.#end++
    const chunk = this.#chunks[at >>> chunkBits]
    if (chunk === undefined) this.#chunks.push(new Int32Array(chunkRecords * this.#words))
    else if ((at & (chunkRecords - 1)) * this.#words === chunk.length) this.#chunks[0] = grown(chunk)
    return at
  }

  release(record: number): void {
    this.#count--
    this.set(record, 0, this.#free)
    this.#free = record
  }
}

const columnBits = 12

/** A number for some of the ids; 0 for all others. Takes 16 KiB for each 4,096 ids of which one ever had a number. */
export class SparseColumn {
  readonly #chunks: (Int32Array | undefined)[] = []

  get sizeBytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + (chunk?.byteLength ?? 0), 0)
  }

  get(id: number): number {
    const chunk = this.#chunks[id >>> columnBits]
    return chunk === undefined ? 0 : (chunk[id & ((1 << columnBits) - 1)] as number)
  }

  set(id: number, value: number): void {
    const index = id >>> columnBits
    let chunk = this.#chunks[index]
    if (chunk === undefined) {
      while (this.#chunks.length < index) this.#chunks.push(undefined)
      chunk = new Int32Array(1 << columnBits)
      this.#chunks[index] = chunk
    }
    chunk[id & ((1 << columnBits) - 1)] = value
  }
}
