/** Lists and arrays that live from step to step. */

/** Setting a length to 0 gives the memory away and crosses into V8's runtime; this keeps it, for a list filled in every step. */
export function empty(list: unknown[]): void {
  for (let left = list.length; left > 0; left--) list.pop()
}

/** A copy with zeros behind, at least twice as long. */
export function grown(array: Int32Array, atLeast = 0): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(atLeast, 2 * array.length))
  larger.set(array)
  return larger
}
