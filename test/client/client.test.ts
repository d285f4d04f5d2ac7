/** The client against real servers: the same tests for Apache ZooKeeper and for Corral. */
import {
  BadVersionError,
  type Client,
  type ClientOptions,
  ConnectionLossError,
  connect,
  creatorAllAcl,
  NoAuthError,
  NodeExistsError,
  NoNodeError,
  NotEmptyError,
  NoWatcherError,
  type ObservedEvent,
  type ObservedReply,
  Perm,
  RequestTimeoutError,
  readAcl,
  SessionExpiredError,
  type SessionState,
  TransactionError,
  Watch,
} from '@corral/client'
import { decodeUtf8 } from '@corral/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startCorral } from '../interop/corral-server.ts'
import type { InteropServer } from '../interop/interop-server.ts'
import { startJavaServer } from '../interop/java-server.ts'
import { describeWith, java, javaZooKeeper } from '../interop/software.ts'
import { CuttableProxy } from './cuttable-proxy.ts'

/** Longer than any test: no pause of the machine ends such a session. */
const longTimeoutMs = 60_000
/** Where a test waits until two thirds of it are over, or four: no machine keeps a process from working for so long. */
const shortTimeoutMs = 6_000

const anyOf = (...states: readonly SessionState[]) => ({
  of: (zk: Client): Promise<SessionState> =>
    new Promise(resolve => {
      if (states.includes(zk.state)) return resolve(zk.state)
      const stop = zk.onState(({ state }) => {
        if (!states.includes(state)) return
        stop()
        resolve(state)
      })
    }),
})

describeWith([java, javaZooKeeper], 'the client with Apache ZooKeeper', () => {
  suite(() => startJavaServer({ tickTimeMs: 200, maxSessionTimeoutMs: longTimeoutMs }))
})

describe('the client with Corral', () => {
  suite(() => startCorral({ tickTimeMs: 200, maxSessionTimeoutMs: longTimeoutMs }))
})

