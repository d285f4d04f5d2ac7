/**
 * Quotas of the reference model. Limits and usage are texts of znodes below /zookeeper/quota; the usage is rewritten at
 * every change below the quota's root, without a txn. It is exact from the creation of the usage znode on, for as long
 * as the limits stand and no client writes there; otherwise servers may count differently after a restart, and the
 * model only knows that it does not know.
 */
import { encodeUtf8 } from '@corral/protocol'

const quotaPath = '/zookeeper/quota'
const limitsName = '/zookeeper_limits'
const statsName = '/zookeeper_stats'
const keys = ['count', 'bytes', 'countHardLimit', 'byteHardLimit'] as const
type Text = Record<(typeof keys)[number], number>

/** What of a znode counts. */
interface Counted {
  readonly path: string
  data: Uint8Array | null
  readonly children: ReadonlySet<string>
}

interface Tree {
  find(path: string): Counted | undefined
}

export interface Change {
  readonly count: number
  readonly bytes: number
}

interface Quota {
  /** -1: none. */
  readonly hard: Change
  readonly usage: Change
  readonly isExact: boolean
}

/** All quotas at one zxid, by the path that is theirs. */
export type QuotaView = ReadonlyMap<string, Quota>

export const noQuotas: QuotaView = new Map()

/** Does this change of this path go over a quota? */
export type QuotaRule = (path: string, change: Change) => boolean

export const unlimited: QuotaRule = () => false

export class ModelQuotas {
  readonly #tree: Tree
  readonly #roots: Set<string> = new Set()
  readonly #exact: Set<string> = new Set()
  #view: QuotaView | undefined = noQuotas

  constructor(tree: Tree) {
    this.#tree = tree
  }

  /** The same object for as long as nothing changes. */
  get view(): QuotaView {
    this.#view ??= this.#look()
    return this.#view
  }

  isExact(stats: string): boolean {
    return this.#exact.has(rootOf(stats, statsName) ?? '')
  }

  created(znode: Counted): void {
    const limited = rootOf(znode.path, limitsName)
    const counted = rootOf(znode.path, statsName)
    if (limited !== undefined) {
      this.#roots.add(limited)
      this.#exact.delete(limited)
      this.#view = undefined
    }
    if (counted !== undefined) this.#recount(counted, znode)
    this.#add(znode.path, { count: 1, bytes: lengthOf(znode) })
  }

  /** Before the znode is gone. */
  deleting(znode: Counted): void {
    this.#add(znode.path, { count: -1, bytes: -lengthOf(znode) })
    const limited = rootOf(znode.path, limitsName)
    const counted = rootOf(znode.path, statsName)
    if (limited !== undefined) this.#roots.delete(limited)
    this.#exact.delete(limited ?? counted ?? '')
    if (limited !== undefined || counted !== undefined) this.#view = undefined
  }

  /** After its data were set by a txn. */
  changed(znode: Counted, grownBytes: number): void {
    const counted = rootOf(znode.path, statsName)
    if (counted !== undefined) this.#exact.delete(counted)
    if (znode.path.startsWith(quotaPath)) this.#view = undefined
    this.#add(znode.path, { count: 0, bytes: grownBytes })
  }

  #recount(root: string, stats: Counted): void {
    const todo = [root]
    const usage = { count: 0, bytes: 0 }
    for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
      const znode = this.#tree.find(path)
      if (znode === undefined) continue
      usage.count++
      usage.bytes += lengthOf(znode)
      for (const name of znode.children) todo.push(`${path}/${name}`)
    }
    stats.data = encodeUtf8(`count=${usage.count},bytes=${usage.bytes}`)
    if (this.#roots.has(root)) this.#exact.add(root)
    this.#view = undefined
  }

  #add(path: string, change: Change): void {
    const root = deepest(this.#roots, path)
    const stats = root === undefined ? undefined : this.#tree.find(quotaPath + root + statsName)
    if (stats === undefined) return
    const usage = parse(stats.data)
    usage.count += change.count
    usage.bytes += change.bytes
    stats.data = encodeUtf8(textOf(usage))
    this.#view = undefined
  }

  #look(): QuotaView {
    const view = new Map<string, Quota>()
    for (const root of this.#roots) {
      const stats = this.#tree.find(quotaPath + root + statsName)
      if (stats === undefined) continue
      const limits = parse(this.#tree.find(quotaPath + root + limitsName)?.data ?? null)
      const hard = { count: limits.countHardLimit, bytes: limits.byteHardLimit }
      view.set(root, { hard, usage: parse(stats.data), isExact: this.#exact.has(root) })
    }
    return view
  }
}

/**
 * @param room - what is left where the usage is not known: the same for all that is asked, as for the ops of a multi
 * @param asked - gets the changes of bytes for which that room decided
 */
export function quotaRule(view: QuotaView, room: Change, asked?: Set<number>): QuotaRule {
  return (path, change) => {
    const quota = view.get(deepest(view, path) ?? '')
    if (quota === undefined) return false
    const isOver = (what: 'count' | 'bytes'): boolean => {
      if (change[what] === 0 || quota.hard[what] < 0) return false
      if (quota.isExact) return quota.usage[what] + change[what] > quota.hard[what]
      if (what === 'bytes') asked?.add(change.bytes)
      return change[what] > room[what]
    }
    return isOver('count') || isOver('bytes')
  }
}

/** `/q` for `/zookeeper/quota/q/zookeeper_limits`; a quota on the root is none. */
function rootOf(path: string, name: string): string | undefined {
  if (!path.startsWith(`${quotaPath}/`) || !path.endsWith(name)) return undefined
  const root = path.slice(quotaPath.length, -name.length)
  return root === '' ? undefined : root
}

function deepest(roots: { has(path: string): boolean }, path: string): string | undefined {
  for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) if (roots.has(at)) return at
  return undefined
}

function lengthOf(znode: Counted): number {
  return znode.data?.length ?? 0
}

function parse(data: Uint8Array | null): Text {
  const text: Text = { count: -1, bytes: -1, countHardLimit: -1, byteHardLimit: -1 }
  for (const pair of Buffer.from(data ?? [])
    .toString('latin1')
    .split(/[,;]/)) {
    const [name, value = ''] = pair.split('=')
    const key = keys.find(each => each === name)
    if (key !== undefined) text[key] = /^-?\d{1,15}$/.test(value) ? Number(value) : -1
  }
  return text
}

function textOf({ count, bytes, countHardLimit, byteHardLimit }: Text): string {
  const hard = [
    byteHardLimit === -1 ? '' : `;byteHardLimit=${byteHardLimit}`,
    countHardLimit === -1 ? '' : `;countHardLimit=${countHardLimit}`,
  ].join('')
  return `count=${count},bytes=${bytes}${hard === '' ? '' : `=${hard}`}`
}
