import { type SessionId, sessionId, type Zxid, zxid } from '../ids.ts'
import { decodeUtf8 } from '../utf8.ts'

/** Bytes that cannot be right. Caught where the frame or file came in. */
export class DecodeError extends Error {
  override readonly name: string = 'DecodeError'
  /** Where in the buffer, in bytes. */
  readonly offset: number

  constructor(message: string, offset: number) {
    super(`${message} at byte ${offset}`)
    this.offset = offset
  }
}

/**
 * Reads jute's primitive types in order. Never reads past `to`, and never allocates for a length or count that
 * the bytes left cannot hold. Returned byte arrays are copies.
 */
export class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #to: number
  #at: number

  constructor(bytes: Uint8Array, from = 0, to: number = bytes.length) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#at = from
    this.#to = to
  }

  /** Offset of the next byte. */
  get at(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#to - this.#at
  }

  byte(): number {
    return this.#view.getInt8(this.#take(1))
  }

  /** Any non-zero byte is true. */
  bool(): boolean {
    return this.#view.getInt8(this.#take(1)) !== 0
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4))
  }

  int64(): bigint {
    return this.#view.getBigInt64(this.#take(8))
  }

  zxid(): Zxid {
    return zxid(this.int64())
  }

  sessionId(): SessionId {
    return sessionId(this.int64())
  }

  /** A long that measures: milliseconds, bytes. @throws DecodeError beyond ±2^53 */
  measure(): number {
    const at = this.#at
    const value = Number(this.int64())
    if (!Number.isSafeInteger(value)) throw new DecodeError('long out of range', at)
    return value
  }

  buffer(): Uint8Array | null {
    const length = this.#length()
    if (length === -1) return null
    return this.#copy(this.#take(length), length)
  }

  string(): string | null {
    const length = this.#length()
    if (length === -1) return null
    const from = this.#take(length)
    return decodeUtf8(this.#bytes, from, from + length)
  }

  /** A string where the protocol never has a null. */
  text(): string {
    const at = this.#at
    const value = this.string()
    if (value === null) throw new DecodeError('null string', at)
    return value
  }

  /** @param smallest - least bytes an element takes, which bounds the count. @returns null for count -1; other negative counts are empty */
  vector<T>(smallest: number, element: (reader: Reader) => T): T[] | null {
    const at = this.#at
    const count = this.int32()
    if (count === -1) return null
    if (count * smallest > this.remaining)
      throw new DecodeError(`vector of ${count} in ${this.remaining} bytes`, at)
    const elements: T[] = []
    for (let i = 0; i < count; i++) elements.push(element(this))
    return elements
  }

  /** The next `length` bytes, copied. */
  raw(length: number): Uint8Array {
    return this.#copy(this.#take(length), length)
  }

  skip(length: number): void {
    this.#take(length)
  }

  /** Not `slice`: that of a Buffer, which bytes from a socket are, shares its memory. */
  #copy(from: number, length: number): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(from, from + length))
  }

  #length(): number {
    const at = this.#at
    const length = this.int32()
    if (length < -1 || length > this.remaining) {
      throw new DecodeError(`length ${length} with ${this.remaining} bytes left`, at)
    }
    return length
  }

  #take(length: number): number {
    const at = this.#at
    if (length < 0 || this.#to - at < length)
      throw new DecodeError(`${length} bytes wanted, ${this.#to - at} left`, at)
    this.#at = at + length
    return at
  }
}
