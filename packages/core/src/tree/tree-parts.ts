/** What a tree consists of: shared by applying txns, loading snapshots and reading. */
import type { Random } from '../random.ts'
import { AclTable } from './acl-table.ts'
import { ChildLists } from './child-lists.ts'
import { DigestSum } from './digest.ts'
import { Ephemerals } from './ephemerals.ts'
import { Quotas } from './quotas.ts'
import { isLess } from './raw-bytes.ts'
import { ReapList } from './reap-list.ts'
import type { TreeWalk } from './tree-walk.ts'
import { WatchTable } from './watch-table.ts'
import { Flag, Row, type ZnodeId } from './znode-rows.ts'
import { ZnodeKind, Znodes } from './znodes.ts'

export interface TreeSettings {
  /** Seeds the hashes; nothing that can be seen depends on it. */
  readonly random: Random
  /** TTL znodes are recognised; else their owners are taken for sessions. The same on all servers. */
  readonly isTtlEnabled: boolean
  /** The tree digest is kept up to date. */
  readonly isDigestEnabled: boolean
}

export class TreeParts {
  readonly znodes: Znodes
  readonly acls: AclTable
  readonly ephemerals: Ephemerals
  readonly reapList: ReapList
  readonly quotas: Quotas
  readonly childLists: ChildLists
  readonly watches: WatchTable
  readonly walks: Set<TreeWalk> = new Set()
  readonly digest: DigestSum = new DigestSum()
  readonly isDigestEnabled: boolean
  readonly isTtlEnabled: boolean
  /** Of the last txn applied. */
  lastZxidHigh = 0
  lastZxidLow = 0

  constructor(given: TreeSettings) {
    const seed = given.random.u32() | 0
    this.isDigestEnabled = given.isDigestEnabled
    this.isTtlEnabled = given.isTtlEnabled
    this.znodes = new Znodes({ seed, isTtlEnabled: given.isTtlEnabled })
    this.acls = new AclTable({ arena: this.znodes.arena, seed })
    this.ephemerals = new Ephemerals({ seed })
    this.reapList = new ReapList(this.znodes)
    this.quotas = new Quotas(this.znodes)
    this.childLists = new ChildLists(this.znodes)
    this.watches = new WatchTable(this.znodes)
  }

  /** Puts a znode on the list of its kind. */
  enlist(id: ZnodeId): void {
    const kind = this.znodes.kind(id)
    if (kind === ZnodeKind.Persistent) return
    const { rows } = this.znodes
    if (kind === ZnodeKind.Ephemeral)
      this.ephemerals.add(id, rows.get(id, Row.owner), rows.get(id, Row.owner + 4))
    else this.reapList.add(id)
  }

  delist(id: ZnodeId): void {
    const kind = this.znodes.kind(id)
    if (kind === ZnodeKind.Ephemeral) this.ephemerals.remove(id)
    else if (kind !== ZnodeKind.Persistent) this.reapList.remove(id)
  }

  setAcl(id: ZnodeId, acl: number): void {
    this.acls.use(acl)
    this.acls.unuse(this.znodes.rows.acl(id))
    this.znodes.rows.setAcl(id, acl)
  }

  /** What the znode adds to the tree digest, signed; 0 without digests, and below /zookeeper. */
  digestOf(id: ZnodeId): number {
    return this.znodes.rows.get(id, Row.digest)
  }

  /** Whether the znode has a share of the tree digest. */
  isDigested(id: ZnodeId): boolean {
    return this.isDigestEnabled && !this.znodes.rows.hasFlag(id, Flag.Undigested)
  }

  raiseLastZxid(high: number, low: number): void {
    if (!isLess(this.lastZxidHigh, this.lastZxidLow, high, low)) return
    this.lastZxidHigh = high | 0
    this.lastZxidLow = low | 0
  }
}
