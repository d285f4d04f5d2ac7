/** Makes a failing sequence short: delta debugging over its steps. */

/**
 * @param fails - whether a subsequence still fails; tried at most `most` times, and
 * not again after `untilMs` on the clock of `performance.now()`
 * @returns a subsequence that fails and from which no single piece of the last size tried can be left out
 */
export async function shrink<T>(
  items: readonly T[],
  fails: (items: readonly T[]) => Promise<boolean>,
  most: number,
  untilMs: number = Number.POSITIVE_INFINITY,
): Promise<readonly T[]> {
  let current = items
  let runs = 0
  const isOver = (): boolean => runs >= most || performance.now() >= untilMs
  let size = Math.ceil(current.length / 2)
  while (size >= 1 && !isOver()) {
    let hasShrunk = false
    // From the end: what happened long before the difference is kept longest.
    for (let at = Math.max(0, current.length - 1 - size); !isOver(); at -= size) {
      const from = Math.max(0, at)
      const candidate = [...current.slice(0, from), ...current.slice(from + size)]
      runs++
      if (candidate.length > 0 && candidate.length < current.length && (await fails(candidate))) {
        current = candidate
        hasShrunk = true
      }
      if (from === 0) break
    }
    if (size === 1 && !hasShrunk) break
    size = size === 1 ? 1 : Math.ceil(size / 2)
  }
  return current
}