function suite(start: () => Promise<InteropServer>): void {
  let server: InteropServer
  let root: Client
  /** A chroot of its own for each test. */
  let chroot = ''
  const clients: Client[] = []
  const proxies: CuttableProxy[] = []

  beforeAll(async () => {
    server = await start()
    root = await connect(`127.0.0.1:${server.port}`, { sessionTimeoutMs: longTimeoutMs })
  })

  afterAll(async () => {
    await root.close()
    await server.stop()
  })

  beforeEach(async () => {
    chroot = await root.create('/test-', '', { mode: 'persistentSequential' })
    return async () => {
      await Promise.all(clients.splice(0).map(client => client.close()))
      await Promise.all(proxies.splice(0).map(proxy => proxy.close()))
    }
  })

  async function open(options: ClientOptions & { readonly port?: number } = {}): Promise<Client> {
    const client = await connect(`127.0.0.1:${options.port ?? server.port}${chroot}`, {
      sessionTimeoutMs: longTimeoutMs,
      maxReconnectPauseMs: 20,
      ...options,
    })
    clients.push(client)
    return client
  }

  /** A client whose connection can be broken. */
  async function openBehindProxy(
    options: ClientOptions = {},
  ): Promise<{ readonly zk: Client; readonly proxy: CuttableProxy }> {
    const proxy = await CuttableProxy.to(server.port)
    proxies.push(proxy)
    const zk = await open({ ...options, port: proxy.port })
    return { zk, proxy }
  }

  test('creates, reads, changes, deletes', async () => {
    const zk = await open()

    expect(await zk.create('/a', 'one')).toBe('/a')
    const { data, stat, zxid } = await zk.getData('/a')
    expect(decodeUtf8(data ?? new Uint8Array(0))).toBe('one')
    expect(data?.constructor).toBe(Uint8Array)
    expect(zxid).toBeGreaterThanOrEqual(stat.czxid)
    expect(await zk.exists('/a')).toEqual(stat)

    const changed = await zk.setData('/a', new Uint8Array([1, 2]), { version: 0 })
    expect(changed).toMatchObject({ version: 1, dataLength: 2, czxid: stat.czxid })
    expect(changed.mzxid).toBeGreaterThan(stat.mzxid)

    const made = await zk.createWithStat('/a/b')
    expect(made).toMatchObject({ path: '/a/b', zxid: made.stat.czxid })
    expect(await zk.getChildren('/')).toEqual(['a'])
    expect(await zk.getChildrenWithStat('/a')).toMatchObject({ children: ['b'], stat: { numChildren: 1 } })
    expect(await zk.getAllChildrenNumber('/')).toBe(2)

    const deleted = await zk.delete('/a/b')
    expect(deleted).toBeGreaterThan(made.zxid)
    expect(await zk.sync()).toBeGreaterThanOrEqual(deleted)
    expect(await zk.exists('/a/b')).toBeUndefined()
  })

  test('tells null from no bytes', async () => {
    const zk = await open()
    await zk.create('/null', null)
    await zk.create('/empty')

    expect([(await zk.getData('/null')).data, (await zk.getData('/empty')).data]).toEqual([
      null,
      new Uint8Array(0),
    ])
  })

  test('makes every kind of znode', async () => {
    const zk = await open()
    const sequential = [
      await zk.create('/s-', '', { mode: 'persistentSequential' }),
      await zk.create('/s-', '', { mode: 'ephemeralSequential' }),
    ]
    await zk.create('/e', '', { mode: 'ephemeral' })
    await zk.create('/c', '', { mode: 'container' })
    await zk.create('/t', '', { ttlMs: 60_000 })
    const ttl = await zk.create('/t-', '', { mode: 'persistentSequential', ttlMs: 60_000 })

    expect(sequential).toEqual(['/s-0000000000', '/s-0000000001'])
    expect(ttl).toBe('/t-0000000005')
    expect((await zk.exists('/e'))?.ephemeralOwner).toBe(zk.sessionId)
    expect([...(await zk.getEphemerals(chroot))].sort()).toEqual([`${chroot}/e`, `${chroot}/s-0000000001`])
  })

  test('refuses with the right errors', async () => {
    const zk = await open()
    await zk.create('/a')
    await zk.create('/a/b')

    await expect(zk.create('/a')).rejects.toBeInstanceOf(NodeExistsError)
    await expect(zk.create('/x/y')).rejects.toBeInstanceOf(NoNodeError)
    await expect(zk.getData('/x')).rejects.toMatchObject({ path: '/x', op: 'getData' })
    await expect(zk.setData('/a', '', { version: 7 })).rejects.toBeInstanceOf(BadVersionError)
    await expect(zk.delete('/a')).rejects.toBeInstanceOf(NotEmptyError)
    await expect(zk.removeWatches('/a')).rejects.toBeInstanceOf(NoWatcherError)
  })

  test('answers calls in the order they were made, however many', async () => {
    const zk = await open()
    await zk.create('/n', '')
    const seen: number[] = []
    const calls: Promise<unknown>[] = []
    for (let i = 0; i < 3000; i++) {
      calls.push(zk.setData('/n', String(i)).then(stat => seen.push(stat.version)))
      calls.push(
        zk.getData('/n').then(({ data }) => seen.push(Number(decodeUtf8(data ?? new Uint8Array(0))))),
      )
    }
    await Promise.all(calls)

    expect(seen).toEqual(Array.from({ length: 6000 }, (_, i) => (i % 2 === 0 ? i / 2 + 1 : (i - 1) / 2)))
  })

  test('takes replies larger than any request may be', async () => {
    const zk = await open()
    const names = Array.from({ length: 8000 }, (_, i) => `${'n'.repeat(200)}${i}`)
    for (let i = 0; i < names.length; i += 500) {
      await zk.multi(names.slice(i, i + 500).map(name => ({ kind: 'create', path: `/${name}` })))
    }

    expect([...(await zk.getChildren('/'))].sort()).toEqual([...names].sort())
  })

  test('does all of a multi, or nothing', async () => {
    const zk = await open()
    const { results, zxid } = await zk
      .transaction()
      .create('/m', '1')
      .create('/m/s-', '', { mode: 'ephemeralSequential' })
      .setData('/m', '2', 0)
      .check('/m', 1)
      .delete('/m/s-0000000000')
      .commit()

    expect(results).toMatchObject([
      { kind: 'created', path: '/m' },
      { kind: 'created', path: '/m/s-0000000000' },
      { kind: 'set', stat: { version: 1, mzxid: zxid } },
      { kind: 'checked' },
      { kind: 'deleted' },
    ])
    const refused = await zk
      .transaction()
      .setData('/m', '3')
      .create('/m')
      .commit()
      .catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(TransactionError)
    expect(refused).toMatchObject({ index: 1, path: '/m', cause: { name: 'NodeExistsError' } })
    expect(
      await zk.multiRead([
        { kind: 'getData', path: '/m' },
        { kind: 'getChildren', path: '/x' },
      ]),
    ).toMatchObject({
      results: [
        { kind: 'data', stat: { version: 1 } },
        { kind: 'error', err: -101 },
      ],
    })
  })

  test('authenticates, again on each connection, and sees ACLs obeyed', async () => {
    const { zk, proxy } = await openBehindProxy({ auth: [{ scheme: 'digest', auth: 'u:p' }] })
    await zk.create('/mine', 'secret', { acl: creatorAllAcl })
    const stranger = await open()

    await expect(stranger.getData('/mine')).rejects.toBeInstanceOf(NoAuthError)
    await expect(stranger.addAuth('nope', 'x')).rejects.toMatchObject({ name: 'AuthFailedError' })
    proxy.cut()
    await anyOf('disconnected').of(zk)
    proxy.mend()
    await zk.connect()
    expect((await zk.whoAmI()).map(({ scheme, user }) => [scheme, user])).toContainEqual(['digest', 'u'])
    expect((await zk.getAcl('/mine')).acl).toEqual([
      { perms: Perm.All, scheme: 'digest', id: 'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=' },
    ])
    expect(await zk.setAcl('/mine', readAcl, { version: 0 })).toMatchObject({ aversion: 1 })
    await expect(zk.setData('/mine', '')).rejects.toBeInstanceOf(NoAuthError)
  })

  test('one-shot watches fire once, before the reply that shows the change', async () => {
    const zk = await open()
    const order: string[] = []
    await zk.create('/w')
    const watches = { data: new Watch(), child: new Watch(), absent: new Watch() }
    await zk.getData('/w', { watch: watches.data })
    await zk.getChildren('/w', { watch: watches.child })
    expect(await zk.exists('/w/c', { watch: watches.absent })).toBeUndefined()
    await zk.getData('/w', { watch: event => void order.push(event.type) })

    await zk.setData('/w', 'x').then(() => order.push('reply'))
    await zk.setData('/w', 'y')
    await zk.create('/w/c')

    expect(order).toEqual(['NodeDataChanged', 'reply'])
    expect(await Promise.all([watches.data.fired, watches.child.fired, watches.absent.fired])).toMatchObject([
      { type: 'NodeDataChanged', path: '/w' },
      { type: 'NodeChildrenChanged', path: '/w' },
      { type: 'NodeCreated', path: '/w/c' },
    ])
  })

  test('persistent and recursive watches hear of everything, and can be closed', async () => {
    const zk = await open()
    await zk.create('/w')
    const plain = await zk.addWatch('/w')
    const recursive = await zk.addWatch('/', { isRecursive: true })
    await zk.create('/w/c')
    await zk.setData('/w/c', 'x')
    await zk.setData('/w', 'x')
    await zk.delete('/w/c')
    const take = async (watch: typeof plain, count: number): Promise<string[]> => {
      const taken: string[] = []
      for await (const { type, path } of watch) {
        taken.push(`${type} ${path}`)
        if (taken.length === count) break
      }
      return taken
    }

    expect(await take(plain, 3)).toEqual([
      'NodeChildrenChanged /w',
      'NodeDataChanged /w',
      'NodeChildrenChanged /w',
    ])
    expect(await take(recursive, 4)).toEqual([
      'NodeCreated /w/c',
      'NodeDataChanged /w/c',
      'NodeDataChanged /w',
      'NodeDeleted /w/c',
    ])
    await Promise.all([plain.close(), recursive.close()])
    expect([await zk.hasWatches('/w'), await zk.hasWatches('/')]).toEqual([false, false])
  })

  test('a watch that is taken back is gone at the server too', async () => {
    const zk = await open()
    await zk.create('/w')
    const [first, second] = [new Watch(), new Watch()]
    await zk.getData('/w', { watch: first })
    await zk.exists('/w', { watch: second })

    await zk.unwatch(first)
    expect(await zk.hasWatches('/w', { type: 'data' })).toBe(true)
    await zk.unwatch(second)
    expect(await zk.hasWatches('/w', { type: 'data' })).toBe(false)

    await zk.getChildren('/w', { watch: first })
    await zk.removeWatches('/w', { type: 'children' })
    expect(await first.fired).toMatchObject({ type: 'ChildWatchRemoved', path: '/w' })
  })

  test('a one-shot watch that is taken back leaves a persistent one where it is', async () => {
    const zk = await open()
    await zk.create('/w')
    const events = (await zk.addWatch('/w'))[Symbol.asyncIterator]()
    const oneShot = new Watch()
    await zk.getData('/w', { watch: oneShot })

    await zk.unwatch(oneShot)
    await zk.setData('/w', 'x')

    expect((await events.next()).value).toMatchObject({ type: 'NodeDataChanged', path: '/w' })
  })

  test('a broken connection is replaced: session, ephemerals and watches live on', async () => {
    const { zk, proxy } = await openBehindProxy()
    const { sessionId } = zk
    await zk.create('/e', '', { mode: 'ephemeral' })
    await zk.create('/w')
    await zk.create('/gone')
    const missed = { data: new Watch(), gone: new Watch(), created: new Watch(), kept: new Watch() }
    await zk.getData('/w', { watch: missed.data })
    await zk.getData('/gone', { watch: missed.gone })
    await zk.exists('/new', { watch: missed.created })
    await zk.getChildren('/w', { watch: missed.kept })
    const events = (await zk.addWatch('/p'))[Symbol.asyncIterator]()

    proxy.cut()
    await anyOf('disconnected').of(zk)
    const other = await open()
    await other.setData('/w', 'x')
    await other.delete('/gone')
    await other.create('/new')
    proxy.mend()
    await zk.connect()

    expect(zk.sessionId).toBe(sessionId)
    expect((await zk.exists('/e'))?.ephemeralOwner).toBe(sessionId)
    expect((await events.next()).value).toMatchObject({ type: 'Resumed', path: '/p' })
    expect(await Promise.all([missed.data.fired, missed.gone.fired, missed.created.fired])).toMatchObject([
      { type: 'NodeDataChanged', path: '/w' },
      { type: 'NodeDeleted', path: '/gone' },
      { type: 'NodeCreated', path: '/new' },
    ])
    await other.create('/w/c')
    await other.create('/p')
    expect(await missed.kept.fired).toMatchObject({ type: 'NodeChildrenChanged', path: '/w' })
    expect((await events.next()).value).toMatchObject({ type: 'NodeCreated', path: '/p' })
  })

  test('calls on a broken connection are lost, and say that they may have happened', async () => {
    const { zk, proxy } = await openBehindProxy()
    await zk.create('/a')
    proxy.silence()
    const call = zk.create('/b').catch((error: unknown) => error)
    const other = await open()
    await other.sync()

    proxy.cut()
    const error = await call
    expect(error).toBeInstanceOf(ConnectionLossError)
    expect(error).toMatchObject({ mayHaveBeenApplied: true, path: '/b', op: 'create' })
    const queued = await zk.create('/c').catch((reason: unknown) => reason)
    expect(queued).toMatchObject({ mayHaveBeenApplied: false })

    proxy.mend()
    await zk.connect()
    expect(await zk.exists('/c')).toBeUndefined()
  })

  test('a call that is not answered in time is given up with its connection, and the session goes on', async () => {
    const { zk, proxy } = await openBehindProxy({ requestTimeoutMs: 200 })
    const { sessionId } = zk
    proxy.silence()

    await expect(zk.create('/late')).rejects.toBeInstanceOf(RequestTimeoutError)
    expect(zk.state).toBe('disconnected')

    proxy.mend()
    await zk.connect()
    expect(zk.sessionId).toBe(sessionId)
  })

  test('a silent server is left in time', async () => {
    const { zk, proxy } = await openBehindProxy({ sessionTimeoutMs: shortTimeoutMs })
    expect(zk.sessionTimeoutMs).toBe(shortTimeoutMs)

    proxy.silence()
    expect(await anyOf('disconnected', 'expired').of(zk)).toBe('disconnected')
  })

  test('a session cut off for too long expires here, and there', async () => {
    const { zk, proxy } = await openBehindProxy({ sessionTimeoutMs: shortTimeoutMs })
    await zk.create('/e', '', { mode: 'ephemeral' })
    const other = await open()
    const gone = new Watch()
    await other.getData('/e', { watch: gone })

    proxy.cut()

    expect(await anyOf('expired').of(zk)).toBe('expired')
    expect(await gone.fired).toMatchObject({ type: 'NodeDeleted' })
    await expect(zk.getData('/e')).rejects.toBeInstanceOf(SessionExpiredError)
  })

  test('a session that another client takes over and closes is expired', async () => {
    const { zk, proxy } = await openBehindProxy()
    await zk.create('/e', '', { mode: 'ephemeral' })
    const watch = new Watch()
    await zk.getData('/e', { watch })
    const ended = anyOf('expired').of(zk)

    proxy.bar() // or it takes its session back before it is closed
    const thief = await open({ session: { id: zk.sessionId, password: zk.sessionPassword } })
    expect(thief.sessionId).toBe(zk.sessionId)
    await thief.close()
    proxy.mend()

    expect(await ended).toBe('expired')
    await expect(watch.fired).rejects.toBeInstanceOf(SessionExpiredError)
    expect(await root.exists(`${chroot}/e`)).toBeUndefined()
  })

  test('closing ends the session at once', async () => {
    const zk = await open()
    await zk.create('/e', '', { mode: 'ephemeral' })
    await zk.close()

    expect(await root.exists(`${chroot}/e`)).toBeUndefined()
  })

  test('a server that is down is passed over', async () => {
    const dead = await CuttableProxy.to(server.port)
    const deadPort = dead.port
    await dead.close()
    const zk = await connect(`127.0.0.1:${deadPort},localhost:${server.port}`, { maxReconnectPauseMs: 20 })
    clients.push(zk)

    expect(zk.server?.port).toBe(server.port)
    await expect(connect(`127.0.0.1:${deadPort}`, { connectTimeoutMs: 3000 })).rejects.toThrow('ECONNREFUSED')
  })

  test('observers see every reply and event with its zxid', async () => {
    const seen: (ObservedReply | ObservedEvent)[] = []
    const zk = await open({ onReply: reply => seen.push(reply), onEvent: event => seen.push(event) })
    await zk.create('/o')
    await zk.exists('/o', { watch: () => undefined })
    const zxid = await zk.delete('/o')
    await zk.getData('/o').catch(() => undefined)

    expect(seen).toMatchObject([
      { request: { kind: 'create' }, err: 0 },
      { request: { kind: 'exists' }, err: 0 },
      { type: 2, path: `${chroot}/o`, zxid: server.isOracle ? -1n : zxid },
      { request: { kind: 'delete' }, err: 0, zxid },
      { request: { kind: 'getData' }, err: -101, zxid },
    ])
    const zxids = seen.flatMap(each => ('request' in each ? [each.zxid] : []))
    expect(zxids).toEqual([...zxids].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)))
    expect(zk.lastZxid).toBe(zxid)
  })

  test('reads the configuration from below a chroot', async () => {
    const zk = await open()

    expect((await zk.getConfig()).stat).toMatchObject({ aversion: -1, czxid: 0n })
    await expect(zk.reconfig({ leaving: ['2'] })).rejects.toMatchObject({ op: 'reconfig' })
  })
}
