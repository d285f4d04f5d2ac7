import { Writer } from '@corral/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { space } from '../../test/tree-kit.ts'
import { Arena } from './arena.ts'
import { PathIndex } from './path-index.ts'
import { hashBytes } from './raw-bytes.ts'

function put(index: PathIndex, key: string, value: number): void {
  const bytes = space(key)
  index.put(bytes, 0, bytes.bytes.length, value)
}

function get(index: PathIndex, key: string): number {
  const bytes = space(`--${key}-`)
  return index.get(bytes, 2, bytes.bytes.length - 1)
}

function remove(index: PathIndex, key: string): boolean {
  const bytes = space(key)
  return index.delete(bytes, 0, bytes.bytes.length)
}

test('it holds what a map holds, while it grows and shrinks', () => {
  const step = fc.record({ key: fc.nat(400), action: fc.constantFrom('put', 'put', 'delete') })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 800, size: 'max' }), fc.integer(), (steps, seed) => {
      const index = new PathIndex({ seed, arena: new Arena() })
      const map = new Map<string, number>()
      steps.forEach(({ key: number, action }, i) => {
        const key = `/key-${number}`
        if (action === 'put') {
          put(index, key, i)
          map.set(key, i)
        } else {
          expect(remove(index, key)).toBe(map.delete(key))
        }
        expect(index.count).toBe(map.size)
      })
      for (let number = 0; number <= 400; number++) {
        const key = `/key-${number}`
        expect(get(index, key)).toBe(map.get(key) ?? -1)
      }
    }),
    { numRuns: 25 },
  )
})

test('keys of any length are told apart', () => {
  const index = new PathIndex({ seed: 1, arena: new Arena() })
  const keys = Array.from({ length: 40 }, (_, length) => 'x'.repeat(length))
  keys.forEach((key, i) => {
    put(index, key, i)
  })

  expect(keys.map(key => get(index, key))).toEqual(keys.map((_, i) => i))
})

test('an entry keeps its place and gives its key back', () => {
  const index = new PathIndex({ seed: 1, arena: new Arena() })
  const key = space('/a/long/key')
  const entry = index.insert(key, 2, key.bytes.length, 7)
  for (let i = 0; i < 1000; i++) put(index, `/other-${i}`, i)

  const out = new Writer()
  index.keyInto(entry, out)
  expect(Buffer.from(out.written()).toString()).toBe('/long/key')
  expect(index.entry(key, 2, key.bytes.length)).toBe(entry)
  expect(index.valueOf(entry)).toBe(7)
  index.removeEntry(entry)
  expect(index.entry(key, 2, key.bytes.length)).toBe(0)
  expect(index.count).toBe(1000)
})

test('the hash depends on every byte, the length and the seed', () => {
  const text = space('/app/config/0')
  const length = text.bytes.length
  const hashes = new Set<number>()
  for (let to = 0; to <= length; to++) hashes.add(hashBytes(text, 0, to, 1))
  for (let i = 0; i < length; i++) {
    const changed = space('/app/config/0')
    changed.bytes[i] = (changed.bytes[i] as number) ^ 1
    hashes.add(hashBytes(changed, 0, length, 1))
  }
  hashes.add(hashBytes(text, 0, length, 2))

  expect(hashes.size).toBe(2 * length + 2)
})
