import {
  CreateFlags,
  decodeTxn,
  encodeUtf8,
  type MultiOp,
  OpCode,
  openAcl,
  Perm,
  type Request,
  txnType,
} from '@corral/protocol'
import { expect, test } from 'vitest'
import { OneServer } from './one-server.ts'

test('a create2 in a multi is logged as a create, and answered with its Stat', () => {
  const server = new OneServer()
  const client = server.client(1)
  const create = (op: typeof OpCode.Create | typeof OpCode.Create2, path: string): MultiOp => {
    return { kind: 'create', op, path, data: encodeUtf8('x'), acl: openAcl, flags: 0 }
  }
  const logged: number[] = []
  const ask = server.files.ask.bind(server.files)
  server.files.ask = (op, call) => {
    if (call.call === 'write' && call.sync) logged.push(...typesOf(call.pieces[0]))
    ask(op, call)
  }

  server.request(client, 1, {
    kind: 'multi',
    ops: [create(OpCode.Create2, '/a'), create(OpCode.Create, '/b'), create(OpCode.Create2, '/c')],
  })
  server.disk()

  expect(client.inbox).toEqual([expect.stringMatching(/^reply 1 .*ok created\+stat created created\+stat$/)])
  expect(logged).toEqual([OpCode.Create, OpCode.Create, OpCode.Create])
})

test('a multi that fails leaves what outstanding writes made as they made it', () => {
  const server = new OneServer()
  const client = server.client(1)
  const create = (path: string, flags = 0, perms = 31): MultiOp => {
    const acl = openAcl.map(entry => ({ ...entry, perms }))
    return { kind: 'create', op: OpCode.Create, path, data: null, acl, flags }
  }
  const remove = (path: string, version = -1): MultiOp => ({ kind: 'delete', path, version })
  const first = '/p/s0000000000'
  const failing: readonly MultiOp[] = [
    create('/p/s', CreateFlags.PersistentSequential),
    { kind: 'setData', path: '/p', data: null, version: 0 },
    ...[remove(first), create(first, 0, Perm.Read), remove('/none')],
  ]
  const requests: readonly Request[] = [
    ...[create('/p'), create('/p/s', CreateFlags.PersistentSequential)],
    { kind: 'multi', ops: failing },
    ...[create('/p/s', CreateFlags.PersistentSequential), create(`${first}/c`)],
    ...[remove(`${first}/c`), remove(first), remove('/p/s0000000001'), remove('/p', 0)],
  ]

  for (const [i, request] of requests.entries()) server.request(client, i, request)
  server.disk()

  expect(client.inbox.map(text => text.replace(/^reply (\d) zxid=\d+/, '$1'))).toEqual([
    ...['0 ok /p', `1 ok ${first}`],
    '2 ok Ok Ok Ok Ok NoNode',
    ...['3 ok /p/s0000000001', `4 ok ${first}/c`, '5 ok', '6 ok', '7 ok', '8 ok'],
  ])
})

/** Of the ops of the multi that is the only record of a batch. */
function typesOf(batch: Uint8Array | undefined): readonly number[] {
  if (batch === undefined) return []
  const { body } = decodeTxn(batch, 12, batch.length - 1)
  return body.kind === 'multi' ? body.txns.map(txnType) : []
}

test('flags that are none and a null ACL fail a createTTL alone, and with another create the whole multi', () => {
  const server = new OneServer()
  const client = server.client(1)
  const base = { path: '/a', data: null }
  const spoilt = [
    { ...base, acl: openAcl, flags: 7 },
    { ...base, acl: null, flags: CreateFlags.PersistentWithTtl },
    { ...base, acl: null, flags: CreateFlags.Container },
  ]

  for (const [i, op] of spoilt.entries()) {
    server.request(client, 2 * i, { kind: 'multi', ops: [{ ...op, kind: 'createTtl', ttlMs: 1000 }] })
    server.request(client, 2 * i + 1, { kind: 'multi', ops: [{ ...op, kind: 'create', op: OpCode.Create2 }] })
  }
  server.disk()

  expect(client.inbox.map(told => told.replace(/^reply (\d) zxid=\d+/, '$1'))).toEqual([
    ...['0 ok BadArguments', '1 MarshallingError'],
    ...['2 ok InvalidAcl', '3 MarshallingError'],
    ...['4 ok InvalidAcl', '5 MarshallingError'],
  ])
})
