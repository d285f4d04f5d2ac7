import { CreateFlags, openAcl, type SessionId } from '@corral/protocol'
import { expect, test } from 'vitest'
import { OneServer, type Peer } from './one-server.ts'

function createEphemerals(server: OneServer, client: Peer, paths: readonly string[]): void {
  for (const [i, path] of paths.entries()) {
    const create = { kind: 'create', op: 1, path, data: null, acl: openAcl } as const
    server.request(client, 1 + i, { ...create, flags: CreateFlags.Ephemeral })
  }
  server.disk()
  expect(client.inbox.length).toBe(paths.length)
}

function sessionOf(client: Peer): SessionId {
  return client.welcome?.sessionId as SessionId
}

function endSession(server: OneServer, client: Peer): void {
  server.request(client, 99, { kind: 'closeSession' })
  server.disk()
}

test('connections that come while they are listed do not make the list longer', () => {
  const server = new OneServer()
  server.open(1)
  server.open(2)
  const listed: number[] = []

  for (const { conn } of server.server.inspect().connections()) {
    listed.push(conn)
    server.open(10 + listed.length)
  }

  expect(listed).toEqual([1, 2])
})

test('a connection that goes before its turn is not listed', () => {
  const server = new OneServer()
  for (const id of [1, 2, 3]) server.open(id)
  const listed: number[] = []

  for (const { conn } of server.server.inspect().connections()) {
    listed.push(conn)
    server.step({ kind: 'closed', conn: 2 })
  }

  expect(listed).toEqual([1, 3])
})

test('a session that ends before its turn is not listed', () => {
  const server = new OneServer()
  const clients = [1, 2, 3].map(id => server.client(id))
  const list = server.server.inspect().sessions()[Symbol.iterator]()
  const first = list.next()
  endSession(server, clients[1] as Peer)

  expect([first, list.next(), list.next()].map(({ value }) => value?.session)).toEqual([
    sessionOf(clients[0] as Peer),
    sessionOf(clients[2] as Peer),
    undefined,
  ])
})

test('it is known who owns ephemerals, and which', () => {
  const server = new OneServer()
  const owner = server.client(1)
  const other = server.client(2)
  createEphemerals(server, owner, ['/b', '/a'])

  const inspection = server.server.inspect()

  expect([...inspection.sessions()].map(({ session, ownsEphemerals }) => [session, ownsEphemerals])).toEqual([
    [sessionOf(owner), true],
    [sessionOf(other), false],
  ])
  expect([...inspection.ephemeralsOf(sessionOf(owner))]).toEqual(['/b', '/a'])
  expect([...inspection.ephemeralsOf(sessionOf(other))]).toEqual([])
})

test('ephemerals that go before their turn are not listed, nor what has their ids then', () => {
  const server = new OneServer()
  const owner = server.client(1)
  const other = server.client(2)
  createEphemerals(server, owner, ['/a', '/b', '/c'])
  const list = server.server.inspect().ephemeralsOf(sessionOf(owner))[Symbol.iterator]()

  const first = list.next()
  endSession(server, owner)
  createEphemerals(server, other, ['/d', '/e'])

  expect(first.value).toBe('/a')
  expect(list.next()).toEqual({ done: true, value: undefined })
})

test('a connection expires with its session, and without one when its time for a handshake is over', () => {
  const server = new OneServer({ tickTimeMs: 2000, sessionlessTimeoutMs: 10_000 })
  server.client(1)
  server.open(2)

  const inspection = server.server.inspect()

  const [session] = inspection.sessions()
  expect([...inspection.connections()].map(each => each.expiresAtMonotonicMs)).toEqual([
    session?.expiresAtMonotonicMs,
    12_000,
  ])
})
