/** Commands that change znodes. */
import { type Acl, type Client, type CreateMode, ErrorCode, openAcl, ZkError, zkError } from '@corral/client'
import { pathProblem } from '@corral/protocol'
import { parseAcl } from '../acl-text.ts'
import { CommandError, keeperErrorText } from '../failure.ts'
import type { CommandArguments } from '../options.ts'
import { nothing } from '../result.ts'
import { listLevels, walkPaths } from '../subtree.ts'
import { type Command, type Context, intOption, operand, parseLong, pathOperand } from './command.ts'

const create: Command = {
  name: 'create',
  syntax: '[-s] [-e] [-c] [-t ttl] path [data] [acl]',
  about: 'Makes a znode; its parent must be there.',
  options: [
    { name: 'e', about: 'ephemeral' },
    { name: 's', about: 'sequential' },
    { name: 'c', about: 'container' },
    { name: 't', about: 'ttl', takesValue: true },
  ],
  operands: 1,
  async run(context, args) {
    const { mode, ttlMs } = kindOf(args)
    const [path = '', data, aclText] = args.operands
    const given = aclText === undefined ? openAcl : readAcl(context, aclText)
    const problem = pathProblem(args.has('s') ? `${path}1` : path)
    if (problem !== undefined) throw new CommandError(problem)
    const { client, signal } = context
    try {
      const acl = notEmpty(given)
      return { kind: 'created', path: await client.create(path, data ?? null, { signal, mode, ttlMs, acl }) }
    } catch (error) {
      if (error instanceof ZkError) explainRefusal(context, error)
      throw error
    }
  },
}

/** The TTL has 40 bits. */
const maxTtlMs = 0xff_ffff_ffff

function kindOf(args: CommandArguments): { readonly mode: CreateMode; readonly ttlMs: number | undefined } {
  const isEphemeral = args.has('e')
  const isSequential = args.has('s')
  const isContainer = args.has('c')
  if (isContainer && (isEphemeral || isSequential)) {
    throw new CommandError(
      '-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.',
    )
  }
  const ttlText = args.value('t')
  if (ttlText === undefined) {
    const persistent = isSequential ? 'persistentSequential' : isContainer ? 'container' : 'persistent'
    const mode = !isEphemeral ? persistent : isSequential ? 'ephemeralSequential' : 'ephemeral'
    return { mode, ttlMs: undefined }
  }
  const ttlMs = parseLong(ttlText)
  if (ttlMs === undefined) throw new CommandError('-t argument must be a long value')
  if (isEphemeral) throw new CommandError('TTLs cannot be used with Ephemeral znodes')
  if (isContainer) throw new CommandError('TTLs cannot be used with Container znodes')
  if (ttlMs <= 0 || ttlMs > maxTtlMs) {
    throw new CommandError(`ttl must be positive and cannot be larger than: ${maxTtlMs}`)
  }
  return { mode: isSequential ? 'persistentSequential' : 'persistent', ttlMs: Number(ttlMs) }
}

/** Two refusals get a line more. */
function explainRefusal(context: Context, error: ZkError): void {
  if (error.code === ErrorCode.InvalidAcl) context.note(keeperErrorText(error))
  if (error.code === ErrorCode.EphemeralOnLocalSession) {
    context.note('Unable to create ephemeral node on a local session')
  }
}

const set: Command = {
  name: 'set',
  syntax: 'path data [-s] [-v version] [-b]',
  about: 'Replaces the data of a znode.',
  options: [
    { name: 's', about: 'Print znode stats additionally' },
    { name: 'v', about: 'Set with an expected version', takesValue: true },
    { name: 'b', about: 'Supply data in base64 format' },
  ],
  operands: 2,
  explainsOptions: true,
  async run({ client, signal }, args) {
    const text = operand(args, 1)
    const data = args.has('b') ? fromBase64(text) : text
    const version = intOption(args, 'v')
    const path = pathOperand(args)
    const stat = await client.setData(path, data, { signal, version })
    return args.has('s') ? { kind: 'stat', path, stat } : nothing
  },
}

