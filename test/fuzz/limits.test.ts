/** Requests that fit a frame and whose consequences would not fit anywhere. */
import {
  type Acl,
  AddWatchMode,
  ErrorCode,
  type MultiOp,
  type Request,
  Writer,
  writeRequestFrame,
  zxid,
} from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { client, creating, eventsOf } from './client-lines.ts'
import { SyncDisk } from './sync-disk.ts'
import { type Line, WatchedServer } from './watched-server.ts'

function mustRestart(watched: WatchedServer): WatchedServer {
  const again = new WatchedServer({ disk: new SyncDisk(watched.disk.files) })
  expect(again.fatal).toBeUndefined()
  expect(again.server.inspect().znodeCount()).toBe(watched.server.inspect().znodeCount())
  expect(again.server.inspect().storage().digestMismatches).toBe(0)
  return again
}

describe('a txn is never longer than what the log reads back', () => {
  const mine: readonly Acl[] = [{ perms: 31, scheme: 'auth', id: '' }]

  function authenticated(users: number): { readonly watched: WatchedServer; readonly line: Line } {
    const watched = new WatchedServer()
    const line = client(watched)
    for (let i = 0; i < users; i++) {
      watched.ask(line, -4, {
        kind: 'auth',
        scheme: 'digest',
        auth: Buffer.from(`${i}${'u'.repeat(1000)}:p`),
      })
    }
    return { watched, line }
  }

  test('auth entries times ids in one ACL', () => {
    const { watched, line } = authenticated(60)
    const acl = Array.from({ length: 5000 }, (_, perms) => ({ perms, scheme: 'auth', id: '' }))

    const { err } = watched.ask(line, 1, creating('/x', { acl }))

    expect(err).toBe(ErrorCode.InvalidAcl)
    mustRestart(watched)
  })

  test('the same with the least room that can be configured', () => {
    const config = { maxFrameBytes: 20_000, extraFrameBytes: 0 }
    const watched = new WatchedServer({ config })
    const line = client(watched)
    for (let i = 0; i < 20; i++) {
      watched.ask(line, -4, { kind: 'auth', scheme: 'digest', auth: Buffer.from(`user${i}:p`) })
    }
    const data = new Uint8Array(19_900)

    const { err } = watched.ask(line, 1, creating('/x', { data, acl: mine }))
    const multi = watched.ask(line, 2, {
      kind: 'multi',
      ops: [creating('/y', { data: data.subarray(99), acl: mine })],
    })

    expect([err, multi.err]).toEqual([ErrorCode.InvalidAcl, ErrorCode.Ok])
    expect(watched.server.inspect().znodeCount()).toBe(4)
  })

  test('auth entries times ops of a multi', () => {
    const { watched, line } = authenticated(10)
    const ops = Array.from({ length: 10_000 }, (_, i) => creating(`/${i}`, { acl: mine }))

    const tooLong = watched.ask(line, 1, { kind: 'multi', ops })
    const fitting = watched.ask(line, 2, { kind: 'multi', ops: ops.slice(0, 100) })

    expect([tooLong.err, fitting.err]).toEqual([ErrorCode.MarshallingError, ErrorCode.Ok])
    expect(watched.server.inspect().znodeCount()).toBe(104)
    mustRestart(watched)
  })

  test('a long multi that fails late', () => {
    const { watched, line } = authenticated(10)
    const long = Array.from({ length: 150 }, (_, i) => creating(`/${i}`, { acl: mine }))
    const failing: MultiOp = { kind: 'check', path: '/none', version: 0 }
    const rest = Array.from({ length: 50_000 }, (): MultiOp => ({ kind: 'check', path: '/', version: 0 }))

    for (let count = 100; count <= 150; count += 10) {
      watched.ask(line, count, { kind: 'multi', ops: [...long.slice(0, count), failing, ...rest] })
      expect(line.isClosed).toBe(false)
    }

    expect(watched.server.inspect().znodeCount()).toBe(4)
    mustRestart(watched)
  })

  test('a session with more ephemerals than a txn can name is closed, and the next start agrees', () => {
    const watched = new WatchedServer()
    const line = client(watched)
    const name = 'n'.repeat(900)
    for (let batch = 0; batch < 30; batch++) {
      const w = new Writer()
      for (let i = 0; i < 100; i++)
        writeRequestFrame(w, 1 + i, creating(`/${name}${batch}-${i}`, { flags: 1 }))
      watched.send(line, w.written())
      watched.settle()
    }
    expect(watched.server.inspect().ephemeralCount()).toBe(3000)

    watched.hangUp(line)
    watched.pass(70_000)
    watched.settle()

    expect(watched.server.inspect().ephemeralCount()).toBe(0)
    expect(watched.server.inspect().sessionCount()).toBe(0)
    expect(mustRestart(watched).server.inspect().ephemeralCount()).toBe(0)
  })
})

test('reads that waited behind a write are not answered beyond what a connection may have unsent', () => {
  const watched = new WatchedServer({ config: { unsentLimitBytes: 8 * 1024 * 1024 } })
  const line = client(watched)
  watched.ask(line, 1, creating('/big', { data: new Uint8Array(1_000_000) }))
  const w = new Writer()
  writeRequestFrame(w, 2, { kind: 'setData', path: '/', data: null, version: -1 })
  for (let i = 0; i < 900; i++) writeRequestFrame(w, 3 + i, { kind: 'getData', path: '/big', watch: false })

  watched.send(line, w.written())
  watched.settle()

  expect(watched.largestStepBytes).toBeLessThan(10 * 1024 * 1024)
  expect(watched.largestHeldBytes).toBeLessThan(40 * 1024 * 1024)
})

