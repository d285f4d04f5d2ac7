/** A terminal made of pipes, for running the shell in this process. */
import { Readable, Writable } from 'node:stream'
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

class Collector extends Writable {
  text = ''

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}
