import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TagTable } from './tag-table.ts'

const few = 40

function valuesOf(table: TagTable, tag: number): number[] {
  const values: number[] = []
  for (let slot = table.first(tag); slot >= 0; slot = table.next(slot, tag)) values.push(table.valueAt(slot))
  return values.sort((a, b) => a - b)
}

test('entries added at once are those added one by one, and those whose tag is there already are told', () => {
  const tags = fc.array(fc.oneof(fc.nat(few), fc.integer()), { maxLength: 3000, size: 'max' })
  fc.assert(
    fc.property(tags, tags, (first, second) => {
      const one = new TagTable()
      const all = new TagTable()
      const known = new Set<number>()
      first.forEach((tag, i) => {
        one.add(tag, i + 1)
        all.add(tag, i + 1)
        known.add(tag)
      })
      let twins = 0
      second.forEach((tag, i) => {
        one.add(tag, first.length + i + 1)
        if (known.has(tag)) twins++
        known.add(tag)
      })

      expect(all.addAll(Int32Array.from(second), first.length + 1)).toHaveLength(twins)
      expect(all.count).toBe(one.count)
      for (const tag of known) expect(valuesOf(all, tag)).toEqual(valuesOf(one, tag))
    }),
    { numRuns: 25 },
  )
})
