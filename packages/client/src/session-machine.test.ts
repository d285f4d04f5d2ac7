import {
  decodeUtf8,
  ErrorCode,
  EventType,
  encodeUtf8,
  type Request,
  sessionId,
  WatcherType,
  Writer,
  Xid,
  zxid,
} from '@corral/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  dataBody,
  drawing,
  eventFrame,
  joined,
  MachineRun,
  noBody,
  replyFrame,
  responseFrame,
  statBody,
} from '../test/machine-run.ts'
import { nextXid } from './call-queue.ts'
import type { SessionConfig, SessionEffect } from './session-events.ts'

const getA: Request = { kind: 'getData', path: '/a', watch: false }
const watchA: Request = { kind: 'getData', path: '/a', watch: true }
const existsA: Request = { kind: 'exists', path: '/a', watch: true }
const addWatchA: Request = { kind: 'addWatch', path: '/a', mode: 0 }
const addWatchBody = { kind: 'error', err: 0 } as const

function connectedRun(config: ConstructorParameters<typeof MachineRun>[0] = {}): MachineRun {
  const run = new MachineRun(config)
  run.connected()
  run.take()
  return run
}

describe('connecting', () => {
  const servers = ['a', 'b', 'c'].map(host => ({ host, port: 2181 }))

  test('the first attempt comes at once, at a server that chance picks', () => {
    const picked = [
      [0, 0.999],
      [0, 0],
      [0.999, 0.999],
    ].map(parts => {
      const run = new MachineRun({ servers, random: drawing(...parts) })
      run.start()
      return run.of('connect').map(effect => effect.server.host)
    })

    expect(picked).toEqual([['c'], ['b'], ['a']])
  })

  test('each later attempt takes the next server, after a random pause', () => {
    const run = new MachineRun({ servers, random: drawing(0.999, 0.999, 0.25, 0.75, 0.5) })
    run.start()

    const begun = run.nowMs
    const attempts: [string, number][] = []
    for (let i = 0; i < 3; i++) {
      run.take()
      run.broken()
      run.advance(run.machine.deadlineMs - run.nowMs)
      attempts.push([run.of('connect')[0]?.server.host ?? '', run.nowMs - begun])
    }

    expect(attempts).toEqual([
      ['b', 250],
      ['c', 1000],
      ['a', 1500],
    ])
  })

  test('an attempt that hangs is given up after its share of the timeout', () => {
    const run = new MachineRun({ servers })
    run.start()

    run.advance(9_999)
    expect(run.of('disconnect')).toEqual([])
    run.advance(1)
    expect(run.of('disconnect')).toEqual([{ kind: 'disconnect', connection: 1 }])

    run.advance(1000)
    run.opened()
    run.advance(9_999)
    expect(run.of('disconnect')).toHaveLength(1)
    run.advance(1)
    expect(run.of('disconnect')).toHaveLength(2)
  })

  test('nothing but the handshake is written before it is answered; then auth, watches and waiting calls', () => {
    const run = connectedRun()
    run.step({ kind: 'auth', call: run.nextCall(), scheme: 'digest', auth: null })
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.received(replyFrame(Xid.Auth, 0), replyFrame(1, 5, dataBody))
    run.broken()
    run.take()
    run.advance(1000)

    run.call(getA)
    run.opened()
    run.step({ kind: 'auth', call: run.nextCall(), scheme: 'ip', auth: null })
    run.call({ kind: 'sync', path: '/' })
    expect(run.frames()).toHaveLength(1)
    expect(run.sentHandshake()).toMatchObject({ sessionId: 7n, lastZxidSeen: 5n, timeoutMs: 30_000 })

    run.take()
    run.received(responseFrame())

    expect(run.of('send')).toHaveLength(1)
    expect(run.sent().map(({ xid, request }) => [xid, request.kind])).toEqual([
      [Xid.Auth, 'auth'],
      [Xid.Auth, 'auth'],
      [Xid.SetWatches, 'setWatches'],
      [2, 'getData'],
      [3, 'sync'],
    ])
  })

  test('the granted timeout rules from the handshake on', () => {
    const run = new MachineRun({ sessionTimeoutMs: 1000 })
    run.connected({ timeoutMs: 6000 })

    expect(run.machine.sessionTimeoutMs).toBe(6000)
    expect(run.machine.deadlineMs).toBe(run.nowMs + 1000)
  })

  test('an answer without a timeout ends the session', () => {
    const run = connectedRun()
    run.broken()
    run.take()
    const call = run.call(getA)
    run.advance(1000)
    run.opened()

    run.received(responseFrame({ timeoutMs: 0, sessionId: sessionId(0n) }))

    expect(run.of('state').map(effect => effect.state)).toEqual(['expired'])
    expect(run.outcomes()).toEqual([[call, ErrorCode.SessionExpired]])
    expect(run.machine.deadlineMs).toBe(Infinity)
  })

  test('an answer for another session ends this one', () => {
    const run = connectedRun()
    run.broken()
    run.advance(1000)
    run.opened()

    run.received(responseFrame({ sessionId: sessionId(8n) }))

    expect(run.machine.state).toBe('expired')
  })

  test('a session from elsewhere is presented with its password', () => {
    const password = new Uint8Array(16).fill(3)
    const run = new MachineRun({ session: { id: sessionId(99n), password } })
    run.start()
    run.opened()

    expect(run.sentHandshake()).toMatchObject({ sessionId: 99n, password })
  })

  test('events of an older connection change nothing', () => {
    const run = connectedRun()
    run.broken()
    run.advance(1000)
    run.opened()
    run.take()

    run.step({ kind: 'opened', connection: 1 })
    run.step({ kind: 'closed', connection: 1, reason: 'late' })
    const late = responseFrame()
    run.step({ kind: 'received', connection: 1, bytes: late, from: 0, to: late.length })

    expect(run.effects).toEqual([])
  })

  test('a read-only server is refused unless asked for, and its session is not shown to others', () => {
    const strict = new MachineRun()
    strict.connected({ readOnly: true })
    expect(strict.of('state')).toEqual([])
    expect(strict.of('disconnect')).toHaveLength(1)
    expect(strict.machine.lastFailure).toBe('a:2181: the server is read-only, which was not asked for')

    const run = new MachineRun({ canBeReadOnly: true })
    run.connected({ readOnly: true })
    expect(run.machine.state).toBe('connectedReadOnly')
    run.broken()
    run.advance(1000)
    run.take()
    run.opened()
    expect(run.sentHandshake()).toMatchObject({ sessionId: 0n, readOnly: true })

    run.received(responseFrame({ sessionId: sessionId(8n) }))
    expect(run.machine.state).toBe('connected')
    expect(run.machine.sessionId).toBe(8n)
  })
})

