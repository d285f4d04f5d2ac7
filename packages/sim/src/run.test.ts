/**
 * The simulation itself, on a sample of seeds: short runs here, long ones by `npm run sim`. And the proof that it finds
 * something: every known mistake, put back, must be found.
 */
import { Server } from '@corral/core'
import { describe, expect, test } from 'vitest'
import { type Bug, bugs } from './bugs.ts'
import { replayCommand } from './command.ts'
import type { MakeMachine } from './driver.ts'
import type { FaultClass } from './options.ts'
import { type Activity, type RunResult, simulate, type Wanted } from './run.ts'

const makeMachine: MakeMachine = given => new Server(given)
const operations = 120

async function run(wanted: Wanted): Promise<RunResult> {
  return await simulate({ operations, ...wanted }, makeMachine)
}

/** A text to compare with '', so that a failure shows what is needed to see it again. */
function complaints(wanted: Wanted, result: RunResult): string {
  if (result.violations.length === 0) return ''
  const lines = result.violations.slice(0, 5).map(({ rule, message }) => `${rule}: ${message}`)
  return [...lines, replayCommand({ operations, ...wanted })].join('\n')
}

const seeds = Array.from({ length: 24 }, (_, i) => i + 1)
const activities: Activity[] = []

describe('a run with faults drawn from its seed breaks no rule', () => {
  test.each(seeds)('seed %i', async seed => {
    const result = await run({ seed })

    expect(complaints({ seed }, result)).toBe('')
    activities.push(result.activity)
  })

  test('and together the runs were worth something', () => {
    const total = (name: string): number =>
      activities.reduce((sum, activity) => sum + (activity[name] ?? 0), 0)

    expect(activities.length).toBe(seeds.length)
    const atLeast = {
      ok: 800,
      judged: 800,
      eventsJudged: 50,
      searched: 3 * seeds.length,
      recoveries: seeds.length,
      kills: 10,
      powerLosses: 10,
      takenBack: 1,
      breaks: 20,
      diskErrors: 3,
      stalls: 2,
      clockSteps: 2,
      attacks: 10,
      snapshotsReplayed: 10,
      marks: 1,
    }
    const missing = Object.entries(atLeast).filter(([name, least]) => total(name) < least)
    expect(missing.map(([name, least]) => `${name}: ${total(name)} < ${least}`)).toEqual([])
  })
})

describe('a disk that breaks its word costs nothing in silence', () => {
  /** How these runs must end, of 16: the fault took effect, and the judge had to decide. */
  const classes: readonly [FaultClass, Partial<Record<string, number>>][] = [
    ['lostSync', { lostSyncs: 100, endedRefused: 2, endedWhole: 2 }],
    ['misdirectedWrite', { misdirected: 3, endedRefused: 1, endedWhole: 5 }],
    ['bitRot', { rotten: 16, endedRefused: 4, endedWhole: 2 }],
    ['staleRead', { staleReads: 10, endedWhole: 2 }],
    ['fileLoss', { lostFiles: 16, endedRefused: 2, endedBereft: 1, endedWhole: 2 }],
    ['rollback', { restored: 6, endedBereft: 5, endedWhole: 1 }],
    ['liveCopy', { copies: 10, restored: 6, endedRefused: 1, endedBereft: 3, endedWhole: 1 }],
  ]

  test.each(classes)('%s', async (fault, atLeast) => {
    const activities: Activity[] = []
    for (let seed = 1; seed <= 16; seed++) {
      const wanted: Wanted = { seed, faults: ['powerLoss', 'kill', fault], operations: 60 }
      const result = await run(wanted)

      expect(complaints(wanted, result)).toBe('')
      activities.push(result.activity)
    }
    expect(activities.length).toBe(16)
    for (const [name, least] of Object.entries(atLeast)) {
      const total = activities.reduce((sum, activity) => sum + (activity[name] ?? 0), 0)
      expect(total, name).toBeGreaterThanOrEqual(least as number)
    }
  })
})

test('a server that welcomes clients who have seen more than it has is found', async () => {
  const forgetful: MakeMachine = given => {
    const server = new Server(given)
    return {
      inspect: () => server.inspect(),
      step: (now, event) => {
        // Of a whole first frame the last zxid seen, behind its length and the version.
        if (event.kind === 'received' && event.to === 49) event.bytes.fill(0, 8, 16)
        return server.step(now, event)
      },
    }
  }
  const rules = new Set<string>()
  for (let seed = 1; seed <= 16 && rules.size === 0; seed++) {
    const { violations } = await simulate({ seed, faults: ['kill', 'rollback'], operations: 60 }, forgetful)
    for (const { rule } of violations) rules.add(rule)
  }

  expect(rules).toContain('P4')
})

