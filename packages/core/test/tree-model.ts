/**
 * What the tree must do, said with maps and strings: the rules of applying a txn, the digest recomputed from nothing,
 * and the two tables of watches, each path and connection with a set of modes.
 */
import { crc32 } from 'node:zlib'
import {
  type Acl,
  ErrorCode,
  EventType,
  openAcl,
  type Stat,
  sessionId,
  type Txn,
  type TxnBody,
  zxid,
} from '@corral/protocol'
import { WatchKind } from '../src/tree/watch-table.ts'

export interface ModelZnode {
  data: Uint8Array | null
  acl: readonly Acl[]
  czxid: bigint
  mzxid: bigint
  pzxid: bigint
  ctime: number
  mtime: number
  version: number
  cversion: number
  aversion: number
  owner: bigint
}

export const containerOwner = -0x8000_0000_0000_0000n
export const ttlOwner = (ttlMs: number): bigint => BigInt.asIntN(64, (0xff00n << 48n) | BigInt(ttlMs))
const isMarker = (owner: bigint): boolean =>
  owner === containerOwner || BigInt.asUintN(64, owner) >> 40n === 0xff_0000n

export interface ModelEvent {
  readonly slot: number
  readonly type: number
  readonly path: string
}

export class TreeModel {
  readonly znodes: Map<string, ModelZnode> = new Map()
  readonly dataWatches: Map<string, Map<number, Set<number>>> = new Map()
  readonly childWatches: Map<string, Map<number, Set<number>>> = new Map()
  lastZxid = 0n
  events: ModelEvent[] = []

  constructor() {
    for (const path of ['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config']) {
      this.znodes.set(path, fresh({ data: new Uint8Array(0), acl: openAcl, zxid: 0n, time: 0, owner: 0n }))
    }
    const config = this.znodes.get('/zookeeper/config') as ModelZnode
    config.acl = [{ perms: 1, scheme: 'world', id: 'anyone' }]
    config.aversion = -1
  }

  /** @returns the result, or those of a multi */
  apply(txn: Txn): number | number[] {
    const { header, body } = txn
    const result = body.kind === 'multi' ? this.#multi(txn, body.txns) : this.#one(txn, body)
    if (header.zxid > this.lastZxid) this.lastZxid = header.zxid
    return result
  }

  children(path: string): string[] {
    const prefix = path === '/' ? '/' : `${path}/`
    return [...this.znodes.keys()].filter(other => {
      return other !== '/' && other.startsWith(prefix) && !other.slice(prefix.length).includes('/')
    })
  }

  stat(path: string): Stat {
    const znode = this.znodes.get(path) as ModelZnode
    const numChildren = this.children(path).length
    return {
      czxid: zxid(znode.czxid),
      mzxid: zxid(znode.mzxid),
      ctime: znode.ctime,
      mtime: znode.mtime,
      version: znode.version,
      cversion: (2 * znode.cversion - numChildren) | 0,
      aversion: znode.aversion,
      ephemeralOwner: sessionId(isMarker(znode.owner) ? 0n : znode.owner),
      dataLength: znode.data?.length ?? 0,
      numChildren,
      pzxid: zxid(znode.pzxid),
    }
  }

  digest(): bigint {
    let sum = 0n
    for (const [path, znode] of this.znodes) {
      if (path.startsWith('/zookeeper/')) continue
      const stat = Buffer.alloc(60)
      for (const [i, value] of [znode.czxid, znode.mzxid, znode.pzxid].entries())
        stat.writeBigInt64BE(value, 8 * i)
      stat.writeBigInt64BE(BigInt(znode.ctime), 24)
      stat.writeBigInt64BE(BigInt(znode.mtime), 32)
      stat.writeInt32BE(znode.version, 40)
      stat.writeInt32BE(znode.cversion, 44)
      stat.writeInt32BE(znode.aversion, 48)
      stat.writeBigInt64BE(znode.owner, 52)
      const name = Buffer.from(path === '/' ? '' : path)
      sum += BigInt(crc32(Buffer.concat([name, znode.data ?? Buffer.alloc(0), stat])))
    }
    return BigInt.asUintN(64, sum)
  }

  watch(slot: number, path: string, kind: number): void {
    if (kind !== WatchKind.Child) add(this.dataWatches, path, slot, kind)
    if (kind === WatchKind.Child || kind === WatchKind.Persistent) add(this.childWatches, path, slot, kind)
  }

  dropWatcher(slot: number): void {
    for (const table of [this.dataWatches, this.childWatches]) {
      for (const [path, entries] of table) {
        entries.delete(slot)
        if (entries.size === 0) table.delete(path)
      }
    }
  }

  dataTotals(): { connections: number; paths: number; watches: number } {
    const entries = [...this.dataWatches.values()].filter(({ size }) => size > 0)
    const connections = new Set(entries.flatMap(each => [...each.keys()])).size
    return { connections, paths: entries.length, watches: entries.reduce((sum, { size }) => sum + size, 0) }
  }

  watchCount(): number {
    let count = 0
    for (const table of [this.dataWatches, this.childWatches])
      for (const entries of table.values()) count += entries.size
    return count
  }

  #multi(txn: Txn, subTxns: readonly TxnBody[]): number[] {
    const failed = subTxns.findIndex(sub => sub.kind === 'error')
    if (failed < 0) return subTxns.map(sub => this.#one(txn, sub))
    return subTxns.map((sub, i) => {
      if (sub.kind === 'error') return sub.err
      return i < failed ? ErrorCode.Ok : ErrorCode.RuntimeInconsistency
    })
  }

