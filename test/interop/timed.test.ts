/**
 * What happens by itself as time passes: the same script against both servers must tell the same story. Scripts wait
 * for events and never for time. No machine is too slow: nothing has to be done while a short timeout runs, what comes
 * too late is found by what it comes behind, and of durations only the least is held against the clock.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CreateFlags,
  ErrorCode,
  encodeUtf8,
  type MultiOp,
  OpCode,
  openAcl,
  type Request,
  type Stat,
} from '@corral/protocol'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { InteropServer, ServerOptions } from './interop-server.ts'
import type { Handshake } from './raw-client.ts'
import { RawClient } from './raw-client.ts'
import { describeHandshake, ScriptedClient } from './scripted-client.ts'
import { servers } from './servers.ts'
import { describeWith, java, javaZooKeeper } from './software.ts'

const tickMs = 200
const checkIntervalMs = 100
const shortestTimeoutMs = 300
/** Of sessions that live as long as the test. */
const longestTimeoutMs = 60_000
/** No machine keeps a process from working for so long. */
const pauseMs = 4_000

/** Clocks are cut to whole milliseconds. */
const roundingMs = 2

describeWith([java, javaZooKeeper], 'what time brings about', () => {
  let running: readonly InteropServer[] = []
  const open: ScriptedClient[] = []

  beforeAll(async () => {
    running = await startBoth({
      tickTimeMs: tickMs,
      minSessionTimeoutMs: shortestTimeoutMs,
      maxSessionTimeoutMs: longestTimeoutMs,
      containerCheckIntervalMs: checkIntervalMs,
    })
  })

  afterAll(() => Promise.all(running.map(server => server.stop())))

  // A session that ended in a later test would take one of the zxids that are counted there.
  afterEach(() => Promise.all(open.splice(0).map(client => client.close())))

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
    const unconfigured = await startBoth({ tickTimeMs: tickMs })
    try {
      const wishes = [0, -1, 1, 399, 400, 401, 3999, 4000, 4001, 0x7fffffff, -0x80000000]

      const granted = await tale(server => handshakes(server, wishes), unconfigured)

      expect(granted.map(answer => answer.replace('a new session, ', ''))).toEqual([
        ...['400 ms', '400 ms', '400 ms', '400 ms', '400 ms', '401 ms'],
        ...['3999 ms', '4000 ms', '4000 ms', '4000 ms', '400 ms'],
      ])
    } finally {
      await Promise.all(unconfigured.map(server => server.stop()))
    }
  })

  test('a session timeout is brought into the bounds that are configured', async () => {
    const granted = await tale(server => handshakes(server, [0, 299, 301, 59_999, 60_001]))

    expect(granted.map(answer => answer.replace('a new session, ', ''))).toEqual([
      ...['300 ms', '300 ms', '301 ms', '59999 ms', '60000 ms'],
    ])
  })

  test('a session that is not heard of ends when its timeout is over, with all its ephemerals in one txn', async () => {
    const told = await tale(async server => {
      const tells: string[] = []
      const watcher = await connect(server)
      for (const path of ['/e', '/e/1', '/e/2']) await watcher.ask(creating(path))
      await watcher.ask({ kind: 'addWatch', path: '/e', mode: 1 })
      const paths = {
        pinging: ['/e/pinging'],
        brief: ['/e/1/brief', '/e/2/brief'],
        authing: ['/e/authing'],
        silent: ['/e/silent'],
      }
      const clients = new Map<string, ScriptedClient>()
      for (const [name, owned] of Object.entries(paths)) {
        const client = await connect(server)
        for (const path of owned) await client.ask(creating(path, { flags: CreateFlags.Ephemeral }))
        clients.set(name, client)
      }
      tells.push(...(await watcher.events(5)))
      await watcher.ask({ kind: 'getChildren', path: '/e/1', watch: true })
      /** From here on the session has this timeout. */
      const shorten = (name: keyof typeof paths, timeoutMs: number): Promise<ScriptedClient> =>
        connect(server, { ...clients.get(name)?.credentials, timeoutMs })
      const pinging = await shorten('pinging', pauseMs)
      const endPings = pinging.keepAsking({ kind: 'ping' }, 100)
      const brief = await shorten('brief', 400)
      brief.drop()
      const authing = await shorten('authing', 400 + 2 * tickMs)
      const authingSince = authing.sentMs
      const auth: Request = { kind: 'auth', scheme: 'digest', auth: encodeUtf8('u:p') }
      const endAuths = authing.keepAsking(auth, 100)
      const silent = await shorten('silent', pauseMs + 5 * tickMs)

      tells.push(...(await watcher.events(3)).sort())
      tells.push(`brief ${since(brief.sentMs, 400)}`)
      const parents: Stat[] = []
      for (const path of ['/e/1', '/e/2']) {
        parents.push(statOf((await watcher.ask({ kind: 'exists', path, watch: false })).body))
      }
      tells.push(parents[0]?.pzxid === parents[1]?.pzxid ? 'in one txn' : 'in several txns')
      tells.push(`brief comes back: ${await describeHandshake(server.port, brief.credentials)}`)

      tells.push(...(await watcher.events(1)))
      tells.push(`authing ${since(authingSince, 400 + 2 * tickMs)}`)
      tells.push(`authing: ${await authing.untilClosed()}`)
      endAuths()
      tells.push(...(await watcher.events(1)))
      tells.push(`silent ${since(silent.sentMs, pauseMs + 5 * tickMs)}`)
      tells.push(`silent: ${await silent.untilClosed()}`)
      tells.push(`silent comes back: ${await describeHandshake(server.port, silent.credentials)}`)

      endPings()
      tells.push(`pinging: ${(await pinging.ask({ kind: 'exists', path: '/e/pinging', watch: false })).err}`)
      await pinging.ask({ kind: 'closeSession' })
      tells.push(...(await watcher.events(1)))
      tells.push(`pinging comes back: ${await describeHandshake(server.port, pinging.credentials)}`)
      return tells
    })

    expect(told).toEqual([
      ...['NodeCreated /e/pinging', 'NodeCreated /e/1/brief', 'NodeCreated /e/2/brief'],
      ...['NodeCreated /e/authing', 'NodeCreated /e/silent'],
      ...['NodeChildrenChanged /e/1', 'NodeDeleted /e/1/brief', 'NodeDeleted /e/2/brief'],
      ...['brief in time', 'in one txn', 'brief comes back: expired, then closed'],
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
      const shortened = await connect(server, { timeoutMs: 2 * pauseMs })
      const untouched = await connect(server, { timeoutMs: pauseMs + 500 })
      const lengthened = await connect(server, { timeoutMs: pauseMs })
      await shortened.ask(creating('/r/shortened', { flags: CreateFlags.Ephemeral }))
      await untouched.ask(creating('/r/untouched', { flags: CreateFlags.Ephemeral }))
      await lengthened.ask(creating('/r/lengthened', { flags: CreateFlags.Ephemeral }))

      // All are heard of for the last time in the order in which they end.
      const answers = [
        await describeHandshake(server.port, { ...shortened.credentials, timeoutMs: 600 }),
        `untouched: ${(await untouched.ask({ kind: 'ping' })).err}`,
        await describeHandshake(server.port, { ...lengthened.credentials, timeoutMs: pauseMs + 1000 }),
      ]

      return [...answers, ...(await watcher.events(6))]
    })

    expect(told).toEqual([
      ...['the same session, 600 ms', 'untouched: 0', 'the same session, 5000 ms'],
      ...['NodeCreated /r/shortened', 'NodeCreated /r/untouched', 'NodeCreated /r/lengthened'],
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
      tells.push(...(await watcher.events(1)))
      await watcher.ask({ kind: 'exists', path: '/m/e', watch: true })

      const second = await connect(server, first.credentials)
      tells.push(
        second.session.sessionId === first.session.sessionId ? 'the same session' : 'another session',
      )
      tells.push(`first: ${await first.untilClosed()}`)
      await watcher.ask({ kind: 'setData', path: '/m', data: encodeUtf8('new'), version: -1 })
      tells.push(`second hears ${(await second.eventsSoFar()).join(', ') || 'nothing'}`)
      tells.push(`watcher hears ${(await watcher.eventsSoFar()).join(', ') || 'nothing'}`)
      const { body } = await second.ask({ kind: 'exists', path: '/m/e', watch: false })
      tells.push(statOf(body).ephemeralOwner === second.session.sessionId ? 'its own' : 'not its own')
      tells.push(`second: ${(await second.ask({ kind: 'closeSession' })).err}`)
      tells.push(`second: ${await second.untilClosed()}`)
      tells.push(...(await watcher.events(1)))
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
        `holder: ${await holder.untilClosed()}`,
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
      const ask = async (request: Request): Promise<bigint> => {
        const { err, zxid } = await client.ask(request)
        if (err !== ErrorCode.Ok) tells.push(`${request.kind}: ${err}`)
        return zxid
      }
      await ask(creating('/t'))
      await ask(container('/t/never-used'))
      await ask(held('/t/parent', 100))
      await ask(container('/t/used'))
      await ask(creating('/t/used/child'))
      await client.ask({ kind: 'addWatch', path: '/t', mode: 1 })
      await ask(held('/t/plain', 300))
      const plainMs = client.sentMs
      await ask(held('/t/written', 1500))
      tells.push(...(await client.events(4)))
      await ask({ kind: 'getChildren', path: '/t', watch: true })

      await ask(deleting('/t/plain/child'))
      tells.push(...(await client.events(3)))
      tells.push(`plain ${since(plainMs, 300)}`)
      await ask({ kind: 'setData', path: '/t/written', data: encodeUtf8('new'), version: -1 })
      const writtenMs = client.sentMs
      tells.push(...(await client.events(1)))

      const { body: alive } = await client.ask({ kind: 'getChildren', path: '/t', watch: false })
      tells.push(...(alive.kind === 'children' ? [...alive.children].sort() : []))
      await ask(deleting('/t/parent/child'))
      tells.push(...(await client.events(2)))
      const zxid = await ask(deleting('/t/used/child'))
      tells.push(...(await client.events(2)))
      const later = await ask({ kind: 'exists', path: '/t', watch: false })
      tells.push(`txns: ${later - zxid}`)

      await ask(container('/t/written/other')) // children do not restart it
      await ask(deleting('/t/written/other'))
      await ask(deleting('/t/written/child'))
      tells.push(...(await client.events(4)))
      tells.push(`written ${since(writtenMs, 1500)}`)
      const { body: left } = await client.ask({ kind: 'getChildren', path: '/t', watch: false })
      tells.push(...(left.kind === 'children' ? left.children : []))
      return tells
    })

    expect(told).toEqual([
      ...['NodeCreated /t/plain', 'NodeCreated /t/plain/child'],
      ...['NodeCreated /t/written', 'NodeCreated /t/written/child'],
      ...['NodeDeleted /t/plain/child', 'NodeDeleted /t/plain', 'NodeChildrenChanged /t', 'plain in time'],
      ...['NodeDataChanged /t/written', 'never-used', 'parent', 'used', 'written'],
      ...['NodeDeleted /t/parent/child', 'NodeDeleted /t/parent'],
      ...['NodeDeleted /t/used/child', 'NodeDeleted /t/used', 'txns: 1'],
      ...['NodeCreated /t/written/other', 'NodeDeleted /t/written/other', 'NodeDeleted /t/written/child'],
      ...['NodeDeleted /t/written', 'written in time', 'never-used'],
    ])
  })

  test('a restart gives every session its whole timeout again', async () => {
    const told = await Promise.all(
      servers.map(async ({ start }) => {
        const dataDir = await mkdtemp(join(tmpdir(), 'corral-timed-'))
        let server: InteropServer | undefined
        try {
          const options: ServerOptions = {
            tickTimeMs: tickMs,
            maxSessionTimeoutMs: longestTimeoutMs,
            dataDir,
          }
          server = await start(options)
          const lost = await connect(server, { timeoutMs: pauseMs })
          const found = await connect(server)
          await lost.ask(creating('/lost', { flags: CreateFlags.Ephemeral }))
          await found.ask(creating('/found', { flags: CreateFlags.Ephemeral }))
          await server.kill()
          const tells = [`lost: ${await lost.untilClosed()}`]
          const startedMs = performance.now()
          server = await start(options)

          const watcher = await connect(server)
          await watcher.ask({ kind: 'addWatch', path: '/', mode: 1 })
          const resumed = await connect(server, found.credentials)
          for (const path of ['/lost', '/found']) {
            tells.push(`${path}: ${(await resumed.ask({ kind: 'exists', path, watch: false })).err}`)
          }
          tells.push(...(await watcher.events(1)))
          tells.push(`lost ${since(startedMs, pauseMs)}`)
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
        await client.until(() => client.isClosed)
        return [client.isClosed ? 'closed' : 'open', since(openedMs, 500), `${client.frames.length} frames`]
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

/** @returns `in time` unless too little time has passed */
function since(startedMs: number, atLeastMs: number): string {
  const tookMs = performance.now() - startedMs
  return tookMs < atLeastMs - roundingMs ? `too early: ${tookMs} ms` : 'in time'
}

type Create = Extract<Request, { kind: 'create' }>

function creating(path: string, how: Partial<Create> = {}): Create {
  return { kind: 'create', op: OpCode.Create, path, data: null, acl: openAcl, flags: 0, ...how }
}

function container(path: string): Request {
  return creating(path, { op: OpCode.CreateContainer, flags: CreateFlags.Container })
}

/** With a child, which holds it. */
function held(path: string, ttlMs: number): Request {
  const flags = CreateFlags.PersistentWithTtl
  const parent: MultiOp = { kind: 'createTtl', path, data: null, acl: openAcl, flags, ttlMs }
  return { kind: 'multi', ops: [parent, creating(`${path}/child`)] }
}

function deleting(path: string): Request {
  return { kind: 'delete', path, version: -1 }
}

function statOf(body: { readonly kind: string; readonly stat?: Stat }): Stat {
  if (body.stat === undefined) throw new Error(`no Stat in ${body.kind}`)
  return body.stat
}
