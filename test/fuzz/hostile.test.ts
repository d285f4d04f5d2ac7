/**
 * One test for each kind of hostile input at the client port, named by its row in the catalogue of required behaviour
 * and by the CVE that taught it. Rows that live elsewhere: H-06 deep chains in core/src/tree, H-12 to H-14 the
 * whitelist and the escaping of log lines in server/src/admin and server/src/log-lines.test.ts, H-26 decompression in
 * the fuzz targets `snappy` and `compressed-file`.
 */
import { readFileSync } from 'node:fs'
import {
  type Acl,
  ErrorCode,
  EventType,
  type MultiOp,
  OpCode,
  openAcl,
  Reader,
  type Request,
  readAclList,
  readReplyBody,
  type SessionId,
  sessionPassword,
  Writer,
  writeRequestFrame,
  type Zxid,
} from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { SyncDisk } from './sync-disk.ts'
import { connectFrame, type Line, WatchedServer } from './watched-server.ts'

const nothing: readonly Acl[] = [{ perms: 31, scheme: 'digest', id: 'nobody:hash' }]

function client(watched: WatchedServer, conn = 1, address = '127.0.0.1'): Line {
  const line = watched.open(conn, address)
  watched.connect(line, { timeoutMs: 60_000 })
  return line
}

function creating(path: string, how: Partial<Extract<Request, { kind: 'create' }>> = {}): MultiOp {
  return { kind: 'create', op: OpCode.Create, path, data: null, acl: openAcl, flags: 0, ...how }
}

function frames(...requests: readonly (readonly [number, Request])[]): Uint8Array {
  const w = new Writer()
  for (const [xid, request] of requests) writeRequestFrame(w, xid, request)
  return w.written()
}

/** A frame with any opcode and body. */
function rawFrame(xid: number, op: number, body: (w: Writer) => void = () => undefined): Uint8Array {
  const w = new Writer()
  const start = w.beginFrame()
  w.int32(xid)
  w.int32(op)
  body(w)
  w.endFrame(start)
  return w.written()
}

function lengthWord(length: number, following = 0): Uint8Array {
  const bytes = new Uint8Array(4 + following)
  new DataView(bytes.buffer).setInt32(0, length)
  return bytes
}

/** The events that a connection was told, as `type path`. */
function eventsOf(line: Line): string[] {
  return line.frames
    .slice(1)
    .map(frame => new Reader(frame))
    .filter(r => r.int32() === -1)
    .map(r => {
      r.skip(12)
      const type = r.int32()
      r.skip(4)
      const name = Object.entries(EventType).find(([, number]) => number === type)?.[0]
      return `${name} ${r.text()}`
    })
}

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
    expect(watched.server.inspect().connections()).toEqual([])
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

    expect(watched.server.inspect().sessions()).toEqual([])
    expect(line.isClosed).toBe(true)
  })
})

