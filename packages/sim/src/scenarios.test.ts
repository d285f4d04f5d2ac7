/** What the simulation found, each boiled down to the few steps that it takes. */
import { defaultConfig } from '@corral/core'
import { CreateFlags, encodeUtf8, openAcl, type Request } from '@corral/protocol'
import { expect, test } from 'vitest'
import { Bench, syncMs } from '../test/bench.ts'
import { create } from './clients/generator.ts'

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
