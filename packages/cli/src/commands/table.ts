/** All commands, and the list of them that zkCli prints when it does not know a word. */
import { type OptionSpec, optionHelp } from '../options.ts'
import type { Command } from './command.ts'
import { ensembleCommands } from './ensemble.ts'
import { identityCommands } from './identity.ts'
import { quotaCommands } from './quota.ts'
import { readCommands } from './read.ts'
import { watchCommands } from './watch.ts'
import { writeCommands } from './write.ts'

const all: readonly Command[] = [
  ...readCommands,
  ...writeCommands,
  ...watchCommands,
  ...quotaCommands,
  ...identityCommands,
  ...ensembleCommands,
]

export const commands: ReadonlyMap<string, Command> = new Map(all.map(command => [command.name, command]))

/** What the shell does itself, without asking a server. */
const shellWords = {
  close: { syntax: '', about: 'Ends the session; the shell stays.' },
  connect: { syntax: 'host:port', about: 'Ends the session and begins one with other servers.' },
  exit: { syntax: '', about: 'Ends the session and the shell, like quit.' },
  help: { syntax: '[command]', about: 'Lists the commands, or explains one.' },
  history: { syntax: '', about: 'Lists the last lines typed, with the numbers that redo takes.' },
  printwatches: { syntax: 'on|off', about: 'Prints events as they come, or not.' },
  quit: { syntax: '', about: 'Ends the session and the shell.' },
  redo: { syntax: 'cmdno', about: 'Runs a line of the history again.' },
  version: { syntax: '', about: "Prints this shell's version." },
} as const

export type ShellWord = keyof typeof shellWords

export function isShellWord(word: string): word is ShellWord {
  return Object.hasOwn(shellWords, word)
}

interface Described {
  readonly syntax: string
  readonly about: string
  readonly options: readonly OptionSpec[]
}

const described: ReadonlyMap<string, Described> = new Map([
  ...Object.entries(shellWords).map(([name, word]): [string, Described] => [name, { ...word, options: [] }]),
  ...commands,
])

export const commandNames: readonly string[] = [...described.keys()].sort()

/** Each with its arguments. */
export function commandSyntaxes(): string[] {
  return commandNames.map(name => `${name} ${described.get(name)?.syntax}`)
}

/** The words of zkCli. */
export function commandList(): string[] {
  return [
    'ZooKeeper -server host:port -client-configuration properties-file cmd args',
    ...commandSyntaxes().map(syntax => `\t${syntax}`),
  ]
}

/** @returns undefined for a word that is no command */
export function commandHelp(name: string): string[] | undefined {
  const command = described.get(name)
  if (command === undefined) return undefined
  const { syntax, about, options } = command
  const lines = [`${name} ${syntax}`.trimEnd(), '', about]
  return options.length === 0 ? lines : [...lines, '', ...optionHelp(options)]
}
