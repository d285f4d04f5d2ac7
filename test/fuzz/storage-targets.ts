/** Directories with damaged files: a server either starts with a sound tree, or says why it does not. */

import { type Random, SnapshotReader } from '@corral/core'
import { adler32, ErrorCode, makeSpace } from '@corral/protocol'
import { filesOf } from './data-dirs.ts'
import { chance, mutate, pick } from './mutate.ts'
import { type Files, SyncDisk } from './sync-disk.ts'
import { must, type Target, type Verdict } from './target.ts'
import { WatchedServer } from './watched-server.ts'

/** Reads may ask for a window, and for what a record or string may have. */
const mostReadBytes = 8 * 1024 * 1024

const dirs = ['standalone-basic', 'snapshot-and-logs', 'torn-tail-cut', 'header-only-last-log'] as const

/**
 * An input is `dir number (1) | file number (1) | the file's new bytes`: the rest of the directory stays as captured.
 */
function inputOf(dir: number, file: number, bytes: Uint8Array): Uint8Array {
  const input = new Uint8Array(2 + bytes.length)
  input.set([dir, file])
  input.set(bytes, 2)
  return input
}

const captured: readonly Files[] = dirs.map(filesOf)

function seedsOf(kind: 'log' | 'data'): Uint8Array[] {
  return captured.flatMap((files, dir) =>
    [...files].flatMap(([key, bytes], file) => (key.startsWith(kind) ? [inputOf(dir, file, bytes)] : [])),
  )
}

export const logTarget: Target = {
  name: 'log',
  seeds: () => seedsOf('log'),
  make: (random, known) => {
    const seed = pick(random, known)
    const bytes = mutate(random, seed.subarray(2), [], 1 << 18)
    return inputOf(seed[0] as number, seed[1] as number, chance(random, 2) ? resealed(bytes) : bytes)
  },
  run: runStart,
}

export const snapshotTarget: Target = {
  name: 'snapshot',
  seeds: () => seedsOf('data'),
  make: (random, known) => {
    const seed = pick(random, known)
    const bytes = mutate(random, seed.subarray(2), [], 1 << 18)
    return inputOf(seed[0] as number, seed[1] as number, chance(random, 2) ? sealed(random, bytes) : bytes)
  },
  run: input => {
    mustReadAlike(input.subarray(2))
    return runStart(input)
  },
}

/** Every record's checksum set right, so that the change is seen by what comes after it. */
function resealed(log: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(log)
  const view = new DataView(bytes.buffer)
  for (let at = 16; at + 12 < bytes.length; ) {
    const length = view.getInt32(at + 8)
    if (length <= 0 || at + 12 + length >= bytes.length) break
    view.setUint32(at + 4, adler32({ bytes, view }, at + 12, at + 12 + length))
    at += 13 + length
  }
  return bytes
}

/** The first seal set right, at a place that looks like one. */
function sealed(random: Random, snapshot: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(snapshot)
  const view = new DataView(bytes.buffer)
  for (let at = 16; at + 18 <= bytes.length; at++) {
    // The end mark "/" before a sum and another "/".
    const isSeal =
      view.getInt32(at) === 1 &&
      bytes[at + 4] === 0x2f &&
      view.getInt32(at + 13) === 1 &&
      bytes[at + 17] === 0x2f
    if (!isSeal) continue
    view.setInt32(at + 5, 0)
    view.setUint32(at + 9, adler32({ bytes, view }, 0, at + 5))
    if (!chance(random, 2)) return bytes.subarray(0, at + 18)
    return bytes
  }
  return bytes
}

function runStart(input: Uint8Array): Verdict {
  const files: Files = new Map(captured[(input[0] as number) % dirs.length])
  const names = [...files.keys()]
  files.set(names[(input[1] as number) % names.length] as string, input.slice(2))
  const disk = new SyncDisk(files)
  const watched = new WatchedServer({ disk })
  must(disk.largestReadBytes <= mostReadBytes, 'no length in a file decides what is allocated')
  const { slowestStepMs } = watched
  if (watched.fatal !== undefined) {
    must(!watched.isServing, 'a server that gives up does not serve')
    must(watched.fatal.length > 10 && !watched.fatal.includes('\n'), 'it says why, in a line')
    return { slowestStepMs, outcome: 'refused' }
  }
  must(watched.isServing, 'a start ends in serving or in a reason')
  const line = watched.open(1)
  must(watched.connect(line) !== 0n, 'a recovered server takes sessions')
  const { err } = watched.ask(line, 1, { kind: 'getChildren', path: '/', watch: false })
  must(err === ErrorCode.Ok || err === ErrorCode.NoAuth, 'a recovered server answers')
  mustStartAgain(watched)
  return { slowestStepMs, outcome: 'started' }
}

/** What it wrote and repaired is read by the next run as the same tree. */
function mustStartAgain(watched: WatchedServer): void {
  watched.step({ kind: 'stop' })
  watched.settle()
  const before = watched.server.inspect()
  const again = new WatchedServer({ disk: new SyncDisk(watched.disk.files) })
  must(again.isServing, `what was recovered is recovered again, not ${again.fatal}`)
  const after = again.server.inspect()
  must(after.lastZxid() === before.lastZxid(), 'the next run begins where this one ended')
  must(after.znodeCount() === before.znodeCount(), 'the next run has the same znodes')
}

/** A snapshot is read alike whether it comes at once or in pieces. */
function mustReadAlike(bytes: Uint8Array): void {
  const [atOnce, inPieces] = [bytes.length, 61].map(piece => readSnapshot(bytes, piece))
  must(atOnce === inPieces, `a snapshot reads alike in pieces: ${atOnce} and ${inPieces}`)
}

function readSnapshot(bytes: Uint8Array, pieceBytes: number): string {
  let items = 0
  const reader = new SnapshotReader({
    maxLengthBytes: 2 * 0xfffff,
    sink: {
      session: () => void items++,
      acl: () => void items++,
      node: () => void items++,
    },
  })
  let held = makeSpace(0)
  for (let at = 0; ; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes)
    const joined = makeSpace(held.bytes.length + piece.length)
    joined.bytes.set(held.bytes)
    joined.bytes.set(piece, held.bytes.length)
    const from = reader.consume(joined, 0, joined.bytes.length)
    if (reader.problem !== undefined) return `${items} ${reader.problem}`
    held = makeSpace(joined.bytes.length - from)
    held.bytes.set(joined.bytes.subarray(from))
    if (at + pieceBytes < bytes.length) continue
    const trailer = reader.finish(held, 0, held.bytes.length)
    return `${items} ${trailer === undefined ? reader.problem : `${trailer.lastZxid} ${trailer.digest?.treeDigest}`}`
  }
}
