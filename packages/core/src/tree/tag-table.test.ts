import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TagTable } from './tag-table.ts'

const few = 40

function valuesOf(table: TagTable, tag: number): number[] {
  const values: number[] = []
  for (let slot = table.first(tag); slot >= 0; slot = table.next(slot, tag)) values.push(table.valueAt(slot))
  return values.sort((a, b) => a - b)
}

/** Small ones begin the table and the greatest end it, so clusters grow together, also across its end. */
const crowdedTag = fc.oneof(fc.nat(few), fc.integer({ min: -few, max: -1 }), fc.integer())

test('it holds what a list of pairs holds, while it grows and shrinks', () => {
  const step = fc.record({ tag: crowdedTag, isAdd: fc.boolean() })
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 600, size: 'max' }),
      fc.constantFrom(8, 64),
      (steps, capacity) => {
        const table = new TagTable(capacity)
        const model = new Map<number, number[]>()
        steps.forEach(({ tag, isAdd }, i) => {
          const values = model.get(tag) ?? []
          model.set(tag, values)
          if (isAdd) {
            table.add(tag, i + 1)
            values.push(i + 1)
          } else if (values.length > 0) removeValue(table, tag, values.shift() as number)
          expect(valuesOf(table, tag)).toEqual(values)
        })
        for (const [tag, values] of model) expect(valuesOf(table, tag)).toEqual(values)
        expect(table.count).toBe([...model.values()].flat().length)
      },
    ),
    { numRuns: 50 },
  )
})

function removeValue(table: TagTable, tag: number, value: number): void {
  let slot = table.first(tag)
  while (table.valueAt(slot) !== value) slot = table.next(slot, tag)
  table.removeAt(slot)
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
