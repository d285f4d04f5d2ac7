/**
 * What happens by itself as time passes: the same script against both servers must tell the same story. Scripts wait
 * for events and never for time. Of durations they say only whether they are those that the protocol allows.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CreateFlags,
  ErrorCode,
  encodeUtf8,
  OpCode,
  openAcl,
  type Request,
  type Stat,
} from '@corral/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { InteropServer, ServerOptions } from './interop-server.ts'
import type { Handshake } from './raw-client.ts'
import { RawClient } from './raw-client.ts'
import { describeHandshake, ScriptedClient } from './scripted-client.ts'
import { servers } from './servers.ts'
import { describeWith, java, javaZooKeeper } from './software.ts'

const tickMs = 200
const longestTimeoutMs = 20 * tickMs
const checkIntervalMs = 100

/** What a busy machine may add to any duration. */
const machineMs = 3_000
/** Clocks are cut to whole milliseconds. */
const roundingMs = 2

describeWith([java, javaZooKeeper], 'what time brings about', () => {
  let running: readonly InteropServer[] = []
  const open: ScriptedClient[] = []

  beforeAll(async () => {
    running = await startBoth({ tickTimeMs: tickMs, containerCheckIntervalMs: checkIntervalMs })
  })

  afterAll(async () => {
    for (const client of open) client.drop()
    await Promise.all(running.map(server => server.stop()))
  })

  async function connect(server: InteropServer, handshake: Handshake = {}): Promise<ScriptedClient> {
    const client = await ScriptedClient.connect(server.port, { timeoutMs: longestTimeoutMs, ...handshake })
    open.push(client)
    return client
  }

  /** Runs the script on both at the same time. @returns what both tell, after making sure that it is the same */
  async function tale(
    script: (server: InteropServer) => Promise<readonly string[]>,
    on: readonly InteropServer[] = running,
  ): Promise<readonly string[]> {
    const [oracle, subject] = await Promise.all(on.map(script))
    expect(subject).toEqual(oracle)
    return oracle ?? []
  }

  test('a session timeout is brought into 2 to 20 ticks', async () => {
    const wishes = [0, -1, 1, 399, 400, 401, 3999, 4000, 4001, 0x7fffffff, -0x80000000]

    const granted = await tale(server => handshakes(server, wishes))

    expect(granted.map(answer => answer.replace('a new session, ', ''))).toEqual([
      ...['400 ms', '400 ms', '400 ms', '400 ms', '400 ms', '401 ms'],
      ...['3999 ms', '4000 ms', '4000 ms', '4000 ms', '400 ms'],
    ])
  })

  test('a session timeout is brought into the bounds that are configured', async () => {
    const configured = await startBoth({
      tickTimeMs: tickMs,
      minSessionTimeoutMs: 700,
      maxSessionTimeoutMs: 9_000,
    })
    try {
      const granted = await tale(server => handshakes(server, [0, 699, 701, 8_999, 9_001]), configured)

      expect(granted.map(answer => answer.replace('a new session, ', ''))).toEqual([
        ...['700 ms', '700 ms', '701 ms', '8999 ms', '9000 ms'],
      ])
    } finally {
      await Promise.all(configured.map(server => server.stop()))
    }
  })

  test('a session that is not heard of ends within a tick after its timeout, with all its ephemerals in one txn', async () => {
    const told = await tale(async server => {
      const tells: string[] = []
      const watcher = await connect(server)
      await watcher.ask(creating('/e'))
      await watcher.ask({ kind: 'addWatch', path: '/e', mode: 1 })
      await watcher.ask({ kind: 'getChildren', path: '/e', watch: true })
      const brief = await connect(server, { timeoutMs: 400 })
      const authing = await connect(server, { timeoutMs: 1200 })
      const silent = await connect(server, { timeoutMs: 1600 })
      const pinging = await connect(server, { timeoutMs: 1200 })
      await brief.ask(creating('/e/brief-1', { flags: CreateFlags.Ephemeral }))
      tells.push(...(await watcher.events(2, machineMs)))
      await brief.ask(creating('/e/brief-2', { flags: CreateFlags.Ephemeral }))
      await authing.ask(creating('/e/authing', { flags: CreateFlags.Ephemeral }))
      const authingSince = authing.sentMs
      await silent.ask(creating('/e/silent', { flags: CreateFlags.Ephemeral }))
      await pinging.ask(creating('/e/pinging', { flags: CreateFlags.Ephemeral }))
      tells.push(...(await watcher.events(4, machineMs)))
      brief.drop()
      const endPings = pinging.keepAsking({ kind: 'ping' }, 100)
      const auth: Request = { kind: 'auth', scheme: 'digest', auth: encodeUtf8('u:p') }
      const endAuths = authing.keepAsking(auth, 100)
      const { zxid } = await watcher.ask({ kind: 'getChildren', path: '/e', watch: true })

      tells.push(...(await watcher.events(3, 400 + machineMs)).sort())
      tells.push(`brief ${within(performance.now() - brief.sentMs, 400, tickMs)}`)
      const parent = await watcher.ask({ kind: 'exists', path: '/e', watch: false })
      tells.push(`txns: ${parent.zxid - zxid}, of the parent: ${statOf(parent.body).pzxid - zxid}`)
      tells.push(`brief comes back: ${await describeHandshake(server.port, brief.credentials)}`)

      tells.push(...(await watcher.events(1, 1200 + machineMs)))
      tells.push(`authing ${within(performance.now() - authingSince, 1200, tickMs)}`)
      tells.push(`authing: ${await authing.untilClosed(machineMs)}`)
      endAuths()
      tells.push(...(await watcher.events(1, 1600 + machineMs)))
      tells.push(`silent ${within(performance.now() - silent.sentMs, 1600, tickMs)}`)
      tells.push(`silent: ${await silent.untilClosed(machineMs)}`)
      tells.push(`silent comes back: ${await describeHandshake(server.port, silent.credentials)}`)

      endPings()
      tells.push(`pinging: ${(await pinging.ask({ kind: 'exists', path: '/e/pinging', watch: false })).err}`)
      await pinging.ask({ kind: 'closeSession' })
      tells.push(...(await watcher.events(1, machineMs)))
      tells.push(`pinging comes back: ${await describeHandshake(server.port, pinging.credentials)}`)
      return tells
    })

    expect(told).toEqual([
      ...['NodeCreated /e/brief-1', 'NodeChildrenChanged /e'],
      ...[
        'NodeCreated /e/brief-2',
        'NodeCreated /e/authing',
        'NodeCreated /e/silent',
        'NodeCreated /e/pinging',
      ],
      ...['NodeChildrenChanged /e', 'NodeDeleted /e/brief-1', 'NodeDeleted /e/brief-2', 'brief in time'],
      ...['txns: 1, of the parent: 1', 'brief comes back: expired, then closed'],
      ...['NodeDeleted /e/authing', 'authing in time', 'authing: closed'],
      ...['NodeDeleted /e/silent', 'silent in time', 'silent: closed'],
      'silent comes back: expired, then closed',
      ...['pinging: 0', 'NodeDeleted /e/pinging', 'pinging comes back: expired, then closed'],
    ])
  })

  test('the timeout of the last reconnect decides when a session ends', async () => {
    const told = await tale(async server => {
      const watcher = await connect(server)
      await watcher.ask(creating('/r'))
      await watcher.ask({ kind: 'addWatch', path: '/r', mode: 1 })
      const lengthened = await connect(server, { timeoutMs: 800 })
      const shortened = await connect(server, { timeoutMs: 4000 })
      const untouched = await connect(server, { timeoutMs: 1200 })
      await lengthened.ask(creating('/r/lengthened', { flags: CreateFlags.Ephemeral }))
      await shortened.ask(creating('/r/shortened', { flags: CreateFlags.Ephemeral }))
      await untouched.ask(creating('/r/untouched', { flags: CreateFlags.Ephemeral }))
      await watcher.events(3, machineMs)

      const answers = [
        await describeHandshake(server.port, { ...lengthened.credentials, timeoutMs: 1600 }),
        await describeHandshake(server.port, { ...shortened.credentials, timeoutMs: 600 }),
      ]

      return [...answers, ...(await watcher.events(3, 1600 + machineMs))]
    })

    expect(told).toEqual([
      ...['the same session, 1600 ms', 'the same session, 600 ms'],
      ...['NodeDeleted /r/shortened', 'NodeDeleted /r/untouched', 'NodeDeleted /r/lengthened'],
    ])
  })

  test('a session that moves to another connection closes the first, keeps its ephemerals and loses its watches', async () => {
    const told = await tale(async server => {
      const tells: string[] = []
      const watcher = await connect(server)
      await watcher.ask(creating('/m'))
      await watcher.ask({ kind: 'exists', path: '/m/e', watch: true })
      const first = await connect(server)
      await first.ask(creating('/m/e', { flags: CreateFlags.Ephemeral }))
      await first.ask({ kind: 'getData', path: '/m', watch: true })
      await first.ask({ kind: 'addWatch', path: '/m', mode: 1 })
      tells.push(...(await watcher.events(1, machineMs)))
      await watcher.ask({ kind: 'exists', path: '/m/e', watch: true })

      const second = await connect(server, first.credentials)
      tells.push(
        second.session.sessionId === first.session.sessionId ? 'the same session' : 'another session',
      )
      tells.push(`first: ${await first.untilClosed(machineMs)}`)
      await watcher.ask({ kind: 'setData', path: '/m', data: encodeUtf8('new'), version: -1 })
      tells.push(`second hears ${(await second.eventsSoFar()).join(', ') || 'nothing'}`)
      tells.push(`watcher hears ${(await watcher.eventsSoFar()).join(', ') || 'nothing'}`)
      const { body } = await second.ask({ kind: 'exists', path: '/m/e', watch: false })
      tells.push(statOf(body).ephemeralOwner === second.session.sessionId ? 'its own' : 'not its own')
      tells.push(`second: ${(await second.ask({ kind: 'closeSession' })).err}`)
      tells.push(`second: ${await second.untilClosed(machineMs)}`)
      tells.push(...(await watcher.events(1, machineMs)))
      return tells
    })

    expect(told).toEqual([
      ...['NodeCreated /m/e', 'the same session', 'first: closed', 'second hears nothing'],
      ...['watcher hears nothing', 'its own', 'second: 0', 'second: closed', 'NodeDeleted /m/e'],
    ])
  })

  test('a client that has seen a later zxid is sent away, with or without a session, and disturbs nobody', async () => {
    const told = await tale(async server => {
      const holder = await connect(server)
      const { zxid: before } = await holder.ask(creating('/z'))
      const ahead = { lastZxidSeen: before + 1n }
      const answers = [
        await describeHandshake(server.port, ahead),
        await describeHandshake(server.port, { ...holder.credentials, ...ahead }),
        await describeHandshake(server.port, { lastZxidSeen: 0x7fffffffffffffffn }),
      ]
      const { zxid: after } = await holder.ask({ kind: 'exists', path: '/z', watch: false })
      return [
        ...answers,
        `txns: ${after - before}`,
        await describeHandshake(server.port, { ...holder.credentials, lastZxidSeen: after, timeoutMs: 1000 }),
        `holder: ${await holder.untilClosed(machineMs)}`,
        await describeHandshake(server.port, { lastZxidSeen: after, timeoutMs: 1000 }),
        await describeHandshake(server.port, { lastZxidSeen: -1n, timeoutMs: 1000 }),
      ]
    })

    expect(told).toEqual([
      ...['closed without an answer', 'closed without an answer', 'closed without an answer', 'txns: 0'],
      ...['the same session, 1000 ms', 'holder: closed', 'a new session, 1000 ms', 'a new session, 1000 ms'],
    ])
  })

  test('TTL znodes and containers go when their time is up and they have no children', async () => {
    const told = await tale(async server => {
      const tells: string[] = []
      const client = await connect(server)
      const endPings = client.keepAsking({ kind: 'ping' }, 500)
      const ask = async (request: Request): Promise<void> => {
        const { err } = await client.ask(request)
        if (err !== ErrorCode.Ok) tells.push(`${request.kind}: ${err}`)
      }
      await ask(creating('/t'))
      await ask(container('/t/never-used'))
      await ask(ttl('/t/parent', 100))
      await ask(creating('/t/parent/child'))
      await ask(ttl('/t/written', 1500))
      await ask(container('/t/used'))
      await ask(creating('/t/used/child'))
      await client.ask({ kind: 'addWatch', path: '/t', mode: 1 })
      await ask({ kind: 'getChildren', path: '/t', watch: true })
      await ask(ttl('/t/plain', 300))
      const plainMs = client.sentMs
      tells.push(...(await client.events(2, machineMs)))
      await ask({ kind: 'getChildren', path: '/t', watch: true })

      tells.push(...(await client.events(2, 300 + machineMs)))
      tells.push(`plain ${within(performance.now() - plainMs, 300, checkIntervalMs)}`)
      await ask({ kind: 'setData', path: '/t/written', data: encodeUtf8('new'), version: -1 })
      const writtenMs = client.sentMs
      tells.push(...(await client.events(1, machineMs)))
      await ask(container('/t/written/child')) // children do not restart it, and hold it
      await ask({ kind: 'delete', path: '/t/written/child', version: -1 })
      tells.push(...(await client.events(2, machineMs)))

      const { body: alive } = await client.ask({ kind: 'getChildren', path: '/t', watch: false })
      tells.push(...(alive.kind === 'children' ? [...alive.children].sort() : []))
      await ask({ kind: 'delete', path: '/t/parent/child', version: -1 })
      tells.push(...(await client.events(2, machineMs)))
      const { zxid } = await client.ask({ kind: 'exists', path: '/t', watch: false })
      await ask({ kind: 'delete', path: '/t/used/child', version: -1 })
      tells.push(...(await client.events(2, machineMs)))
      const { zxid: later } = await client.ask({ kind: 'exists', path: '/t', watch: false })
      tells.push(`txns: ${later - zxid}`)

      tells.push(...(await client.events(1, 1500 + machineMs)))
      tells.push(`written ${within(performance.now() - writtenMs, 1500, checkIntervalMs)}`)
      const { body: left } = await client.ask({ kind: 'getChildren', path: '/t', watch: false })
      tells.push(...(left.kind === 'children' ? left.children : []))
      endPings()
      return tells
    })

    expect(told).toEqual([
      ...['NodeCreated /t/plain', 'NodeChildrenChanged /t'],
      ...['NodeDeleted /t/plain', 'NodeChildrenChanged /t', 'plain in time', 'NodeDataChanged /t/written'],
      ...['NodeCreated /t/written/child', 'NodeDeleted /t/written/child'],
      ...['never-used', 'parent', 'used', 'written'],
      ...['NodeDeleted /t/parent/child', 'NodeDeleted /t/parent'],
      ...['NodeDeleted /t/used/child', 'NodeDeleted /t/used', 'txns: 2'],
      ...['NodeDeleted /t/written', 'written in time', 'never-used'],
    ])
  })

  test('a restart gives every session its whole timeout again', async () => {
    const told = await Promise.all(
      servers.map(async ({ start }) => {
        const dataDir = await mkdtemp(join(tmpdir(), 'corral-timed-'))
        let server: InteropServer | undefined
        try {
          const options: ServerOptions = { tickTimeMs: tickMs, dataDir }
          server = await start(options)
          const lost = await connect(server, { timeoutMs: 2000 })
          const found = await connect(server, { timeoutMs: 2000 })
          await lost.ask(creating('/lost', { flags: CreateFlags.Ephemeral }))
          await found.ask(creating('/found', { flags: CreateFlags.Ephemeral }))
          await server.kill()
          const tells = [`lost: ${await lost.untilClosed(machineMs)}`]
          const startedMs = performance.now()
          server = await start(options)
          const servingMs = performance.now()

          const watcher = await connect(server)
          await watcher.ask({ kind: 'addWatch', path: '/', mode: 1 })
          const resumed = await connect(server, { ...found.credentials, timeoutMs: 4000 })
          for (const path of ['/lost', '/found']) {
            tells.push(`${path}: ${(await resumed.ask({ kind: 'exists', path, watch: false })).err}`)
          }
          tells.push(...(await watcher.events(1, 2000 + machineMs)))
          tells.push(`lost ${within(performance.now() - startedMs, 2000, tickMs + servingMs - startedMs)}`)
          tells.push(`/found: ${(await resumed.ask({ kind: 'exists', path: '/found', watch: false })).err}`)
          return tells
        } finally {
          await server?.stop()
          await rm(dataDir, { recursive: true, force: true })
        }
      }),
    )

    const expected = [
      'lost: closed',
      '/lost: 0',
      '/found: 0',
      'NodeDeleted /lost',
      'lost in time',
      '/found: 0',
    ]
    expect(told).toEqual([expected, expected])
  })

  test('who does not ask for a session is sent away in time', async () => {
    const impatient = await startBoth({ sessionlessTimeoutMs: 500 })
    try {
      const told = await tale(async server => {
        const openedMs = performance.now()
        const client = await RawClient.open(server.port)
        await client.until(() => client.isClosed, 1000 + machineMs)
        return [
          client.isClosed ? 'closed' : 'open',
          within(performance.now() - openedMs, 500, 500),
          `${client.frames.length} frames`,
        ]
      }, impatient)

      expect(told).toEqual(['closed', 'in time', '0 frames'])
    } finally {
      await Promise.all(impatient.map(server => server.stop()))
    }
  })
})

