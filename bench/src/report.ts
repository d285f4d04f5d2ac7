/** From samples to medians, from medians to tables. Pure: the tests call it with made-up figures. */
import { isMet, type Row, type Target } from './rows.ts'
import type { Memory, Side } from './servers.ts'

/** One measurement of one row on one server. `value` is in the row's unit, the better of its kind named there. */
export interface Sample {
  readonly value: number
  readonly p50Us?: number
  readonly p99Us?: number
  readonly p999Us?: number
  readonly maxUs?: number
  readonly cpuUsPerOp?: number
  readonly memory?: Memory
  /** By how much the open-loop generator itself was late at worst: the machine's own noise. */
  readonly generatorLateUs?: number
  /** What must be known to read the figure, such as that no snapshot fell into the window. */
  readonly remark?: string
}

export type Samples = ReadonlyMap<string, Readonly<Partial<Record<Side, readonly Sample[]>>>>

/** Filled while measuring, in the order of the rounds. */
export class Results {
  readonly #rows: Map<string, Partial<Record<Side, Sample[]>>> = new Map()

  add(row: Row, side: Side, sample: Sample): void {
    const sides = this.#rows.get(row.id) ?? {}
    this.#rows.set(row.id, sides)
    const samples = sides[side] ?? []
    sides[side] = samples
    samples.push(sample)
  }

  get samples(): Samples {
    return this.#rows
  }
}

/** The middle one, or the mean of the two in the middle; undefined of nothing. */
export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[sorted.length >> 1]
  const lower = sorted[(sorted.length - 1) >> 1]
  return upper === undefined || lower === undefined ? undefined : (upper + lower) / 2
}

/**
 * Two lines for each row, Corral's and ZooKeeper's, each with every figure; ratio and verdict stand in Corral's.
 *
 * @param rows - in the order of the table; rows without samples are left out
 */
export function resultsTable(rows: readonly Row[], samples: Samples): string {
  const lines: string[][] = []
  for (const row of rows) {
    const of = samples.get(row.id)
    if (of === undefined) continue
    const ours = counted(row, of.corral)
    const theirs = counted(row, of.zookeeper)
    const verdict = [
      ours === undefined || theirs === undefined ? '' : times(ours / theirs),
      targetText(row.atLeast, row.unit),
      targetText(row.aim, row.unit),
      verdictText(row, ours, theirs),
    ]
    const unjudged = ['', '', '', '']
    if (of.corral !== undefined) lines.push([row.name, 'Corral', ...figures(row, of.corral), ...verdict])
    if (of.zookeeper !== undefined) {
      const name = of.corral === undefined ? row.name : ''
      lines.push([name, 'ZooKeeper', ...figures(row, of.zookeeper), ...unjudged])
    }
  }
  return markdownTable(
    [
      'workload',
      'server',
      'median',
      'min – max',
      'p50 µs',
      'p99 µs',
      'CPU µs/op',
      'RSS / PSS / anon MB',
    ].concat(['ratio', 'at least', 'aim', 'met']),
    lines,
  )
}

function figures(row: Row, samples: readonly Sample[]): string[] {
  const values = samples.map(sample => sample.value)
  const value = counted(row, samples)
  const range = values.length < 2 ? '' : `${quantity(Math.min(...values))} – ${quantity(Math.max(...values))}`
  const remarks = [...new Set(samples.flatMap(sample => sample.remark ?? []))].map(remark => ` (${remark})`)
  return [
    value === undefined ? '' : `${quantity(value)} ${row.unit}${remarks.join('')}`,
    range,
    optional(middle(samples, sample => sample.p50Us)),
    optional(middle(samples, sample => sample.p99Us)),
    optional(middle(samples, sample => sample.cpuUsPerOp)),
    memoryText(samples),
  ]
}

/** The one figure that stands for a row's samples, here and in the verdict. */
function counted(row: Row, samples: readonly Sample[] | undefined): number | undefined {
  const values = (samples ?? []).map(sample => sample.value)
  if (row.counts === 'median' || values.length === 0) return median(values)
  return row.better === 'less' ? Math.max(...values) : Math.min(...values)
}

function memoryText(samples: readonly Sample[]): string {
  const megabytes = (['rssKb', 'pssKb', 'anonymousKb'] as const).map(field =>
    optional(middle(samples, ({ memory }) => (memory === undefined ? undefined : memory[field] / 1024))),
  )
  return megabytes.includes('') ? '' : megabytes.join(' / ')
}

function middle(
  samples: readonly Sample[] | undefined,
  pick: (sample: Sample) => number | undefined,
): number | undefined {
  return median((samples ?? []).flatMap(sample => pick(sample) ?? []))
}

function verdictText(row: Row, ours: number | undefined, theirs: number | undefined): string {
  if (row.atLeast === undefined) return ''
  const atLeast = isMet(row.atLeast, row.better, ours, theirs)
  if (atLeast === undefined) return '?'
  if (!atLeast) return '**no**'
  return row.aim !== undefined && isMet(row.aim, row.better, ours, theirs) === true ? 'yes, aim too' : 'yes'
}

function targetText(target: Target | undefined, unit: Row['unit']): string {
  if (target === undefined) return ''
  return target.kind === 'ratio' ? times(target.value) : `${quantity(target.value)} ${unit}`
}

/** Two digits behind the point below ten, so that ⅛ and ⅓ can be told from what was measured. */
function times(ratio: number): string {
  return `${ratio < 10 ? Number(ratio.toFixed(ratio < 1 ? 3 : 2)) : Math.round(ratio)}×`
}

/** Three significant digits below a thousand, whole thousands grouped above. */
export function quantity(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(3)))
}

function optional(value: number | undefined): string {
  return value === undefined ? '' : quantity(value)
}

/** Columns padded to one width, so that the source reads as well as the page. */
export function markdownTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...lines.map(line => (line[column] ?? '').length)),
  )
  const draw = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
  return [draw(head), draw(widths.map(width => '-'.repeat(width))), ...lines.map(draw)].join('\n')
}
