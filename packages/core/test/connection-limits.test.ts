import { OpCode, openAcl, type Request } from '@corral/protocol'
import { expect, test } from 'vitest'
import { defaultConfig, type ServerConfig } from '../src/config.ts'
import { OneServer } from './one-server.ts'

const create = (path: string): Request => ({
  kind: 'create',
  op: OpCode.Create,
  path,
  data: null,
  acl: openAcl,
  flags: 0,
})
const getData = (path: string): Request => ({ kind: 'getData', path, watch: false })
const withoutZxid = (text: string): string => text.replace(/zxid=\d+ /, '')

test.each<[Partial<ServerConfig>, string, number]>([
  [{ maxClientCnxns: 1, maxCnxns: 50 }, 'maxClientCnxns', 1],
  [{ maxClientCnxns: 50, maxCnxns: 2 }, 'maxCnxns', 2],
])('with %j, the limit that closes a connection is named: %s', (config, key, limit) => {
  const one = new OneServer(config)
  one.open(1)
  one.open(2, '10.0.0.1')

  const peer = { address: '127.0.0.1', port: 3 }
  const effects = one.server.step({ monotonicMs: 5000, wallMs: 0 }, { kind: 'opened', conn: 3, peer })

  expect(effects).toEqual([
    {
      kind: 'say',
      level: 'warn',
      what: 'too many connections',
      fields: { address: '127.0.0.1', key, limit },
    },
    { kind: 'close', conn: 3, how: 'abort' },
  ])
})

test('a request that is held back over several turns has waited since the first', () => {
  const one = new OneServer({
    requestThrottle: { ...defaultConfig.requestThrottle, maxRequests: 1, throttledOpWaitTimeMs: 150 },
  })
  const client = one.client(1)
  for (const xid of [1, 2, 3]) one.request(client, xid, create(`/${xid}`))
  for (const waitMs of [100, 100]) {
    one.turn()
    one.pass(waitMs)
    const done = one.files.next()
    if (done !== undefined) one.step({ kind: 'diskDone', ...done })
  }
  one.disk()

  expect(client.inbox.map(withoutZxid)).toEqual(['reply 1 ok /1', 'reply 2 ok /2', 'reply 3 ThrottledOp'])
})

test('a request that was accepted at once is not throttled, however long it waits for the disk', () => {
  const one = new OneServer({
    globalOutstandingLimit: 1,
    requestThrottle: { ...defaultConfig.requestThrottle, throttledOpWaitTimeMs: 150 },
  })
  const client = one.client(1)
  one.request(client, 1, create('/1'))
  one.request(client, 2, getData('/1'))
  one.request(client, 3, getData('/1'))

  one.pass(200)
  one.disk()

  expect(client.inbox.map(withoutZxid)).toEqual(['reply 1 ok /1', 'reply 2 ok null', 'reply 3 ThrottledOp'])
})

test('one that was held back too long is throttled, although it waits for the disk then', () => {
  const one = new OneServer({
    requestThrottle: { ...defaultConfig.requestThrottle, maxRequests: 3, throttledOpWaitTimeMs: 150 },
  })
  const client = one.client(1)
  for (const xid of [1, 2]) one.request(client, xid, create(`/${xid}`))
  one.turn()
  one.request(client, 3, create('/3'))
  one.request(client, 4, getData('/3'))

  one.pass(200)
  one.disk()

  expect(client.inbox.slice(2).map(withoutZxid)).toEqual(['reply 3 ok /3', 'reply 4 ThrottledOp'])
})

test('a large frame for which there is no room closes its connection, whatever it asks for', () => {
  const path = `/${'x'.repeat(300)}`
  const asked: readonly Request[] = [
    getData(path),
    { kind: 'sync', path },
    { kind: 'auth', scheme: 'digest', auth: new Uint8Array(300) },
    { kind: 'delete', path, version: -1 },
  ]
  const one = new OneServer({ largeRequest: { thresholdBytes: 100, maxBytes: 200 } })

  const clients = asked.map((request, i) => {
    const client = one.client(i + 1)
    one.request(client, 1, request)
    one.disk()
    return client
  })

  expect(clients.map(client => client.isClosed)).toEqual(asked.map(() => true))
})

test('a large read that waits for a write takes of the room until it is answered', () => {
  const one = new OneServer({ largeRequest: { thresholdBytes: 100, maxBytes: 400 } })
  const waiting = one.client(1)
  const refused = one.client(2)
  const served = one.client(3)
  const large = getData(`/${'x'.repeat(250)}`)
  one.request(waiting, 1, create('/1'))
  one.request(waiting, 2, large)

  one.request(refused, 1, large)
  one.disk()
  one.request(served, 1, large)

  expect(refused.isClosed).toBe(true)
  expect(waiting.inbox.map(withoutZxid)).toEqual(['reply 1 ok /1', 'reply 2 NoNode'])
  expect(served.inbox.map(withoutZxid)).toEqual(['reply 1 NoNode'])
})

test('a connection that is gone takes nothing of the room any more', () => {
  const one = new OneServer({ largeRequest: { thresholdBytes: 100, maxBytes: 400 } })
  const gone = one.client(1)
  const served = one.client(2)
  const large = getData(`/${'x'.repeat(250)}`)
  one.request(gone, 1, create('/1'))
  one.request(gone, 2, large)

  one.step({ kind: 'closed', conn: gone.id })
  one.request(served, 1, large)

  expect(served.inbox.map(withoutZxid)).toEqual(['reply 1 NoNode'])
})
