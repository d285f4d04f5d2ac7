/**
 * The edges that chance seldom finds, by section of the protocol reference: scripts that drive both servers in step.
 * What holds for any sequence is left to the differential test.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Acl,
  CreateFlags,
  type CreateRequest,
  encodeUtf8,
  type MultiOp,
  OpCode,
  openAcl,
  type Request,
  type TxnBody,
  Xid,
} from '@corral/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCorral, startCorralProcess } from './corral-server.ts'
import { divergences } from './divergences.ts'
import { type InteropServer, type ServerOptions, superDigest } from './interop-server.ts'
import { startJavaServer } from './java-server.ts'
import { LockStep } from './lock-step.ts'
import {
  badPaths,
  frame,
  nullPathMultis,
  oddBodies,
  oddMultiReads,
  oddMultis,
  oddWatchLists,
  text,
} from './odd-frames.ts'
import { describeDifference } from './report.ts'
import { describeWith, java, javaZooKeeper } from './software.ts'
import type { Sent, Step } from './steps.ts'
import { writeDataDir } from './written-dir.ts'

const mostInt = 0x7fff_ffff
const leastInt = -0x8000_0000

/** Sends one after the other. */
function each(slot: number, ...sent: readonly (Request | Sent)[]): Step[] {
  return sent.map(one => ({ do: 'send', slot, sent: ['request' in one ? one : { request: one }] }))
}

const create = (path: string, how: Partial<CreateRequest> = {}): CreateRequest => ({
  kind: 'create',
  op: OpCode.Create,
  path,
  data: encodeUtf8('d'),
  acl: openAcl,
  flags: 0,
  ...how,
})
const ephemeral = { flags: CreateFlags.Ephemeral } as const
const sequential = { flags: CreateFlags.PersistentSequential } as const
const container = { op: OpCode.CreateContainer, flags: CreateFlags.Container } as const
const ttl = (path: string, flags: number, ttlMs: number): Request & MultiOp => ({
  kind: 'createTtl',
  path,
  data: null,
  acl: openAcl,
  flags,
  ttlMs,
})
const remove = (path: string, version = -1): Request & MultiOp => ({ kind: 'delete', path, version })
const setData = (path: string, data: string | null = 'x', version = -1): Request & MultiOp => ({
  kind: 'setData',
  path,
  data: data === null ? null : encodeUtf8(data),
  version,
})
const setAcl = (path: string, acl: readonly Acl[] | null = openAcl, version = -1): Request => ({
  kind: 'setAcl',
  path,
  acl,
  version,
})
const check = (path: string, version = -1): MultiOp => ({ kind: 'check', path, version })
const multi = (...ops: readonly MultiOp[]): Request => ({ kind: 'multi', ops })
const exists = (path: string, watch = false): Request => ({ kind: 'exists', path, watch })
const getData = (path: string, watch = false): Request => ({ kind: 'getData', path, watch })
const getChildren = (path: string, watch = false): Request => ({ kind: 'getChildren2', path, watch })
const getAcl = (path: string): Request => ({ kind: 'getAcl', path })
const addWatch = (path: string, mode: number): Request => ({ kind: 'addWatch', path, mode })
const checkWatches = (path: string, type: number): Request => ({ kind: 'checkWatches', path, type })
const removeWatches = (path: string, type: number): Request => ({ kind: 'removeWatches', path, type })
const ping: Request = { kind: 'ping' }
const whoAmI: Request = { kind: 'whoAmI' }

function auth(credentials: string | Uint8Array | null, scheme = 'digest', xid: number = Xid.Auth): Sent {
  const bytes = typeof credentials === 'string' ? encodeUtf8(credentials) : credentials
  return { request: { kind: 'auth', scheme, auth: bytes }, xid }
}

const anyone: Acl = { perms: 31, scheme: 'world', id: 'anyone' }
const entry = (scheme: string | null, id: string | null, perms = 31): Acl => ({ perms, scheme, id })

/** Two servers, started alike, that every script of a suite runs against. */
class Pair {
  readonly #options: ServerOptions
  #servers: readonly InteropServer[] = []

  constructor(options: ServerOptions = {}) {
    this.#options = { maxSessionTimeoutMs: 600_000, superDigest, ...options }
  }

