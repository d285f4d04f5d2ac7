/**
 * Corral and Apache ZooKeeper, driven in lock step by generated sequences. Another sequence, or a longer one:
 *
 *     CORRAL_SEED=7 CORRAL_STEPS=20000 npx vitest run test/interop/differential
 */
import { expect, test } from 'vitest'
import { startCorral } from './corral-server.ts'
import { divergences } from './divergences.ts'
import { Generator } from './generator.ts'
import { type InteropServer, type ServerOptions, superDigest } from './interop-server.ts'
import { startJavaServer } from './java-server.ts'
import { type Difference, LockStep, type Outcome } from './lock-step.ts'
import { describeDifference, describeStep, isAlike } from './report.ts'
import { shrink } from './shrink.ts'
import { describeWith, java, javaZooKeeper } from './software.ts'
import type { Step } from './steps.ts'

const seed = Number(process.env['CORRAL_SEED'] ?? 1)
const stepCount = Number(process.env['CORRAL_STEPS'] ?? 3000)

/** Each takes two fresh servers. */
const shrinkMs = 60_000
const shrinkRuns = Number(process.env['CORRAL_SHRINK'] ?? 60)

const options: ServerOptions = { maxSessionTimeoutMs: 600_000, superDigest }

describeWith([java, javaZooKeeper], 'the same steps on two servers', () => {
  test('Apache ZooKeeper against itself shows no difference: what differs between runs is normalised', async () => {
    const steps = new Generator(seed, { isQuotaEnforced: true }).steps(1500)

    const outcome = await withServers(
      startJavaServer,
      startJavaServer,
      { ...options, isQuotaEnforced: true },
      (oracle, subject) => new LockStep(oracle, subject, { divergences: [], barrierEvery: 20 }).run(steps),
    )

    expect(outcome.difference).toBeUndefined()
    expect(outcome.operationCount).toBeGreaterThan(1500)
  })

  test('Corral differs from Apache ZooKeeper in what divergences.ts lists, and in nothing else', async () => {
    const met = new Map<string, number>()
    let operationCount = 0

    for (const isQuotaEnforced of [false, true]) {
      const outcome = await compare({ ...options, isQuotaEnforced, isReconfigEnabled: isQuotaEnforced })
      operationCount += outcome.operationCount
      for (const [id, count] of outcome.met) met.set(id, (met.get(id) ?? 0) + count)
    }

    process.stderr.write(`\n  ${operationCount} operations compared, seed ${seed}\n`)
    expect(operationCount).toBeGreaterThan(2 * stepCount)
    const unmet = divergences.filter(({ id }) => !met.has(id)).map(({ id }) => id)
    expect(unmet, 'divergences that the run never met').toEqual([])
  })
})

async function compare(given: ServerOptions): Promise<Outcome> {
  const steps = new Generator(seed, { isQuotaEnforced: given.isQuotaEnforced === true }).steps(stepCount)
  const attempt = (tried: readonly Step[], barrierEvery: number): Promise<Outcome> =>
    withServers(startJavaServer, startCorral, given, (oracle, subject) =>
      new LockStep(oracle, subject, { divergences, barrierEvery }).run(tried),
    )
  const outcome = await attempt(steps, 20)
  if (outcome.difference !== undefined) await explain(outcome.difference, steps, tried => attempt(tried, 1))
  return outcome
}

/** @throws Error that shows the difference, and the shortest sequence found that leads to one like it */
async function explain(
  difference: Difference,
  steps: readonly Step[],
  attempt: (steps: readonly Step[]) => Promise<Outcome>,
): Promise<never> {
  process.stderr.write(`\nseed ${seed}, ${describeDifference(difference)}\nshrinking …\n`)
  // With every connection asked after every step it shows where it arises.
  const closer = (await attempt(steps)).difference ?? difference
  let shortest = closer
  const upToIt = steps.slice(0, closer.index + 1)
  const shrunk = await shrink(
    upToIt,
    async tried => {
      const found = (await attempt(tried)).difference
      if (found === undefined || !isAlike(found, closer)) return false
      shortest = found
      return true
    },
    shrinkRuns,
    performance.now() + shrinkMs,
  )
  throw new Error(
    [
      `seed ${seed}, ${describeDifference(difference)}`,
      `shrunk to ${shrunk.length} steps, of which the last ones:`,
      ...shrunk.slice(-20).map(step => `  ${describeStep(step)}`),
      describeDifference(shortest),
    ].join('\n'),
  )
}

type Start = (options: ServerOptions) => Promise<InteropServer>

async function withServers<T>(
  startOracle: Start,
  startSubject: Start,
  given: ServerOptions,
  body: (oracle: InteropServer, subject: InteropServer) => Promise<T>,
): Promise<T> {
  const [oracle, subject] = await Promise.all([startOracle(given), startSubject(given)])
  try {
    return await body(oracle, subject)
  } finally {
    await Promise.all([oracle.stop(), subject.stop()])
  }
}