describe('a session that is served read-only', () => {
  const servers = ['a', 'b', 'c'].map(host => ({ host, port: 2181 }))

  function readOnlyRun(given: Partial<SessionConfig> = {}): MachineRun {
    const run = new MachineRun({ canBeReadOnly: true, servers, random: drawing(0.99), ...given })
    run.connected({ readOnly: true })
    run.take()
    return run
  }

  const asked = (run: MachineRun): string[] => run.of('connect').map(({ server }) => server.host)
  const answered = (run: MachineRun, text: string): void => {
    run.opened()
    run.received(encodeUtf8(text))
    run.step({ kind: 'closed', connection: run.connection, reason: 'done' })
  }

  test('asks the others in turn, after pauses that double, and stays where it is', () => {
    const run = readOnlyRun()
    run.advance(99)
    expect(asked(run)).toEqual([])
    run.advance(1)
    expect(asked(run)).toEqual(['b'])
    run.take()
    run.opened()
    expect(run.of('send').map(({ bytes }) => decodeUtf8(bytes))).toEqual(['isro'])

    run.received(encodeUtf8('ro'))
    run.step({ kind: 'closed', connection: run.connection, reason: 'done' })
    run.advance(199)
    expect(asked(run)).toEqual([])
    run.advance(1)
    expect(asked(run)).toEqual(['c'])
    run.step({ kind: 'closed', connection: run.connection, reason: 'refused' })
    run.advance(400)

    expect(asked(run)).toEqual(['c', 'b'])
    expect(run.machine.state).toBe('connectedReadOnly')
  })

  test('goes to the first that can be written to, at once', () => {
    const run = readOnlyRun()
    const lost = run.call(getA)
    run.advance(100)
    run.opened()
    run.take()

    run.received(encodeUtf8('r'))
    run.received(encodeUtf8('w'))
    run.advance(0)

    expect(run.of('disconnect')).toHaveLength(2)
    expect(run.outcomes()).toEqual([[lost, ErrorCode.ConnectionLoss]])
    expect(asked(run)).toEqual(['b'])
    run.connected({ sessionId: sessionId(8n) })
    expect(run.machine.state).toBe('connected')
    run.take()
    run.advance(5_000)
    expect(asked(run)).toEqual([])
  })

  test('gives up one that says nothing, and whatever says something else', () => {
    const run = readOnlyRun()
    run.advance(100)
    run.opened()
    run.advance(1000)
    expect(run.of('disconnect')).toHaveLength(1)
    run.advance(200)
    answered(run, 'isro is not executed because it is not in the whitelist.')

    expect(run.machine.state).toBe('connectedReadOnly')
  })

  test('hangs up when it is closed, and asks nobody when there is nobody else', () => {
    const run = readOnlyRun()
    run.advance(100)
    run.step({ kind: 'close' })
    expect(run.of('disconnect').map(({ connection }) => connection)).toContain(run.connection)

    const alone = readOnlyRun({ servers: servers.slice(0, 1) })
    alone.advance(5_000)
    expect(asked(alone)).toEqual([])
  })
})

