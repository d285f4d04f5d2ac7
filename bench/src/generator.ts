/** Compiles and runs the load generator, `bench/load.c`. */
import { text } from 'node:stream/consumers'
import { ended, startProcess } from './processes.ts'

/** What one measured run of the generator says; see `print_result` in load.c. */
export interface LoadResult {
  readonly ops: number
  readonly opsPerSecond: number
  readonly seconds: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  readonly errors: number
  readonly notifications: number
  readonly serverCpuUsPerOp: number
  readonly generatorLateUs?: number
}

export interface ListResult {
  readonly milliseconds: readonly number[]
}

export interface WaitResult {
  /** On CLOCK_MONOTONIC, the clock of `process.hrtime`. */
  readonly repliedAtNs: number
  readonly attempts: number
  readonly refused: number
  readonly closed: number
}

export class Generator {
  readonly #binary: string

  private constructor(binary: string) {
    this.#binary = binary
  }

  static async compile(source: string, binary: string): Promise<Generator> {
    const compiler = ['cc', '-std=gnu11', '-O2', '-Wall', '-Wextra', '-o', binary, source]
    const child = startProcess(compiler, { stdio: ['ignore', 'inherit', 'inherit'] })
    const end = await ended(child)
    if (end !== 0) throw new Error(`cannot compile the load generator: ${compiler.join(' ')}: ${end}`)
    return new Generator(binary)
  }

  load(args: readonly string[], limitSeconds: number): Promise<LoadResult> {
    return this.#run(args, limitSeconds)
  }

  list(args: readonly string[], limitSeconds: number): Promise<ListResult> {
    return this.#run(['list', ...args], limitSeconds)
  }

  /** Begins to poll at once: start it before the server. */
  waitForReply(port: number, limitSeconds: number): Promise<WaitResult> {
    return this.#run(['wait', '--port', String(port)], limitSeconds)
  }

  /** Both limits are the same: the generator's own alarm says what happened, the timer catches one that hangs. */
  async #run<Result>(args: readonly string[], limitSeconds: number): Promise<Result> {
    const command = [this.#binary, ...args, '--limit', String(limitSeconds)]
    const child = startProcess(command, { stdio: ['ignore', 'pipe', 'inherit'] })
    const timer = setTimeout(() => child.kill('SIGKILL'), (limitSeconds + 5) * 1000)
    const end = ended(child)
    const output = child.stdout === null ? '' : await text(child.stdout)
    clearTimeout(timer)
    if ((await end) !== 0) throw new Error(`load ${args.join(' ')} ended with ${await end}: ${output.trim()}`)
    return JSON.parse(output) as Result
  }
}
