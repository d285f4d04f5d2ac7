/** Places of a file that are not what they should be. */

export interface Range {
  readonly at: number
  readonly lengthBytes: number
}

/**
 * Bytes that are not what was made durable there.
 *
 *   lost     a sync that covered them did nothing, and the power went
 *   missing  zeros, or older bytes: the sectors rotted, the write went elsewhere, or the device answered with old ones
 *   wrong    other bytes: some bits rotted, or a write meant for another place landed here
 */
export interface Damage extends Range {
  readonly how: 'lost' | 'missing' | 'wrong'
}

export function overlaps(a: Range, b: Range): boolean {
  return a.at < b.at + b.lengthBytes && b.at < a.at + a.lengthBytes
}

/** A file from here on, however long it should be. */
export function behind(at: number): Range {
  return { at, lengthBytes: Number.MAX_SAFE_INTEGER - at }
}

/** The parts of the damage that lie in this range. */
export function inside(damages: readonly Damage[], range: Range): Damage[] {
  return damages.flatMap(({ how, at, lengthBytes }) => {
    const from = Math.max(at, range.at)
    const to = Math.min(at + lengthBytes, range.at + range.lengthBytes)
    return from < to ? [{ how, at: from, lengthBytes: to - from }] : []
  })
}

/** The parts of the damage that do not. */
export function outside(damages: readonly Damage[], range: Range): Damage[] {
  const end = range.at + range.lengthBytes
  return [...inside(damages, { at: 0, lengthBytes: range.at }), ...inside(damages, behind(end))]
}