describe('time', () => {
  test('a ping goes out a third of the timeout after the last write, less a second', () => {
    const run = connectedRun()

    run.advance(8_999)
    expect(run.sent()).toEqual([])
    run.advance(1)

    expect(run.sent()).toEqual([{ xid: Xid.Ping, op: 11, request: { kind: 'ping' } }])
  })

  test('a call puts the ping off; long timeouts ping after ten seconds all the same', () => {
    const run = new MachineRun({ sessionTimeoutMs: 100_000 })
    run.connected({ timeoutMs: 100_000 })
    run.take()

    run.advance(5_000)
    run.call(getA)
    run.take()
    run.advance(9_999)
    expect(run.sent()).toEqual([])
    run.advance(1)
    expect(run.sent().map(({ xid }) => xid)).toEqual([Xid.Ping])
  })

  test('answered pings keep a connection for ever', () => {
    const run = connectedRun()

    for (let i = 0; i < 100; i++) {
      run.advance(9_000)
      run.received(replyFrame(Xid.Ping, 1))
    }

    expect(run.sent()).toHaveLength(100)
    expect(run.machine.state).toBe('connected')
  })

  test('a connection that ends before the handshake is answered says so', () => {
    const run = new MachineRun()
    run.start()
    run.opened()

    run.broken()

    expect(run.machine.lastFailure).toMatch(/^a:2181: reset, the handshake unanswered/)
  })

  test('what answers the handshake with anything else is no server', () => {
    const run = new MachineRun()
    run.start()
    run.opened()

    run.received(encodeUtf8('HTTP/1.1 400 Bad Request'))

    expect(run.machine.lastFailure).toMatch(/answered with something else .* a ZooKeeper server\?/)
  })

  test('a server silent for two thirds of the timeout is left', () => {
    const run = connectedRun()

    run.advance(19_999)
    expect(run.of('disconnect')).toEqual([])
    run.advance(1)

    expect(run.of('disconnect')).toHaveLength(1)
    expect(run.machine.state).toBe('disconnected')
  })

  test('four thirds of the timeout without a word from any server end the session', () => {
    const run = connectedRun()
    run.broken()
    const call = run.call(getA)
    const endsMs = run.nowMs + 40_000
    run.take()

    // Connections that open and say nothing are not words.
    while (run.nowMs < endsMs - 1) {
      run.advance(Math.min(5000, endsMs - 1 - run.nowMs))
      run.opened()
    }
    expect(run.of('state')).toEqual([])
    run.advance(1)

    expect(run.of('state').map(effect => effect.state)).toEqual(['expired'])
    expect(run.outcomes()).toEqual([[call, ErrorCode.ConnectionLoss]])
  })

  test('before the first handshake there is nothing to expire', () => {
    const run = new MachineRun()
    run.start()

    run.advance(10 * 30_000)

    expect(run.machine.state).toBe('connecting')
    expect(run.of('connect').length).toBeGreaterThan(5)
  })
})

