/** Where a shell's text goes. Whole lines only. */
export interface Streams {
  out(line: string): void
  err(line: string): void
  /** When what was written has been taken off, so that a long output does not pile up in memory. */
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

export function terminalStreams({ stdout, stderr }: Terminal): Streams {
  let isFull = false
  return {
    out: line => {
      isFull = !stdout.write(`${line}\n`)
    },
    err: line => {
      stderr.write(`${line}\n`)
    },
    drained: () => {
      if (!isFull) return Promise.resolve()
      isFull = false
      return new Promise(resolve => stdout.once('drain', resolve))
    },
  }
}
