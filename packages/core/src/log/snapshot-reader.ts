/**
 * Reads a snapshot from a stream of bytes, piece by piece, checking magic, every seal and every length.
 *
 *     "ZKSN" | version(4) | dbid(8)                                          -1; of ours a bound of session ids
 *     sessions   count(4), each id(8) | timeoutMs(4)
 *     ACL cache  count(4), each id(8) | ACL vector
 *     nodes      path | data | aclId(8) | StatPersisted(60), parents first; then the path "/"
 *     seal       Adler-32 of all bytes before it, as a long | "/"
 *     digest     zxid(8) | version(4) | digest(8), seal                      since 3.6, unless digests are off
 *     last zxid  zxid(8), seal                                               since 3.9
 *
 * Which trailers are there is decided by the number of bytes left, not by configuration: the Java server misreads
 * files that were written with the other setting.
 *
 * Source: FileSnap, SerializeUtils, DataTree.deserialize in the Java server.
 */
import {
  adler32,
  digestVersion,
  fileHeaderBytes,
  fromWords,
  type SessionId,
  type Space,
  sealBytes,
  sessionId,
  smallestAclBytes,
  snapshotMagic,
  statPersistedBytes,
  txnDigestBytes,
  type Zxid,
  zxid,
} from '@corral/protocol'
import type { NodeAt } from '../tree/tree-loader.ts'

/** Who builds the tree. A returned text says what is wrong and ends the reading. Ranges are lent for the call. */
export interface SnapshotSink {
  session(id: SessionId, timeoutMs: number): void
  /** `from` … `to`: the ACL vector, its count included. */
  acl(idHigh: number, idLow: number, source: Space, from: number, to: number): string | undefined
  node(source: Space, at: NodeAt): string | undefined
}

export interface SnapshotTrailer {
  /** The txn after which the tree has this digest; undefined if the file has none. */
  readonly digest: { readonly zxid: Zxid; readonly treeDigest: bigint } | undefined
  /** Last txn applied when the writing ended; undefined if the file does not say. */
  readonly lastZxid: Zxid | undefined
  /** Bytes behind the first seal that no known version writes. */
  readonly unknownBytes: number
}

type Section =
  | 'header'
  | 'session count'
  | 'sessions'
  | 'ACL count'
  | 'ACLs'
  | 'nodes'
  | 'seal'
  | 'trailer'
  | 'unknown trailer'
  | 'damaged'

const digestTrailerBytes: number = 8 + txnDigestBytes + sealBytes
const lastZxidTrailerBytes: number = 8 + sealBytes
const longestTrailerBytes: number = digestTrailerBytes + lastZxidTrailerBytes

