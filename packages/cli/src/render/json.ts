/**
 * Results as JSON, one document a line. 64-bit ids are hex strings (`0x10000002a`), times are ISO 8601, data is text
 * where it is UTF-8 and base64 where it is not.
 */

import type { Acl, Stat } from '@corral/client'
import { errorName, hexText, unreachable } from '@corral/protocol'
import { permLetters } from '../acl-text.ts'
import type { ShellEvent } from '../events.ts'
import type { Failure } from '../failure.ts'
import { type QuotaValues, quotaValue } from '../quota-text.ts'
import type { DataFormat, Result } from '../result.ts'
import type { Streams } from '../streams.ts'
import type { TreeEntry } from '../subtree.ts'

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined }

export async function renderJson(result: Result, streams: Streams): Promise<void> {
  const json = await jsonOf(result)
  if (json !== undefined) streams.out(JSON.stringify(json))
}

export function failureJson({ lines, error }: Failure): string {
  const code = error === undefined ? undefined : errorName(error.code)
  return JSON.stringify({ error: { message: lines.join(' ').trim(), code, path: error?.path } })
}

export function eventJson({ state, type, path, zxid }: ShellEvent): string {
  return JSON.stringify({ event: { state, type, path, zxid: zxid < 0n ? null : hexText(zxid) } })
}

async function jsonOf(result: Result): Promise<Json | undefined> {
  switch (result.kind) {
    case 'nothing':
      return {}
    case 'notConnected':
      return { isConnected: false }
    case 'created':
      return { path: result.path }
    case 'children':
      return { path: result.path, children: [...result.children].sort(), ...statField(result) }
    case 'paths':
      return collect(result.paths)
    case 'tree':
      return treeJson(result.entries)
    case 'data':
      return { path: result.path, ...dataFields(result.data, result.format), ...statField(result) }
    case 'membership': {
      const { version, clientAddresses } = result.membership
      return {
        version,
        clientAddresses: clientAddresses.map(address => address ?? null),
        ...statField(result),
      }
    }
    case 'stat':
      return { path: result.path, stat: statJson(result.stat) }
    case 'acl':
      return { path: result.path, acl: result.acl.map(aclJson), ...statField(result) }
    case 'number':
      return { path: result.path, count: result.number }
    case 'ephemerals':
      return { ephemerals: result.paths }
    case 'identities':
      return { identities: result.identities.map(({ scheme, user }) => ({ scheme, user })) }
    case 'synced':
      return { path: result.path, isSynced: result.rc === 0, rc: result.rc }
    case 'quota':
      return { path: result.path, limits: quotaJson(result.limits), usage: quotaJson(result.usage) }
    case 'quotaAbsent':
      return { path: result.path, limits: null, usage: null }
    case 'warnings':
      return { warnings: result.warnings }
    case 'version':
      return { version: result.version }
    case 'history':
      return { history: result.entries.map(([number, line]) => ({ number, line })) }
    case 'printWatches':
      return { printWatches: result.isOn }
    case 'help':
      return { help: result.lines }
    default:
      return unreachable(result)
  }
}

function statField({ stat }: { readonly stat?: Stat }): { readonly stat?: Json } {
  return stat === undefined ? {} : { stat: statJson(stat) }
}

function statJson(stat: Stat): Json {
  return {
    czxid: hexText(stat.czxid),
    mzxid: hexText(stat.mzxid),
    pzxid: hexText(stat.pzxid),
    ctime: timeJson(stat.ctime),
    mtime: timeJson(stat.mtime),
    version: stat.version,
    cversion: stat.cversion,
    aversion: stat.aversion,
    ephemeralOwner: hexText(stat.ephemeralOwner),
    dataLength: stat.dataLength,
    numChildren: stat.numChildren,
  }
}

/** A znode may carry a time that no calendar has. */
function timeJson(ms: number): Json {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? ms : date.toISOString()
}

function aclJson({ scheme, id, perms }: Acl): Json {
  return { scheme, id, perms: permLetters(perms) }
}

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function dataFields(data: Uint8Array | null, format: DataFormat): Record<string, Json> {
  if (data === null) return { data: null }
  if (format === 'hex') return { data: Buffer.from(data).toString('hex'), encoding: 'hex' }
  const text = format === 'text' ? utf8Text(data) : undefined
  if (text !== undefined) return { data: text, encoding: 'utf8' }
  return { data: Buffer.from(data).toString('base64'), encoding: 'base64' }
}

function utf8Text(data: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(data)
  } catch {
    return undefined
  }
}

/** No limit is null. */
function quotaJson(values: QuotaValues): Json {
  const limit = (value: bigint): number | null => (value < 0n ? null : Number(value))
  return {
    count: limit(quotaValue(values, 'count')),
    bytes: limit(quotaValue(values, 'bytes')),
    ...(values.has('countHardLimit') && { countHardLimit: limit(quotaValue(values, 'countHardLimit')) }),
    ...(values.has('byteHardLimit') && { byteHardLimit: limit(quotaValue(values, 'byteHardLimit')) }),
  }
}

interface TreeJson {
  readonly [key: string]: Json
  readonly path: string
  readonly children: TreeJson[]
}

async function treeJson(entries: AsyncIterable<TreeEntry>): Promise<Json> {
  /** The ancestors of the next entry, from the root down. */
  const line: TreeJson[] = []
  for await (const { path, depth } of entries) {
    const node: TreeJson = { path, children: [] }
    line.length = depth
    line.at(-1)?.children.push(node)
    line.push(node)
  }
  return line[0] ?? null
}

async function collect(paths: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = []
  for await (const path of paths) all.push(path)
  return all
}
