/**
 * What the differential test never sends to Java, because it would harm it or because its answer depends on which
 * thread is faster. Corral's answer is settled, and checked here.
 */
import {
  type CreateRequest,
  ErrorCode,
  encodeUtf8,
  type MultiOp,
  OpCode,
  openAcl,
  opOf,
  type Request,
  readReplyFrame,
  Writer,
  writeRequestFrame,
  Xid,
  zxid,
} from '@corral/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCorral } from './corral-server.ts'
import type { InteropServer } from './interop-server.ts'
import { RawClient } from './raw-client.ts'
import { writeSent } from './sent-frame.ts'

let server: InteropServer

beforeAll(async () => {
  server = await startCorral()
})

afterAll(() => server.stop())

const create = (path: string, data = ''): CreateRequest => ({
  kind: 'create',
  op: OpCode.Create,
  path,
  data: encodeUtf8(data),
  acl: openAcl,
  flags: 0,
})

/** Sends all at once, with xids from 1. @returns `xid err` of every reply, then `closed` if the server closed */
async function pipeline(requests: readonly Request[], ending?: Uint8Array): Promise<string[]> {
  const { client } = await RawClient.connect(server.port)
  const writer = new Writer()
  for (const [i, request] of requests.entries()) writeRequestFrame(writer, i + 1, request)
  client.send(Buffer.concat([writer.written(), ending ?? new Uint8Array(0)]))
  const answers: string[] = []
  const count = requests.length + (ending === undefined ? 0 : 1)
  while (answers.length < count) {
    const frame = await client.next()
    if (frame === undefined) break
    const { header } = readReplyFrame(OpCode.Ping, frame)
    answers.push(`${header.xid} ${header.err}`)
  }
  if (ending !== undefined) {
    await client.until(() => client.isClosed)
    answers.push(client.isClosed ? 'closed' : 'open')
  }
  client.drop()
  return answers
}

function frameOf(op: number, xid: number): Uint8Array {
  const writer = new Writer()
  writeSent(writer, { request: { kind: 'whoAmI' }, op }, xid)
  return writer.written()
}

test('createTTL of a mode without TTL and with a negative ttl is refused; it ends the Java server (§14 item 26)', async () => {
  const request: Request = { kind: 'createTtl', path: '/t', data: null, acl: openAcl, flags: 0, ttlMs: -1 }

  expect(await pipeline([request, { kind: 'exists', path: '/t', watch: false }])).toEqual([
    `1 ${ErrorCode.BadArguments}`,
    `2 ${ErrorCode.NoNode}`,
  ])
})

test.each([OpCode.CreateSession, OpCode.DeleteContainer, OpCode.Error, 99])(
  'opcode %i from a client is refused after the answers before it, and the connection closed (§14 items 24, 25, 29)',
  async op => {
    const path = `/before${op}`

    expect(await pipeline([create(path), { kind: 'exists', path, watch: false }], frameOf(op, 3))).toEqual([
      '1 0',
      '2 0',
      `3 ${ErrorCode.Unimplemented}`,
      'closed',
    ])
  },
)

test.each([
  { flags: 0, path: '/kind' },
  { flags: 1, path: '/kind' },
  { flags: 2, path: '/kind0000000000' },
])(
  'in a multi createContainer with flags $flags makes a container; by its flags alone, 3.8.0 does not (§9.2)',
  async ({ flags, path }) => {
    const { client } = await RawClient.connect(server.port)
    const top = `/kinds${flags}`
    const op: MultiOp = { ...create(`${top}/kind`), op: OpCode.CreateContainer, flags }

    const { body } = await client.request(1, { kind: 'multi', ops: [create(top), op] })

    expect(body.kind === 'results' && body.results[1]).toMatchObject({
      kind: 'created',
      path: top + path,
      stat: { ephemeralOwner: 0n },
    })
    client.drop()
  },
)

test('a watch list that is null spoils all of them, before anything is told (§7.8)', async () => {
  const { client } = await RawClient.connect(server.port)
  const writer = new Writer()
  const lists = {
    request: { kind: 'setWatches', relativeZxid: zxid(-1n), data: ['/'], exist: [], child: [] },
  } as const
  writeSent(
    writer,
    { ...lists, mutation: { kind: 'body', hex: 'ffffffffffffffff00000001000000012fffffffff00000000' } },
    1,
  )
  client.send(writer.written())

  const frame = await client.next()

  expect(frame && readReplyFrame(OpCode.SetWatches, frame).header).toMatchObject({
    xid: 1,
    err: ErrorCode.MarshallingError,
  })
  client.drop()
})

