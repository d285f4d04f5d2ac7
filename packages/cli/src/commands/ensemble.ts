/** Commands about the ensemble's membership. */
import { readFileSync } from 'node:fs'
import type { ReconfigOptions } from '@corral/client'
import { decodeUtf8 } from '@corral/protocol'
import { configLines, parseMembership } from '../config-text.ts'
import { CommandError } from '../failure.ts'
import type { CommandArguments } from '../options.ts'
import { type Command, parseLong, usageError } from './command.ts'

const configPath = '/zookeeper/config'

const config: Command = {
  name: 'config',
  syntax: '[-c] [-w] [-s]',
  about: "Prints the ensemble's configuration; with -c the addresses for clients.",
  options: [
    { name: 's', about: 'stats' },
    { name: 'w', about: 'watch' },
    { name: 'c', about: 'client connection string' },
  ],
  operands: 0,
  async run(context, args) {
    const watch = args.has('w') ? context.watch : undefined
    const { data, stat } = await context.client.getConfig({ signal: context.signal, watch })
    const withStat = args.has('s') && { stat }
    if (!args.has('c')) return { kind: 'data', path: configPath, data, format: 'text', ...withStat }
    return { kind: 'membership', membership: parseMembership(textOf(data)), ...withStat }
  },
}

const reconfig: Command = {
  name: 'reconfig',
  syntax:
    '[-s] [-v version] [[-file path] | [-members serverID=host:port1:port2;port3[,...]*]]' +
    ' | [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]',
  about: "Changes the ensemble's members: step by step (-add, -remove), or all at once (-file, -members).",
  options: [
    { name: 's', about: 'stats' },
    { name: 'v', about: 'required current config version', takesValue: true },
    { name: 'file', about: 'path of config file to parse for membership', takesValue: true },
    {
      name: 'members',
      about: 'comma-separated list of config strings for non-incremental reconfig',
      takesValue: true,
    },
    { name: 'add', about: 'comma-separated list of config strings for new servers', takesValue: true },
    { name: 'remove', about: 'comma-separated list of server IDs to remove', takesValue: true },
  ],
  operands: 0,
  async run({ client, signal }, args) {
    const change = wantedChange(args)
    const { data, stat } = await client.reconfig({ ...change, fromVersion: wantedVersion(args), signal })
    const heading = 'Committed new configuration:'
    return { kind: 'data', path: configPath, data, format: 'text', heading, ...(args.has('s') && { stat }) }
  },
}

function wantedVersion(args: CommandArguments): bigint | undefined {
  const text = args.value('v')
  if (text === undefined) return undefined
  const version = parseLong(text, 16)
  if (version === undefined) {
    throw new CommandError('-v must be followed by a long (configuration version)')
  }
  return version
}

function wantedChange(args: CommandArguments): Pick<ReconfigOptions, 'joining' | 'leaving' | 'members'> {
  const isWhole = args.has('file') || args.has('members')
  const isByStep = args.has('add') || args.has('remove')
  if (!isWhole && !isByStep) throw usageError(reconfig)
  if (isWhole && isByStep) {
    throw new CommandError(
      "Can't use -file or -members together with -add or -remove" +
        ' (mixing incremental and non-incremental modes is not allowed)',
    )
  }
  if (args.has('file') && args.has('members')) {
    throw new CommandError("Can't use -file and -members together (conflicting non-incremental modes)")
  }
  const file = args.value('file')
  if (file !== undefined) return { members: membersOf(file) }
  if (isWhole) return { members: lowerCase(args.values('members')) }
  return {
    ...(args.has('add') && { joining: lowerCase(args.values('add')) }),
    ...(args.has('remove') && { leaving: lowerCase(args.values('remove')) }),
  }
}

function membersOf(file: string): string[] {
  try {
    const lines = configLines(readFileSync(file, 'utf8'))
    return lines.map(([key, value]) => `${key}=${value}`)
  } catch (error) {
    throw new CommandError(`Error processing ${file}: ${error instanceof Error ? error.message : error}`)
  }
}

function lowerCase(values: readonly string[]): string[] {
  return values.map(value => value.toLowerCase())
}

function textOf(data: Uint8Array | null): string {
  return data === null ? 'null' : decodeUtf8(data)
}

export const ensembleCommands: readonly Command[] = [config, reconfig]
