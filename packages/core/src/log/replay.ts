/**
 * Applies the records of the log to the tree of a snapshot, in order, and checks that none is missing; keeps the
 * sessions along with it. What the snapshot holds already is skipped.
 *
 * Source: FileTxnSnapLog.fastForwardFromEdits in the Java server, which checks neither gaps nor order; for the zxids that are
 * never logged PrepRequestProcessor and Request.
 */
import {
  fileHeaderBytes,
  fromWords,
  hexText,
  highWord,
  lowWord,
  OpCode,
  type SessionId,
  type Space,
  sessionId,
  TxnHead,
  txnHeaderBytes,
  type Zxid,
  zxid,
} from '@corral/protocol'
import type { ServerConfig } from '../config.ts'
import type { Fields, Level } from '../effects.ts'
import type { DataTree } from '../tree/data-tree.ts'
import { DigestLog } from '../tree/digest-log.ts'
import { FiredWatches } from '../tree/fired-watches.ts'
import type { LogFileReader } from './log-file-reader.ts'

export interface ReplayGiven {
  readonly config: ServerConfig
  say(level: Level, what: string, fields: Fields): void
}

export interface ReplayStart {
  readonly tree: DataTree
  readonly sessions: ReadonlyMap<SessionId, number>
  /** The tree holds every txn up to this one. */
  readonly zxid: Zxid
  /** What the tree's digest is to be at a zxid, by the snapshot. */
  readonly digest: { readonly zxid: Zxid; readonly treeDigest: bigint } | undefined
}

export class Replay {
  readonly #given: ReplayGiven
  readonly #tree: DataTree
  readonly #fired = new FiredWatches()
  readonly #startedAt: Zxid
  #pendingDigest: ReplayStart['digest']
  #lastHigh: number
  #lastLow: number
  readonly sessions: Map<SessionId, number>
  readonly digests: DigestLog = new DigestLog()
  maxSessionId: SessionId | 0n = 0n
  count = 0
  digestMismatches = 0
  /** Places where zxids were passed over. */
  leaps = 0

  constructor(given: ReplayGiven, start: ReplayStart) {
    this.#given = given
    this.#tree = start.tree
    this.#startedAt = start.zxid
    this.#lastHigh = highWord(start.zxid)
    this.#lastLow = lowWord(start.zxid)
    this.#pendingDigest =
      start.digest !== undefined && start.digest.zxid > start.zxid ? start.digest : undefined
    this.sessions = new Map(start.sessions)
    for (const id of start.sessions.keys()) this.#noteSession(id)
  }

