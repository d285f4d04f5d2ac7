/**
 * Hostile input at the client port, one test for each kind, named by its row in the catalogue of required behaviour and
 * by the CVE that taught it. Here: lengths, counts and numbers of things. The other rows are in the files beside, but
 * for H-06 deep chains in core/src/tree and core/test, H-12 and H-13 the whitelist and the escaping of log lines in
 * server/src/admin and server/src/log-lines.test.ts, H-13 and H-14 on a real process in test/e2e, H-26 decompression in
 * the fuzz targets `snappy` and `compressed-file`.
 */
import { ErrorCode, OpCode, type Request } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { client, creating, frames, lengthWord, rawFrame } from './client-lines.ts'
import { connectFrame, type Line, WatchedServer } from './watched-server.ts'

describe('H-01 lengths of frames', () => {
  test.each([-1, -0x80000000, 0x100000, 0x7fffffff])(
    '%i after the handshake closes that connection, in silence',
    length => {
      const watched = new WatchedServer()
      const [line, other] = [client(watched, 1), client(watched, 2)]

      watched.send(line, lengthWord(length))

      expect(line.isClosed).toBe(true)
      expect(line.frames.length).toBe(1)
      expect(watched.ask(other, 1, { kind: 'ping' }).err).toBe(ErrorCode.Ok)
    },
  )

  test('the longest legal frame is served, the announced bytes are not allocated before they come', () => {
    const watched = new WatchedServer()
    const line = client(watched)
    const before = process.memoryUsage().arrayBuffers
    const data = new Uint8Array(0xfffff - 8 - (4 + 2) - 4 - 4)

    for (let i = 0; i < 200; i++) client(watched, 100 + i, `10.0.0.${i}`)
    for (let i = 0; i < 200; i++) watched.send(watched.lines.get(100 + i) as Line, lengthWord(0xfffff, 10))

    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024)
    const reply = watched.ask(line, 1, { kind: 'setData', path: '/a', data, version: -1 })
    expect(reply.err).toBe(ErrorCode.NoNode)
  })

  test.each([0, 1, 7])('a frame of %i bytes has no header: closed without a reply', length => {
    const watched = new WatchedServer()
    const line = client(watched)

    watched.send(line, lengthWord(length, length))

    expect(line.isClosed).toBe(true)
    expect(line.frames.length).toBe(1)
  })

  test('before a session, 64 KiB is the most that is taken', () => {
    const watched = new WatchedServer()
    const [small, large] = [watched.open(1), watched.open(2)]

    watched.send(small, lengthWord(64 * 1024 - 4, 1000))
    watched.send(large, lengthWord(64 * 1024 - 3, 1000))

    expect([small.isClosed, large.isClosed]).toEqual([false, true])
  })
})

describe('H-02 slow clients', () => {
  test('a connect request that comes a byte at a time has ten seconds', () => {
    const watched = new WatchedServer()
    const line = watched.open(1)
    const bytes = connectFrame()
    let sent = 0

    while (!line.isClosed && sent < bytes.length - 1) {
      watched.send(line, bytes.subarray(sent, ++sent))
      watched.pass(400)
    }

    expect(line.isClosed).toBe(true)
    expect(sent).toBe(25)
    expect(line.frames).toEqual([])
    expect(watched.server.inspect().connectionCount()).toBe(0)
  })

  test('who says nothing has ten seconds as well', () => {
    const watched = new WatchedServer()
    const line = watched.open(1)

    watched.pass(9900)
    const before = line.isClosed
    watched.pass(100)

    expect([before, line.isClosed]).toEqual([false, true])
  })

  test('half a request after the handshake does not keep a session alive', () => {
    const watched = new WatchedServer()
    const line = watched.open(1)
    watched.connect(line, { timeoutMs: 6000 })

    watched.send(line, lengthWord(4096))
    for (let i = 0; i < 100 && !line.isClosed; i++) {
      watched.send(line, Uint8Array.of(0))
      watched.pass(200)
      watched.settle()
    }

    expect(watched.server.inspect().sessionCount()).toBe(0)
    expect(line.isClosed).toBe(true)
  })
})

