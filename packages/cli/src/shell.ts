/**
 * One run of the shell: a session with a server, the commands given to it, and what they print. It reads nothing
 * itself: lines come from a terminal, a pipe (`lines.ts`) or the command line (`cli.ts`).
 *
 * Source: ZooKeeperMain in the Java server, whose odd corners scripts have learned: `history` works without a
 * connection and then says "Not connected", and the exit code is that of the last command.
 */
import { type AuthInfo, BadArgumentsError, Client, type WatchEvent } from '@corral/client'
import { unreachable } from '@corral/protocol'
import type { ClientSettings } from './client-configuration.ts'
import { type Context, parseArguments } from './commands/command.ts'
import { commandHelp, commandList, commands, isShellWord, type ShellWord } from './commands/table.ts'
import { changeEvent, eventText, type ShellEvent, stateEvent, stateNames } from './events.ts'
import { CommandError, exitCodes, failureOf } from './failure.ts'
import { parseOptions } from './options.ts'
import { eventJson, failureJson, renderJson } from './render/json.ts'
import { renderText } from './render/text.ts'
import type { Result } from './result.ts'
import type { Streams } from './streams.ts'
import { shellVersion } from './version.ts'
import { splitWords } from './words.ts'

export interface ShellOptions {
  /** As it is typed: `host:port,host:port/chroot`. */
  readonly servers: string
  readonly sessionTimeoutMs: number
  readonly canBeReadOnly: boolean
  readonly waitsForConnection: boolean
  readonly auth: readonly AuthInfo[]
  readonly isJson: boolean
  /** Neither greetings nor events of the session, only what was asked for. */
  readonly isQuiet: boolean
  /** From a client configuration. */
  readonly client?: ClientSettings | undefined
}

const historyShown = 11
/** A pipe may bring any number of lines. */
const historyKept = 1000

export class Shell {
  readonly #options: ShellOptions
  readonly #streams: Streams
  /** The last lines, by their number. */
  readonly #history: Map<number, string> = new Map()
  #lineCount = 0
  #client: Client
  #servers: string
  #printsWatches = true
  #hasQuit = false
  #exitCode: number = exitCodes.done
  /** Removals of watches printed for the reply at hand, each once, however many watches went. */
  readonly #removals: Set<string> = new Set()
  /** An event of the server that has not been printed yet: it is, once, if any watch here waits for it. */
  #hasFreshEvent = false
  #onStateChange: () => void = () => undefined

  /** @throws BadArgumentsError for a connect string that cannot be right */
  constructor(options: ShellOptions, streams: Streams) {
    this.#options = options
    this.#streams = streams
    this.#servers = options.servers
    this.#client = this.#newClient(options.servers)
  }

  get client(): Client {
    return this.#client
  }

  /** That of the last command. */
  get exitCode(): number {
    return this.#exitCode
  }

  get hasQuit(): boolean {
    return this.#hasQuit
  }

  /** The session can still answer, now or after a reconnect. */
  get isAlive(): boolean {
    const { state } = this.#client
    return !(state === 'closed' || state === 'expired' || state === 'authFailed')
  }

  get isConnected(): boolean {
    const { state } = this.#client
    return state === 'connected' || state === 'connectedReadOnly'
  }

  prompt(): string {
    return `[zk: ${this.#servers}(${stateNames[this.#client.state]}) ${this.#lineCount}] `
  }

  /** Called whenever the prompt may have changed without a command. */
  onStateChange(listener: () => void): void {
    this.#onStateChange = listener
  }

