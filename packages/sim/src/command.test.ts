import { expect, test } from 'vitest'
import { parseCommand, replayCommand, UsageError } from './command.ts'
import type { Wanted } from './run.ts'

const wholes: readonly Wanted[] = [
  { seed: 42 },
  { seed: 7, operations: 60, clients: 2, faults: [] },
  { seed: 1, faults: ['kill', 'bitRot'], bug: 'drop-event' },
  { seed: 9, crashAt: { kind: 'kill', effect: 12 } },
  { seed: 9, crashAt: { kind: 'powerLoss', effect: 12, outcome: 3 } },
]

test.each(wholes.map(wanted => [replayCommand(wanted), wanted] as const))('%s', (line, wanted) => {
  const args = line.replace('npm run sim -- ', '').split(' ')

  expect(parseCommand(args).wanted).toEqual(wanted)
})

test.each([
  '--seed x',
  '--runs 1.5',
  '--faults kill,nonsense',
  '--bug none',
  '--crash kill@x',
  '--crash powerCut@3',
])('%s makes no sense', line => {
  expect(() => parseCommand(line.split(' '))).toThrow(UsageError)
})
