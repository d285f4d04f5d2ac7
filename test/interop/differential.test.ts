/**
 * Corral and Apache ZooKeeper, driven in lock step by generated sequences. Another sequence, or a longer one:
 *
 *     CORRAL_SEED=7 CORRAL_STEPS=20000 npx vitest run test/interop/differential
 */
import { expect, test } from 'vitest'
import { divergences } from './divergences.ts'
import { Generator } from './generator.ts'
import { type InteropServer, type ServerOptions, superDigest } from './interop-server.ts'
import { startJavaServer } from './java-server.ts'
import { LockStep, type Outcome } from './lock-step.ts'
import { describeDifference } from './report.ts'
import { describeWith, java, javaZooKeeper } from './software.ts'

const seed = Number(process.env['CORRAL_SEED'] ?? 1)
const stepCount = Number(process.env['CORRAL_STEPS'] ?? 3000)

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

    expect(report(outcome)).toBe('no difference')
    expect(outcome.operationCount).toBeGreaterThan(1500)
  }, 60_000)
})

function report(outcome: Outcome): string {
  const { difference } = outcome
  return difference === undefined ? 'no difference' : `seed ${seed}\n${describeDifference(difference)}`
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
