import { describe, expect, test } from 'vitest'
import {
  type ClientConfiguration,
  parseClientConfiguration,
  readClientConfiguration,
} from './client-configuration.ts'

const parse = (...lines: string[]): ClientConfiguration => parseClientConfiguration('f', lines.join('\n'))

test('what the client has is set', () => {
  const { settings, problems, warnings } = parse(
    '# for the shell',
    'zookeeper.request.timeout=5000',
    'zookeeper.disableAutoWatchReset: True',
    'jute.maxbuffer 4194304',
    'zookeeper.client.secure=false',
    'zookeeper.sasl.client=false',
    'zookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNIO',
    'zookeeper.fips-mode=true',
  )

  expect(settings).toEqual({ requestTimeoutMs: 5000, restoresWatches: false, maxReplyBytes: 4_194_304 })
  expect([...problems, ...warnings]).toEqual([])
})

test('the last of a key counts, and a timeout of 0 or -1 is none', () => {
  expect(parse('zookeeper.request.timeout=5000', 'zookeeper.request.timeout=0').settings).toEqual({})
  expect(parse('zookeeper.request.timeout=-1')).toMatchObject({ settings: {}, problems: [] })
})

describe('what asks for TLS or SASL', () => {
  test.each([
    ['zookeeper.client.secure=true', 'TLS'],
    ['zookeeper.client.secure=TRUE', 'TLS'],
    ['zookeeper.clientCnxnSocket=ClientCnxnSocketNetty', 'TLS'],
    ['zookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty', 'TLS'],
    ['zookeeper.ssl.trustStore.location=/ca.jks', 'TLS'],
    ['ssl.keyStore.location=/k.jks', 'TLS'],
    ['zookeeper.sasl.client=true', 'SASL'],
    ['zookeeper.sasl.clientconfig=Client', 'SASL'],
    ['zookeeper.sasl.client.username=zk', 'SASL'],
    ['zookeeper.server.principal=zookeeper/h', 'SASL'],
  ])('is refused: %s', (line, what) => {
    const key = line.split('=')[0]

    expect(parse('', line).problems).toEqual([expect.stringContaining(`f:2: ${key} asks for ${what}, `)])
  })

  test('is said once for each, and no password is shown', () => {
    const { problems } = parse(
      'zookeeper.client.secure=true',
      'zookeeper.ssl.keyStore.password=hidden',
      'zookeeper.sasl.clientconfig=Client',
      'zookeeper.sasl.client.username=zk',
    )

    expect(problems).toHaveLength(2)
    expect(problems.join()).not.toContain('hidden')
  })

  test('is let pass where the file switches it off', () => {
    const { problems, warnings } = parse(
      'zookeeper.clientCnxnSocket=ClientCnxnSocketNetty',
      'zookeeper.ssl.trustStore.location=/ca.jks',
      'zookeeper.client.secure=false',
      'zookeeper.sasl.clientconfig=Client',
      'zookeeper.sasl.client=false',
    )

    expect([...problems, ...warnings]).toEqual([])
  })
})

test('an unknown key is passed over with a warning', () => {
  expect(parse('zookeeper.request.timeuot=5')).toEqual({
    settings: {},
    problems: [],
    warnings: ['f:1: zookeeper.request.timeuot is not known, and passed over'],
  })
})

test.each([
  ['zookeeper.client.secure=yes', 'is "yes", neither true nor false'],
  ['zookeeper.sasl.client=', 'is "", neither true nor false'],
  ['zookeeper.disableAutoWatchReset=1', 'is "1", neither true nor false'],
  ['zookeeper.request.timeout=5s', 'is "5s", not a whole number'],
  ['jute.maxbuffer=0', 'is "0", not a whole number from 1'],
  ['jute.maxbuffer=4294967296', 'not a whole number'],
  ['zookeeper.clientCnxnSocket=com.example.Socket', 'only a Java client can load'],
  ['key=\\u12', 'Malformed'],
])('%s is wrong', (line, what) => {
  expect(parse(line).problems).toEqual([expect.stringContaining(what)])
})

test('a file that cannot be read is a problem', () => {
  expect(readClientConfiguration('/no/such/file').problems).toEqual([
    expect.stringMatching(/^-client-configuration \/no\/such\/file cannot be read: ENOENT/),
  ])
  expect(readClientConfiguration('/').problems).toEqual([expect.stringContaining('EISDIR')])
})
