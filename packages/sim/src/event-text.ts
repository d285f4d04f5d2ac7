/** An event or effect in one line, for the memory of a run. */
import { highWord, lowWord } from '@corral/protocol'

export function inWords(what: object): string {
  return Object.entries(what)
    .map(([key, value]) => {
      if (value instanceof Uint8Array) return `${key} ${value.length} bytes`
      if (value instanceof DataView) return ''
      if (typeof value === 'bigint') return `${key} ${highWord(value)}:${lowWord(value)}`
      if (typeof value === 'object') return `${key} ${inWords(value as object)}`
      return `${key === 'kind' ? '' : key} ${String(value)}`
    })
    .join(' ')
    .trim()
}
