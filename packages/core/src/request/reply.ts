/** How replies begin and end: `length(4) | xid(4) | zxid(8) | err(4) | body`, patched in place. */
import { multiHeaderBytes, type Writer } from '@corral/protocol'

const headBytes = 20
const errOffset = 16

/** @returns where the frame starts, for {@link endReply} and {@link refuse} */
export function beginReply(w: Writer, xid: number, zxidHigh: number, zxidLow: number): number {
  w.ensure(headBytes)
  const { view, at } = w
  view.setInt32(at + 4, xid)
  view.setInt32(at + 8, zxidHigh)
  view.setInt32(at + 12, zxidLow)
  view.setInt32(at + 16, 0)
  w.at = at + headBytes
  return at
}

export function endReply(w: Writer, start: number): void {
  w.view.setInt32(start, w.at - start - 4)
}

/** Turns a reply that was begun into an error: the header alone. */
export function refuse(w: Writer, start: number, err: number): void {
  w.at = start + headBytes
  refuseWithBody(w, start, err)
}

/** Turns a reply that was begun into an error, next to what was written of it: clients do not look at that. */
export function refuseWithBody(w: Writer, start: number, err: number): void {
  w.view.setInt32(start + errOffset, err)
  endReply(w, start)
}

/** type(4) | done(1) | err(4), before each result of a multi. */
export function writeResultHead(w: Writer, type: number, err: number): void {
  w.ensure(multiHeaderBytes)
  w.view.setInt32(w.at, type)
  w.view.setInt8(w.at + 4, 0)
  w.view.setInt32(w.at + 5, err)
  w.at += multiHeaderBytes
}

/** A failed result: the code stands in its header and again as its record. */
export function writeErrorResult(w: Writer, err: number): void {
  writeResultHead(w, -1, err)
  w.int32(err)
}

export function writeResultsEnd(w: Writer): void {
  w.int32(-1)
  w.bool(true)
  w.int32(-1)
}
