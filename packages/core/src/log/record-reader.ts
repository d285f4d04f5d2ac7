/**
 * Reads txn log records from memory and says what is wrong with bytes that are none.
 *
 *     checksum(8) | length(4) | payload | 0x42        payload: header(32) | body | digest
 *
 * Pure: no file, no verdict. Whether a damaged place is a torn tail or a lost acknowledged txn depends on what lies
 * around it: `examination.ts` looks there, and `damage.ts` judges.
 *
 * Source: FileTxnLog.FileTxnIterator in the Java server; the order of the checks (end mark before checksum) is its.
 */
import {
  adler32,
  endOfRecord,
  logMagic,
  logRecordHeadBytes,
  type Space,
  TxnHead,
  txnHeaderBytes,
} from '@corral/protocol'
import { TxnView } from '../tree/txn-view.ts'
import { AdlerSums } from './adler-sums.ts'

/** What stands at a place of a log file. */
export type Found =
  | 'record'
  /** The rest of the record, if there is more of the file, lies beyond the window. */
  | 'more'
  /** Nothing, or the zeros of a head without a record. What follows them is not looked at. */
  | 'zeros'
  /** The file ends inside the record. */
  | 'cut'
  /** The byte after the payload is not the end mark. */
  | 'no end mark'
  | 'bad length'
  | 'bad checksum'
  /** Intact bytes that no server may have logged. */
  | 'bad payload'

/** Offsets are into the space given to the last call of {@link read}. */
export class RecordReader {
  readonly #maxPayloadBytes: number
  readonly #txn = new TxnView()
  readonly #sums = new AdlerSums()
  payloadFrom = 0
  payloadTo = 0
  /** Just behind the record found. After 'more': at least up to here the window must reach. */
  end = 0
  zxidHigh = 0
  zxidLow = 0

  constructor(given: { readonly maxPayloadBytes: number }) {
    this.#maxPayloadBytes = given.maxPayloadBytes
  }

