import { makeSpace, type Space, spaceOf } from './jute/writer.ts'

/** A length word that cannot be right: the connection it came on is of no further use. */
export const badFrame = -2
/** More bytes are needed. */
export const partialFrame = -1

/**
 * @returns the length of the frame whose length word starts at `at`, {@link partialFrame} if it is not there whole,
 * or {@link badFrame} if the length is negative or above `maxBytes`
 */
export function frameLength(view: DataView, at: number, to: number, maxBytes: number): number {
  if (to - at < 4) return partialFrame
  const length = view.getInt32(at)
  if (length < 0 || length > maxBytes) return badFrame
  return to - at - 4 < length ? partialFrame : length
}

const smallestTail = 1024
/** A larger space is not kept for a rest that fills less than half of it. */
const largestKept = 128 * 1024
const noSpace: Space = makeSpace(0)

/**
 * The private rest of a byte stream: what came after the last whole frame. It exists only while there is one, grows
 * with the bytes that really came (never with the length a peer claims), and is given back when the frame is whole.
 */
export class FrameTail {
  #space: Space | undefined
  #length = 0

  get lengthBytes(): number {
    return this.#length
  }

  /** @returns the space with all pending bytes: the tail, then the bytes given; valid from 0 to {@link lengthBytes} */
  append(bytes: Uint8Array, from: number, to: number): Space {
    const needed = this.#length + to - from
    let space = this.#space
    if (space === undefined || space.bytes.length < needed) {
      const grown = makeSpace(Math.max(smallestTail, needed, 2 * this.#length))
      if (space !== undefined) grown.bytes.set(space.bytes.subarray(0, this.#length))
      space = grown
      this.#space = space
    }
    space.bytes.set(bytes.subarray(from, to), this.#length)
    this.#length = needed
    return space
  }

  /** The pending bytes, from 0 to {@link lengthBytes}. */
  get space(): Space {
    return this.#space ?? noSpace
  }

  /** Drops the first `lengthBytes` of the pending bytes: they were whole frames. */
  consume(lengthBytes: number): void {
    const space = this.#space
    if (space === undefined || lengthBytes === 0) return
    const pending = space.bytes.subarray(lengthBytes, this.#length)
    this.#length = pending.length
    if (pending.length === 0) this.#space = undefined
    else if (space.bytes.length > largestKept && 2 * pending.length < space.bytes.length) {
      this.#space = makeSpace(Math.max(smallestTail, pending.length))
      this.#space.bytes.set(pending)
    } else space.bytes.copyWithin(0, lengthBytes, lengthBytes + pending.length)
  }
}

/**
 * Cuts a byte stream into frames.
 *
 * @param onFrame - given each frame without its length word, valid only during the call; false stops the cutting and
 * drops what is left
 * @returns false if a length word was bad; what is left is dropped too
 */
export function cutFrames(
  tail: FrameTail,
  input: { readonly bytes: Uint8Array; readonly from: number; readonly to: number },
  maxBytes: number,
  onFrame: (space: Space, from: number, to: number) => boolean,
): boolean {
  const isTailed = tail.lengthBytes > 0
  const space = isTailed ? tail.append(input.bytes, input.from, input.to) : spaceOf(input.bytes)
  const to = isTailed ? tail.lengthBytes : input.to
  const start = isTailed ? 0 : input.from
  let at = start
  for (;;) {
    const length = frameLength(space.view, at, to, maxBytes)
    if (length === partialFrame) break
    const isOver = length === badFrame || !onFrame(space, at + 4, at + 4 + length)
    if (isOver) {
      tail.consume(tail.lengthBytes)
      return length !== badFrame
    }
    at += 4 + length
  }
  if (isTailed) tail.consume(at)
  else if (at < to) tail.append(space.bytes, at, to)
  return true
}
