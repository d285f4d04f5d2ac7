/**
 * The three parts of a run: load on a small tree, the big tree with its restarts, and stalls at half of what a
 * server can do. Servers run one at a time; rounds alternate which of them goes first, so that neither always
 * meets the quieter machine.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Generator, LoadResult } from './generator.ts'
import { pause } from './processes.ts'
import type { Results, Sample } from './report.ts'
import {
  bigTreeRows,
  capacityRow,
  filledRow,
  fillRow,
  idleRow,
  type LoadRow,
  listAgainRow,
  listFirstRow,
  loadRows,
  type Row,
  restartRow,
  rssRow,
  stallLoopRow,
  stallProbeRow,
  stallRows,
  startRow,
} from './rows.ts'
import { type Memory, type Programs, RunningServer, type Side, type StartOptions } from './servers.ts'

export interface Plan {
  readonly sides: readonly Side[]
  readonly rows: ReadonlySet<string>
  readonly rounds: number
  readonly seconds: number
  readonly stallSeconds: number
  readonly starts: number
  readonly znodes: number
  /** The JVM compiles while it runs and needs longer than V8 to reach its speed. */
  readonly warmup: Readonly<Record<Side, { readonly serverSeconds: number; readonly rowSeconds: number }>>
  readonly workDir: string
}

export interface Bench {
  readonly plan: Plan
  readonly programs: Programs
  readonly generator: Generator
  readonly results: Results
}

/** Children of the one parent whose list is timed. */
const listedChildren = 120_000
/** Low enough for several snapshots within the stall window, at the pace of either server. */
const stallSnapCount = 50_000
const probesPerSecond = 1000

export async function measure(bench: Bench): Promise<void> {
  const wants = (rows: readonly Row[]): boolean => rows.some(row => bench.plan.rows.has(row.id))
  if (wants([startRow, idleRow])) await measureStarts(bench)
  if (wants(loadRows)) await measureLoad(bench)
  if (!wants([...bigTreeRows, ...stallRows])) return
  for (const side of bench.plan.sides) await fillTree(bench, side)
  if (wants([restartRow, rssRow])) await measureRestarts(bench)
  if (wants(stallRows)) await measureStalls(bench, wants([listFirstRow, listAgainRow]))
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Round by round, both sides; the order of the sides changes with every round. */
async function inTurn(
  plan: Plan,
  count: number,
  visit: (side: Side, round: number) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < count; round++) {
    const sides = round % 2 === 0 ? plan.sides : [...plan.sides].reverse()
    for (const side of sides) await visit(side, round)
  }
}

async function withServer<T>(
  bench: Bench,
  options: Omit<StartOptions, 'home'> & { readonly name: string },
  use: (server: RunningServer) => Promise<T>,
): Promise<{ value: T; stallMs: number | undefined }> {
  const { side, name, ...rest } = options
  const home = join(bench.plan.workDir, `${side}-${name}`)
  const server = await RunningServer.start({ side, home, ...rest }, bench.programs, bench.generator)
  let value: T
  try {
    value = await use(server)
  } catch (error) {
    await server.stop()
    throw error
  }
  return { value, stallMs: await server.stop() }
}

function removeHome(bench: Bench, side: Side, name: string): void {
  rmSync(join(bench.plan.workDir, `${side}-${name}`), { recursive: true, force: true })
}

function toMb(kilobytes: number): number {
  return kilobytes / 1024
}

function loadSample(result: LoadResult, memory: Memory): Sample {
  return {
    value: result.opsPerSecond,
    p50Us: result.p50Us,
    p99Us: result.p99Us,
    p999Us: result.p999Us,
    maxUs: result.maxUs,
    cpuUsPerOp: result.serverCpuUsPerOp,
    memory,
  }
}

// ---- start ----

