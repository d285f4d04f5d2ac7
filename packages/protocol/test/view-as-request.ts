import {
  type Acl,
  OpCode,
  Reader,
  type Request,
  RequestView,
  readAclList,
  readRequestBody,
} from '../src/index.ts'

/** The frame (without its length word) as RequestView reads it, put into the form of the object decoder. */
export function viewRequest(
  bytes: Uint8Array,
  from: number,
  to: number,
): { readonly xid: number; readonly op: number; readonly request: Request } | false {
  const view = new RequestView()
  const isWhole = view.readFrame(
    bytes,
    new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    from,
    to,
  )
  if (!isWhole) return false
  const request = requestOf(view, view.op)
  return request === false ? false : { xid: view.xid, op: view.op, request }
}

function requestOf(v: RequestView, op: number): Request | false {
  switch (op) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
      return { kind: 'create', op, path: path(v), data: data(v), acl: acl(v), flags: v.flags }
    case OpCode.CreateTtl: {
      const ttlMs = v.ttlHigh * 2 ** 32 + (v.ttlLow >>> 0)
      return { kind: 'createTtl', path: path(v), data: data(v), acl: acl(v), flags: v.flags, ttlMs }
    }
    case OpCode.Delete:
      return { kind: 'delete', path: path(v), version: v.version }
    case OpCode.Check:
      return { kind: 'check', path: path(v), version: v.version }
    case OpCode.Exists:
      return { kind: 'exists', path: path(v), watch: v.isWatching }
    case OpCode.GetData:
      return { kind: 'getData', path: path(v), watch: v.isWatching }
    case OpCode.GetChildren:
      return { kind: 'getChildren', path: path(v), watch: v.isWatching }
    case OpCode.GetChildren2:
      return { kind: 'getChildren2', path: path(v), watch: v.isWatching }
    case OpCode.SetData:
      return { kind: 'setData', path: path(v), data: data(v), version: v.version }
    case OpCode.SetAcl:
      return { kind: 'setAcl', path: path(v), acl: acl(v), version: v.version }
    case OpCode.GetAcl:
      return { kind: 'getAcl', path: path(v) }
    case OpCode.Sync:
      return { kind: 'sync', path: path(v) }
    case OpCode.GetEphemerals:
      return { kind: 'getEphemerals', path: path(v) }
    case OpCode.GetAllChildrenNumber:
      return { kind: 'getAllChildrenNumber', path: path(v) }
    case OpCode.AddWatch:
      return { kind: 'addWatch', path: path(v), mode: v.flags }
    case OpCode.CheckWatches:
      return { kind: 'checkWatches', path: path(v), type: v.flags }
    case OpCode.RemoveWatches:
      return { kind: 'removeWatches', path: path(v), type: v.flags }
    case OpCode.Auth:
      return { kind: 'auth', scheme: string(v, v.schemeFrom, v.schemeTo) as string, auth: data(v) }
    case OpCode.Multi:
    case OpCode.MultiRead:
      return multiOf(v, op)
    default:
      return readRequestBody(new Reader(v.bytes, v.bodyFrom, v.bodyTo), op)
  }
}

function multiOf(v: RequestView, op: number): Request | false {
  const ops: Request[] = []
  const to = v.bodyTo
  for (let at = v.bodyFrom; ; at = v.at) {
    const type = v.readMultiHeader(at, to)
    if (type === false) return false
    if (type === undefined) return { kind: op === OpCode.Multi ? 'multi' : 'multiRead', ops } as Request
    if (!v.readBody(type, v.at, to)) return false
    const sub = requestOf(v, type)
    if (sub === false) return false
    ops.push(sub)
  }
}

function path(v: RequestView): string {
  return string(v, v.pathFrom, v.pathTo) as string
}

function string(v: RequestView, from: number, to: number): string | null {
  return from < 0 ? null : Buffer.from(v.bytes.subarray(from, to)).toString('utf8')
}

function data(v: RequestView): Uint8Array | null {
  return v.dataFrom < 0 ? null : v.bytes.slice(v.dataFrom, v.dataTo)
}

function acl(v: RequestView): readonly Acl[] | null {
  return readAclList(new Reader(v.bytes, v.aclFrom, v.aclTo))
}