  /** @param isEnd - the file ends at `to` */
  read(space: Space, from: number, to: number, isEnd: boolean): Found {
    const { bytes, view } = space
    this.end = from + logRecordHeadBytes
    if (this.end > to) {
      if (!isEnd) return 'more'
      return isZero(bytes, from, to) ? 'zeros' : 'cut'
    }
    const length = view.getInt32(from + 8)
    if (length === 0) return 'zeros'
    if (length < 0 || length > this.#maxPayloadBytes) return 'bad length'
    this.payloadFrom = from + logRecordHeadBytes
    this.payloadTo = this.payloadFrom + length
    this.end = this.payloadTo + 1
    if (this.end > to) return isEnd ? 'cut' : 'more'
    if (bytes[this.payloadTo] !== endOfRecord) return 'no end mark'
    const checksum = adler32(space, this.payloadFrom, this.payloadTo)
    if (view.getInt32(from) !== 0 || view.getUint32(from + 4) !== checksum) return 'bad checksum'
    if (length < txnHeaderBytes) return 'bad payload'
    this.#found(view, this.payloadFrom, this.payloadTo)
    return 'record'
  }

  /** Whether the payload of the record found is a txn that can be replayed. */
  isTxn(space: Space): boolean {
    return this.#txn.isSound(space, this.payloadFrom, this.payloadTo)
  }

  /**
   * Whether the record at `from` would be whole with a shorter length: its checksum then tells that the length word is
   * what is damaged, and that the bytes it reaches over are others.
   */
  fitsShorter(space: Space, from: number, to: number): boolean {
    const { bytes, view } = space
    if (to - from < logRecordHeadBytes + txnHeaderBytes || view.getInt32(from) !== 0) return false
    const wanted = view.getUint32(from + 4)
    const payloadFrom = from + logRecordHeadBytes
    const shortest = payloadFrom + txnHeaderBytes
    const longest = Math.min(to - 1, payloadFrom + this.#maxPayloadBytes)
    const [a, b] = [wanted & 0xffff, wanted >>> 16]
    let sum = adler32(space, payloadFrom, shortest)
    for (let end = shortest; end <= longest; end++) {
      if ((sum & 0xffff) === a && sum >>> 16 === b && bytes[end] === endOfRecord) return true
      sum = adler32(space, end, end + 1, sum)
    }
    return false
  }

  /**
   * The first place in `from` … `to` where a whole valid record stands, at any alignment.
   *
   * @returns its offset, or -1. A candidate that reaches beyond `to` counts as none, unless it may be completed by
   * reading on: then `resumeAt` is where to look again
   */
  search(
    space: Space,
    from: number,
    to: number,
    isEnd: boolean,
  ): { readonly at: number; readonly resumeAt: number } {
    let resumeAt = to
    this.#sums.take(space.bytes, from, to)
    for (let at = from; at < to; at++) {
      const candidate = this.#candidateAt(space, at, to)
      if (candidate === 'record' && this.isTxn(space)) return { at, resumeAt: at }
      if (candidate === 'more' && !isEnd) resumeAt = Math.min(resumeAt, at)
    }
    return { at: -1, resumeAt }
  }

  /** As {@link read}, where hardly anything is a record and each byte may be a client's. */
  #candidateAt({ bytes, view }: Space, at: number, to: number): 'none' | 'more' | 'record' {
    if (bytes[at] !== 0) return 'none'
    if (at + logRecordHeadBytes > to) return 'more'
    const length = view.getInt32(at + 8)
    if (view.getInt32(at) !== 0 || length < txnHeaderBytes || length > this.#maxPayloadBytes) return 'none'
    const payloadFrom = at + logRecordHeadBytes
    const payloadTo = payloadFrom + length
    if (payloadTo >= to) return 'more'
    if (bytes[payloadTo] !== endOfRecord) return 'none'
    if (this.#sums.of(payloadFrom, payloadTo) !== view.getUint32(at + 4)) return 'none'
    this.#found(view, payloadFrom, payloadTo)
    return 'record'
  }

  #found(view: DataView, payloadFrom: number, payloadTo: number): void {
    this.payloadFrom = payloadFrom
    this.payloadTo = payloadTo
    this.end = payloadTo + 1
    this.zxidHigh = view.getInt32(payloadFrom + TxnHead.zxid)
    this.zxidLow = view.getInt32(payloadFrom + TxnHead.zxid + 4)
  }
}

/** Whether a log file's header is whole and right. */
export function isLogHeader(space: Space, from: number): boolean {
  return space.view.getInt32(from) === logMagic
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  return firstNonZero(bytes, from, to) === to
}

/** @returns its offset, or `to` */
export function firstNonZero(bytes: Uint8Array, from: number, to: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = from
  while (at + 8 <= to && (view.getInt32(at) | view.getInt32(at + 4)) === 0) at += 8
  while (at < to && bytes[at] === 0) at++
  return at
}

const sectorBytes = 512

/**
 * Whether missing sectors explain what stands at `from` … `to`: a part of it that lies in one sector is zero, and so
 * is the rest of that sector. A device writes sectors whole, and before the write they held zeros, since a log file is
 * only ever filled with zeros ahead of its end.
 *
 * @param fileAt - where in the file the space begins
 */
export function hasMissingSector(
  bytes: Uint8Array,
  range: { readonly from: number; readonly to: number; readonly fileAt: number },
): boolean {
  const { from, to, fileAt } = range
  for (let at = from; at < to; ) {
    const sectorTo = Math.min(bytes.length, at + sectorBytes - ((fileAt + at) % sectorBytes))
    const end = Math.min(to, sectorTo)
    // The first four bytes of a record are always zero: they prove nothing, and without them nothing is missing.
    if ((end - at > 4 || end === to) && isZero(bytes, at, sectorTo)) return true
    at = end
  }
  return false
}
