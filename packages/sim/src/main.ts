import { Server } from '@corral/core'
import { canonical } from './canonical.ts'
import { type Command, parseCommand, replayCommand, UsageError, usage } from './command.ts'
import { type Coverage, coverageTable } from './coverage.ts'
import type { MakeMachine } from './driver.ts'
import { type RunResult, simulate, type Wanted } from './run.ts'
import { shrink } from './shrink.ts'

const makeMachine: MakeMachine = given => new Server(given)

async function run(wanted: Wanted): Promise<RunResult> {
  return await simulate(wanted, makeMachine)
}

/** The runs of one command, one after the other, and what they add up to. */
class Sweep {
  readonly #command: Command
  readonly #totals: Map<string, number> = new Map()
  readonly #coverage: Coverage = new Map()
  #runs = 0
  #failures = 0
  #wasted = 0

  constructor(command: Command) {
    this.#command = command
  }

  /** @returns whether all was well */
  async execute(): Promise<boolean> {
    const { wanted, runs } = this.#command
    for (let i = 0; i < runs; i++) {
      for await (const variant of this.#variants({ ...wanted, seed: wanted.seed + i }))
        await this.#runOne(variant)
    }
    if (this.#runs > 1) for (const line of coverageTable(this.#coverage)) console.log(line)
    console.log(
      `${this.#runs} runs, ${this.#failures} failed, ${this.#wasted} wasted; ${canonical(Object.fromEntries(this.#totals))}`,
    )
    return this.#failures === 0
  }

  /** The run itself, or one run for each place where its process may die, and each way. */
  async *#variants(wanted: Wanted): AsyncGenerator<Wanted> {
    const { crashPointStep, outcomes } = this.#command
    if (crashPointStep === 0) return yield wanted
    const { activity } = await run(wanted)
    for (let effect = 1; effect < (activity['effects'] ?? 0); effect += crashPointStep) {
      yield { ...wanted, crashAt: { effect, kind: 'kill' } }
      for (let outcome = 1; outcome <= outcomes; outcome++)
        yield { ...wanted, crashAt: { effect, kind: 'powerLoss', outcome } }
    }
  }

  async #runOne(wanted: Wanted): Promise<void> {
    const started = performance.now()
    const result = await run(wanted)
    const tookMs = Math.round(performance.now() - started)
    this.#runs++
    this.#count(result)
    const { options, violations, traceHash, virtualMs, wasted } = result
    const verdict = violations.length === 0 ? 'ok' : 'FAILED'
    console.log(
      `seed ${wanted.seed} ${verdict} hash ${traceHash} ${Math.round(virtualMs)} virtual ms in ${tookMs} ms, faults ${options.faults.join(',') || 'none'}${wasted.length > 0 ? `, WASTED: ${wasted.join('; ')}` : ''}`,
    )
    if (this.#command.isTraced) for (const line of result.lastEvents) console.log(`  ${line}`)
    if (violations.length > 0) await this.#report(wanted, result)
    const isRepeated = await this.#repeats(wanted, traceHash)
    if (violations.length > 0 || !isRepeated) this.#failures++
  }

  #count({ activity, coverage, wasted }: RunResult): void {
    for (const [name, value] of Object.entries(activity))
      this.#totals.set(name, (this.#totals.get(name) ?? 0) + value)
    for (const [kind, results] of coverage) {
      const sums = this.#coverage.get(kind) ?? new Map<string, number>()
      this.#coverage.set(kind, sums)
      for (const [result, count] of results) sums.set(result, (sums.get(result) ?? 0) + count)
    }
    if (wasted.length > 0) this.#wasted++
  }

  async #report(wanted: Wanted, result: RunResult): Promise<void> {
    const { violations } = result
    for (const { rule, message } of violations.slice(0, 20)) console.error(`  ${rule}: ${message}`)
    if (violations.length > 20) console.error(`  … and ${violations.length - 20} more`)
    console.error(`  options ${canonical(result.options)}`)
    console.error(`  activity ${canonical(result.activity)}`)
    console.error(`  clients ${result.clientsAtEnd.join(', ')}`)
    for (const line of result.lastEvents.slice(-40)) console.error(`    ${line}`)
    console.error(`  replay: ${replayCommand(wanted)}`)
    if (!this.#command.isShrunk) return
    const shrunk = await shrink(wanted, result, run)
    console.error(`  smallest, after ${shrunk.runs} runs: ${replayCommand(shrunk.wanted)}`)
  }

  /** A sample of the seeds is checked for repeating itself: everything else rests on that. */
  async #repeats(wanted: Wanted, traceHash: string): Promise<boolean> {
    if (!this.#command.isTwice && wanted.seed % 20 !== 0) return true
    const again = await run(wanted)
    if (again.traceHash === traceHash) return true
    console.error(`seed ${wanted.seed} is NOT DETERMINISTIC: ${traceHash}, then ${again.traceHash}`)
    return false
  }
}

function commandOf(args: readonly string[]): Command | undefined {
  try {
    return parseCommand(args)
  } catch (error) {
    // What parseArgs throws is a TypeError with a code.
    if (!(error instanceof UsageError || error instanceof TypeError)) throw error
    console.error(`${error.message}\n\n${usage}`)
    return undefined
  }
}

const args = process.argv.slice(2)
if (args.includes('--help')) console.log(usage)
else {
  const command = commandOf(args)
  if (command === undefined) process.exitCode = 2
  else process.exitCode = (await new Sweep(command).execute()) ? 0 : 1
}