  async start(dirs: readonly string[] = []): Promise<void> {
    this.#servers = await Promise.all(
      [startJavaServer, this.#options.properties === undefined ? startCorral : startCorralProcess].map(
        (start, i) => {
          const dataDir = dirs[i]
          return start({ ...this.#options, ...(dataDir === undefined ? {} : { dataDir }) })
        },
      ),
    )
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map(server => server.stop()))
  }

  /** Every connection is asked after every step. @returns how often each pair of opcode and error code was seen */
  async agreesOn(steps: readonly Step[]): Promise<Record<string, number>> {
    const [oracle, subject] = this.#servers
    if (oracle === undefined || subject === undefined) throw new Error('not started')
    const outcome = await new LockStep(oracle, subject, { divergences, barrierEvery: 1 }).run(steps)
    expect(outcome.difference && describeDifference(outcome.difference)).toBeUndefined()
    expect(outcome.operationCount).toBeGreaterThanOrEqual(steps.length)
    return Object.fromEntries(outcome.coverage)
  }
}

describeWith([java, javaZooKeeper], 'edges of requests', () => {
  const pair = new Pair()
  beforeAll(() => pair.start())
  afterAll(() => pair.stop())

  test('paths of every kind in every request (§5)', async () => {
    const odd = [
      ...['\u00a0', '\ud7ff', '\uf900', '\uffef', ' ', 'a ', ' a', '...', 'a.', '.a', 'a..b', '\u2028'],
      ...['e\u0301', 'é', '__proto__', 'constructor', 'x'.repeat(70_000), `${'d/'.repeat(40)}d`],
      ...['\u0080', '\u009f', '\u007f', '\u0001', '\u001f', 'a/..', 'a/.', './a', '..', '.', 'a\0', '\0/x'],
      ...[
        '\u{10000}',
        '\u{1f600}',
        '\ue000',
        '\uf8ff',
        '\ufff0',
        '\ufffd',
        '\uffff',
        'a//b',
        '/',
        'a/',
        '//',
      ],
    ].map(name => `/${name}`)
    const all = (path: string): readonly (Request | Sent)[] => [
      ...[create(path), setData(path), getData(path, true), exists(path, true), getChildren(path, true)],
      ...[setAcl(path), getAcl(path), { kind: 'sync', path } as const, multi(check(path)), addWatch(path, 1)],
      ...[
        { kind: 'getAllChildrenNumber', path } as const,
        create(`${path}-`, sequential),
        removeWatches(path, 3),
      ],
      ...[create(path, sequential), remove(path)],
    ]

    const seen = await pair.agreesOn([...odd, '/', 'a', 'a/b', '\0'].flatMap(path => each(0, ...all(path))))

    expect(seen['create1 0']).toBeGreaterThan(17)
    expect(seen['create1 -8']).toBeGreaterThan(30)
  })

  test('the empty path is the root for those who read, and nobody for watches (§5.1)', async () => {
    await pair.agreesOn([
      ...each(0, getData('', true), getChildren('', true), exists('', true), addWatch('', 0), getAcl('')),
      ...each(1, setData('/'), create('/root-child'), setData(''), setAcl(''), create(''), remove('')),
      ...each(0, { kind: 'getAllChildrenNumber', path: '' }, removeWatches('/', 3), removeWatches('', 3)),
      ...each(1, create('/', sequential), create('/', ephemeral), create('//', sequential)),
    ])
  })

  test('bodies that no value has (§1.3, §3.1)', async () => {
    const seen = await pair.agreesOn([
      ...each(0, create('/a'), create('/b')),
      ...each(0, ...oddBodies, ...badPaths),
      ...each(0, ...oddWatchLists),
      ...each(1, setData('/b'), create('/b/x'), create('/p'), create('/r'), setData('/r'), create('/no')),
      ...each(0, ping, { ...(oddWatchLists[0] as Sent), xid: -8 }),
    ])

    expect(seen['event 3']).toBeGreaterThan(5)
    expect(seen['unknown -5']).toBeGreaterThan(25)
  })

  test('lists that a multi or a multiRead may not be (§9)', async () => {
    const seen = await pair.agreesOn([
      ...each(0, create('/a'), create('/hidden', { acl: [entry('world', 'anyone', 30)] })),
      ...each(0, ...oddMultis, ...nullPathMultis, ...oddMultiReads),
      ...each(0, multi(setData('/a'), create('/n', { acl: null })), multi(create('/n', { acl: [] }))),
      ...each(0, getData('/a'), getChildren('/')),
    ])

    expect(seen['unknown -5']).toBeGreaterThan(35)
  })

  test('all or nothing, in order, on top of each other (§9.2)', async () => {
    const many = Array.from({ length: 300 }, (_, i) => `/m/${i}`)
    await pair.agreesOn(
      each(
        0,
        ...[create('/m'), multi(...many.map(path => create(path))), multi(...many.map(path => remove(path)))],
        ...[getChildren('/m'), multi(create('/m/s-', sequential), create('/m/s-', sequential), check('/no'))],
        multi(create('/m/s-', sequential), create('/m/s-', sequential), create('/m/s-', { flags: 3 })),
        multi(remove('/m'), create('/m/after')),
        multi(
          create('/g'),
          remove('/g'),
          create('/g'),
          setData('/g', 'y', 0),
          setData('/g', 'z', 1),
          check('/g', 2),
        ),
        ...[multi(create('/h', ephemeral), create('/h/x')), multi(create('/h', ephemeral), remove('/h'))],
        ...[getData('/g'), getChildren('/m'), multi(create('/h', container), create('/h/x'), remove('/h/x'))],
        multi(setData('/zookeeper/config')),
        ...[multi(remove('/zookeeper')), multi(remove('/zookeeper/no')), multi(setData('/'))],
        multi(ttl('/t', 5, 1000), ttl('/u', 0, 1000), ttl('/v', 2, 1000), ttl('/w', 4, 1000)),
        ...[0, -5, 2 ** 40].map(ms => multi(setData('/g'), ttl('/x', 5, ms))),
        ...[getChildren('/'), getData('/t'), getData('/u'), getData('/w')],
      ),
    )
  })

  test('data, versions and kinds of znode (§2.6, §3.3)', async () => {
    await pair.agreesOn(
      each(
        0,
        ...[
          create('/d', { data: null }),
          getData('/d'),
          setData('/d', null),
          setData('/d', ''),
          getData('/d'),
        ],
        ...[-2, mostInt, leastInt, 7].flatMap(version => [
          ...[setData('/d', 'x', version), setAcl('/d', openAcl, version), remove('/d', version)],
          multi(check('/d', version)),
        ]),
        ...[
          setAcl('/d', openAcl, 0),
          setAcl('/d', openAcl, 0),
          setData('/d', 'x'.repeat(1_000_000)),
          getData('/d'),
        ],
        ...[create('/e', ephemeral), create('/e/x'), create('/e/x', sequential), create('/e/x', container)],
        ...[create('/e/', sequential), multi(remove('/e'), create('/e'), create('/e/x')), getChildren('/e')],
        ...[0, 1, 2, 3].map(flags => create(`/c${flags}`, { op: OpCode.CreateContainer, flags })),
        ...[0, 1].map(flags => getData(`/c${flags}`)),
        ...[create('/c4', { op: OpCode.Create2, flags: 4 }), getData('/c4'), create('/c4/x'), remove('/c4')],
      ),
    )
  })

  test('prefixes of ephemerals are text, blanks around a slash are none (§2.7)', async () => {
    const prefixes = [
      '/',
      '',
      ' ',
      '\t',
      ' / ',
      '/ ',
      ' /',
      '/eph',
      'eph',
      '/ephx',
      '/ephxy',
      '\0',
      '/\0',
      '\u00a0',
    ]

    await pair.agreesOn(
      each(
        0,
        ...['/eph', '/ephx', '/ ~', '/é'].map(path => create(path, ephemeral)),
        ...prefixes.map((path): Request => ({ kind: 'getEphemerals', path })),
        ...[
          [0x2f, 0xc3],
          [0x2f, 0xc3, 0xa9],
        ].map(path => frame(OpCode.GetEphemerals, [text(path)], { kind: 'getEphemerals', path: '/' })),
      ),
    )
  })

  test('watches of several kinds, fired one by one and inside multis (§7)', async () => {
    await pair.agreesOn([
      ...each(0, create('/w'), create('/w/c')),
      ...each(1, getData('/w', true), getChildren('/w', true), exists('/w/c', true), addWatch('/', 1)),
      ...each(
        0,
        setData('/w'),
        create('/w/d'),
        setData('/w/c'),
        remove('/w/c'),
        remove('/w/d'),
        remove('/w'),
      ),
      ...each(2, exists('/w1', true), getChildren('/', true), addWatch('/w3', 0)),
      ...each(0, multi(create('/w1'), setData('/w1'), create('/w2'), remove('/w1'), check('/w2', 0))),
      ...each(2, getData('/w2', true), getChildren('/w2', true)),
      ...each(0, multi(setData('/w2'), create('/w2/x'), check('/w2', 9))),
      ...each(0, multi(create('/w2/x'), setData('/w2'), setData('/w2'), remove('/w2/x'), remove('/w2'))),
      ...each(0, multi(create('/w3'), create('/w3/x'), setData('/w3'), remove('/w3/x'), remove('/w3'))),
      ...each(2, checkWatches('/w3', 3), removeWatches('/w3', 3), checkWatches('/w3', 3)),
      ...each(3, exists('/own', true), getChildren('/', true), multi(create('/own'), create('/own/x'))),
      ...each(3, getData('/own', true), getChildren('/own', true), multi(remove('/own/x'), remove('/own'))),
      ...each(0, create('/f'), ...[-1, 0, 1, 2, 3, 6].flatMap(type => [checkWatches('/f', type)])),
      ...each(4, getData('/f', true)),
      ...each(0, setData('/f', 'x', 7), create('/f'), remove('/f', 9), setAcl('/f'), setData('/f')),
      ...each(4, exists('/hid', true), getChildren('/', true), addWatch('/hid', 1)),
      ...each(0, create('/hid', { acl: [entry('world', 'anyone', 30)] }), setData('/hid'), create('/hid/x')),
      ...each(0, setData('/hid/x'), remove('/hid/x'), setAcl('/hid'), setData('/hid'), remove('/hid')),
    ])
  })

  test.each([1, 2, 3, 0, -1, 6])('type %i of checkWatches and removeWatches (§7.6)', async type => {
    const path = `/type${type}`

    await pair.agreesOn([
      ...each(0, create(path), getData(path, true), getChildren(path, true)),
      ...each(0, checkWatches(path, type), removeWatches(path, type), removeWatches(path, type)),
      ...each(0, checkWatches(path, 1), checkWatches(path, 2), checkWatches(path, 3)),
      ...each(1, setData(path), create(`${path}/x`)),
    ])
  })

  test('ACLs that may be stored and that may not (§8.4)', async () => {
    const ips = ['+10.0.0.1', '0010.0.0.1', '-0.0.0.1', '10.0.0.1/+8', '10.0.0.1/0000000008', '10.0.0.1/32']
    const noIps = [' 10.0.0.1', '10.0.0.1/8 ', '10.0.0.1/8/9', '10.0.0.', '.0.0.1', '10.0.0.1.', '10.0.0.1.5']
    const digests = ['', ':', '::', 'a::', ':a:', '::a', 'a:b::', 'a:b\nc', 'a:b:\n', 'a', 'a:b:c']
    const lists: (readonly Acl[] | null)[] = [
      ...['nonsense', 'x509', 'sasl', 'super', 'ip', 'digest', 'world', ''].map(scheme => [
        entry(scheme, null),
      ]),
      ...[...ips, ...noIps].map(id => [entry('ip', id), anyone]),
      ...digests.map(id => [entry('digest', id), anyone]),
      ...[[entry('World', 'anyone')], [entry('world', 'ANYONE')], [entry('auth', 'x')], [], null],
      ...[
        [anyone, entry(null, 'x', 30)],
        [anyone, entry('nonsense', 'x'), entry('digest', null)],
      ],
      // To find duplicates Java compares perms, scheme and id in turn, each only if those before it are equal.
      ...[null, 'auth', 'nonsense'].flatMap(scheme => [
        [entry(scheme, 'x'), entry(scheme, null)],
        [entry(scheme, null), entry(scheme, 'x')],
        [entry(scheme, null), entry(scheme, null, 1)],
        [anyone, entry(scheme, null)],
      ]),
    ]

    const seen = await pair.agreesOn([
      ...each(0, create('/acl'), ...lists.flatMap(acl => [setAcl('/acl', acl), getAcl('/acl')])),
      ...each(0, setAcl('/none', [entry('nonsense', null)]), setAcl('/acl//', []), setAcl('/acl', [], 999)),
      ...each(0, setAcl('/none', openAcl, 5), create('/none/x', { acl: [] }), create('/acl', { acl: [] })),
    ])

    expect(seen['setAcl 0']).toBeGreaterThan(8)
    expect(seen['setAcl -114']).toBeGreaterThan(15)
  })

  test('ids: what they are made of, what becomes of them, who sees them (§8.5 to §8.7)', async () => {
    const own = [entry('auth', 'ignored'), entry('auth', '', 1), anyone]
    const credentials = [
      ...['u:p', 'ü:ö', 'u:\u{1f600}', 'u:p:q', '::', 'u\0:p', 'u\n:p', 'nocolon', '', 'x'.repeat(4096)],
      ...['75fc3a70fc', '753aeda080', 'ff', '3aff'].map(hex => Buffer.from(hex, 'hex')),
    ]

    await pair.agreesOn([
      ...each(0, create('/ids'), setAcl('/ids', own)),
      ...credentials.flatMap((each_, i) => {
        const slot = i % 5
        return each(slot, auth(each_), whoAmI, setAcl('/ids', own), getAcl('/ids'))
      }),
      ...each(0, auth('super:pw'), auth(null, 'ip'), auth('10.1.1.1', 'ip'), whoAmI),
      ...each(0, ...[5, 0, -2, mostInt].map(xid => auth('u:p', 'digest', xid))),
      ...['a:b\nc', 'a:b\r\u2028\u0085c', 'a:b\nc:d', ':b', 'a:b:'].flatMap(id => [
        ...each(0, setAcl('/ids', [entry('digest', id), entry('world', 'anyone', 3)]), getAcl('/ids')),
        ...each(1, getAcl('/ids')),
      ]),
      ...['Digest', 'digest ', '', 'world', 'super'].map(
        (scheme): Step => each(2, auth('u:p', scheme))[0] as Step,
      ),
    ])
  })
})

