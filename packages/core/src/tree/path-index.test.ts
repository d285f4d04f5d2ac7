import { Writer } from '@corral/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { space } from '../../test/tree-kit.ts'
import { PathIndex } from './path-index.ts'
import { hashBytes } from './raw-bytes.ts'
import { TagTable } from './tag-table.ts'

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
      const index = new PathIndex({ seed })
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
  const index = new PathIndex({ seed: 1 })
  const keys = Array.from({ length: 40 }, (_, length) => 'x'.repeat(length))
  keys.forEach((key, i) => {
    put(index, key, i)
  })

  expect(keys.map(key => get(index, key))).toEqual(keys.map((_, i) => i))
})

test('an entry keeps its place and gives its key back', () => {
  const index = new PathIndex({ seed: 1 })
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

test('equal tags are no obstacle, in the old table and in the new one', () => {
  const table = new TagTable(8)
  const tags = [3, 3, 11, 3, 19, 4, 4, 3, 27, 35, 3, 12, 3]
  const values = tags.map((_, i) => i + 1)
  tags.forEach((tag, i) => {
    table.add(tag, i + 1)
    for (let seen = 0; seen <= i; seen++) expect(valuesOf(table, tags[seen] as number)).toContain(seen + 1)
  })
  for (const value of [4, 1, 9, 2, 6]) {
    removeValue(table, tags[value - 1] as number, value)
    values.splice(values.indexOf(value), 1)
    for (const left of values) expect(valuesOf(table, tags[left - 1] as number)).toContain(left)
    expect(valuesOf(table, tags[value - 1] as number)).not.toContain(value)
  }
  expect(table.count).toBe(values.length)
})

function valuesOf(table: TagTable, tag: number): number[] {
  const found: number[] = []
  for (let slot = table.first(tag); slot >= 0; slot = table.next(slot, tag)) found.push(table.valueAt(slot))
  return found
}

function removeValue(table: TagTable, tag: number, value: number): void {
  let slot = table.first(tag)
  while (table.valueAt(slot) !== value) slot = table.next(slot, tag)
  table.removeAt(slot)
}

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