  /** Begins the session. Commands may follow at once: they wait for the connection. @throws ZkError */
  async start(): Promise<void> {
    const connected = this.#client.connect()
    if (this.#options.waitsForConnection) return connected
    // Whoever asks for something hears of it; a shell without commands keeps trying.
    connected.catch(() => undefined)
  }

  /** Ends the session, and its ephemerals with it, saying nothing. */
  async end(): Promise<void> {
    this.#printsWatches = false
    await this.#client.close()
  }

  /** A line as it is typed. What goes wrong is printed, and in the exit code. */
  async runLine(line: string, signal?: AbortSignal): Promise<void> {
    const words = splitWords(line)
    if (words.length > 0) await this.#runNext(words, line, signal)
  }

  /** A command that is in words already. */
  runWords(words: readonly string[]): Promise<void> {
    return this.#runNext(words, words.join(' '), undefined)
  }

  async #runNext(words: readonly string[], line: string, signal: AbortSignal | undefined): Promise<void> {
    const index = this.#lineCount++
    this.#history.set(index, line)
    this.#history.delete(index - historyKept)
    const before = this.#exitCode
    this.#exitCode = exitCodes.done
    try {
      await this.#run(words, index, signal)
      if (this.#hasQuit) this.#exitCode = before
    } catch (error) {
      this.fail(error)
    }
  }

  /** Says why something failed, and keeps the exit code. Throws what is a mistake of this program. */
  fail(error: unknown): void {
    const failure = isAbort(error)
      ? { lines: ['interrupted'], exitCode: exitCodes.failed, error: undefined }
      : failureOf(error)
    if (failure === undefined) throw error
    this.#exitCode = failure.exitCode
    if (this.#options.isJson) return this.#streams.err(failureJson(failure))
    for (const line of failure.lines) this.#streams.err(line)
  }

  async #run(words: readonly string[], index: number, signal: AbortSignal | undefined): Promise<void> {
    const [name = '', ...rest] = words
    if (isShellWord(name)) return this.#runShellWord(name, rest, index, signal)
    const command = commands.get(name)
    if (command === undefined) {
      if (!this.#options.isJson) for (const line of commandList()) this.#streams.err(line)
      throw new CommandError(`Command not found: Command not found ${name}`, exitCodes.unknownCommand)
    }
    if (!this.isAlive) return this.#render({ kind: 'notConnected' })
    const result = await command.run(this.#context(signal), parseArguments(command, rest))
    await this.#render(result)
    if (result.kind === 'synced' && result.rc !== 0) this.#exitCode = exitCodes.failed
  }

  async #runShellWord(
    word: ShellWord,
    args: readonly string[],
    index: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    switch (word) {
      case 'quit':
      case 'exit':
        this.#hasQuit = true
        return
      case 'help':
        return this.#render({ kind: 'help', lines: helpLines(args[0]) })
      case 'redo':
        return this.#redo(args[0], index, signal)
      case 'history': {
        const entries = [...this.#history].slice(-historyShown)
        await this.#render({ kind: 'history', entries })
        break
      }
      case 'printwatches':
        if (args[0] === undefined) await this.#render({ kind: 'printWatches', isOn: this.#printsWatches })
        else this.#printsWatches = args[0] === 'on'
        break
      case 'connect':
        await this.#connect(args[0] ?? this.#servers)
        break
      case 'close':
        if (!this.isAlive) break
        return this.#client.close()
      case 'version':
        if (!this.isAlive) break
        if (parseOptions(args, { options: [] }).operands.length > 0) throw new CommandError('version ')
        return this.#render({ kind: 'version', version: shellVersion })
      default:
        return unreachable(word)
    }
    if (!this.isAlive) await this.#render({ kind: 'notConnected' })
  }

  async #redo(argument: string | undefined, index: number, signal: AbortSignal | undefined): Promise<void> {
    if (argument === undefined) throw new CommandError('redo cmdno')
    const number = /^\d+$/.test(argument) ? Number(argument) : -1
    const line = number < index ? this.#history.get(number) : undefined
    if (line === undefined) throw new CommandError('Command index out of range')
    const words = splitWords(line)
    if (words[0] === 'redo') throw new CommandError('No redoing redos')
    this.#history.set(index, line)
    await this.#run(words, index, signal)
  }

  async #connect(servers: string): Promise<void> {
    const client = this.#clientOf(servers)
    await this.#client.close()
    this.#client = client
    this.#servers = servers
    await this.start()
  }

  /** Nothing has happened yet if the connect string is wrong: the old session stays. */
  #clientOf(servers: string): Client {
    try {
      return this.#newClient(servers)
    } catch (error) {
      if (error instanceof BadArgumentsError) throw new CommandError(error.reason ?? error.message)
      throw error
    }
  }

  #newClient(servers: string): Client {
    const { sessionTimeoutMs, canBeReadOnly, auth, client } = this.#options
    return new Client(servers, {
      ...client,
      sessionTimeoutMs,
      canBeReadOnly,
      auth,
      onState: ({ state }) => {
        const event = stateEvent(state)
        if (event !== undefined && !this.#options.isQuiet) this.#print(event)
        this.#onStateChange()
      },
      onEvent: () => {
        this.#hasFreshEvent = true
      },
    })
  }

  #context(signal: AbortSignal | undefined): Context {
    return {
      client: this.#client,
      signal,
      watch: event => this.#onWatch(event),
      note: line => this.#streams.err(line),
      say: line => this.#streams.out(line),
    }
  }

  /** As in the Java shell, one watcher has all watches: an event is printed once, however many it fires. */
  #onWatch(event: WatchEvent): void {
    if (event.type === 'Resumed') return
    if (event.type.endsWith('Removed')) {
      const key = `${event.type} ${event.path}`
      if (this.#removals.has(key)) return
      if (this.#removals.size === 0) queueMicrotask(() => this.#removals.clear())
      this.#removals.add(key)
    } else {
      if (!this.#hasFreshEvent) return
      this.#hasFreshEvent = false
    }
    this.#print(changeEvent(event))
  }

  #print(event: ShellEvent): void {
    if (this.#printsWatches) this.#streams.out(this.#options.isJson ? eventJson(event) : eventText(event))
  }

  #render(result: Result): Promise<void> {
    return this.#options.isJson ? renderJson(result, this.#streams) : renderText(result, this.#streams)
  }
}

function helpLines(topic: string | undefined): readonly string[] {
  if (topic === undefined) return commandList()
  const lines = commandHelp(topic)
  if (lines === undefined) {
    throw new CommandError(`Command not found: Command not found ${topic}`, exitCodes.unknownCommand)
  }
  return lines
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}
