/** Renders decoded frames as the captured vectors list their fields, so that the two can be compared as text. */
import {
  type Acl,
  type ConnectRequest,
  type ConnectResponse,
  hexOf,
  type MultiHeader,
  OpCode,
  type OpResult,
  opOf,
  type ReplyBody,
  type ReplyHeader,
  type Request,
  type Stat,
  type WatcherEvent,
} from '../src/index.ts'

export function describeConnectRequest(length: number, request: ConnectRequest): string {
  return join([
    `len ${length}`,
    `protocolVersion ${request.protocolVersion}`,
    `lastZxidSeen ${request.lastZxidSeen}`,
    `timeOut ${request.timeoutMs}`,
    `sessionId 0x${hexOf(request.sessionId)}`,
    `passwd ${request.password?.length} bytes`,
    request.readOnly === undefined ? [] : `readOnly ${request.readOnly}`,
  ])
}

export function describeConnectResponse(length: number, response: ConnectResponse): string {
  return join([
    `len ${length}`,
    `protocolVersion ${response.protocolVersion}`,
    `timeOut ${response.timeoutMs}`,
    `sessionId 0x${hexOf(response.sessionId)}`,
    `passwd ${response.password?.length} bytes`,
    response.readOnly === undefined ? [] : `readOnly ${response.readOnly}`,
  ])
}

export function describeRequest(length: number, xid: number, op: number, request: Request): string {
  return join([`len ${length}`, `xid ${xid}`, `type ${op}`, requestFields(request)])
}

function requestFields(request: Request): string[] {
  switch (request.kind) {
    case 'create':
    case 'createTtl':
      return [
        text('path', request.path),
        data('data', request.data),
        ...aclFields(request.acl),
        `flags ${request.flags}`,
        ...(request.kind === 'createTtl' ? [`ttl ${request.ttlMs}`] : []),
      ]
    case 'delete':
    case 'check':
      return [text('path', request.path), `version ${request.version}`]
    case 'exists':
    case 'getData':
    case 'getChildren':
    case 'getChildren2':
      return [text('path', request.path), `watch ${request.watch}`]
    case 'setData':
      return [text('path', request.path), data('data', request.data), `version ${request.version}`]
    case 'setAcl':
      return [text('path', request.path), ...aclFields(request.acl), `version ${request.version}`]
    case 'getEphemerals':
      return [text('prefixPath', request.path)]
    case 'getAcl':
    case 'sync':
    case 'getAllChildrenNumber':
      return [text('path', request.path)]
    case 'multi':
    case 'multiRead':
      return [
        ...request.ops.flatMap(op => [
          multiHeader({ type: opOf(op), isDone: false, err: -1 }),
          ...requestFields(op),
        ]),
        multiHeader({ type: -1, isDone: true, err: -1 }),
      ]
    case 'reconfig':
      return [
        text('joiningServers', request.joiningServers),
        text('leavingServers', request.leavingServers),
        text('newMembers', request.newMembers),
        `curConfigId ${request.configId}`,
      ]
    case 'setWatches':
      return [
        `relativeZxid ${request.relativeZxid}`,
        ...paths('dataWatches', request.data),
        ...paths('existWatches', request.exist),
        ...paths('childWatches', request.child),
        ...(request.persistent === undefined
          ? []
          : [
              ...paths('persistentWatches', request.persistent.plain),
              ...paths('persistentRecursiveWatches', request.persistent.recursive),
            ]),
      ]
    case 'addWatch':
      return [text('path', request.path), `mode ${request.mode}`]
    case 'checkWatches':
    case 'removeWatches':
      return [text('path', request.path), `type ${request.type}`]
    case 'auth':
      return ['type 0', text('scheme', request.scheme), data('auth', request.auth)]
    case 'sasl':
      return [token(request.token)]
    default:
      return []
  }
}

export function describeEvent(length: number, header: ReplyHeader, event: WatcherEvent): string {
  return join([
    headerFields(length, header),
    `type ${event.type}`,
    `state ${event.state}`,
    text('path', event.path),
  ])
}