  get last(): Zxid {
    return zxid(fromWords(this.#lastHigh, this.#lastLow))
  }

  /**
   * @param writer - `isOurs`: the Java server did not write the file
   * @returns what is wrong with this record at this place
   */
  record(reader: LogFileReader, writer: { readonly isOurs: boolean }): string | undefined {
    const { space, payloadFrom, payloadTo, zxidHigh, zxidLow } = reader
    if (zxidHigh < this.#lastHigh) return this.#skipped(zxidHigh, zxidLow)
    const type = space.view.getInt32(payloadFrom + TxnHead.type)
    let isLeap = false
    if (zxidHigh === this.#lastHigh) {
      const step = (zxidLow >>> 0) - (this.#lastLow >>> 0)
      if (step < 0) return this.#skipped(zxidHigh, zxidLow)
      // The Java server logs a request that it could not parse under the zxid of the one before.
      if (step === 0)
        return this.count === 0 || type === OpCode.Error ? undefined : 'repeats the zxid before it'
      isLeap = step > 1
    }
    if (isLeap && writer.isOurs) return this.#gap()
    if (!reader.isTxn()) return 'is not a txn'
    const isLaterEpoch = zxidHigh > this.#lastHigh && !this.#isCarried(zxidHigh, zxidLow)
    const isEpochCut = isLaterEpoch && zxidLow !== 1
    const isFirst = this.#lastHigh === 0 && this.#lastLow === 0
    this.#tree.apply(space, payloadFrom, payloadTo, this.#fired)
    this.#fired.clear()
    const isDigestRight = this.#tree.isDigestRight()
    if (isLeap && !this.#isLeapSound(reader)) return this.#gap()
    // An epoch begins with counter 1, but for servers told otherwise for a test: then the digest shows whether the
    // tree before it was the right one.
    if (isEpochCut && !(isFirst && isDigestRight)) {
      return `follows ${hexText(this.last)}: the first txns of its epoch are missing`
    }
    this.#lastHigh = zxidHigh
    this.#lastLow = zxidLow
    this.count++
    this.#noteTxn(space, payloadFrom, type)
    if (this.#pendingDigest === undefined) this.digests.record(this.#tree, zxidHigh, zxidLow)
    this.#compareDigest(isDigestRight)
    return undefined
  }

  #gap(): string {
    return `follows ${hexText(this.last)}: the txns between are missing`
  }

  /**
   * The Java server takes a zxid for a multi with a null path and logs nothing. Whether it was that, or txns are
   * missing, shows the digest of what comes next; without one, that nothing can be missing within a file.
   */
  #isLeapSound(reader: LogFileReader): boolean {
    const isComparable = this.#pendingDigest === undefined && this.#tree.isDigestKnown()
    const isSound = isComparable ? this.#tree.isDigestRight() : reader.at > fileHeaderBytes
    if (isSound && this.leaps++ === 0) {
      this.#given.say('warn', 'the log passes over zxids; the Java server does that', {
        file: reader.file.name,
        after: hexText(this.last),
      })
    }
    return isSound
  }

  /** A standalone server has no epochs: its counter of 32 bits runs over into the upper half. */
  #isCarried(high: number, low: number): boolean {
    return low === 0 && high === this.#lastHigh + 1 && this.#lastLow === -1
  }

  /** Before the snapshot everything is in the tree already; behind it zxids only rise. */
  #skipped(high: number, low: number): string | undefined {
    const isBefore = this.count === 0 && zxid(fromWords(high, low)) <= this.#startedAt
    return isBefore ? undefined : `comes after ${hexText(this.last)}: out of order`
  }

  #noteTxn(space: Space, payloadFrom: number, type: number): void {
    if (type !== OpCode.CreateSession && type !== OpCode.CloseSession) return
    const at = payloadFrom + TxnHead.session
    const id = sessionId(fromWords(space.view.getInt32(at), space.view.getInt32(at + 4)))
    this.#noteSession(id)
    const bodyFrom = payloadFrom + txnHeaderBytes
    if (type === OpCode.CreateSession) this.sessions.set(id, space.view.getInt32(bodyFrom))
    else this.sessions.delete(id)
  }

  #noteSession(id: SessionId): void {
    const unsigned = BigInt.asUintN(64, id)
    if (unsigned >> 56n !== BigInt.asUintN(8, this.#given.config.serverId)) return
    if (unsigned > BigInt.asUintN(64, this.maxSessionId)) this.maxSessionId = id
  }

  /** While the tree is between the states of a fuzzy snapshot, the digests of single txns say nothing. */
  #compareDigest(isTxnDigestRight: boolean): void {
    if (!this.#given.config.storage.isDigestEnabled) return
    const pending = this.#pendingDigest
    const isCompared = pending === undefined || pending.zxid <= this.last
    if (!isCompared) return
    this.#pendingDigest = undefined
    const isRight =
      pending !== undefined && pending.zxid === this.last
        ? pending.treeDigest === digestOf(this.#tree)
        : isTxnDigestRight
    if (isRight) return
    this.digestMismatches++
    if (this.digestMismatches > 1) return
    this.#given.say('error', 'the tree differs from the digest in the log', { zxid: hexText(this.last) })
  }
}

export function digestOf(tree: DataTree): bigint {
  return BigInt.asUintN(64, fromWords(tree.digestHigh, tree.digestLow))
}
