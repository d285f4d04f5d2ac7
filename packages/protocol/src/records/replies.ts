/** The replies and notifications as objects: for clients, tools and tests. */
import { unreachable } from '../base/assert.ts'
import { OpCode } from '../codes.ts'
import { DecodeError, Reader } from '../jute/reader.ts'
import type { Writer } from '../jute/writer.ts'
import {
  type Acl,
  multiEnd,
  type ReplyHeader,
  readAclList,
  readMultiHeader,
  readReplyHeader,
  readStat,
  type Stat,
  writeAclList,
  writeMultiHeader,
  writeReplyHeader,
  writeStat,
} from './data.ts'

/** What a connection has authenticated as. */
export interface ClientInfo {
  readonly scheme: string
  readonly user: string
}

/** The result of one op inside a multi or multiRead. */
export type OpResult =
  | { readonly kind: 'created'; readonly path: string; readonly stat?: Stat }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'checked' }
  | { readonly kind: 'set'; readonly stat: Stat }
  | { readonly kind: 'data'; readonly data: Uint8Array | null; readonly stat: Stat }
  | { readonly kind: 'children'; readonly children: readonly string[] }
  | { readonly kind: 'error'; readonly err: number }

export type ReplyBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'pathStat'; readonly path: string; readonly stat: Stat }
  | { readonly kind: 'stat'; readonly stat: Stat }
  | { readonly kind: 'data'; readonly data: Uint8Array | null; readonly stat: Stat }
  | { readonly kind: 'children'; readonly children: readonly string[]; readonly stat?: Stat }
  | { readonly kind: 'acl'; readonly acl: readonly Acl[]; readonly stat: Stat }
  | { readonly kind: 'ephemerals'; readonly paths: readonly string[] }
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'clientInfo'; readonly infos: readonly ClientInfo[] }
  | { readonly kind: 'error'; readonly err: number }
  | { readonly kind: 'results'; readonly results: readonly OpResult[] }
  | { readonly kind: 'token'; readonly token: Uint8Array | null }

/** A watch's answer: `type` is an EventType, `state` a KeeperState. */
export interface WatcherEvent {
  readonly type: number
  readonly state: number
  readonly path: string
}

export function readWatcherEvent(r: Reader): WatcherEvent {
  return { type: r.int32(), state: r.int32(), path: r.text() }
}

export function writeWatcherEvent(w: Writer, event: WatcherEvent): void {
  w.int32(event.type)
  w.int32(event.state)
  w.string(event.path)
}

/** Reads the frame of a reply to a request of `op`. An error reply has no body. @throws DecodeError */
export function readReplyFrame(
  op: number,
  frame: Uint8Array,
  from = 0,
  to: number = frame.length,
): { readonly header: ReplyHeader; readonly body: ReplyBody } {
  const r = new Reader(frame, from, to)
  const header = readReplyHeader(r)
  return { header, body: header.err === 0 ? readReplyBody(r, op) : { kind: 'none' } }
}

export function readReplyBody(r: Reader, op: number): ReplyBody {
  switch (op) {
    case OpCode.Create:
    case OpCode.Sync:
      return { kind: 'path', path: r.text() }
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      return { kind: 'pathStat', path: r.text(), stat: readStat(r) }
    case OpCode.Exists:
    case OpCode.SetData:
    case OpCode.SetAcl:
      return { kind: 'stat', stat: readStat(r) }
    case OpCode.GetData:
    case OpCode.Reconfig:
      return { kind: 'data', data: r.buffer(), stat: readStat(r) }
    case OpCode.GetChildren:
      return { kind: 'children', children: readNames(r) }
    case OpCode.GetChildren2:
      return { kind: 'children', children: readNames(r), stat: readStat(r) }
    case OpCode.GetAcl:
      return { kind: 'acl', acl: readAclList(r) ?? [], stat: readStat(r) }
    case OpCode.GetEphemerals:
      return { kind: 'ephemerals', paths: readNames(r) }
    case OpCode.GetAllChildrenNumber:
      return { kind: 'number', number: r.int32() }
    case OpCode.WhoAmI:
      return {
        kind: 'clientInfo',
        infos: r.vector(8, reader => ({ scheme: reader.text(), user: reader.text() })) ?? [],
      }
    case OpCode.AddWatch:
      return { kind: 'error', err: r.int32() }
    case OpCode.Multi:
    case OpCode.MultiRead:
      return { kind: 'results', results: readResults(r) }
    case OpCode.Sasl:
      return { kind: 'token', token: r.buffer() }
    default:
      return { kind: 'none' }
  }
}

