/**
 * The long run.
 *
 *     npm run fuzz -- --target connection --seconds 600 --seed 1     without a target: all, in turn
 *     npm run fuzz -- --target connection --replay <file>
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fuzz, runInTime, save, targets } from './run.ts'
import type { Target } from './target.ts'

const usage = `usage: npm run fuzz -- [options]
  --target NAME   only this one: ${targets.map(({ name }) => name).join(' ')}
  --seconds N     shared by the targets (60)
  --seed N        of the inputs (1)
  --replay FILE   one saved input, with --target

Exit code 1: something broke; the input is saved, and the line that replays it is printed.`

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  const options = optionsOf(args)
  if (typeof options === 'string') {
    console.error(`${options}\n\n${usage}`)
    return 2
  }
  if (options.isHelpAsked) {
    console.log(usage)
    return 0
  }
  const { chosen, seconds, seed, replayed } = options
  const [target] = chosen
  const isSound =
    target !== undefined && replayed !== undefined
      ? await replay(target, replayed)
      : await runAll(chosen, seconds, seed)
  return isSound ? 0 : 1
}

interface Options {
  readonly isHelpAsked: boolean
  readonly chosen: readonly Target[]
  readonly seconds: number
  readonly seed: number
  /** A file. */
  readonly replayed: string | undefined
}

/** @returns what is wrong with them, if something is */
function optionsOf(args: string[]): Options | string {
  const texts = { target: { type: 'string' }, replay: { type: 'string' } } as const
  const numbers = {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
  } as const
  try {
    const { values } = parseArgs({ args, options: { ...texts, ...numbers, help: { type: 'boolean' } } })
    const { target, replay: replayed, seconds, seed } = values
    const chosen = targets.filter(({ name }) => target === undefined || name === target)
    if (chosen.length === 0) return `no target is called ${target}`
    if (replayed !== undefined && target === undefined) return '--replay needs the --target of the input'
    for (const written of [seconds, seed]) {
      if (!/^\d{1,9}$/.test(written)) return `seconds and seeds are whole numbers, not ${written}`
    }
    return {
      isHelpAsked: values.help === true,
      chosen,
      seconds: Number(seconds),
      seed: Number(seed),
      replayed,
    }
  } catch (error) {
    if (error instanceof TypeError) return error.message // of parseArgs
    throw error
  }
}

async function runAll(chosen: readonly Target[], seconds: number, seed: number): Promise<boolean> {
  let isEverythingSound = true
  for (const target of chosen) {
    const until = performance.now() + (seconds * 1000) / chosen.length
    const { cases, slowestStepMs, outcomes, failures } = await fuzz(
      target,
      seed,
      () => performance.now() >= until,
    )
    const became = [...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', ')
    console.log(
      `${target.name}: ${cases} cases (${became}), slowest step ${slowestStepMs.toFixed(1)} ms, seed ${seed}`,
    )
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
  const verdict = await runInTime(target, new Uint8Array(readFileSync(path)))
  console.log(`${target.name}: ${verdict.outcome}, slowest step ${verdict.slowestStepMs.toFixed(1)} ms`)
  return true
}
