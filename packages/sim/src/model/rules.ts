/**
 * What a request must be answered, by the reference model: the order of checks of every write, and the result of
 * every read. Second opinion to core's prepare and read; the two share only the protocol package.
 */
import { createHash } from 'node:crypto'
import {
  type Acl,
  CreateFlags,
  ErrorCode,
  joinPath,
  type MultiOp,
  type MultiReadOp,
  OpCode,
  Perm,
  pathProblem,
  type ReplyBody,
  type Request,
  type SessionId,
  type Stat,
  type TxnBody,
  toBase64,
} from '@corral/protocol'
import { type QuotaRule, unlimited } from './quotas.ts'
import { kindOf, type ModelTree, statOf, type Znode } from './znodes.ts'

/** What a connection has proved to be. */
export interface Identity {
  readonly scheme: string
  readonly id: string
}

export type Verdict =
  | { readonly kind: 'txn'; readonly body: TxnBody }
  /** Refused by prepare: the refusal is logged. */
  | { readonly kind: 'refused'; readonly err: number }

/** What of the configuration decides, and the quotas as they stood when the request was looked at. */
export interface Rules {
  readonly isTtlEnabled: boolean
  readonly isOverQuota: QuotaRule
}

export const plainRules: Rules = { isTtlEnabled: true, isOverQuota: unlimited }

export interface Asker {
  readonly session: SessionId
  readonly identities: readonly Identity[]
}

/** Names that cannot be deleted. */
const fixedPaths: ReadonlySet<string> = new Set(['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config'])
const largestTtl = 2 ** 40 - 1

class Refusal {
  readonly err: number
  constructor(err: number) {
    this.err = err
  }
}

/** @returns the identity that a digest auth packet of these bytes gives */
export function digestIdentity(auth: Uint8Array): Identity {
  const text = Buffer.from(auth).toString('utf8')
  const user = text.split(':', 1)[0] ?? ''
  return { scheme: 'digest', id: `${user}:${toBase64(createHash('sha1').update(auth).digest())}` }
}

export function isPermitted(acl: readonly Acl[], wanted: number, identities: readonly Identity[]): boolean {
  if (acl.length === 0) return true
  if (identities.some(identity => identity.scheme === 'super')) return true
  return acl.some(entry => {
    if ((entry.perms & wanted) === 0) return false
    if (entry.scheme === 'world') return entry.id === 'anyone'
    return identities.some(identity => identity.scheme === entry.scheme && identity.id === entry.id)
  })
}

/** The txn that a write must become on this tree, or why not. */
export function prepare(tree: ModelTree, asker: Asker, request: Request, rules: Rules = plainRules): Verdict {
  const draft = new Draft(tree, rules)
  if (request.kind === 'multi') return prepareMulti(draft, asker, request.ops)
  try {
    return { kind: 'txn', body: prepareOne(draft, asker, request) }
  } catch (error) {
    if (error instanceof Refusal) return { kind: 'refused', err: error.err }
    throw error
  }
}

function prepareMulti(draft: Draft, asker: Asker, ops: readonly MultiOp[]): Verdict {
  const txns: TxnBody[] = []
  for (const [i, op] of ops.entries()) {
    try {
      txns.push(prepareOne(draft, asker, op))
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      // What came before keeps its body, though nothing of it will be applied.
      txns.push({ kind: 'error', err: error.err })
      for (let rest = i + 1; rest < ops.length; rest++) {
        txns.push({ kind: 'error', err: ErrorCode.RuntimeInconsistency })
      }
      break
    }
  }
  return { kind: 'txn', body: { kind: 'multi', txns } }
}

/** The tree with the earlier ops of the same multi on top. */
interface DraftNode {
  version: number
  cversion: number
  aversion: number
  childCount: number
  isEphemeral: boolean
  dataLength: number
  acl: readonly Acl[]
}

class Draft {
  readonly #tree: ModelTree
  readonly rules: Rules
  readonly #changed: Map<string, DraftNode | undefined> = new Map()

  constructor(tree: ModelTree, rules: Rules) {
    this.#tree = tree
    this.rules = rules
  }

