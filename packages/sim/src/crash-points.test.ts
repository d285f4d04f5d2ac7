/**
 * Every durable step that the server makes is a place where it can die: each kind of them is looked up in a run, and
 * the run repeated with a crash right behind the effect that asked for it, with the call carried out or not, killed
 * and with several outcomes of a power loss. All effects of a run, and more outcomes, are
 * `npm run sim -- --crash-points 1 --outcomes 8`.
 */
import { Server } from '@corral/core'
import { expect, test } from 'vitest'
import { replayCommand } from './command.ts'
import type { MakeMachine } from './driver.ts'
import { type CrashPoint, simulate, type Wanted } from './run.ts'

const makeMachine: MakeMachine = given => new Server(given)

/** Section by section: roll (and repair at a start), append and zero-fill, snapshot, purge, the note of a run, its marker. */
const steps = [
  ['create tmp-log', 'write tmp-log head', 'sync tmp-log', 'rename log', 'syncDir log'],
  ['write log head', 'write through log', 'fill log'],
  ['write tmp-snapshot.unfinished head', 'sync tmp-snapshot.unfinished', 'rename snapshot', 'syncDir data'],
  ['remove snapshot', 'remove log'],
  ['create tmp-corral.state', 'write tmp-corral.state head', 'sync tmp-corral.state', 'rename corral.state'],
  ['syncDir logRoot', 'remove initialize', 'syncDir dataRoot'],
  ['sync snapshot'],
].flat()

/** Runs that together make them all, some by starts after a crash; the short ones first. */
const bases: readonly Wanted[] = [14, 12, 8, 1, 20].map(seed => ({
  seed,
  operations: 60,
  faults: ['kill', 'powerLoss'],
}))

interface Step {
  readonly base: Wanted
  /** One of those that asked for it. */
  readonly effect: number
}

async function stepsOfRuns(): Promise<ReadonlyMap<string, Step>> {
  const found = new Map<string, Step>()
  for (const base of bases) {
    const { durableSteps, activity } = await simulate(base, makeMachine)
    // Not in the end of the run: there must be something to go on with.
    const latest = 0.7 * (activity['effects'] ?? 0)
    for (const [step, all] of durableSteps) {
      const effects = all.filter(effect => effect < latest)
      const effect = effects[effects.length >> 1]
      if (effect !== undefined && !found.has(step)) found.set(step, { base, effect })
    }
  }
  return found
}

const found = await stepsOfRuns()

test('the runs make every durable step there is', () => {
  expect(steps.filter(step => !found.has(step))).toEqual([])
})

test.each([...found.keys()].sort())('%s', async step => {
  const { base, effect } = found.get(step) as Step
  const crashes: CrashPoint[] = [{ effect, kind: 'kill' }]
  for (let outcome = 1; outcome <= 4; outcome++) crashes.push({ effect, kind: 'powerLoss', outcome })
  for (const crashAt of crashes) {
    const wanted: Wanted = { ...base, crashAt }

    const { violations, activity } = await simulate(wanted, makeMachine)

    const complaint = violations.map(({ rule, message }) => `${rule}: ${message}`).join('\n')
    expect(complaint === '' ? '' : `${complaint}\n${replayCommand(wanted)}`).toBe('')
    expect(activity['boots']).toBeGreaterThan(1)
  }
})
