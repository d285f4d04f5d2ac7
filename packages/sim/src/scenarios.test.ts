/** What the simulation found, each boiled down to the few steps that it takes. */
import { defaultConfig } from '@corral/core'
import { CreateFlags, encodeUtf8, openAcl, type Request } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { Bench, damage, syncMs } from '../test/bench.ts'
import { dial } from './clients/dialer.ts'
import { create } from './clients/generator.ts'
import { connectFrame } from './clients/handshake.ts'
import { zxidIn } from './commit-log.ts'

const value = encodeUtf8('x')

test('a request behind its connect request is logged without harm to the batch that made the session', () => {
  const bench = new Bench()
  bench.connect()
  bench.runFor(1000) // the log file is open from now on
  // One batch flies, the next waits with three sessions, and one more comes while that one flies.
  bench.connect()
  bench.runFor(1)
  const hands = ['/a', '/b', '/c'].map(path =>
    bench.connect([create(path, value), create(`${path}/x`, value)]),
  )
  bench.runFor(syncMs + 1)
  bench.connect()

  bench.runFor(100)

  expect(bench.server.violations).toEqual([])
  expect(hands.map(hand => hand.answers.map(({ header }) => header.err))).toEqual([
    [0, 0],
    [0, 0],
    [0, 0],
  ])
})

test('a snapshot keeps the timeout that a session was created with, not that of its last reconnect', () => {
  const bench = new Bench({ storage: { ...defaultConfig.storage, preAllocBytes: 4096, snapCount: 4 } })
  const hand = bench.connect([], 10_000)
  bench.runFor(100)
  const { session: sessionId, password } = hand
  dial(bench.network, undefined, 'again', {
    opened: line => line.send(connectFrame({ timeoutMs: 20_000, sessionId, password })),
    received: () => undefined,
    closed: () => undefined,
  })
  const timeouts = (): unknown => [...(bench.server.inspect()?.sessions() ?? [])].map(each => each.timeoutMs)
  bench.runFor(100)
  expect(timeouts()).toEqual([20_000])
  const other = bench.connect()
  for (let i = 0; i < 30; i++) {
    other.ask(create(`/n${i}`, value))
    bench.runFor(100)
  }
  const snapshots = bench.disk.volume.names('data').filter(name => name.startsWith('snapshot.'))
  expect(snapshots.length).toBeGreaterThan(2)
  bench.server.isRestarting = false
  bench.server.crash('kill')

  bench.start()

  expect(bench.server.violations).toEqual([])
  expect(timeouts()).toEqual([10_000, 10_000])
})

test('a TTL znode with a change on its way is not removed for its old age', () => {
  const bench = new Bench({ container: { ...defaultConfig.container, checkIntervalMs: 100 } })
  const made: Request = {
    kind: 'createTtl',
    path: '/t',
    data: value,
    acl: openAcl,
    flags: CreateFlags.PersistentWithTtl,
    ttlMs: 1000,
  }
  const hand = bench.connect([made])
  bench.runFor(950)
  bench.disk.options = { ...bench.disk.options, slowSyncMs: 300 }

  // Renewed in time, and durable only after its time.
  hand.ask({ kind: 'setData', path: '/t', data: value, version: -1 })
  bench.runFor(900)
  hand.ask({ kind: 'exists', path: '/t', watch: false })
  bench.runFor(900)

  expect(hand.answers.map(({ header }) => header.err)).toEqual([0, 0, 0])
})

test('a session id is not used again when the clock goes back and the session is forgotten', () => {
  const storage = { ...defaultConfig.storage, preAllocBytes: 0, snapCount: 2, purge: { retainCount: 1 } }
  const bench = new Bench({ storage })
  const seen: bigint[] = []
  for (let round = 0; round < 4; round++) {
    const writer = bench.connect([create(`/n${round}`, value)])
    bench.runFor(100)
    const guests = [1, 2, 3].map(() => bench.connect([{ kind: 'closeSession' }]))
    bench.runFor(200)
    seen.push(writer.session, ...guests.map(guest => guest.session))
    // Snapshots that know nothing of the guests, and no log from before them.
    for (let i = 0; i < 20; i++) {
      writer.ask({ kind: 'setData', path: `/n${round}`, data: value, version: -1 })
      bench.runFor(100)
    }
    bench.server.stepWallClock(-3_600_000)
    bench.server.isRestarting = false
    bench.server.crash('kill')
    bench.start()
  }

  expect(new Set(seen).size).toBe(16)
})