/** As Java decodes it: padding is complete or left out, and bits left over count for nothing. */
function fromBase64(text: string): Uint8Array {
  const digits = text.replace(/={1,2}$/, '')
  const isPaddedWrong = digits.length < text.length && text.length % 4 !== 0
  if (/[^A-Za-z0-9+/]/.test(digits) || digits.length % 4 === 1 || isPaddedWrong) {
    throw new CommandError(`"${text}" is not base64`)
  }
  return Buffer.from(text, 'base64')
}

const remove: Command = {
  name: 'delete',
  syntax: '[-v version] path',
  about: 'Deletes a znode that has no children.',
  options: [{ name: 'v', about: 'version', takesValue: true }],
  operands: 1,
  async run(context, args) {
    if (args.operands.length > 1) {
      // The version of the old form was ignored even then.
      context.note(
        "'delete path [version]' has been deprecated. Please use 'delete [-v version] path' instead.",
      )
    }
    const version = intOption(args, 'v')
    await context.client.delete(pathOperand(args), { signal: context.signal, version })
    return nothing
  },
}

const deleteAll: Command = {
  name: 'deleteall',
  syntax: 'path [-b batch size]',
  about: 'Deletes a znode and everything below it.',
  options: [{ name: 'b', about: 'batch size', takesValue: true }],
  operands: 1,
  async run({ client, signal }, args) {
    const batchSize = intOption(args, 'b') ?? defaultBatchSize
    const path = pathOperand(args)
    const paths = (await listLevels(client, path, signal)).reverse()
    if (batchSize <= 0) {
      for (const each of paths) await client.delete(each, { signal })
    } else if (!(await deleteInBatches(client, paths, { batchSize, signal }))) {
      throw new CommandError('Failed to delete some node(s) in the subtree!')
    }
    return nothing
  },
}

const defaultBatchSize = 1000
const batchesInFlight = 10

/** Children before parents. After the first refusal nothing more is sent. @returns whether all went */
async function deleteInBatches(
  client: Client,
  paths: readonly string[],
  { batchSize, signal }: { readonly batchSize: number; readonly signal: AbortSignal | undefined },
): Promise<boolean> {
  let areAllGone = true
  const inFlight: Promise<void>[] = []
  for (let at = 0; at < paths.length && areAllGone; at += batchSize) {
    if (inFlight.length === batchesInFlight) await inFlight.shift()
    const ops = paths.slice(at, at + batchSize).map(path => ({ kind: 'delete', path }) as const)
    const sent = client.multi(ops, { signal }).then(
      () => undefined,
      (error: unknown) => {
        if (!(error instanceof ZkError)) throw error
        areAllGone = false
      },
    )
    sent.catch(() => undefined) // met below; a batch before it may fail first
    inFlight.push(sent)
  }
  await Promise.all(inFlight)
  return areAllGone
}

const setAcl: Command = {
  name: 'setAcl',
  syntax: '[-s] [-v version] [-R] path acl',
  about: 'Says who may do what with a znode: scheme:id:perms,... with perms from cdrwa.',
  options: [
    { name: 's', about: 'stats' },
    { name: 'v', about: 'version', takesValue: true },
    { name: 'R', about: 'recursive' },
  ],
  operands: 2,
  async run(context, args) {
    const { client, signal } = context
    const acl = notEmpty(readAcl(context, operand(args, 1)))
    const version = intOption(args, 'v')
    const path = pathOperand(args)
    if (!args.has('R')) {
      const stat = await client.setAcl(path, acl, { signal, version })
      return args.has('s') ? { kind: 'stat', path, stat } : nothing
    }
    for await (const each of walkPaths(client, path, { signal })) {
      await client.setAcl(each, acl, { signal, version }).catch((error: unknown) => {
        // The others are still to be done, as in zkCli.
        if (!(error instanceof ZkError)) throw error
        context.say(keeperErrorText(error))
      })
    }
    return nothing
  },
}

/** The Java client refuses an empty list itself, and names no path. */
function notEmpty(acl: readonly Acl[]): readonly Acl[] {
  if (acl.length === 0) throw zkError(ErrorCode.InvalidAcl)
  return acl
}

function readAcl(context: Context, text: string): readonly Acl[] {
  const { acl, problems } = parseAcl(text)
  for (const problem of problems) context.note(problem)
  return acl
}

export const writeCommands: readonly Command[] = [create, set, remove, deleteAll, setAcl]