async function measureStarts(bench: Bench): Promise<void> {
  await inTurn(bench.plan, bench.plan.starts, async (side, round) => {
    removeHome(bench, side, 'start')
    await withServer(bench, { side, name: 'start' }, async server => {
      bench.results.add(startRow, side, { value: server.startMs })
      say(`start ${round + 1}, ${side}: ${server.startMs.toFixed(0)} ms`)
      await pause(1000)
      const memory = server.memory()
      bench.results.add(idleRow, side, { value: toMb(memory.rssKb), memory })
    })
    removeHome(bench, side, 'start')
  })
}

// ---- load on a small tree ----

async function measureLoad(bench: Bench): Promise<void> {
  const { plan, generator } = bench
  await inTurn(plan, plan.rounds, async (side, round) => {
    removeHome(bench, side, 'load')
    say(`round ${round + 1} of ${plan.rounds}, ${side}`)
    await withServer(bench, { side, name: 'load' }, async server => {
      const seconds = plan.warmup[side].serverSeconds
      const port = ['--port', String(server.port)]
      await generator.load(['mixed', ...port, '--warmup', '0', '--seconds', String(seconds)], seconds + 60)
      for (const row of loadRows) {
        if (!plan.rows.has(row.id)) continue
        const result = await runLoad(bench, row, { server, warmupSeconds: plan.warmup[side].rowSeconds })
        bench.results.add(row, side, loadSample(result, server.memory()))
        say(`  ${row.name}: ${Math.round(result.opsPerSecond).toLocaleString('en-US')}/s`)
      }
    })
    removeHome(bench, side, 'load')
  })
}

function runLoad(
  { plan, generator }: Bench,
  row: LoadRow,
  on: { readonly server: RunningServer; readonly warmupSeconds: number },
): Promise<LoadResult> {
  const options = {
    port: on.server.port,
    pid: on.server.pid,
    connections: row.connections,
    'in-flight': row.inFlight,
    keys: row.keys,
    warmup: on.warmupSeconds,
    seconds: plan.seconds,
  }
  return generator.load([row.workload, ...flags(options)], on.warmupSeconds + plan.seconds + 120)
}

function flags(options: Readonly<Record<string, number>>): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
}

// ---- the big tree ----

async function fillTree(bench: Bench, side: Side): Promise<void> {
  const { plan, generator, results } = bench
  removeHome(bench, side, 'tree')
  await withServer(bench, { side, name: 'tree' }, async server => {
    const size = { port: server.port, pid: server.pid, connections: 16, 'in-flight': 64, ops: 0 }
    const result = await generator.load(['fill', ...flags({ ...size, tree: plan.znodes })], 600)
    await pause(1000)
    const memory = server.memory()
    results.add(fillRow, side, loadSample(result, memory))
    results.add(filledRow, side, { value: toMb(memory.rssKb), memory })
    say(
      `${side}: ${plan.znodes} znodes in ${result.seconds.toFixed(1)} s, RSS ${toMb(memory.rssKb).toFixed(0)} MB`,
    )
  })
}

async function measureRestarts(bench: Bench): Promise<void> {
  const { plan, results } = bench
  await inTurn(plan, plan.rounds, async (side, round) => {
    await withServer(bench, { side, name: 'tree' }, async server => {
      results.add(restartRow, side, { value: server.startMs })
      await pause(1000)
      const memory = server.memory()
      results.add(rssRow, side, { value: toMb(memory.rssKb), memory })
      say(
        `restart ${round + 1}, ${side}: ${server.startMs.toFixed(0)} ms, RSS ${toMb(memory.rssKb).toFixed(0)} MB`,
      )
    })
  })
}

// ---- stalls ----

async function measureStalls(bench: Bench, wantsLists: boolean): Promise<void> {
  const capacities = new Map<Side, number>()
  for (const side of bench.plan.sides) capacities.set(side, await measureCapacity(bench, side, wantsLists))
  await inTurn(bench.plan, bench.plan.rounds, async side => {
    const capacity = capacities.get(side)
    if (capacity !== undefined) await measureStall(bench, side, capacity / 2)
  })
}

