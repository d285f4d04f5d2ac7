/**
 * Keeps what clients do from filling the disk with log lines: of each kind so many a minute are let through, the rest
 * are counted. The count is said with the first line of any kind after that minute.
 */
import type { Say } from './log-lines.ts'

const periodMs = 60_000
/** A thousand sessions that expire together are all named. */
const mostLines = 1000

interface Kind {
  readonly sinceMs: number
  lines: number
}

/** @param nowMs - monotonic */
export function limited(say: Say, nowMs: () => number): Say {
  const kinds: Map<string, Kind> = new Map()
  return (level, what, fields) => {
    const now = nowMs()
    for (const [name, { sinceMs, lines }] of kinds) {
      if (now - sinceMs < periodMs) continue
      kinds.delete(name)
      const leftOut = lines - mostLines
      if (leftOut > 0) say('warn', 'lines of one kind were left out', { kind: name, lines: leftOut })
    }
    const kind = kinds.get(what) ?? { sinceMs: now, lines: 0 }
    kinds.set(what, kind)
    kind.lines++
    if (kind.lines <= mostLines) say(level, what, fields)
  }
}
