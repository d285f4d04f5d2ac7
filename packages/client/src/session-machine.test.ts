import { ErrorCode, EventType, encodeUtf8, type OpResult, sessionId, Writer, Xid } from '@corral/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  addWatchA,
  connectedRun,
  createA,
  dataBody,
  drawing,
  eventFrame,
  existsA,
  getA,
  joined,
  MachineRun,
  noBody,
  replyFrame,
  responseFrame,
  statBody,
  watchA,
} from '../test/machine-run.ts'

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

  test('each server is asked for the timeout that was wanted, not for what the last one granted', () => {
    const run = new MachineRun({ sessionTimeoutMs: 40_000 })
    run.connected({ timeoutMs: 6000 })
    run.broken()
    run.advance(1000)
    run.take()

    run.opened()

    expect(run.sentHandshake().timeoutMs).toBe(40_000)
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
    ['an event whose path is none', eventFrame(EventType.NodeCreated, 'a')],
    ['an event whose path leads elsewhere', eventFrame(EventType.NodeCreated, '/a/../b')],
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

  const created: OpResult = { kind: 'created', path: '/a' }
  const checked: OpResult = { kind: 'checked' }
  const refused = (err: number): OpResult => ({ kind: 'error', err })

  test.each<[string, readonly OpResult[]]>([
    ['too few', [created]],
    ['too many', [created, checked, checked]],
    ['of other operations', [checked, created]],
    ['refused in part', [created, refused(ErrorCode.NoNode)]],
    ['refused for no reason', [refused(ErrorCode.Ok), refused(ErrorCode.Ok)]],
  ])('results of a multi that are %s: the connection is broken', (_what, results) => {
    const run = connectedRun()
    const call = run.call({ kind: 'multi', ops: [createA, { kind: 'check', path: '/a', version: -1 }] })

    run.received(replyFrame(1, 5, { kind: 'results', results }))

    expect(run.outcomes()).toEqual([[call, ErrorCode.ConnectionLoss]])
    expect(run.of('disconnect')).toHaveLength(1)
  })

  test.each<[string, readonly OpResult[]]>([
    ['of other operations', [{ kind: 'children', children: [] }, refused(ErrorCode.NoNode)]],
    ['refused for no reason', [refused(ErrorCode.Ok), refused(ErrorCode.NoNode)]],
  ])('results of a multiRead that are %s: the connection is broken', (_what, results) => {
    const run = connectedRun()
    const call = run.call({
      kind: 'multiRead',
      ops: [
        { kind: 'getData', path: '/a', watch: false },
        { kind: 'getChildren', path: '/a', watch: false },
      ],
    })

    run.received(replyFrame(1, 5, { kind: 'results', results }))

    expect(run.outcomes()).toEqual([[call, ErrorCode.ConnectionLoss]])
    expect(run.of('disconnect')).toHaveLength(1)
  })

  test.each([
    ['a session without an id', (run: MachineRun): void => run.connected({ sessionId: sessionId(0n) })],
    ['a session without a password', (run: MachineRun): void => run.connected({ password: null })],
    [
      'a session with a password of another length',
      (run: MachineRun): void => run.connected({ password: new Uint8Array(17) }),
    ],
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

describe('what is odd but harmless is borne:', () => {
  /** A body longer by three bytes. */
  const withRest = (frame: Uint8Array): Uint8Array => {
    const longer = joined(frame, new Uint8Array([1, 2, 3]))
    new DataView(longer.buffer).setInt32(0, longer.length - 4)
    return longer
  }

  test.each([
    ['another protocol version', responseFrame({ protocolVersion: 7 })],
    ['a handshake without the byte for read-only', responseFrame({ readOnly: undefined })],
    ['a handshake with a rest', withRest(responseFrame())],
    ['the longest timeout there is', responseFrame({ timeoutMs: 0x7fffffff })],
  ])('%s', (_what, frame) => {
    const run = new MachineRun()
    run.start()
    run.opened()

    run.received(frame)

    expect(run.machine.state).toBe('connected')
    expect(run.machine.deadlineMs).toBeLessThanOrEqual(run.nowMs + 10_000)
  })

  test.each([
    ['an answer to no ping', replyFrame(Xid.Ping, 0)],
    ['an event that nobody watches for', eventFrame(EventType.NodeDeleted, '/never', 9)],
    ['an event with a rest', withRest(eventFrame(EventType.NodeCreated, '/a'))],
    ['an answer to no setWatches', replyFrame(Xid.SetWatches, 0)],
  ])('%s', (_what, frame) => {
    const run = connectedRun()
    const call = run.call(getA)

    run.received(frame, withRest(replyFrame(1, 5, dataBody)))

    expect(run.outcomes()).toEqual([[call, ErrorCode.Ok]])
    expect(run.of('disconnect')).toEqual([])
  })

  test('bytes that come one at a time say the same', () => {
    const said = joined(
      responseFrame(),
      replyFrame(1, 3, dataBody),
      eventFrame(EventType.NodeDataChanged, '/a', 4),
      replyFrame(2, 4, noBody, ErrorCode.NoNode),
      replyFrame(4, 5, statBody),
    )
    const heard = [said.length, 1].map(pieceBytes => {
      const run = new MachineRun()
      run.start()
      run.opened()
      for (const watcher of [1, 2, 3]) run.call(watchA, { kind: 'data', watcher })
      for (let at = 0; at < said.length; at += pieceBytes) run.received(said.slice(at, at + pieceBytes))
      return run.effects.filter(({ kind }) => kind !== 'send')
    })

    expect(heard[1]).toEqual(heard[0])
    expect(heard[0]?.at(-1)).toMatchObject({ kind: 'state', state: 'disconnected' })
  })
})

test.each([
  ['refuse', (_run: MachineRun): void => undefined],
  ['hang up before the handshake', (run: MachineRun): void => run.opened()],
  ['hang up after it', (run: MachineRun): void => run.connected()],
])('servers that %s are tried in turn, each after a pause', (_what, happen) => {
  const servers = ['a', 'b', 'c'].map(host => ({ host, port: 2181 }))
  const run = new MachineRun({ servers, random: drawing(0.5) })
  const begunMs = run.nowMs
  run.start()

  for (let i = 0; i < 9; i++) {
    happen(run)
    run.broken()
    run.advance(500)
  }

  const hosts = run.of('connect').map(({ server }) => server.host)
  expect(hosts).toHaveLength(10)
  expect(new Set(hosts.slice(0, 3)).size).toBe(3)
  expect(hosts.slice(3)).toEqual(hosts.slice(0, -3))
  expect(run.nowMs - begunMs).toBe(9 * 500)
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
