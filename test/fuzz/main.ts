/**
 * The long run.
 *
 *     npm run fuzz -- --target connection --seconds 600 --seed 1     without a target: all, in turn
 *     npm run fuzz -- --target connection --replay <file>
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fuzz, save, targets } from './run.ts'
import type { Target } from './target.ts'

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    replay: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const usage = `usage: npm run fuzz -- [--target NAME] [--seconds N] [--seed N] [--replay FILE]
targets: ${targets.map(({ name }) => name).join(', ')}`
if (values.help) {
  console.log(usage)
  process.exit(0)
}

const chosen = values.target === undefined ? targets : targets.filter(({ name }) => name === values.target)
if (chosen.length === 0) {
  console.error(`no target ${values.target}\n${usage}`)
  process.exit(2)
}
const isSound =
  values.replay === undefined
    ? await runAll(Number(values.seconds), Number(values.seed))
    : await replay(chosen[0] as Target, values.replay)
process.exit(isSound ? 0 : 1)

async function runAll(seconds: number, seed: number): Promise<boolean> {
  let isEverythingSound = true
  for (const target of chosen) {
    const until = performance.now() + (seconds * 1000) / chosen.length
    const { cases, slowestStepMs, slowest, outcomes, failures } = await fuzz(
      target,
      seed,
      () => performance.now() >= until,
    )
    const became = [...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', ')
    console.log(
      `${target.name}: ${cases} cases (${became}), slowest step ${slowestStepMs.toFixed(1)} ms, seed ${seed}`,
    )
    // Twice, for a pause of the machine is no fault of the input.
    const again = slowest === undefined ? 0 : (await target.run(slowest)).slowestStepMs
    if (slowest !== undefined && slowestStepMs > 50 && again > 50) {
      console.log(`  over 50 ms twice (${again.toFixed(1)} ms): ${save(target, slowest)}`)
      isEverythingSound = false
    }
    for (const { input, error } of failures) {
      isEverythingSound = false
      const path = save(target, input)
      console.log(`  broken: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      console.log(`  replay: npm run fuzz -- --target ${target.name} --replay ${path}`)
    }
  }
  return isEverythingSound
}

async function replay(target: Target, path: string): Promise<boolean> {
  const verdict = await target.run(new Uint8Array(readFileSync(path)))
  console.log(`${target.name}: ${verdict.outcome}, slowest step ${verdict.slowestStepMs.toFixed(1)} ms`)
  return true
}
