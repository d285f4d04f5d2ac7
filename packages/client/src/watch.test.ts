import { ErrorCode, EventType, type ReplyBody, WatcherType } from '@corral/protocol'
import { describe, expect, test, vi } from 'vitest'
import { dataBody, someStat, statBody } from '../test/machine-run.ts'
import { aConnectedClient } from '../test/scripted-server.ts'
import {
  ClientClosedError,
  ConnectionLossError,
  NoWatcherError,
  PersistentWatch,
  SessionExpiredError,
  Watch,
  WatchOverflowError,
} from './index.ts'

const watchSet: ReplyBody = { kind: 'error', err: 0 }
/** Until all that follows from settled promises has run. */
const microtasks = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('watches', () => {
  test('can be awaited', async () => {
    const { client, server } = await aConnectedClient()
    const watch = new Watch()
    const call = client.getChildren('/x', { watch })
    server.answer({ body: { kind: 'children', children: [] } })
    await call

    server.fire(EventType.NodeChildrenChanged, '/x', 3)

    expect(await watch.fired).toEqual({ type: 'NodeChildrenChanged', path: '/x', zxid: 3n })
  })

  test.each([
    ['expired', SessionExpiredError],
    ['closed', ClientClosedError],
  ])('end when the session is %s', async (end, errorClass) => {
    const { client, server } = await aConnectedClient()
    const watch = new Watch()
    void client.exists('/x', { watch })
    server.answer({ err: ErrorCode.NoNode })

    if (end === 'closed') {
      const closing = client.close()
      server.answer()
      await closing
    } else {
      server.break()
      server.clock.advance(1)
      server.accept({ timeoutMs: 0 })
    }

    await expect(watch.fired).rejects.toBeInstanceOf(errorClass)
  })

  test('of a call that failed are not set', async () => {
    const { client, server } = await aConnectedClient()
    const watch = vi.fn()
    const call = client.getData('/x', { watch }).catch(() => undefined)
    server.answer({ err: ErrorCode.NoNode })
    await call

    server.fire(EventType.NodeCreated, '/x')
    await client.unwatch(watch)

    expect(watch).not.toHaveBeenCalled()
    expect(server.requests).toEqual([])
  })

  test('whose listener throws do not harm the others', async () => {
    const { client, server } = await aConnectedClient()
    const thrown: unknown[] = []
    const original = globalThis.queueMicrotask
    const heard = vi.fn()
    globalThis.queueMicrotask = task => {
      original(() => {
        try {
          task()
        } catch (error) {
          thrown.push(error)
        }
      })
    }
    try {
      void client.getData('/x', {
        watch: () => {
          throw new Error('my mistake')
        },
      })
      void client.getData('/x', { watch: heard })
      server.answer({ body: dataBody })
      server.answer({ body: dataBody })
      server.fire(EventType.NodeDataChanged, '/x')
      await Promise.resolve()
    } finally {
      globalThis.queueMicrotask = original
    }

    expect(heard).toHaveBeenCalledOnce()
    expect(thrown).toMatchObject([{ message: 'my mistake' }])
  })

  test('a listener may make calls', async () => {
    const { client, server } = await aConnectedClient()
    const results: unknown[] = []
    void client.getData('/x', { watch: () => void client.exists('/y').then(stat => results.push(stat)) })
    server.answer({ body: dataBody })
    server.fire(EventType.NodeDataChanged, '/x')

    expect(server.answer({ body: statBody })).toMatchObject({ kind: 'exists', path: '/y' })
    await microtasks()
    expect(results).toEqual([someStat])
  })

  test('persistent ones are iterated from the moment they are set', async () => {
    const { client, server } = await aConnectedClient()
    const adding = client.addWatch('/x')
    server.answer({ body: watchSet })
    server.fire(EventType.NodeCreated, '/x', 2)
    server.fire(EventType.NodeDataChanged, '/x', 3)
    const watch = await adding

    const types: string[] = []
    for await (const event of watch) {
      types.push(event.type)
      if (types.length === 2) {
        server.break()
        server.clock.advance(1)
        server.accept()
      }
      if (event.type !== 'Resumed') continue
      const closing = watch.close()
      server.requests.shift() // setWatches2
      server.answer()
      await closing
    }

    expect(types).toEqual(['NodeCreated', 'NodeDataChanged', 'Resumed'])
  })

  test('a persistent one that was not set yet has nothing to resume', async () => {
    const { client, server } = await aConnectedClient()
    const events: string[] = []
    server.break()
    void client.addWatch('/x', { onEvent: event => void events.push(event.type) })
    server.clock.advance(1)
    server.accept()
    server.answer({ body: watchSet })
    server.fire(EventType.NodeCreated, '/x')

    expect(events).toEqual(['NodeCreated'])
  })

  test('persistent ones throw on expiry, and end quietly on close', async () => {
    const { client, server } = await aConnectedClient()
    const adding = [client.addWatch('/x'), client.addWatch('/y')]
    server.answer({ body: watchSet })
    server.answer({ body: watchSet })
    const [closed, expired] = await Promise.all(adding)
    const next = [closed, expired].map(watch => watch?.[Symbol.asyncIterator]().next())

    void closed?.close()
    server.break()
    server.clock.advance(1)
    server.accept({ timeoutMs: 0 })

    expect(await next[0]).toEqual({ value: undefined, done: true })
    await expect(next[1]).rejects.toBeInstanceOf(SessionExpiredError)
  })

  test('persistent ones do not gather events without end', async () => {
    const { client, server } = await aConnectedClient()
    const adding = client.addWatch('/x', { maxQueuedEvents: 2 })
    server.answer({ body: watchSet })
    const watch = await adding

    for (let i = 0; i < 3; i++) server.fire(EventType.NodeDataChanged, '/x')

    await expect(watch[Symbol.asyncIterator]().next()).rejects.toBeInstanceOf(WatchOverflowError)
    expect(server.answer()).toEqual({ kind: 'removeWatches', path: '/x', type: WatcherType.Persistent })
  })

  test('persistent ones of old servers are removed with everything at the path', async () => {
    const { client, server } = await aConnectedClient()
    const adding = client.addWatch('/x')
    server.answer({ body: watchSet })
    const watch = await adding

    const closing = watch.close()
    server.answer({ err: ErrorCode.MarshallingError })
    await microtasks()
    expect(server.answer()).toEqual({ kind: 'removeWatches', path: '/x', type: WatcherType.Any })

    await closing
  })

  test('a persistent one that is removed has ended, even if its listener throws at that', async () => {
    const watch = new PersistentWatch({
      path: '/x',
      isRecursive: false,
      maxQueuedEvents: 1,
      onEvent: () => {
        throw new Error('my mistake')
      },
      close: () => Promise.resolve(),
    })
    const next = watch[Symbol.asyncIterator]().next()

    expect(() => watch.onWatchEvent({ type: 'PersistentWatchRemoved', path: '/x', zxid: undefined })).toThrow(
      'my mistake',
    )

    expect(await next).toEqual({ done: true, value: undefined })
  })

  test('a persistent one that leaves has ended, as if it had been closed', async () => {
    const { client, server } = await aConnectedClient()
    const adding = client.addWatch('/x')
    server.answer({ body: watchSet })
    const watch = await adding
    const next = watch[Symbol.asyncIterator]().next()

    const leaving = client.unwatch(watch)
    expect(server.answer()).toMatchObject({ kind: 'removeWatches', path: '/x' })

    await leaving
    expect(await next).toEqual({ done: true, value: undefined })
  })

  test('can be removed here when the server is gone', async () => {
    const { client, server } = await aConnectedClient()
    const events: string[] = []
    void client.getData('/x', { watch: event => void events.push(event.type) })
    server.answer({ body: dataBody })
    const removing = [client.removeWatches('/x', { isLocal: true }), client.removeWatches('/x')]

    server.break()

    await expect(removing[0]).resolves.toBeUndefined()
    await expect(removing[1]).rejects.toMatchObject({ mayHaveBeenApplied: true })
    expect(events).toEqual(['DataWatchRemoved'])
  })

  test('can be removed here whatever the server answers', async () => {
    const { client, server } = await aConnectedClient()
    const watch = new Watch()
    void client.getChildren('/x', { watch })
    server.answer({ body: { kind: 'children', children: [] } })
    const strict = client.removeWatches('/x')
    const local = client.removeWatches('/x', { isLocal: true })

    server.answer({ err: ErrorCode.NoWatcher })
    server.answer({ err: ErrorCode.NoWatcher })

    await expect(strict).rejects.toBeInstanceOf(NoWatcherError)
    await expect(local).resolves.toBeUndefined()
    expect(await watch.fired).toMatchObject({ type: 'ChildWatchRemoved', path: '/x' })
  })

  test('that nobody has cannot be removed, whatever the server found', async () => {
    const { client, server } = await aConnectedClient('a/app')
    const removing = [client.removeWatches('/x'), client.removeWatches('/x', { isLocal: true })]

    server.answer()
    server.break()

    const noWatcher = { name: 'NoWatcherError', path: '/x', op: 'removeWatches' }
    await expect(removing[0]).rejects.toMatchObject(noWatcher)
    await expect(removing[1]).rejects.toMatchObject(noWatcher)
  })

  test('are not removed here after the session, which has ended them', async () => {
    const { client, server } = await aConnectedClient()
    void client.close()
    server.answer()

    await expect(client.removeWatches('/x', { isLocal: true })).rejects.toBeInstanceOf(ClientClosedError)
  })

  test('end with their connection where they are not to be restored, but for those still to be set', async () => {
    const { client, server } = await aConnectedClient('a', { restoresWatches: false })
    const [set, toBeSet] = [new Watch(), new Watch()]
    client.onState(({ state }) => {
      if (state === 'disconnected') void client.exists('/x', { watch: toBeSet }).catch(() => undefined)
    })
    void client.exists('/x', { watch: set })
    server.answer({ body: statBody })

    server.break()
    await expect(set.fired).rejects.toBeInstanceOf(ConnectionLossError)
    server.clock.advance(1000)
    server.accept()

    expect(server.answer({ body: statBody })).toMatchObject({ kind: 'exists', path: '/x' })
    server.fire(EventType.NodeDeleted, '/x')
    expect(await toBeSet.fired).toMatchObject({ type: 'NodeDeleted' })
  })
})
