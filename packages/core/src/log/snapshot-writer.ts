/**
 * Writes the bytes of a snapshot, slice by slice, into memory that the caller takes away after each slice; keeps the
 * checksum of everything so far. Layout: see `snapshot-reader.ts`. The trailers are written as the Java server of
 * 3.9 does, or none if digests are off: a last-zxid trailer alone is misread by every Java server with digests on.
 */
import {
  adler32,
  digestVersion,
  fileVersion,
  type SessionId,
  snapshotMagic,
  Writer,
  type Zxid,
} from '@corral/protocol'

export class SnapshotWriter {
  /** Where the tree's walk writes node records. Emptied by {@link take}. */
  readonly out: Writer = new Writer()
  #checksum = 1
  #summedTo = 0

  /**
   * @param sessionCount - so many are written next, then the ACLs
   * @param sessionBound - above every id that this server has given away
   */
  begin(sessionCount: number, sessionBound: SessionId): void {
    this.out.int32(snapshotMagic)
    this.out.int32(fileVersion)
    this.out.int64(sessionBound)
    this.out.int32(sessionCount)
  }

  /** One that there is at the zxid in the file's name, or came later. */
  session(id: SessionId, timeoutMs: number): void {
    this.out.int64(id)
    this.out.int32(timeoutMs)
  }

  /** @param trailers - what the tree had reached when its last node was written; undefined writes no trailer */
  end(
    trailers: { readonly zxid: Zxid; readonly treeDigest: bigint; readonly hasLastZxid: boolean } | undefined,
  ): void {
    this.out.string('/')
    this.#seal()
    if (trailers === undefined) return
    this.out.int64(trailers.zxid)
    this.out.int32(digestVersion)
    // As in the Java server, zxid 0 says "no digest": nothing was applied yet.
    this.out.int64(trailers.zxid === 0n ? 0n : BigInt.asIntN(64, trailers.treeDigest))
    this.#seal()
    if (!trailers.hasLastZxid) return
    this.out.int64(trailers.zxid)
    this.#seal()
  }

  /** @returns the bytes written since the last call: lent until the next write */
  take(): Uint8Array {
    this.#sum()
    const bytes = this.out.bytes.subarray(0, this.out.at)
    this.out.at = 0
    this.#summedTo = 0
    return bytes
  }

  #seal(): void {
    this.#sum()
    this.out.words(0, this.#checksum | 0)
    this.out.string('/')
  }

  #sum(): void {
    this.#checksum = adler32(this.out, this.#summedTo, this.out.at, this.#checksum)
    this.#summedTo = this.out.at
  }
}
