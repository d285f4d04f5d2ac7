import { OpCode, openAcl } from '@corral/protocol'
import { expect, test } from 'vitest'
import { defaultConfig, type ServerConfig } from '../src/config.ts'
import { OneServer } from './one-server.ts'

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
  for (const xid of [1, 2, 3]) {
    const create = { kind: 'create', op: OpCode.Create, path: `/${xid}`, data: null, acl: openAcl } as const
    one.request(client, xid, { ...create, flags: 0 })
  }
  for (const waitMs of [100, 100]) {
    one.turn()
    one.pass(waitMs)
    const done = one.files.next()
    if (done !== undefined) one.step({ kind: 'diskDone', ...done })
  }
  one.disk()

  expect(client.inbox.map(text => text.replace(/zxid=\d+ /, ''))).toEqual([
    'reply 1 ok /1',
    'reply 2 ok /2',
    'reply 3 ThrottledOp',
  ])
})