describe('H-03 many connections', () => {
  test('ten thousand that say nothing cost no buffers', () => {
    const watched = new WatchedServer({ config: { maxClientCnxns: 0 } })
    const before = process.memoryUsage().arrayBuffers

    for (let conn = 1; conn <= 10_000; conn++) watched.open(conn)

    expect(watched.server.inspect().connectionCount()).toBe(10_000)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024)
    watched.pass(10_000)
    expect(watched.server.inspect().connectionCount()).toBe(0)
  })

  test('ten thousand with half a handshake cost a KiB each, and nothing when they are closed', () => {
    const watched = new WatchedServer({ config: { maxClientCnxns: 0 } })
    const half = connectFrame().subarray(0, 20)
    const space = { bytes: half, view: new DataView(half.buffer, half.byteOffset, half.byteLength) }
    const before = process.memoryUsage().arrayBuffers

    for (let conn = 1; conn <= 10_000; conn++) {
      watched.open(conn)
      watched.step({ kind: 'received', conn, ...space, from: 0, to: half.length })
    }

    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(12 * 1024 * 1024)
    watched.pass(10_000)
    expect(watched.server.inspect().connectionCount()).toBe(0)
  })

  test('one address has sixty, others are not kept out', () => {
    const watched = new WatchedServer()

    const lines = Array.from({ length: 70 }, (_, i) => watched.open(1 + i))
    const other = client(watched, 900, '10.0.0.1')

    expect(lines.filter(line => line.isClosed).length).toBe(10)
    expect(watched.ask(other, 1, { kind: 'ping' }).err).toBe(ErrorCode.Ok)
  })

  test('a limit on all of them', () => {
    const watched = new WatchedServer({ config: { maxCnxns: 3 } })

    const lines = [1, 2, 3, 4].map(n => watched.open(n, `10.0.0.${n}`))
    watched.hangUp(lines[0] as Line)
    const next = watched.open(5)

    expect(lines.map(line => line.isClosed)).toEqual([true, false, false, true])
    expect(next.isClosed).toBe(false)
  })
})

describe('H-04 counts of vectors', () => {
  function createWithEntries(watched: WatchedServer, count: number): Line {
    const line = client(watched)
    const frame = rawFrame(1, OpCode.Create, w => {
      w.string('/x')
      w.buffer(null)
      w.int32(count)
      w.int32(0)
    })
    watched.send(line, frame)
    watched.settle()
    return line
  }

  test.each([0x7fffffff, 0x15555556, 2])('an ACL of %i entries that are not there is no request', count => {
    const watched = new WatchedServer()

    const line = createWithEntries(watched, count)

    expect(line.lastReply().err).toBe(ErrorCode.MarshallingError)
    expect(watched.ask(line, 2, { kind: 'ping' }).err).toBe(ErrorCode.Ok)
  })

  test.each([0, -1, -2, -0x80000000])('an ACL of %i entries is an empty one', count => {
    const watched = new WatchedServer()

    const line = createWithEntries(watched, count)

    expect(line.lastReply().err).toBe(ErrorCode.InvalidAcl)
  })

  test('a watch list of two thousand million entries is no request', () => {
    const watched = new WatchedServer()
    const line = client(watched)

    watched.send(
      line,
      rawFrame(-8, OpCode.SetWatches, w => {
        w.int64(0n)
        for (let i = 0; i < 3; i++) w.int32(0x7fffffff)
      }),
    )
    watched.settle()

    expect(line.lastReply().err).toBe(ErrorCode.MarshallingError)
    expect(watched.server.inspect().watchCount()).toBe(0)
  })
})

describe('H-05 small requests, large replies [CVE-2026-100302]', () => {
  const big = new Uint8Array(1_000_000)

  test('a multiRead beyond 16 MiB is refused before it is built, the connection stays', () => {
    const watched = new WatchedServer()
    const line = client(watched)
    watched.ask(line, 1, creating('/big', { data: big }))
    const ops = Array.from(
      { length: 20_000 },
      () => ({ kind: 'getData', path: '/big', watch: false }) as const,
    )

    const reply = watched.ask(line, 2, { kind: 'multiRead', ops })

    expect(reply.err).toBe(ErrorCode.MarshallingError)
    expect(watched.largestStepBytes).toBeLessThan(100)
    expect(watched.largestHeldBytes).toBeLessThan(3 * 32 * 1024 * 1024)
    expect(watched.ask(line, 3, { kind: 'ping' }).err).toBe(ErrorCode.Ok)
  })

  test('pipelined reads of a large znode are answered as the socket takes them', () => {
    const watched = new WatchedServer()
    const line = client(watched)
    watched.ask(line, 1, creating('/big', { data: big }))
    const reads = Array.from({ length: 100 }, (_, i) => [2 + i, getBig] as const)

    watched.send(line, frames(...reads))

    expect(watched.largestStepBytes).toBeLessThan(4 * 1024 * 1024)
    watched.settle()
    expect(line.frames.length).toBe(102)
  })

  const getBig: Request = { kind: 'getData', path: '/big', watch: false }

  test('a client that takes nothing is closed, not buffered for', () => {
    const watched = new WatchedServer({ config: { unsentLimitBytes: 8 * 1024 * 1024 } })
    const line = client(watched)
    watched.ask(line, 1, creating('/big', { data: big }))
    let unsentBytes = 0

    for (let xid = 2; xid < 50 && !line.isClosed; xid++) {
      const before = line.saidBytes
      watched.send(line, frames([xid, getBig]))
      unsentBytes += line.saidBytes - before
      if (!line.isClosed) watched.step({ kind: 'unsent', conn: line.conn, lengthBytes: unsentBytes })
      watched.turn()
    }

    expect(unsentBytes).toBeLessThan(9 * 1024 * 1024)
    expect(line.isReading).toBe(false)
  })
})
