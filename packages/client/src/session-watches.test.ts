import { ErrorCode, EventType, WatcherType, Xid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import {
  addWatchA,
  addWatchBody,
  connectedRun,
  dataBody,
  eventFrame,
  existsA,
  MachineRun,
  noBody,
  replyFrame,
  statBody,
  watchA,
} from '../test/machine-run.ts'

describe('watches', () => {
  const fired = (run: MachineRun): unknown[] =>
    run.of('fired').map(({ type, path, watchers }) => [type, path, watchers])

  test('wait from the reply on, and fire once', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.received(eventFrame(EventType.NodeDataChanged, '/a'))
    expect(fired(run)).toEqual([[EventType.NodeDataChanged, '/a', []]])
    run.take()

    run.received(replyFrame(1, 3, dataBody))
    run.received(
      eventFrame(EventType.NodeDataChanged, '/a', 4),
      eventFrame(EventType.NodeDataChanged, '/a', 5),
    )

    expect(fired(run)).toEqual([
      [EventType.NodeDataChanged, '/a', [1]],
      [EventType.NodeDataChanged, '/a', []],
    ])
    expect(run.of('fired')[0]?.zxid).toBe(4n)
  })

  test('of an absent znode wait with exists and addWatch, not with getData', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.call(existsA, { kind: 'data', watcher: 2 })
    run.call(addWatchA, { kind: 'persistent', watcher: 3 })
    run.received(...[1, 2, 3].map(xid => replyFrame(xid, 3, noBody, ErrorCode.NoNode)))
    expect(run.of('settled').map(({ outcome }) => outcome.kind === 'reply' && outcome.watches)).toEqual([
      'none',
      'set',
      'set',
    ])

    run.received(eventFrame(EventType.NodeCreated, '/a'))

    expect(fired(run)).toEqual([[EventType.NodeCreated, '/a', [2, 3]]])
  })

  test('are set again on a new connection, relative to the last zxid seen', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.call({ kind: 'exists', path: '/e', watch: true }, { kind: 'data', watcher: 2 })
    run.call({ kind: 'getChildren', path: '/c', watch: true }, { kind: 'child', watcher: 3 })
    run.received(
      replyFrame(1, 8, dataBody),
      replyFrame(2, 9, noBody, ErrorCode.NoNode),
      replyFrame(3, 9, { kind: 'children', children: [] }),
    )

    run.reconnected()

    expect(run.sent().at(-1)).toEqual({
      xid: Xid.SetWatches,
      op: 101,
      request: { kind: 'setWatches', relativeZxid: 9n, data: ['/a'], exist: ['/e'], child: ['/c'] },
    })
  })

  test('a server that does not set them again is left', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 5 })
    run.received(replyFrame(1, 1, dataBody))
    run.reconnected()
    run.take()

    run.received(replyFrame(Xid.SetWatches, 1, noBody, ErrorCode.MarshallingError))

    expect(run.machine.state).toBe('disconnected')
    expect(run.machine.lastFailure).toContain('watches')
  })

  test('end with their connection if that is wanted', () => {
    const run = connectedRun({ restoresWatches: false })
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.received(replyFrame(1, 1, dataBody))

    run.reconnected()

    expect(run.sent()).toEqual([])
    run.received(eventFrame(EventType.NodeDeleted, '/a'))
    expect(fired(run)).toEqual([[EventType.NodeDeleted, '/a', []]])
  })

  test('persistent ones need setWatches2', () => {
    const run = connectedRun()
    run.call(addWatchA, { kind: 'persistent', watcher: 1 })
    run.call({ kind: 'addWatch', path: '/r', mode: 1 }, { kind: 'recursive', watcher: 2 })
    run.received(replyFrame(1, 1, addWatchBody), replyFrame(2, 1, addWatchBody))

    run.reconnected()

    expect(run.sent().at(-1)).toMatchObject({
      op: 105,
      request: { persistent: { plain: ['/a'], recursive: ['/r'] } },
    })
  })

  test('an addWatch that nobody waits for any more is taken back', () => {
    const run = connectedRun()
    const call = run.call(addWatchA, { kind: 'persistent', watcher: 1 })
    run.step({ kind: 'abandon', call })
    run.take()

    run.received(replyFrame(1, 1, addWatchBody))

    expect(run.sent().map(({ request }) => request)).toEqual([
      { kind: 'removeWatches', path: '/a', type: WatcherType.Persistent },
    ])
    run.received(replyFrame(2, 1), eventFrame(EventType.NodeDataChanged, '/a'))
    expect(fired(run)).toEqual([[EventType.NodeDataChanged, '/a', []]])
  })

  test('the last watcher to leave takes the watch away at the server', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.call(existsA, { kind: 'data', watcher: 2 })
    run.received(replyFrame(1, 1, dataBody), replyFrame(2, 1, statBody))
    run.take()
    const leave = (watcher: number): void => {
      const call = run.nextCall()
      run.step({ kind: 'unwatch', call, watcher, path: '/a', type: WatcherType.Data })
    }

    leave(1)
    expect(run.sent()).toEqual([])
    expect(run.of('settled').map(({ outcome }) => outcome.kind)).toEqual(['done'])
    leave(2)

    expect(run.sent().map(({ request }) => request)).toEqual([
      { kind: 'removeWatches', path: '/a', type: WatcherType.Data },
    ])
  })

  test('a one-shot watch stays at the server while a persistent one is there, which older servers take for it', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.call(addWatchA, { kind: 'persistent', watcher: 2 })
    run.received(replyFrame(1, 1, dataBody), replyFrame(2, 1, addWatchBody))
    run.take()

    run.step({ kind: 'unwatch', call: run.nextCall(), watcher: 1, path: '/a', type: WatcherType.Data })

    expect(run.sent()).toEqual([])
    run.received(eventFrame(EventType.NodeDataChanged, '/a'))
    expect(fired(run)).toEqual([[EventType.NodeDataChanged, '/a', [2]]])
  })

  test('a registration that was abandoned before it was sent keeps no watch at the server', () => {
    const run = new MachineRun()
    run.start()
    const call = run.call(watchA, { kind: 'data', watcher: 1 })
    run.step({ kind: 'abandon', call })
    run.connected()
    run.call(watchA, { kind: 'data', watcher: 2 })
    run.received(replyFrame(1, 1, dataBody))
    run.take()

    run.step({ kind: 'unwatch', call: run.nextCall(), watcher: 2, path: '/a', type: WatcherType.Data })

    expect(run.sent().map(({ request }) => request.kind)).toEqual(['removeWatches'])
  })

  test('a watcher that leaves does not undo the registration of one that is coming', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.received(replyFrame(1, 1, dataBody))
    run.call(watchA, { kind: 'data', watcher: 2 })
    run.take()

    run.step({ kind: 'unwatch', call: run.nextCall(), watcher: 1, path: '/a', type: WatcherType.Data })
    run.received(replyFrame(2, 1, dataBody), eventFrame(EventType.NodeDataChanged, '/a'))

    expect(run.sent()).toEqual([])
    expect(fired(run)).toEqual([[EventType.NodeDataChanged, '/a', [2]]])
  })

  test('a watcher that leaves before its reply is never told', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.step({ kind: 'unwatch', call: run.nextCall(), watcher: 1, path: '/a', type: WatcherType.Data })

    run.received(replyFrame(1, 1, dataBody), replyFrame(2, 1), eventFrame(EventType.NodeDataChanged, '/a'))

    expect(run.sent().map(({ request }) => request.kind)).toEqual(['getData', 'removeWatches'])
    expect(fired(run)).toEqual([[EventType.NodeDataChanged, '/a', []]])
  })

  test('removed ones are told so, before a later registration counts', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.call({ kind: 'removeWatches', path: '/a', type: WatcherType.Any })
    run.call(watchA, { kind: 'data', watcher: 2 })

    run.received(replyFrame(1, 1, dataBody), replyFrame(2, 1), replyFrame(3, 1, dataBody))
    run.received(eventFrame(EventType.NodeDeleted, '/a'))

    expect(fired(run)).toEqual([
      [EventType.DataWatchRemoved, '/a', [1]],
      [EventType.NodeDeleted, '/a', [2]],
    ])
  })

  test('can be forgotten without a server', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.received(replyFrame(1, 1, dataBody))
    run.broken()
    run.take()

    const call = run.nextCall()
    run.step({ kind: 'forgetWatches', call, path: '/a', type: WatcherType.Data })

    expect(fired(run)).toEqual([[EventType.DataWatchRemoved, '/a', [1]]])
    run.advance(1000)
    run.connected()
    expect(run.frames()).toHaveLength(1)
  })
})