function startBoth(options: ServerOptions): Promise<readonly InteropServer[]> {
  return Promise.all(servers.map(({ start }) => start(options)))
}

async function handshakes(server: InteropServer, timeoutsMs: readonly number[]): Promise<string[]> {
  const answers: string[] = []
  for (const timeoutMs of timeoutsMs) answers.push(await describeHandshake(server.port, { timeoutMs }))
  return answers
}

/** @returns `in time` if it took more than `atLeastMs`, and no more than `toleranceMs` and the machine's own beyond */
function within(tookMs: number, atLeastMs: number, toleranceMs: number): string {
  if (tookMs < atLeastMs - roundingMs) return `too early: ${tookMs} ms`
  return tookMs <= atLeastMs + toleranceMs + machineMs ? 'in time' : `too late: ${tookMs} ms`
}

type Create = Extract<Request, { kind: 'create' }>

function creating(path: string, how: Partial<Create> = {}): Create {
  return { kind: 'create', op: OpCode.Create, path, data: null, acl: openAcl, flags: 0, ...how }
}

function container(path: string): Request {
  return creating(path, { op: OpCode.CreateContainer, flags: CreateFlags.Container })
}

function ttl(path: string, ttlMs: number): Request {
  const flags = CreateFlags.PersistentWithTtl
  return { kind: 'createTtl', path, data: null, acl: openAcl, flags, ttlMs }
}

function statOf(body: { readonly kind: string; readonly stat?: Stat }): Stat {
  if (body.stat === undefined) throw new Error(`no Stat in ${body.kind}`)
  return body.stat
}
