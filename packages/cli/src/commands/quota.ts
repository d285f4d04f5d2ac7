/** Commands about quotas. They are znodes below `/zookeeper/quota`; the rules about them live in the client. */
import { type Client, NodeExistsError, NoNodeError } from '@corral/client'
import { decodeUtf8, joinPath, parentPath } from '@corral/protocol'
import { CommandError } from '../failure.ts'
import type { CommandArguments, OptionSpec } from '../options.ts'
import {
  formatQuota,
  limitsName,
  limitsPath,
  parseQuota,
  type QuotaKey,
  type QuotaValues,
  quotaPath,
  quotaRoot,
  quotaValue,
  usagePath,
} from '../quota-text.ts'
import { nothing } from '../result.ts'
import { walkPaths } from '../subtree.ts'
import { type Command, type Context, legalPath, operand, parseLong } from './command.ts'

const kinds: readonly { readonly option: string; readonly key: QuotaKey; readonly about: string }[] = [
  { option: 'n', key: 'count', about: 'num soft quota' },
  { option: 'b', key: 'bytes', about: 'bytes soft quota' },
  { option: 'N', key: 'countHardLimit', about: 'num hard quota' },
  { option: 'B', key: 'byteHardLimit', about: 'bytes hard quota' },
]

const setQuota: Command = {
  name: 'setquota',
  syntax: '-n|-b|-N|-B val path',
  about: 'Limits the number of znodes or of bytes at and below a path; only hard limits refuse writes.',
  options: kinds.map(({ option, about }): OptionSpec => ({ name: option, about, takesValue: true })),
  choice: 'required',
  operands: 1,
  async run({ client, signal }, args) {
    const path = operand(args, 0)
    if (path.startsWith(quotaRoot)) throw new CommandError(`cannot set a quota under the path: ${quotaRoot}`)
    const wanted = wantedLimits(args)
    legalPath(path)
    if ((await client.exists(path, { signal })) === undefined)
      throw new CommandError(`${path} does not exist.`)
    legalPath(quotaPath(path))
    await requireNoQuotaBelow(client, path, signal)
    await requireNoQuotaAbove(client, path, signal)
    await createAll(client, quotaPath(path), signal)
    return { kind: 'warnings', warnings: await store(client, path, wanted, signal) }
  },
}

function wantedLimits(args: CommandArguments): Map<string, bigint> {
  const limits = new Map<string, bigint>(kinds.map(({ key }) => [key, -1n]))
  for (const { option, key } of kinds) {
    const text = args.value(option)
    if (text === undefined) continue
    const isCount = key === 'count' || key === 'countHardLimit'
    const value = parseLong(text)
    if (value === undefined || (isCount && BigInt.asIntN(32, value) !== value)) {
      throw new CommandError('NumberFormatException happens when parsing the option value')
    }
    if (isCount && value <= 0n) throw new CommandError('the num quota must be greater than zero')
    if (value < 0n) throw new CommandError('the bytes quota must be greater than or equal to zero')
    limits.set(key, value)
  }
  return limits
}

/** @returns what the new limits are already short of */
async function store(
  client: Client,
  path: string,
  wanted: QuotaValues,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const at = limitsPath(path)
  if ((await client.exists(at, { signal })) === undefined) {
    await client.create(at, formatQuota(wanted), { signal })
    await client.create(usagePath(path), 'count=0,bytes=0', { signal })
    return shortfalls(wanted, await readQuota(client, usagePath(path), signal))
  }
  const limits = new Map(await readQuota(client, at, signal))
  for (const [key, value] of wanted) if (value > -1n) limits.set(key, value)
  const warnings = shortfalls(limits, await readQuota(client, usagePath(path), signal))
  await client.setData(at, formatQuota(limits), { signal })
  return warnings
}

function shortfalls(limits: QuotaValues, usage: QuotaValues): string[] {
  const isShort = (key: QuotaKey, used: bigint): boolean => {
    const limit = quotaValue(limits, key)
    return limit > -1n && limit < used
  }
  const count = quotaValue(usage, 'count')
  const bytes = quotaValue(usage, 'bytes')
  const warnings = []
  if (isShort('count', count) || isShort('countHardLimit', count)) {
    warnings.push(`the count quota you create is less than the existing count:${count}`)
  }
  if (isShort('bytes', bytes) || isShort('byteHardLimit', bytes)) {
    warnings.push(`the bytes quota you create is less than the existing bytes:${bytes}`)
  }
  return warnings
}