describe('damage to acknowledged bytes', () => {
  /** A server that has written a while, and is gone; the file that holds its last records. */
  function aWrittenDisk(
    snapCount: number,
    end: 'stop' | 'kill' = 'kill',
  ): { readonly bench: Bench; readonly log: string } {
    const storage = { ...defaultConfig.storage, preAllocBytes: 4096, snapCount, purge: undefined }
    const bench = new Bench({ storage })
    const hand = bench.connect(Array.from({ length: 20 }, (_, i) => create(`/n${i}`, value)))
    for (let i = 0; i < 20; i++) {
      bench.runFor(100)
      hand.ask({ kind: 'setData', path: `/n${i}`, data: value, version: -1 })
    }
    bench.runFor(1000)
    bench.server.isRestarting = false
    if (end === 'kill') bench.server.crash('kill')
    else bench.server.stop()
    bench.runFor(1000)
    const logs = bench.disk.volume.names('log').filter(name => name.startsWith('log.'))
    logs.sort((a, b) => Number(BigInt(`0x${a.slice(4)}`) - BigInt(`0x${b.slice(4)}`)))
    return { bench, log: logs.at(-1) ?? '' }
  }

  function restart(bench: Bench): string {
    bench.server.boot()
    bench.runFor(5000)
    return bench.server.isServing ? 'serves' : (bench.server.fatalReason ?? 'is silent')
  }

  /** The bytes of the last log that records lie on, without those of their length words. */
  function recordBytes(content: Uint8Array): readonly number[] {
    const view = new DataView(content.buffer, content.byteOffset, content.length)
    const places: number[] = []
    for (let at = 16; at + 12 < content.length && view.getInt32(at + 8) > 0; ) {
      const end = at + 13 + view.getInt32(at + 8)
      for (let i = at; i < end; i++) if (i < at + 8 || i >= at + 12) places.push(i)
      at = end
    }
    return places
  }

  test.each(['stop', 'kill'] as const)(
    'wherever a bit of a record is flipped after a %s, nothing is lost silently',
    end => {
      const { bench: whole, log } = aWrittenDisk(100_000, end)
      const written = whole.log.count
      const places = recordBytes(whole.disk.volume.content('log', log) ?? new Uint8Array(0))
      let refusals = 0
      for (let i = 0; i < places.length; i += 41) {
        const at = places[i] ?? 0
        const { bench } = aWrittenDisk(100_000, end)
        const byte = bench.disk.volume.content('log', log)?.[at] ?? 0
        damage(bench.disk, { dir: 'log', name: log, at }, Uint8Array.of(byte ^ 0x10))

        const outcome = restart(bench)

        if (outcome === 'serves') {
          // Of the last record alone it cannot be told whether anybody knew of it.
          expect(bench.server.inspect()?.lastZxid()).toBeGreaterThanOrEqual(BigInt(written - 1))
        } else {
          expect(outcome).toContain(log)
          refusals++
        }
      }
      expect(refusals).toBeGreaterThan(20)
    },
  )

  test('zeros among the records of a run that ended in order are refused, with file and place', () => {
    const { bench, log } = aWrittenDisk(100_000, 'stop')

    damage(bench.disk, { dir: 'log', name: log, at: 512 }, new Uint8Array(512))

    expect(restart(bench)).toMatch(new RegExp(`${log} is damaged.*at byte \\d+, after zxid 0x`))
  })

  test('a damaged newest snapshot costs nothing while an older one and the logs are there', () => {
    const { bench } = aWrittenDisk(10)
    const written = bench.log.count
    const snapshots = bench.disk.volume.names('data').filter(name => name.startsWith('snapshot.'))
    snapshots.sort((a, b) => Number(BigInt(`0x${a.slice(9)}`) - BigInt(`0x${b.slice(9)}`)))
    expect(snapshots.length).toBeGreaterThan(1)
    damage(bench.disk, { dir: 'data', name: snapshots.at(-1) ?? '', at: 200 }, new Uint8Array(64).fill(0xff))

    expect(restart(bench)).toBe('serves')
    expect(bench.server.inspect()?.lastZxid()).toBe(BigInt(written))
    expect(bench.server.counters.said.get('a snapshot cannot be used')).toBe(1)
  })

  test('a damaged newest snapshot is missed where the logs behind an older one do not reach it', () => {
    const { bench } = aWrittenDisk(10)
    const snapshots = bench.disk.volume.names('data').filter(name => name.startsWith('snapshot.'))
    snapshots.sort((a, b) => Number(zxidIn(a) - zxidIn(b)))
    for (const name of bench.disk.volume.names('log').filter(each => each.startsWith('log.'))) {
      bench.disk.volume.destroy('log', name)
    }
    const newest = snapshots.at(-1) ?? ''
    damage(bench.disk, { dir: 'data', name: newest, at: 200 }, new Uint8Array(64).fill(0xff))

    expect(restart(bench)).toContain(newest)
  })

  test('a log file that is gone from the middle is refused', () => {
    const storage = {
      ...defaultConfig.storage,
      preAllocBytes: 0,
      txnLogSizeLimitBytes: 500,
      purge: undefined,
    }
    const bench = new Bench({ storage })
    const hand = bench.connect([create('/n', value)])
    for (let i = 0; i < 40; i++) {
      bench.runFor(100)
      hand.ask({ kind: 'setData', path: '/n', data: value, version: -1 })
    }
    bench.runFor(1000)
    bench.server.isRestarting = false
    bench.server.crash('kill')
    const logs = bench.disk.volume.names('log').filter(name => name.startsWith('log.'))
    expect(logs.length).toBeGreaterThan(2)
    logs.sort((a, b) => Number(BigInt(`0x${a.slice(4)}`) - BigInt(`0x${b.slice(4)}`)))

    bench.disk.volume.destroy('log', logs[1] ?? '')

    expect(restart(bench)).not.toBe('serves')
  })

  test('a write that landed elsewhere is found at the next start', () => {
    let refusals = 0
    for (let at = 16; at < 400; at += 61) {
      const { bench, log } = aWrittenDisk(100_000)
      // The last record lies on top of older ones, and where it belongs there are zeros.
      const content = bench.disk.volume.content('log', log) ?? new Uint8Array(0)
      const end = content.findLastIndex(byte => byte !== 0) + 1
      const record = content.slice(end - 72, end)
      damage(bench.disk, { dir: 'log', name: log, at: end - 72 }, new Uint8Array(72))
      damage(bench.disk, { dir: 'log', name: log, at }, record)

      if (restart(bench) !== 'serves') refusals++
    }
    expect(refusals).toBe(7)
  })
})
