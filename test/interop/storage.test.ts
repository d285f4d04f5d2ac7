/**
 * What our log writes, read by Apache ZooKeeper: its tools for logs and snapshots, and its server. The server is
 * started on a copy and writes a snapshot of what it loaded; that snapshot, read by us, must hold our tree.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DataTree, type DiskCall, FiredWatches, type StorageConfig, seededRandom } from '@corral/core'
import {
  type Acl,
  encodeTxn,
  fromWords,
  hexOf,
  highWord,
  lowWord,
  OpCode,
  type SessionId,
  type TxnBody,
  txnType,
  zxid,
} from '@corral/protocol'
import { afterEach, expect, test } from 'vitest'
import { FileDisk } from '../../packages/server/src/io/disk.ts'
import { LogHost } from '../../packages/server/test/log-host.ts'
import { dumpTree } from '../../packages/server/test/tree-dump.ts'
import { childEnvironment, run } from './interop-server.ts'
import { javaClasspath } from './java-release.ts'
import { javaRunFlags, startJavaServer } from './java-server.ts'
import { describeWith, java, javaZooKeeper } from './software.ts'

const open = [{ perms: 31, scheme: 'world', id: 'anyone' }]
const owned = [
  { perms: 31, scheme: 'digest', id: 'alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=' },
  { perms: 1, scheme: 'ip', id: '10.0.0.0/8' },
]
const living = 0x0100_0000_0000_0001n
const closing = 0x0100_0000_0000_0002n

const scratch: string[] = []
const disks: FileDisk[] = []

afterEach(async () => {
  for (const disk of disks.splice(0)) await disk.close()
  for (const dir of scratch.splice(0)) rmSync(dir, { recursive: true, force: true })
})

describeWith([java, javaZooKeeper], 'a directory that we wrote', () => {
  test.each([
    { name: 'plain', storage: { snapshotCodec: 'plain' } },
    { name: 'gz', storage: { snapshotCodec: 'gz' } },
    { name: 'snappy', storage: { snapshotCodec: 'snappy' } },
    { name: 'without the last zxid', storage: { hasLastZxidTrailer: false } },
    { name: 'without zero-fill', storage: { preAllocBytes: 0 } },
  ] as const)('$name: is loaded by the Java server to the same tree', async ({ storage }) => {
    const { dir, host } = await written({ ...storage, isStopped: true })

    expect(await treeThatJavaLoads(dir, host)).toEqual(dumpTree(host.tree))
  })

  test('is loaded by the Java server after a kill', async () => {
    const { dir, host } = await written({ isStopped: false })

    expect(await treeThatJavaLoads(dir, host)).toEqual(dumpTree(host.tree))
  })

  test('is loaded with every ACL that came or changed while its snapshot was taken', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'corral-storage-'))
    scratch.push(dir)
    mkdirSync(join(dir, 'version-2'))
    const held: (() => void)[] = []
    // A slice of a snapshot waits until it is let go; txns go on.
    const isSlice = (call: DiskCall): boolean =>
      call.call === 'write' && !call.sync && (call.pieces[0]?.length ?? 0) > 10_000
    const host = hostOn(dir, { snapCount: 10_000, preAllocBytes: 0, purge: undefined }, (call, perform) => {
      if (isSlice(call)) held.push(perform)
      else perform()
    })
    expect(await host.start()).toMatchObject({ kind: 'recovered' })
    const preparer = new Preparer(host)
    const only = (user: string): Acl[] => [{ perms: 31, scheme: 'digest', id: `${user}:x` }]
    const cversions = new Map<string, number>()
    const create = (path: string, acl: readonly Acl[]): TxnBody => {
      const parent = path.slice(0, path.lastIndexOf('/'))
      const parentCversion = (cversions.get(parent) ?? 0) + 1
      cversions.set(parent, parentCversion)
      return {
        kind: 'create',
        type: OpCode.Create,
        path,
        acl,
        isEphemeral: false,
        parentCversion,
        data: null,
      }
    }
    const append = (body: TxnBody): void => preparer.append({ body })
    append({ kind: 'createSession', timeoutMs: 30_000 })
    // Written last: a snapshot goes through the newest children first.
    append(create('/last', only('freed')))
    append(create('/last/old', only('old')))
    append({ kind: 'setAcl', path: '/last', acl: open, version: 1 })
    for (let count = 0; held.length === 0; count++) {
      append(create(`/n${count}`, open))
      await host.untilDurable()
    }

    append(create('/last/new', only('a')))
    append({ kind: 'setAcl', path: '/last/old', acl: only('b'), version: 1 })
    append(create('/n-other', only('c')))
    append({ kind: 'setAcl', path: '/last/new', acl: only('c'), version: 1 })
    append(create('/last/new/child', only('d')))
    append(create('/last/fresh', only('e')))
    await host.untilDurable()
    while (host.log.counters.snapshots < 2) {
      for (const perform of held.splice(0)) perform()
      append({ kind: 'error', err: -110 })
      await host.untilDurable()
    }
    expect(await host.stop()).toEqual({ kind: 'stopped' })

    expect(await treeThatJavaLoads(dir, host)).toEqual(dumpTree(host.tree))
  })

  test('has ACL text above U+FFFF that the Java server reads, and cannot read when it has written it', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'corral-storage-'))
    scratch.push(dir)
    mkdirSync(join(dir, 'version-2'))
    const host = hostOn(dir, {})
    expect(await host.start()).toMatchObject({ kind: 'recovered' })
    const preparer = new Preparer(host)
    const acl = [{ perms: 31, scheme: 'digest', id: '😀:x' }]
    const create = { kind: 'create', type: OpCode.Create, data: null, isEphemeral: false } as const
    preparer.append({ body: { kind: 'createSession', timeoutMs: 30_000 } })
    preparer.append({ body: { ...create, path: '/a', acl, parentCversion: 1 } })
    await host.untilDurable()
    expect(await host.stop()).toEqual({ kind: 'stopped' })

    const server = await startJavaServer({ dataDir: dir })
    await server.stop()

    const snapshot = readFileSync(join(dir, 'version-2', 'snapshot.2'))
    expect(snapshot.includes(Buffer.from('eda0bdedb8803a78', 'hex'))).toBe(true)
    const again = hostOn(dir, {})
    expect(await again.start()).toMatchObject({ kind: 'recovered' })
    expect(dumpTree(again.tree).find(({ path }) => path === '/a')?.acl).toEqual([
      { perms: 31, scheme: 'digest', id: '\ufffd\ufffd:x' },
    ])
  })

  test('is dumped by TxnLogToolkit without a complaint', async () => {
    const { dir, host } = await written({ isStopped: true, purge: undefined })

    const zxids: string[] = []
    for (const name of namesOf(dir, 'log.')) {
      const text = await javaTool(
        'org.apache.zookeeper.server.persistence.TxnLogToolkit',
        join(dir, 'version-2', name),
      )
      expect(text).not.toMatch(/CRC ERROR|partial/)
      zxids.push(...[...text.matchAll(/ zxid (0x[0-9a-f]+) /g)].map(([, id]) => id ?? ''))
    }

    const last = Number(host.lastZxid)
    expect(zxids).toEqual(Array.from({ length: last }, (_, i) => `0x${(i + 1).toString(16)}`))
  })

  test('is dumped by SnapshotFormatter with every znode of the tree', async () => {
    const { dir, host } = await written({ isStopped: true, snapCount: 4 })

    const newest = namesOf(dir, 'snapshot.').at(-1) ?? ''
    const text = await javaTool(
      'org.apache.zookeeper.server.SnapshotFormatter',
      join(dir, 'version-2', newest),
    )

    expect(text).toContain('/app/child')
    expect(text).toContain(`${hexOf(living)}`)
    expect(host.log.counters.snapshots).toBeGreaterThan(2)
  })
})

/** One of every kind of txn, twenty times over, with digests as the Java server writes them. */
function bodies(round: number): { readonly body: TxnBody; readonly session?: bigint }[] {
  const data = new TextEncoder().encode(`value ${round} é中`)
  const base = { acl: open, parentCversion: -1 }
  const at = `/app/r${round}`
  const create = { ...base, kind: 'create', data, isEphemeral: false } as const
  return [
    { body: { ...create, type: OpCode.Create, path: at } },
    { body: { ...create, type: OpCode.Create2, path: `${at}/é中`, data: null, acl: owned } },
    { body: { ...create, type: OpCode.Create, path: `${at}/empty`, data: new Uint8Array(0) } },
    { body: { ...create, type: OpCode.Create, path: `${at}/eph`, isEphemeral: true }, session: living },
    { body: { ...base, kind: 'createContainer', path: `${at}/container`, data } },
    { body: { ...base, kind: 'createTtl', path: `${at}/ttl`, data, ttlMs: 0xff_ffff_ffff } },
    { body: { kind: 'setData', path: at, data: new Uint8Array(300 * round), version: 1 } },
    { body: { kind: 'setAcl', path: `${at}/empty`, acl: owned, version: 1 } },
    { body: { kind: 'error', err: -110 } },
    { body: { kind: 'delete', path: `${at}/é中` } },
    {
      body: {
        kind: 'multi',
        txns: [
          { kind: 'check', path: at, version: 2 },
          { ...create, type: OpCode.Create, path: `${at}/multi` },
          { kind: 'setData', path: `${at}/multi`, data, version: 1 },
          { kind: 'delete', path: `${at}/empty` },
        ],
      },
    },
    {
      body: {
        kind: 'multi',
        txns: [
          { ...create, type: OpCode.Create, path: `${at}/never` },
          { kind: 'error', err: -103 },
          { kind: 'error', err: -2 },
        ],
      },
    },
    { body: { kind: 'createSession', timeoutMs: 40_000 }, session: closing },
    { body: { ...create, type: OpCode.Create, path: `${at}/gone`, isEphemeral: true }, session: closing },
    { body: { kind: 'closeSession', paths: [`${at}/gone`] }, session: closing },
  ]
}

