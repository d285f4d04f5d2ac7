import { ErrorCode, EventType, Writer, Xid, zxid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import {
  connectedRun,
  dataBody,
  eventFrame,
  existsA,
  getA,
  joined,
  MachineRun,
  noBody,
  replyFrame,
  responseFrame,
  statBody,
  watchA,
} from '../test/machine-run.ts'
import { nextXid } from './call-queue.ts'
import type { SessionEffect } from './session-events.ts'

describe('calls', () => {
  test('replies settle calls in order', () => {
    const run = connectedRun()
    const calls = [run.call(getA), run.call(getA), run.call(getA)]

    run.received(replyFrame(1, 4, dataBody), replyFrame(2, 4, noBody, ErrorCode.NoNode))
    run.received(replyFrame(3, 5, dataBody))

    expect(run.outcomes()).toEqual([
      [calls[0], ErrorCode.Ok],
      [calls[1], ErrorCode.NoNode],
      [calls[2], ErrorCode.Ok],
    ])
    expect(run.machine.lastZxid).toBe(5n)
  })

  test('after the largest xid comes 1', () => {
    expect([nextXid(0), nextXid(1), nextXid(0x7ffffffe), nextXid(0x7fffffff)]).toEqual([1, 2, 0x7fffffff, 1])
  })

  test('bytes may come in any pieces', () => {
    const stream = joined(
      responseFrame(),
      replyFrame(1, 3, dataBody),
      eventFrame(EventType.NodeDeleted, '/a', 4),
      replyFrame(2, 4, statBody),
    )
    const play = (cuts: readonly number[]): [SessionEffect[], Uint8Array[]] => {
      const run = new MachineRun()
      run.start()
      run.call(watchA, { kind: 'data', watcher: 1 })
      run.call(existsA)
      run.opened()
      let from = 0
      for (const to of [...cuts, stream.length]) {
        run.step({ kind: 'received', connection: run.connection, bytes: stream, from, to })
        from = to
      }
      // Writes are gathered per step, so they fall differently; the bytes are the same.
      return [run.effects.filter(effect => effect.kind !== 'send'), run.frames()]
    }
    const whole = play([])
    expect(whole[0].map(({ kind }) => kind)).toEqual(['connect', 'state', 'settled', 'fired', 'settled'])

    for (let cut = 1; cut < stream.length; cut++) expect(play([cut])).toEqual(whole)
    expect(play(Array.from(stream, (_, i) => i))).toEqual(whole)
  })

  test('what was sent on a broken connection may have been applied, and is not sent again', () => {
    const run = connectedRun()
    run.call({ kind: 'delete', path: '/a', version: -1 })
    run.take()

    run.broken()

    expect(run.of('settled').map(({ outcome }) => outcome)).toMatchObject([
      { kind: 'lost', code: ErrorCode.ConnectionLoss, mayHaveBeenApplied: true },
    ])
    run.take()
    run.advance(1000)
    run.connected()
    expect(run.frames()).toHaveLength(1)
  })

  test('a large request whose connection breaks is told of the limit that servers have', () => {
    const run = connectedRun()
    run.call({ kind: 'setData', path: '/a', data: new Uint8Array(0x10_0000), version: -1 })
    run.call(getA)

    run.broken()

    const reasons = run.of('settled').map(({ outcome }) => outcome.kind === 'lost' && outcome.reason)
    expect(reasons).toEqual([expect.stringContaining('jute.maxbuffer'), expect.not.stringContaining('jute')])
  })

  test('what waits for a connection fails after one round through the servers, and was not applied', () => {
    const servers = ['a', 'b'].map(host => ({ host, port: 2181 }))
    const run = new MachineRun({ servers })
    run.start()
    const call = run.call(getA)

    run.broken()
    expect(run.of('settled')).toEqual([])
    run.advance(1000)
    run.broken()

    expect(run.of('settled')).toMatchObject([
      { call, outcome: { kind: 'lost', code: ErrorCode.ConnectionLoss, mayHaveBeenApplied: false } },
    ])
  })

  test('the last zxid comes from replies alone, and is shown to the next server', () => {
    const run = connectedRun()
    run.step({ kind: 'auth', call: run.nextCall(), scheme: 'digest', auth: null })
    run.call(getA)

    run.received(
      eventFrame(EventType.NodeCreated, '/x', 90),
      replyFrame(Xid.Ping, 91),
      replyFrame(Xid.Auth, 92),
      replyFrame(Xid.SetWatches, 93),
      replyFrame(1, 0, noBody, ErrorCode.NoAuth),
    )
    expect(run.machine.lastZxid).toBe(0n)

    run.call(getA)
    run.received(replyFrame(2, 17, dataBody))
    run.broken()
    run.advance(1000)
    run.take()
    run.opened()
    expect(run.sentHandshake().lastZxidSeen).toBe(17n)
  })

  test('an abandoned call that waits is not sent; one that was sent keeps its place among the replies', () => {
    const run = new MachineRun()
    run.start()
    const unsent = run.call({ kind: 'sync', path: '/' })
    run.step({ kind: 'abandon', call: unsent })
    run.connected()
    run.take()

    const sent = run.call(getA)
    const next = run.call(existsA)
    run.step({ kind: 'abandon', call: sent })
    run.received(replyFrame(1, 2, dataBody), replyFrame(2, 2, statBody))

    expect(run.sent().map(({ request }) => request.kind)).toEqual(['getData', 'exists'])
    expect(run.outcomes()).toEqual([[next, ErrorCode.Ok]])
  })

  test('one that is not answered in time fails, and the connection is given up', () => {
    const run = connectedRun({ requestTimeoutMs: 500 })
    const overdue = run.call(getA)
    run.advance(100)
    const later = run.call(existsA)
    run.advance(399)
    expect(run.outcomes()).toEqual([])

    run.advance(1)

    expect(run.of('settled').map(({ call, outcome }) => ({ call, ...outcome }))).toMatchObject([
      { call: overdue, code: ErrorCode.RequestTimeout, mayHaveBeenApplied: true },
      { call: later, code: ErrorCode.ConnectionLoss, mayHaveBeenApplied: true },
    ])
    expect(run.of('disconnect')).toHaveLength(1)
    expect(run.machine.state).toBe('disconnected')
  })

  test('one that waits too long for a connection fails, and was not applied', () => {
    const run = new MachineRun({ requestTimeoutMs: 500 })
    run.start()
    const overdue = run.call(getA)
    run.advance(100)
    const later = run.call(existsA)

    run.advance(400)
    run.connected()

    expect(run.of('settled').map(({ call, outcome }) => ({ call, ...outcome }))).toMatchObject([
      { call: overdue, code: ErrorCode.RequestTimeout, mayHaveBeenApplied: false },
    ])
    run.received(replyFrame(1, 2, statBody))
    expect(run.outcomes().at(-1)).toEqual([later, ErrorCode.Ok])
    run.advance(5000)
    expect(run.of('disconnect')).toEqual([])
  })

  test('the last answers before a close are waited for as ever', () => {
    const run = connectedRun({ requestTimeoutMs: 500 })
    const call = run.call(getA)
    run.step({ kind: 'close' })

    run.advance(1000)
    run.received(replyFrame(1, 2, dataBody), replyFrame(2, 3))

    expect(run.outcomes()).toEqual([[call, ErrorCode.Ok]])
    expect(run.machine.state).toBe('closed')
  })
})

test('the zxid of a reply may be that of the last one, and larger than 2^53', () => {
  const run = connectedRun()
  run.call(getA)
  run.call(getA)
  const big = 0x7fff_ffff_0000_0001n
  const w = new Writer()
  for (const xid of [1, 2]) {
    const start = w.beginFrame()
    w.int32(xid)
    w.int64(big)
    w.int32(ErrorCode.NoNode)
    w.endFrame(start)
  }

  run.received(w.written())

  expect(run.machine.lastZxid).toBe(zxid(big))
  expect(run.of('settled')).toHaveLength(2)
})