describe('H-03 many connections', () => {
  test('ten thousand that say nothing cost no buffers', () => {
    const watched = new WatchedServer({ config: { maxClientCnxns: 0 } })
    const before = process.memoryUsage().arrayBuffers

    for (let conn = 1; conn <= 10_000; conn++) watched.open(conn)

    expect(watched.server.inspect().connections().length).toBe(10_000)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024)
    watched.pass(10_000)
    expect(watched.server.inspect().connections()).toEqual([])
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
    expect(watched.server.inspect().connections()).toEqual([])
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
  const afterPath = (w: Writer, count: number): void => {
    w.string('/x')
    w.buffer(null)
    w.int32(count)
    w.int32(0)
  }

  test.each([0x7fffffff, 0x15555556, 2])('an ACL of %i entries that are not there is no request', count => {
    const watched = new WatchedServer()
    const line = client(watched)

    watched.send(
      line,
      rawFrame(1, OpCode.Create, w => afterPath(w, count)),
    )
    watched.settle()

    expect(line.lastReply().err).toBe(ErrorCode.MarshallingError)
    expect(watched.ask(line, 2, { kind: 'ping' }).err).toBe(ErrorCode.Ok)
  })

  test.each([0, -1, -2, -0x80000000])('an ACL of %i entries is an empty one', count => {
    const watched = new WatchedServer()
    const line = client(watched)

    watched.send(
      line,
      rawFrame(1, OpCode.Create, w => afterPath(w, count)),
    )
    watched.settle()

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

describe('H-07 quotas [CVE-2026-100300]', () => {
  const garbage = [
    '',
    'count',
    '=',
    'count=x,bytes=y',
    'count=1e9,bytes=-',
    '\0\xff',
    'count=9'.repeat(500),
    ',;=,;=',
  ]

  test.each(garbage)('%j as limits or statistics hurts neither writes nor the next start', text => {
    const watched = new WatchedServer({ config: { isQuotaEnforced: true } })
    const line = client(watched)
    const data = Buffer.from(text, 'latin1')
    const errs: number[] = []
    for (const path of ['/q', '/zookeeper/quota/q']) errs.push(watched.ask(line, 1, creating(path)).err)
    for (const name of ['zookeeper_limits', 'zookeeper_stats']) {
      errs.push(watched.ask(line, 2, creating(`/zookeeper/quota/q/${name}`, { data })).err)
      errs.push(
        watched.ask(line, 3, { kind: 'setData', path: `/zookeeper/quota/q/${name}`, data, version: -1 }).err,
      )
    }

    for (const path of ['/q/a', '/q/b']) errs.push(watched.ask(line, 4, creating(path, { data })).err)
    errs.push(watched.ask(line, 5, { kind: 'setData', path: '/q', data, version: -1 }).err)
    errs.push(watched.ask(line, 6, { kind: 'delete', path: '/q/b', version: -1 }).err)
    const again = new WatchedServer({ disk: new SyncDisk(watched.disk.files) })

    expect(errs).toEqual(new Array(errs.length).fill(ErrorCode.Ok))
    expect(again.fatal).toBeUndefined()
    expect(again.server.inspect().znodeCount()).toBe(watched.server.inspect().znodeCount())
  })
})

describe('H-08 opcodes that are not for clients [CVE-2026-79993]', () => {
  test.each([
    ['deleteContainer', OpCode.DeleteContainer],
    ['createSession', OpCode.CreateSession],
    ['error', OpCode.Error],
    ['notification', OpCode.Notification],
    ['check alone', OpCode.Check],
  ])('%s is unimplemented: no zxid is taken, the znode stays, the connection goes', (_name, op) => {
    const watched = new WatchedServer()
    const line = client(watched)
    watched.ask(line, 1, creating('/kept'))
    const before = watched.server.inspect().lastZxid()

    watched.send(
      line,
      rawFrame(2, op, w => {
        w.string('/kept')
        w.int32(-1)
      }),
    )
    watched.settle()

    const { xid, zxid, err } = line.lastReply()
    expect({ xid, zxid, err }).toEqual({ xid: 2, zxid: -1n, err: ErrorCode.Unimplemented })
    expect(line.isClosed).toBe(true)
    expect(watched.server.inspect().lastZxid()).toBe(before)
    expect(watched.server.inspect().znodeCount()).toBe(5)
  })

  test.each([
    OpCode.DeleteContainer,
    OpCode.CreateSession,
    OpCode.CloseSession,
    OpCode.SetAcl,
    OpCode.Multi,
    OpCode.GetData,
    99,
  ])('%i inside a multi refuses the whole list', op => {
    const watched = new WatchedServer()
    const line = client(watched)

    watched.send(
      line,
      rawFrame(1, OpCode.Multi, w => {
        multiHead(w, OpCode.Create)
        w.string('/made')
        w.buffer(null)
        w.vector(openAcl, (v, acl) => {
          v.int32(acl.perms)
          v.string(acl.scheme)
          v.string(acl.id)
        })
        w.int32(0)
        multiHead(w, op)
        w.string('/')
        w.int32(-1)
        multiHead(w, -1, true)
      }),
    )
    watched.settle()

    expect(line.lastReply().err).toBe(ErrorCode.MarshallingError)
    expect(watched.server.inspect().znodeCount()).toBe(4)
  })

  function multiHead(w: Writer, type: number, isDone = false): void {
    w.int32(type)
    w.bool(isDone)
    w.int32(-1)
  }
})

test('H-09 a write after a setACL that is not yet durable is judged by the new ACL [CVE-2026-100235]', () => {
  const watched = new WatchedServer()
  const [owner, other] = [client(watched, 1), client(watched, 2)]
  watched.ask(owner, 1, creating('/a'))

  watched.send(owner, frames([2, { kind: 'setAcl', path: '/a', acl: nothing, version: -1 }]))
  watched.send(other, frames([3, { kind: 'setData', path: '/a', data: null, version: -1 }]))
  watched.send(other, frames([4, creating('/a/b')], [5, { kind: 'multi', ops: [creating('/a/c')] }]))
  watched.settle()

  const codes = other.frames.slice(1).map(frame => new Reader(frame, 12).int32())
  expect(codes).toEqual([ErrorCode.NoAuth, ErrorCode.NoAuth, ErrorCode.Ok])
  const results = readReplyBody(new Reader(other.frames.at(-1) as Uint8Array, 16), OpCode.Multi)
  expect(results).toEqual({ kind: 'results', results: [{ kind: 'error', err: ErrorCode.NoAuth }] })
  expect(watched.server.inspect().znodeCount()).toBe(5)
})

describe('H-10 watches on what may not be read [CVE-2024-23944, CVE-2026-59739]', () => {
  /** `/s` and `/s/t` are readable by their owner alone; the watcher stands on them, and on the root. */
  function secretPlace(watch: (watched: WatchedServer, watcher: Line) => void): {
    readonly watched: WatchedServer
    readonly owner: Line
    readonly watcher: Line
  } {
    const watched = new WatchedServer()
    const [owner, watcher] = [client(watched, 1), client(watched, 2)]
    watched.ask(owner, -4, { kind: 'auth', scheme: 'digest', auth: Buffer.from('owner:pw') })
    const acl: readonly Acl[] = [{ perms: 31, scheme: 'auth', id: '' }]
    watched.ask(owner, 1, creating('/s', { acl }))
    watched.ask(owner, 2, creating('/s/t', { acl }))
    watch(watched, watcher)
    return { watched, owner, watcher }
  }

  function changeAll(watched: WatchedServer, owner: Line): void {
    const acl: readonly Acl[] = [{ perms: 31, scheme: 'auth', id: '' }]
    watched.ask(owner, 10, { kind: 'setData', path: '/s/t', data: null, version: -1 })
    watched.ask(owner, 11, creating('/s/u', { acl }))
    watched.ask(owner, 12, { kind: 'delete', path: '/s/u', version: -1 })
    watched.ask(owner, 13, { kind: 'delete', path: '/s/t', version: -1 })
    watched.ask(owner, 14, { kind: 'setData', path: '/s', data: null, version: -1 })
  }

  test.each<[string, (watched: WatchedServer, watcher: Line) => void]>([
    [
      'persistent watches',
      (s, w) => {
        for (const path of ['/s', '/s/t', '/s/u']) s.ask(w, 1, addWatch(path, 0))
      },
    ],
    ['a recursive watch from the root', (s, w) => void s.ask(w, 1, addWatch('/', 1))],
    ['a recursive watch', (s, w) => void s.ask(w, 1, addWatch('/s', 1))],
    [
      'exists on what is not there yet',
      (s, w) => void s.ask(w, 1, { kind: 'exists', path: '/s/u', watch: true }),
    ],
    ['replayed watches', (s, w) => void s.ask(w, -8, replay(['/s', '/s/t']))],
  ])('%s tell nothing', (_kind, watch) => {
    const { watched, owner, watcher } = secretPlace(watch)

    changeAll(watched, owner)

    expect(eventsOf(watcher)).toEqual([])
  })

  test('the same watches tell the owner', () => {
    const { watched, owner } = secretPlace(() => undefined)
    watched.ask(owner, 3, addWatch('/s', 1))

    changeAll(watched, owner)

    expect(eventsOf(owner)).toEqual([
      'NodeDataChanged /s/t',
      'NodeCreated /s/u',
      'NodeDeleted /s/u',
      'NodeDeleted /s/t',
      'NodeDataChanged /s',
    ])
  })

  test('a read that is refused leaves no watch', () => {
    const { watched, owner, watcher } = secretPlace((s, w) => {
      for (const kind of ['exists', 'getData', 'getChildren', 'getChildren2'] as const) {
        expect(s.ask(w, 1, { kind, path: '/s', watch: true }).err).toBe(ErrorCode.NoAuth)
      }
    })

    expect(watched.server.inspect().watchCount()).toBe(0)
    changeAll(watched, owner)
    expect(eventsOf(watcher)).toEqual([])
  })

  function addWatch(path: string, mode: number): Request {
    return { kind: 'addWatch', path, mode }
  }

  function replay(paths: readonly string[]): Request {
    return {
      kind: 'setWatches',
      relativeZxid: 0n as Zxid,
      data: paths,
      exist: [...paths, '/s/u'],
      child: paths,
      persistent: { plain: [...paths, '/s/u'], recursive: [...paths, '/s/u'] },
    }
  }
})

describe('H-11 getACL [CVE-2019-0201]', () => {
  test('a reader sees digests without their hashes, a stranger sees nothing', () => {
    const watched = new WatchedServer()
    const [owner, reader] = [client(watched, 1), client(watched, 2)]
    const acl = (perms: number): readonly Acl[] => [
      { perms: 31, scheme: 'digest', id: 'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=' },
      { perms, scheme: 'world', id: 'anyone' },
    ]
    watched.ask(owner, 1, creating('/readable', { acl: acl(1) }))
    watched.ask(owner, 2, creating('/hidden', { acl: acl(2) }))
    watched.ask(owner, -4, { kind: 'auth', scheme: 'digest', auth: Buffer.from('u:p') })

    const seen = watched.ask(reader, 3, { kind: 'getAcl', path: '/readable' })
    const own = watched.ask(owner, 4, { kind: 'getAcl', path: '/readable' })
    const hidden = watched.ask(reader, 5, { kind: 'getAcl', path: '/hidden' })

    expect(readAclList(seen.body)?.[0]?.id).toBe('u:x')
    expect(readAclList(own.body)?.[0]?.id).toBe('u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=')
    expect(hidden.err).toBe(ErrorCode.NoAuth)
  })
})

test('H-12 after the handshake a four-letter word is a length that cannot be', () => {
  const watched = new WatchedServer()
  const line = client(watched)

  watched.send(line, Buffer.from('ruok'))

  expect(line.command).toBeUndefined()
  expect(line.isClosed).toBe(true)
})

test('H-14 no credential is ever said to the log [CVE-2026-24308]', () => {
  const watched = new WatchedServer()
  const line = client(watched)
  const id = watched.server.inspect().sessions()[0]?.session as SessionId
  const secret = 'hunter2-secret'

  watched.ask(line, -4, { kind: 'auth', scheme: 'digest', auth: Buffer.from(`user:${secret}`) })
  watched.ask(line, 1, creating('/a', { acl: [{ perms: 31, scheme: 'digest', id: `u:${secret}` }] }))
  watched.send(watched.open(2), connectFrame({ id, password: Buffer.from(secret.slice(0, 16).padEnd(16)) }))
  watched.send(line, frames([-4, { kind: 'auth', scheme: secret, auth: Buffer.from(secret) }]))
  watched.settle()

  const said = JSON.stringify(watched.said, (_key, value) =>
    typeof value === 'bigint' ? String(value) : value,
  )
  const password = Buffer.from(sessionPassword(id))
  expect(watched.said.length).toBeGreaterThan(0)
  for (const hidden of [secret, password.toString('hex'), password.toString('base64')]) {
    expect(said).not.toContain(hidden)
  }
})

describe('H-21 the digest scheme', () => {
  test.each([
    ['', ''],
    [':', ''],
    ['user', 'user'],
    ['user:', 'user'],
    [':password', ''],
    ['user:pass:word', 'user'],
    ['us\0er:p', 'us\0er'],
    ['\xff\xfe:p', '\ufffd\ufffd'],
    ['u'.repeat(4000), 'u'.repeat(4000)],
  ])('%j is the user %j', (credentials, user) => {
    const watched = new WatchedServer()
    const line = client(watched)

    const { err } = watched.ask(line, -4, {
      kind: 'auth',
      scheme: 'digest',
      auth: Buffer.from(credentials, 'latin1'),
    })
    const who = watched.ask(line, 1, { kind: 'whoAmI' })

    expect(err).toBe(ErrorCode.Ok)
    expect(readReplyBody(who.body, OpCode.WhoAmI)).toMatchObject({
      infos: expect.arrayContaining([{ scheme: 'digest', user }]),
    })
  })

  test('a user cannot take another name by a colon', () => {
    const watched = new WatchedServer()
    const line = client(watched)
    watched.ask(line, -4, { kind: 'auth', scheme: 'digest', auth: Buffer.from('a:b:c') })
    const acl: readonly Acl[] = [{ perms: 31, scheme: 'auth', id: '' }]
    watched.ask(line, 1, creating('/x', { acl }))

    const stored = readAclList(watched.ask(line, 2, { kind: 'getAcl', path: '/x' }).body)

    expect(stored?.[0]?.id).toMatch(/^a:[A-Za-z0-9+/]{27}=$/)
  })

  test('credentials without end are refused', () => {
    const watched = new WatchedServer()
    const line = client(watched)

    const { err } = watched.ask(line, -4, { kind: 'auth', scheme: 'digest', auth: new Uint8Array(1_000_000) })

    expect(err).toBe(ErrorCode.AuthFailed)
    expect(line.isClosed).toBe(true)
  })
})

describe('H-22 taking over a session', () => {
  test.each<[string, (right: Uint8Array) => Uint8Array]>([
    ['zeros', () => new Uint8Array(16)],
    ['nothing', () => new Uint8Array(0)],
    ['the first fifteen bytes', right => right.subarray(0, 15)],
    ['one byte too many', right => Uint8Array.of(...right, 0)],
    ['one wrong bit', right => right.map((byte, i) => (i === 15 ? byte ^ 1 : byte))],
  ])('with %s for a password: refused, and the owner notices nothing', (_what, guess) => {
    const watched = new WatchedServer()
    const owner = client(watched)
    const id = watched.server.inspect().sessions()[0]?.session as SessionId

    const thief = watched.open(2, '10.0.0.66')
    const got = watched.connect(thief, { id, password: guess(sessionPassword(id)) })

    expect(got).toBe(0n)
    expect([thief.frames.length, thief.isClosed]).toEqual([0, false]) // whoever guesses has to wait
    watched.pass(100)
    expect([thief.frames.length, thief.isClosed, owner.isClosed]).toEqual([1, true, false])
    expect(watched.server.inspect().counters.wrongPasswords).toBe(1)
    expect(watched.ask(owner, 1, { kind: 'ping' }).err).toBe(ErrorCode.Ok)
  })

  test('with the right one the older connection goes, and its requests with it', () => {
    const watched = new WatchedServer()
    const owner = client(watched)
    const id = watched.server.inspect().sessions()[0]?.session as SessionId

    const mover = watched.open(2)
    const got = watched.connect(mover, { id, password: sessionPassword(id) })
    watched.send(owner, frames([1, creating('/late')]))
    watched.settle()

    expect(got).toBe(id)
    expect([mover.isClosed, owner.isClosed]).toEqual([false, true])
    expect(watched.server.inspect().znodeCount()).toBe(4)
  })

  test('a replayed connect request finds no session once it is closed', () => {
    const watched = new WatchedServer()
    const owner = client(watched)
    const id = watched.server.inspect().sessions()[0]?.session as SessionId
    watched.ask(owner, 1, { kind: 'closeSession' })

    const replayed = watched.open(2)

    expect(watched.connect(replayed, { id, password: sessionPassword(id) })).toBe(0n)
    expect(replayed.isClosed).toBe(true)
  })

  test('a second connect request on a connection is a request like any other', () => {
    const watched = new WatchedServer()
    const line = client(watched)

    watched.send(line, connectFrame())
    watched.settle()

    // protocolVersion 0 and the zxid's upper half read as xid 0 and opcode 0.
    expect(line.lastReply().err).toBe(ErrorCode.Unimplemented)
    expect(line.isClosed).toBe(true)
    expect(watched.server.inspect().sessions().length).toBe(1)
  })
})

interface JavaText {
  readonly bytes: string
  readonly stored: string
  readonly units: string
  readonly problem: string | null
}

const javaTexts = (JSON.parse(readFileSync('test/golden/java-text.json', 'utf8')) as { strings: JavaText[] })
  .strings

test('H-23 each path of the corpus is created or refused as by the Java server', () => {
  const watched = new WatchedServer()
  const line = client(watched)
  // The parent decides before the path does: only names directly below the root, and those that exist.
  const paths = javaTexts.filter(({ bytes }) => bytes.lastIndexOf('2f') <= 0 && bytes !== '2f')

  const wrong = paths.filter(({ bytes, problem }) => {
    const path = new Uint8Array(Buffer.from(bytes, 'hex'))
    watched.send(
      line,
      rawFrame(1, OpCode.Create, w => {
        w.buffer(path)
        w.buffer(null)
        w.int32(1)
        w.int32(31)
        w.string('world')
        w.string('anyone')
        w.int32(0)
      }),
    )
    watched.settle()
    const { err } = line.lastReply()
    return problem === null
      ? err !== ErrorCode.Ok && err !== ErrorCode.NodeExists
      : err !== ErrorCode.BadArguments
  })

  expect(wrong).toEqual([])
  expect(paths.length).toBeGreaterThan(200)
})

test('H-24 text of ACLs is stored as the Java server stores it', () => {
  const watched = new WatchedServer()
  const line = client(watched)
  const hash = Buffer.from(':hash')
  // Above U+FFFF Java stores two halves of three bytes each, and cannot read them back.
  const texts = javaTexts.filter(({ units }) => !/d[89ab]..d[c-f]../.test(units))

  const wrong = texts.filter(({ bytes, stored }, i) => {
    watched.send(
      line,
      rawFrame(2, OpCode.Create, w => {
        w.string(`/x${i}`)
        w.buffer(null)
        w.int32(1)
        w.int32(31)
        w.string('digest')
        w.buffer(Buffer.concat([Buffer.from(bytes, 'hex'), hash]))
        w.int32(0)
      }),
    )
    watched.settle()
    return (
      line.lastReply().err !== ErrorCode.Ok ||
      !logHolds(watched, Buffer.concat([Buffer.from(stored, 'hex'), hash]))
    )
  })

  expect(wrong).toEqual([])
})

/** Are these bytes at the end of the log? */
function logHolds(watched: WatchedServer, bytes: Uint8Array): boolean {
  const [, log] = [...watched.disk.files].filter(([key]) => key.startsWith('log/')).at(-1) ?? []
  return (
    log !== undefined &&
    Buffer.from(log.buffer, log.byteOffset, log.length).lastIndexOf(bytes) > log.length - 400
  )
}
