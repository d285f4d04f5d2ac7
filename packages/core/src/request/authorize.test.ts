import {
  type Acl,
  ErrorCode,
  openAcl,
  Perm,
  Reader,
  readAclList,
  Writer,
  writeAclList,
} from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { defaultConfig } from '../config.ts'
import type { AuthId } from '../session/auth-ids.ts'
import { AclFixer, isPermitted, redactAcl } from './authorize.ts'

const auth = defaultConfig.auth
const ip: AuthId = { scheme: 'ip', id: '127.0.0.1' }
const bob: AuthId = { scheme: 'digest', id: 'bob:hash' }

describe('isPermitted', () => {
  const ownedByBob: readonly Acl[] = [{ perms: Perm.All, scheme: 'digest', id: 'bob:hash' }]

  test('world:anyone serves everybody, for its permissions only', () => {
    const readOnly: readonly Acl[] = [{ perms: Perm.Read, scheme: 'world', id: 'anyone' }]

    expect(isPermitted(auth, [ip], readOnly, Perm.Read)).toBe(true)
    expect(isPermitted(auth, [ip], readOnly, Perm.Write)).toBe(false)
  })

  test('any common bit satisfies a check', () => {
    expect(isPermitted(auth, [bob], ownedByBob, Perm.Read | Perm.Admin)).toBe(true)
    expect(isPermitted(auth, [bob], [{ perms: -1, scheme: 'digest', id: 'bob:hash' }], Perm.Delete)).toBe(
      true,
    )
  })

  test('ids match within their scheme', () => {
    expect(isPermitted(auth, [ip], ownedByBob, Perm.Read)).toBe(false)
    expect(isPermitted(auth, [{ scheme: 'sasl', id: 'bob:hash' }], ownedByBob, Perm.Read)).toBe(false)
  })

  test('the super user and skipACL pass everything; a disabled scheme matches nobody', () => {
    expect(isPermitted(auth, [{ scheme: 'super', id: '' }], ownedByBob, Perm.Read)).toBe(true)
    expect(isPermitted({ ...auth, isAclSkipped: true }, [], ownedByBob, Perm.Read)).toBe(true)
    expect(isPermitted({ ...auth, isDigestEnabled: false }, [bob], ownedByBob, Perm.Read)).toBe(false)
  })

  test('an empty ACL forbids nothing', () => {
    expect(isPermitted(auth, [], [], Perm.Admin)).toBe(true)
  })
})

