/** The tree that a log says: its records applied to a fresh tree, every digest compared, every invariant checked. */
import { checkTree, DataTree, FiredWatches, logFiles, RecordReader, seededRandom } from '@corral/core'
import { fileHeaderBytes, spaceOf } from '@corral/protocol'
import type { Files } from './sync-disk.ts'
import { must } from './target.ts'

/** @param files - of a server that began with nothing: its logs hold every txn */
export function replayedTree(files: Files, isTtlEnabled: boolean): DataTree {
  const tree = new DataTree({ random: seededRandom(1), isTtlEnabled, isDigestEnabled: true })
  const records = new RecordReader({ maxPayloadBytes: 2 * 0xfffff })
  const fired = new FiredWatches()
  const entries = [...files]
    .filter(([key]) => key.startsWith('log/'))
    .map(([key, bytes]) => ({ name: key.slice('log/'.length), sizeBytes: bytes.length }))
  for (const { name } of logFiles(entries)) {
    const bytes = files.get(`log/${name}`) as Uint8Array
    const space = spaceOf(bytes)
    let at = fileHeaderBytes
    for (; at < bytes.length; at = records.end) {
      const found = records.read(space, at, bytes.length, true)
      if (found === 'zeros') break
      must(
        found === 'record' && records.isTxn(space),
        `the log of a healthy run is whole, not ${found} at ${at}`,
      )
      fired.clear()
      tree.apply(space, records.payloadFrom, records.payloadTo, fired)
      must(tree.isDigestRight(), `the digest of the record at ${at}`)
    }
  }
  const problems = checkTree(tree)
  must(problems.length === 0, problems.join('; '))
  return tree
}
