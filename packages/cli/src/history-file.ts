import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { splitWords } from './words.ts'

/** Lines kept; the file may grow to twice as many before it is cut. */
const kept = 1000

/**
 * What was typed in earlier shells, for the arrows and Ctrl-R: one line each, oldest first, in a file that only its
 * owner may read. Not kept are `addauth`, which has a password, and, as in other shells, lines that begin with a blank.
 */
export class HistoryFile {
  readonly #path: string
  readonly #complain: (problem: string) => void
  #last: string | undefined
  /** A file that cannot be read or written is said once; the shell goes on without. */
  #isUsable = true

  constructor(path: string, complain: (problem: string) => void) {
    this.#path = path
    this.#complain = complain
  }

  /** @returns oldest first */
  load(): readonly string[] {
    const lines = this.#try(() => readFileSync(this.#path, 'utf8').split('\n').filter(isKept)) ?? []
    const newest = lines.slice(-kept)
    if (lines.length > 2 * kept) this.#try(() => writeFileSync(this.#path, `${newest.join('\n')}\n`))
    this.#last = newest.at(-1)
    return newest
  }

  add(line: string): void {
    if (!this.#isUsable || !isKept(line) || line === this.#last) return
    this.#last = line
    this.#try(() => appendFileSync(this.#path, `${line}\n`, { mode: 0o600 }))
  }

  #try<T>(use: () => T): T | undefined {
    try {
      return use()
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return undefined
      if (code === undefined) throw error
      this.#isUsable = false
      this.#complain(`no history is kept: ${message}`)
      return undefined
    }
  }
}

function isKept(line: string): boolean {
  return line !== '' && !line.startsWith(' ') && splitWords(line)[0] !== 'addauth'
}
