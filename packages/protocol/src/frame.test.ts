import { describe, expect, test } from 'vitest'
import { badFrame, cutFrames, FrameTail, frameLength, partialFrame } from './frame.ts'
import { makeSpace } from './jute/writer.ts'

function input(...bytes: number[]): { bytes: Uint8Array; from: number; to: number } {
  return { bytes: Uint8Array.from(bytes), from: 0, to: bytes.length }
}

function lengthWord(value: number, following = 0): DataView {
  const { view } = makeSpace(4 + following)
  view.setInt32(0, value)
  return view
}

describe('frameLength', () => {
  test.each([
    [0, 0, 0],
    [5, 5, 5],
    [5, 6, 5],
    [5, 4, partialFrame],
    [0xfffff, 0, partialFrame],
    [0x100000, 0, badFrame],
    [0x7fffffff, 0, badFrame],
    [-1, 0, badFrame],
    [-0x80000000, 0, badFrame],
  ])('length word %i with %i bytes after it: %i', (length, following, expected) => {
    expect(frameLength(lengthWord(length, following), 0, 4 + following, 0xfffff)).toBe(expected)
  })

  test('a bad length is known from its four bytes, a shorter one is not judged', () => {
    const view = lengthWord(-1)

    const lengths = [0, 1, 2, 3, 4].map(to => frameLength(view, 0, to, 100))

    expect(lengths).toEqual([partialFrame, partialFrame, partialFrame, partialFrame, badFrame])
  })
})

describe('FrameTail', () => {
  test('grows with the bytes that came, not with the length that was claimed', () => {
    const tail = new FrameTail()

    cutFrames(tail, input(0x00, 0x0f, 0xff, 0xff, 1, 2, 3), 0xfffff, () => true)

    expect(tail.lengthBytes).toBe(7)
    expect(tail.space.bytes.length).toBe(1024)
  })

  test('a frame that comes byte by byte costs at most twice its length', () => {
    const tail = new FrameTail()
    const length = 300_000
    const { bytes, view } = makeSpace(4 + length)
    view.setInt32(0, length)
    let largest = 0
    let frames = 0

    for (let at = 0; at < bytes.length; at += 7) {
      const to = Math.min(at + 7, bytes.length)
      cutFrames(tail, { bytes, from: at, to }, 0xfffff, () => ++frames > 0)
      largest = Math.max(largest, tail.space.bytes.length)
    }

    expect(frames).toBe(1)
    expect(largest).toBeLessThanOrEqual(2 * (4 + length))
  })

  test('gives its memory back when nothing is pending', () => {
    const tail = new FrameTail()
    tail.append(Uint8Array.of(1, 2, 3), 0, 3)

    tail.consume(3)

    expect(tail.lengthBytes).toBe(0)
    expect(tail.space.bytes.length).toBe(0)
  })

  test('keeps what was not consumed, moved to the front', () => {
    const tail = new FrameTail()
    tail.append(Uint8Array.of(1, 2, 3, 4, 5), 1, 5)

    tail.consume(3)

    expect([...tail.space.bytes.subarray(0, tail.lengthBytes)]).toEqual([5])
  })

  test('a small rest does not keep the memory of a large frame', () => {
    const tail = new FrameTail()
    tail.append(new Uint8Array(1_000_000).fill(7), 0, 1_000_000)

    tail.consume(999_990)

    expect([...tail.space.bytes.subarray(0, tail.lengthBytes)]).toEqual(new Array(10).fill(7))
    expect(tail.space.bytes.length).toBeLessThanOrEqual(1024)
  })
})

describe('cutFrames', () => {
  test('frames inside one input are not copied', () => {
    const tail = new FrameTail()
    const given = input(0, 0, 0, 1, 9, 0, 0, 0, 0)
    const seen: boolean[] = []

    cutFrames(tail, given, 100, space => seen.push(space.bytes === given.bytes) > 0)

    expect(seen).toEqual([true, true])
    expect(tail.lengthBytes).toBe(0)
  })

  test('only the given part of the input is looked at', () => {
    const tail = new FrameTail()
    const frames: number[][] = []
    const { bytes } = input(0xff, 0, 0, 0, 1, 9, 0, 0, 0, 0, 0xff)

    cutFrames(tail, { bytes, from: 1, to: 10 }, 100, (space, from, to) => {
      return frames.push([...space.bytes.subarray(from, to)]) > 0
    })

    expect(frames).toEqual([[9], []])
    expect(tail.lengthBytes).toBe(0)
  })

  test.each([
    ['at once', [input(0, 0, 0, 1, 9, 0, 0, 0, 1, 8, 0, 0)]],
    ['with a tail', [input(0, 0), input(0, 1, 9, 0, 0, 0, 1, 8, 0, 0)]],
  ])('stopped by its caller, it drops what is left: %s', (_how, pieces) => {
    const tail = new FrameTail()
    let calls = 0

    const isGood = pieces.map(piece => cutFrames(tail, piece, 100, () => ++calls === 0))

    expect(isGood.every(Boolean)).toBe(true)
    expect(calls).toBe(1)
    expect(tail.lengthBytes).toBe(0)
  })

  test.each([
    ['at once', [input(0, 0, 0, 0, 0xff, 0, 0, 0)]],
    ['with a tail', [input(0, 0, 0), input(0, 0xff, 0, 0, 0, 7)]],
  ])('a bad length ends it after the frames before it: %s', (_how, pieces) => {
    const tail = new FrameTail()
    let calls = 0

    const last = pieces.map(piece => cutFrames(tail, piece, 100, () => ++calls > 0)).at(-1)

    expect(last).toBe(false)
    expect(calls).toBe(1)
    expect(tail.lengthBytes).toBe(0)
  })
})
