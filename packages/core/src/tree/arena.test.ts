import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Arena } from './arena.ts'

interface Block {
  readonly ref: number
  readonly length: number
  readonly fill: number
}

function fill(arena: Arena, { ref, length, fill: byte }: Block): void {
  const at = arena.offset(ref)
  arena.space(ref).bytes.fill(byte, at, at + length)
}

function isIntact(arena: Arena, { ref, length, fill: byte }: Block): boolean {
  const at = arena.offset(ref)
  return arena
    .space(ref)
    .bytes.subarray(at, at + length)
    .every(value => value === byte)
}

const length = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 300 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 33_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 100_000 }) },
)

test('blocks never overlap, and all memory comes back', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ take: length }) },
    { weight: 2, arbitrary: fc.record({ give: fc.nat() }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150, size: 'max' }), steps => {
      const arena = new Arena()
      const held: Block[] = []
      steps.forEach((given, i) => {
        if ('take' in given) {
          const block = { ref: arena.allocate(given.take), length: given.take, fill: (i % 255) + 1 }
          expect(block.ref).not.toBe(0)
          expect(arena.offset(block.ref) % 8).toBe(0)
          fill(arena, block)
          held.push(block)
        } else if (held.length > 0) {
          const [block] = held.splice(given.give % held.length, 1) as [Block]
          expect(isIntact(arena, block)).toBe(true)
          arena.release(block.ref, block.length)
        }
      })
      expect(held.filter(block => !isIntact(arena, block))).toEqual([])

      for (const block of held) arena.release(block.ref, block.length)
      expect(arena.usedBytes).toBe(0)
    }),
    { numRuns: 30 },
  )
})

test('memory freed by one size serves every other', () => {
  const arena = new Arena()
  const mebibyte = 1024 * 1024
  let reserved = 0
  for (const size of [40, 48, 100, 1000, 1500, 30_000, 50_000, 700_000, 8]) {
    const blocks = Array.from({ length: Math.floor((3 * mebibyte) / size) }, () => arena.allocate(size))
    if (reserved === 0) reserved = highWater(arena, blocks)
    expect(highWater(arena, blocks)).toBeLessThan(reserved + mebibyte)
    for (const ref of blocks) arena.release(ref, size)
  }
})

/** The end of the memory ever used: no address above the highest block was touched. */
function highWater(arena: Arena, blocks: readonly number[]): number {
  return blocks.reduce((most, ref) => Math.max(most, arena.offset(ref)), 0)
}

test('a block serves the lengths of its size class', () => {
  const arena = new Arena()

  expect(arena.isSameBlock(17, 24)).toBe(true)
  expect(arena.isSameBlock(24, 25)).toBe(false)
  expect(arena.isSameBlock(1025, 1152)).toBe(true)
  expect(arena.isSameBlock(1152, 1153)).toBe(false)
  expect(arena.isSameBlock(32_768, 32_769)).toBe(false)
  expect(arena.isSameBlock(32_769, 40_960)).toBe(true)
  expect(arena.isSameBlock(40_960, 40_961)).toBe(false)
})

test('a block is at most an eighth larger than asked for, and at least that large', () => {
  const arena = new Arena()
  for (let size = 8; size <= 32_768; size += 8) {
    const before = arena.usedBytes
    const ref = arena.allocate(size)
    const taken = arena.usedBytes - before
    expect(taken).toBeGreaterThanOrEqual(size)
    expect(taken).toBeLessThanOrEqual(Math.max(size, Math.ceil(size * 1.125)))
    arena.release(ref, size)
  }
})

test('small arenas stay small', () => {
  const arena = new Arena()
  for (let i = 0; i < 100; i++) arena.allocate(100)

  expect(arena.reservedBytes).toBeLessThan(300_000)
})
