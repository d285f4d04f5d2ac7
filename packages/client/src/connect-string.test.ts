import { expect, test } from 'vitest'
import { formatServer, parseConnectString } from './connect-string.ts'
import { BadArgumentsError } from './errors.ts'

test.each([
  ['localhost', ['localhost:2181'], ''],
  ['h1:1,h2:65535', ['h1:1', 'h2:65535'], ''],
  ['h1:2181,h2:2182/app/a', ['h1:2181', 'h2:2182'], '/app/a'],
  ['h1/', ['h1:2181'], ''],
  ['[::1]:2182,[fe80::1%eth0],10.0.0.1', ['[::1]:2182', '[fe80::1%eth0]:2181', '10.0.0.1:2181'], ''],
  ['h1, h2', ['h1:2181', 'h2:2181'], ''],
  ['h1,,h2,', ['h1:2181', 'h2:2181'], ''],
])('%s', (text, servers, chroot) => {
  const parsed = parseConnectString(text)

  expect(parsed.servers.map(formatServer)).toEqual(servers)
  expect(parsed.chroot).toBe(chroot)
})

test.each([
  '',
  ',',
  ', /a',
  'h1:',
  'h1:0',
  'h1:65536',
  'h1:x',
  '::1',
  '[::1',
  'h 1',
  'h1/a/',
  'h1//a',
  'h1/../a',
])('"%s" is refused', text => {
  expect(() => parseConnectString(text)).toThrow(BadArgumentsError)
})

test('a URL is told what to write instead', () => {
  expect(() => parseConnectString('zk://h1:2181/a')).toThrow(/it is no URL: host:port/)
})

test('what is no text is refused', () => {
  expect(() => parseConnectString(undefined as never)).toThrow(BadArgumentsError)
})
