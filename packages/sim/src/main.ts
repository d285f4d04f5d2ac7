/** `npm run sim -- --seed N [--runs N] [--ops N] [--faults a,b|none] [--bug name] [--crash kill@N] [--crash-points [N]] [--twice] [--trace]` */
import { Server } from '@corral/core'
import { type Bug, bugs } from './bugs.ts'
import { canonical } from './canonical.ts'
import type { Machine, MakeMachine } from './driver.ts'
import { type FaultClass, faultClasses } from './options.ts'
import { type RunResult, replayCommand, simulate, type Wanted } from './run.ts'

const makeMachine: MakeMachine = (given): Machine => new Server(given)

interface Command {
  readonly wanted: Wanted
  readonly runs: number
  readonly isTwice: boolean
  readonly isTraced: boolean
  /** Try every n-th effect of the run as the place of a crash; 0: do not. */
  readonly crashPointStep: number
}

function parse(args: readonly string[]): Command | string {
  let seed = 1
  let runs = 1
  let operations: number | undefined
  let faults: FaultClass[] | undefined
  let bug: Bug | undefined
  let isTwice = false
  let isTraced = false
  let crashAt: Wanted['crashAt']
  let crashPointStep = 0
  for (let i = 0; i < args.length; i++) {
    const value = args[i + 1] ?? ''
    switch (args[i]) {
      case '--seed':
        seed = Number(value)
        i++
        break
      case '--runs':
        runs = Number(value)
        i++
        break
      case '--ops':
        operations = Number(value)
        i++
        break
      case '--faults':
        faults = value === 'none' ? [] : (value.split(',') as FaultClass[])
        i++
        break
      case '--bug':
        bug = value as Bug
        i++
        break
      case '--crash': {
        const [kind, effect] = value.split('@')
        if (kind !== 'kill' && kind !== 'powerLoss') return 'a crash is kill@N or powerLoss@N'
        crashAt = { kind, effect: Number(effect) }
        i++
        break
      }
      case '--crash-points':
        crashPointStep = Number(value)
        i++
        break
      case '--twice':
        isTwice = true
        break
      case '--trace':
        isTraced = true
        break
      default:
        return `unknown option ${args[i]}`
    }
  }
  const numbers = [seed, runs, operations ?? 1, crashPointStep, crashAt?.effect ?? 0]
  if (!numbers.every(Number.isSafeInteger)) return 'seeds and counts are whole numbers'
  const wrong = faults?.find(fault => !faultClasses.includes(fault))
  if (wrong !== undefined) return `no class of faults is called ${wrong}: ${faultClasses.join(', ')}`
  if (bug !== undefined && !bugs.includes(bug)) return `no bug is called ${bug}: ${bugs.join(', ')}`
  const wanted: Wanted = {
    seed,
    ...(operations === undefined ? {} : { operations }),
    ...(faults === undefined ? {} : { faults }),
    ...(bug === undefined ? {} : { bug }),
    ...(crashAt === undefined ? {} : { crashAt }),
  }
  return { wanted, runs, isTwice, isTraced, crashPointStep }
}

/** @returns whether all was well */
async function runOne(wanted: Wanted, command: Command, totals: Map<string, number>): Promise<boolean> {
  const started = performance.now()
  const result = await simulate(wanted, makeMachine)
  const tookMs = performance.now() - started
  for (const [name, value] of Object.entries(result.activity))
    totals.set(name, (totals.get(name) ?? 0) + value)
  const verdict = result.violations.length === 0 ? 'ok' : 'FAILED'
  const { faults } = result.options
  console.log(
    `seed ${wanted.seed} ${verdict} hash ${result.traceHash} ${Math.round(result.virtualMs)} virtual ms in ${Math.round(tookMs)} ms, faults ${faults.join(',') || 'none'}${result.wasted.length > 0 ? `, WASTED: ${result.wasted.join('; ')}` : ''}`,
  )
  if (command.isTraced) for (const line of result.lastEvents) console.log(`  ${line}`)
  if (result.violations.length > 0) report(wanted, result)
  // A sample of the seeds is checked for repeating itself: everything else rests on that.
  const isRepeated = command.isTwice || wanted.seed % 20 === 0
  if (!isRepeated) return result.violations.length === 0
  const again = await simulate(wanted, makeMachine)
  if (again.traceHash === result.traceHash) return result.violations.length === 0
  console.error(`seed ${wanted.seed} is NOT DETERMINISTIC: ${result.traceHash}, then ${again.traceHash}`)
  return false
}

/** The run itself, or one run for each place where its process may die. */
async function* variants(wanted: Wanted, { crashPointStep }: Command): AsyncGenerator<Wanted> {
  if (crashPointStep === 0) return yield wanted
  const { activity } = await simulate(wanted, makeMachine)
  for (let effect = 1; effect < (activity['effects'] ?? 0); effect += crashPointStep) {
    for (const kind of ['kill', 'powerLoss'] as const) yield { ...wanted, crashAt: { effect, kind } }
  }
}

function report(wanted: Wanted, result: RunResult): void {
  for (const { rule, message } of result.violations.slice(0, 20)) console.error(`  ${rule}: ${message}`)
  if (result.violations.length > 20) console.error(`  … and ${result.violations.length - 20} more`)
  console.error(`  options ${canonical(result.options)}`)
  console.error(`  activity ${canonical(result.activity)}`)
  console.error(`  clients ${result.clientsAtEnd.join(', ')}`)
  for (const line of result.lastEvents.slice(-40)) console.error(`    ${line}`)
  console.error(`  replay: ${replayCommand(wanted, result.options)}`)
}

const command = parse(process.argv.slice(2))
if (typeof command === 'string') {
  console.error(command)
  process.exitCode = 2
} else {
  const totals = new Map<string, number>()
  let failures = 0
  let runs = 0
  for (let i = 0; i < command.runs; i++) {
    for await (const wanted of variants({ ...command.wanted, seed: command.wanted.seed + i }, command)) {
      runs++
      if (!(await runOne(wanted, command, totals))) failures++
    }
  }
  console.log(`${runs} runs, ${failures} failed; ${canonical(Object.fromEntries(totals))}`)
  process.exitCode = failures === 0 ? 0 : 1
}