  #one(txn: Txn, body: TxnBody): number {
    switch (body.kind) {
      case 'create':
        return this.#create(txn, body, body.isEphemeral ? txn.header.session : 0n)
      case 'createContainer':
        return this.#create(txn, body, containerOwner)
      case 'createTtl':
        return this.#create(txn, body, ttlOwner(body.ttlMs as number))
      case 'delete':
      case 'deleteContainer':
        return this.#delete(txn, body.path)
      case 'setData':
      case 'reconfig': {
        const znode = this.znodes.get(body.path)
        if (znode === undefined) return ErrorCode.NoNode
        znode.data = body.data
        znode.mzxid = txn.header.zxid
        znode.mtime = txn.header.timeMs
        znode.version = body.version
        this.#fire([[this.dataWatches, body.path]], EventType.NodeDataChanged)
        return ErrorCode.Ok
      }
      case 'setAcl': {
        const znode = this.znodes.get(body.path)
        if (znode === undefined) return ErrorCode.NoNode
        znode.acl = body.acl ?? openAcl
        znode.aversion = body.version
        return ErrorCode.Ok
      }
      case 'closeSession': {
        for (const path of body.paths ?? []) this.#delete(txn, path)
        const left = [...this.znodes].filter(([, znode]) => znode.owner === txn.header.session)
        for (const [path, { owner }] of left)
          if (owner !== 0n && this.children(path).length === 0) this.#delete(txn, path)
        return ErrorCode.Ok
      }
      case 'error':
        return body.err
      default:
        return ErrorCode.Ok
    }
  }

  #create(
    txn: Txn,
    body: Extract<TxnBody, { kind: 'create' | 'createContainer' | 'createTtl' }>,
    owner: bigint,
  ): number {
    const parentPath = parentOf(body.path)
    const parent = this.znodes.get(parentPath)
    if (parent === undefined) return ErrorCode.NoNode
    const existing = this.znodes.get(body.path)
    const acl = body.acl ?? openAcl
    const cversion = body.parentCversion === -1 ? (parent.cversion + 1) | 0 : body.parentCversion
    if (cversion > parent.cversion) {
      parent.cversion = cversion
      parent.pzxid = txn.header.zxid
    }
    if (existing !== undefined) {
      existing.acl = acl
      return ErrorCode.NodeExists
    }
    const { zxid: made, timeMs: time } = txn.header
    this.znodes.set(body.path, fresh({ data: body.data, acl, zxid: made, time, owner }))
    this.#fire([[this.dataWatches, body.path]], EventType.NodeCreated)
    this.#fire([[this.childWatches, parentPath]], EventType.NodeChildrenChanged)
    return ErrorCode.Ok
  }

  #delete(txn: Txn, path: string): number {
    const parentPath = parentOf(path)
    const parent = this.znodes.get(parentPath)
    if (parent === undefined) return ErrorCode.NoNode
    const znode = this.znodes.get(path)
    if (znode !== undefined && this.children(path).length > 0) {
      if (txn.header.zxid >= znode.czxid) return ErrorCode.DataInconsistency
      this.#deleteBelow(txn, path)
    }
    if (txn.header.zxid > parent.pzxid) parent.pzxid = txn.header.zxid
    if (znode === undefined) return ErrorCode.NoNode
    this.znodes.delete(path)
    const both: [Map<string, Map<number, Set<number>>>, string][] = [
      [this.dataWatches, path],
      [this.childWatches, path],
    ]
    this.#fire(both, EventType.NodeDeleted)
    this.#fire([[this.childWatches, parentPath]], EventType.NodeChildrenChanged)
    return ErrorCode.Ok
  }

  #deleteBelow(txn: Txn, path: string): void {
    for (const child of this.children(path).reverse()) {
      this.#deleteBelow(txn, child)
      this.#delete(txn, child)
    }
  }

  /** One step: each connection gets one event at most. */
  #fire(lookups: readonly [Map<string, Map<number, Set<number>>>, string][], type: number): void {
    const notified = new Set<number>()
    for (const [table, path] of lookups) {
      for (const [slot, modes] of table.get(path) ?? []) {
        notified.add(slot)
        modes.delete(WatchKind.Data)
        modes.delete(WatchKind.Child)
        if (modes.size === 0) table.get(path)?.delete(slot)
      }
      if (table.get(path)?.size === 0) table.delete(path)
      for (let above = path; table === this.dataWatches; above = parentOf(above)) {
        for (const [slot, modes] of table.get(above) ?? [])
          if (modes.has(WatchKind.Recursive)) notified.add(slot)
        if (above === '/') break
      }
    }
    const path = lookups[0]?.[1] as string
    for (const slot of notified) this.events.push({ slot, type, path })
  }
}

function fresh(given: {
  data: Uint8Array | null
  acl: readonly Acl[]
  zxid: bigint
  time: number
  owner: bigint
}): ModelZnode {
  const { data, acl, owner, time, zxid: made } = given
  const zxids = { czxid: made, mzxid: made, pzxid: made }
  return { data, acl, ...zxids, ctime: time, mtime: time, version: 0, cversion: 0, aversion: 0, owner }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

function add(table: Map<string, Map<number, Set<number>>>, path: string, slot: number, mode: number): void {
  const entries = table.get(path) ?? new Map<number, Set<number>>()
  const modes = entries.get(slot) ?? new Set<number>()
  modes.add(mode)
  entries.set(slot, modes)
  table.set(path, entries)
}