describe('calls', () => {
  test('replies settle calls in order', () => {
    const run = connectedRun()
    const calls = [run.call(getA), run.call(getA), run.call(getA)]

    run.received(replyFrame(1, 4, dataBody), replyFrame(2, 4, noBody, ErrorCode.NoNode))
    run.received(replyFrame(3, 5, dataBody))

    expect(run.outcomes()).toEqual([
      [calls[0], ErrorCode.Ok],
      [calls[1], ErrorCode.NoNode],
      [calls[2], ErrorCode.Ok],
    ])
    expect(run.machine.lastZxid).toBe(5n)
  })

  test('after the largest xid comes 1', () => {
    expect([nextXid(0), nextXid(1), nextXid(0x7ffffffe), nextXid(0x7fffffff)]).toEqual([1, 2, 0x7fffffff, 1])
  })

  test('bytes may come in any pieces', () => {
    const stream = joined(
      responseFrame(),
      replyFrame(1, 3, dataBody),
      eventFrame(EventType.NodeDeleted, '/a', 4),
      replyFrame(2, 4, statBody),
    )
    const play = (cuts: readonly number[]): [SessionEffect[], Uint8Array[]] => {
      const run = new MachineRun()
      run.start()
      run.call(watchA, { kind: 'data', watcher: 1 })
      run.call(existsA)
      run.opened()
      let from = 0
      for (const to of [...cuts, stream.length]) {
        run.step({ kind: 'received', connection: run.connection, bytes: stream, from, to })
        from = to
      }
      // Writes are gathered per step, so they fall differently; the bytes are the same.
      return [run.effects.filter(effect => effect.kind !== 'send'), run.frames()]
    }
    const whole = play([])
    expect(whole[0].map(({ kind }) => kind)).toEqual(['connect', 'state', 'settled', 'fired', 'settled'])

    for (let cut = 1; cut < stream.length; cut++) expect(play([cut])).toEqual(whole)
    expect(play(Array.from(stream, (_, i) => i))).toEqual(whole)
  })

  test('what was sent on a broken connection may have been applied, and is not sent again', () => {
    const run = connectedRun()
    run.call({ kind: 'delete', path: '/a', version: -1 })
    run.take()

    run.broken()

    expect(run.of('settled').map(({ outcome }) => outcome)).toMatchObject([
      { kind: 'lost', code: ErrorCode.ConnectionLoss, mayHaveBeenApplied: true },
    ])
    run.take()
    run.advance(1000)
    run.connected()
    expect(run.frames()).toHaveLength(1)
  })

  test('a large request whose connection breaks is told of the limit that servers have', () => {
    const run = connectedRun()
    run.call({ kind: 'setData', path: '/a', data: new Uint8Array(0x10_0000), version: -1 })
    run.call(getA)

    run.broken()

    const reasons = run.of('settled').map(({ outcome }) => outcome.kind === 'lost' && outcome.reason)
    expect(reasons).toEqual([expect.stringContaining('jute.maxbuffer'), expect.not.stringContaining('jute')])
  })

  test('what waits for a connection fails after one round through the servers, and was not applied', () => {
    const servers = ['a', 'b'].map(host => ({ host, port: 2181 }))
    const run = new MachineRun({ servers })
    run.start()
    const call = run.call(getA)

    run.broken()
    expect(run.of('settled')).toEqual([])
    run.advance(1000)
    run.broken()

    expect(run.of('settled')).toMatchObject([
      { call, outcome: { kind: 'lost', code: ErrorCode.ConnectionLoss, mayHaveBeenApplied: false } },
    ])
  })

  test('the last zxid comes from replies alone, and is shown to the next server', () => {
    const run = connectedRun()
    run.step({ kind: 'auth', call: run.nextCall(), scheme: 'digest', auth: null })
    run.call(getA)

    run.received(
      eventFrame(EventType.NodeCreated, '/x', 90),
      replyFrame(Xid.Ping, 91),
      replyFrame(Xid.Auth, 92),
      replyFrame(Xid.SetWatches, 93),
      replyFrame(1, 0, noBody, ErrorCode.NoAuth),
    )
    expect(run.machine.lastZxid).toBe(0n)

    run.call(getA)
    run.received(replyFrame(2, 17, dataBody))
    run.broken()
    run.advance(1000)
    run.take()
    run.opened()
    expect(run.sentHandshake().lastZxidSeen).toBe(17n)
  })

  test('an abandoned call that waits is not sent; one that was sent keeps its place among the replies', () => {
    const run = new MachineRun()
    run.start()
    const unsent = run.call({ kind: 'sync', path: '/' })
    run.step({ kind: 'abandon', call: unsent })
    run.connected()
    run.take()

    const sent = run.call(getA)
    const next = run.call(existsA)
    run.step({ kind: 'abandon', call: sent })
    run.received(replyFrame(1, 2, dataBody), replyFrame(2, 2, statBody))

    expect(run.sent().map(({ request }) => request.kind)).toEqual(['getData', 'exists'])
    expect(run.outcomes()).toEqual([[next, ErrorCode.Ok]])
  })
})