/** Hands bodies to the log with the digest that the tree has after each. */
class Preparer {
  readonly #host: LogHost
  readonly #shadow: DataTree = new DataTree({
    random: seededRandom(2),
    isTtlEnabled: true,
    isDigestEnabled: true,
  })
  readonly #fired: FiredWatches = new FiredWatches()

  constructor(host: LogHost) {
    this.#host = host
  }

  append({ body, session = living }: { readonly body: TxnBody; readonly session?: bigint }): void {
    const id = zxid(this.#host.log.lastZxid + 1n)
    const timeMs = 1_700_000_000_000 + Number(id)
    const header = { session: session as SessionId, cxid: 1, zxid: id, timeMs, type: txnType(body) }
    const bare = encodeTxn({ header, body, digest: undefined })
    this.#shadow.apply({ bytes: bare, view: new DataView(bare.buffer) }, 0, bare.length, this.#fired)
    this.#fired.clear()
    const treeDigest = BigInt.asUintN(64, fromWords(this.#shadow.digestHigh, this.#shadow.digestLow))
    const digest = body.kind === 'error' ? undefined : { version: 2, treeDigest }
    const bytes = encodeTxn({ header, body, digest })
    const out = this.#host.log.beginTxn()
    out.raw({ bytes, view: new DataView(bytes.buffer) }, 0, bytes.length)
    this.#host.log.endTxn(highWord(id), lowWord(id))
    if (body.kind === 'createSession') this.#host.sessions.set(session as SessionId, body.timeoutMs)
    if (body.kind === 'closeSession') this.#host.sessions.delete(session as SessionId)
  }
}

async function written(
  given: Partial<StorageConfig> & { readonly isStopped: boolean },
): Promise<{ readonly dir: string; readonly host: LogHost }> {
  const { isStopped, ...storage } = given
  const dir = mkdtempSync(join(tmpdir(), 'corral-storage-'))
  scratch.push(dir)
  mkdirSync(join(dir, 'version-2'))
  const host = hostOn(dir, { snapCount: 40, preAllocBytes: 64 * 1024, ...storage })
  expect(await host.start()).toMatchObject({ kind: 'recovered' })
  const preparer = new Preparer(host)
  const create = {
    kind: 'create',
    type: OpCode.Create,
    acl: open,
    isEphemeral: false,
    parentCversion: -1,
  } as const
  preparer.append({ body: { kind: 'createSession', timeoutMs: 30_000 } })
  preparer.append({ body: { ...create, path: '/app', data: null } })
  preparer.append({ body: { ...create, path: '/app/child', data: new Uint8Array(70_000).fill(7) } })
  for (let round = 0; round < 20; round++) {
    for (const one of bodies(round)) preparer.append(one)
    await host.untilDurable()
  }
  if (isStopped) expect(await host.stop()).toEqual({ kind: 'stopped' })
  return { dir, host }
}

/** The Java server's own snapshot of what it loaded, alone, read by us. */
async function treeThatJavaLoads(dir: string, host: LogHost): Promise<unknown> {
  const copy = mkdtempSync(join(tmpdir(), 'corral-java-copy-'))
  scratch.push(copy)
  cpSync(join(dir, 'version-2'), join(copy, 'version-2'), { recursive: true })
  const name = `snapshot.${hexOf(host.lastZxid)}`
  rmSync(join(copy, 'version-2', name), { force: true })
  const server = await startJavaServer({ dataDir: copy })
  await server.stop()
  expect(server.output()).not.toMatch(
    /Digests are not matching|CRC corruption|IOException|[Pp]roblem reading snap/,
  )
  expect(existsSync(join(copy, 'version-2', name))).toBe(true)
  for (const other of readdirSync(join(copy, 'version-2')))
    if (other !== name) rmSync(join(copy, 'version-2', other))

  const loaded = hostOn(copy, {})
  expect(await loaded.start()).toMatchObject({ kind: 'recovered', lastZxid: host.lastZxid })
  expect([...loaded.sessions]).toEqual([[living, 30_000]])
  return dumpTree(loaded.tree)
}

/** @param gate - may put off a call */
function hostOn(
  dir: string,
  storage: Partial<StorageConfig>,
  gate: (call: DiskCall, perform: () => void) => void = (_call, perform) => perform(),
): LogHost {
  const host = new LogHost(storage)
  const files = join(dir, 'version-2')
  const paths = { data: files, log: files, dataRoot: dir, logRoot: dir }
  const disk = new FileDisk({ paths, report: (op, result) => host.report(op, result) })
  disks.push(disk)
  return host.use({ perform: (op, call) => gate(call, () => disk.perform(op, call)) })
}

function namesOf(dir: string, prefix: string): string[] {
  const zxidOf = (name: string): number => Number.parseInt(name.split('.')[1] ?? '', 16)
  const names = readdirSync(join(dir, 'version-2')).filter(name => name.startsWith(prefix))
  return names.sort((a, b) => zxidOf(a) - zxidOf(b))
}

async function javaTool(name: string, file: string): Promise<string> {
  const cli = '/usr/share/java/commons-cli.jar'
  const { stdout, stderr } = await run(
    '/usr/bin/java',
    [...javaRunFlags, '-cp', `${javaClasspath}:${cli}`, name, file],
    {
      env: childEnvironment(),
      maxBuffer: 64 * 1024 * 1024,
    },
  )
  return stdout + stderr
}
