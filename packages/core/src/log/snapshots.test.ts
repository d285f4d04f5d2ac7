/** Snapshot files: what the Java server wrote, read by us; what we write, read again; damage anywhere is found. */
import { readdirSync, readFileSync } from 'node:fs'
import { fromWords, type SessionId, type Space, sessionId, spaceOf, zxid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../random.ts'
import { DataTree } from '../tree/data-tree.ts'
import { SnapshotReader, type SnapshotTrailer } from './snapshot-reader.ts'
import { SnapshotWriter } from './snapshot-writer.ts'

const golden = new URL('../../../../test/golden/data-dirs/', import.meta.url).pathname
const plainSnapshots = readdirSync(golden, { recursive: true, encoding: 'utf8' })
  .filter(
    path => /\/snapshot\.[0-9a-f]+$/.test(path) && !/empty-snapshot|invalid-newest|corrupt-newest/.test(path),
  )
  .map(path => ({ path, zxid: zxid(BigInt(`0x${path.slice(path.lastIndexOf('.') + 1)}`)) }))

interface Loaded {
  readonly tree: DataTree
  readonly sessions: Map<SessionId, number>
  readonly trailer: SnapshotTrailer | undefined
  readonly problem: string | undefined
}

/** Reads the bytes in pieces of the given length. */
function load(bytes: Uint8Array, pieceBytes: number): Loaded {
  const tree = new DataTree({ random: seededRandom(1), isTtlEnabled: true, isDigestEnabled: true })
  const sessions = new Map<SessionId, number>()
  const loader = tree.loader()
  const reader = new SnapshotReader({
    maxLengthBytes: 0xfffff,
    sink: {
      session: (id, timeoutMs) => void sessions.set(id, timeoutMs),
      acl: (high, low, source, from, to) => loader.acl(high, low, source, from, to),
      node: (source, at) => loader.node(source, at),
    },
  })
  const trailer = feed(reader, bytes, pieceBytes)
  return { tree, sessions, trailer, problem: reader.problem ?? loader.finish(0x7fff_ffff, -1) }
}

function feed(reader: SnapshotReader, bytes: Uint8Array, pieceBytes: number): SnapshotTrailer | undefined {
  const space = spaceOf(bytes)
  let at = 0
  for (let to = 0; to < bytes.length; ) {
    to = Math.min(bytes.length, to + pieceBytes)
    at = reader.consume(space, at, to)
  }
  return reader.finish(space, at, bytes.length)
}

function write(
  loaded: Loaded,
  given: { readonly zxid: bigint; readonly sliceZnodes: number; readonly hasDigest: boolean },
): Uint8Array {
  const writer = new SnapshotWriter()
  const pieces: Uint8Array[] = []
  const walk = loaded.tree.openWalk()
  writer.begin(loaded.sessions.size, sessionId(1n))
  for (const [id, timeoutMs] of loaded.sessions) writer.session(id, timeoutMs)
  while (!walk.aclsInto(writer.out, given.sliceZnodes, 1 << 20)) pieces.push(writer.take().slice())
  for (let isLast = false; !isLast; pieces.push(writer.take().slice())) {
    isLast = walk.nextInto(writer.out, given.sliceZnodes, 1 << 20)
    const treeDigest = fromWords(loaded.tree.digestHigh, loaded.tree.digestLow)
    if (isLast)
      writer.end(given.hasDigest ? { zxid: zxid(given.zxid), treeDigest, hasLastZxid: true } : undefined)
  }
  walk.close()
  return new Uint8Array(Buffer.concat(pieces))
}

describe.each(plainSnapshots)('$path', ({ path, zxid: at }) => {
  const bytes = new Uint8Array(readFileSync(golden + path))
  const whole = load(bytes, bytes.length)

  test('is read, and its digest is that of the tree where it was not fuzzy', () => {
    expect(whole.problem).toBeUndefined()
    expect(whole.trailer?.unknownBytes).toBe(0)
    const { digest } = whole.trailer ?? {}
    const isFuzzyOrNone = digest === undefined || digest.zxid !== at || at === 0n
    const own = BigInt.asUintN(64, fromWords(whole.tree.digestHigh, whole.tree.digestLow))
    expect(isFuzzyOrNone || digest.treeDigest === own).toBe(true)
  })

  test('is read the same in pieces of any length', () => {
    const contents = contentsOf(bytes, bytes.length)
    expect(contents.size).toBe(whole.tree.znodeCount)
    for (const pieceBytes of [1, 7, 64, 1000]) expect(contentsOf(bytes, pieceBytes)).toEqual(contents)
  })

  test('written by us it holds the same, whatever the slices', () => {
    for (const sliceZnodes of [1, 3, 1e6]) {
      const written = write(whole, { zxid: at, sliceZnodes, hasDigest: true })
      const again = load(written, 1 << 20)

      expect(again.problem).toBeUndefined()
      expect(again.sessions).toEqual(whole.sessions)
      expect(again.trailer?.lastZxid).toBe(at)
      expect([again.tree.digestHigh, again.tree.digestLow]).toEqual([
        whole.tree.digestHigh,
        whole.tree.digestLow,
      ])
      expect(contentsOf(written, 1 << 20)).toEqual(contentsOf(bytes, 1 << 20))
    }
  })
})

/** By path: data, Stat and the ACL itself, since ids of ACLs are local to a file. */
function contentsOf(bytes: Uint8Array, pieceBytes: number): Map<string, string> {
  const contents = new Map<string, string>()
  const acls = new Map<string, string>([['-1,-1', 'open']])
  const hex = (source: Space, from: number, to: number): string =>
    Buffer.from(source.bytes.subarray(from, to)).toString('hex')
  const reader = new SnapshotReader({
    maxLengthBytes: 0xfffff,
    sink: {
      session: () => undefined,
      acl: (high, low, source, from, to) => void acls.set(`${high},${low}`, hex(source, from, to)),
      node: (source, at) => {
        const path = Buffer.from(source.bytes.subarray(at.pathFrom, at.pathTo)).toString()
        const data = at.dataFrom < 0 ? 'null' : hex(source, at.dataFrom, at.dataTo)
        const acl = acls.get(`${at.aclHigh},${at.aclLow}`) ?? 'none'
        contents.set(path, `${data} ${hex(source, at.statFrom, at.statFrom + 60)} ${acl}`)
        return undefined
      },
    },
  })
  feed(reader, bytes, pieceBytes)
  return contents
}

describe('damage', () => {
  const path = 'zookeeper-3.10.0-SNAPSHOT/default-trailer/data/version-2/snapshot.d'
  const bytes = new Uint8Array(readFileSync(golden + path))
  const firstSealEnd = bytes.length - 54

  test('of any byte is found, but in the text behind the last seal, which nobody reads', () => {
    for (let i = 0; i < bytes.length - 5; i++) {
      const damaged = bytes.slice()
      damaged[i] = (damaged[i] as number) ^ 0x10
      const { problem, trailer } = load(damaged, bytes.length)
      // A trailer of another version than ours is of an unknown kind: the tree before it is sealed.
      expect(problem !== undefined || (trailer?.unknownBytes ?? 0) > 0, `byte ${i}`).toBe(true)
    }
  })

  test('by being cut anywhere before the end of the first seal is found', () => {
    for (let length = 0; length < firstSealEnd; length++) {
      expect(load(bytes.slice(0, length), 1 << 20).problem, `cut to ${length}`).toBeDefined()
    }
  })

  test('by being cut in a trailer costs only the trailer, unless what is left looks like another one', () => {
    for (let length = firstSealEnd; length < bytes.length; length++) {
      const left = length - firstSealEnd
      const { problem, trailer } = load(bytes.slice(0, length), 1 << 20)
      if (left === 21) expect(problem).toBeDefined()
      else expect(trailer?.unknownBytes).toBe(left === 0 || left === 33 ? 0 : left)
    }
  })

  test('of the files made for it is found', () => {
    const dirs = 'zookeeper-3.8.0'
    for (const name of ['empty-snapshot-file', 'invalid-newest-snapshot', 'corrupt-newest-snapshot-crc']) {
      const damaged = new Uint8Array(readFileSync(`${golden}${dirs}/${name}/data/version-2/snapshot.5`))
      expect(load(damaged, 100).problem).toBeDefined()
    }
  })
})

test('without digests no trailer is written, and an empty tree takes the 424 bytes it takes in Java', () => {
  const bytes = readFileSync(`${golden}zookeeper-3.8.0/no-digest-no-closetxn/data/version-2/snapshot.0`)
  const empty = load(new Uint8Array(bytes), 1 << 20)

  expect(write(empty, { zxid: 0n, sliceZnodes: 1e6, hasDigest: false }).length).toBe(bytes.length)
})

test('a fresh tree is written byte for byte as the Java server of 3.9 writes it', () => {
  const path = 'zookeeper-3.10.0-SNAPSHOT/default-trailer-small/data/version-2/snapshot.0'
  const tree = new DataTree({ random: seededRandom(1), isTtlEnabled: true, isDigestEnabled: true })

  const written = write(
    { tree, sessions: new Map(), trailer: undefined, problem: undefined },
    { zxid: 0n, sliceZnodes: 1e6, hasDigest: true },
  )

  expect(contentsOf(written, 1 << 20)).toEqual(
    contentsOf(new Uint8Array(readFileSync(golden + path)), 1 << 20),
  )
  expect(written.length).toBe(478)
})
