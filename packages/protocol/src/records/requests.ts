/**
 * The requests as objects: for clients, tools and tests. (The server reads frames through RequestView, without
 * building objects.) Strings that a correct client never sends as null are plain strings here.
 */

import { unreachable } from '../base/assert.ts'
import { OpCode } from '../codes.ts'
import type { Zxid } from '../ids.ts'
import { DecodeError, Reader } from '../jute/reader.ts'
import type { Writer } from '../jute/writer.ts'
import { type Acl, multiEnd, readAclList, readMultiHeader, writeAclList, writeMultiHeader } from './data.ts'

export interface CreateRequest {
  readonly kind: 'create'
  readonly op: typeof OpCode.Create | typeof OpCode.Create2 | typeof OpCode.CreateContainer
  readonly path: string
  readonly data: Uint8Array | null
  readonly acl: readonly Acl[] | null
  readonly flags: number
}

export interface CreateTtlRequest {
  readonly kind: 'createTtl'
  readonly path: string
  readonly data: Uint8Array | null
  readonly acl: readonly Acl[] | null
  readonly flags: number
  readonly ttlMs: number
}

export interface DeleteRequest {
  readonly kind: 'delete'
  readonly path: string
  readonly version: number
}

/** The reads that take a path and may leave a watch. */
export interface PathWatchRequest {
  readonly kind: 'exists' | 'getData' | 'getChildren' | 'getChildren2'
  readonly path: string
  readonly watch: boolean
}

export interface SetDataRequest {
  readonly kind: 'setData'
  readonly path: string
  readonly data: Uint8Array | null
  readonly version: number
}

export interface SetAclRequest {
  readonly kind: 'setAcl'
  readonly path: string
  readonly acl: readonly Acl[] | null
  /** Compared with aversion. */
  readonly version: number
}

export interface CheckRequest {
  readonly kind: 'check'
  readonly path: string
  readonly version: number
}

/** The requests that are a path and nothing else. */
export interface PathRequest {
  readonly kind: 'getAcl' | 'sync' | 'getEphemerals' | 'getAllChildrenNumber'
  readonly path: string
}

export interface MultiRequest {
  readonly kind: 'multi'
  readonly ops: readonly MultiOp[]
}

export interface MultiReadRequest {
  readonly kind: 'multiRead'
  readonly ops: readonly MultiReadOp[]
}

export type MultiOp = CreateRequest | CreateTtlRequest | DeleteRequest | SetDataRequest | CheckRequest
export type MultiReadOp = PathWatchRequest & { readonly kind: 'getData' | 'getChildren' }

/** Null lists mean "not given"; see the reconfiguration rules of the protocol. */
export interface ReconfigRequest {
  readonly kind: 'reconfig'
  readonly joiningServers: string | null
  readonly leavingServers: string | null
  readonly newMembers: string | null
  readonly configId: bigint
}

/** SetWatches, and SetWatches2 when the persistent lists are given. */
export interface SetWatchesRequest {
  readonly kind: 'setWatches'
  readonly relativeZxid: Zxid
  readonly data: readonly string[]
  readonly exist: readonly string[]
  readonly child: readonly string[]
  readonly persistent?: { readonly plain: readonly string[]; readonly recursive: readonly string[] }
}

export interface AddWatchRequest {
  readonly kind: 'addWatch'
  readonly path: string
  readonly mode: number
}

export interface WatcherRequest {
  readonly kind: 'checkWatches' | 'removeWatches'
  readonly path: string
  readonly type: number
}

export interface AuthRequest {
  readonly kind: 'auth'
  readonly scheme: string
  readonly auth: Uint8Array | null
}

export interface SaslRequest {
  readonly kind: 'sasl'
  readonly token: Uint8Array | null
}

/** The requests without a body. */
export interface BareRequest {
  readonly kind: 'ping' | 'whoAmI' | 'closeSession'
}

export type Request =
  | CreateRequest
  | CreateTtlRequest
  | DeleteRequest
  | PathWatchRequest
  | SetDataRequest
  | SetAclRequest
  | CheckRequest
  | PathRequest
  | MultiRequest
  | MultiReadRequest
  | ReconfigRequest
  | SetWatchesRequest
  | AddWatchRequest
  | WatcherRequest
  | AuthRequest
  | SaslRequest
  | BareRequest

