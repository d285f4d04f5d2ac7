/**
 * `npm run bench`: Corral and Apache ZooKeeper in turn under the same load; one table. See bench/README.md.
 *
 * Exit codes: 0 measured, 1 a measurement failed, 2 bad arguments or something to measure is missing.
 */
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, type as osType, release, totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Generator } from './generator.ts'
import { type Bench, measure, type Plan } from './measure.ts'
import { killAllProcesses } from './processes.ts'
import { Results, resultsTable } from './report.ts'
import { allRows } from './rows.ts'
import { missing, type Programs, type Side } from './servers.ts'

const benchDir = dirname(dirname(fileURLToPath(import.meta.url)))

interface Command {
  readonly plan: Plan
  readonly programs: Programs
  readonly json: string | undefined
  /** Whether the run goes into RESULTS.md: all rows, both servers, full length. */
  readonly isComplete: boolean
}

const usage = `usage: npm run bench -- [options]
  --only ID,…          only these rows: ${allRows.map(row => row.id).join(' ')}
  --server corral|zookeeper|both
  --rounds N           rounds of each row (3; quick: 1)
  --seconds N          measured seconds of a row (5; quick: 2)
  --znodes N           size of the big tree (1000000; quick: 200000)
  --quick              short, and not for RESULTS.md
  --json FILE          every sample
  --corral FILE        the server's bundle
  --java-options TEXT  for the JVM, separated by blanks (none: its own defaults)
  --work-dir DIR       where the servers keep their data (bench/.work); must be on a real disk`

class UsageError extends Error {}

/** @returns undefined when only the usage was asked for */
function parseCommand(args: readonly string[]): Command | undefined {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    options: {
      help: { type: 'boolean', default: false },
      only: { type: 'string' },
      server: { type: 'string', default: 'both' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      znodes: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      corral: { type: 'string', default: join(benchDir, '../packages/server/bundle/corral-server.cjs') },
      'java-options': { type: 'string', default: '' },
      'work-dir': { type: 'string', default: join(benchDir, '.work') },
    },
  })
  if (values.help) return undefined
  const quick = values.quick
  const rows = new Set(values.only?.split(',') ?? allRows.map(row => row.id))
  for (const id of rows)
    if (!allRows.some(row => row.id === id)) throw new UsageError(`no row is called '${id}'`)
  const sides = sidesOf(values.server)
  const programs: Programs = {
    corralBundle: resolve(values.corral),
    javaOptions: values['java-options'].split(' ').filter(option => option !== ''),
  }
  for (const side of sides) {
    const problem = missing(side, programs)
    if (problem !== undefined) throw new UsageError(problem)
  }
  const plan: Plan = {
    sides,
    rows,
    rounds: positive('rounds', values.rounds, quick ? 1 : 3),
    seconds: positive('seconds', values.seconds, quick ? 2 : 5),
    stallSeconds: quick ? 12 : 20,
    starts: quick ? 3 : 7,
    znodes: positive('znodes', values.znodes, quick ? 200_000 : 1_000_000),
    warmup: {
      corral: quick ? { serverSeconds: 2, rowSeconds: 1 } : { serverSeconds: 5, rowSeconds: 2 },
      zookeeper: quick ? { serverSeconds: 8, rowSeconds: 2 } : { serverSeconds: 25, rowSeconds: 4 },
    },
    workDir: makeWorkDir(resolve(values['work-dir'])),
  }
  return {
    plan,
    programs,
    json: values.json,
    isComplete: !quick && values.only === undefined && sides.length === 2 && plan.znodes >= 1_000_000,
  }
}

/** A new directory, so that what is removed at the end, however that comes, is nobody else's. */
function makeWorkDir(parent: string): string {
  mkdirSync(parent, { recursive: true })
  const directory = mkdtempSync(join(parent, 'run-'))
  process.once('exit', () => {
    killAllProcesses()
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  })
  return directory
}

function sidesOf(server: string): readonly Side[] {
  if (server === 'both') return ['corral', 'zookeeper']
  if (server === 'corral' || server === 'zookeeper') return [server]
  throw new UsageError(`--server is corral, zookeeper or both, not '${server}'`)
}

function positive(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 9_999_999) {
    throw new UsageError(`--${name} takes a whole number from 1 to 9999999, not '${text}'`)
  }
  return value
}

function machine(): string {
  const processors = cpus()
  const gigabytes = Math.round(totalmem() / 2 ** 30)
  return `${processors[0]?.model.trim() ?? 'unknown CPU'}, ${processors.length} cores, ${gigabytes} GiB, ${osType()} ${release()}`
}

function section(command: Command, table: string, minutes: number): string {
  const { plan, programs } = command
  const java = programs.javaOptions.length === 0 ? "the JVM's default heap" : programs.javaOptions.join(' ')
  return [
    `## ${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}`,
    '',
    `${machine()}. Apache ZooKeeper 3.8.0 (Debian), ${java}. ${plan.rounds} rounds, medians with min – max,`,
    `${plan.seconds} s each; ${plan.znodes.toLocaleString('en-US')} znodes of 100 B; ${minutes.toFixed(0)} minutes in all.`,
    '',
    table,
    '',
  ].join('\n')
}

const resultsHead = `# Results

Written by \`npm run bench\`, newest last. What each row means stands in [README.md](README.md).

`

function keep(text: string): void {
  const file = join(benchDir, 'RESULTS.md')
  appendFileSync(file, existsSync(file) ? `\n${text}` : `${resultsHead}${text}`)
}

async function run(command: Command): Promise<void> {
  const { plan, programs } = command
  const startedAt = performance.now()
  const results = new Results()
  try {
    const generator = await Generator.compile(join(benchDir, 'load.c'), join(plan.workDir, 'load'))
    const bench: Bench = { plan, programs, generator, results }
    await measure(bench)
  } finally {
    killAllProcesses()
    if (command.json !== undefined) {
      const samples = Object.fromEntries(results.samples)
      const facts = { node: process.versions.node, machine: machine(), at: new Date().toISOString() }
      writeFileSync(
        command.json,
        `${JSON.stringify({ ...facts, plan: { ...plan, rows: [...plan.rows] }, samples }, null, 2)}\n`,
      )
    }
  }
  const table = resultsTable(
    allRows.filter(row => plan.rows.has(row.id)),
    results.samples,
  )
  process.stdout.write(`\n${table}\n`)
  if (command.isComplete) keep(section(command, table, (performance.now() - startedAt) / 60_000))
}

for (const [signal, exitCode] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.once(signal, () => process.exit(exitCode))
}

try {
  const command = parseCommand(process.argv.slice(2))
  if (command === undefined) process.stdout.write(`${usage}\n`)
  else await run(command)
} catch (error) {
  const isUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error)
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
  if (isUsage) process.stderr.write(`${usage}\n`)
  process.exitCode = isUsage ? 2 : 1
}
