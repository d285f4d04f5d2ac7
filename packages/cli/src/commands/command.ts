/** What a command of the shell is. */
import type { Client, WatchListener } from '@corral/client'
import { pathProblem } from '@corral/protocol'
import { CommandError } from '../failure.ts'
import { type CommandArguments, type OptionRules, optionHelp, parseOptions } from '../options.ts'
import type { Result } from '../result.ts'

/** What a command may use. */
export interface Context {
  readonly client: Client
  /** Ends the command early: Ctrl-C. */
  readonly signal: AbortSignal | undefined
  /** Prints the events of whatever it watches. */
  readonly watch: WatchListener
  /** A line for stderr that is no failure. */
  note(line: string): void
  /** A line for stdout that belongs to no result. */
  say(line: string): void
}

/** A command that asks the server. */
export interface Command extends OptionRules {
  readonly name: string
  /** Behind the name in the list of commands, as zkCli writes it. */
  readonly syntax: string
  /** What it does, in a sentence: for `help name`. */
  readonly about: string
  /** Operands it cannot do without. */
  readonly operands: number
  /** The usage also lists the options. */
  readonly explainsOptions?: true
  run(context: Context, args: CommandArguments): Promise<Result>
}

/** @throws CommandError with the usage */
export function parseArguments(command: Command, words: readonly string[]): CommandArguments {
  const args = parseOptions(words, command)
  if (args.operands.length < command.operands) throw usageError(command)
  return args
}

/** In zkCli's words. */
export function usageError({ name, syntax, options, explainsOptions }: Command): CommandError {
  const explained = explainsOptions === true ? [...optionHelp(options), ''] : []
  return new CommandError([`${name} ${syntax}`, ...explained].join('\n'))
}

/** The operand at `index`, which is there: `operands` says so. */
export function operand(args: CommandArguments, index: number): string {
  return args.operands[index] ?? ''
}

/** The first operand as a path. @throws CommandError saying what is wrong with it */
export function pathOperand(args: CommandArguments): string {
  return legalPath(operand(args, 0))
}

/** @throws CommandError in the Java client's words */
export function legalPath(path: string): string {
  const problem = pathProblem(path)
  if (problem !== undefined) throw new CommandError(problem)
  return path
}

/** A 64-bit number, as Java's Long.parseLong reads it; undefined where it is none. */
export function parseLong(text: string, radix: 10 | 16 = 10): bigint | undefined {
  const isNumber = radix === 10 ? /^[+-]?\d+$/ : /^[+-]?[\da-f]+$/i
  if (!isNumber.test(text)) return undefined
  const size = BigInt(`${radix === 10 ? '' : '0x'}${text.replace(/^[+-]/, '')}`)
  const value = text.startsWith('-') ? -size : size
  return BigInt.asIntN(64, value) === value ? value : undefined
}

/** Value of an option as a 32-bit number. @throws CommandError */
export function intOption(args: CommandArguments, name: string): number | undefined {
  const text = args.value(name)
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^[+-]?\d+$/.test(text) || value !== (value | 0)) {
    throw new CommandError(`-${name} argument must be an int value`)
  }
  return value
}
