/** All commands, and the list of them that zkCli prints when it does not know a word. */
import { type Command, usageOf } from './command.ts'
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
export const shellWords = {
  close: '',
  connect: 'host:port',
  exit: '',
  help: '[command]',
  history: '',
  printwatches: 'on|off',
  quit: '',
  redo: 'cmdno',
  version: '',
} as const

export type ShellWord = keyof typeof shellWords

export function isShellWord(word: string): word is ShellWord {
  return Object.hasOwn(shellWords, word)
}

const syntaxOf: ReadonlyMap<string, string> = new Map([
  ...Object.entries(shellWords),
  ...all.map(({ name, syntax }): [string, string] => [name, syntax]),
])

export const commandNames: readonly string[] = [...syntaxOf.keys()].sort()

export function commandList(): string[] {
  return [
    'ZooKeeper -server host:port -client-configuration properties-file cmd args',
    ...commandNames.map(name => `\t${name} ${syntaxOf.get(name)}`),
  ]
}

/** @returns undefined for a word that is no command */
export function commandHelp(name: string): string[] | undefined {
  const command = commands.get(name)
  if (command !== undefined) return usageOf(command).trimEnd().split('\n')
  const syntax = syntaxOf.get(name)
  return syntax === undefined ? undefined : [`${name} ${syntax}`.trimEnd()]
}
