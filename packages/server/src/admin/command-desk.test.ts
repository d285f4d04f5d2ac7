import { readFileSync } from 'node:fs'
import { type ConnectionInfo, defaultConfig, type Inspection, type Now } from '@corral/core'
import { OpCode, sessionId, zxid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import type { Answer } from '../answers.ts'
import { zooKeeperVersion } from '../version.ts'
import { CommandDesk } from './command-desk.ts'

const now: Now = { monotonicMs: 1_905_250, wallMs: Date.UTC(2026, 10, 21, 11, 15, 12) }
const a = sessionId(0x100001d12000000n)
const b = sessionId(0x100001d12000001n)

/** What the Java server said, with our version in place of its own. */
function golden(name: string): string {
  const text = readFileSync(new URL(`golden/${name}.txt`, import.meta.url), 'utf8')
  return text.replace(/3\.8\.0-.* UTC/, zooKeeperVersion)
}

function connection(port: number, more: Partial<ConnectionInfo> = {}): ConnectionInfo {
  return {
    conn: port,
    peer: { address: '127.0.0.1', port },
    session: sessionId(0n),
    isReading: false,
    outstanding: 0,
    received: 1,
    sent: 0,
    lastOp: -999,
    establishedWallMs: now.wallMs,
    timeoutMs: 0,
    lastXid: -1,
    lastZxid: zxid(-1n),
    lastReplyMonotonicMs: 0,
    lastLatencyMs: 0,
    minLatencyMs: 0,
    maxLatencyMs: 0,
    latencySumMs: 0,
    latencyCount: 0,
    expiresAtMonotonicMs: 1_916_000,
    ...more,
  }
}

const ofB = connection(53394, {
  session: b,
  isReading: true,
  received: 4,
  sent: 4,
  lastOp: OpCode.GetChildren2,
  establishedWallMs: 1_795_259_711_414,
  timeoutMs: 10_000,
  lastXid: 3,
  lastZxid: zxid(5n),
  lastReplyMonotonicMs: 1_905_242.7,
  lastLatencyMs: 1,
  maxLatencyMs: 1,
  latencyCount: 4,
  latencySumMs: 2,
  expiresAtMonotonicMs: 1_915_250,
})
const ofA = connection(53380, {
  session: a,
  isReading: true,
  received: 5,
  sent: 5,
  lastOp: OpCode.Exists,
  establishedWallMs: 1_795_259_711_401,
  timeoutMs: 10_000,
  lastXid: 4,
  lastZxid: zxid(5n),
  lastReplyMonotonicMs: 1_905_243,
  maxLatencyMs: 11,
  latencyCount: 4,
  latencySumMs: 13,
  expiresAtMonotonicMs: 1_915_250,
})

const ofSession = { timeoutMs: 10_000, expiresAtMonotonicMs: 1_915_250, ownsEphemerals: true }

function anInspection(more: Partial<Inspection> = {}): Inspection {
  const connections = (): ConnectionInfo[] => [ofB, connection(53398), ofA]
  return {
    config: { ...defaultConfig, tickTimeMs: 2000, minSessionTimeoutMs: 4000, maxSessionTimeoutMs: 40_000 },
    isServing: true,
    counters: {
      packetsReceived: 21,
      packetsSent: 24,
      latencyCount: 9,
      latencySumMs: 21,
      latencyMinMs: 0,
      latencyMaxMs: 11,
      outstanding: 0,
      connectionsRejected: 0,
      connectionsDropped: 0,
      wrongPasswords: 0,
      sessionsExpired: 0,
      throttledOps: 0,
    },
    storage: () => ({ syncs: 7, slowSyncs: 0, txnsLogged: 5, snapshots: 1, digestMismatches: 0 }),
    lastZxid: () => zxid(5n),
    znodeCount: () => 7,
    ephemeralCount: () => 2,
    watchCount: () => 4,
    approximateDataBytes: () => 63,
    connectionCount: () => [...(more.connections ?? connections)()].length,
    sessionCount: () => 2,
    connections,
    sessions: () => [a, b].map(session => ({ ...ofSession, session })),
    ephemeralsOf: session => (session === a ? ['/app/e1'] : ['/app/e2']),
    *watchesBySession() {
      yield [{ session: b, path: '/app' }]
      yield [
        { session: a, path: '/app' },
        { session: a, path: '/none' },
      ]
    },
    *watchesByPath() {
      yield [{ path: '/app', sessions: [b, a] }]
      yield [{ path: '/none', sessions: [a] }]
    },
    dataWatchTotals: () => ({ connections: 2, paths: 2, watches: 3 }),
    digests: () => [],
    resetServerStats: () => undefined,
    resetConnectionStats: () => undefined,
    ...more,
  }
}

interface Asked {
  readonly allowed?: readonly string[]
  readonly inspection?: Inspection
  readonly argument?: Uint8Array
  readonly said?: string[]
  readonly timeZone?: string
}

function aDesk({ allowed = ['*'], said = [], timeZone = 'UTC' }: Asked = {}): CommandDesk {
  return new CommandDesk({
    allowed,
    timeZone,
    place: () => ({
      clientPort: 22811,
      backlog: -1,
      dataDir: undefined,
      dataLogDir: undefined,
      startedMonotonicMs: 1_905_058,
    }),
    say: (level, what, fields) => said.push(`${level} ${what} ${fields['word']}`),
  })
}

function answerTo(word: string, asked: Asked = {}, desk: CommandDesk = aDesk(asked)): Answer {
  const { inspection = anInspection(), argument = new Uint8Array(0) } = asked
  const number = Buffer.from(word, 'latin1').readInt32BE()
  return desk.answer(number, argument, { inspection, now, asker: { address: '127.0.0.1', port: 1 } })
}

function ask(...asked: Parameters<typeof answerTo>): string | Promise<string> {
  const answer = answerTo(...asked)
  return typeof answer === 'string' || answer instanceof Promise ? answer : [...answer].join('')
}

describe('answers are those of the Java server', () => {
  test.each(['srvr', 'wchs', 'wchc', 'wchp', 'srst', 'crst', 'cons'])('%s', word => {
    expect(ask(word)).toBe(golden(word))
  })

  test('stat', () => {
    const inspection = anInspection({ connections: () => [ofB, connection(53482), ofA] })
    const { counters } = inspection
    Object.assign(counters, { packetsReceived: 22, packetsSent: 25 })

    expect(ask('stat', { inspection })).toBe(golden('stat'))
  })

  test('srvr before any client came', () => {
    const inspection = anInspection({
      connections: () => [connection(1)],
      lastZxid: () => zxid(0n),
      znodeCount: () => 4,
    })
    const none = { packetsReceived: 2, packetsSent: 1, latencyCount: 0, latencySumMs: 0, latencyMaxMs: 0 }
    Object.assign(inspection.counters, none)

    expect(ask('srvr', { inspection })).toBe(golden('fresh-srvr'))
  })

  test('cons after a reset', () => {
    const reset = { received: 0, sent: 0, lastOp: -999, lastXid: -1, lastZxid: zxid(-1n) }
    const times = { lastReplyMonotonicMs: 0, lastLatencyMs: 0, maxLatencyMs: 0, latencyCount: 0 }
    const connections = [{ ...ofB, ...reset, ...times }, { ...ofA, ...reset, ...times }, connection(53552)]

    expect(ask('cons', { inspection: anInspection({ connections: () => connections }) })).toBe(
      golden('cons-after-crst'),
    )
  })

  test('dump: sessions, ephemerals, connections', () => {
    const [sessions, connections] = golden('dump').split('Connections dump:')
    const ours = String(ask('dump'))
    // Whose ephemerals come first is arbitrary in the original.
    const owners = (text: string | undefined): string[] => (text ?? '').split(/\n(?=0x|$)/).sort()

    expect(owners(ours.split('Connections dump:')[0])).toEqual(owners(sessions))
    // The original gives connections expiry buckets of their own; ours expire with their session.
    const shape = (text: string | undefined): string[] =>
      (text ?? '')
        .replace(/\d+ expire at \w{3} \w{3} \d\d \d\d:\d\d:\d\d UTC \d{4}:\n/g, '')
        .split('\n')
        .slice(2)
        .sort()
    expect(shape(ours.split('Connections dump:')[1]).length).toBe(shape(connections).length)
    expect(ours).toContain('\nConnections Sets (2)/(3):\n2 expire at Sat Nov 21 11:15:')
    expect(ours).toContain('\tip: /127.0.0.1:53398 sessionId: 0x0\n')
  })

  test.each([
    ['America/New_York', 'Sat Nov 21 06:15:22 EST 2026'],
    ['Europe/Berlin', 'Sat Nov 21 12:15:22 CET 2026'],
    ['Asia/Kathmandu', 'Sat Nov 21 17:00:22 GMT+05:45 2026'],
  ])('dump has local times: in %s', (timeZone, text) => {
    expect(ask('dump', { timeZone })).toContain(`\n2 expire at ${text}:\n\t0x100001d12000000\n`)
  })

  test('an address of IPv6 stands in brackets', () => {
    const peer = { address: '0:0:0:0:0:0:0:1', port: 45382 }
    const inspection = anInspection({ connections: () => [connection(1, { peer })] })

    expect(ask('cons', { inspection })).toBe(' /[0:0:0:0:0:0:0:1]:45382[0](queued=0,recved=1,sent=0)\n\n')
    expect(ask('dump', { inspection })).toContain('\tip: /[0:0:0:0:0:0:0:1]:45382 sessionId: 0x0\n')
  })

  test('conf and dirs, of a server in memory', async () => {
    const captured = golden('conf')
      .replace(/^(data(?:Log)?Dir)=.*$/gm, '$1=memory')
      .replace(/^(data(?:Dir|Log)Size)=.*$/gm, '$1=0')

    expect(await ask('conf')).toBe(captured)
    expect(await ask('dirs')).toBe(golden('dirs').replace(/\d+/g, '0'))
  })

  test('envi has the keys of the original, in its order, and one of its own at the end', () => {
    const keysOf = (text: string): string[] => [...text.matchAll(/^([\w.]+)=/gm)].map(([, key]) => key ?? '')
    const ours = String(ask('envi'))

    expect(keysOf(ours)).toEqual([...keysOf(golden('envi')), 'node.version'])
    expect(ours.startsWith('Environment:\nzookeeper.version=3.9.5-')).toBe(true)
  })

  test('mntr has every key that monitoring has parsed since 3.4, with the values of the original', () => {
    const valuesOf = (text: string): Map<string, string> =>
      new Map([...text.matchAll(/^(zk_\w+)\t(.*)$/gm)].map(([, key, value]) => [key ?? '', value ?? '']))
    const theirs = valuesOf(golden('mntr-head'))
    const ours = valuesOf(String(ask('mntr')))
    const same = [
      ...['zk_version', 'zk_server_state', 'zk_avg_latency', 'zk_max_latency', 'zk_min_latency'],
      ...['zk_num_alive_connections', 'zk_outstanding_requests', 'zk_znode_count', 'zk_watch_count'],
      ...['zk_ephemerals_count', 'zk_approximate_data_size', 'zk_global_sessions', 'zk_uptime'],
    ]

    expect(same.map(key => [key, ours.get(key)])).toEqual(same.map(key => [key, theirs.get(key)]))
    expect(ours.get('zk_packets_received')).toBe('21')
    expect(Number(ours.get('zk_open_file_descriptor_count'))).toBeGreaterThan(0)
  })

  test('what mntr counts has the name and the place that it has in the original, if it has one', () => {
    const theirs = golden('mntr-names').split('\n')
    const ours = [...String(ask('mntr')).matchAll(/^(zk_\w+)\t/gm)].map(([, key]) => key ?? '')
    const shared = theirs.filter(name => ours.includes(name))

    // The second is of ZooKeeper until 3.5.
    const own = ['zk_wrong_password_count', 'zk_fsync_threshold_exceed_count', 'zk_txns_logged']
    expect(ours.filter(name => !theirs.includes(name))).toEqual(own)
    expect(ours.filter(name => !own.includes(name))).toEqual(shared)
  })

  test('hash lists zxid and digest, the digest signed', () => {
    const digests = [{ zxid: zxid(0x100000080n), digest: 0xffff_ffff_ffff_fffen }]

    expect(ask('hash', { inspection: anInspection({ digests: () => digests }) })).toBe('100000080: -2\n')
    expect(ask('hash')).toBe('')
  })

  test('the version has the shape that scripts look for', () => {
    expect(/Zookeeper version: ([\d.]+)-/.exec(String(ask('srvr')))?.[1]).toBe('3.9.5')
  })

  test('the trace mask is what was set', () => {
    const desk = aDesk()
    const argument = new Uint8Array([0, 0, 0, 0, 0, 0, 2, 0])

    expect(ask('gtmk', {}, desk)).toBe('306')
    expect(ask('stmk', { argument }, desk)).toBe('512')
    expect(ask('gtmk', {}, desk)).toBe('512')
  })
})

describe('who may ask what', () => {
  test('only srvr is always allowed', () => {
    expect(ask('mntr', { allowed: [] })).toBe('mntr is not executed because it is not in the whitelist.\n')
    expect(ask('ruok', { allowed: ['mntr'] })).toBe(
      'ruok is not executed because it is not in the whitelist.\n',
    )
    expect(ask('srvr', { allowed: [] })).toBe(golden('srvr'))
    expect(ask('ruok', { allowed: ['stat', 'ruok'] })).toBe('imok')
  })

  test('every text that leaves is a packet sent: refusals too, an empty answer not', () => {
    const sentFor = (word: string, asked: Asked & { readonly inspection: Inspection }): number => {
      const before = asked.inspection.counters.packetsSent
      ask(word, asked)
      return asked.inspection.counters.packetsSent - before
    }
    const notServing = anInspection({ isServing: false })

    expect(sentFor('mntr', { allowed: [], inspection: anInspection() })).toBe(1)
    expect(['srvr', 'hash'].map(word => sentFor(word, { inspection: notServing }))).toEqual([1, 1])
    expect(['srvr', 'cons', 'hash'].map(word => sentFor(word, { inspection: anInspection() }))).toEqual([
      1, 1, 0,
    ])
  })

  test('a refused word is said quietly, an accepted one aloud', () => {
    const said: string[] = []

    ask('mntr', { allowed: [], said })
    ask('srvr', { allowed: [], said })

    expect(said).toEqual([
      'debug a four-letter word is not in the whitelist mntr',
      'info a four-letter word srvr',
    ])
  })

  test.each(['conf', 'cons', 'crst', 'dirs', 'dump', 'mntr', 'srst', 'srvr', 'stat', 'wchc', 'wchp', 'wchs'])(
    '%s says that the server is not serving',
    word => {
      const inspection = anInspection({ isServing: false })

      expect(ask(word, { inspection })).toBe('This ZooKeeper instance is not currently serving requests\n')
    },
  )

  test('hash says so without a newline, and some words answer all the same', () => {
    const inspection = anInspection({ isServing: false })

    expect(ask('hash', { inspection })).toBe('This ZooKeeper instance is not currently serving requests')
    expect(['ruok', 'isro', 'gtmk'].map(word => ask(word, { inspection }))).toEqual(['imok', 'null', '306'])
  })

  test.each(['wchc', 'wchp'])('%s keeps a watched text with line ends on one line', word => {
    const nasty = '/x\n0xdead\u001b[31m'
    const inspection = anInspection({
      *watchesBySession() {
        yield [{ session: a, path: nasty }]
      },
      *watchesByPath() {
        yield [{ path: nasty, sessions: [a] }]
      },
    })

    expect(ask(word, { inspection })).toContain('/x\\u000a0xdead\\u001b[31m')
  })

  test('wchc names a session once, however its watches are cut into parts', () => {
    const inspection = anInspection({
      *watchesBySession() {
        yield [{ session: a, path: '/1' }]
        yield []
        yield [
          { session: a, path: '/2' },
          { session: b, path: '/1' },
        ]
      },
    })

    expect(ask('wchc', { inspection })).toBe('0x100001d12000000\n\t/1\n\t/2\n0x100001d12000001\n\t/1\n\n')
  })

  test.each(['cons', 'stat', 'dump'])('%s lists any number of items, a thousand at a time', word => {
    const many = 150_500
    let made = 0
    const listed = function* <T>(itemOf: (i: number) => T): Generator<T, void> {
      for (let i = 0; i < many; i++) {
        made++
        yield itemOf(i)
      }
    }
    const inspection = anInspection({
      connectionCount: () => many,
      connections: () => listed(i => connection(i)),
      sessions: () => listed(i => ({ ...ofSession, session: sessionId(BigInt(i)), ownsEphemerals: i === 7 })),
      ephemeralsOf: () => listed(i => `/e${i}`),
    })

    const madeForEach: number[] = []
    let text = ''
    for (const part of answerTo(word, { inspection }) as Generator<string, void>) {
      madeForEach.push(made - madeForEach.reduce((sum, each) => sum + each, 0))
      text += part
    }

    expect(Math.max(...madeForEach)).toBe(1000)
    expect(text.match(/^(?: |\t\/e|\t0x|\tip:).*$/gm)?.length).toBe(made)
    if (word === 'dump') expect(text).toContain(`Sets (1)/(${many}):\n${many} expire at `)
  })

  test.each(['srvr', 'mntr'])('%s, which health checks ask for all day, makes no list', word => {
    const list = (): never => {
      throw new Error('the list was made')
    }
    const inspection = anInspection({ connectionCount: () => 10_000, connections: list, sessions: list })

    expect(ask(word, { inspection })).toContain('10000')
  })

  test('wchs counts any number of watches, and lists none', () => {
    const inspection = anInspection({
      watchCount: () => 1_500_000,
      dataWatchTotals: () => ({ connections: 50, paths: 1_000_000, watches: 1_000_000 }),
      watchesByPath: () => {
        throw new Error('the list was built')
      },
    })

    expect(ask('wchs', { inspection })).toBe('50 connections watching 1000000 paths\nTotal watches:1000000\n')
  })
})
