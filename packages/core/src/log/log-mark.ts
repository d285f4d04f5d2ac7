/**
 * The mark of a log file: how many of its bytes are known to be durable. It stands in the header field that the Java
 * server calls dbid, writes as 0 and never checks.
 *
 * It goes out before a batch that touches more than one page, since a power loss may keep any of that batch's pages:
 * behind a missing one there can be whole records that nobody was told of. It goes out once a tick as well, so that
 * what was acknowledged before is never taken for such a batch. The next sync of the file carries it along: it has
 * none of its own but at the orderly end.
 */
import type { Space } from '@corral/protocol'

/** Where in the file it is. */
export const markAt = 8
export const markBytes = 8

/** @returns bytes known to be durable, or 0 if the Java server wrote the file */
export function markIn(space: Space, headerFrom: number): number {
  const at = headerFrom + markAt
  return space.view.getUint32(at) * 0x1_0000_0000 + space.view.getUint32(at + 4)
}

/** @param at - of the mark itself in `space` */
export function putMark(space: Space, at: number, durableBytes: number): void {
  space.view.setUint32(at, Math.floor(durableBytes / 0x1_0000_0000))
  space.view.setUint32(at + 4, durableBytes % 0x1_0000_0000)
}
