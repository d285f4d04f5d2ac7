import { describe, expect, test } from 'vitest'
import { markdownTable, median, quantity, Results, resultsTable } from './report.ts'
import { isMet, loadRows, type Row, stallLoopRow, startRow } from './rows.ts'

const get: Row = {
  id: 'g',
  name: 'get',
  unit: 'ops/s',
  better: 'more',
  counts: 'median',
  atLeast: { kind: 'ratio', value: 2 },
  aim: { kind: 'ratio', value: 3 },
}

/** The cells of the table's line `index`, counted from the first below the head. */
function cells(table: string, index: number): string[] {
  const line = table.split('\n')[index + 2] ?? ''
  return line
    .split('|')
    .slice(1, -1)
    .map(cell => cell.trim())
}

describe('median', () => {
  test('is the middle of an odd number and the mean of the middle two of an even one', () => {
    expect(median([9, 1, 5])).toBe(5)
    expect(median([1, 9, 3, 5])).toBe(4)
    expect(median([])).toBeUndefined()
  })

  test('sorts numbers as numbers', () => {
    expect(median([10, 9, 100])).toBe(10)
  })
})

describe('a target', () => {
  test('as a ratio counts at its very edge, in the direction of the row', () => {
    expect(isMet({ kind: 'ratio', value: 2 }, 'more', 200, 100)).toBe(true)
    expect(isMet({ kind: 'ratio', value: 2 }, 'more', 199, 100)).toBe(false)
    expect(isMet({ kind: 'ratio', value: 1 / 4 }, 'less', 25, 100)).toBe(true)
    expect(isMet({ kind: 'ratio', value: 1 / 4 }, 'less', 26, 100)).toBe(false)
  })

  test('as a figure needs no rival', () => {
    expect(isMet({ kind: 'figure', value: 60 }, 'less', 60, undefined)).toBe(true)
    expect(isMet({ kind: 'figure', value: 60 }, 'less', 61, undefined)).toBe(false)
  })

  test('is neither met nor missed when a figure is absent', () => {
    expect(isMet({ kind: 'ratio', value: 2 }, 'more', 200, undefined)).toBeUndefined()
    expect(isMet({ kind: 'figure', value: 60 }, 'less', undefined, 800)).toBeUndefined()
  })
})

describe('the table', () => {
  test('compares medians and says which target they reach', () => {
    const results = new Results()
    for (const value of [250, 240, 999]) results.add(get, 'corral', { value, p50Us: 10, cpuUsPerOp: 1.5 })
    for (const value of [100, 100, 130]) results.add(get, 'zookeeper', { value, p50Us: 20 })

    const table = resultsTable([get], results.samples)

    expect(cells(table, 0)).toEqual([
      'get',
      'Corral',
      '250 ops/s',
      '240 – 999',
      '10',
      '',
      '1.5',
      '',
      '2.5×',
      '2×',
      '3×',
      'yes',
    ])
    expect(cells(table, 1)).toEqual([
      '',
      'ZooKeeper',
      '100 ops/s',
      '100 – 130',
      '20',
      '',
      '',
      '',
      '',
      '',
      '',
      '',
    ])
  })

  test('says no to what is missed, and names the aim when that is reached too', () => {
    const verdict = (ours: number): string | undefined => {
      const results = new Results()
      results.add(get, 'corral', { value: ours })
      results.add(get, 'zookeeper', { value: 100 })
      return cells(resultsTable([get], results.samples), 0).at(-1)
    }

    expect(verdict(199)).toBe('**no**')
    expect(verdict(200)).toBe('yes')
    expect(verdict(300)).toBe('yes, aim too')
  })

  test('shows one server alone without a verdict, and a row without samples not at all', () => {
    const results = new Results()
    results.add(startRow, 'zookeeper', { value: 712.4 })

    const table = resultsTable([get, startRow], results.samples)

    expect(table.split('\n')).toHaveLength(3)
    expect(cells(table, 0).slice(0, 4)).toEqual([startRow.name, 'ZooKeeper', '712 ms', ''])
  })

  test('takes the worst round, not the median, for a row that promises a bound', () => {
    const results = new Results()
    for (const value of [1, 21, 1.5]) results.add(stallLoopRow, 'corral', { value })

    const line = cells(resultsTable([stallLoopRow], results.samples), 0)

    expect([line[2], line.at(-1)]).toEqual(['21 ms', '**no**'])
  })

  test('carries the remarks of its samples once each', () => {
    const results = new Results()
    results.add(stallLoopRow, 'corral', { value: 1.5, remark: 'no snapshot' })
    results.add(stallLoopRow, 'corral', { value: 2.5, remark: 'no snapshot' })

    expect(cells(resultsTable([stallLoopRow], results.samples), 0)[2]).toBe('2.5 ms (no snapshot)')
  })

  test('pads every column to its widest cell', () => {
    const widths = markdownTable(['a', 'long title'], [['wider', 'x']])
      .split('\n')
      .map(line => line.length)

    expect(new Set(widths).size).toBe(1)
  })
})

test('quantities keep three digits and group thousands', () => {
  expect([0.04237, 7.126, 99.96, 1234.5, 1234567].map(quantity)).toEqual([
    '0.0424',
    '7.13',
    '100',
    '1,235',
    '1,234,567',
  ])
})

test('the rows are those of the speed table', () => {
  expect(loadRows.map(row => `${row.id} ${row.atLeast?.value} ${row.aim?.value}`)).toEqual([
    'get-50x1 2 3',
    'get-50x16 6 10',
    'get-50x100 10 20',
    'get-1000x1 2 3',
    'set-1x1 1.3 1.8',
    'set-50x1 1.2 2.5',
    'set-50x16 4 8',
    'churn-50x16 4 6',
    'mixed-50x16 4 6',
    'watch-50x2000 2 5',
  ])
})
