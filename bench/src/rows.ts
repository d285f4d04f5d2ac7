/**
 * The rows of the speed table and what each has to reach. A target is a ratio to Apache ZooKeeper's figure of the
 * same run, or a figure of Corral's alone.
 */

/** `ratio`: ours divided by theirs; `figure`: ours, in the row's unit. */
export type Target = { readonly kind: 'ratio' | 'figure'; readonly value: number }

export interface Row {
  readonly id: string
  readonly name: string
  readonly unit: 'ops/s' | 'ms' | 'MB'
  /** Which way is better. */
  readonly better: 'more' | 'less'
  /** What stands for several rounds: their median, or for a row that promises a bound, the worst of them. */
  readonly counts: 'median' | 'worst'
  readonly atLeast?: Target
  readonly aim?: Target
}

export interface LoadRow extends Row {
  readonly workload: string
  readonly connections: number
  readonly inFlight: number
  readonly keys: number
}

const ratio = (value: number): Target => ({ kind: 'ratio', value })
const figure = (value: number): Target => ({ kind: 'figure', value })

function load(
  workload: string,
  size: readonly [number, number],
  targets: readonly [number, number],
): LoadRow {
  const [connections, inFlight] = size
  const [atLeast, aim] = targets
  return {
    id: `${workload}-${connections}x${inFlight}`,
    name: `${loadNames[workload] ?? workload}, ${connections} × ${inFlight}`,
    unit: 'ops/s',
    better: 'more',
    counts: 'median',
    atLeast: ratio(atLeast),
    aim: ratio(aim),
    workload,
    connections,
    inFlight,
    keys: 10_000,
  }
}

const loadNames: Readonly<Record<string, string>> = {
  get: 'get 100 B',
  set: 'set 100 B, fsync',
  churn: 'create / delete churn',
  mixed: 'mixed 90/10',
}

export const loadRows: readonly LoadRow[] = [
  load('get', [50, 1], [2, 3]),
  load('get', [50, 16], [6, 10]),
  load('get', [50, 100], [10, 20]),
  load('get', [1000, 1], [2, 3]),
  load('set', [1, 1], [1.3, 1.8]),
  load('set', [50, 1], [1.2, 2.5]),
  load('set', [50, 16], [4, 8]),
  load('churn', [50, 16], [4, 6]),
  load('mixed', [50, 16], [4, 6]),
  {
    ...load('watch', [50, 1], [2, 5]),
    id: 'watch-50x2000',
    name: 'watch fan-out, 50 × 2,000 (notifications)',
    keys: 2000,
  },
]

export const startRow: Row = {
  id: 'start',
  name: 'start, empty directory, to first handshake reply',
  unit: 'ms',
  better: 'less',
  counts: 'median',
  atLeast: ratio(1 / 8),
  aim: figure(60),
}
export const idleRow: Row = {
  id: 'idle',
  name: 'idle server: RSS',
  unit: 'MB',
  better: 'less',
  counts: 'median',
}

export const fillRow: Row = {
  id: 'fill',
  name: 'making the znodes',
  unit: 'ops/s',
  better: 'more',
  counts: 'median',
}
export const filledRow: Row = {
  id: 'rss-filled',
  name: 'RSS after making them',
  unit: 'MB',
  better: 'less',
  counts: 'median',
}
export const restartRow: Row = {
  id: 'restart',
  name: 'restart to first reply',
  unit: 'ms',
  better: 'less',
  counts: 'median',
  atLeast: ratio(1 / 4),
  aim: figure(1000),
}
export const rssRow: Row = {
  id: 'rss',
  name: 'RSS, 1 s after the restart',
  unit: 'MB',
  better: 'less',
  counts: 'median',
  atLeast: ratio(1 / 2),
  aim: ratio(1 / 3),
}
export const listFirstRow: Row = {
  id: 'list-first',
  name: 'first child list of 120,000 names',
  unit: 'ms',
  better: 'less',
  counts: 'median',
}
export const listAgainRow: Row = {
  id: 'list-again',
  name: 'the same list again',
  unit: 'ms',
  better: 'less',
  counts: 'median',
}
export const capacityRow: Row = {
  id: 'capacity',
  name: 'mixed 90/10, 50 × 16, all znodes',
  unit: 'ops/s',
  better: 'more',
  counts: 'median',
}
export const stallLoopRow: Row = {
  id: 'stall-loop',
  name: 'worst event-loop stall, 50 % load, snapshots (own figure)',
  unit: 'ms',
  better: 'less',
  counts: 'worst',
  atLeast: figure(20),
  aim: figure(2),
}
export const stallProbeRow: Row = {
  id: 'stall-probe',
  name: 'the same as a client sees it: worst of 1,000 gets/s',
  unit: 'ms',
  better: 'less',
  counts: 'worst',
  atLeast: figure(20),
  aim: figure(2),
}

export const bigTreeRows: readonly Row[] = [fillRow, filledRow, restartRow, rssRow]
export const stallRows: readonly Row[] = [
  listFirstRow,
  listAgainRow,
  capacityRow,
  stallLoopRow,
  stallProbeRow,
]
export const allRows: readonly Row[] = [...loadRows, startRow, idleRow, ...bigTreeRows, ...stallRows]

/** Whether a target is reached; undefined when a figure that it needs was not measured. */
export function isMet(
  target: Target,
  better: Row['better'],
  ours: number | undefined,
  theirs: number | undefined,
): boolean | undefined {
  if (ours === undefined) return undefined
  if (target.kind === 'ratio' && theirs === undefined) return undefined
  const reached = target.kind === 'figure' || theirs === undefined ? ours : ours / theirs
  return better === 'more' ? reached >= target.value : reached <= target.value
}