describe('no step is long', () => {
  const paths = Array.from({ length: 100_000 }, (_, i) => `/${i.toString(36)}`)
  const change = (path: string): Request => ({ kind: 'setData', path, data: null, version: -1 })
  const missing = { kind: 'setWatches', relativeZxid: zxid(0n), exist: [], child: [] } as const

  test('a setWatches of 100,000 paths is done in parts, and answered once, behind its events', () => {
    const watched = new WatchedServer()
    const line = client(watched)
    line.frames.length = 0

    const { err } = watched.ask(line, 1, { ...missing, data: paths })

    expect(err).toBe(ErrorCode.Ok)
    expect(line.frames.map(xidOf)).toEqual([...paths.map(() => -1), 1])
    expect(watched.largestStepBytes).toBeLessThan(1024 * 1024)
  })

  test('what others change between the parts is told once, whether its turn has come or not', () => {
    const watched = new WatchedServer()
    const [line, other] = [client(watched), watched.open(2)]
    watched.connect(other)
    watched.ask(other, 1, creating('/early'))
    watched.ask(other, 2, creating('/late'))
    const { zxid: seen } = watched.ask(line, 1, { kind: 'exists', path: '/', watch: false })

    watched.request(line, 2, {
      kind: 'setWatches',
      relativeZxid: zxid(seen),
      data: ['/early'],
      exist: paths.slice(0, 90_000),
      child: ['/late'],
    })
    watched.request(other, 3, change('/early'))
    watched.turn()
    watched.diskOnce()
    watched.request(other, 4, creating('/late/child'))
    watched.turn()
    watched.diskOnce()
    const soFar = eventsOf(line)
    watched.settle()

    expect(soFar).toEqual(['NodeDataChanged /early'])
    expect(eventsOf(line)).toEqual(['NodeDataChanged /early', 'NodeChildrenChanged /late'])
    expect(line.frames.slice(2).map(xidOf)).toEqual([-1, -1, 2])
  })

  test('what is pipelined behind a long setWatches keeps its place', () => {
    const watched = new WatchedServer()
    const line = client(watched)
    watched.ask(line, 1, creating('/w'))
    line.frames.length = 0
    const w = new Writer()
    writeRequestFrame(w, 2, change('/w'))
    writeRequestFrame(w, 3, { ...missing, data: paths.slice(0, 90_000) })
    writeRequestFrame(w, 4, change('/w'))
    writeRequestFrame(w, 5, { kind: 'exists', path: '/w', watch: false })

    watched.send(line, w.written())
    watched.settle()

    expect(line.frames.map(xidOf).filter(xid => xid > 0)).toEqual([2, 3, 4, 5])
    expect(line.frames.map(xidOf).indexOf(3)).toBe(90_001)
    expect(watched.largestStepBytes).toBeLessThan(1024 * 1024)
  })

  test('large reads between two writes are made in several steps, and the second write waits for them', () => {
    const watched = new WatchedServer()
    const line = client(watched)
    watched.ask(line, 1, creating('/big', { data: new Uint8Array(900_000) }))
    line.frames.length = 0
    const w = new Writer()
    writeRequestFrame(w, 2, change('/'))
    for (let i = 0; i < 20; i++) writeRequestFrame(w, 3 + i, { kind: 'getData', path: '/big', watch: false })
    writeRequestFrame(w, 23, change('/big'))
    writeRequestFrame(w, 24, { kind: 'getData', path: '/big', watch: false })

    watched.send(line, w.written())
    watched.settle()

    expect(line.frames.map(xidOf)).toEqual(Array.from({ length: 23 }, (_, i) => 2 + i))
    expect(line.frames.slice(1, 21).every(frame => frame.length > 900_000)).toBe(true)
    expect(line.frames.at(-1)?.length).toBeLessThan(200)
    expect(watched.largestStepBytes).toBeLessThan(3 * 1024 * 1024)
  })

  test('the watches of a connection that is gone are forgotten in parts, and its successor hears of none', () => {
    const watched = new WatchedServer()
    const line = client(watched)
    for (let round = 0; round < 2; round++) {
      const exist = paths.slice(0, 70_000).map(path => `${path}-${round}`)
      watched.ask(line, 1 + round, { ...missing, data: [], exist })
    }
    const atOnce = watched.server.inspect().watchCount()

    watched.hangUp(line)
    const left = watched.server.inspect().watchCount()
    const next = client(watched, 2)
    watched.ask(next, 1, creating(`${paths[0]}-0`))

    expect([atOnce, left]).toEqual([140_000, 120_000])
    expect(watched.server.inspect().watchCount()).toBe(0)
    expect(eventsOf(next)).toEqual([])
  })

  test('a batch that very many are told of is applied in many steps', () => {
    const watched = new WatchedServer({ config: { maxClientCnxns: 0 } })
    const line = client(watched)
    watched.ask(line, 1, creating('/w'))
    const watchers = Array.from({ length: 1000 }, (_, i) => watched.open(2 + i))
    for (const watcher of watchers) {
      watched.connect(watcher)
      watched.ask(watcher, 1, { kind: 'addWatch', path: '/w', mode: AddWatchMode.Persistent })
      watcher.frames.length = 0
    }
    const w = new Writer()
    for (let i = 0; i < 200; i++) writeRequestFrame(w, 2 + i, change('/w'))

    watched.send(line, w.written())
    watched.settle()

    expect(line.frames.map(xidOf).slice(-200)).toEqual(Array.from({ length: 200 }, (_, i) => 2 + i))
    for (const watcher of watchers) expect(watcher.frames.length).toBe(200)
    expect(watched.largestStepBytes).toBeLessThan(2 * 1024 * 1024)
  })
})

function xidOf(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset).getInt32(0)
}
