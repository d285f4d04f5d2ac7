import { Server } from '@corral/core'
import { expect, test } from 'vitest'
import { type RunResult, simulate, type Wanted } from './run.ts'
import { shrink } from './shrink.ts'

const run = async (wanted: Wanted): Promise<RunResult> => await simulate(wanted, given => new Server(given))

test('a run is the same when its own numbers are asked for', async () => {
  const drawn = await run({ seed: 3 })
  const { operations, faults, wireClients, libraryClients } = drawn.options

  const asked = await run({ seed: 3, operations, faults, clients: wireClients + libraryClients })

  expect(asked.traceHash).toBe(drawn.traceHash)
})

test('a failing run becomes a small one that breaks the same rule', async () => {
  const wanted: Wanted = { seed: 3, operations: 200, bug: 'lower-zxid' }
  const failed = await run(wanted)
  const rules = failed.violations.map(({ rule }) => rule)
  expect(rules.length).toBeGreaterThan(0)

  const shrunk = await shrink(wanted, failed, run)

  const { violations, options } = await run(shrunk.wanted)
  expect(violations.some(({ rule }) => rules.includes(rule))).toBe(true)
  expect(options.operations).toBeLessThan(100)
  expect(options.faults.length).toBeLessThanOrEqual(1)
  expect(shrunk.wanted.clients).toBeLessThanOrEqual(2)
})
