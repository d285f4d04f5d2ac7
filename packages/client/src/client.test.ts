import { getEventListeners } from 'node:events'
import { ErrorCode, EventType, type ReplyBody, sessionId, Xid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { dataBody, noBody, replyFrame, someStat, statBody } from '../test/machine-run.ts'
import { aClient, aConnectedClient, ScriptedServer } from '../test/scripted-server.ts'
import {
  AuthFailedError,
  BadArgumentsError,
  BadVersionError,
  Client,
  ClientClosedError,
  type ClientOptions,
  ConnectionLossError,
  connect,
  NoNodeError,
  type ObservedEvent,
  type ObservedReply,
  openAcl,
  RequestTimeoutError,
  SessionExpiredError,
  TransactionError,
  type WatchEvent,
} from './index.ts'

const pathBody = (path: string): ReplyBody => ({ kind: 'path', path })
const pathStatBody = (path: string): ReplyBody => ({ kind: 'pathStat', path, stat: someStat })
const watchSet: ReplyBody = { kind: 'error', err: 0 }

describe('connecting', () => {
  test('makes no connection before it is asked to', () => {
    const { client, server } = aClient()

    expect(server.opened).toEqual([])
    void client.connect()
    expect(server.opened).toEqual([{ host: 'a', port: 2181 }])
  })

  test('fails with the last reason when no server answers in time, and leaves nothing behind', async () => {
    const { server } = aClient()
    const connecting = connect('a:2181', {
      transport: server,
      timers: server.clock,
      random: { u32: () => 0x8000_0000 },
      connectTimeoutMs: 5000,
    })

    server.break('connect ECONNREFUSED')
    server.clock.advance(5000)

    const error = await connecting.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ConnectionLossError)
    expect((error as Error).message).toContain('a:2181: connect ECONNREFUSED')
    expect(server.clock.pending).toBe(0)
  })

  test('begins with the first call, if nobody asked for it', async () => {
    const { client, server } = aClient()
    const call = client.exists('/x')

    server.accept()
    server.answer({ body: statBody })

    expect(await call).toEqual(someStat)
  })

  test('begins with an authentication, but not with those that it is made with', async () => {
    const { client, server } = aClient('a', { auth: [{ scheme: 'ip', auth: '' }] })
    expect(server.opened).toEqual([])
    const authenticating = client.addAuth('digest', 'u:p')

    server.accept()
    server.answer()
    server.answer()

    await expect(authenticating).resolves.toBeUndefined()
  })

  test.each<[string, ClientOptions]>([
    ['sessionTimeoutMs', { sessionTimeoutMs: 0 }],
    ['sessionTimeoutMs', { sessionTimeoutMs: Number.NaN }],
    ['sessionTimeoutMs', { sessionTimeoutMs: 2 ** 31 }],
    ['maxReconnectPauseMs', { maxReconnectPauseMs: -1 }],
    ['maxReplyBytes', { maxReplyBytes: 0.5 }],
    ['requestTimeoutMs', { requestTimeoutMs: 0 }],
    ['password', { session: { id: sessionId(1n), password: new Uint8Array(15) } }],
    ['password', { session: { id: sessionId(1n), password: 'sixteen letters!' as never } }],
    ['session.id', { session: { id: 1 as never, password: new Uint8Array(16) } }],
    ['auth', { auth: [{ scheme: 'digest', auth: 5 as never }] }],
    ['auth', { auth: { scheme: 'digest', auth: 'u:p' } as never }],
    ['auth', { auth: [null as never] }],
    ['onState', { onState: true as never }],
    ['onReply', { onReply: {} as never }],
    ['onEvent', { onEvent: 'log' as never }],
  ])('with a wrong %s is refused', (what, options) => {
    expect(() => new Client('a', options)).toThrow(BadArgumentsError)
    expect(() => new Client('a', options)).toThrow(what)
  })

  test('an authentication is told when no server answers, and made all the same when one does', async () => {
    const { client, server } = aClient()
    const authenticating = client.addAuth('digest', 'u:p')
    void client.connect()

    server.break('refused')
    await expect(authenticating).rejects.toBeInstanceOf(ConnectionLossError)
    server.clock.advance(1000)
    server.accept()

    expect(server.requests).toMatchObject([{ request: { kind: 'auth', scheme: 'digest' } }])
  })

  test('can be aborted', async () => {
    const { client } = aClient()
    const abort = new AbortController()
    const connecting = client.connect({ signal: abort.signal })

    abort.abort(new Error('enough'))

    await expect(connecting).rejects.toThrow('enough')
  })

  test('aborted before it began makes no connection', async () => {
    const { client, server } = aClient()

    await expect(client.connect({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')

    expect(server.opened).toEqual([])
  })

  test.each([Number.NaN, -1])('within %s ms is refused', async timeoutMs => {
    const { client, server } = aClient()

    await expect(client.connect({ timeoutMs })).rejects.toBeInstanceOf(BadArgumentsError)

    expect(server.opened).toEqual([])
  })

  test('an authentication is repeated as it was given, whatever becomes of the bytes', async () => {
    const { client, server } = await aConnectedClient('a', { sessionTimeoutMs: 30_000 })
    const auth = new Uint8Array([1, 2])
    void client.addAuth('digest', auth)
    server.answer()
    auth.fill(0)

    server.break()
    server.clock.advance(1000)
    server.accept()

    expect(server.requests).toMatchObject([{ request: { kind: 'auth', auth: new Uint8Array([1, 2]) } }])
  })

  test('aborted leaves no connection, timer or listener behind', async () => {
    const server = new ScriptedServer()
    const abort = new AbortController()
    const { signal } = abort
    const connecting = connect('a', { transport: server, timers: server.clock, signal })

    abort.abort(new Error('enough'))

    await expect(connecting).rejects.toThrow('enough')
    expect(server.clock.pending).toBe(0)
    expect(server.isClosed).toBe(true)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('tells of each state, and why', async () => {
    const states: string[] = []
    const { client, server } = await aConnectedClient('a', {
      onState: ({ previous, state, reason }) => states.push(`${previous} ${state} ${reason ?? ''}`),
    })
    server.break('reset')
    server.clock.advance(1)
    server.accept()
    const closing = client.close()
    server.answer()
    await closing

    expect(states).toEqual([
      'connecting connected ',
      'connected disconnected a:2181: reset',
      'disconnected connected ',
      'connected closed ',
    ])
    expect(server.clock.pending).toBe(0)
  })
})

describe('paths', () => {
  test('are put below the chroot, and taken out again', async () => {
    const { client, server } = await aConnectedClient('a/app')
    const ask = async <T>(call: Promise<T>, body: ReplyBody): Promise<[unknown, T]> => {
      const request = server.answer({ body })
      return ['path' in request ? request.path : undefined, await call]
    }

    expect(await ask(client.create('/x'), pathBody('/app/x'))).toEqual(['/app/x', '/x'])
    expect(await ask(client.create('/'), pathBody('/app'))).toEqual(['/app', '/'])
    expect(
      await ask(client.create('/', '', { mode: 'persistentSequential' }), pathBody('/app/0000000001')),
    ).toEqual(['/app/', '/0000000001'])
    expect((await ask(client.getData('/'), dataBody))[0]).toBe('/app')
    expect((await ask(client.delete('/x'), noBody))[0]).toBe('/app/x')
    expect((await ask(client.delete('/'), noBody))[0]).toBe('/')
    expect((await ask(client.getConfig(), dataBody))[0]).toBe('/zookeeper/config')
    expect(await ask(client.getEphemerals('/x'), { kind: 'ephemerals', paths: ['/app/x'] })).toEqual([
      '/x',
      ['/app/x'],
    ])
  })

  test('of events are those that the caller watches', async () => {
    const { client, server } = await aConnectedClient('a/app')
    const events: WatchEvent[] = []
    const watch = (event: WatchEvent): void => void events.push(event)
    void client.getData('/x', { watch })
    void client.getConfig({ watch })
    void client.addWatch('/', { isRecursive: true, onEvent: watch })
    server.answer({ body: dataBody })
    server.answer({ body: dataBody })
    server.answer({ body: watchSet })

    server.fire(EventType.NodeDataChanged, '/app/x', 9)
    server.fire(EventType.NodeDataChanged, '/zookeeper/config')

    expect(events).toEqual([
      { type: 'NodeDataChanged', path: '/x', zxid: 9n },
      { type: 'NodeDataChanged', path: '/x', zxid: 9n },
      { type: 'NodeDataChanged', path: '/zookeeper/config', zxid: undefined },
    ])
  })

  test.each(['', 'x', '/x/', '//x', '/./x', '/\u0000', '/\ud800'])(
    '%j is refused before it is sent',
    async path => {
      const { client, server } = await aConnectedClient()

      await expect(client.getData(path)).rejects.toBeInstanceOf(BadArgumentsError)
      await expect(client.transaction().delete(path).commit()).rejects.toBeInstanceOf(BadArgumentsError)

      expect(server.requests).toEqual([])
    },
  )

  test('of sequential znodes are judged with their number', async () => {
    const { client, server } = await aConnectedClient()

    const made = client.create('/a/', null, { mode: 'ephemeralSequential' })
    server.answer({ body: pathBody('/a/0000000000') })

    expect(await made).toBe('/a/0000000000')
    await expect(client.create('/a/', null)).rejects.toBeInstanceOf(BadArgumentsError)
  })
})

describe('the stack of an error leads to who called', () => {
  test('when the server refuses, and when the connection breaks', async () => {
    const { client, server } = await aConnectedClient()
    const makeConfig = async (): Promise<string> => await client.create('/config')
    const readConfig = async (): Promise<unknown> => await client.getData('/config')

    const refused = makeConfig()
    server.answer({ err: ErrorCode.NodeExists })
    expect(await stackOf(refused)).toMatch(/^NodeExistsError: create \/config: NodeExists\n.*makeConfig/s)
    const lost = readConfig()
    server.break()
    expect(await stackOf(lost)).toContain('readConfig')
  })

  test('when no server can be had', async () => {
    const { client, server } = aClient()
    const openConfig = async (): Promise<void> => await client.connect({ timeoutMs: 100 })

    const opening = openConfig()
    server.clock.advance(100)

    expect(await stackOf(opening)).toContain('openConfig')
  })

  async function stackOf(call: Promise<unknown>): Promise<string> {
    const error: unknown = await call.catch((error: unknown) => error)
    return error instanceof Error ? (error.stack ?? '') : 'no error'
  }
})

describe('requests', () => {
  test.each([
    ['persistent', undefined, 1, 0],
    ['persistentSequential', undefined, 1, 2],
    ['ephemeral', undefined, 1, 1],
    ['ephemeralSequential', undefined, 1, 3],
    ['container', undefined, 19, 4],
    ['persistent', 5000, undefined, 5],
    ['persistentSequential', 5000, undefined, 6],
  ] as const)('create %s with ttl %s', async (mode, ttlMs, op, flags) => {
    const { client, server } = await aConnectedClient()

    const made = client.create('/x', 'é', { mode, ttlMs })
    const body = mode === 'container' || ttlMs !== undefined ? pathStatBody('/x') : pathBody('/x')

    expect(server.answer({ body })).toMatchObject({
      kind: ttlMs === undefined ? 'create' : 'createTtl',
      ...(op === undefined ? { ttlMs } : { op }),
      flags,
      data: new Uint8Array([0xc3, 0xa9]),
      acl: [{ perms: 31, scheme: 'world', id: 'anyone' }],
    })
    expect(await made).toBe('/x')
  })

  test('a TTL on an ephemeral is refused', async () => {
    const { client } = await aConnectedClient()

    await expect(client.create('/x', '', { mode: 'ephemeral', ttlMs: 1 })).rejects.toBeInstanceOf(
      BadArgumentsError,
    )
  })

  test('no data is no bytes, null is null', async () => {
    const { client, server } = await aConnectedClient()
    void client.create('/x')
    void client.create('/x', null)

    expect(server.requests.map(({ request }) => 'data' in request && request.data)).toEqual([
      new Uint8Array(0),
      null,
    ])
  })

  test('that wait for a connection have been written: what the caller does to the bytes later is his', async () => {
    const { client, server } = aClient()
    void client.connect()
    const data = new Uint8Array([1, 2])
    void client.setData('/x', data)
    data.fill(9)
    server.accept()

    expect(server.requests).toMatchObject([{ request: { data: new Uint8Array([1, 2]) } }])
  })

  test.each<[string, (zk: Client) => Promise<unknown>]>([
    ['data', zk => zk.setData('/x', 42 as never)],
    ['data', zk => zk.setData('/x', undefined as never)],
    ['data', zk => zk.create('/x', { a: 1 } as never)],
    ['data', zk => zk.multi([{ kind: 'setData', path: '/x', data: [1] as never }])],
    ['version', zk => zk.delete('/x', { version: 1.5 })],
    ['version', zk => zk.setData('/x', '', { version: 2 ** 31 })],
    ['version', zk => zk.setAcl('/x', openAcl, { version: '1' as never })],
    ['acl', zk => zk.create('/x', '', { acl: 'world' as never })],
    ['acl', zk => zk.setAcl('/x', [{ perms: '31', scheme: 'world', id: 'anyone' } as never])],
    ['acl', zk => zk.create('/x', '', { acl: [{ perms: 31, scheme: 'world', id: 5 } as never] })],
    ['acl', zk => zk.setAcl('/x', [{ perms: 31 } as never])],
    ['prefix', zk => zk.getEphemerals(5 as never)],
    ['joining', zk => zk.reconfig({ joining: 'server.1=h' as never })],
    ['leaving', zk => zk.reconfig({ leaving: [{}] as never })],
    ['members', zk => zk.reconfig({ members: 3 as never })],
    ['fromVersion', zk => zk.reconfig({ leaving: ['1'], fromVersion: 7 as never })],
    ['kind', zk => zk.multiRead([{ kind: 'exists', path: '/x' } as never])],
    ['kind', zk => zk.multi([{ kind: 'exists', path: '/x' } as never])],
    ['operations', zk => zk.multi(null as never)],
    ['operations', zk => zk.multi([null as never])],
    ['operations', zk => zk.multiRead({ kind: 'getData', path: '/x' } as never)],
    ['operations', zk => zk.multiRead([null as never])],
    ['watch', zk => zk.getData('/x', { watch: true as never })],
    ['watch', zk => zk.exists('/x', { watch: {} as never })],
    ['watch', zk => zk.getChildren('/x', { watch: null as never })],
    ['watch', zk => zk.getChildrenWithStat('/x', { watch: 'all' as never })],
    ['watch', zk => zk.getConfig({ watch: true as never })],
    ['onEvent', zk => zk.addWatch('/x', { onEvent: {} as never })],
    ['maxQueuedEvents', zk => zk.addWatch('/x', { maxQueuedEvents: Number.NaN })],
    ['type', zk => zk.removeWatches('/x', { type: 'child' as never })],
    ['type', zk => zk.hasWatches('/x', { type: 2 as never })],
    ['acl', zk => zk.setAcl('/x', [{ perms: 2 ** 32, scheme: 'world', id: 'anyone' }])],
    ['ttlMs', zk => zk.create('/x', '', { ttlMs: Number.NaN })],
    ['mode', zk => zk.create('/x', '', { mode: 'EPHEMERAL' as never })],
    ['path', zk => zk.getData(undefined as never)],
    ['path', zk => zk.create(7 as never)],
    ['auth', zk => zk.addAuth('digest', 5 as never)],
    ['scheme', zk => zk.addAuth(undefined as never, 'u:p')],
  ])('a %s that is none is refused, and what follows is sent', async (what, call) => {
    const { client, server } = await aConnectedClient()

    const error = await call(client).catch((reason: unknown) => reason)
    void client.sync()

    expect(error).toBeInstanceOf(BadArgumentsError)
    expect((error as BadArgumentsError).message).toContain(what)
    expect(server.requests).toMatchObject([{ xid: 1, request: { kind: 'sync' } }])
  })

  test('a raw one that cannot be written rejects, and leaves nothing of it on the connection', async () => {
    const { client, server } = await aConnectedClient()
    const noLists = { joiningServers: null, leavingServers: null, newMembers: null }
    const { signal } = new AbortController()

    const asking = client.request({ kind: 'reconfig', ...noLists, configId: 5 as never }, { signal })
    void client.sync()

    await expect(asking).rejects.toBeInstanceOf(TypeError)
    expect(server.requests).toMatchObject([{ request: { kind: 'sync' } }])
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('a raw one of a listener rejects too, and the session goes on', async () => {
    const { client, server } = await aConnectedClient()
    const asked: Promise<unknown>[] = []
    void client.exists('/x', { watch: () => asked.push(client.request({ kind: 'none' } as never)) })
    server.answer({ body: statBody })

    server.fire(EventType.NodeDeleted, '/x')

    expect(asked).toHaveLength(1)
    await expect(asked[0]).rejects.toThrow('unreachable')
    expect(client.state).toBe('connected')
  })

  test('one that the server says was lost may have been applied all the same', async () => {
    const { client, server } = await aConnectedClient()
    const call = client.delete('/x')

    server.answer({ err: ErrorCode.ConnectionLoss })

    await expect(call).rejects.toMatchObject({ name: 'ConnectionLossError', mayHaveBeenApplied: true })
  })

  test('a refusal is an error of its class, with code, path, op and zxid', async () => {
    const { client, server } = await aConnectedClient('a/app')
    const call = client.setData('/x', 'y', { version: 3 })
    server.answer({ err: ErrorCode.BadVersion, zxid: 12 })

    const error = await call.catch((reason: unknown) => reason)

    expect(error).toBeInstanceOf(BadVersionError)
    expect(error).toMatchObject({
      name: 'BadVersionError',
      code: ErrorCode.BadVersion,
      codeName: 'BadVersion',
      reason: undefined,
      path: '/x',
      op: 'setData',
      zxid: 12n,
    })
  })

  test('exists of an absent znode is undefined', async () => {
    const { client, server } = await aConnectedClient()
    const calls = [client.exists('/x'), client.exists('/y')]
    server.answer({ err: ErrorCode.NoNode })
    server.answer({ body: statBody })

    expect(await Promise.all(calls)).toEqual([undefined, someStat])
  })

  test('a refused multi names the operation that failed', async () => {
    const { client, server } = await aConnectedClient('a/app')
    const call = client.transaction().create('/x').delete('/y', 2).check('/z').commit()
    const results = [0, ErrorCode.NoNode, -2].map(err => ({ kind: 'error', err }) as const)
    server.answer({ body: { kind: 'results', results }, zxid: 8 })

    const error = await call.catch((reason: unknown) => reason)

    expect(error).toBeInstanceOf(TransactionError)
    expect(error).toMatchObject({
      index: 1,
      code: ErrorCode.NoNode,
      codeName: 'NoNode',
      path: '/y',
      zxid: 8n,
      results,
    })
    expect((error as TransactionError).cause).toBeInstanceOf(NoNodeError)
  })

  test('multi results carry client paths', async () => {
    const { client, server } = await aConnectedClient('a/app')
    const call = client.multi([
      { kind: 'create', path: '/x', withStat: true },
      { kind: 'setData', path: '/x', data: null },
    ])
    const request = server.answer({
      body: {
        kind: 'results',
        results: [
          { kind: 'created', path: '/app/x' },
          { kind: 'set', stat: someStat },
        ],
      },
      zxid: 8,
    })

    expect(request).toMatchObject({
      ops: [
        { op: 15, path: '/app/x' },
        { kind: 'setData', data: null, version: -1 },
      ],
    })
    expect(await call).toEqual({
      results: [
        { kind: 'created', path: '/x' },
        { kind: 'set', stat: someStat },
      ],
      zxid: 8n,
    })
  })

  test('one that waits too long for its answer fails with an error of its own, which is a loss', async () => {
    const { client, server } = await aConnectedClient('a', { requestTimeoutMs: 500 })
    const call = client.getData('/x').catch((reason: unknown) => reason)

    server.clock.advance(500)

    const error = await call
    expect(error).toBeInstanceOf(RequestTimeoutError)
    expect(error).toBeInstanceOf(ConnectionLossError)
    expect(error).toMatchObject({ codeName: 'RequestTimeout', path: '/x', mayHaveBeenApplied: true })
    expect(server.opened).toHaveLength(2)
  })

  test('every reply is shown to the observer, before the call is settled', async () => {
    const seen: (ObservedReply | ObservedEvent | string)[] = []
    const { client, server } = await aConnectedClient('a', {
      onReply: reply => seen.push(reply),
      onEvent: event => seen.push(event),
    })
    const call = client.delete('/x').then(zxid => seen.push(`deleted at ${zxid}`))
    server.fire(EventType.NodeDeleted, '/x', 7)
    server.answer({ zxid: 7 })
    await call
    const failing = client.getData('/x').catch(() => undefined)
    server.answer({ err: ErrorCode.NoNode, zxid: 7 })
    await failing

    expect(seen).toMatchObject([
      { type: EventType.NodeDeleted, path: '/x', zxid: 7n },
      { request: { kind: 'delete', path: '/x' }, xid: 1, zxid: 7n, err: 0 },
      'deleted at 7',
      { request: { kind: 'getData' }, xid: 2, zxid: 7n, err: ErrorCode.NoNode },
    ])
  })
})

describe('the end', () => {
  test('of an expired session refuses every call', async () => {
    const { client, server } = await aConnectedClient()
    server.break()
    server.clock.advance(1)
    server.accept({ timeoutMs: 0 })

    await expect(client.getData('/x')).rejects.toBeInstanceOf(SessionExpiredError)
    await expect(client.connect()).rejects.toBeInstanceOf(SessionExpiredError)
    await client.close()
    expect(client.state).toBe('expired')
  })

  test('closing twice, or before connecting, is fine', async () => {
    const { client } = aClient()
    await Promise.all([client.close(), client.close()])
    await client.close()

    await expect(client.create('/x')).rejects.toBeInstanceOf(ClientClosedError)
    await expect(client.addAuth('digest', 'u:p')).rejects.toBeInstanceOf(ClientClosedError)
  })

  test('await using closes', async () => {
    const { client, server } = await aConnectedClient()
    {
      await using _closing = client
      queueMicrotask(() => server.answer())
    }
    expect(client.state).toBe('closed')
  })

  test('comes with a refused authentication', async () => {
    const { client, server } = aClient('a', { auth: [{ scheme: 'digest', auth: 'u:p' }] })
    const connecting = client.connect()
    server.accept()
    await connecting
    const call = client.getData('/x')
    expect(server.requests.map(({ request }) => request.kind)).toEqual(['auth', 'getData'])

    server.push(replyFrame(Xid.Auth, 0, { kind: 'none' }, ErrorCode.AuthFailed))

    await expect(call).rejects.toBeInstanceOf(AuthFailedError)
    expect(client.state).toBe('authFailed')
  })
})