describe('a server that cannot be right', () => {
  const shortFrame = new Uint8Array([0, 0, 0, 3, 1, 2, 3])
  const frameOf = (length: number): Uint8Array => {
    const w = new Writer()
    w.int32(length)
    return w.written()
  }
  /** Claims a path of 2 GiB. */
  const lyingReply = (): Uint8Array => {
    const w = new Writer()
    const start = w.beginFrame()
    w.int32(1)
    w.int64(5n)
    w.int32(0)
    w.int32(0x7fffffff)
    w.endFrame(start)
    return w.written()
  }

  test.each([
    ['a reply with another xid', replyFrame(3, 5, dataBody)],
    ['a reply whose zxid went back', replyFrame(2, 2, dataBody)],
    ['a reply that ends early', replyFrame(2, 5)],
    ['a reply that lies about a length', lyingReply()],
    ['a frame too short for a header', shortFrame],
    ['a frame of negative length', frameOf(-1)],
    ['a frame beyond the limit', frameOf(1001)],
    ['an event of no known type', eventFrame(5, '/a')],
    ['a state event', eventFrame(EventType.None, '')],
    ['an answer to no authentication', replyFrame(Xid.Auth, 0)],
    ['a second answer', joined(replyFrame(2, 5, dataBody), replyFrame(3, 5, dataBody))],
  ])('%s: the connection is broken, and another one made', (_what, bytes) => {
    const run = connectedRun({ maxReplyBytes: 1000 })
    run.call(getA)
    run.received(replyFrame(1, 3, dataBody))
    run.take()
    const call = run.call(getA)

    run.received(bytes)

    expect(run.of('settled').map(effect => effect.call)).toEqual([call])
    expect(run.of('disconnect')).toHaveLength(1)
    expect(run.machine.state).toBe('disconnected')
    run.take()
    run.advance(1000)
    expect(run.of('connect')).toHaveLength(1)
  })

  test.each([
    ['bytes before the handshake was sent', (run: MachineRun): void => void run.received(responseFrame())],
    [
      'a refusal in place of the handshake',
      (run: MachineRun): void => {
        run.opened()
        run.received(replyFrame(0, 0, noBody, ErrorCode.NotReadOnly))
      },
    ],
  ])('%s: the next server is tried', (_what, happen) => {
    const run = new MachineRun()
    run.start()

    happen(run)

    expect(run.of('disconnect')).toHaveLength(1)
    expect(run.machine.state).toBe('connecting')
    run.advance(1000)
    expect(run.of('connect')).toHaveLength(2)
  })
})

