/** Hostile input at the client port: opcodes, watches and answers that a client has no right to. */
import {
  type Acl,
  ErrorCode,
  OpCode,
  openAcl,
  Reader,
  type Request,
  readAclList,
  readReplyBody,
  type Writer,
  type Zxid,
} from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { client, creating, eventsOf, frames, rawFrame } from './client-lines.ts'
import { type Line, WatchedServer } from './watched-server.ts'

const nothing: readonly Acl[] = [{ perms: 31, scheme: 'digest', id: 'nobody:hash' }]

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