describeWith([java, javaZooKeeper], 'edges of TTL', () => {
  const pair = new Pair({ isTtlEnabled: false })
  beforeAll(() => pair.start())
  afterAll(() => pair.stop())

  test('switched off: every mode, every opcode, alone and in a multi (§2.6, §10.4)', async () => {
    const flags = [0, 1, 2, 3, 4, 5, 6, 7, -1]
    const opcodes = [OpCode.Create, OpCode.Create2, OpCode.CreateContainer] as const
    const ttls = flags.flatMap(flag =>
      (flag === 5 || flag === 6 ? [1000, 0, -1, 2 ** 40] : [1000]).map(ms => ttl(`/t${flag}`, flag, ms)),
    )

    const seen = await pair.agreesOn(
      each(
        0,
        ...[
          ...ttls,
          ...opcodes.flatMap(op => flags.map(flag => create(`/c${op}-${flag}`, { op, flags: flag }))),
        ],
        ...[multi(create('/m'), ttl('/m/t', 5, 1000)), multi(create('/m'), ttl('/m/t', 5, 0))],
        ...[multi(ttl('/n', 0, 1000)), getChildren('/')],
      ),
    )

    expect(seen['createTtl -6']).toBe(8)
  })
})

describeWith([java, javaZooKeeper], 'edges of permission', () => {
  const userDigest = 'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=' // u:p

  async function agreesWith(
    properties: Readonly<Record<string, string>>,
    steps: readonly Step[],
  ): Promise<void> {
    const pair = new Pair({ properties })
    await pair.start()
    try {
      await pair.agreesOn(steps)
    } finally {
      await pair.stop()
    }
  }

  test('without the digest scheme there are addresses only (§8.5)', async () => {
    await agreesWith(
      { 'zookeeper.DigestAuthenticationProvider.enabled': 'false' },
      each(
        0,
        ...[create('/a'), setAcl('/a', [entry('digest', userDigest)]), setAcl('/a', [entry('digest', null)])],
        ...[setAcl('/a', [entry('auth', '')]), setAcl('/a', [entry('ip', '127.0.0.1')]), getAcl('/a')],
        ...[getData('/a'), auth('x', 'ip'), whoAmI, auth('u:p'), whoAmI],
      ),
    )
  })

  test('where ACLs are not checked they are still judged (§8.3)', async () => {
    await agreesWith({ 'zookeeper.skipACL': 'yes' }, [
      ...each(0, create('/a', { acl: [entry('world', 'anyone', 0)] }), getData('/a', true), setData('/a')),
      ...each(
        0,
        create('/a/x', { acl: [entry('digest', userDigest, 1)] }),
        getAcl('/a/x'),
        setAcl('/a/x', []),
      ),
      ...each(0, setAcl('/a/x', [entry('nonsense', 'x')]), setData('/zookeeper/config'), exists('/a', true)),
      ...each(1, setData('/a'), remove('/a/x'), multi(check('/a')), create('/zookeeper/config/x')),
    ])
  })
})