describe('authentication', () => {
  test('is repeated on each connection; its call is settled once', () => {
    const run = connectedRun()
    const call = run.nextCall()
    run.step({ kind: 'auth', call, scheme: 'digest', auth: new Uint8Array([1]) })
    run.received(replyFrame(Xid.Auth, 0))
    expect(run.outcomes()).toEqual([[call, ErrorCode.Ok]])

    run.reconnected()
    expect(run.sent().map(({ xid }) => xid)).toEqual([Xid.Auth])
    run.take()
    run.received(replyFrame(Xid.Auth, 0))

    expect(run.outcomes()).toEqual([])
  })

  test('that was not answered is settled by the answer on the next connection', () => {
    const run = connectedRun()
    const call = run.nextCall()
    run.step({ kind: 'auth', call, scheme: 'digest', auth: null })

    run.reconnected()
    expect(run.outcomes()).toEqual([])
    run.received(replyFrame(Xid.Auth, 0))

    expect(run.outcomes()).toEqual([[call, ErrorCode.Ok]])
  })

  test('that is refused ends the session', () => {
    const run = connectedRun()
    const auth = run.nextCall()
    run.step({ kind: 'auth', call: auth, scheme: 'nope', auth: null })
    const call = run.call(getA)

    run.received(replyFrame(Xid.Auth, 0, noBody, ErrorCode.AuthFailed))

    expect(run.of('state').map(effect => effect.state)).toEqual(['authFailed'])
    expect(run.outcomes()).toEqual([
      [call, ErrorCode.AuthFailed],
      [auth, ErrorCode.AuthFailed],
    ])
    const late = run.call(getA)
    expect(run.outcomes().at(-1)).toEqual([late, ErrorCode.AuthFailed])
  })
})

