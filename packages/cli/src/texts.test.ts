/** The small text forms: ACLs, quotas, hex dumps, the configuration. */
import { describe, expect, test } from 'vitest'
import { aclLines, parseAcl, permLetters } from './acl-text.ts'
import { membershipLine, parseMembership } from './config-text.ts'
import { hexDump } from './hex-dump.ts'
import { formatQuota, limitsPath, parseQuota, quotaValue } from './quota-text.ts'

describe('ACLs', () => {
  test('an id may contain colons', () => {
    expect(parseAcl('digest:user:hash=:cdrwa,ip:::1:r')).toEqual({
      acl: [
        { scheme: 'digest', id: 'user:hash=', perms: 31 },
        { scheme: 'ip', id: '::1', perms: 1 },
      ],
      problems: [],
    })
  })

  test('what is wrong is said and left out', () => {
    expect(parseAcl('world:anyone,world:anyone:rx')).toEqual({
      acl: [{ scheme: 'world', id: 'anyone', perms: 1 }],
      problems: ['world:anyone does not have the form scheme:id:perm', 'Unknown perm type: x'],
    })
  })

  test.each([
    ['world:anyone:r,,', []],
    [',world:anyone:r', [' does not have the form scheme:id:perm']],
    [',', []],
    ['', [' does not have the form scheme:id:perm']],
  ])('of empty entries only those at the end are none: %j', (text, problems) => {
    expect(parseAcl(text).problems).toEqual(problems)
  })

  test('permissions are printed in the order cdrwa', () => {
    expect([permLetters(31), permLetters(3), permLetters(0)]).toEqual(['cdrwa', 'rw', ''])
    expect(aclLines([{ scheme: 'world', id: 'anyone', perms: 31 }])).toEqual(["'world,'anyone", ': cdrwa'])
  })
})

describe('quotas', () => {
  const full = 'count=2,bytes=-1=;byteHardLimit=-1;countHardLimit=7'

  test('what is read is written again', () => {
    expect(formatQuota(parseQuota(full))).toBe(full)
    expect(formatQuota(parseQuota('count=6,bytes=7'))).toBe('count=6,bytes=7')
  })

  test('what is not there is no limit', () => {
    const values = parseQuota('count=2,bytes=')

    expect([quotaValue(values, 'count'), quotaValue(values, 'bytes')]).toEqual([2n, -1n])
    expect(quotaValue(values, 'countHardLimit')).toBe(-1n)
  })

  test('bytes beyond 2^53 stay exact', () => {
    expect(formatQuota(parseQuota('count=-1,bytes=9223372036854775807'))).toBe(
      'count=-1,bytes=9223372036854775807',
    )
  })

  test('garbage does no harm', () => {
    expect(formatQuota(parseQuota(';;count=x,=3,bytes'))).toBe('count=-1,bytes=-1')
  })

  test('limits lie below the quota root', () => {
    expect(limitsPath('/a/b')).toBe('/zookeeper/quota/a/b/zookeeper_limits')
  })
})

describe('hex dumps', () => {
  test('a row is filled up, and what cannot be printed is a dot', () => {
    expect(hexDump(Buffer.from('hello world'))).toBe(
      [
        '         +-------------------------------------------------+',
        '         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |',
        '+--------+-------------------------------------------------+----------------+',
        '|00000000| 68 65 6c 6c 6f 20 77 6f 72 6c 64                |hello world     |',
        '+--------+-------------------------------------------------+----------------+',
      ].join('\n'),
    )
  })

  test('the seventeenth byte begins a row of its own', () => {
    const rows = hexDump(new Uint8Array(17).fill(0xff)).split('\n')

    expect(rows[3]).toBe(`|00000000|${' ff'.repeat(16)} |${'.'.repeat(16)}|`)
    expect(rows[4]?.startsWith('|00000010| ff ')).toBe(true)
  })

  test('no bytes are no rows', () => {
    expect(hexDump(new Uint8Array(0))).toBe('')
  })
})

describe('the configuration', () => {
  const text = [
    'server.1=127.0.0.1:42011:42021:participant;127.0.0.1:42001',
    'server.2=[::1]:42012:42022:participant;42002',
    'server.3=127.0.0.1:42013:42023:observer',
    'version=100000000',
  ].join('\n')

  test('is shown as version and client addresses', () => {
    expect(membershipLine(parseMembership(text))).toBe('100000000 127.0.0.1:42001,0.0.0.0:42002,')
  })

  test('may be empty', () => {
    expect(membershipLine(parseMembership(''))).toBe(' ')
  })
})
