/** Requests that fit a frame and whose consequences would not fit anywhere. */
import {
  type Acl,
  ErrorCode,
  type MultiOp,
  OpCode,
  openAcl,
  type Request,
  Writer,
  writeRequestFrame,
} from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { SyncDisk } from './sync-disk.ts'
import { type Line, WatchedServer } from './watched-server.ts'

function client(watched: WatchedServer): Line {
  const line = watched.open(1)
  watched.connect(line, { timeoutMs: 60_000 })
  return line
}

function creating(path: string, how: Partial<Extract<Request, { kind: 'create' }>> = {}): MultiOp {
  return { kind: 'create', op: OpCode.Create, path, data: null, acl: openAcl, flags: 0, ...how }
}

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
    expect(watched.server.inspect().sessions()).toEqual([])
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
