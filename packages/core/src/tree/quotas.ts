/**
 * Quotas. For a path p the limits are the data of /zookeeper/quota/p/zookeeper_limits, which clients write, and the
 * usage is the data of /zookeeper/quota/p/zookeeper_stats, which this server rewrites in place at each change below
 * p: no txn, no Stat field. The deepest quota at or above a path is the one that counts.
 *
 * A quota exists while its limits znode does; its root carries a flag in its row once it exists.
 *
 * Source: DataTree.updateQuotaStat, updateQuotaForPath and StatsTrack in the Java server.
 */
import { type Space, Writer } from '@corral/protocol'
import { PathIndex } from './path-index.ts'
import { type QuotaText, readQuotaText, writeQuotaText } from './quota-text.ts'
import { asciiSpace, equalBytes, lastSlash } from './raw-bytes.ts'
import { Flag, QuotaId, Row, type ZnodeId } from './znode-rows.ts'
import type { Znodes } from './znodes.ts'

/** The deepest quota at or above some path. */
export interface Quota {
  /** Bytes of the path that are the quota's root. */
  readonly rootLength: number
  /** -1 where there is none. */
  readonly limits: {
    readonly count: number
    readonly bytes: number
    readonly countHard: number
    readonly bytesHard: number
  }
  /** The root included; -1 where the usage is unreadable. */
  readonly usage: { readonly count: number; readonly bytes: number }
}

const quotaPath: Space = asciiSpace('/zookeeper/quota')
const limitsName: Space = asciiSpace('zookeeper_limits')
const statsName: Space = asciiSpace('zookeeper_stats')

export class Quotas {
  readonly #znodes: Znodes
  /** The roots of all quotas. */
  readonly #roots: PathIndex
  /** A path below /zookeeper/quota. */
  readonly #path = new Writer()
  readonly #text = new Writer()

  constructor(znodes: Znodes) {
    this.#znodes = znodes
    this.#roots = new PathIndex({ seed: znodes.seed, arena: znodes.arena })
  }

  get count(): number {
    return this.#roots.count
  }

  /** Whether some quota has this path for its root. */
  isRoot(path: Space, from: number, to: number): boolean {
    return this.#roots.get(path, from, to) >= 0
  }