export class SnapshotReader {
  readonly #sink: SnapshotSink
  readonly #maxLengthBytes: number
  readonly #node: NodeAt = {
    pathFrom: 0,
    pathTo: 0,
    dataFrom: 0,
    dataTo: 0,
    aclHigh: 0,
    aclLow: 0,
    statFrom: 0,
  }
  #section: Section = 'header'
  #itemsLeft = 0
  #checksum = 1
  /** Offset in the stream of the first byte of the space in hand. */
  #spaceAt = 0
  #streamAt = 0
  #problem: string | undefined
  #znodeCount = 0
  #databaseId = -1n
  #unknownBytes = 0

  /** @param given.maxLengthBytes - longest path, data or ACL string accepted */
  constructor(given: { readonly sink: SnapshotSink; readonly maxLengthBytes: number }) {
    this.#sink = given.sink
    this.#maxLengthBytes = given.maxLengthBytes
  }

  /** What is wrong with the file, with the offset in its plain bytes. Nothing is read after it. */
  get problem(): string | undefined {
    return this.#problem
  }

  get znodeCount(): number {
    return this.#znodeCount
  }

  /** What the Java server calls dbid, writes as -1 and never checks. */
  get databaseId(): bigint {
    return this.#databaseId
  }

  /**
   * Reads as many whole items as there are.
   *
   * @returns where the first item begins that is not whole yet; the next call goes on with it
   */
  consume(space: Space, from: number, to: number): number {
    let at = from
    let sealed = from
    this.#spaceAt = this.#streamAt - from
    for (;;) {
      const next = this.#item(space, at, to)
      if (next <= at) break
      // The seal covers what stands before it: the checksum is brought up to date where it is needed.
      if (this.#section === 'seal' || this.#section === 'trailer') {
        this.#checksum = adler32(space, sealed, next, this.#checksum)
        sealed = next
      }
      at = next
    }
    if (sealed < at) this.#checksum = adler32(space, sealed, at, this.#checksum)
    this.#streamAt += at - from
    return at
  }

  /**
   * Reads what follows the first seal, when `to` is the end of the stream.
   *
   * @returns undefined if the file is damaged; see {@link problem}
   */
  finish(space: Space, from: number, to: number): SnapshotTrailer | undefined {
    if (this.#problem !== undefined) return undefined
    this.#spaceAt = this.#streamAt - from
    const none: SnapshotTrailer = { digest: undefined, lastZxid: undefined, unknownBytes: 0 }
    // The tree before it is whole and sealed.
    if (this.#section === 'unknown trailer') return { ...none, unknownBytes: this.#unknownBytes }
    if (this.#section !== 'trailer') return this.#fail(`ends inside the ${this.#section}`, to)
    const left = to - from
    if (left === 0) return none
    const afterDigest = from + digestTrailerBytes
    const hasDigest = left === digestTrailerBytes || left === longestTrailerBytes
    if (hasDigest && space.view.getInt32(from + 8) === digestVersion) {
      if (!this.#isSealed(space, from, afterDigest)) return undefined
      const rest = this.#lastZxidTrailer(space, afterDigest, to)
      if (rest === undefined) return undefined
      const treeDigest = BigInt.asUintN(64, wordsAt(space, from + 12))
      return { ...none, ...rest, digest: { zxid: zxid(wordsAt(space, from)), treeDigest } }
    }
    if (left === lastZxidTrailerBytes) {
      const rest = this.#lastZxidTrailer(space, from, to)
      return rest === undefined ? undefined : { ...none, ...rest }
    }
    return { ...none, unknownBytes: left }
  }

  #lastZxidTrailer(
    space: Space,
    from: number,
    to: number,
  ): { readonly lastZxid: Zxid | undefined } | undefined {
    if (from === to) return { lastZxid: undefined }
    return this.#isSealed(space, from, to) ? { lastZxid: zxid(wordsAt(space, from)) } : undefined
  }

  /** Checks the seal that ends at `to`, of a trailer that begins at `from`. */
  #isSealed(space: Space, from: number, to: number): boolean {
    const sealFrom = to - sealBytes
    this.#checksum = adler32(space, from, sealFrom, this.#checksum)
    if (!this.#checkSeal(space, sealFrom)) return false
    this.#checksum = adler32(space, sealFrom, to, this.#checksum)
    return true
  }

  /** @returns where the item ends; `at` if it is not whole, or the section holds no more */
  #item(space: Space, at: number, to: number): number {
    const { view } = space
    switch (this.#section) {
      case 'header':
        if (to - at < fileHeaderBytes) return at
        if (view.getInt32(at) !== snapshotMagic) return this.#damage('is no snapshot (wrong magic)', at)
        this.#databaseId = wordsAt(space, at + 8)
        this.#section = 'session count'
        return at + fileHeaderBytes
      case 'session count':
      case 'ACL count':
        if (to - at < 4) return at
        this.#itemsLeft = view.getInt32(at)
        if (this.#itemsLeft < 0) return this.#damage(`has a ${this.#section} of ${this.#itemsLeft}`, at)
        this.#section = this.#section === 'session count' ? 'sessions' : 'ACLs'
        this.#skipEmptySection()
        return at + 4
      case 'sessions':
        if (to - at < 12) return at
        this.#sink.session(sessionId(wordsAt(space, at)), view.getInt32(at + 8))
        this.#itemsLeft--
        this.#skipEmptySection()
        return at + 12
      case 'ACLs':
        return this.#aclItem(space, at, to)
      case 'nodes':
        return this.#nodeItem(space, at, to)
      case 'seal':
        return this.#sealItem(space, at, to)
      case 'trailer':
        if (to - at > longestTrailerBytes) this.#section = 'unknown trailer'
        return this.#section === 'trailer' ? at : this.#item(space, at, to)
      case 'unknown trailer':
        this.#unknownBytes += to - at
        return to
      case 'damaged':
        return at
    }
  }

  #skipEmptySection(): void {
    if (this.#itemsLeft > 0) return
    if (this.#section === 'sessions') this.#section = 'ACL count'
    else if (this.#section === 'ACLs') this.#section = 'nodes'
  }

  #aclItem(space: Space, at: number, to: number): number {
    if (to - at < 12) return at
    let end = at + 12
    const count = space.view.getInt32(at + 8)
    if (count * smallestAclBytes > this.#maxLengthBytes)
      return this.#damage(`has an ACL of ${count} entries`, at)
    for (let i = 0; i < count; i++) {
      end += 4
      for (let part = 0; part < 2; part++) {
        const length = this.#lengthAt(space, end, to)
        if (length === notYet) return at
        if (length === unreasonable) return this.#damage('has an ACL string of an unreasonable length', at)
        end += 4 + Math.max(length, 0)
        // It came in a txn.
        if (end - at > this.#maxLengthBytes) return this.#damage('has an ACL of an unreasonable length', at)
        if (end > to) return at
      }
    }
    const problem = this.#sink.acl(space.view.getInt32(at), space.view.getInt32(at + 4), space, at + 8, end)
    if (problem !== undefined) return this.#damage(problem, at)
    this.#itemsLeft--
    this.#skipEmptySection()
    return end
  }

  #nodeItem(space: Space, at: number, to: number): number {
    const { view } = space
    const node = this.#node
    const pathBytes = this.#lengthAt(space, at, to)
    if (pathBytes === notYet) return at
    if (pathBytes === unreasonable || pathBytes < 0)
      return this.#damage('has a path of an unreasonable length', at)
    node.pathFrom = at + 4
    node.pathTo = node.pathFrom + pathBytes
    if (node.pathTo > to) return at
    if (pathBytes === 1 && space.bytes[node.pathFrom] === 0x2f) {
      this.#section = 'seal'
      return node.pathTo
    }
    const dataBytes = this.#lengthAt(space, node.pathTo, to)
    if (dataBytes === notYet) return at
    if (dataBytes === unreasonable) return this.#damage('has data of an unreasonable length', at)
    const dataFrom = node.pathTo + 4
    const dataTo = dataFrom + Math.max(dataBytes, 0)
    const end = dataTo + 8 + statPersistedBytes
    if (end > to) return at
    node.dataFrom = dataBytes < 0 ? -1 : dataFrom
    node.dataTo = dataBytes < 0 ? -1 : dataTo
    node.aclHigh = view.getInt32(dataTo)
    node.aclLow = view.getInt32(dataTo + 4)
    node.statFrom = dataTo + 8
    const problem = this.#sink.node(space, node)
    if (problem !== undefined) return this.#damage(problem, at)
    this.#znodeCount++
    return end
  }

  #sealItem(space: Space, at: number, to: number): number {
    if (to - at < sealBytes || !this.#checkSeal(space, at)) return at
    this.#section = 'trailer'
    return at + sealBytes
  }

  /** The text behind the checksum is not looked at, as in the Java server. */
  #checkSeal(space: Space, at: number): boolean {
    if (space.view.getInt32(at) === 0 && space.view.getUint32(at + 4) === this.#checksum) return true
    this.#fail('has a seal that does not fit its bytes', at)
    return false
  }

  #lengthAt(space: Space, at: number, to: number): number {
    if (to - at < 4) return notYet
    const length = space.view.getInt32(at)
    return length < -1 || length > this.#maxLengthBytes ? unreasonable : length
  }

  #damage(what: string, at: number): number {
    this.#fail(what, at)
    return at
  }

  #fail(what: string, at: number): undefined {
    this.#problem = `${what} (${this.#section}, byte ${this.#spaceAt + at})`
    this.#section = 'damaged'
    return undefined
  }
}

const notYet = -2
const unreasonable = -3

function wordsAt(space: Space, at: number): bigint {
  return fromWords(space.view.getInt32(at), space.view.getInt32(at + 4))
}