  find(path: string): DraftNode | undefined {
    const key = path === '' ? '/' : path
    if (this.#changed.has(key)) return this.#changed.get(key)
    const znode = this.#tree.find(key)
    if (znode === undefined) return undefined
    const node: DraftNode = {
      version: znode.version,
      cversion: znode.cversion,
      aversion: znode.aversion,
      childCount: znode.children.size,
      isEphemeral: kindOf(znode) === 'ephemeral',
      dataLength: znode.data?.length ?? 0,
      acl: znode.acl,
    }
    this.#changed.set(key, node)
    return node
  }

  set(path: string, node: DraftNode | undefined): void {
    this.#changed.set(path === '' ? '/' : path, node)
  }
}

function prepareOne(draft: Draft, asker: Asker, request: Request): TxnBody {
  switch (request.kind) {
    case 'create':
    case 'createTtl':
      return prepareCreate(draft, asker, request)
    case 'delete': {
      const { path } = request
      if (!path.includes('/') || path.includes('\0') || fixedPaths.has(path)) refuse(ErrorCode.BadArguments)
      const parent = draft.find(parentOf(path)) ?? refuse(ErrorCode.NoNode)
      demand(parent.acl, Perm.Delete, asker)
      const node = draft.find(path) ?? refuse(ErrorCode.NoNode)
      matchVersion(request.version, node.version)
      if (node.childCount > 0) refuse(ErrorCode.NotEmpty)
      draft.set(path, undefined)
      parent.childCount--
      return { kind: 'delete', path }
    }
    case 'setData': {
      const node = existing(draft, request.path)
      demand(node.acl, Perm.Write, asker)
      const dataLength = request.data?.length ?? 0
      demandRoom(draft, request.path, { count: 0, bytes: dataLength - node.dataLength })
      node.dataLength = dataLength
      node.version = matchVersion(request.version, node.version)
      return { kind: 'setData', path: request.path, data: request.data, version: node.version }
    }
    case 'setAcl': {
      if (pathProblem(request.path) !== undefined) refuse(ErrorCode.BadArguments)
      const acl = normalised(request.acl, asker)
      const node = draft.find(request.path) ?? refuse(ErrorCode.NoNode)
      demand(node.acl, Perm.Admin, asker)
      node.aversion = matchVersion(request.version, node.aversion)
      node.acl = acl
      return { kind: 'setAcl', path: request.path, acl, version: node.aversion }
    }
    case 'check': {
      const node = existing(draft, request.path)
      demand(node.acl, Perm.Read, asker)
      // What is logged is the version after the one that was found, as in the Java server.
      return { kind: 'check', path: request.path, version: matchVersion(request.version, node.version) }
    }
    default:
      return refuse(ErrorCode.Unimplemented)
  }
}

function prepareCreate(
  draft: Draft,
  asker: Asker,
  request: Request & { kind: 'create' | 'createTtl' },
): TxnBody {
  const { flags } = request
  if (flags < 0 || flags > 6) refuse(ErrorCode.BadArguments)
  const isTtl = flags === CreateFlags.PersistentWithTtl || flags === CreateFlags.PersistentSequentialWithTtl
  if (isTtl && !draft.rules.isTtlEnabled) refuse(ErrorCode.Unimplemented)
  if (request.kind === 'createTtl') checkTtl(isTtl, request.ttlMs)
  else if (isTtl) refuse(ErrorCode.BadArguments)
  if (!request.path.includes('/') || request.path.includes('\0')) refuse(ErrorCode.BadArguments)
  const acl = normalised(request.acl, asker)
  const parent = draft.find(parentOf(request.path)) ?? refuse(ErrorCode.NoNode)
  demand(parent.acl, Perm.Create, asker)
  const isSequential = flags === 2 || flags === 3 || flags === 6
  const path = isSequential ? request.path + sequenceOf(parent.cversion) : request.path
  if (pathProblem(path) !== undefined) refuse(ErrorCode.BadArguments)
  if (draft.find(path) !== undefined) refuse(ErrorCode.NodeExists)
  if (parent.isEphemeral) refuse(ErrorCode.NoChildrenForEphemerals)
  const dataLength = request.data?.length ?? 0
  demandRoom(draft, path, { count: 1, bytes: dataLength })
  const isEphemeral = flags === CreateFlags.Ephemeral || flags === CreateFlags.EphemeralSequential
  parent.cversion++
  parent.childCount++
  draft.set(path, { version: 0, cversion: 0, aversion: 0, childCount: 0, isEphemeral, dataLength, acl })
  const common = { path, data: request.data, acl, parentCversion: parent.cversion }
  if (isTtl && request.kind === 'createTtl') return { kind: 'createTtl', ...common, ttlMs: request.ttlMs }
  if (flags === CreateFlags.Container) return { kind: 'createContainer', ...common }
  const type = request.kind === 'create' && request.op === OpCode.Create2 ? OpCode.Create2 : OpCode.Create
  return { kind: 'create', type, ...common, isEphemeral }
}

function checkTtl(isTtlMode: boolean, ttlMs: number): void {
  const isGood = isTtlMode ? ttlMs > 0 && ttlMs <= largestTtl : ttlMs < 0
  if (!isGood) refuse(ErrorCode.BadArguments)
}

/** The parent as the server cuts it: everything before the last slash. */
function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function sequenceOf(cversion: number): string {
  return cversion < 0 ? `-${String(-cversion).padStart(9, '0')}` : String(cversion).padStart(10, '0')
}

function existing(draft: Draft, path: string): DraftNode {
  if (pathProblem(path) !== undefined) refuse(ErrorCode.BadArguments)
  return draft.find(path) ?? refuse(ErrorCode.NoNode)
}

function demand(acl: readonly Acl[], wanted: number, asker: Asker): void {
  if (!isPermitted(acl, wanted, asker.identities)) refuse(ErrorCode.NoAuth)
}

function demandRoom(
  draft: Draft,
  path: string,
  change: { readonly count: number; readonly bytes: number },
): void {
  if (draft.rules.isOverQuota(path, change)) refuse(ErrorCode.QuotaExceeded)
}

/** @returns the version after the change */
function matchVersion(expected: number, actual: number): number {
  if (expected !== -1 && expected !== actual) refuse(ErrorCode.BadVersion)
  return (actual + 1) | 0
}

function refuse(err: number): never {
  throw new Refusal(err)
}

function normalised(acl: readonly Acl[] | null, asker: Asker): readonly Acl[] {
  if (acl === null || acl.length === 0) refuse(ErrorCode.InvalidAcl)
  const seen = new Set<string>()
  const result: Acl[] = []
  for (const entry of acl) {
    const key = JSON.stringify([entry.perms, entry.scheme, entry.id])
    if (seen.has(key)) continue
    seen.add(key)
    result.push(...normalisedEntry(entry, asker))
  }
  return result
}

function normalisedEntry(entry: Acl, asker: Asker): readonly Acl[] {
  switch (entry.scheme) {
    case 'world':
      return entry.id === 'anyone' ? [entry] : refuse(ErrorCode.InvalidAcl)
    case 'auth': {
      const proved = asker.identities.filter(identity => identity.scheme === 'digest')
      if (proved.length === 0) refuse(ErrorCode.InvalidAcl)
      return proved.map(identity => ({ perms: entry.perms, scheme: identity.scheme, id: identity.id }))
    }
    case 'digest':
      return /^[^:]*:[^:]+:*$/.test(entry.id ?? '') ? [entry] : refuse(ErrorCode.InvalidAcl)
    case 'ip':
      return /^\d+\.\d+\.\d+\.\d+(\/([12]?\d|3[0-2]))?$/.test(entry.id ?? '')
        ? [entry]
        : refuse(ErrorCode.InvalidAcl)
    default:
      return refuse(ErrorCode.InvalidAcl)
  }
}

/** The body that the reply to a successful write must have. @param stats - what applying the txn left */
export function writeReply(request: Request, body: TxnBody, stats: readonly (Stat | undefined)[]): ReplyBody {
  switch (body.kind) {
    case 'create': {
      const isPlain = request.kind === 'create' && request.op === OpCode.Create
      return isPlain ? { kind: 'path', path: body.path } : pathStat(body.path, stats[0])
    }
    case 'createContainer':
    case 'createTtl':
      return request.kind === 'create' && request.op === OpCode.Create
        ? { kind: 'path', path: body.path }
        : pathStat(body.path, stats[0])
    case 'setData':
    case 'setAcl':
      return { kind: 'stat', stat: stats[0] as Stat }
    case 'multi':
      if (body.txns.some(sub => sub.kind === 'error')) {
        return { kind: 'results', results: body.txns.map(failedResult) }
      }
      return { kind: 'results', results: body.txns.map((sub, i) => multiResult(request, sub, i, stats[i])) }
    default:
      return { kind: 'none' }
  }
}

function pathStat(path: string, stat: Stat | undefined): ReplyBody {
  return { kind: 'pathStat', path, stat: stat as Stat }
}

type Result = (ReplyBody & { kind: 'results' })['results'][number]

function failedResult(body: TxnBody): Result {
  return { kind: 'error', err: body.kind === 'error' ? body.err : ErrorCode.Ok }
}

function multiResult(request: Request, body: TxnBody, index: number, stat: Stat | undefined): Result {
  switch (body.kind) {
    case 'create': {
      const op = request.kind === 'multi' ? request.ops[index] : undefined
      const isPlain = op?.kind === 'create' && op.op === OpCode.Create
      return isPlain
        ? { kind: 'created', path: body.path }
        : { kind: 'created', path: body.path, stat: stat as Stat }
    }
    case 'createContainer':
    case 'createTtl':
      return { kind: 'created', path: body.path, stat: stat as Stat }
    case 'setData':
      return { kind: 'set', stat: stat as Stat }
    case 'check':
      return { kind: 'checked' }
    default:
      return { kind: 'deleted' }
  }
}

export interface ReadVerdict {
  readonly err: number
  readonly body: ReplyBody
}

const noBody: ReplyBody = { kind: 'none' }

/** What a read must be answered on this tree, or undefined if the request is no read of the tree. */
export function read(tree: ModelTree, asker: Asker, request: Request): ReadVerdict | undefined {
  switch (request.kind) {
    case 'exists': {
      if (request.path.includes('\0')) return refused(ErrorCode.BadArguments)
      const znode = tree.find(request.path)
      if (znode === undefined) return refused(ErrorCode.NoNode)
      if (!mayRead(znode, asker)) return refused(ErrorCode.NoAuth)
      return { err: 0, body: { kind: 'stat', stat: statOf(znode) } }
    }
    case 'getData':
      return onReadable(tree, asker, request.path, znode => ({
        kind: 'data',
        data: znode.data,
        stat: statOf(znode),
      }))
    case 'getChildren':
      return onReadable(tree, asker, request.path, znode => ({
        kind: 'children',
        children: [...znode.children],
      }))
    case 'getChildren2':
      return onReadable(tree, asker, request.path, znode => ({
        kind: 'children',
        children: [...znode.children],
        stat: statOf(znode),
      }))
    case 'getAllChildrenNumber':
      return onReadable(tree, asker, request.path, znode => ({
        kind: 'number',
        number: descendants(tree, znode),
      }))
    case 'getAcl':
      return readAcls(tree, asker, request.path)
    case 'getEphemerals':
      return {
        err: 0,
        body: {
          kind: 'ephemerals',
          paths: [...tree.ephemeralsOf(asker.session)].filter(path => path.startsWith(request.path)),
        },
      }
    case 'sync':
      return { err: 0, body: { kind: 'path', path: request.path } }
    case 'whoAmI': {
      const infos = asker.identities.map(({ scheme, id }) => ({ scheme, user: id.split(':', 1)[0] ?? '' }))
      return { err: 0, body: { kind: 'clientInfo', infos } }
    }
    case 'multiRead':
      return { err: 0, body: { kind: 'results', results: request.ops.map(op => subRead(tree, asker, op)) } }
    default:
      return undefined
  }
}

function subRead(
  tree: ModelTree,
  asker: Asker,
  op: MultiReadOp,
): (ReplyBody & { kind: 'results' })['results'][number] {
  const verdict = read(tree, asker, op)
  const body = verdict?.body ?? noBody
  if (body.kind === 'data') return body
  if (body.kind === 'children') return { kind: 'children', children: body.children }
  return { kind: 'error', err: verdict?.err ?? 0 }
}

function onReadable(
  tree: ModelTree,
  asker: Asker,
  path: string,
  answer: (znode: Znode) => ReplyBody,
): ReadVerdict {
  const znode = tree.find(path)
  if (znode === undefined) return refused(ErrorCode.NoNode)
  if (!mayRead(znode, asker)) return refused(ErrorCode.NoAuth)
  return { err: 0, body: answer(znode) }
}

function readAcls(tree: ModelTree, asker: Asker, path: string): ReadVerdict {
  const znode = tree.find(path)
  if (znode === undefined) return refused(ErrorCode.NoNode)
  if (!isPermitted(znode.acl, Perm.Read | Perm.Admin, asker.identities)) return refused(ErrorCode.NoAuth)
  const isAdmin = isPermitted(znode.acl, Perm.Admin, asker.identities)
  const acl = isAdmin ? znode.acl : znode.acl.map(masked)
  return { err: 0, body: { kind: 'acl', acl, stat: statOf(znode) } }
}

function masked(entry: Acl): Acl {
  return entry.scheme === 'digest' ? { ...entry, id: (entry.id ?? '').replace(/:.*/, ':x') } : entry
}

function mayRead(znode: Znode, asker: Asker): boolean {
  return isPermitted(znode.acl, Perm.Read, asker.identities)
}

function descendants(tree: ModelTree, znode: Znode): number {
  let count = 0
  const todo: Znode[] = [znode]
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    for (const name of next.children) {
      count++
      const child = tree.find(joinPath(next.path, name))
      if (child !== undefined) todo.push(child)
    }
  }
  return count
}

function refused(err: number): ReadVerdict {
  return { err, body: noBody }
}

/** Is this request one that changes the tree, and so takes a zxid? */
export function isWrite(request: Request): boolean {
  return ['create', 'createTtl', 'delete', 'setData', 'setAcl', 'multi', 'closeSession', 'check'].includes(
    request.kind,
  )
}

export function isContainerOver(znode: Znode, given: { readonly nowMs: number }): boolean {
  if (znode.children.size > 0) return false
  const kind = kindOf(znode)
  if (kind === 'container') return znode.cversion > 0
  return kind === 'ttl' && given.nowMs - znode.mtime > Number(BigInt.asUintN(40, znode.owner))
}