describe('watches', () => {
  const fired = (run: MachineRun): unknown[] =>
    run.of('fired').map(({ type, path, watchers }) => [type, path, watchers])

  test('wait from the reply on, and fire once', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.received(eventFrame(EventType.NodeDataChanged, '/a'))
    expect(fired(run)).toEqual([[EventType.NodeDataChanged, '/a', []]])
    run.take()

    run.received(replyFrame(1, 3, dataBody))
    run.received(
      eventFrame(EventType.NodeDataChanged, '/a', 4),
      eventFrame(EventType.NodeDataChanged, '/a', 5),
    )

    expect(fired(run)).toEqual([
      [EventType.NodeDataChanged, '/a', [1]],
      [EventType.NodeDataChanged, '/a', []],
    ])
    expect(run.of('fired')[0]?.zxid).toBe(4n)
  })

  test('of an absent znode wait with exists and addWatch, not with getData', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.call(existsA, { kind: 'data', watcher: 2 })
    run.call(addWatchA, { kind: 'persistent', watcher: 3 })
    run.received(...[1, 2, 3].map(xid => replyFrame(xid, 3, noBody, ErrorCode.NoNode)))
    expect(run.of('settled').map(({ outcome }) => outcome.kind === 'reply' && outcome.isWatching)).toEqual([
      false,
      true,
      true,
    ])

    run.received(eventFrame(EventType.NodeCreated, '/a'))

    expect(fired(run)).toEqual([[EventType.NodeCreated, '/a', [2, 3]]])
  })

  test('are set again on a new connection, relative to the last zxid seen', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.call({ kind: 'exists', path: '/e', watch: true }, { kind: 'data', watcher: 2 })
    run.call({ kind: 'getChildren', path: '/c', watch: true }, { kind: 'child', watcher: 3 })
    run.received(
      replyFrame(1, 8, dataBody),
      replyFrame(2, 9, noBody, ErrorCode.NoNode),
      replyFrame(3, 9, { kind: 'children', children: [] }),
    )

    run.reconnected()

    expect(run.sent().at(-1)).toEqual({
      xid: Xid.SetWatches,
      op: 101,
      request: { kind: 'setWatches', relativeZxid: 9n, data: ['/a'], exist: ['/e'], child: ['/c'] },
    })
  })

  test('a server that does not set them again is left', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 5 })
    run.received(replyFrame(1, 1, dataBody))
    run.reconnected()
    run.take()

    run.received(replyFrame(Xid.SetWatches, 1, noBody, ErrorCode.MarshallingError))

    expect(run.machine.state).toBe('disconnected')
    expect(run.machine.lastFailure).toContain('watches')
  })

  test('persistent ones need setWatches2', () => {
    const run = connectedRun()
    run.call(addWatchA, { kind: 'persistent', watcher: 1 })
    run.call({ kind: 'addWatch', path: '/r', mode: 1 }, { kind: 'recursive', watcher: 2 })
    run.received(replyFrame(1, 1, addWatchBody), replyFrame(2, 1, addWatchBody))

    run.reconnected()

    expect(run.sent().at(-1)).toMatchObject({
      op: 105,
      request: { persistent: { plain: ['/a'], recursive: ['/r'] } },
    })
  })

  test('an addWatch that nobody waits for any more is taken back', () => {
    const run = connectedRun()
    const call = run.call(addWatchA, { kind: 'persistent', watcher: 1 })
    run.step({ kind: 'abandon', call })
    run.take()

    run.received(replyFrame(1, 1, addWatchBody))

    expect(run.sent().map(({ request }) => request)).toEqual([
      { kind: 'removeWatches', path: '/a', type: WatcherType.Persistent },
    ])
    run.received(replyFrame(2, 1), eventFrame(EventType.NodeDataChanged, '/a'))
    expect(fired(run)).toEqual([[EventType.NodeDataChanged, '/a', []]])
  })

  test('the last watcher to leave takes the watch away at the server', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.call(existsA, { kind: 'data', watcher: 2 })
    run.received(replyFrame(1, 1, dataBody), replyFrame(2, 1, statBody))
    run.take()
    const leave = (watcher: number): void => {
      const call = run.nextCall()
      run.step({ kind: 'unwatch', call, watcher, path: '/a', type: WatcherType.Data })
    }

    leave(1)
    expect(run.sent()).toEqual([])
    expect(run.of('settled').map(({ outcome }) => outcome.kind)).toEqual(['done'])
    leave(2)

    expect(run.sent().map(({ request }) => request)).toEqual([
      { kind: 'removeWatches', path: '/a', type: WatcherType.Data },
    ])
  })

  test('a watcher that leaves does not undo the registration of one that is coming', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.received(replyFrame(1, 1, dataBody))
    run.call(watchA, { kind: 'data', watcher: 2 })
    run.take()

    run.step({ kind: 'unwatch', call: run.nextCall(), watcher: 1, path: '/a', type: WatcherType.Data })
    run.received(replyFrame(2, 1, dataBody), eventFrame(EventType.NodeDataChanged, '/a'))

    expect(run.sent()).toEqual([])
    expect(fired(run)).toEqual([[EventType.NodeDataChanged, '/a', [2]]])
  })

  test('a watcher that leaves before its reply is never told', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.step({ kind: 'unwatch', call: run.nextCall(), watcher: 1, path: '/a', type: WatcherType.Data })

    run.received(replyFrame(1, 1, dataBody), replyFrame(2, 1), eventFrame(EventType.NodeDataChanged, '/a'))

    expect(run.sent().map(({ request }) => request.kind)).toEqual(['getData', 'removeWatches'])
    expect(fired(run)).toEqual([[EventType.NodeDataChanged, '/a', []]])
  })

  test('removed ones are told so, before a later registration counts', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.call({ kind: 'removeWatches', path: '/a', type: WatcherType.Any })
    run.call(watchA, { kind: 'data', watcher: 2 })

    run.received(replyFrame(1, 1, dataBody), replyFrame(2, 1), replyFrame(3, 1, dataBody))
    run.received(eventFrame(EventType.NodeDeleted, '/a'))

    expect(fired(run)).toEqual([
      [EventType.DataWatchRemoved, '/a', [1]],
      [EventType.NodeDeleted, '/a', [2]],
    ])
  })

  test('can be forgotten without a server', () => {
    const run = connectedRun()
    run.call(watchA, { kind: 'data', watcher: 1 })
    run.received(replyFrame(1, 1, dataBody))
    run.broken()
    run.take()

    run.step({ kind: 'forgetWatches', path: '/a', type: WatcherType.Data })

    expect(fired(run)).toEqual([[EventType.DataWatchRemoved, '/a', [1]]])
    run.advance(1000)
    run.connected()
    expect(run.frames()).toHaveLength(1)
  })
})

