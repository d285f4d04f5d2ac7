import { type Acl, Writer, writeAclList } from '@corral/protocol'
import { expect, test, vi } from 'vitest'
import { AclTable, mostAcls, OpenAcl, TooManyAcls } from './acl-table.ts'
import { Arena } from './arena.ts'

function aTable(): AclTable {
  return new AclTable({ arena: new Arena(), seed: 1 })
}

function intern(table: AclTable, acl: readonly Acl[] | null): number {
  const out = new Writer()
  out.byte(9)
  writeAclList(out, acl)
  return table.intern(out, 1, out.at)
}

const one: readonly Acl[] = [{ perms: 1, scheme: 'digest', id: 'a:b' }]
const two: readonly Acl[] = [...one, { perms: 31, scheme: 'world', id: 'anyone' }]

test('equal lists have one number, and different ones have two', () => {
  const table = aTable()
  const first = intern(table, one)
  const second = intern(table, two)

  expect(first).not.toBe(second)
  expect(intern(table, one)).toBe(first)
  expect(intern(table, two)).toBe(second)
  expect(table.entries(first)).toEqual(one)
  expect(table.entries(second)).toEqual(two)
  expect(table.entries(first)).toBe(table.entries(first))
})

test('a null list is the open one, which an explicit list is not', () => {
  const table = aTable()

  expect(intern(table, null)).toBe(OpenAcl)
  expect(intern(table, [{ perms: 31, scheme: 'world', id: 'anyone' }])).not.toBe(OpenAcl)
  expect(table.entries(OpenAcl)).toEqual([{ perms: 31, scheme: 'world', id: 'anyone' }])
})

test('an empty list and null ids are kept as they are', () => {
  const table = aTable()
  const odd: readonly Acl[] = [{ perms: -1, scheme: 'ip', id: null }]

  expect(table.entries(intern(table, []))).toEqual([])
  expect(table.entries(intern(table, odd))).toEqual(odd)
})

test('a list is forgotten when nobody uses it, but only by a sweep', () => {
  const table = aTable()
  const used = intern(table, one)
  table.use(used)
  const held = intern(table, two)
  table.retain(held)
  table.sweep()
  expect(table.count).toBe(2)

  table.unuse(used)
  expect(table.entries(used)).toEqual(one)
  table.sweep()
  expect(table.isKnown(used)).toBe(false)
  expect(table.isKnown(held)).toBe(true)
  table.release(held)
  table.sweep()
  expect(table.count).toBe(0)
})

test('a list that is used again before the sweep stays', () => {
  const table = aTable()
  const used = intern(table, one)
  table.use(used)
  table.unuse(used)
  expect(intern(table, one)).toBe(used)
  table.use(used)
  table.sweep()

  expect(table.entries(used)).toEqual(one)
  expect(table.usesOf(used)).toBe(1)
})

test('a freed number is given out again, and never while frozen', () => {
  const table = aTable()
  const first = intern(table, one)
  table.freeze()
  table.sweep()
  expect(table.isKnown(first)).toBe(true)
  expect(intern(table, two)).not.toBe(first)
  table.thaw()
  table.sweep()
  expect(table.count).toBe(0)
  const freed = [intern(table, two), intern(table, one)]

  expect(freed.sort()).toEqual([1, 2])
})

test('the snapshot section lists number and vector of each', () => {
  const table = aTable()
  table.use(intern(table, one))
  table.use(intern(table, two))
  const expected = new Writer()
  expected.int64(1n)
  writeAclList(expected, one)
  expected.int64(2n)
  writeAclList(expected, two)

  const out = new Writer()
  const next = table.entriesInto(out, 1, table.end, 1)
  expect(next).toBe(2)

  expect(table.entriesInto(out, next, table.end, 1)).toBe(table.end)
  expect(out.written()).toEqual(expected.written())
})

test('thousands of lists are told apart', () => {
  const table = aTable()
  const lists = Array.from({ length: 3000 }, (_, i): readonly Acl[] => [
    { perms: i, scheme: 'ip', id: `${i}` },
  ])
  const numbers = lists.map(list => intern(table, list))
  for (const number of numbers) table.use(number)

  expect(new Set(numbers).size).toBe(3000)
  expect(lists.map(list => intern(table, list))).toEqual(numbers)
  expect(numbers.map(number => table.entries(number))).toEqual(lists)
})

test('there is room for 2^24 lists, the open one included; what was freed counts unless frozen', () => {
  const table = aTable()
  const fresh = 2 ** 24 - 1
  expect(table.room()).toBe(fresh)

  intern(table, one)
  expect(table.room()).toBe(fresh - 1)
  table.sweep()
  expect(table.room()).toBe(fresh)
  table.freeze()
  expect(table.room()).toBe(fresh - 1)
})

test.each([
  [2 ** 24 - 1 - mostAcls, false],
  [2 ** 24 - mostAcls, true],
])(
  'with room for %i, whether a new list is admitted is %j; those that are there always are',
  (room, isAdmitted) => {
    const table = aTable()
    intern(table, one)
    vi.spyOn(table, 'room').mockReturnValue(room)
    const admits = (acl: readonly Acl[] | null): boolean => {
      const out = new Writer()
      writeAclList(out, acl)
      return table.admits(out, 0, out.at)
    }

    expect([null, one, two].map(admits)).toEqual([true, true, isAdmitted])
  },
)

test('without room a new list is refused and nothing has changed', () => {
  const table = aTable()
  const known = intern(table, one)
  const room = vi.spyOn(table, 'room').mockReturnValue(0)

  expect(() => intern(table, two)).toThrow(TooManyAcls)
  expect(intern(table, one)).toBe(known)
  expect([table.count, table.end]).toEqual([1, 2])
  room.mockRestore()
  expect(table.entries(intern(table, two))).toEqual(two)
})

test('a number that becomes unused again and again while a snapshot is written waits once', () => {
  const table = aTable()
  table.freeze()
  const number = intern(table, one)
  for (let i = 0; i < 100; i++) {
    table.use(number)
    table.unuse(number)
    table.retain(number)
    table.release(number)
    table.sweep()
  }

  expect(table.unusedCount).toBe(1)
  table.thaw()
  table.sweep()
  expect([table.unusedCount, table.count]).toEqual([0, 0])
})

test('long lists are not all kept decoded', () => {
  const table = aTable()
  const entries = Array.from({ length: 30_000 }, (_, i) => ({ perms: 1, scheme: 'ip', id: `${i}` }))
  const numbers = [1, 2, 3].map(perms => intern(table, [{ perms, scheme: 'ip', id: '' }, ...entries]))
  const [first, second, third] = numbers.map(number => table.entries(number))

  expect(numbers.map(number => table.entries(number))).toEqual([first, second, third])
  expect(table.entries(numbers[1] as number)).not.toBe(second)
})
