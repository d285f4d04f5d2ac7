/** Setting a length to 0 gives the memory away and crosses into V8's runtime; this keeps it, for a list filled in every step. */
export function empty(list: unknown[]): void {
  for (let left = list.length; left > 0; left--) list.pop()
}
