import { createHash } from 'node:crypto'
import { encodeUtf8, toBase64 } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { defaultConfig } from '../config.ts'
import { type AuthId, addIds, authenticate, isValidAclId, matchesId, userName } from './auth-ids.ts'

const sha1 = (bytes: Uint8Array): Uint8Array => createHash('sha1').update(bytes).digest()
const auth = defaultConfig.auth

describe('digest', () => {
  test('hashes user and password together and keeps the user', () => {
    const ids = authenticate({ config: auth, sha1 }, '127.0.0.1', encodeUtf8('digest'), encodeUtf8('u:p'))

    expect(ids).toEqual([{ scheme: 'digest', id: 'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=' }])
  })

  test('credentials without a colon are taken as they are', () => {
    const ids = authenticate({ config: auth, sha1 }, '127.0.0.1', encodeUtf8('digest'), encodeUtf8('nocolon'))

    expect(ids?.[0]?.id).toBe(`nocolon:${toBase64(sha1(encodeUtf8('nocolon')))}`)
  })

  test('the super digest adds the super id beside the ordinary one', () => {
    const superDigest = `super:${toBase64(sha1(encodeUtf8('super:pw')))}`

    const ids = authenticate(
      { config: { ...auth, superDigest }, sha1 },
      '',
      encodeUtf8('digest'),
      encodeUtf8('super:pw'),
    )

    expect(ids).toEqual([
      { scheme: 'super', id: '' },
      { scheme: 'digest', id: superDigest },
    ])
  })

  test('what is hashed is the text that the bytes are: malformed ones as U+FFFD', () => {
    const [malformed, replaced] = [
      [0x75, 0xfc, 0x3a, 0xed, 0xa0, 0x80],
      [...encodeUtf8('u\ufffd:\ufffd')],
    ].map(bytes => authenticate({ config: auth, sha1 }, '', encodeUtf8('digest'), Uint8Array.from(bytes)))

    expect(malformed).toEqual(replaced)
    expect(malformed?.[0]?.id).toBe(`u\ufffd:${toBase64(sha1(encodeUtf8('u\ufffd:\ufffd')))}`)
  })

  test('null credentials and unknown schemes are refused', () => {
    const given = { config: auth, sha1 }

    expect(authenticate(given, '', encodeUtf8('digest'), null)).toBeUndefined()
    for (const scheme of ['world', 'auth', 'super', 'bogus']) {
      expect(authenticate(given, '', encodeUtf8(scheme), encodeUtf8('x'))).toBeUndefined()
    }
    expect(authenticate(given, '', null, encodeUtf8('x'))).toBeUndefined()
  })
})

test('credentials beyond 4 KiB are refused: their id would be kept', () => {
  const given = { config: auth, sha1 }
  const [longest, tooLong] = [4096, 4097].map(length => new Uint8Array(length).fill(0x61))

  expect(authenticate(given, '', encodeUtf8('digest'), longest ?? null)).toHaveLength(1)
  expect(authenticate(given, '', encodeUtf8('digest'), tooLong ?? null)).toBeUndefined()
})

test('a connection keeps its address and the latest of its other ids, 64 in all', () => {
  const ip = { scheme: 'ip', id: '127.0.0.1' }
  let ids: readonly AuthId[] = [ip]

  for (let i = 0; i < 1000; i++) ids = addIds(ids, [{ scheme: 'digest', id: `u${i}:hash` }])

  expect(ids.length).toBe(64)
  expect([ids[0], ids[1], ids.at(-1)].map(id => id?.id)).toEqual(['127.0.0.1', 'u937:hash', 'u999:hash'])
})

test('the verdicts of ZooKeeper on the ids of an ACL', () => {
  const verdicts = ['foo', 'a:b', ':b', 'a:', 'a:b:c', 'a:b:'].map(id => isValidAclId(auth, 'digest', id))
  expect(verdicts).toEqual([false, true, true, false, false, true])

  const good = ['10.0.0.1', '10.0.0.1/8', '0.0.0.0/0', '::1', 'fe80::1/64', '0:0:0:0:0:0:0:1']
  const bad = ['10.0.0.1/33', '10.0.0', '10.0.0.256', '::1/129', 'a.b.c.d', '', '1::2::3', '10.0.0.1/x']
  expect(good.filter(id => !isValidAclId(auth, 'ip', id))).toEqual([])
  expect(bad.filter(id => isValidAclId(auth, 'ip', id))).toEqual([])
  const oddlyGood = ['+10.0.0.1', '0010.0.0.1', '-0.0.0.1', '10.0.0.1/+8', '10.0.0.1/0000000000008']
  const oddlyBad = [
    '::1.2.3.4',
    '::12345',
    '1:2:3:4:5:6:7',
    '::1:',
    ':::',
    '1:2:3:4:5:6:7::8',
    '10.0.0.-1',
    '10.0.0.1/-8',
    ' 10.0.0.1',
    '10.0.0.1 ',
    '10.0.0.1/8/9',
    '10.0.0.1/',
    '10..0.1',
  ]
  expect(oddlyGood.filter(id => !isValidAclId(auth, 'ip', id))).toEqual([])
  expect(oddlyBad.filter(id => isValidAclId(auth, 'ip', id))).toEqual([])
  expect(isValidAclId(auth, 'sasl', 'bob')).toBe(false)
  expect(isValidAclId(auth, 'x509', 'CN=bob')).toBe(false)
})

test('an address matches the networks that contain it, of its own family', () => {
  expect(matchesId('ip', '10.1.2.3', '10.0.0.0/8')).toBe(true)
  expect(matchesId('ip', '10.1.2.3', '10.1.2.3')).toBe(true)
  expect(matchesId('ip', '10.1.2.3', '10.1.2.0/31')).toBe(false)
  expect(matchesId('ip', '10.1.2.3', '0.0.0.0/0')).toBe(true)
  expect(matchesId('ip', '0:0:0:0:0:0:0:1', '::/0')).toBe(true)
  expect(matchesId('ip', '0:0:0:0:0:0:0:1', '0.0.0.0/0')).toBe(false)
})

test('ids are a set, and whoAmI shows no hash', () => {
  const ip = { scheme: 'ip', id: '127.0.0.1' }
  const digest = { scheme: 'digest', id: 'u:hash' }

  expect(addIds([ip], [ip])).toEqual([ip])
  expect(addIds([ip], [digest])).toEqual([ip, digest])
  expect([ip, digest, { scheme: 'super', id: 'x' }].map(userName)).toEqual(['127.0.0.1', 'u', ''])
})
