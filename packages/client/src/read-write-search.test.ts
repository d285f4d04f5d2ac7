import { decodeUtf8, ErrorCode, encodeUtf8, sessionId } from '@corral/protocol'
import { expect, test } from 'vitest'
import { drawing, getA, MachineRun } from '../test/machine-run.ts'
import type { SessionConfig } from './session-events.ts'

const servers = ['a', 'b', 'c'].map(host => ({ host, port: 2181 }))

function readOnlyRun(given: Partial<SessionConfig> = {}): MachineRun {
  const run = new MachineRun({ canBeReadOnly: true, servers, random: drawing(0.99), ...given })
  run.connected({ readOnly: true })
  run.take()
  return run
}

const asked = (run: MachineRun): string[] => run.of('connect').map(({ server }) => server.host)
const answered = (run: MachineRun, text: string): void => {
  run.opened()
  run.received(encodeUtf8(text))
  run.step({ kind: 'closed', connection: run.connection, reason: 'done' })
}

test('asks the others in turn, after pauses that double, and stays where it is', () => {
  const run = readOnlyRun()
  run.advance(99)
  expect(asked(run)).toEqual([])
  run.advance(1)
  expect(asked(run)).toEqual(['b'])
  run.take()
  run.opened()
  expect(run.of('send').map(({ bytes }) => decodeUtf8(bytes))).toEqual(['isro'])

  run.received(encodeUtf8('ro'))
  run.step({ kind: 'closed', connection: run.connection, reason: 'done' })
  run.advance(199)
  expect(asked(run)).toEqual([])
  run.advance(1)
  expect(asked(run)).toEqual(['c'])
  run.step({ kind: 'closed', connection: run.connection, reason: 'refused' })
  run.advance(400)

  expect(asked(run)).toEqual(['c', 'b'])
  expect(run.machine.state).toBe('connectedReadOnly')
})

test('goes to the first that can be written to, at once', () => {
  const run = readOnlyRun()
  const lost = run.call(getA)
  run.advance(100)
  run.opened()
  run.take()

  run.received(encodeUtf8('r'))
  run.received(encodeUtf8('w'))
  run.advance(0)

  expect(run.of('disconnect')).toHaveLength(2)
  expect(run.outcomes()).toEqual([[lost, ErrorCode.ConnectionLoss]])
  expect(asked(run)).toEqual(['b'])
  run.connected({ sessionId: sessionId(8n) })
  expect(run.machine.state).toBe('connected')
  run.take()
  run.advance(5_000)
  expect(asked(run)).toEqual([])
})

test('gives up one that says nothing, and whatever says something else', () => {
  const run = readOnlyRun()
  run.advance(100)
  run.opened()
  run.advance(1000)
  expect(run.of('disconnect')).toHaveLength(1)
  run.advance(200)
  answered(run, 'isro is not executed because it is not in the whitelist.')

  expect(run.machine.state).toBe('connectedReadOnly')
})

test('hangs up when it is closed, and asks nobody when there is nobody else', () => {
  const run = readOnlyRun()
  run.advance(100)
  run.step({ kind: 'close' })
  expect(run.of('disconnect').map(({ connection }) => connection)).toContain(run.connection)

  const alone = readOnlyRun({ servers: servers.slice(0, 1) })
  alone.advance(5_000)
  expect(asked(alone)).toEqual([])
})
