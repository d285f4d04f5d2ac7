/** Every directory of test/golden/data-dirs is opened by our log and gives the tree that the Java server showed. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hexOf } from '@corral/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import { FileDisk } from '../src/io/disk.ts'
import { type Ended, LogHost } from './log-host.ts'
import { dumpTree } from './tree-dump.ts'

const golden = new URL('../../../test/golden/data-dirs/', import.meta.url).pathname
const scratch: string[] = []
const disks: FileDisk[] = []

afterEach(async () => {
  for (const disk of disks.splice(0)) await disk.close()
  for (const dir of scratch.splice(0)) rmSync(dir, { recursive: true })
})

interface Case {
  readonly at: string
  readonly lastZxid: string
  /** Default: `data` and `data`. */
  readonly dirs?: { readonly data: string; readonly log: string }
  readonly expected?: string
  readonly storage?: ConstructorParameters<typeof LogHost>[0]
}

interface ValidCase extends Case {
  /** Open ones with their timeouts, as the dump tools of the Java server show them in snapshots and logs. */
  readonly sessions: Readonly<Record<string, number>>
  /** Txns with digests that are not those of the tree, which is said once; default: none. */
  readonly digestMismatches?: { readonly count: number; readonly firstZxid: string }
}

const valid: readonly ValidCase[] = [
  { at: 'zookeeper-3.8.0/standalone-basic', lastZxid: '25', sessions: { '10000109ce10000': 30_000 } },
  {
    at: 'zookeeper-3.8.0/snapshot-and-logs',
    lastZxid: '45',
    sessions: { '1000010b6b20000': 30_000, '1000010b6b20001': 30_000 },
  },
  { at: 'zookeeper-3.8.0/snapshot-gz', lastZxid: '2b', sessions: { '1000010d4560000': 30_000 } },
  { at: 'zookeeper-3.8.0/snapshot-snappy', lastZxid: '2b', sessions: { '1000010e8a20000': 30_000 } },
  {
    at: 'zookeeper-3.8.0/split-log-dir',
    lastZxid: '21',
    sessions: { '100001118560000': 30_000 },
    dirs: { data: 'data', log: 'datalog' },
  },
  { at: 'zookeeper-3.8.0/no-digest-no-closetxn', lastZxid: '26', sessions: {} },
  ...['s1', 's2', 's3', 's4'].map(s => ({
    at: `zookeeper-3.8.0/ensemble-static/${s}`,
    lastZxid: '100000031',
    sessions: {
      '1000013775d0003': 20_000,
      '200001377b30000': 20_000,
      '40000138a8a0000': 20_000,
      '40000138a8a0001': 20_000,
    },
  })),
  ...['s1', 's2', 's3', 's4'].map(s => ({
    at: `zookeeper-3.8.0/ensemble-reconfig/${s}`,
    lastZxid: '200000006',
    sessions: { '1000014e4600000': 20_000, '1000014e4600003': 20_000, '10000152eb30000': 20_000 },
  })),
  ...['s1', 's2', 's3'].map(s => ({
    at: `zookeeper-3.8.0/ensemble-zxid-rollover/${s}`,
    lastZxid: '1fffffffe',
    sessions: { '10000192bb20000': 20_000 },
  })),
  {
    at: 'zookeeper-3.8.0/ensemble-truncate',
    dirs: { data: 'before', log: 'before' },
    expected: 'expected-before.json',
    lastZxid: '100000009',
    sessions: { '300001835f90000': 20_000, '300001835f90001': 20_000 },
  },
  {
    at: 'zookeeper-3.8.0/ensemble-truncate',
    dirs: { data: 'after', log: 'after' },
    expected: 'expected-after.json',
    lastZxid: '100000007',
    sessions: { '300001835f90000': 20_000, '300001835f90001': 20_000 },
  },
  {
    at: 'zookeeper-3.8.0/ensemble-dirty-snapshot',
    dirs: { data: 'before', log: 'before' },
    expected: 'expected-before.json',
    lastZxid: '100000009',
    sessions: { '300001835f90000': 20_000, '300001835f90001': 20_000 },
  },
  {
    // Java restored its snapshot of two txns that it had been told to cut off, and went on from there.
    at: 'zookeeper-3.8.0/ensemble-dirty-snapshot',
    dirs: { data: 'after-trunc-by-3.8.0', log: 'after-trunc-by-3.8.0' },
    expected: 'expected-after-trunc-by-3.8.0.json',
    lastZxid: '200000005',
    sessions: {
      '100002123790000': 20_000,
      '100002123790001': 20_000,
      '300001835f90000': 20_000,
      '300001835f90001': 20_000,
      '30000212aae0000': 20_000,
    },
    digestMismatches: { count: 5, firstZxid: '0x200000001' },
  },
  {
    at: 'zookeeper-3.10.0-SNAPSHOT/default-trailer',
    lastZxid: '25',
    sessions: { '100001dd3b40000': 30_000 },
  },
  {
    at: 'zookeeper-3.10.0-SNAPSHOT/default-trailer-small',
    lastZxid: '4',
    sessions: { '100001f84750000': 30_000 },
  },
  {
    at: 'zookeeper-3.10.0-SNAPSHOT/digest-disabled-trailer',
    lastZxid: '4',
    sessions: { '100001f75410000': 30_000 },
  },
]