describe('closing', () => {
  test('lets what was sent be answered, refuses what comes later, and ends with the answer', () => {
    const run = connectedRun()
    const before = run.call(getA)
    run.step({ kind: 'close' })
    const after = run.call(getA)

    expect(run.sent().map(({ request }) => request.kind)).toEqual(['getData', 'closeSession'])
    run.received(replyFrame(1, 2, dataBody), replyFrame(2, 3))

    expect(run.outcomes()).toEqual([
      [after, ErrorCode.InvalidState],
      [before, ErrorCode.Ok],
    ])
    expect(run.effects.slice(-2).map(({ kind }) => kind)).toEqual(['disconnect', 'state'])
    expect(run.machine.state).toBe('closed')
  })

  test('without a connection is immediate', () => {
    const run = connectedRun()
    run.broken()
    const call = run.call(getA)

    run.step({ kind: 'close' })

    expect(run.outcomes()).toEqual([[call, ErrorCode.InvalidState]])
    expect(run.machine.state).toBe('closed')
    expect(run.machine.deadlineMs).toBe(Infinity)
  })

  test.each([
    ['a broken connection', (run: MachineRun): void => run.broken()],
    ['a server that does not answer', (run: MachineRun): void => run.advance(20_000)],
    [
      'a server that talks of something else',
      (run: MachineRun): void => {
        for (let i = 0; i < 20; i++) {
          run.advance(1000)
          if (run.machine.state !== 'closed') run.received(eventFrame(EventType.NodeCreated, '/x'))
        }
      },
    ],
  ])('%s does not hold it up', (_what, happen) => {
    const run = connectedRun()
    run.step({ kind: 'close' })

    happen(run)

    expect(run.machine.state).toBe('closed')
    expect(run.of('connect')).toEqual([])
  })
})

test('the zxid of a reply may be that of the last one, and larger than 2^53', () => {
  const run = connectedRun()
  run.call(getA)
  run.call(getA)
  const big = 0x7fff_ffff_0000_0001n
  const w = new Writer()
  for (const xid of [1, 2]) {
    const start = w.beginFrame()
    w.int32(xid)
    w.int64(big)
    w.int32(ErrorCode.NoNode)
    w.endFrame(start)
  }

  run.received(w.written())

  expect(run.machine.lastZxid).toBe(zxid(big))
  expect(run.of('settled')).toHaveLength(2)
})

test('no bytes of a server can make it throw, lose a call, or settle one twice', () => {
  const someFrame = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom(
      responseFrame(),
      replyFrame(1, 3, dataBody),
      replyFrame(2, 4, statBody),
      replyFrame(-2, 0),
    ),
    fc.tuple(fc.constantFrom(-1, -4, -8, 0, 1, 2), fc.uint8Array({ maxLength: 60 })).map(([xid, rest]) => {
      const w = new Writer()
      const start = w.beginFrame()
      w.int32(xid)
      for (const byte of rest) w.byte(byte)
      w.endFrame(start)
      return w.written()
    }),
  )
  const isConnected = fc.boolean()

  fc.assert(
    fc.property(isConnected, fc.array(someFrame, { maxLength: 8 }), (startsConnected, frames) => {
      const run = new MachineRun({ maxReplyBytes: 4096 })
      if (startsConnected) run.connected()
      else run.start()
      const calls = [run.call(watchA, { kind: 'data', watcher: 1 }), run.call(existsA), run.call(addWatchA)]
      if (!startsConnected) run.opened()

      for (const frame of frames) run.received(frame)
      run.step({ kind: 'close' })
      run.advance(60_000)

      expect(
        run
          .of('settled')
          .map(effect => effect.call)
          .sort(),
      ).toEqual(calls)
      expect(['closed', 'expired']).toContain(run.machine.state)
    }),
    { numRuns: 2000 },
  )
})
