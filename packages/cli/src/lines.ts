/** Where the shell's lines come from: a person at a terminal, or a pipe. */
import { createInterface, type Interface } from 'node:readline'
import { completer } from './completion.ts'
import { HistoryFile } from './history-file.ts'
import type { Shell } from './shell.ts'
import type { Streams, Terminal } from './streams.ts'

/** One command a line, no prompt, until the end of the input or `quit`. */
export async function runPipe(shell: Shell, { stdin }: Terminal): Promise<void> {
  const lines = createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY })
  for await (const line of lines) {
    await shell.runLine(line)
    if (shell.hasQuit) break
  }
  lines.close()
}

/**
 * A prompt with history and completion. Ctrl-C drops the line, or ends the command that is running; Ctrl-D quits.
 */
export class Prompt {
  readonly #terminal: Terminal
  readonly #history: HistoryFile | undefined
  /** From {@link run} on. Before, Ctrl-C is the terminal's own: it ends a program that waits for its connection. */
  #lines: Interface | undefined
  #shell: Shell | undefined
  /** A command is running: nobody is typing. */
  #running: AbortController | undefined
  readonly #typed: string[] = []
  #finish: () => void = () => undefined

  constructor(terminal: Terminal) {
    this.#terminal = terminal
    const { historyPath } = terminal
    this.#history =
      historyPath === undefined
        ? undefined
        : new HistoryFile(historyPath, problem => terminal.stderr.write(`${problem}\n`))
  }

  /** Prints above the line that is being typed, and gives that line back. */
  around(streams: Streams): Streams {
    const above = (print: () => void): void => {
      if (this.#shell === undefined || this.#running !== undefined) return print()
      this.#terminal.stdout.write('\r\u001b[J')
      print()
      this.#show()
    }
    return {
      out: line => above(() => streams.out(line)),
      err: line => above(() => streams.err(line)),
      drained: () => streams.drained(),
    }
  }

  /** Until the person quits. */
  async run(shell: Shell): Promise<void> {
    this.#shell = shell
    const lines = this.#openLines()
    this.#lines = lines
    shell.onStateChange(() => {
      if (this.#running === undefined) this.#show()
    })
    const finished = new Promise<void>(resolve => {
      this.#finish = resolve
    })
    lines.on('line', line => this.#onLine(shell, line))
    lines.on('SIGINT', () => this.#onInterrupt(lines))
    lines.on('close', () => this.#onEnd(shell))
    this.#show()
    await finished
    this.#shell = undefined
    lines.close()
  }

  #openLines(): Interface {
    return createInterface({
      history: [...(this.#history?.load() ?? [])].reverse(),
      input: this.#terminal.stdin,
      output: this.#terminal.stdout,
      terminal: true,
      historySize: 1000,
      removeHistoryDuplicates: true,
      completer: completer(() => this.#shell),
    })
  }

  /** Read on while a command runs, or Ctrl-C would not be heard: lines typed ahead wait, and are shown again. */
  #onLine(shell: Shell, line: string): void {
    this.#history?.add(line)
    this.#typed.push(line)
    if (this.#running === undefined) void this.#runTyped(shell)
  }

  async #runTyped(shell: Shell): Promise<void> {
    for (let line = this.#typed.shift(); line !== undefined; line = this.#typed.shift()) {
      const isAhead = this.#running !== undefined
      if (isAhead) this.#terminal.stdout.write(`${shell.prompt()}${line}\n`)
      this.#running = new AbortController()
      await shell.runLine(line, this.#running.signal)
      if (shell.hasQuit) return this.#finish()
    }
    this.#running = undefined
    this.#show()
  }

  #onInterrupt(lines: Interface): void {
    this.#typed.length = 0
    if (this.#running !== undefined) return this.#running.abort()
    this.#terminal.stdout.write('^C\n')
    lines.write(null, { ctrl: true, name: 'e' })
    lines.write(null, { ctrl: true, name: 'u' })
  }

  /** Ctrl-D, or the terminal has gone. */
  #onEnd(shell: Shell): void {
    if (!shell.hasQuit) this.#terminal.stdout.write('\n')
    this.#shell = undefined
    this.#running?.abort()
    this.#finish()
  }

  /** The prompt of now, with whatever has been typed, and the cursor where it was. */
  #show(): void {
    if (this.#shell === undefined) return
    this.#lines?.setPrompt(this.#shell.prompt())
    this.#lines?.prompt(true)
  }
}