async function requireNoQuotaBelow(
  client: Client,
  path: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const own = limitsPath(path)
  try {
    for await (const each of walkPaths(client, quotaPath(path), { signal })) {
      if (each === own || !each.endsWith(`/${limitsName}`)) continue
      throw new CommandError(`${path} has a child ${quotaOwner(each)} which has a quota`)
    }
  } catch (error) {
    if (!(error instanceof NoNodeError)) throw error
  }
}

async function requireNoQuotaAbove(
  client: Client,
  path: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const ancestor of ancestorsOf(path)) {
    if ((await client.exists(limitsPath(ancestor), { signal })) === undefined) continue
    throw new CommandError(`${path} has a parent ${ancestor} which has a quota`)
  }
}

/** From the top, without the root and the path itself. */
function ancestorsOf(path: string): string[] {
  const names = path.split('/').slice(1, -1)
  return names.map((_, i) => `/${names.slice(0, i + 1).join('/')}`)
}

/** Whose limits are stored at a path below the quota root. */
function quotaOwner(limitsAt: string): string {
  return parentPath(limitsAt).slice(quotaRoot.length)
}

async function createAll(client: Client, path: string, signal: AbortSignal | undefined): Promise<void> {
  for (const each of [...ancestorsOf(path), path]) {
    if ((await client.exists(each, { signal })) !== undefined) continue
    await client.create(each, null, { signal }).catch((error: unknown) => {
      if (!(error instanceof NodeExistsError)) throw error
    })
  }
}

async function readQuota(client: Client, at: string, signal: AbortSignal | undefined): Promise<QuotaValues> {
  const { data } = await client.getData(at, { signal })
  return parseQuota(data === null ? '' : decodeUtf8(data))
}

const listQuota: Command = {
  name: 'listquota',
  syntax: 'path',
  about: 'Prints the limits of a path, and what is used of them.',
  options: [],
  operands: 1,
  async run(context, args) {
    const path = operand(args, 0)
    context.note(`absolute path is ${limitsPath(path)}`)
    legalPath(limitsPath(path))
    try {
      const limits = await readQuota(context.client, limitsPath(path), context.signal)
      const usage = await readQuota(context.client, usagePath(path), context.signal)
      return { kind: 'quota', path, limits, usage }
    } catch (error) {
      return noQuota(context, path, error)
    }
  },
}

const deleteQuota: Command = {
  name: 'delquota',
  syntax: '[-n|-b|-N|-B] path',
  about: 'Removes one kind of limit from a path, or all.',
  options: kinds.map(({ option, about }): OptionSpec => ({ name: option, about })),
  choice: 'optional',
  operands: 1,
  async run(context, args) {
    const { client, signal } = context
    const path = operand(args, 0)
    const at = legalPath(limitsPath(path))
    if ((await client.exists(at, { signal })) === undefined) return { kind: 'quotaAbsent', path }
    try {
      const kind = kinds.find(({ option }) => args.has(option))
      if (kind === undefined) {
        await removeQuota(client, quotaPath(path), signal)
      } else {
        const limits = new Map(await readQuota(client, at, signal)).set(kind.key, -1n)
        await client.setData(at, formatQuota(limits), { signal })
      }
      return nothing
    } catch (error) {
      return noQuota(context, path, error)
    }
  },
}

/** Everything directly at `at`, then upwards whatever is left empty. */
async function removeQuota(client: Client, at: string, signal: AbortSignal | undefined): Promise<void> {
  for (const name of await client.getChildren(at, { signal }))
    await client.delete(joinPath(at, name), { signal })
  for (let each = at; each !== quotaRoot; each = parentPath(each)) {
    if ((await client.getChildren(each, { signal })).length > 0) return
    await client.delete(each, { signal })
  }
}

/** An answer, not a failure: zkCli ends with exit code 0 as well. */
function noQuota(context: Context, path: string, error: unknown): typeof nothing {
  if (!(error instanceof NoNodeError)) throw error
  context.note(`quota for ${path} does not exist.`)
  return nothing
}

export const quotaCommands: readonly Command[] = [setQuota, listQuota, deleteQuota]
