/**
 * The tree digest after every 128th zxid, the newest of them: operators compare what servers have here.
 *
 * Source: DataTree.logZxidDigest in the Java server.
 */
import { fromWords, type Zxid, zxid } from '@corral/protocol'
import type { DataTree } from './data-tree.ts'

/** A power of two. */
const zxidsBetween = 128
const mostEntries = 1024

export interface RecordedDigest {
  readonly zxid: Zxid
  readonly digest: bigint
}

export class DigestLog {
  /** Oldest first. */
  readonly entries: RecordedDigest[] = []

  /** @param tree - after the txn of this zxid */
  record(tree: DataTree, zxidHigh: number, zxidLow: number): void {
    if ((zxidLow & (zxidsBetween - 1)) !== 0) return
    this.entries.push({
      zxid: zxid(fromWords(zxidHigh, zxidLow)),
      digest: BigInt.asUintN(64, fromWords(tree.digestHigh, tree.digestLow)),
    })
    if (this.entries.length > mostEntries) this.entries.shift()
  }
}