/** The full speed on the big tree, and the child list while the server is up. */
async function measureCapacity(bench: Bench, side: Side, wantsLists: boolean): Promise<number> {
  const { plan, generator, results } = bench
  const { value } = await withServer(bench, { side, name: 'tree' }, async server => {
    const warmup = plan.warmup[side].serverSeconds
    const size = { port: server.port, pid: server.pid, connections: 50, 'in-flight': 16, tree: plan.znodes }
    const result = await generator.load(
      ['mixed', ...flags({ ...size, warmup, seconds: plan.seconds })],
      warmup + plan.seconds + 60,
    )
    results.add(capacityRow, side, loadSample(result, server.memory()))
    say(`${side}: mixed 90/10 on ${plan.znodes} znodes ${Math.round(result.opsPerSecond)}/s`)
    if (wantsLists) await measureLists(bench, side, server.port)
    return result.opsPerSecond
  })
  return value
}

async function measureLists({ generator, results }: Bench, side: Side, port: number): Promise<void> {
  const fill = flags({
    port,
    tree: 0,
    keys: listedChildren,
    connections: 8,
    'in-flight': 64,
    ops: 0,
    value: 0,
  })
  await generator.load(['fill', ...fill, '--path', '/listed'], 120)
  const list = await generator.list([...flags({ port, count: 6 }), '--path', '/listed'], 60)
  const [first, ...again] = list.milliseconds
  if (first !== undefined) results.add(listFirstRow, side, { value: first })
  for (const value of again) results.add(listAgainRow, side, { value })
  say(`${side}: child list of ${listedChildren}: ${list.milliseconds.join(', ')} ms`)
}

/** A process of its own for each window: the server's own figure covers its whole life. */
async function measureStall(bench: Bench, side: Side, rate: number): Promise<void> {
  const { plan, generator, results } = bench
  const options = { side, name: 'tree', snapCount: stallSnapCount, reportsStalls: true }
  const { value, stallMs } = await withServer(bench, options, async server => {
    const { port } = server
    const load = { port, connections: 50, 'in-flight': 16, tree: plan.znodes, rate }
    const probe = {
      port,
      connections: 1,
      'in-flight': 1,
      tree: plan.znodes,
      rate: probesPerSecond,
      warmup: 0,
    }
    const warmup = plan.warmup[side].serverSeconds
    await generator.load(['mixed', ...flags({ ...load, warmup: 0, seconds: warmup })], warmup + 60)
    const before = server.snapshots()
    const seconds = plan.stallSeconds
    const [, seen] = await Promise.all([
      generator.load(['mixed', ...flags({ ...load, warmup: 0, seconds: seconds + 0.5 })], seconds + 60),
      generator.load(['get', ...flags({ ...probe, seconds }), '--realtime'], seconds + 60),
    ])
    const snapshots = [...server.snapshots()].filter(name => !before.has(name)).length
    return { seen, snapshots, memory: server.memory() }
  })
  const { seen, snapshots, memory } = value
  const remark = snapshots > 0 ? {} : { remark: 'no snapshot fell into a window' }
  const { p50Us, p99Us, p999Us, maxUs, generatorLateUs } = seen
  const latency = {
    p50Us,
    p99Us,
    p999Us,
    maxUs,
    ...(generatorLateUs === undefined ? {} : { generatorLateUs }),
  }
  results.add(stallProbeRow, side, { value: maxUs / 1000, ...latency, memory, ...remark })
  if (stallMs !== undefined) results.add(stallLoopRow, side, { value: stallMs, memory, ...remark })
  say(
    `stall, ${side}, ${Math.round(rate)}/s, ${snapshots} snapshots: probe ${(maxUs / 1000).toFixed(2)} ms ` +
      `(generator late by up to ${((generatorLateUs ?? 0) / 1000).toFixed(2)} ms), ` +
      `event loop ${stallMs?.toFixed(2) ?? 'not told'} ms`,
  )
}