/** Of the log that all damaged directories have. */
const ofDamaged = { '1000011ea650000': 30_000 }

/** A damaged tail that no acknowledged txn can be in, and damage that costs nothing. */
const recoverable: readonly ValidCase[] = [
  { at: 'zookeeper-3.8.0/torn-tail-cut', lastZxid: '8', sessions: ofDamaged },
  { at: 'zookeeper-3.8.0/torn-tail-cut-in-length', lastZxid: '8', sessions: ofDamaged },
  { at: 'zookeeper-3.8.0/torn-tail-zeroed', lastZxid: '8', sessions: ofDamaged },
  { at: 'zookeeper-3.8.0/torn-tail-no-eor', lastZxid: '8', sessions: ofDamaged },
  { at: 'zookeeper-3.8.0/header-only-last-log', lastZxid: '9', sessions: ofDamaged },
  { at: 'zookeeper-3.8.0/empty-snapshot-file', lastZxid: '9', sessions: ofDamaged },
  { at: 'zookeeper-3.8.0/invalid-newest-snapshot', lastZxid: '9', sessions: ofDamaged },
  { at: 'zookeeper-3.8.0/corrupt-newest-snapshot-crc', lastZxid: '9', sessions: ofDamaged },
  {
    at: 'zookeeper-3.8.0/no-snapshot',
    lastZxid: '9',
    sessions: ofDamaged,
    expected: 'expected-with-trust-empty.json',
    storage: { isEmptySnapshotTrusted: true },
  },
]

/** Java 3.8.0 refuses these; a newest log that holds no record cannot hold an acknowledged txn. */
const recoverableHere: readonly ValidCase[] = [
  {
    at: 'zookeeper-3.8.0/empty-last-log',
    lastZxid: '9',
    sessions: ofDamaged,
    expected: '../header-only-last-log/expected.json',
  },
  {
    at: 'zookeeper-3.8.0/partial-header-last-log',
    lastZxid: '9',
    sessions: ofDamaged,
    expected: '../header-only-last-log/expected.json',
  },
]

const all: readonly ValidCase[] = [...valid, ...recoverable, ...recoverableHere]

const refused: readonly { readonly at: string; readonly reason: RegExp }[] = [
  {
    at: 'torn-tail-zeroed-with-eor',
    reason: /log\.1 is damaged \(bad checksum\).*at byte 615, after zxid 0x8.*repair-log/,
  },
  {
    at: 'torn-tail-bad-crc',
    reason: /log\.1 is damaged \(bad checksum\).*at byte 615, after zxid 0x8.*repair-log/,
  },
  {
    at: 'torn-tail-bad-length',
    reason: /log\.1 is damaged \(bad length\).*at byte 615, after zxid 0x8.*repair-log/,
  },
  {
    at: 'corrupt-middle-crc',
    reason:
      /log\.1 is damaged \(bad checksum\), at byte 250, after zxid 0x3; 5 whole records follow, 0x5 to 0x9.*repair-log/,
  },
  { at: 'no-snapshot', reason: /no usable snapshot, but there are txn logs from log\.1 on/ },
]

describe('a directory of the Java server opens to the tree that it showed', () => {
  test.each(all)('$at ($lastZxid)', async given => {
    const { host, end } = await openCopy(given)

    expect(end).toMatchObject({ kind: 'recovered' })
    expect(hexOf(host.lastZxid)).toBe(given.lastZxid)
    expect(dumpTree(host.tree)).toEqual(expectedOf(given))
    expect(sessionsOf(host)).toEqual(given.sessions)
    expect(host.log.counters.digestMismatches).toBe(given.digestMismatches?.count ?? 0)
  })
})

describe('what was recovered is recovered again', () => {
  test.each(all)('$at ($lastZxid)', async given => {
    const first = await openCopy(given)
    await first.host.stop()

    const { host, end } = await open(first.dirs, given.storage)

    expect(end).toMatchObject({ kind: 'recovered', lastZxid: first.host.lastZxid })
    expect(dumpTree(host.tree)).toEqual(expectedOf(given))
    expect(sessionsOf(host)).toEqual(given.sessions)
    const firstZxid = given.digestMismatches?.firstZxid
    expect(host.said.filter(({ level }) => level === 'error')).toMatchObject(
      firstZxid === undefined ? [] : [{ what: expect.stringMatching(/digest/), fields: { zxid: firstZxid } }],
    )
  })
})

