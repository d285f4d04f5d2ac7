/** Commands about watches. */
import { ErrorCode, type WatchSelection, zkError } from '@corral/client'
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
  async run({ client, signal, removals }, args) {
    const type = selections.find(([option]) => args.has(option))?.[1] ?? 'any'
    const path = pathOperand(args)
    const before = removals()
    await client.removeWatches(path, { signal, type, isLocal: args.has('l') })
    // Servers before 3.9 also find a persistent watch when asked for one of the data. Nobody here lost one.
    if (removals() === before) throw zkError(ErrorCode.NoWatcher, { op: 'removeWatches', path })
    return nothing
  },
}

export const watchCommands: readonly Command[] = [addWatch, removeWatches]
