/** Commands about watches. */
import type { WatchSelection } from '@corral/client'
import { nothing } from '../result.ts'
import { type Command, pathOperand, usageError } from './command.ts'

const addWatch: Command = {
  name: 'addWatch',
  syntax:
    '[-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is PERSISTENT_RECURSIVE',
  about: 'Watches a path until the session ends: the znode alone, or with all below it.',
  options: [{ name: 'm', about: 'PERSISTENT or PERSISTENT_RECURSIVE', takesValue: true }],
  operands: 1,
  async run({ client, signal, watch }, args) {
    const mode = (args.value('m') ?? 'PERSISTENT_RECURSIVE').toUpperCase()
    if (args.operands.length !== 1 || !(mode === 'PERSISTENT' || mode === 'PERSISTENT_RECURSIVE')) {
      throw usageError(addWatch)
    }
    const isRecursive = mode === 'PERSISTENT_RECURSIVE'
    await client.addWatch(pathOperand(args), {
      signal,
      isRecursive,
      onEvent: event => (typeof watch === 'function' ? watch(event) : watch.onWatchEvent(event)),
    })
    return nothing
  },
}

/** The first given decides; none is any. */
const selections: readonly (readonly [string, WatchSelection])[] = [
  ['c', 'children'],
  ['d', 'data'],
  ['p', 'persistent'],
  ['r', 'persistentRecursive'],
  ['a', 'any'],
]

const removeWatches: Command = {
  name: 'removewatches',
  syntax: 'path [-c|-d|-a] [-l]',
  about: "Removes this session's watches on a path.",
  options: [
    { name: 'c', about: 'child watcher type' },
    { name: 'd', about: 'data watcher type' },
    { name: 'p', about: 'persistent watcher type' },
    { name: 'r', about: 'persistent recursive watcher type' },
    { name: 'a', about: 'any watcher type' },
    { name: 'l', about: 'remove locally when there is no server connection' },
  ],
  operands: 1,
  async run({ client, signal }, args) {
    const type = selections.find(([option]) => args.has(option))?.[1] ?? 'any'
    await client.removeWatches(pathOperand(args), { signal, type, isLocal: args.has('l') })
    return nothing
  },
}

export const watchCommands: readonly Command[] = [addWatch, removeWatches]