describe('damage that may have cost an acknowledged txn', () => {
  test.each(refused)('$at: no start, and the files stay as they are', async ({ at, reason }) => {
    const { end, dirs } = await openCopy({ at: `zookeeper-3.8.0/${at}`, lastZxid: '' })

    expect(end).toMatchObject({ kind: 'fatal', exitCode: 10, reason: expect.stringMatching(reason) })
    const source = join(golden, 'zookeeper-3.8.0', at, 'data', 'version-2')
    expect(readdirSync(dirs.data).sort()).toEqual(readdirSync(source).sort())
    for (const name of readdirSync(source)) {
      expect(readFileSync(join(dirs.data, name)).equals(readFileSync(join(source, name)))).toBe(true)
    }
  })
})

test('the highest session id of this server comes back, that of a closed one too', async () => {
  const { end } = await openCopy({ at: 'zookeeper-3.8.0/standalone-basic', lastZxid: '25' })

  expect(end).toMatchObject({ kind: 'recovered', maxSessionId: 0x10000109ce10002n, replayedTxns: 37 })
})

test('a torn tail is cut off, and said once', async () => {
  const { host, dirs } = await openCopy({ at: 'zookeeper-3.8.0/torn-tail-zeroed', lastZxid: '8' })

  expect(readFileSync(join(dirs.log, 'log.1')).length).toBe(615)
  expect(host.said.filter(({ level }) => level === 'warn')).toMatchObject([
    { fields: { file: 'log.1', offset: 615, zxid: '0x9' } },
  ])
})

test('a newest log without a record is removed', async () => {
  const { dirs } = await openCopy({ at: 'zookeeper-3.8.0/partial-header-last-log', lastZxid: '9' })

  expect(existsSync(join(dirs.log, 'log.64'))).toBe(false)
})

test('a log that is missing is noticed', async () => {
  const dirs = copyOf({ at: 'zookeeper-3.8.0/snapshot-and-logs', lastZxid: '45' })
  for (const name of ['snapshot.28', 'snapshot.3b', 'log.2a']) rmSync(join(dirs.data, name))

  const { end } = await open(dirs)

  expect(end).toMatchObject({
    kind: 'fatal',
    exitCode: 10,
    reason: expect.stringMatching(
      /log\.3d is damaged \(its record 0x3d follows 0x29: the txns between are missing/,
    ),
  })
})

test('every snapshot, with the logs behind it, gives the same tree', async () => {
  const given = { at: 'zookeeper-3.8.0/snapshot-and-logs', lastZxid: '45' }
  for (const newer of [['3b'], ['3b', '28'], ['3b', '28', '1c'], ['3b', '28', '1c', 'c']]) {
    const dirs = copyOf(given)
    for (const zxid of newer) rmSync(join(dirs.data, `snapshot.${zxid}`))

    const { host } = await open(dirs)

    expect(dumpTree(host.tree)).toEqual(expectedOf(given))
    await host.stop()
  }
})

test('an empty directory is refused where it must be declared new', async () => {
  const dirs = emptyDirs()

  const { end } = await open(dirs, { isDbAutocreated: false })

  expect(end).toMatchObject({ kind: 'fatal', exitCode: 3, reason: expect.stringContaining('initialize') })
})

function copyOf(given: Case): Dirs {
  const root = mkdtempSync(join(tmpdir(), 'corral-java-'))
  scratch.push(root)
  const hasData = existsSync(join(golden, given.at, 'data'))
  const { data, log } = given.dirs ?? { data: hasData ? 'data' : '.', log: hasData ? 'data' : '.' }
  for (const dir of new Set([data, log]))
    cpSync(join(golden, given.at, dir), join(root, dir), { recursive: true })
  return dirsIn(join(root, data), join(root, log))
}

function emptyDirs(): Dirs {
  const root = mkdtempSync(join(tmpdir(), 'corral-empty-'))
  scratch.push(root)
  mkdirSync(join(root, 'version-2'))
  return dirsIn(root, root)
}

interface Dirs {
  readonly data: string
  readonly log: string
  readonly dataRoot: string
  readonly logRoot: string
}

function dirsIn(data: string, log: string): Dirs {
  return { data: join(data, 'version-2'), log: join(log, 'version-2'), dataRoot: data, logRoot: log }
}

async function openCopy(given: Case): Promise<{ host: LogHost; end: Ended; dirs: Dirs }> {
  const dirs = copyOf(given)
  return { ...(await open(dirs, given.storage)), dirs }
}

async function open(
  dirs: Dirs,
  storage: Case['storage'] = {},
): Promise<{ readonly host: LogHost; readonly end: Ended }> {
  const host = new LogHost(storage)
  const disk = new FileDisk({ paths: dirs, report: (op, result) => host.report(op, result) })
  disks.push(disk)
  return { host, end: await host.use(disk).start() }
}

function sessionsOf(host: LogHost): Record<string, number> {
  return Object.fromEntries([...host.sessions].map(([id, timeoutMs]) => [hexOf(id), timeoutMs]))
}

function expectedOf(given: Case): unknown {
  return JSON.parse(readFileSync(join(golden, given.at, given.expected ?? 'expected.json'), 'utf8'))
}
