/** One text per value, so that two values are equal exactly if their texts are. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === 'bigint') return `0x${BigInt.asUintN(64, part).toString(16)}`
    if (part instanceof Uint8Array) return `bytes ${Buffer.from(part).toString('hex')}`
    if (typeof part === 'object' && part !== null && !Array.isArray(part)) {
      return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
    }
    return part
  })
}

/** As {@link canonical}, short enough for a message. */
export function brief(value: unknown): string {
  const text = canonical(value)
  return text.length <= 400 ? text : `${text.slice(0, 400)}…`
}