function readNames(r: Reader): readonly string[] {
  return r.vector(4, reader => reader.text()) ?? []
}

function readResults(r: Reader): OpResult[] {
  const results: OpResult[] = []
  for (;;) {
    const header = readMultiHeader(r)
    if (header.isDone) return results
    results.push(readResult(r, header.type))
  }
}

function readResult(r: Reader, type: number): OpResult {
  switch (type) {
    case OpCode.Create:
      return { kind: 'created', path: r.text() }
    case OpCode.Create2:
      return { kind: 'created', path: r.text(), stat: readStat(r) }
    case OpCode.Delete:
      return { kind: 'deleted' }
    case OpCode.Check:
      return { kind: 'checked' }
    case OpCode.SetData:
      return { kind: 'set', stat: readStat(r) }
    case OpCode.GetData:
      return { kind: 'data', data: r.buffer(), stat: readStat(r) }
    case OpCode.GetChildren:
      return { kind: 'children', children: readNames(r) }
    case OpCode.Error:
      return { kind: 'error', err: r.int32() }
    default:
      throw new DecodeError(`no multi result has type ${type}`, r.at)
  }
}

/** Writes one whole frame: length, header, body. */
export function writeReplyFrame(w: Writer, header: ReplyHeader, body: ReplyBody): void {
  const start = w.beginFrame()
  writeReplyHeader(w, header)
  if (header.err === 0) writeReplyBody(w, body)
  w.endFrame(start)
}

export function writeReplyBody(w: Writer, body: ReplyBody): void {
  switch (body.kind) {
    case 'none':
      return
    case 'path':
      return w.string(body.path)
    case 'pathStat':
      w.string(body.path)
      return writeStat(w, body.stat)
    case 'stat':
      return writeStat(w, body.stat)
    case 'data':
      w.buffer(body.data)
      return writeStat(w, body.stat)
    case 'children':
      writeNames(w, body.children)
      if (body.stat !== undefined) writeStat(w, body.stat)
      return
    case 'acl':
      writeAclList(w, body.acl)
      return writeStat(w, body.stat)
    case 'ephemerals':
      return writeNames(w, body.paths)
    case 'number':
      return w.int32(body.number)
    case 'clientInfo':
      return w.vector(body.infos, (writer, info) => {
        writer.string(info.scheme)
        writer.string(info.user)
      })
    case 'error':
      return w.int32(body.err)
    case 'results':
      for (const result of body.results) writeResult(w, result)
      return writeMultiHeader(w, multiEnd)
    case 'token':
      return w.buffer(body.token)
    default:
      return unreachable(body)
  }
}

function writeNames(w: Writer, names: readonly string[]): void {
  w.vector(names, (writer, name) => writer.string(name))
}

function writeResult(w: Writer, result: OpResult): void {
  const header = (type: number, err = 0): void => writeMultiHeader(w, { type, isDone: false, err })
  switch (result.kind) {
    case 'created':
      header(result.stat === undefined ? OpCode.Create : OpCode.Create2)
      w.string(result.path)
      if (result.stat !== undefined) writeStat(w, result.stat)
      return
    case 'deleted':
      return header(OpCode.Delete)
    case 'checked':
      return header(OpCode.Check)
    case 'set':
      header(OpCode.SetData)
      return writeStat(w, result.stat)
    case 'data':
      header(OpCode.GetData)
      w.buffer(result.data)
      return writeStat(w, result.stat)
    case 'children':
      header(OpCode.GetChildren)
      return writeNames(w, result.children)
    case 'error':
      header(OpCode.Error, result.err)
      return w.int32(result.err)
    default:
      return unreachable(result)
  }
}