const fixedOps = {
  createTtl: OpCode.CreateTtl,
  delete: OpCode.Delete,
  exists: OpCode.Exists,
  getData: OpCode.GetData,
  getChildren: OpCode.GetChildren,
  getChildren2: OpCode.GetChildren2,
  setData: OpCode.SetData,
  setAcl: OpCode.SetAcl,
  check: OpCode.Check,
  getAcl: OpCode.GetAcl,
  sync: OpCode.Sync,
  getEphemerals: OpCode.GetEphemerals,
  getAllChildrenNumber: OpCode.GetAllChildrenNumber,
  multi: OpCode.Multi,
  multiRead: OpCode.MultiRead,
  reconfig: OpCode.Reconfig,
  addWatch: OpCode.AddWatch,
  checkWatches: OpCode.CheckWatches,
  removeWatches: OpCode.RemoveWatches,
  auth: OpCode.Auth,
  sasl: OpCode.Sasl,
  ping: OpCode.Ping,
  whoAmI: OpCode.WhoAmI,
  closeSession: OpCode.CloseSession,
} as const

export function opOf(request: Request): OpCode {
  if (request.kind === 'create') return request.op
  if (request.kind === 'setWatches') {
    return request.persistent === undefined ? OpCode.SetWatches : OpCode.SetWatches2
  }
  return fixedOps[request.kind]
}

/** Writes one whole frame: length, header, record. */
export function writeRequestFrame(w: Writer, xid: number, request: Request): void {
  const start = w.beginFrame()
  w.int32(xid)
  w.int32(opOf(request))
  writeRequestBody(w, request)
  w.endFrame(start)
}

export function writeRequestBody(w: Writer, request: Request): void {
  switch (request.kind) {
    case 'create':
    case 'createTtl':
      w.string(request.path)
      w.buffer(request.data)
      writeAclList(w, request.acl)
      w.int32(request.flags)
      if (request.kind === 'createTtl') w.measure(request.ttlMs)
      return
    case 'delete':
    case 'check':
      w.string(request.path)
      return w.int32(request.version)
    case 'exists':
    case 'getData':
    case 'getChildren':
    case 'getChildren2':
      w.string(request.path)
      return w.bool(request.watch)
    case 'setData':
      w.string(request.path)
      w.buffer(request.data)
      return w.int32(request.version)
    case 'setAcl':
      w.string(request.path)
      writeAclList(w, request.acl)
      return w.int32(request.version)
    case 'getAcl':
    case 'sync':
    case 'getEphemerals':
    case 'getAllChildrenNumber':
      return w.string(request.path)
    case 'multi':
    case 'multiRead':
      for (const op of request.ops) {
        writeMultiHeader(w, { type: opOf(op), isDone: false, err: -1 })
        writeRequestBody(w, op)
      }
      return writeMultiHeader(w, multiEnd)
    case 'reconfig':
      w.string(request.joiningServers)
      w.string(request.leavingServers)
      w.string(request.newMembers)
      return w.int64(request.configId)
    case 'setWatches':
      return writeSetWatches(w, request)
    case 'addWatch':
      w.string(request.path)
      return w.int32(request.mode)
    case 'checkWatches':
    case 'removeWatches':
      w.string(request.path)
      return w.int32(request.type)
    case 'auth':
      w.int32(0)
      w.string(request.scheme)
      return w.buffer(request.auth)
    case 'sasl':
      return w.buffer(request.token)
    case 'ping':
    case 'whoAmI':
    case 'closeSession':
      return
    default:
      return unreachable(request)
  }
}

function writeSetWatches(w: Writer, request: SetWatchesRequest): void {
  const { persistent } = request
  w.int64(request.relativeZxid)
  const lists = [request.data, request.exist, request.child]
  if (persistent !== undefined) lists.push(persistent.plain, persistent.recursive)
  for (const list of lists) w.vector(list, (writer, path) => writer.string(path))
}

/** Reads one frame without its length word. @throws DecodeError for an opcode without a record, or a bad body */
export function readRequestFrame(
  frame: Uint8Array,
  from = 0,
  to: number = frame.length,
): { readonly xid: number; readonly op: number; readonly request: Request } {
  const r = new Reader(frame, from, to)
  const xid = r.int32()
  const op = r.int32()
  return { xid, op, request: readRequestBody(r, op) }
}

