import { decodeUtf8, ErrorCode, encodeUtf8 } from '@corral/protocol'
import { expect, test, vi } from 'vitest'
import { aConfig, responseFrame } from '../test/machine-run.ts'
import { HandClock } from '../test/scripted-server.ts'
import type { SessionConfig } from './session-events.ts'
import { SessionMachine } from './session-machine.ts'
import {
  type Connection,
  causeOf,
  type DriverEffect,
  nodeTimers,
  SocketDriver,
  type TransportEvents,
} from './socket-driver.ts'

interface Given {
  readonly onEffect?: (effect: DriverEffect, driver: SocketDriver) => void
  readonly config?: Partial<SessionConfig>
}

function aDriver(given: Given = {}) {
  const clock = new HandClock()
  const events: TransportEvents[] = []
  const sent: Uint8Array[] = []
  let closed = 0
  const connection: Connection = {
    send: bytes => void sent.push(bytes),
    close: () => {
      closed += 1
    },
  }
  const effects: DriverEffect[] = []
  const machine = new SessionMachine({ ...aConfig, ...given.config })
  const driver: SocketDriver = new SocketDriver({
    machine,
    timers: clock,
    transport: {
      open: (_server, on) => {
        events.push(on)
        return connection
      },
    },
    onEffect: effect => {
      effects.push(effect)
      given.onEffect?.(effect, driver)
    },
  })
  return { driver, machine, clock, events, sent, effects, closedCount: () => closed }
}

test('a delay longer than the timers of Node can count does not end at once', () => {
  vi.useFakeTimers()
  const run = vi.fn()

  nodeTimers.after(Infinity, run)
  nodeTimers.after(2 ** 31, run)
  vi.advanceTimersByTime(1000)

  expect(run).not.toHaveBeenCalled()
  vi.useRealTimers()
})

test('an event that an effect causes waits until the effects before it are done', () => {
  const given = aDriver({
    onEffect: (effect, driver) => {
      if (effect.kind === 'state') driver.dispatch({ kind: 'call', call: 1, request: { kind: 'whoAmI' } })
      if (effect.kind === 'settled') driver.dispatch({ kind: 'close' })
    },
  })
  given.driver.dispatch({ kind: 'start' })
  given.events[0]?.opened()
  const bytes = responseFrame()
  given.events[0]?.received(bytes, 0, bytes.length)
  expect(given.sent).toHaveLength(2)

  given.events[0]?.closed('reset')

  // disconnected (and a call), the first call lost (and a close), then those: the second call refused,
  // closed.
  expect(
    given.effects.map(effect => (effect.kind === 'settled' ? effect.outcome : effect.kind)).slice(0, 3),
  ).toMatchObject(['state', { code: ErrorCode.ConnectionLoss }, 'state'])
  expect(given.machine.state).toBe('closed')
})

test('bytes lent while effects are carried out are kept', () => {
  const bytes = responseFrame()
  let isFirst = true
  const given = aDriver({
    onEffect: effect => {
      if (effect.kind !== 'settled' || !isFirst) return
      isFirst = false
      given.events[1]?.received(bytes, 0, bytes.length)
      bytes.fill(0xff)
    },
  })
  given.driver.dispatch({ kind: 'start' })
  given.events[0]?.closed('refused')
  given.clock.advance(500)
  given.events[1]?.opened()

  given.driver.dispatch({
    kind: 'unwatch',
    call: 1,
    watcher: 1,
    path: '/',
    type: 3,
  })

  expect(given.machine.state).toBe('connected')
})

test('one timer runs, moves when the deadline comes nearer, and goes at the end', () => {
  const given = aDriver()
  expect(given.clock.pending).toBe(0)
  given.driver.dispatch({ kind: 'start' })
  expect(given.clock.pending).toBe(1)

  // 30 s for the attempt; the ping after the handshake is due in 9 s.
  given.events[0]?.opened()
  const bytes = responseFrame()
  given.events[0]?.received(bytes, 0, bytes.length)
  given.sent.length = 0
  expect(given.clock.pending).toBe(1)
  given.clock.advance(9_000)
  expect(given.sent).toHaveLength(1)

  given.events[0]?.closed('reset')
  given.driver.dispatch({ kind: 'close' })
  expect(given.clock.pending).toBe(0)
})

test('a connection that the machine gave up is closed', () => {
  const given = aDriver()
  given.driver.dispatch({ kind: 'start' })

  given.clock.advance(30_000)

  expect(given.closedCount()).toBe(1)
})

test('the search for a server to write to has a connection beside that of the session', () => {
  const servers = ['a', 'b'].map(host => ({ host, port: 1 }))
  const given = aDriver({ config: { servers, canBeReadOnly: true } })
  given.driver.dispatch({ kind: 'start' })
  given.events[0]?.opened()
  const bytes = responseFrame({ readOnly: true })
  given.events[0]?.received(bytes, 0, bytes.length)

  given.clock.advance(100)
  given.events[1]?.opened()
  expect(decodeUtf8(given.sent.at(-1) ?? new Uint8Array(0))).toBe('isro')
  expect(given.closedCount()).toBe(0)
  const answer = encodeUtf8('rw')
  given.events[1]?.received(answer, 0, answer.length)

  expect(given.closedCount()).toBe(2)
  given.clock.advance(0)
  expect(given.events).toHaveLength(3)
  given.driver.dispatch({ kind: 'close' })
  expect(given.clock.pending).toBe(0)
})

test('a name whose addresses all failed says why, which the error of Node itself does not', () => {
  const failures = ['connect ECONNREFUSED ::1:2181', 'connect ECONNREFUSED 127.0.0.1:2181'].map(
    text => new Error(text),
  )

  expect(causeOf(new AggregateError(failures))).toBe(
    'connect ECONNREFUSED ::1:2181, connect ECONNREFUSED 127.0.0.1:2181',
  )
  expect(causeOf(new Error('read ECONNRESET'))).toBe('read ECONNRESET')
})