  /** After a znode and its data were added. */
  created(id: ZnodeId, path: Space, from: number, to: number): void {
    // Before a usage znode gets its first count: what it was made with is charged to a quota above it.
    const bytes = this.#znodes.rows.get(id, Row.dataLength)
    if (this.#znodes.rows.hasFlag(id, Flag.Undigested)) this.#createdSpecial(id, path, from, to)
    if (this.#roots.count === 0) return
    if (this.#roots.get(path, from, to) >= 0) this.#znodes.rows.addFlags(id, Flag.Quota)
    this.changed(id, path, from, to, 1, bytes)
  }

  /** Before a znode is removed. */
  deleting(id: ZnodeId, path: Space, from: number, to: number): void {
    if (this.#roots.count === 0) return
    this.changed(id, path, from, to, -1, -this.#znodes.rows.get(id, Row.dataLength))
    if (this.#isBelowQuota(id) && this.#isNamed(id, limitsName)) this.#unregister(path, from, to)
  }

  /** Adjusts the usage of the deepest quota at or above the znode. */
  changed(id: ZnodeId, path: Space, from: number, to: number, count: number, bytes: number): void {
    if (this.#roots.count === 0) return
    const end = to - this.#distanceToRoot(id)
    if (end <= from) return
    const stats = this.#find(path, from, end, statsName)
    if (stats === 0) return
    const usage = this.#read(stats)
    usage.count += count
    usage.bytes += bytes
    this.#write(stats, usage)
  }

  /** The deepest quota at or above a path, which need not exist; undefined too when its usage znode is missing. */
  over(path: Space, from: number, to: number): Quota | undefined {
    const end = this.#roots.count === 0 ? from : this.#rootEnd(path, from, to)
    if (end <= from) return undefined
    const stats = this.#find(path, from, end, statsName)
    if (stats === 0) return undefined // nothing is enforced that is not counted
    const limits = this.#read(this.#find(path, from, end, limitsName))
    const usage = this.#read(stats)
    return {
      rootLength: end - from,
      limits: {
        count: limits.count,
        bytes: limits.bytes,
        countHard: limits.countHardLimit,
        bytesHard: limits.byteHardLimit,
      },
      usage: { count: usage.count, bytes: usage.bytes },
    }
  }

  /** Where the path of the deepest quota's root ends, or `from`. */
  #rootEnd(path: Space, from: number, to: number): number {
    for (let end = to; end > from; end = lastSlash(path.bytes, from, end)) {
      const id = this.#znodes.find(path, from, end)
      if (id !== 0) return Math.max(from, end - this.#distanceToRoot(id))
      if (this.#roots.get(path, from, end) >= 0) return end
    }
    return from
  }

  /** Bytes from the end of the path of the deepest quota's root to that of the znode; more than its path if none. */
  #distanceToRoot(id: ZnodeId): number {
    const rows = this.#znodes.rows
    let distance = 0
    for (let node = id; node !== 0; node = rows.get(node, Row.parent)) {
      if (rows.hasFlag(node, Flag.Quota)) return distance
      distance += 1 + this.#znodes.nameLength(node)
    }
    return distance
  }

  /** After a snapshot was loaded: registers all quotas, their usage counted anew. */
  rebuild(): void {
    const path = new Writer()
    for (let id: ZnodeId = QuotaId; id !== 0; id = this.#znodes.after(id, QuotaId)) {
      if (!this.#isNamed(id, limitsName) || this.#znodes.rows.get(id, Row.firstChild) !== 0) continue
      path.at = 0
      this.#znodes.rawPathInto(id, path)
      this.#recount(path, 0, path.at)
      this.#register(path, 0, path.at)
    }
  }

  /** Znodes and data bytes at and below a znode. */
  usageBelow(top: ZnodeId): { readonly count: number; readonly bytes: number } {
    let count = 0
    let bytes = 0
    for (let id = top; id !== 0; id = this.#znodes.after(id, top)) {
      count++
      bytes += this.#znodes.rows.get(id, Row.dataLength)
    }
    return { count, bytes }
  }

  #createdSpecial(id: ZnodeId, path: Space, from: number, to: number): void {
    if (!this.#isBelowQuota(id)) return
    if (this.#isNamed(id, limitsName)) this.#register(path, from, to)
    else if (this.#isNamed(id, statsName)) this.#recount(path, from, to)
  }

  /** @param from - start of the path of the limits znode */
  #register(path: Space, from: number, to: number): void {
    const start = from + quotaPath.bytes.length
    const end = lastSlash(path.bytes, from, to)
    if (end <= start) return // a quota on the root is not supported
    this.#roots.put(path, start, end, 0)
    const root = this.#znodes.find(path, start, end)
    if (root !== 0) this.#znodes.rows.addFlags(root, Flag.Quota)
  }

  #unregister(path: Space, from: number, to: number): void {
    const start = from + quotaPath.bytes.length
    const end = lastSlash(path.bytes, from, to)
    if (end <= start || !this.#roots.delete(path, start, end)) return
    const root = this.#znodes.find(path, start, end)
    if (root !== 0) this.#znodes.rows.dropFlags(root, Flag.Quota)
  }

  /** Replaces the usage by what is there. @param from - start of the path of a znode beside the usage znode */
  #recount(path: Space, from: number, to: number): void {
    const start = from + quotaPath.bytes.length
    const end = lastSlash(path.bytes, from, to)
    if (end <= start) return
    const stats = this.#find(path, start, end, statsName)
    if (stats === 0) return
    const root = this.#znodes.find(path, start, end)
    const { count, bytes } = root === 0 ? { count: 0, bytes: 0 } : this.usageBelow(root)
    this.#write(stats, { count, bytes, countHardLimit: -1, byteHardLimit: -1 })
  }

  #isBelowQuota(id: ZnodeId): boolean {
    let node = id
    while (node !== 0 && node !== QuotaId) node = this.#znodes.rows.get(node, Row.parent)
    return node !== 0
  }

  #isNamed(id: ZnodeId, name: Space): boolean {
    const length = name.bytes.length
    if (this.#znodes.nameLength(id) !== length) return false
    return equalBytes(this.#znodes.space(id), this.#znodes.nameFrom(id), name, 0, length)
  }

  /** The limits or usage znode of the quota on a path. */
  #find(path: Space, from: number, to: number, name: Space): ZnodeId {
    const out = this.#path
    out.at = 0
    out.raw(quotaPath, 0, quotaPath.bytes.length)
    out.raw(path, from, to)
    out.byte(0x2f)
    out.raw(name, 0, name.bytes.length)
    return this.#znodes.find(out, 0, out.at)
  }

  #read(id: ZnodeId): QuotaText {
    if (id === 0) return { count: -1, bytes: -1, countHardLimit: -1, byteHardLimit: -1 }
    const from = this.#znodes.dataFrom(id)
    return readQuotaText(this.#znodes.space(id), from, from + this.#znodes.rows.get(id, Row.dataLength))
  }

  #write(id: ZnodeId, text: QuotaText): void {
    this.#text.at = 0
    writeQuotaText(text, this.#text)
    this.#znodes.setData(id, this.#text, 0, this.#text.at)
  }
}
