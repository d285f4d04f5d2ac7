/** Commands that read znodes. */
import { ErrorCode, type WatchListener, ZkError, zkError } from '@corral/client'
import { type CommandArguments, type OptionSpec, optionHelp } from '../options.ts'
import type { Result } from '../result.ts'
import { walkPaths, walkTree } from '../subtree.ts'
import { type Command, type Context, intOption, pathOperand, usageError } from './command.ts'

const statOption: OptionSpec = { name: 's', about: 'stat' }
const watchOption: OptionSpec = { name: 'w', about: 'watch' }

const get: Command = {
  name: 'get',
  syntax: '[-s] [-w] [-b] [-x] path',
  about: 'Prints the data of a znode.',
  options: [
    { name: 's', about: 'Print znode stats additionally' },
    { name: 'w', about: 'Watch for changes on the znode' },
    { name: 'b', about: 'Output data in base64 format' },
    { name: 'x', about: 'Output data in hexdump format' },
  ],
  operands: 1,
  explainsOptions: true,
  async run(context, args) {
    const watch = wantedWatch(context, args, { old: 'get path [watch]', now: 'get [-s] [-w] path' })
    const path = pathOperand(args)
    const { data, stat } = await context.client.getData(path, { signal: context.signal, watch })
    const format = args.has('x') ? 'hex' : args.has('b') ? 'base64' : 'text'
    return { kind: 'data', path, data, format, ...(args.has('s') && { stat }) }
  },
}

const lsOptions: readonly OptionSpec[] = [
  { name: '?', about: 'help' },
  statOption,
  watchOption,
  { name: 'R', about: 'recurse' },
]

const ls: Command = {
  name: 'ls',
  syntax: '[-s] [-w] [-R] path',
  about: 'Lists the children of a znode; with -R every path from there down.',
  options: lsOptions,
  operands: 0,
  async run(context, args) {
    if (args.has('?'))
      for (const line of ['usage: ls [options] path', ...optionHelp(lsOptions)]) context.say(line)
    const watch = wantedWatch(context, args, { old: 'ls path [watch]', now: 'ls [-w] path' })
    if (args.operands.length === 0) throw usageError(ls)
    const path = pathOperand(args)
    const { client, signal } = context
    if (args.has('R')) return { kind: 'paths', paths: walkPaths(client, path, { signal, watch }) }
    const { children, stat } = await client.getChildrenWithStat(path, { signal, watch })
    return { kind: 'children', path, children, ...(args.has('s') && { stat }) }
  },
}

const stat: Command = {
  name: 'stat',
  syntax: '[-w] path',
  about: 'Prints what is known of a znode but its data.',
  options: [watchOption],
  operands: 1,
  async run(context, args) {
    const watch = wantedWatch(context, args, { old: 'stat path [watch]', now: 'stat [-w] path' })
    const path = pathOperand(args)
    const found = await context.client.exists(path, { signal: context.signal, watch })
    if (found === undefined) throw zkError(ErrorCode.NoNode, { op: 'exists', path })
    return { kind: 'stat', path, stat: found }
  },
}

const getAcl: Command = {
  name: 'getAcl',
  syntax: '[-s] path',
  about: 'Prints who may do what with a znode.',
  options: [statOption],
  operands: 1,
  async run({ client, signal }, args) {
    const path = pathOperand(args)
    const { acl, stat } = await client.getAcl(path, { signal })
    return { kind: 'acl', path, acl, ...(args.has('s') && { stat }) }
  },
}

const getAllChildrenNumber: Command = {
  name: 'getAllChildrenNumber',
  syntax: 'path',
  about: 'Counts the znodes below a path.',
  options: [],
  operands: 1,
  async run({ client, signal }, args) {
    const path = pathOperand(args)
    return { kind: 'number', path, number: await client.getAllChildrenNumber(path, { signal }) }
  },
}

const getEphemerals: Command = {
  name: 'getEphemerals',
  syntax: 'path',
  about: "Lists this session's ephemeral znodes whose paths begin so.",
  options: [],
  operands: 0,
  async run({ client, signal }, args) {
    const prefix = args.operands.length === 0 ? '/' : pathOperand(args)
    return { kind: 'ephemerals', paths: await client.getEphemerals(prefix, { signal }) }
  },
}

const sync: Command = {
  name: 'sync',
  syntax: 'path',
  about: 'Waits until the server has applied all that its leader had proposed.',
  options: [],
  operands: 1,
  async run({ client, signal }, args) {
    const path = pathOperand(args)
    const limit = AbortSignal.timeout(syncLimitMs)
    try {
      await client.sync(path, { signal: signal === undefined ? limit : AbortSignal.any([signal, limit]) })
      return { kind: 'synced', path, rc: ErrorCode.Ok }
    } catch (error) {
      if (limit.aborted) return { kind: 'synced', path, rc: ErrorCode.OperationTimeout }
      if (error instanceof ZkError) return { kind: 'synced', path, rc: error.code }
      throw error
    }
  },
}

const syncLimitMs = 30_000

/** Not in zkCli. */
const tree: Command = {
  name: 'tree',
  syntax: '[-L levels] [path]',
  about: 'Draws the znodes from a path (default /) down.',
  options: [{ name: 'L', about: 'levels', takesValue: true }],
  operands: 0,
  async run({ client, signal }, args): Promise<Result> {
    const path = args.operands.length === 0 ? '/' : pathOperand(args)
    return { kind: 'tree', entries: walkTree(client, path, { signal, maxDepth: intOption(args, 'L') }) }
  },
}

/** `-w`, or the old form: `get path anything` once meant `get -w path`. */
function wantedWatch(
  context: Context,
  args: CommandArguments,
  { old, now }: { readonly old: string; readonly now: string },
): WatchListener | undefined {
  const isOldForm = args.operands.length > 1
  if (isOldForm) context.note(`'${old}' has been deprecated. Please use '${now}' instead.`)
  return isOldForm || args.has('w') ? context.watch : undefined
}

export const readCommands: readonly Command[] = [
  get,
  ls,
  stat,
  getAcl,
  getAllChildrenNumber,
  getEphemerals,
  sync,
  tree,
]
