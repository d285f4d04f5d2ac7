/** Moves a window over one log file, and looks behind a damaged place. */
import {
  adler32,
  endOfRecord,
  fromWords,
  logRecordHeadBytes,
  makeSpace,
  type Space,
  type Zxid,
  zxid,
} from '@corral/protocol'
import { type Found, firstNonZero, hasMissingSector, RecordReader } from './record-reader.ts'
import { type OpenedFile, read, type Script } from './script.ts'

const largestWindowBytes = 1024 * 1024

/** Whole valid records behind a damaged place. */
export interface Survey {
  readonly count: number
  readonly first: Zxid | undefined
  readonly last: Zxid | undefined
}

export class LogFileReader {
  readonly file: OpenedFile
  readonly #records: RecordReader
  #space: Space
  /** Where in the file the window begins. */
  #windowAt: number
  #from = 0
  #to = 0
  #isEnd = false

  /** @param given.at - where the first record begins */
  constructor(given: { readonly file: OpenedFile; readonly maxPayloadBytes: number; readonly at: number }) {
    this.file = given.file
    this.#records = new RecordReader(given)
    this.#windowAt = given.at
    // One byte more than the file shows its end at the first read.
    this.#space = makeSpace(Math.min(largestWindowBytes, given.file.sizeBytes + 1))
  }

  /** Where in the file the record in hand begins, or the place that is none. */
  get at(): number {
    return this.#windowAt + this.#from
  }

  get space(): Space {
    return this.#space
  }

  get payloadFrom(): number {
    return this.#records.payloadFrom
  }

  get payloadTo(): number {
    return this.#records.payloadTo
  }

  get zxidHigh(): number {
    return this.#records.zxidHigh
  }

  get zxidLow(): number {
    return this.#records.zxidLow
  }

  /** What stands at {@link at}. After 'more' the caller refills and asks again. */
  look(): Found {
    return this.#records.read(this.#space, this.#from, this.#to, this.#isEnd)
  }

  /** Behind the record in hand. */
  advance(): void {
    this.#from = this.#records.end
  }

  /** @param records - of so many of the length of the one in hand there is room afterwards, if the file has them */
  *refill(records = 1): Script<void> {
    const kept = this.#to - this.#from
    const needed = (this.#records.end - this.#from) * records
    const before = this.#space
    if (needed > before.bytes.length) this.#space = makeSpace(Math.max(needed, 2 * before.bytes.length))
    this.#space.bytes.set(before.bytes.subarray(this.#from, this.#to))
    this.#windowAt += this.#from
    this.#from = 0
    this.#to = kept
    const into = this.#space.bytes.subarray(kept)
    const count = yield* read(this.file, this.#windowAt + kept, into)
    this.#to += count
    this.#isEnd = count < into.length
  }

  /**
   * Whether nothing but zeros follows, to the end of the file. Moves the window.
   *
   * @param behind - bytes from {@link at} on that may be others; no more than were read
   */
  *isZeroToEnd(behind = 0): Script<boolean> {
    const back = this.at
    for (let from = this.#from + behind; ; from = 0) {
      if (firstNonZero(this.#space.bytes, from, this.#to) < this.#to) {
        yield* this.#seek(back)
        return false
      }
      if (this.#isEnd) return true
      yield* this.#seek(this.#windowAt + this.#to)
    }
  }

  /** What is really wrong with the record in hand: an incomplete one may be whole but for its length. */
  diagnose(found: Found): Found {
    const isIncomplete = found === 'cut' || found === 'no end mark'
    return isIncomplete && this.#records.fitsShorter(this.#space, this.#from, this.#to) ? 'bad length' : found
  }

  /** The length of the record in hand, if that is all that is wrong with it: longer than this reader may accept. */
  *lengthIfWhole(): Script<number | undefined> {
    const back = this.at
    const { view } = this.#space
    const wanted = view.getUint32(this.#from + 4)
    const length = view.getInt32(this.#from + 8)
    const payloadTo = back + logRecordHeadBytes + length
    if (length < 0 || view.getInt32(this.#from) !== 0 || payloadTo >= this.file.sizeBytes) return undefined
    const sum = yield* this.#checksum(back + logRecordHeadBytes, payloadTo)
    yield* this.#seek(payloadTo)
    const isWhole = sum === wanted && this.#space.bytes[0] === endOfRecord
    yield* this.#seek(back)
    return isWhole ? length : undefined
  }

  *#checksum(from: number, to: number): Script<number> {
    let sum = 1
    for (let at = from; at < to && this.#to > 0; at += this.#to) {
      yield* this.#seek(at)
      sum = adler32(this.#space, 0, Math.min(this.#to, to - at), sum)
    }
    return sum
  }

  /** Whether the record in hand, which is damaged, lacks what a device writes whole. */
  isMissingSector(found: Found): boolean {
    const extent =
      found === 'bad length' || found === 'zeros' ? logRecordHeadBytes : this.#records.end - this.#from
    const to = Math.min(this.#from + extent, this.#to)
    const known = this.#space.bytes.subarray(0, this.#to)
    return hasMissingSector(known, { from: this.#from, to, fileAt: this.#windowAt })
  }

  /**
   * Looks for whole records behind the damaged one in hand, at any offset: a damaged length says nothing about where
   * the next one begins. Where it can be believed, the inside of the damaged record is passed over: a client may have
   * stored bytes there that look like a record.
   */
  *survey(found: Found): Script<Survey> {
    const isLengthSane = found === 'no end mark' || found === 'bad checksum' || found === 'bad payload'
    this.#from = Math.min(isLengthSane ? this.#records.end : this.#from + 1, this.#to)
    let count = 0
    let first: Zxid | undefined
    let last: Zxid | undefined
    for (;;) {
      const hit = this.#records.search(this.#space, this.#from, this.#to, this.#isEnd)
      if (hit.at >= 0) {
        last = zxid(fromWords(this.zxidHigh, this.zxidLow))
        first ??= last
        count++
        this.#from = this.#records.end
        continue
      }
      if (this.#isEnd) return { count, first, last }
      this.#from = hit.resumeAt
      // A candidate may need all the memory that a record may take; with twice of it each refill is worth its cost.
      this.#records.read(this.#space, this.#from, this.#to, this.#isEnd)
      yield* this.refill(2)
    }
  }

  /** Whether the record in hand holds a txn that can be replayed. */
  isTxn(): boolean {
    return this.#records.isTxn(this.#space)
  }

  *#seek(at: number): Script<void> {
    this.#windowAt = at
    this.#from = 0
    this.#to = 0
    const count = yield* read(this.file, at, this.#space.bytes)
    this.#to = count
    this.#isEnd = count < this.#space.bytes.length
  }
}
