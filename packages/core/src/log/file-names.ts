/** Names in the `version-2` directories. Source: Util.getZxidFromName, SnapStream in the Java server. */
import { hexOf, type Zxid, zxid } from '@corral/protocol'
import type { DirEntry, FileCodec } from '../disk.ts'

export interface LogFile {
  readonly name: string
  /** Of the first record meant for it. */
  readonly zxid: Zxid
  readonly sizeBytes: number
}

export interface SnapshotFile {
  readonly name: string
  /** The tree holds at least every txn up to this one. */
  readonly zxid: Zxid
  readonly codec: FileCodec
}

const extensions: Readonly<Record<FileCodec, string>> = { plain: '', gz: '.gz', snappy: '.snappy' }
const largestZxid = 0x7fff_ffff_ffff_ffffn

export function logName(first: Zxid): string {
  return `log.${hexOf(first)}`
}

export function snapshotName(at: Zxid, codec: FileCodec): string {
  return `snapshot.${hexOf(at)}${extensions[codec]}`
}

/** @returns the log files, by ascending zxid */
export function logFiles(entries: readonly DirEntry[]): LogFile[] {
  return entries
    .flatMap(({ name, sizeBytes }) => {
      const first = zxidIn(/^log\.([0-9a-f]+)$/.exec(name)?.[1])
      return first === undefined ? [] : [{ name, zxid: first, sizeBytes }]
    })
    .sort(byZxid)
}

/** @returns the snapshot files, by ascending zxid */
export function snapshotFiles(entries: readonly DirEntry[]): SnapshotFile[] {
  return entries
    .flatMap(({ name }): SnapshotFile[] => {
      const match = /^snapshot\.([0-9a-f]+)(?:\.(gz|snappy))?$/.exec(name)
      const at = zxidIn(match?.[1])
      const codec = match?.[2]
      if (at === undefined) return []
      return [{ name, zxid: at, codec: codec === 'gz' || codec === 'snappy' ? codec : 'plain' }]
    })
    .sort(byZxid)
}

/** Names that are no files of ours but that the Java server would read as a log or a snapshot, such as `log.5.fixed`. */
export function strayNames(entries: readonly DirEntry[], prefix: 'log' | 'snapshot'): string[] {
  const ours = new Set(
    (prefix === 'log' ? logFiles(entries) : snapshotFiles(entries)).map(({ name }) => name),
  )
  const java = new RegExp(`^${prefix}\\.[-+]?[0-9a-fA-F]+(?:\\.|$)`)
  return entries.map(({ name }) => name).filter(name => java.test(name) && !ours.has(name))
}

/** Beyond the signed range the Java server does not parse a name, and no zxid is negative. */
function zxidIn(hex: string | undefined): Zxid | undefined {
  if (hex === undefined || hex.length > 16) return undefined
  const value = BigInt(`0x${hex}`)
  return value > largestZxid ? undefined : zxid(value)
}

function byZxid(a: { readonly zxid: Zxid }, b: { readonly zxid: Zxid }): number {
  return a.zxid < b.zxid ? -1 : a.zxid > b.zxid ? 1 : 0
}
