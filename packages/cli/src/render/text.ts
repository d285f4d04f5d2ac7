/** Results as zkCli prints them. What it prints on stderr goes there too. */
import { unreachable } from '@corral/protocol'
import { aclLines } from '../acl-text.ts'
import { membershipLine } from '../config-text.ts'
import { hexDump } from '../hex-dump.ts'
import { formatQuota } from '../quota-text.ts'
import type { DataFormat, Result } from '../result.ts'
import { statLines } from '../stat-text.ts'
import type { Streams } from '../streams.ts'
import type { TreeEntry } from '../subtree.ts'

export async function renderText(result: Result, streams: Streams): Promise<void> {
  switch (result.kind) {
    case 'paths':
      for await (const path of result.paths) {
        streams.out(path)
        await streams.drained()
      }
      return
    case 'tree':
      return renderTree(result.entries, streams)
    case 'created':
      return streams.err(`Created ${result.path}`)
    default:
      for (const line of linesOf(result)) streams.out(line)
  }
}

type Printed = Exclude<Result, { readonly kind: 'paths' | 'tree' | 'created' }>

function linesOf(result: Printed): readonly string[] {
  switch (result.kind) {
    case 'nothing':
      return []
    case 'notConnected':
      return ['Not connected']
    case 'children':
      return [listText(sorted(result.children)), ...optionalStat(result)]
    case 'data': {
      const { data, format, heading } = result
      const lines = heading === undefined ? [] : [heading]
      return [...lines, dataText(data ?? nullWord, format), ...optionalStat(result)]
    }
    case 'membership':
      return [membershipLine(result.membership), ...optionalStat(result)]
    case 'stat':
      return statLines(result.stat)
    case 'acl':
      return [...aclLines(result.acl), ...optionalStat(result)]
    case 'number':
      return [String(result.number)]
    case 'ephemerals':
      return [listText(result.paths)]
    case 'identities':
      return ['Auth scheme: User', ...result.identities.map(({ scheme, user }) => `${scheme}: ${user}`)]
    case 'synced':
      return [result.rc === 0 ? 'Sync is OK' : `Sync has failed. rc=${result.rc}`]
    case 'quota':
      return [
        `Output quota for ${result.path} ${formatQuota(result.limits)}`,
        `Output stat for ${result.path} ${formatQuota(result.usage)}`,
      ]
    case 'quotaAbsent':
      return [`Quota does not exist for ${result.path}`]
    case 'warnings':
      return result.warnings.map(warning => `[Warning]: ${warning}`)
    case 'version':
      return [`ZooKeeper CLI version: ${result.version}`]
    case 'history':
      return result.entries.map(([number, line]) => `${number} - ${line}`)
    case 'printWatches':
      return [`printwatches is ${result.isOn ? 'on' : 'off'}`]
    case 'help':
      return result.lines
    default:
      return unreachable(result)
  }
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** What zkCli takes for the data where there is none, before it is put into any form. */
const nullWord = new TextEncoder().encode('null')

function dataText(data: Uint8Array, format: DataFormat): string {
  switch (format) {
    case 'text':
      return decoder.decode(data)
    case 'base64':
      return Buffer.from(data).toString('base64')
    case 'hex':
      return hexDump(data)
    default:
      return unreachable(format)
  }
}

function optionalStat({ stat }: { readonly stat?: Parameters<typeof statLines>[0] }): readonly string[] {
  return stat === undefined ? [] : statLines(stat)
}

function listText(names: readonly string[]): string {
  return `[${names.join(', ')}]`
}

/** By UTF-16 units, as Java sorts strings. */
function sorted(names: readonly string[]): string[] {
  return [...names].sort((a, b) => (a < b ? -1 : 1))
}

async function renderTree(entries: AsyncIterable<TreeEntry>, streams: Streams): Promise<void> {
  /** For each level above, whether a sibling of the ancestor there is still to come. */
  const branches: boolean[] = []
  for await (const { name, depth, isLast } of entries) {
    branches.length = Math.max(depth - 1, 0)
    const stem = branches.map(goesOn => (goesOn ? '│   ' : '    ')).join('')
    streams.out(depth === 0 ? name : `${stem}${isLast ? '└── ' : '├── '}${name}`)
    if (depth > 0) branches.push(!isLast)
    await streams.drained()
  }
}
