/** Hostile input at the client port: sessions of others, credentials, and words out of place. */
import {
  type Acl,
  ErrorCode,
  OpCode,
  readAclList,
  readReplyBody,
  type SessionId,
  sessionPassword,
} from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { client, creating, frames } from './client-lines.ts'
import { connectFrame, WatchedServer } from './watched-server.ts'

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
  const id = [...watched.server.inspect().sessions()][0]?.session as SessionId
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
    const id = [...watched.server.inspect().sessions()][0]?.session as SessionId

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
    const id = [...watched.server.inspect().sessions()][0]?.session as SessionId

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
    const id = [...watched.server.inspect().sessions()][0]?.session as SessionId
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
    expect(watched.server.inspect().sessionCount()).toBe(1)
  })
})
