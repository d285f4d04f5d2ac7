/**
 * The reference model's state: a plain tree of objects, one string path each, written for being right and not for
 * being fast. It shares no code with core's tree.
 */
import {
  type Acl,
  assert,
  crc32,
  encodeUtf8,
  lastComponent,
  openAcl,
  parentPath,
  readAcl,
  type SessionId,
  type Stat,
  sessionId,
  type TxnBody,
  type TxnHeader,
  unreachable,
  type Zxid,
  zxid,
} from '@corral/protocol'
import { ModelQuotas } from './quotas.ts'

export const containerOwner: SessionId = sessionId(-0x8000000000000000n)
const ttlMark = 0xff00_0000_0000_0000n

export interface Znode {
  readonly path: string
  data: Uint8Array | null
  acl: readonly Acl[]
  readonly children: Set<string>
  readonly czxid: Zxid
  mzxid: Zxid
  pzxid: Zxid
  readonly ctime: number
  mtime: number
  version: number
  /** Counts creations of children only; what clients see is derived. */
  cversion: number
  aversion: number
  /** As stored: a session, or a mark for containers and TTL znodes. */
  readonly owner: SessionId
}

export type ZnodeKind = 'persistent' | 'ephemeral' | 'container' | 'ttl'

export function kindOf(znode: Znode): ZnodeKind {
  if (znode.owner === 0n) return 'persistent'
  if (znode.owner === containerOwner) return 'container'
  return BigInt.asUintN(64, znode.owner) >> 56n === 0xffn ? 'ttl' : 'ephemeral'
}

export function statOf(znode: Znode): Stat {
  return {
    czxid: znode.czxid,
    mzxid: znode.mzxid,
    ctime: znode.ctime,
    mtime: znode.mtime,
    version: znode.version,
    cversion: (2 * znode.cversion - znode.children.size) | 0,
    aversion: znode.aversion,
    ephemeralOwner: kindOf(znode) === 'ephemeral' ? znode.owner : sessionId(0n),
    dataLength: znode.data?.length ?? 0,
    numChildren: znode.children.size,
    pzxid: znode.pzxid,
  }
}

/** One thing that applying a txn did, in order, with the ACL that decides who may hear of it. */
export interface Change {
  readonly kind: 'created' | 'deleted' | 'dataChanged'
  readonly path: string
  readonly acl: readonly Acl[]
  readonly parentAcl: readonly Acl[]
}

/** What a txn's ops left, for the replies of a multi. */
export interface Applied {
  readonly changes: readonly Change[]
  /** One per sub-txn of a multi (one in all for the others): the Stat right after it, where there is one. */
  readonly stats: readonly (Stat | undefined)[]
}

export class ModelTree {
  readonly #znodes: Map<string, Znode> = new Map()
  readonly #ephemerals: Map<SessionId, Set<string>> = new Map()
  readonly sessions: Map<SessionId, number> = new Map()
  readonly quotas: ModelQuotas = new ModelQuotas(this)
  #digest = 0n
  lastZxid: Zxid = zxid(0n)

