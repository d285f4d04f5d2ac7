import { expect, test } from 'vitest'
import { space } from '../../test/tree-kit.ts'
import { hashBytes } from './raw-bytes.ts'

/** Names of eight-byte blocks, each one of two: every name there is. */
function* namesOf(blocks: readonly [Uint8Array, Uint8Array], count: number): Generator<Uint8Array> {
  for (let number = 0; number < 2 ** count; number++) {
    const name = new Uint8Array(8 * count)
    for (let i = 0; i < count; i++) name.set(blocks[(number >>> i) & 1] as Uint8Array, 8 * i)
    yield name
  }
}

// In each pair the second word undoes what the first has done to a hash of xor, multiply and shift, for half of all
// seeds or for all of them.
test.each([
  ['a lone bit 29', '000A010A', '000a0q0a'],
  ['the uppermost bit', '000\x01001\x01', '000\x81000\x81'],
])('whoever does not know the seed finds no names of one hash: %s', (_what, one, other) => {
  const blocks = [Buffer.from(one, 'latin1'), Buffer.from(other, 'latin1')] as const
  for (const seed of [0, 1, 0x12345678, -77_777]) {
    const hashes = new Set<number>()
    for (const name of namesOf(blocks, 12)) {
      const view = new DataView(name.buffer)
      hashes.add(hashBytes({ bytes: name, view }, 0, name.length, seed))
    }

    expect(hashes.size).toBe(4096)
  }
})

test('the lowest bits of the hash spread names that differ in one digit', () => {
  const counts = new Uint32Array(256)
  for (let i = 0; i < 25_600; i++) {
    const name = space(`/app/n-${String(i).padStart(10, '0')}`)
    const bucket = hashBytes(name, 0, name.bytes.length, 7) & 255
    counts[bucket] = (counts[bucket] as number) + 1
  }

  expect(Math.max(...counts)).toBeLessThan(160)
  expect(Math.min(...counts)).toBeGreaterThan(50)
})
