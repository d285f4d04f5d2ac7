/**
 * Whether there is room for what a write brings: below the quotas over its path, and in the table of ACLs. What goes
 * over is told to the operator, a soft quota too, which refuses nothing.
 *
 * Source: ZooKeeperServer.checkQuota in the Java server, which has no limit of ACLs but its memory.
 */
import { decodeUtf8, type Space } from '@corral/protocol'
import type { Fields } from '../effects.ts'
import { mostAcls } from '../tree/acl-table.ts'
import type { DataTree } from '../tree/data-tree.ts'
import type { FixedAcl } from './authorize.ts'

export class QuotaCheck {
  readonly #isEnforced: boolean
  readonly #tree: DataTree
  readonly #exceeded: (fields: Fields) => void

  constructor(given: {
    readonly isEnforced: boolean
    readonly tree: DataTree
    exceeded(fields: Fields): void
  }) {
    this.#isEnforced = given.isEnforced
    this.#tree = given.tree
    this.#exceeded = given.exceeded
  }

  /** @param change - by how much the write would change what is counted */
  isOver(
    path: Space,
    from: number,
    to: number,
    change: { readonly count: number; readonly bytes: number },
  ): boolean {
    if (!this.#isEnforced) return false
    const quota = this.#tree.quotaOver(path, from, to)
    if (quota === undefined) return false
    const { limits, usage, rootLength } = quota
    const isOver = (name: 'count' | 'bytes', hard: number): boolean => {
      const wanted = usage[name] + change[name]
      const limit = hard > -1 ? hard : limits[name]
      if (change[name] === 0 || limit < 0 || wanted <= limit) return false
      const root = decodeUtf8(path.bytes, from, from + rootLength)
      this.#exceeded({ path: root, [name]: wanted, limit, kind: hard > -1 ? 'hard' : 'soft' })
      return hard > -1
    }
    return isOver('count', limits.countHard) || isOver('bytes', limits.bytesHard)
  }

  admitsAcl(acl: Extract<FixedAcl, { ok: true }>, path: Space, from: number, to: number): boolean {
    const { acls } = this.#tree
    if (acls.admits(acl.space, acl.from, acl.to)) return true
    const wanted = acls.count + 1
    this.#exceeded({ path: decodeUtf8(path.bytes, from, to), acls: wanted, limit: mostAcls, kind: 'hard' })
    return false
  }
}