  constructor() {
    const fresh = (path: string, acl: readonly Acl[], aversion: number): void => {
      this.#add({
        path,
        data: new Uint8Array(0),
        acl,
        children: new Set(),
        czxid: zxid(0n),
        mzxid: zxid(0n),
        pzxid: zxid(0n),
        ctime: 0,
        mtime: 0,
        version: 0,
        cversion: 0,
        aversion,
        owner: sessionId(0n),
      })
    }
    fresh('/', openAcl, 0)
    fresh('/zookeeper', openAcl, 0)
    fresh('/zookeeper/quota', openAcl, 0)
    fresh('/zookeeper/config', readAcl, -1)
  }

  get digest(): bigint {
    return this.#digest
  }

  /** '' is the root, as the server has it. */
  find(path: string): Znode | undefined {
    return this.#znodes.get(path === '' ? '/' : path)
  }

  all(): IterableIterator<Znode> {
    return this.#znodes.values()
  }

  ephemeralsOf(session: SessionId): ReadonlySet<string> {
    return this.#ephemerals.get(session) ?? new Set()
  }

  apply(header: TxnHeader, body: TxnBody): Applied {
    const changes: Change[] = []
    const stats: (Stat | undefined)[] = []
    const bodies = body.kind === 'multi' ? body.txns : [body]
    if (!bodies.some(sub => sub.kind === 'error')) {
      for (const sub of bodies) stats.push(this.#applyOne(header, sub, changes))
    }
    this.lastZxid = header.zxid
    return { changes, stats }
  }

  #applyOne(header: TxnHeader, body: TxnBody, changes: Change[]): Stat | undefined {
    switch (body.kind) {
      case 'create':
        return this.#create(header, body, body.isEphemeral ? header.session : sessionId(0n), changes)
      case 'createContainer':
        return this.#create(header, body, containerOwner, changes)
      case 'createTtl':
        return this.#create(header, body, sessionId(ttlMark | BigInt(body.ttlMs ?? 0)), changes)
      case 'delete':
      case 'deleteContainer':
        this.#delete(header, body.path, changes)
        return undefined
      case 'setData':
      case 'reconfig': {
        const znode = this.#known(body.path)
        const lengthBefore = znode.data?.length ?? 0
        this.#change(znode, () => {
          znode.data = body.data
          znode.version = body.version
          znode.mzxid = header.zxid
          znode.mtime = header.timeMs
        })
        this.quotas.changed(znode, (body.data?.length ?? 0) - lengthBefore)
        changes.push({ kind: 'dataChanged', path: znode.path, acl: znode.acl, parentAcl: openAcl })
        return statOf(znode)
      }
      case 'setAcl': {
        const znode = this.#known(body.path)
        this.#change(znode, () => {
          znode.acl = body.acl ?? []
          znode.aversion = body.version
        })
        return statOf(znode)
      }
      case 'createSession':
        this.sessions.set(header.session, body.timeoutMs)
        return undefined
      case 'closeSession':
        for (const path of body.paths ?? this.ephemeralsOf(header.session))
          this.#delete(header, path, changes)
        this.sessions.delete(header.session)
        return undefined
      case 'check':
      case 'error':
        return undefined
      case 'multi':
        assert(false, 'a multi holds no multi')
        return undefined
      default:
        return unreachable(body)
    }
  }

  #create(
    header: TxnHeader,
    body: TxnBody & { kind: 'create' | 'createContainer' | 'createTtl' },
    owner: SessionId,
    changes: Change[],
  ): Stat {
    const parent = this.#known(parentPath(body.path))
    assert(!this.#znodes.has(body.path), `${body.path} is new`)
    this.#change(parent, () => {
      parent.children.add(lastComponent(body.path))
      const cversion = body.parentCversion === -1 ? parent.cversion + 1 : body.parentCversion
      if (cversion <= parent.cversion) return
      parent.cversion = cversion
      parent.pzxid = header.zxid
    })
    const znode: Znode = {
      path: body.path,
      data: body.data,
      acl: body.acl ?? [],
      children: new Set(),
      czxid: header.zxid,
      mzxid: header.zxid,
      pzxid: header.zxid,
      ctime: header.timeMs,
      mtime: header.timeMs,
      version: 0,
      cversion: 0,
      aversion: 0,
      owner,
    }
    this.#add(znode)
    this.quotas.created(znode)
    changes.push({ kind: 'created', path: body.path, acl: znode.acl, parentAcl: parent.acl })
    return statOf(znode)
  }

  #delete(header: TxnHeader, path: string, changes: Change[]): void {
    const znode = this.#known(path)
    const parent = this.#known(parentPath(path))
    assert(znode.children.size === 0, `${path} has no children when it is deleted`)
    this.quotas.deleting(znode)
    this.#digest -= digestOf(znode)
    this.#znodes.delete(path)
    if (kindOf(znode) === 'ephemeral') this.#ephemerals.get(znode.owner)?.delete(path)
    this.#change(parent, () => {
      parent.children.delete(lastComponent(path))
      if (header.zxid > parent.pzxid) parent.pzxid = header.zxid
    })
    changes.push({ kind: 'deleted', path, acl: znode.acl, parentAcl: parent.acl })
  }

  #known(path: string): Znode {
    const znode = this.find(path)
    assert(znode !== undefined, `a txn names ${path}, which does not exist`)
    return znode
  }

  #add(znode: Znode): void {
    this.#znodes.set(znode.path, znode)
    if (znode.path !== '/') this.find(parentPath(znode.path))?.children.add(lastComponent(znode.path))
    if (kindOf(znode) === 'ephemeral') {
      const owned = this.#ephemerals.get(znode.owner) ?? new Set()
      owned.add(znode.path)
      this.#ephemerals.set(znode.owner, owned)
    }
    this.#digest = BigInt.asUintN(64, this.#digest + digestOf(znode))
  }

  #change(znode: Znode, change: () => void): void {
    this.#digest -= digestOf(znode)
    change()
    this.#digest = BigInt.asUintN(64, this.#digest + digestOf(znode))
  }
}

/** CRC-32 over path, data and stored stat; the server's own subtree does not count. */
function digestOf(znode: Znode): bigint {
  if (znode.path.startsWith('/zookeeper/')) return 0n
  const path = encodeUtf8(znode.path === '/' ? '' : znode.path)
  const dataLength = znode.data?.length ?? 0
  const bytes = new Uint8Array(path.length + dataLength + 60)
  const view = new DataView(bytes.buffer)
  bytes.set(path)
  if (znode.data !== null) bytes.set(znode.data, path.length)
  let at = path.length + dataLength
  for (const long of [znode.czxid, znode.mzxid, znode.pzxid, BigInt(znode.ctime), BigInt(znode.mtime)]) {
    view.setBigInt64(at, long)
    at += 8
  }
  for (const word of [znode.version, znode.cversion, znode.aversion]) {
    view.setInt32(at, word)
    at += 4
  }
  view.setBigInt64(at, znode.owner)
  return BigInt(crc32({ bytes, view }, 0, bytes.length) >>> 0)
}