describe('AclFixer', () => {
  function fix(
    acl: readonly Acl[] | null,
    ids: readonly AuthId[] = [ip],
    fixer = new AclFixer(auth, 500_000),
  ): unknown {
    const w = new Writer()
    writeAclList(w, acl)
    const fixed = fixer.fix(ids, w, 0, w.at)
    return fixed.ok ? readAclList(new Reader(fixed.space.bytes, fixed.from, fixed.to)) : fixed.err
  }

  test('keeps a valid list, the second time without reading it', () => {
    const fixer = new AclFixer(auth, 500_000)

    expect(fix(openAcl, [ip], fixer)).toEqual(openAcl)
    expect(fix(openAcl, [ip], fixer)).toEqual(openAcl)
  })

  test('drops duplicates and keeps the order', () => {
    const acl = [...openAcl, { perms: 1, scheme: 'ip', id: '10.0.0.1' }, ...openAcl]

    expect(fix(acl)).toEqual([openAcl[0], acl[1]])
  })

  test('cannot be read where a null would have to be compared', () => {
    const acl = (...entries: [number, string | null, string | null][]): readonly Acl[] =>
      entries.map(([perms, scheme, id]) => ({ perms, scheme, id }))

    expect(fix(acl([31, 'world', 'anyone'], [31, null, 'x']))).toBe(ErrorCode.MarshallingError)
    expect(fix(acl([31, 'world', 'anyone'], [30, null, 'x']))).toBe(ErrorCode.InvalidAcl)
    expect(fix(acl([31, 'auth', null], [31, 'auth', null]))).toBe(ErrorCode.MarshallingError)
    expect(fix(acl([31, 'auth', null], [30, 'auth', null]))).toBe(ErrorCode.InvalidAcl)
    expect(fix(acl([31, 'digest', null], [31, 'nonsense', null]))).toBe(ErrorCode.MarshallingError)
  })

  test('expands auth into the ids that were authenticated, never the address', () => {
    const acl: readonly Acl[] = [{ perms: 31, scheme: 'auth', id: null }]

    expect(fix(acl, [ip, bob])).toEqual([{ perms: 31, scheme: 'digest', id: 'bob:hash' }])
    expect(fix(acl, [ip])).toBe(ErrorCode.InvalidAcl)
  })

  test('an auth list is expanded anew for each connection', () => {
    const acl: readonly Acl[] = [{ perms: 31, scheme: 'auth', id: '' }]
    const fixer = new AclFixer(auth, 500_000)

    fix(acl, [ip, bob], fixer)

    expect(fix(acl, [ip], fixer)).toBe(ErrorCode.InvalidAcl)
  })

  test('a long list is read in time that grows with it: with its square this would take minutes', () => {
    const acl = Array.from({ length: 120_000 }, (_, i) => ({
      perms: i % 60_000,
      scheme: 'ip',
      id: '10.0.0.1',
    }))

    expect(fix(acl)).toHaveLength(60_000)
  })

  test('auth entries cannot make a list longer by more than is allowed', () => {
    const ids = [ip, ...Array.from({ length: 60 }, (_, i) => ({ scheme: 'digest', id: `user${i}:hash` }))]
    const acl = Array.from({ length: 1000 }, (_, perms) => ({ perms, scheme: 'auth', id: '' }))

    expect(fix(acl, ids)).toBe(ErrorCode.InvalidAcl)
    expect(fix(acl.slice(0, 10), ids)).toHaveLength(600)
  })

  test('refuses what cannot be stored, with the codes of ZooKeeper', () => {
    const one = (scheme: string | null, id: string | null): readonly Acl[] => [{ perms: 31, scheme, id }]

    expect(fix(null)).toBe(ErrorCode.InvalidAcl)
    expect(fix([])).toBe(ErrorCode.InvalidAcl)
    expect(fix(one(null, 'x'))).toBe(ErrorCode.InvalidAcl)
    expect(fix(one('world', 'nobody'))).toBe(ErrorCode.InvalidAcl)
    expect(fix(one('world', null))).toBe(ErrorCode.MarshallingError)
    expect(fix(one('super', ''))).toBe(ErrorCode.InvalidAcl)
    expect(fix(one('sasl', 'bob'))).toBe(ErrorCode.InvalidAcl)
  })

  test('a null id is malformed for the schemes that look at it, for all others the scheme is what is wrong', () => {
    const verdicts = ['ip', 'digest', 'sasl', 'super', 'nonsense', ''].map(scheme =>
      fix([{ perms: 31, scheme, id: null }]),
    )

    expect(verdicts).toEqual([
      ...[ErrorCode.MarshallingError, ErrorCode.MarshallingError],
      ...[ErrorCode.InvalidAcl, ErrorCode.InvalidAcl, ErrorCode.InvalidAcl, ErrorCode.InvalidAcl],
    ])
  })
})

test('a reader without ADMIN sees no digest', () => {
  const acl: readonly Acl[] = [...openAcl, { perms: 1, scheme: 'digest', id: 'bob:secret' }]

  expect(redactAcl(acl)[1]?.id).toBe('bob:x')
  expect(redactAcl(acl)[0]).toEqual(openAcl[0])
})

test('what is masked of a digest ends with its line', () => {
  const masked = ['a:b\nc', 'a:b\rc', 'a:b\u0085c', 'a:b\u2028c', 'a:b\nc:d', 'a', ':b'].map(
    id => redactAcl([{ perms: 1, scheme: 'digest', id }])[0]?.id,
  )

  expect(masked).toEqual(['a:x\nc', 'a:x\rc', 'a:x\u0085c', 'a:x\u2028c', 'a:x\nc:x', 'a', ':x'])
})
