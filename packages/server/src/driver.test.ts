import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { ConnId, DiskCall, Effect, Event, Inspection, Now, OpId } from '@corral/core'
import { afterEach, describe, expect, test } from 'vitest'
import { Driver, type DriverParts } from './driver.ts'
import { ChunkPool } from './io/chunk-pool.ts'
import { ClientSockets } from './io/net.ts'

/** A machine that answers with what the test wants, and notes what it was told. */
interface Fake {
  readonly driver: Driver
  readonly events: Event[]
  readonly said: string[]
  readonly calls: { readonly op: OpId; readonly call: DiskCall }[]
  /** Resolves when such an event happens. */
  until(isIt: (event: Event) => boolean): Promise<void>
}

type Decide = (event: Event, fake: Fake) => readonly Effect[]

function aDriver(decide: Decide, more: Partial<DriverParts> = {}): Fake {
  const events: Event[] = []
  const said: string[] = []
  const calls: Fake['calls'] = []
  const awaited: { readonly isIt: (event: Event) => boolean; readonly tell: () => void }[] = []
  let isInside = false
  const pool = new ChunkPool()
  const driver: Driver = new Driver({
    machine: {
      step(_now: Now, event: Event): readonly Effect[] {
        expect(isInside).toBe(false)
        isInside = true
        events.push(event)
        for (const { isIt, tell } of awaited) if (isIt(event)) tell()
        const effects = decide(event, fake)
        isInside = false
        return effects
      },
      inspect: () => ({}) as Inspection,
    },
    sockets: new ClientSockets({ pool }),
    pool,
    disk: {
      perform(op: OpId, call: DiskCall): void {
        calls.push({ op, call })
        driver.diskDone(op, { ok: true }) // at once, inside the step's effects
      },
      close: () => Promise.resolve(),
    },
    desk: { answer: () => '' },
    clock: { now: () => ({ monotonicMs: performance.now(), wallMs: 0 }) },
    tickTimeMs: 1,
    say: (_level, what) => said.push(what),
    ...more,
  })
  const until: Fake['until'] = isIt => new Promise(tell => awaited.push({ isIt, tell }))
  const fake: Fake = { driver, events, said, calls, until }
  return fake
}

function kindsOf({ events }: Fake): string[] {
  return events.map(({ kind }) => kind).filter(kind => kind !== 'tick')
}

describe('order', () => {
  test('what happens while effects are carried out is the next step, not a nested one', () => {
    const fake = aDriver(event => {
      if (event.kind === 'start') {
        return [
          { kind: 'disk', op: 1, do: { call: 'list', dir: 'log' } },
          { kind: 'say', level: 'info', what: 'after the call', fields: {} },
        ]
      }
      if (event.kind === 'diskDone') return [{ kind: 'say', level: 'info', what: 'done', fields: {} }]
      return []
    })

    fake.driver.start()
    fake.driver.stop()

    expect(fake.said).toEqual(['after the call', 'done'])
    expect(kindsOf(fake)).toEqual(['start', 'diskDone', 'stop'])
  })

  test('a turn that was asked for many times ends once', async () => {
    const turnEnded = withResolvers<void>()
    const fake = aDriver(event => {
      if (event.kind === 'turnEnded') turnEnded.resolve()
      return event.kind === 'unsent' ? [{ kind: 'askTurn' }] : []
    })

    for (let conn: ConnId = 1; conn <= 3; conn++) fake.driver.unsent(conn, 0)
    await turnEnded.promise
    await new Promise(setImmediate)

    expect(kindsOf(fake)).toEqual(['unsent', 'unsent', 'unsent', 'turnEnded'])
  })
})

describe('ticks', () => {
  test('the lag of the loop is told', async () => {
    const ticked = withResolvers<number>()
    const fake = aDriver(event => {
      if (event.kind !== 'tick') return []
      ticked.resolve(event.stalledMs)
      return [{ kind: 'stopped' }]
    })

    fake.driver.start()
    const stallEndsAt = performance.now() + 30
    while (performance.now() < stallEndsAt); // the loop stands still

    expect(await ticked.promise).toBeGreaterThan(25)
    expect(await fake.driver.ended).toEqual({ kind: 'stopped' })
  })

  test('there is none after the end', async () => {
    const fake = aDriver(() => [{ kind: 'stopped' }])

    fake.driver.start()
    await fake.driver.ended
    fake.driver.closed(1)
    await new Promise(resolve => setTimeout(resolve, 3))

    expect(fake.events.map(({ kind }) => kind)).toEqual(['start'])
  })
})

describe('ends', () => {
  test('after a fatal effect nothing more is carried out', async () => {
    const fake = aDriver(() => [
      { kind: 'fatal', exitCode: 10, reason: 'the disk said no' },
      { kind: 'disk', op: 1, do: { call: 'list', dir: 'log' } },
    ])

    fake.driver.start()
    fake.driver.stop()

    expect(await fake.driver.ended).toEqual({ kind: 'fatal', exitCode: 10, reason: 'the disk said no' })
    expect(fake.calls).toEqual([])
    expect(kindsOf(fake)).toEqual(['start'])
  })
})

describe('an answer in parts', () => {
  async function asked(parts: () => Generator<string, void>): Promise<{ fake: Fake; peer: Socket }> {
    const pool = new ChunkPool()
    const sockets = new ClientSockets({ pool })
    const decide: Decide = event =>
      event.kind === 'received'
        ? [{ kind: 'command', conn: event.conn, word: 0, argument: new Uint8Array(0) }]
        : []
    const fake = aDriver(decide, { sockets, pool, desk: { answer: parts } })
    const { port } = await sockets.listen(
      { host: '127.0.0.1', port: 0, backlog: undefined, hasKeepAlive: false },
      fake.driver,
    )
    stops.push(() => sockets.abort())
    const peer = connect(port, '127.0.0.1')
    peer.on('error', () => undefined)
    peer.write('word')
    return { fake, peer }
  }

  const stops: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop()
  })

  test('is sent to its end, and steps go on between its parts', async () => {
    let isStepSeen = false
    const { fake, peer } = await asked(function* () {
      yield 'first '
      fake.driver.unsent(99, 0) // an event of another connection
      yield 'second '
      isStepSeen = fake.events.some(event => event.kind === 'unsent' && event.conn === 99)
      yield ''
      yield 'third'
    })

    expect(await text(peer)).toBe('first second third')
    expect(isStepSeen).toBe(true)
    expect(kindsOf(fake).at(-1)).toBe('closed')
  })

  test('waits for a peer that does not read, and ends with it', async () => {
    let madeTooEarly = 0
    const ended = withResolvers<void>()
    const { fake, peer } = await asked(function* () {
      try {
        for (;;) {
          const unsent = fake.events.findLast(event => event.kind === 'unsent')?.lengthBytes ?? 0
          if (unsent > 0) madeTooEarly++
          yield 'x'.repeat(1_000_000)
        }
      } finally {
        ended.resolve()
      }
    })
    peer.pause()
    await fake.until(event => event.kind === 'unsent' && event.lengthBytes > 0)
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)

    expect(madeTooEarly).toBe(0)
    peer.destroy()
    await ended.promise
  })
})

function withResolvers<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve!: (value: T) => void
  const promise = new Promise<T>(settle => {
    resolve = settle
  })
  return { promise, resolve }
}