test('addWatch with a null path is malformed; in Java it outlives its connection (§3.1)', async () => {
  const { client } = await RawClient.connect(server.port)
  const writer = new Writer()
  const request: Request = { kind: 'addWatch', path: '/a', mode: 1 }
  writeSent(writer, { request, mutation: { kind: 'nullPath' } }, 1)
  client.send(writer.written())

  const frame = await client.next()

  expect(frame && readReplyFrame(OpCode.AddWatch, frame).header.err).toBe(ErrorCode.MarshallingError)
  client.drop()
})

test('garbage in a stats node does not hurt the server (§14 item 27)', async () => {
  const answers = await pipeline([
    create('/zookeeper/quota/g'),
    create('/zookeeper/quota/g/zookeeper_limits', 'count=many;;bytes==-=,x'),
    create('/zookeeper/quota/g/zookeeper_stats', 'nonsense'),
    { kind: 'setData', path: '/zookeeper/quota/g/zookeeper_stats', data: encodeUtf8('=,='), version: -1 },
    create('/g'),
    create('/g/child', 'data'),
    { kind: 'setData', path: '/g/child', data: null, version: -1 },
    { kind: 'delete', path: '/g/child', version: -1 },
  ])

  expect(answers.map(answer => answer.split(' ')[1])).toEqual(Array.from({ length: 8 }, () => '0'))
})

test('a write behind a setACL is checked against the new ACL, however fast it comes (CVE-2026-100235)', async () => {
  const denied = [{ perms: 1, scheme: 'world', id: 'anyone' }]

  expect(
    await pipeline([
      create('/acl'),
      { kind: 'setAcl', path: '/acl', acl: denied, version: -1 },
      { kind: 'setData', path: '/acl', data: null, version: -1 },
      create('/acl/child'),
    ]),
  ).toEqual(['1 0', '2 0', `3 ${ErrorCode.NoAuth}`, `4 ${ErrorCode.NoAuth}`])
})

test('auth is answered in its turn (§6.14 point 5)', async () => {
  const { client } = await RawClient.connect(server.port)
  const writer = new Writer()
  const requests: Request[] = [
    create('/turn'),
    { kind: 'auth', scheme: 'digest', auth: encodeUtf8('u:p') },
    create('/turn'),
  ]
  for (const [i, request] of requests.entries()) {
    writeRequestFrame(writer, request.kind === 'auth' ? Xid.Auth : i + 1, request)
  }
  client.send(writer.written())

  const xids: number[] = []
  for (const request of requests) {
    const frame = await client.next()
    if (frame === undefined) throw new Error('closed')
    xids.push(readReplyFrame(opOf(request), frame).header.xid)
  }

  expect(xids).toEqual([1, Xid.Auth, 3])
  client.drop()
})

test('a multiRead whose reply would pass 16 MiB is refused, and the connection kept (H-05)', async () => {
  const { client } = await RawClient.connect(server.port)
  await client.request(1, create('/big', 'x'.repeat(1_000_000)))
  const ops = Array.from({ length: 17 }, () => ({ kind: 'getData', path: '/big', watch: false }) as const)

  const refused = await client.request(2, { kind: 'multiRead', ops })
  const served = await client.request(3, { kind: 'multiRead', ops: ops.slice(0, 16) })

  expect(refused.header.err).toBe(ErrorCode.MarshallingError)
  expect(served.body.kind === 'results' ? served.body.results.length : 0).toBe(16)
  client.drop()
})

test('a wrong password does not disturb the connection that has the session (D-35, H-22)', async () => {
  const { client, session } = await RawClient.connect(server.port)
  const password = Uint8Array.from(session.password ?? [])
  password[0] = (password[0] as number) ^ 1

  const thief = await RawClient.connect(server.port, { sessionId: session.sessionId, password })

  expect(thief.session.timeoutMs).toBe(0)
  expect((await client.request(Xid.Ping, { kind: 'ping' })).header.err).toBe(0)
  client.drop()
})