describeWith([java, javaZooKeeper], 'edges of quotas', () => {
  const limits = [
    ...['count=2,bytes=5', 'count=2,bytes=-1=;countHardLimit=3', 'bytes=5,count=2', 'count=2', 'bytes=3'],
    ...['count=-1,bytes=-1=;byteHardLimit=5;countHardLimit=2', 'countHardLimit=2', 'byteHardLimit=3'],
    ...['count=0,bytes=0', 'count=1,bytes=0=;byteHardLimit=0', 'countHardLimit=0', 'count=-5,bytes=-9'],
    ...['count=5;bytes=6', 'count=1,count=9', 'x=1,count=2=;y=3', 'countHardLimit=-1;count=1'],
    'countHardLimit=+2,bytes=+5',
  ]
  const top = '/zookeeper/quota'
  const text = (data: string): { readonly data: Uint8Array } => ({ data: encodeUtf8(data) })
  const usage = (path: string): Request => getData(`${top}${path}/zookeeper_stats`)
  const limit = (path: string, data: string): Request => create(`${top}${path}/zookeeper_limits`, text(data))
  const quota = (path: string, data: string): Request[] => [
    ...[create(`${top}${path}`, { data: null }), limit(path, data)],
    ...[create(`${top}${path}/zookeeper_stats`, text('count=7,bytes=7')), usage(path)],
  ]

  test.each([true, false])('enforced: %s; limits of every form, and nested (§10)', async isQuotaEnforced => {
    const pair = new Pair({ isQuotaEnforced })
    await pair.start()
    try {
      const seen = await pair.agreesOn(
        each(
          0,
          ...limits.flatMap((data, i) => {
            const path = `/l${i}`
            return [
              ...[create(path, text('ab')), ...quota(path, data), create(`${path}/1`, text('a'))],
              ...[create(`${path}/2`, text('a')), create(`${path}/3`, text('abc')), usage(path)],
              ...[
                setData(path, 'abcdefgh'),
                setData(path, ''),
                setData(path, null),
                setData(path, 'abcdefgh', 77),
              ],
              ...[create(path, text('x'.repeat(50))), create(`${path}/s`, { ...sequential, data: null })],
              ...[create(`${path}/e`, { ...ephemeral, ...text('12345') }), usage(path)],
              multi(
                create(`${path}/m`, text('1')),
                create(`${path}/m/2`),
                setData(`${path}/m`, '12345678901234'),
              ),
              ...[usage(path), multi(setData(path, 'x'), remove(`${path}/1`)), usage(path)],
            ]
          }),
          ...[create('/n'), create('/n/i'), ...quota('/n', 'count=3,bytes=20=;countHardLimit=4')],
          ...quota('/n/i', 'count=2,bytes=9=;countHardLimit=2'),
          ...['/n/a', '/n/i/a', '/n/i/b', '/n/i/a/c', '/n/b', '/n/c', '/n/d'].map(path => create(path)),
          ...[usage('/n'), usage('/n/i'), remove(`${top}/n/i/zookeeper_limits`), create('/n/i/z')],
          ...[
            usage('/n'),
            usage('/n/i'),
            limit('/n/i', 'count=1'),
            create('/n/i/y'),
            usage('/n'),
            usage('/n/i'),
          ],
          ...[remove(`${top}/n/i/zookeeper_stats`), create('/n/i/x'), usage('/n')],
          ...quota('/n/i', 'count=1').slice(2),
          ...[setData(`${top}/n/i/zookeeper_stats`, 'count=0,bytes=0'), create('/n/i/w'), usage('/n/i')],
          ...[remove('/n/i/a/c'), remove('/n/i/a'), usage('/n/i'), usage('/n')],
          ...[
            ...quota('/gone', 'count=1,bytes=1'),
            create('/gone', text('abc')),
            create('/gone/x'),
            usage('/gone'),
          ],
          ...[
            remove('/gone/x'),
            remove('/gone'),
            usage('/gone'),
            create('/gone2'),
            create('/gon'),
            usage('/gone'),
          ],
        ),
      )

      expect(seen['create1 -125'] ?? 0).toBeGreaterThanOrEqual(isQuotaEnforced ? 10 : 0)
    } finally {
      await pair.stop()
    }
  })
})