export function readRequestBody(r: Reader, op: number): Request {
  switch (op) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
      return { kind: 'create', op, path: r.text(), data: r.buffer(), acl: readAclList(r), flags: r.int32() }
    case OpCode.CreateTtl:
      return {
        kind: 'createTtl',
        path: r.text(),
        data: r.buffer(),
        acl: readAclList(r),
        flags: r.int32(),
        ttlMs: r.measure(),
      }
    case OpCode.Delete:
      return { kind: 'delete', path: r.text(), version: r.int32() }
    case OpCode.Exists:
      return { kind: 'exists', path: r.text(), watch: r.bool() }
    case OpCode.GetData:
      return { kind: 'getData', path: r.text(), watch: r.bool() }
    case OpCode.GetChildren:
      return { kind: 'getChildren', path: r.text(), watch: r.bool() }
    case OpCode.GetChildren2:
      return { kind: 'getChildren2', path: r.text(), watch: r.bool() }
    case OpCode.SetData:
      return { kind: 'setData', path: r.text(), data: r.buffer(), version: r.int32() }
    case OpCode.SetAcl:
      return { kind: 'setAcl', path: r.text(), acl: readAclList(r), version: r.int32() }
    case OpCode.Check:
      return { kind: 'check', path: r.text(), version: r.int32() }
    case OpCode.GetAcl:
      return { kind: 'getAcl', path: r.text() }
    case OpCode.Sync:
      return { kind: 'sync', path: r.text() }
    case OpCode.GetEphemerals:
      return { kind: 'getEphemerals', path: r.text() }
    case OpCode.GetAllChildrenNumber:
      return { kind: 'getAllChildrenNumber', path: r.text() }
    case OpCode.Multi:
      return { kind: 'multi', ops: readMultiOps(r, isMultiOp) }
    case OpCode.MultiRead:
      return { kind: 'multiRead', ops: readMultiOps(r, isMultiReadOp) }
    case OpCode.Reconfig:
      return {
        kind: 'reconfig',
        joiningServers: r.string(),
        leavingServers: r.string(),
        newMembers: r.string(),
        configId: r.int64(),
      }
    case OpCode.SetWatches:
    case OpCode.SetWatches2:
      return readSetWatches(r, op)
    case OpCode.AddWatch:
      return { kind: 'addWatch', path: r.text(), mode: r.int32() }
    case OpCode.CheckWatches:
      return { kind: 'checkWatches', path: r.text(), type: r.int32() }
    case OpCode.RemoveWatches:
      return { kind: 'removeWatches', path: r.text(), type: r.int32() }
    case OpCode.Auth:
      r.skip(4)
      return { kind: 'auth', scheme: r.text(), auth: r.buffer() }
    case OpCode.Sasl:
      return { kind: 'sasl', token: r.buffer() }
    case OpCode.Ping:
      return { kind: 'ping' }
    case OpCode.WhoAmI:
      return { kind: 'whoAmI' }
    case OpCode.CloseSession:
      return { kind: 'closeSession' }
    default:
      throw new DecodeError(`no request has opcode ${op}`, r.at)
  }
}

function readSetWatches(r: Reader, op: number): SetWatchesRequest {
  const relativeZxid = r.zxid()
  const paths = (): string[] => {
    const list = r.vector(4, reader => reader.text())
    if (list === null) throw new DecodeError('null watch list', r.at)
    return list
  }
  const data = paths()
  const exist = paths()
  const child = paths()
  const base = { kind: 'setWatches', relativeZxid, data, exist, child } as const
  return op === OpCode.SetWatches ? base : { ...base, persistent: { plain: paths(), recursive: paths() } }
}

function isMultiOp(request: Request): request is MultiOp {
  return ['create', 'createTtl', 'delete', 'setData', 'check'].includes(request.kind)
}

function isMultiReadOp(request: Request): request is MultiReadOp {
  return request.kind === 'getData' || request.kind === 'getChildren'
}

function readMultiOps<T extends Request>(r: Reader, isAllowed: (request: Request) => request is T): T[] {
  const ops: T[] = []
  for (;;) {
    const at = r.at
    const header = readMultiHeader(r)
    if (header.isDone) return ops
    if (header.type === OpCode.Multi || header.type === OpCode.MultiRead)
      throw new DecodeError('nested multi', at)
    const op = readRequestBody(r, header.type)
    if (!isAllowed(op)) throw new DecodeError(`${op.kind} inside a multi`, at)
    ops.push(op)
  }
}
