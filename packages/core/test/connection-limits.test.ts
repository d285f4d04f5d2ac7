import { expect, test } from 'vitest'
import type { ServerConfig } from '../src/config.ts'
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
