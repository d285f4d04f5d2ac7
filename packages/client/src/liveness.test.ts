import { ErrorCode, Xid } from '@corral/protocol'
import { expect, test } from 'vitest'
import { connectedRun, getA, MachineRun, replyFrame } from '../test/machine-run.ts'

test('a ping goes out a third of the timeout after the last write, less a second', () => {
  const run = connectedRun()

  run.advance(8_999)
  expect(run.sent()).toEqual([])
  run.advance(1)

  expect(run.sent()).toEqual([{ xid: Xid.Ping, op: 11, request: { kind: 'ping' } }])
})

test('a call puts the ping off; long timeouts ping after ten seconds all the same', () => {
  const run = new MachineRun({ sessionTimeoutMs: 100_000 })
  run.connected({ timeoutMs: 100_000 })
  run.take()

  run.advance(5_000)
  run.call(getA)
  run.take()
  run.advance(9_999)
  expect(run.sent()).toEqual([])
  run.advance(1)
  expect(run.sent().map(({ xid }) => xid)).toEqual([Xid.Ping])
})

test('answered pings keep a connection for ever', () => {
  const run = connectedRun()

  for (let i = 0; i < 100; i++) {
    run.advance(9_000)
    run.received(replyFrame(Xid.Ping, 1))
  }

  expect(run.sent()).toHaveLength(100)
  expect(run.machine.state).toBe('connected')
})

test('a server silent for two thirds of the timeout is left', () => {
  const run = connectedRun()

  run.advance(19_999)
  expect(run.of('disconnect')).toEqual([])
  run.advance(1)

  expect(run.of('disconnect')).toHaveLength(1)
  expect(run.machine.state).toBe('disconnected')
})

test('four thirds of the timeout without a word from any server end the session', () => {
  const run = connectedRun()
  run.broken()
  const call = run.call(getA)
  const endsMs = run.nowMs + 40_000
  run.take()

  // Connections that open and say nothing are not words.
  while (run.nowMs < endsMs - 1) {
    run.advance(Math.min(5000, endsMs - 1 - run.nowMs))
    run.opened()
  }
  expect(run.of('state')).toEqual([])
  run.advance(1)

  expect(run.of('state').map(effect => effect.state)).toEqual(['expired'])
  expect(run.outcomes()).toEqual([[call, ErrorCode.ConnectionLoss]])
})

test('before the first handshake there is nothing to expire', () => {
  const run = new MachineRun()
  run.start()

  run.advance(10 * 30_000)

  expect(run.machine.state).toBe('connecting')
  expect(run.of('connect').length).toBeGreaterThan(5)
})
