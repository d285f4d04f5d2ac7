/** A terminal made of pipes, for running the shell in this process. */
import { PassThrough, Readable, Writable } from 'node:stream'
import { runCli } from '@corral/cli'

export interface Printed {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** @param input - lines as from a pipe */
export async function runShell(args: readonly string[], input = ''): Promise<Printed> {
  const stdout = new Collector()
  const stderr = new Collector()
  const exitCode = await runCli(args, { stdin: Readable.from([input]), stdout, stderr })
  return { exitCode, stdout: stdout.text, stderr: stderr.text }
}

/** A person at a terminal: types, and reads until what is expected has been printed. */
export class Person {
  readonly #keyboard: PassThrough & { isTTY?: boolean } = new PassThrough()
  readonly #screen: Collector & { isTTY?: boolean } = new Collector()
  /** The exit code of the shell. */
  readonly ended: Promise<number>
  #readUpTo = 0

  constructor(args: readonly string[], historyPath?: string) {
    this.#keyboard.isTTY = true
    this.#screen.isTTY = true
    const [stdin, stdout] = [this.#keyboard, this.#screen]
    this.ended = runCli(args, { stdin, stdout, stderr: stdout, historyPath })
  }

  type(keys: string): void {
    this.#keyboard.write(keys)
  }

  /** Whatever was printed since the last time, up to and with `text`. */
  async sees(text: string): Promise<string> {
    for (;;) {
      const found = this.#screen.text.indexOf(text, this.#readUpTo)
      if (found !== -1) {
        const seen = this.#screen.text.slice(this.#readUpTo, found + text.length)
        this.#readUpTo = found + text.length
        return seen
      }
      await this.#screen.written()
    }
  }
}

class Collector extends Writable {
  text = ''
  #onWrite: () => void = () => undefined

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString()
    this.#onWrite()
    done()
  }

  written(): Promise<void> {
    return new Promise(resolve => {
      this.#onWrite = resolve
    })
  }
}
