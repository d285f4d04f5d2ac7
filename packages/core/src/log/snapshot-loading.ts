/** Reads one snapshot file into a fresh tree. */
import { hexText, highWord, lowWord, makeSpace, type SessionId, type Zxid } from '@corral/protocol'
import type { DataTree } from '../tree/data-tree.ts'
import type { SnapshotFile } from './file-names.ts'
import { close, DiskFailure, type OpenedFile, open, read, type Script } from './script.ts'
import { SnapshotReader, type SnapshotTrailer } from './snapshot-reader.ts'

export interface LoadedSnapshot {
  readonly zxid: Zxid
  readonly tree: DataTree
  readonly sessions: ReadonlyMap<SessionId, number>
  readonly databaseId: bigint
  readonly trailer: SnapshotTrailer
}

const windowBytes = 1024 * 1024

/** @returns the tree as of the file's name, or what is wrong with the file */
export function* loadSnapshot(given: {
  readonly file: SnapshotFile
  readonly tree: DataTree
  readonly maxLengthBytes: number
}): Script<LoadedSnapshot | string> {
  const { tree } = given
  const sessions = new Map<SessionId, number>()
  const loader = tree.loader()
  const reader = new SnapshotReader({
    maxLengthBytes: given.maxLengthBytes,
    sink: {
      session: (id, timeoutMs) => void sessions.set(id, timeoutMs),
      acl: (idHigh, idLow, source, from, to) => {
        // One is for znodes that refer to no ACL of the table.
        return tree.acls.room() > 1
          ? loader.acl(idHigh, idLow, source, from, to)
          : 'has too many different ACLs'
      },
      node: (source, at) => loader.node(source, at),
    },
  })
  const expect = (read: number, of: number): void => loader.expect(Math.ceil((reader.znodeCount * of) / read))
  const trailer = yield* readWhole(given.file, reader, expect)
  if (typeof trailer === 'string') return trailer
  const { zxid } = given.file
  // Nobody writes such a file: another name was put on it, and the txns between would be missing.
  if (trailer.lastZxid !== undefined && trailer.lastZxid < zxid)
    return `ends at ${hexText(trailer.lastZxid)}, before the zxid in its name`
  const problem = loader.finish(highWord(zxid), lowWord(zxid))
  return problem ?? { zxid, tree, sessions, databaseId: reader.databaseId, trailer }
}

/** @param expect - told how much the first piece is of the whole */
function* readWhole(
  named: SnapshotFile,
  reader: SnapshotReader,
  expect: (read: number, of: number) => void,
): Script<SnapshotTrailer | string> {
  try {
    const file = yield* open({ dir: 'data', name: named.name, mode: 'read', codec: named.codec })
    try {
      return (yield* readTo(file, reader, expect)) ?? reader.problem ?? 'is damaged'
    } finally {
      yield* close(file)
    }
  } catch (error) {
    if (error instanceof DiskFailure) return error.message
    throw error
  }
}

function* readTo(
  file: OpenedFile,
  reader: SnapshotReader,
  expect: (read: number, of: number) => void,
): Script<SnapshotTrailer | undefined> {
  let space = makeSpace(windowBytes)
  let held = 0
  for (let at = 0; ; ) {
    const into = space.bytes.subarray(held)
    const count = yield* read(file, at, into)
    at += count
    held += count
    const from = reader.consume(space, 0, held)
    if (reader.problem !== undefined) return undefined
    if (count < into.length) return reader.finish(space, from, held)
    if (at === count) expect(count, file.sizeBytes)
    const before = space
    if (from === 0) space = makeSpace(2 * before.bytes.length)
    space.bytes.set(before.bytes.subarray(from, held))
    held -= from
  }
}
