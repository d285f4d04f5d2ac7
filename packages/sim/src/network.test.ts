import { seededRandom } from '@corral/core'
import { describe, expect, test } from 'vitest'
import { type End, Network, type NetworkOptions } from './network.ts'
import { Scheduler } from './scheduler.ts'
import { Trace } from './trace.ts'

const calm: NetworkOptions = {
  minLatencyMs: 1,
  meanLatencyMs: 5,
  segmentation: 'whole',
  windowBytes: 1_000_000,
  clog: 0,
  maxClogMs: 10,
  break: 0,
  halfOpen: 0,
  refuse: 0,
}

interface Side {
  end: End | undefined
  readonly bytes: number[]
  readonly deliveries: number[]
  isClosed: boolean
  unsent: number
}

function aSide(): Side {
  return { end: undefined, bytes: [], deliveries: [], isClosed: false, unsent: 0 }
}

function handlerOf(side: Side) {
  return {
    received(bytes: Uint8Array): void {
      side.bytes.push(...bytes)
      side.deliveries.push(bytes.length)
    },
    closed(): void {
      side.isClosed = true
    },
    unsent(length: number): void {
      side.unsent = length
    },
  }
}

function aConnection(options: Partial<NetworkOptions> = {}, seed = 1) {
  const trace = new Trace()
  const scheduler = new Scheduler(trace)
  const network = new Network({
    scheduler,
    trace,
    random: seededRandom(seed),
    options: { ...calm, ...options },
  })
  const client = aSide()
  const server = aSide()
  network.listen(end => {
    server.end = end
    return handlerOf(server)
  })
  network.connect(end => {
    client.end = end
    return handlerOf(client)
  })
  const run = (untilMs = 1e9): void => {
    while (scheduler.pending > 0 && scheduler.step(untilMs));
  }
  run()
  return { network, scheduler, client, server, run, trace }
}

function message(length: number, first = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (first + i) & 0xff)
}

describe('an unbroken connection', () => {
  test.each(['whole', 'mixed', 'bytes'] as const)(
    '%s: bytes come in order, none missing, none twice',
    how => {
      for (let seed = 1; seed <= 20; seed++) {
        const { client, server, run } = aConnection({ segmentation: how, windowBytes: 100 }, seed)

        for (let i = 0; i < 10; i++) client.end?.send(message(30, i * 30))
        run()

        expect(server.bytes).toEqual([...message(300)])
      }
    },
  )

  test('single bytes are delivered one by one', () => {
    const { client, server, run } = aConnection({ segmentation: 'bytes' })

    client.end?.send(message(5))
    run()

    expect(server.deliveries).toEqual([1, 1, 1, 1, 1])
  })

  test('an orderly end comes after everything that was sent before it', () => {
    const { client, server, run } = aConnection({ segmentation: 'mixed', windowBytes: 10 })

    server.end?.send(message(100))
    server.end?.finish()
    run()

    expect(client.bytes.length).toBe(100)
    expect(client.isClosed).toBe(true)
    expect(server.isClosed).toBe(false)
  })
})

test('a reader that does not read fills the window, and the sender hears what waits', () => {
  const { client, server, run } = aConnection({ windowBytes: 64 })
  client.end?.setReading(false)

  server.end?.send(message(200))
  run()

  expect(client.bytes.length).toBe(0)
  expect(server.unsent).toBe(200 - 64)

  client.end?.setReading(true)
  run()

  expect(client.bytes).toEqual([...message(200)])
  expect(server.unsent).toBe(0)
})

test('a clogged direction stands still while the other one moves', () => {
  const { client, server, run, scheduler } = aConnection()
  client.end?.clog(5000)

  client.end?.send(message(10))
  server.end?.send(message(10))
  run(scheduler.nowMs + 1000)

  expect(server.bytes.length).toBe(0)
  expect(client.bytes.length).toBe(10)
  run()
  expect(server.bytes.length).toBe(10)
})

test('a break loses a suffix, of any length, and nothing in the middle', () => {
  const lengths = new Set<number>()
  for (let seed = 1; seed <= 200; seed++) {
    const { client, server, run, scheduler } = aConnection({ segmentation: 'mixed' }, seed)
    for (let i = 0; i < 10; i++) client.end?.send(message(5, i * 5))

    run(scheduler.nowMs + 4)
    client.end?.connection.break({ client: true, server: true })
    run()

    expect(server.bytes).toEqual([...message(server.bytes.length)])
    expect(server.isClosed && client.isClosed).toBe(true)
    lengths.add(server.bytes.length)
  }
  expect(lengths.size).toBeGreaterThan(20)
})

test('a half-open end learns of the break when it speaks', () => {
  const { client, server, run } = aConnection()
  client.end?.connection.break({ client: true, server: false })
  run()
  expect([client.isClosed, server.isClosed]).toEqual([true, false])

  server.end?.send(message(1))
  run()

  expect(server.isClosed).toBe(true)
})

test('nobody accepts where nobody listens', () => {
  const { network, run } = aConnection()
  network.listen(undefined)
  const results: (End | undefined)[] = []

  network.connect(end => {
    results.push(end)
    return undefined
  })
  run()

  expect(results).toEqual([undefined])
  expect(network.counters.refused).toBe(1)
})

test('one seed, one trace', () => {
  const hash = (seed: number): string => {
    const { client, server, run, trace } = aConnection({ segmentation: 'mixed', break: 0.05 }, seed)
    for (let i = 0; i < 50; i++) {
      client.end?.send(message(20))
      server.end?.send(message(20))
    }
    run()
    return trace.digest()
  }

  expect(hash(3)).toBe(hash(3))
  expect(hash(3)).not.toBe(hash(4))
})
