/** The values that steps are drawn from: those that meet each other, and those that are wrong in every known way. */
import { type Acl, CreateFlags, openAcl } from '@corral/protocol'
import { seenVersion } from './steps.ts'

export const tops = ['/a', '/b', '/c', '/e', '/q']
export const livePaths = [
  ...tops,
  ...['/a/x', '/a/y', '/a/x/z', '/a/x/z/w', '/b/x', '/b/y', '/b/x/y', '/c/x', '/c/ü', '/c/ ', '/c/...'],
  ...['/e/p', '/e/p/q', '/q/n', '/q/n/m', '/q/o', '/c/\ud7ff', '/c/\uffef', '/c/\u00a0'],
]
export const sequentialPrefixes = ['/a/s-', '/b/', '/e/s-', '/q/s', '/c/ü-', '/a/x/', '/']
export const oddPaths = [
  ...['', 'a', '/', '/a/', '//', '/a//b', '/a/./b', '/a/../b', '/.', '/a/..', '/a\u0000b', '/a/\u0001'],
  ...['/a/\u007f', '/a/\u009f', '/a/\ud800', '/a/\ue000', '/a/\ufff0', '/a/\uffff', '/a/\u{1f600}'],
  ...[
    '/zookeeper',
    '/zookeeper/quota',
    '/zookeeper/config',
    '/zookeeper/config/x',
    '/zookeeper/x',
    'x/y',
    '/foo/',
  ],
]
/** Of ephemerals: text that a path begins with. */
export const prefixes = ['/', '', '/a', '/e', '/e/p', ' ', ' /', '/ ', 'e']
export const xids = [0, -3, -5, -8, 7, 0x7fffffff, -0x80000000]

const userDigest = 'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=' // u:p
const acl = (perms: number, scheme: string | null, id: string | null): Acl => ({ perms, scheme, id })
export const goodAcls: readonly (readonly Acl[])[] = [
  openAcl,
  [acl(1, 'world', 'anyone')],
  [acl(31, 'digest', userDigest)],
  [acl(31, 'digest', userDigest), acl(1, 'world', 'anyone')],
  [acl(15, 'digest', userDigest), acl(21, 'world', 'anyone')],
  [acl(31, 'auth', '')],
  [acl(31, 'auth', null), acl(1, 'world', 'anyone')],
  [acl(31, 'ip', '127.0.0.1')],
  [acl(30, 'ip', '127.0.0.0/8'), acl(1, 'ip', '10.0.0.1')],
  [acl(31, 'ip', '0.0.0.0/0')],
  [acl(31, 'ip', '10.1.2.3')],
  [acl(-1, 'world', 'anyone')],
  [acl(64, 'world', 'anyone'), acl(29, 'ip', '127.0.0.1/32')],
  [acl(31, 'world', 'anyone'), acl(31, 'world', 'anyone'), acl(1, 'digest', 'a:b')],
]
export const oddAcls: readonly (readonly Acl[] | null)[] = [
  null,
  [],
  [acl(0, 'world', 'anyone')],
  [acl(31, 'world', 'other')],
  [acl(31, 'world', null)],
  [acl(31, null, 'x')],
  [acl(31, 'super', '')],
  [acl(31, 'sasl', 'bob')],
  [acl(31, 'x509', 'CN=x')],
  [acl(31, 'nonsense', 'x')],
  [acl(31, 'digest', 'foo')],
  [acl(31, 'digest', ':b'), acl(31, 'world', 'anyone')],
  [acl(31, 'digest', 'a:')],
  [acl(31, 'digest', 'a:b:c')],
  [acl(31, 'digest', 'a:b:'), acl(31, 'world', 'anyone')],
  [acl(31, 'digest', 'ü:\u{1f600}'), acl(31, 'world', 'anyone')],
  [acl(31, 'digest', null)],
  [acl(31, 'ip', '10.0.0.1/33')],
  [acl(31, 'ip', '10.0.0.1/-1')],
  [acl(31, 'ip', '10.0.0')],
  [acl(31, 'ip', '10.0.0.256')],
  [acl(31, 'ip', '')],
  [acl(31, 'ip', '10.0.0.1/'), acl(31, 'world', 'anyone')],
  [acl(31, 'auth', 'ignored'), acl(31, 'auth', '')],
  [acl(31, 'nonsense', null)],
  [acl(31, 'ip', null)],
  [acl(31, 'ip', '+10.0.0.1/008'), acl(31, 'world', 'anyone')],
  [acl(31, 'ip', '10.0.0.1/8/9')],
  [acl(3, 'digest', 'a:b\nc'), acl(15, 'world', 'anyone')],
]
export const newerAcls: readonly (readonly Acl[])[] = [[acl(31, 'ip', '::1')], [acl(31, 'ip', 'fe80::1/64')]]

export const identities: readonly (readonly [string, string])[] = [
  ['digest', 'u:p'],
  ['digest', 'v:q'],
  ['digest', 'super:pw'],
  ['digest', 'super:no'],
  ['digest', 'nocolon'],
  ['digest', ':'],
  ['digest', ''],
  ['digest', 'ü:\u{1f600}'],
  ['ip', 'whatever'],
]
export const refusedIdentities = ['world', 'auth', 'super', 'bogus', 'sasl', 'x509', '']

export const quotaNodes = ['/zookeeper/quota/q', '/zookeeper/quota/q/n', '/zookeeper/quota/a']
export const quotaLimits = [
  'count=4,bytes=-1',
  'count=-1,bytes=12',
  'count=3,bytes=20',
  'count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=3',
  'count=2,bytes=9=;byteHardLimit=12',
  'count=-1,bytes=-1',
]

export const plainFlags = [
  CreateFlags.Persistent,
  CreateFlags.Ephemeral,
  CreateFlags.PersistentSequential,
  CreateFlags.EphemeralSequential,
]
export const ttls = [1_000_000_000, 0xff_ffff_ffff, 400_000_000]
export const badTtls = [0, -1, -5, 0x100_0000_0000, 2 ** 50]
export const versions = [-1, -1, -1, seenVersion, seenVersion, seenVersion, 0, 1, 2, -2, 0x7fffffff]

/** Opcodes that no version has, and those that only servers use among themselves. */
export const unknownOps = [0, 10, 23, 99, 108, 1000, -1, -2, -12, 0x7fffffff, -0x80000000]
