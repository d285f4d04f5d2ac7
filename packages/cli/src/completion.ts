/** Completes the word at the end of the line: a path if it begins with a slash, else a command's name. */
import { type Client, ZkError } from '@corral/client'
import { joinPath } from '@corral/protocol'
import { commandNames } from './commands/table.ts'
import type { Shell } from './shell.ts'

type Completion = [completions: string[], word: string]
type Completer = (line: string, done: (error: null, result: Completion) => void) => void

/** Candidates shown at most: more help nobody. */
const maxCandidates = 1000

/** While a completion is awaited, readline hears no key: a server that does not answer must not lock the keyboard. */
const patienceMs = 1000

/** For `readline`. Without a connection, or an answer in time, no path completes, and nothing is said of it. */
export function completer(
  current: () => Pick<Shell, 'client' | 'isConnected'> | undefined,
  limitMs: number = patienceMs,
): Completer {
  return (line, done) => {
    const word = /\S*$/.exec(line)?.[0] ?? ''
    const shell = current()
    if (!word.startsWith('/')) return done(null, [commandsFor(line, word), word])
    if (shell === undefined || !shell.isConnected) return done(null, [[], word])
    const signal = AbortSignal.timeout(limitMs)
    completePath(shell.client, word, signal).then(
      paths => done(null, [paths.slice(0, maxCandidates), word]),
      (error: unknown) => {
        if (!(error instanceof ZkError || signal.aborted)) throw error
        done(null, [[], word])
      },
    )
  }
}

function commandsFor(line: string, word: string): string[] {
  if (line.trimStart() !== word) return []
  return commandNames.filter(name => name.startsWith(word)).map(name => `${name} `)
}

/** @returns whole paths, in the order of their names */
async function completePath(client: Client, word: string, signal: AbortSignal): Promise<string[]> {
  const cut = word.lastIndexOf('/')
  const parent = cut === 0 ? '/' : word.slice(0, cut)
  const start = word.slice(cut + 1)
  const names = await client.getChildren(parent, { signal })
  return names
    .filter(name => name.startsWith(start))
    .sort()
    .map(name => joinPath(parent, name))
}