describeWith([java, javaZooKeeper], 'edges of counters', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'corral-edges-'))
  const pair = new Pair()
  const versions = [mostInt - 1, mostInt, -2, -1, leastInt]
  const parents = { last: mostInt - 1, beyond: mostInt, below: -5, half: 2 ** 30 }
  const multiParents = { over: mostInt - 1, at: mostInt }

  beforeAll(async () => {
    const made = (path: string, parentCversion: number): TxnBody => ({
      ...{ kind: 'create', type: OpCode.Create, path, data: null, acl: openAcl, isEphemeral: false },
      parentCversion,
    })
    const txns: TxnBody[] = [
      ...versions.flatMap((version, i): TxnBody[] => [
        made(`/v${i}`, -1),
        { kind: 'setData', path: `/v${i}`, data: null, version },
        { kind: 'setAcl', path: `/v${i}`, acl: openAcl, version },
      ]),
      ...Object.entries({ ...parents, ...multiParents }).flatMap(([name, cversion]) => [
        made(`/${name}`, -1),
        made(`/${name}/seed`, cversion),
      ]),
    ]
    const dirs = ['java', 'corral'].map(name => join(scratch, name))
    await writeDataDir(dirs[0] as string, txns)
    cpSync(dirs[0] as string, dirs[1] as string, { recursive: true })
    await pair.start(dirs)
  })

  afterAll(async () => {
    await pair.stop()
    rmSync(scratch, { recursive: true, force: true })
  })

  test('versions wrap; -1 is a version too, and still means any (§3.3)', async () => {
    await pair.agreesOn(
      each(
        0,
        ...versions.flatMap((_, i) => {
          const path = `/v${i}`
          return [
            ...[
              getData(path),
              setData(path, 'x', 0),
              setData(path, 'x', mostInt),
              setData(path, 'x', mostInt - 1),
            ],
            ...[
              setData(path),
              getData(path),
              setData(path, 'x', -1),
              setData(path, 'x', 0),
              multi(check(path, 0)),
            ],
            ...[multi(check(path, -2)), setAcl(path), setAcl(path, openAcl, 0), setAcl(path), getAcl(path)],
          ]
        }),
      ),
    )
  })

  test('the sequence counter stops at 2147483647, with all that depends on it (§4.3)', async () => {
    const next = (path: string): Request => create(`${path}/s-`, sequential)

    const seen = await pair.agreesOn(
      each(
        0,
        ...Object.keys(parents).flatMap(name => {
          const path = `/${name}`
          return [
            ...[getChildren(path), next(path), getChildren(path), next(path), getChildren(path), next(path)],
            ...[
              create(`${path}/plain`),
              getChildren(path),
              next(path),
              remove(`${path}/plain`),
              getChildren(path),
            ],
          ]
        }),
        ...[remove('/last/s-2147483647'), next('/last'), getChildren('/last')],
      ),
    )

    expect(seen['create1 -110']).toBeGreaterThan(3)
  })

  test('within a multi it goes on below zero, and stops where it was before (§4.3)', async () => {
    const next = (path: string): CreateRequest => create(`${path}/s-`, sequential)

    const seen = await pair.agreesOn(
      each(
        0,
        ...Object.keys(multiParents).flatMap(name => {
          const path = `/${name}`
          return [
            multi(next(path), check(`${path}/none`)),
            ...[multi(next(path), next(path), next(path)), getChildren(path)],
            ...[next(path), multi(next(path)), multi(create(`${path}/plain`), next(path)), getChildren(path)],
          ]
        }),
      ),
    )

    expect(seen).toMatchObject({ 'multi 0': expect.any(Number) })
  })
})
