import { utf8Length, writeUtf8 } from '../utf8.ts'

/** A piece of memory and the view over the same bytes, offset for offset. */
export interface Space {
  readonly bytes: Uint8Array
  readonly view: DataView
}

export function makeSpace(lengthBytes: number): Space {
  const bytes = new Uint8Array(lengthBytes)
  return { bytes, view: new DataView(bytes.buffer) }
}

/** The same memory, offset for offset. */
export function spaceOf(bytes: Uint8Array): Space {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
}

/** Copies up to this length word by word; longer ones cross into native code, which has a fixed cost. */
const shortCopyBytes = 160

/**
 * Writes jute's primitive types into memory that grows. Frames are written in place: {@link beginFrame} leaves
 * room for the length, {@link endFrame} patches it.
 */
export class Writer {
  bytes: Uint8Array
  view: DataView
  /** Offset of the next byte; may be set back to drop what was written after it. */
  at: number
  readonly #allocate: (atLeastBytes: number) => Space

  /** @param allocate - gives the larger space when the present one is full; what is written is copied over */
  constructor(space: Space = makeSpace(256), allocate: (atLeastBytes: number) => Space = makeSpace) {
    this.bytes = space.bytes
    this.view = space.view
    this.at = 0
    this.#allocate = allocate
  }

  /** Goes on writing in another space, at `at`. */
  attach(space: Space, at: number): void {
    this.bytes = space.bytes
    this.view = space.view
    this.at = at
  }

  /** Makes room for `length` more bytes. */
  ensure(length: number): void {
    if (this.at + length > this.bytes.length) this.#grow(length)
  }

  byte(value: number): void {
    this.ensure(1)
    this.view.setInt8(this.at, value)
    this.at += 1
  }

  bool(value: boolean): void {
    this.byte(value ? 1 : 0)
  }

  int32(value: number): void {
    this.ensure(4)
    this.view.setInt32(this.at, value)
    this.at += 4
  }

  words(high: number, low: number): void {
    this.ensure(8)
    this.view.setInt32(this.at, high)
    this.view.setInt32(this.at + 4, low)
    this.at += 8
  }

  int64(value: bigint): void {
    this.ensure(8)
    this.view.setBigInt64(this.at, value)
    this.at += 8
  }

  /** A safe integer as a long. */
  measure(value: number): void {
    this.words(Math.floor(value / 0x1_0000_0000), value)
  }

  /** Bytes `from` to `to` (exclusive) of `source`, without a length. */
  raw(source: Space, from: number, to: number): void {
    const length = to - from
    this.ensure(length)
    copyBytes(source, from, to, this, this.at)
    this.at += length
  }

  buffer(value: Uint8Array | null): void {
    if (value === null) return this.int32(-1)
    this.ensure(4 + value.length)
    this.int32(value.length)
    this.bytes.set(value, this.at)
    this.at += value.length
  }

  string(value: string | null): void {
    if (value === null) return this.int32(-1)
    const length = utf8Length(value)
    this.ensure(4 + length)
    this.int32(length)
    writeUtf8(value, this.bytes, this.at)
    this.at += length
  }

  vector<T>(values: readonly T[] | null, element: (writer: Writer, value: T) => void): void {
    if (values === null) return this.int32(-1)
    this.int32(values.length)
    for (const value of values) element(this, value)
  }

  /** @returns the frame's start, to be given to {@link endFrame} */
  beginFrame(): number {
    this.ensure(4)
    const start = this.at
    this.at += 4
    return start
  }

  endFrame(start: number): void {
    this.view.setInt32(start, this.at - start - 4)
  }

  /** A copy of all that was written. */
  written(): Uint8Array {
    return this.bytes.slice(0, this.at)
  }

  #grow(length: number): void {
    const space = this.#allocate(Math.max(this.at + length, 2 * this.bytes.length))
    space.bytes.set(this.bytes.subarray(0, this.at))
    this.bytes = space.bytes
    this.view = space.view
  }
}

/** Copies between spaces that do not overlap; cheap for the short lengths that names and values have. */
export function copyBytes(source: Space, from: number, to: number, target: Space, at: number): void {
  const length = to - from
  const { bytes, view } = source // read once: many kinds of objects are spaces, which makes each look-up slow
  if (length > shortCopyBytes) {
    target.bytes.set(bytes.subarray(from, to), at)
    return
  }
  const { bytes: targetBytes, view: targetView } = target
  let i = 0
  for (; i + 4 <= length; i += 4) targetView.setInt32(at + i, view.getInt32(from + i))
  for (; i < length; i++) targetBytes[at + i] = bytes[from + i] as number
}
