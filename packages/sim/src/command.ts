/** What the command line asks for. */
import { parseArgs } from 'node:util'
import { type Bug, bugs } from './bugs.ts'
import { type FaultClass, faultClasses } from './options.ts'
import type { CrashPoint, Wanted } from './run.ts'

export const usage: string = `npm run sim -- --seed N       the first seed
    --runs N                    so many seeds, from there on
    --ops N, --clients N        answered operations, and ordinary clients at most
    --faults a,b|none           ${faultClasses.join(', ')}
    --bug name                  a mistake put back: ${bugs.join(', ')}
    --crash kill@N              die after effect N; powerLoss@N/K leaves the K-th of many outcomes
    --crash-points N            die at every N-th effect in turn, killed and without power
    --outcomes N                at each of these, so many outcomes of a power loss
    --shrink                    look for the smallest run that fails as this one does
    --twice                     run everything again and compare the hashes
    --trace                     print the last events`

export interface Command {
  readonly wanted: Wanted
  readonly runs: number
  readonly isTwice: boolean
  readonly isTraced: boolean
  readonly isShrunk: boolean
  /** Every n-th effect of the run is the place of a crash; 0: none is. */
  readonly crashPointStep: number
  readonly outcomes: number
}

/** Something on the command line that makes no sense. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError'
}

export function parseCommand(args: readonly string[]): Command {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string', default: '1' },
      runs: { type: 'string', default: '1' },
      ops: { type: 'string' },
      clients: { type: 'string' },
      faults: { type: 'string' },
      bug: { type: 'string' },
      crash: { type: 'string' },
      'crash-points': { type: 'string', default: '0' },
      outcomes: { type: 'string', default: '1' },
      shrink: { type: 'boolean', default: false },
      twice: { type: 'boolean', default: false },
      trace: { type: 'boolean', default: false },
    },
  })
  const wanted: Wanted = {
    seed: whole(values.seed),
    ...(values.ops === undefined ? {} : { operations: whole(values.ops) }),
    ...(values.clients === undefined ? {} : { clients: whole(values.clients) }),
    ...(values.faults === undefined ? {} : { faults: faultsIn(values.faults) }),
    ...(values.bug === undefined ? {} : { bug: bugNamed(values.bug) }),
    ...(values.crash === undefined ? {} : { crashAt: crashIn(values.crash) }),
  }
  return {
    wanted,
    runs: whole(values.runs),
    isTwice: values.twice,
    isTraced: values.trace,
    isShrunk: values.shrink,
    crashPointStep: whole(values['crash-points']),
    outcomes: whole(values.outcomes),
  }
}

/** The options that make the same run again. */
export function replayCommand(wanted: Wanted): string {
  const { seed, operations, clients, faults, bug, crashAt } = wanted
  const parts = [`npm run sim -- --seed ${seed}`]
  if (operations !== undefined) parts.push(`--ops ${operations}`)
  if (clients !== undefined) parts.push(`--clients ${clients}`)
  if (faults !== undefined) parts.push(`--faults ${faults.length === 0 ? 'none' : faults.join(',')}`)
  if (bug !== undefined) parts.push(`--bug ${bug}`)
  if (crashAt !== undefined) {
    const { kind, effect, outcome } = crashAt
    parts.push(`--crash ${kind}@${effect}${outcome === undefined ? '' : `/${outcome}`}`)
  }
  return parts.join(' ')
}

function whole(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`seeds and counts are whole numbers, not ${text}`)
  return Number(text)
}

function faultsIn(text: string): readonly FaultClass[] {
  if (text === 'none') return []
  return text.split(',').map(name => {
    const fault = faultClasses.find(each => each === name)
    if (fault === undefined)
      throw new UsageError(`no class of faults is called ${name}: ${faultClasses.join(', ')}`)
    return fault
  })
}

function bugNamed(name: string): Bug {
  const bug = bugs.find(each => each === name)
  if (bug === undefined) throw new UsageError(`no bug is called ${name}: ${bugs.join(', ')}`)
  return bug
}

function crashIn(text: string): CrashPoint {
  const [, kind, effect, outcome] = /^(kill|powerLoss)@(\d{1,15})(?:\/(\d{1,9}))?$/.exec(text) ?? []
  if (kind === undefined || effect === undefined)
    throw new UsageError(`a crash is kill@N or powerLoss@N/K, not ${text}`)
  return {
    kind: kind === 'kill' ? 'kill' : 'powerLoss',
    effect: Number(effect),
    ...(outcome === undefined ? {} : { outcome: Number(outcome) }),
  }
}
