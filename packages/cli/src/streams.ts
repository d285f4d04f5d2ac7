/** Where a shell's text goes. Whole lines only. */
export interface Streams {
  out(line: string): void
  err(line: string): void
  /**
   * When what was written has been taken off, so that a long output does not pile up in memory; and now and then a turn
   * of the loop later, so that Ctrl-C is heard and the session lives, though a terminal takes every line at once.
   */
  drained(): Promise<void>
}

/** What a process has to offer; tests offer their own. */
export interface Terminal {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly stderr: NodeJS.WritableStream
  /** Where lines typed at a prompt are kept from one shell to the next; undefined for nowhere. */
  readonly historyPath?: string | undefined
}

const linesPerTurn = 100

export function terminalStreams({ stdout, stderr }: Terminal): Streams {
  let isFull = false
  let linesOfTurn = 0
  return {
    out: line => {
      isFull = !stdout.write(`${line}\n`)
      linesOfTurn++
    },
    err: line => {
      stderr.write(`${line}\n`)
    },
    drained: () => {
      if (!isFull && linesOfTurn < linesPerTurn) return Promise.resolve()
      linesOfTurn = 0
      if (!isFull) return new Promise(resolve => setImmediate(resolve))
      isFull = false
      return new Promise(resolve => stdout.once('drain', resolve))
    },
  }
}
