/** A broken invariant of the program itself: never caught, it ends the process. */
export class AssertionError extends Error {
  override readonly name: string = 'AssertionError'
}

/** Kept on in production: `message` says what must hold. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** The end of an exhaustive `switch`: does not compile while a member of the union is unhandled. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`)
}
