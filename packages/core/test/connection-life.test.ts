/**
 * Whatever clients do, and whenever the disk answers: what a connection is sent is its own, and what it leaves is
 * nothing. The judge knows only what went over the wire, and what the server says it keeps.
 *
 * A failure prints seed and path. For more than a look: `LIVES=20000 SEED=7 npx vitest run connection-life`.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Bench } from './life/bench.ts'
import { Probe } from './life/probe.ts'
import { lives } from './life/steps.ts'

const numRuns = Number(process.env['LIVES'] ?? 400)
const seed = Number(process.env['SEED'] ?? 1)
/** Many times what a life takes. */
const mostMsPerLife = 1000

let probe: Probe

beforeAll(() => {
  probe = new Probe()
})

afterAll(() => probe.uninstall())

test('connections keep to themselves and leave nothing', { timeout: numRuns * mostMsPerLife }, () => {
  let lived = 0
  const property = fc.property(lives, ({ world, steps }) => {
    const bench = new Bench(world, probe)
    bench.run(steps)
    bench.finish()
    lived++
  })

  fc.assert(property, { numRuns, seed })

  expect(lived).toBe(numRuns)
})