export function describeReply(length: number, header: ReplyHeader, body: ReplyBody): string {
  return join([headerFields(length, header), bodyFields(body)])
}

function headerFields(length: number, header: ReplyHeader): string[] {
  return [`len ${length}`, `xid ${header.xid}`, `zxid ${header.zxid}`, `err ${header.err}`]
}

function bodyFields(body: ReplyBody): string[] {
  switch (body.kind) {
    case 'none':
      return []
    case 'path':
      return [text('path', body.path)]
    case 'pathStat':
      return [text('path', body.path), stat(body.stat)]
    case 'stat':
      return [stat(body.stat)]
    case 'data':
      return [data('data', body.data), stat(body.stat)]
    case 'children':
      return [...childFields(body.children), ...(body.stat === undefined ? [] : [stat(body.stat)])]
    case 'acl':
      return [...aclFields(body.acl), stat(body.stat)]
    case 'ephemerals':
      return paths('ephemerals', body.paths)
    case 'number':
      return [`totalNumber ${body.number}`]
    case 'clientInfo':
      return [
        `clientInfo.count ${body.infos.length}`,
        ...body.infos.flatMap(info => [text('authScheme', info.scheme), text('user', info.user)]),
      ]
    case 'error':
      return [`err ${body.err}`]
    case 'results':
      return [...body.results.flatMap(resultFields), multiHeader({ type: -1, isDone: true, err: -1 })]
    case 'token':
      return [token(body.token)]
  }
}

function resultFields(result: OpResult): string[] {
  const head = (type: number): string => multiHeader({ type, isDone: false, err: 0 })
  switch (result.kind) {
    case 'created':
      return result.stat === undefined
        ? [head(OpCode.Create), text('path', result.path)]
        : [head(OpCode.Create2), text('path', result.path), stat(result.stat)]
    case 'deleted':
      return [head(OpCode.Delete)]
    case 'checked':
      return [head(OpCode.Check)]
    case 'set':
      return [head(OpCode.SetData), stat(result.stat)]
    case 'data':
      return [head(OpCode.GetData), data('data', result.data), stat(result.stat)]
    case 'children':
      return [head(OpCode.GetChildren), ...childFields(result.children)]
    case 'error':
      return [multiHeader({ type: -1, isDone: false, err: result.err }), `err ${result.err}`]
  }
}

function childFields(children: readonly string[]): string[] {
  return [`children.count ${children.length}`, ...children.map(child => text('child', child))]
}

function aclFields(acl: readonly Acl[] | null): string[] {
  return [
    `acl.count ${acl?.length ?? -1}`,
    ...(acl ?? []).flatMap(a => [`perms ${a.perms}`, text('scheme', a.scheme), text('id', a.id)]),
  ]
}

function paths(name: string, list: readonly string[]): string[] {
  return [`${name}.count ${list.length}`, ...list.map(path => text('path', path))]
}

function stat(s: Stat): string {
  return (
    `stat{czxid ${s.czxid}, mzxid ${s.mzxid}, ctime ${s.ctime}, mtime ${s.mtime}, version ${s.version}, ` +
    `cversion ${s.cversion}, aversion ${s.aversion}, ephemeralOwner ${s.ephemeralOwner}, ` +
    `dataLength ${s.dataLength}, numChildren ${s.numChildren}, pzxid ${s.pzxid}}`
  )
}

function multiHeader(header: MultiHeader): string {
  return `MultiHeader{type ${header.type}, done ${header.isDone}, err ${header.err}}`
}

function text(name: string, value: string | null): string {
  return value === null ? `${name} null` : `${name} "${value}"`
}

function data(name: string, value: Uint8Array | null): string {
  if (value === null) return `${name} null`
  if (value.length === 0) return `${name} empty`
  return value.length > 100 ? `${name} ${value.length} bytes` : `${name} "${Buffer.from(value)}"`
}

function token(value: Uint8Array | null): string {
  if (value === null) return 'token null'
  return value.length === 0 ? 'token empty' : `token ${Buffer.from(value)}`
}

function join(fields: readonly (string | readonly string[])[]): string {
  return fields.flat().join(' | ')
}
