/**
 * Snappy's block format, and the stream of the snappy-java library around it.
 *
 *     stream   82 "SNAPPY" 00 | version(4) | compatible version(4), then blocks: length(4) | block
 *     block    plain length (varint), then elements:
 *              literal  xxxxxx00, length - 1 in xxxxxx or in the 1 to 4 bytes that 60 … 63 announce; the bytes
 *              copy     xxxyyy01 z       length 4 + yyy, offset xxx << 8 | z
 *                       xxxxxx10 zz      length 1 + xxxxxx, offset little-endian
 *                       xxxxxx11 zzzz    the same with 4 bytes of offset
 *
 * Plain bytes come in blocks of 32 KiB. A block that would give more is refused: the size of the output is bounded by
 * the input, whoever wrote it.
 *
 * Source: format_description.txt of snappy; SnappyOutputStream, SnappyInputStream of snappy-java.
 */

/** Bytes that cannot be snappy. */
export class SnappyError extends Error {
  override readonly name: string = 'SnappyError'
}

export const snappyStreamHeader: Uint8Array = Uint8Array.of(
  0x82,
  0x53,
  0x4e,
  0x41,
  0x50,
  0x50,
  0x59,
  0,
  0,
  0,
  0,
  1,
  0,
  0,
  0,
  1,
)
/** Plain bytes per block that we write; readers must take up to {@link largestSnappyBlockBytes}. */
export const snappyBlockBytes: number = 32 * 1024
export const largestSnappyBlockBytes: number = 1024 * 1024

const hashBits = 13
const shortestCopy = 4
const longestCopy = 64

/** The most that {@link compressBlock} writes for so many plain bytes. */
export function largestCompressed(plainBytes: number): number {
  return 32 + plainBytes + Math.floor(plainBytes / 6)
}

/** Compresses at most 64 KiB. @returns bytes written to `into`, which has room for {@link largestCompressed} */
export function compressBlock(plain: Uint8Array, into: Uint8Array): number {
  let at = writeVarint(plain.length, into, 0)
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength)
  /** Hash of four bytes -> one above where they stood last. */
  const seen = new Uint32Array(1 << hashBits)
  let literalFrom = 0
  let from = 0
  const lastMatch = plain.length - shortestCopy
  while (from <= lastMatch) {
    const four = view.getInt32(from, true)
    const slot = Math.imul(four, 0x1e35a7bd) >>> (32 - hashBits)
    const candidate = (seen[slot] as number) - 1
    seen[slot] = from + 1
    if (candidate < 0 || view.getInt32(candidate, true) !== four) {
      // What did not match for long is searched in growing steps.
      from += 1 + ((from - literalFrom) >> 5)
      continue
    }
    at = writeLiteral(plain.subarray(literalFrom, from), into, at)
    let length = shortestCopy
    while (from + length < plain.length && plain[candidate + length] === plain[from + length]) length++
    at = writeCopies({ offset: from - candidate, length }, into, at)
    from += length
    literalFrom = from
  }
  return writeLiteral(plain.subarray(literalFrom), into, at)
}

function writeVarint(value: number, into: Uint8Array, at: number): number {
  let rest = value
  let to = at
  while (rest >= 0x80) {
    into[to++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  into[to++] = rest
  return to
}

function writeLiteral(bytes: Uint8Array, into: Uint8Array, at: number): number {
  const last = bytes.length - 1
  if (last < 0) return at
  let to = at
  if (last < 60) into[to++] = last << 2
  else if (last < 0x100) {
    into[to++] = 60 << 2
    into[to++] = last
  } else {
    into[to++] = 61 << 2
    into[to++] = last & 0xff
    into[to++] = last >> 8
  }
  into.set(bytes, to)
  return to + bytes.length
}

/** Offsets stay below 64 KiB, as blocks do. */
function writeCopies(
  copy: { readonly offset: number; readonly length: number },
  into: Uint8Array,
  at: number,
): number {
  let left = copy.length
  let to = at
  while (left > 0) {
    const length = Math.min(left, longestCopy)
    into[to++] = ((length - 1) << 2) | 2
    into[to++] = copy.offset & 0xff
    into[to++] = copy.offset >> 8
    left -= length
  }
  return to
}

/** @throws SnappyError if the bytes are no block or would give more than {@link largestSnappyBlockBytes} */
export function decompressBlock(block: Uint8Array): Uint8Array {
  const header = readVarint(block)
  if (header.value > largestSnappyBlockBytes) throw new SnappyError(`a block of ${header.value} plain bytes`)
  const plain = new Uint8Array(header.value)
  let to = 0
  for (let at = header.end; at < block.length; ) {
    const tag = block[at] as number
    const element = (tag & 3) === 0 ? literalAt(block, at) : copyAt(block, at)
    if (to + element.length > plain.length) throw new SnappyError('a block longer than it says')
    if (element.offset === 0) {
      if (element.end > block.length) throw new SnappyError('a literal beyond the block')
      plain.set(block.subarray(element.end - element.length, element.end), to)
    } else {
      if (element.offset > to) throw new SnappyError('a copy from before the block')
      // Byte by byte: source and target may overlap, which repeats the source.
      for (let i = 0; i < element.length; i++) plain[to + i] = plain[to + i - element.offset] as number
    }
    to += element.length
    at = element.end
  }
  if (to !== plain.length) throw new SnappyError('a block shorter than it says')
  return plain
}

interface Element {
  readonly length: number
  /** Back from the end of the output; 0: a literal. */
  readonly offset: number
  readonly end: number
}

function literalAt(block: Uint8Array, at: number): Element {
  const code = (block[at] as number) >> 2
  const lengthBytes = code < 60 ? 0 : code - 59
  const length = 1 + (code < 60 ? code : littleEndian(block, at + 1, lengthBytes))
  return { length, offset: 0, end: at + 1 + lengthBytes + length }
}

function copyAt(block: Uint8Array, at: number): Element {
  const tag = block[at] as number
  const kind = tag & 3
  if (kind === 1) {
    const offset = ((tag >> 5) << 8) | littleEndian(block, at + 1, 1)
    return checkedCopy({ length: 4 + ((tag >> 2) & 7), offset, end: at + 2 })
  }
  const offsetBytes = kind === 2 ? 2 : 4
  return checkedCopy({
    length: 1 + (tag >> 2),
    offset: littleEndian(block, at + 1, offsetBytes),
    end: at + 1 + offsetBytes,
  })
}

function checkedCopy(element: Element): Element {
  if (element.offset === 0) throw new SnappyError('a copy from nowhere')
  return element
}

function littleEndian(block: Uint8Array, at: number, count: number): number {
  if (at + count > block.length) throw new SnappyError('an element beyond the block')
  let value = 0
  for (let i = count - 1; i >= 0; i--) value = value * 256 + (block[at + i] as number)
  return value
}

function readVarint(block: Uint8Array): { readonly value: number; readonly end: number } {
  let value = 0
  for (let at = 0; at < 5 && at < block.length; at++) {
    const byte = block[at] as number
    value += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) return { value, end: at + 1 }
  }
  throw new SnappyError('a block without a length')
}