test('a server that does not heed the note of its last run is found', async () => {
  const careless: MakeMachine = given => {
    const server = new Server(given)
    return {
      inspect: () => server.inspect(),
      step: (now, event) => {
        if (event.kind !== 'diskDone' || !event.result.ok || event.result.entries === undefined)
          return server.step(now, event)
        const entries = event.result.entries.filter(({ name }) => name !== 'corral.state')
        return server.step(now, { ...event, result: { ...event.result, entries } })
      },
    }
  }
  const rules = new Set<string>()
  for (let seed = 1; seed <= 24 && rules.size === 0; seed++) {
    const { violations } = await simulate({ seed, faults: ['fileLoss'], operations: 60 }, careless)
    for (const { rule } of violations) rules.add(rule)
  }

  expect(rules).toContain('L4')
})

test('the same seed gives the same run, to the last bit', async () => {
  for (const seed of [3, 10, 15, 18]) {
    const first = await run({ seed })
    const second = await run({ seed })

    expect(second.traceHash).toBe(first.traceHash)
    expect(second.activity).toEqual(first.activity)
  }
})

test('another seed gives another run', async () => {
  const hashes = await Promise.all(
    [1, 2, 3].map(async seed => (await run({ seed, operations: 20 })).traceHash),
  )

  expect(new Set(hashes).size).toBe(3)
})

test('a crash after any effect loses nothing that was told', async () => {
  const base: Wanted = { seed: 7, operations: 40, faults: [] }
  const { activity } = await run(base)
  const effects = activity['effects'] ?? 0
  expect(effects).toBeGreaterThan(100)
  // A sample: every one of them is `npm run sim -- --seed 7 --ops 40 --faults none --crash-points 1`.
  const step = Math.ceil(effects / 25)
  for (let effect = 1; effect < effects; effect += step) {
    const wanted: Wanted = {
      ...base,
      crashAt: { effect, kind: (effect / step) % 2 < 1 ? 'kill' : 'powerLoss' },
    }
    expect(complaints(wanted, await run(wanted))).toBe('')
  }
})

test('a power loss at one place leaves one of many things, and the same one again', async () => {
  const lossAt = async (effect: number, outcome: number): Promise<string> => {
    const wanted: Wanted = {
      seed: 7,
      operations: 40,
      faults: [],
      crashAt: { effect, kind: 'powerLoss', outcome },
    }
    const result = await run(wanted)
    expect(complaints(wanted, result)).toBe('')
    return result.traceHash
  }
  // Not at every place is anything pending.
  let effect = 100
  let hashes: readonly string[] = []
  for (; effect < 130 && new Set(hashes).size <= 2; effect++) {
    hashes = await Promise.all([1, 2, 3, 4, 5, 6].map(outcome => lossAt(effect, outcome)))
  }

  expect(new Set(hashes).size).toBeGreaterThan(2)
  expect(await lossAt(effect - 1, 1)).toBe(hashes[0])
})

describe('a mistake put back is found', () => {
  /** Faults under which the mistake can show at all. */
  const faultsFor: Partial<Record<Bug, readonly FaultClass[]>> = {
    'ignore-sync-error': ['disk', 'powerLoss'],
    'skip-directory-sync': ['powerLoss'],
    'trust-recovered': ['powerLoss', 'kill'],
  }

  /** Of the rules that it breaks those of which one must be the one that finds it. */
  const rulesFor: Record<Bug, readonly string[]> = {
    'ack-before-sync': ['L1'],
    'skip-sync': ['L1'],
    'ignore-sync-error': ['L1'],
    'skip-directory-sync': ['L1'],
    'trust-recovered': ['V2', 'L3', 'L4'],
    'event-after-reply': ['W1', 'S2'],
    'drop-event': ['W1', 'W3'],
    'repeat-event': ['W3'],
    'swap-replies': ['S1'],
    'drop-reply': ['S1'],
    'lower-zxid': ['P1', 'S2', 'C1'],
    'flip-data': ['C1', 'C2'],
    'hide-refusal': ['C1', 'linearizable'],
    'early-expiry': ['S5'],
    'no-ticks': ['V5'],
    'lose-write': ['L1'],
  }

  test.each(bugs)('%s', async bug => {
    const found: string[] = []
    for (let seed = 1; seed <= 20 && found.length === 0; seed++) {
      const faults = faultsFor[bug]
      const { violations } = await run({ seed, bug, ...(faults === undefined ? {} : { faults }) })
      found.push(...violations.map(({ rule }) => rule))
    }

    expect(found.filter(rule => rulesFor[bug].includes(rule)).length, found.join()).toBeGreaterThan(0)
  })
})
