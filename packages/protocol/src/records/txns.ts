/**
 * Txns as objects: for tools, tests and the simulator's model. (The server writes a txn's bytes once and applies
 * those.) Layout of a log record's payload: header(32) | body | digest(12, not after an error txn).
 *
 * Source: zookeeper.jute, SerializeUtils.deserializeTxn in the Java server.
 */
import { unreachable } from '../base/assert.ts'
import { OpCode } from '../codes.ts'
import type { SessionId, Zxid } from '../ids.ts'
import { DecodeError, Reader } from '../jute/reader.ts'
import { Writer } from '../jute/writer.ts'
import { type Acl, readAclList, writeAclList } from './data.ts'

export interface TxnHeader {
  readonly session: SessionId
  readonly cxid: number
  readonly zxid: Zxid
  /** Wall clock of the leader, ms. */
  readonly timeMs: number
  readonly type: number
}

export const txnHeaderBytes = 32
/** Where its fields begin, for those who read a txn in place. */
export const TxnHead = { session: 0, cxid: 8, zxid: 12, time: 20, type: 28 } as const
/** version(4) | treeDigest(8) */
export const txnDigestBytes = 12
export const digestVersion = 2

export type TxnBody =
  | {
      readonly kind: 'create'
      readonly type: typeof OpCode.Create | typeof OpCode.Create2
      readonly path: string
      readonly data: Uint8Array | null
      readonly acl: readonly Acl[] | null
      readonly isEphemeral: boolean
      /** The parent's stored cversion after this create; -1 unknown (before 3.4). */
      readonly parentCversion: number
    }
  | {
      readonly kind: 'createContainer' | 'createTtl'
      readonly path: string
      readonly data: Uint8Array | null
      readonly acl: readonly Acl[] | null
      readonly parentCversion: number
      /** Only for createTtl. */
      readonly ttlMs?: number
    }
  | { readonly kind: 'delete' | 'deleteContainer'; readonly path: string }
  | {
      readonly kind: 'setData' | 'reconfig'
      readonly path: string
      readonly data: Uint8Array | null
      readonly version: number
    }
  | {
      readonly kind: 'setAcl'
      readonly path: string
      readonly acl: readonly Acl[] | null
      readonly version: number
    }
  | { readonly kind: 'check'; readonly path: string; readonly version: number }
  | { readonly kind: 'error'; readonly err: number }
  | { readonly kind: 'createSession'; readonly timeoutMs: number }
  /** `paths` undefined: written without a list (before 3.6). */
  | { readonly kind: 'closeSession'; readonly paths: readonly string[] | undefined }
  | { readonly kind: 'multi'; readonly txns: readonly TxnBody[] }

export interface Txn {
  readonly header: TxnHeader
  readonly body: TxnBody
  /** The tree's digest after this txn, or undefined where none was written. */
  readonly digest: { readonly version: number; readonly treeDigest: bigint } | undefined
}

export function txnType(body: TxnBody): number {
  switch (body.kind) {
    case 'create':
      return body.type
    case 'createContainer':
      return OpCode.CreateContainer
    case 'createTtl':
      return OpCode.CreateTtl
    case 'delete':
      return OpCode.Delete
    case 'deleteContainer':
      return OpCode.DeleteContainer
    case 'setData':
      return OpCode.SetData
    case 'reconfig':
      return OpCode.Reconfig
    case 'setAcl':
      return OpCode.SetAcl
    case 'check':
      return OpCode.Check
    case 'error':
      return OpCode.Error
    case 'createSession':
      return OpCode.CreateSession
    case 'closeSession':
      return OpCode.CloseSession
    case 'multi':
      return OpCode.Multi
    default:
      return unreachable(body)
  }
}

export function encodeTxn(txn: Txn): Uint8Array {
  const w = new Writer()
  w.int64(txn.header.session)
  w.int32(txn.header.cxid)
  w.int64(txn.header.zxid)
  w.measure(txn.header.timeMs)
  w.int32(txn.header.type)
  writeTxnBody(w, txn.body)
  if (txn.digest !== undefined) {
    w.int32(txn.digest.version)
    w.int64(BigInt.asIntN(64, txn.digest.treeDigest))
  }
  return w.written()
}

function writeTxnBody(w: Writer, body: TxnBody): void {
  switch (body.kind) {
    case 'create':
    case 'createContainer':
    case 'createTtl':
      w.string(body.path)
      w.buffer(body.data)
      writeAclList(w, body.acl)
      if (body.kind === 'create') w.bool(body.isEphemeral)
      w.int32(body.parentCversion)
      if (body.kind === 'createTtl') w.measure(body.ttlMs ?? 0)
      return
    case 'delete':
    case 'deleteContainer':
      return w.string(body.path)
    case 'setData':
    case 'reconfig':
      w.string(body.path)
      w.buffer(body.data)
      return w.int32(body.version)
    case 'setAcl':
      w.string(body.path)
      writeAclList(w, body.acl)
      return w.int32(body.version)
    case 'check':
      w.string(body.path)
      return w.int32(body.version)
    case 'error':
      return w.int32(body.err)
    case 'createSession':
      return w.int32(body.timeoutMs)
    case 'closeSession':
      if (body.paths !== undefined) w.vector(body.paths, (writer, path) => writer.string(path))
      return
    case 'multi':
      return w.vector(body.txns, (writer, txn) => {
        const inner = new Writer()
        writeTxnBody(inner, txn)
        writer.int32(txnType(txn))
        writer.buffer(inner.written())
      })
    default:
      return unreachable(body)
  }
}

/** Decodes one log record's payload. @throws DecodeError */
export function decodeTxn(payload: Uint8Array, from = 0, to: number = payload.length): Txn {
  const r = new Reader(payload, from, to)
  const header: TxnHeader = {
    session: r.sessionId(),
    cxid: r.int32(),
    zxid: r.zxid(),
    timeMs: r.measure(),
    type: r.int32(),
  }
  const body =
    header.type === OpCode.CloseSession
      ? readCloseSession(payload, r.at, to, r)
      : readTxnBody(r, header.type, { isTopLevel: true })
  const digest =
    r.remaining >= txnDigestBytes
      ? { version: r.int32(), treeDigest: BigInt.asUintN(64, r.int64()) }
      : undefined
  return { header, body, digest }
}

/** Whether a body and a digest are there is decided by length, whatever the writer's settings were. */
function readCloseSession(payload: Uint8Array, from: number, to: number, r: Reader): TxnBody {
  if (from === to) return { kind: 'closeSession', paths: undefined }
  const body = tryPathList(payload, from, to)
  if (body !== undefined) {
    r.skip(body.lengthBytes)
    return { kind: 'closeSession', paths: body.paths }
  }
  const version = to - from === txnDigestBytes ? new Reader(payload, from, to).int32() : 0
  if (version === 1 || version === digestVersion) return { kind: 'closeSession', paths: undefined }
  throw new DecodeError('closeSession txn is neither a path list nor a digest', from)
}

function tryPathList(
  payload: Uint8Array,
  from: number,
  to: number,
): { readonly paths: readonly string[]; readonly lengthBytes: number } | undefined {
  try {
    const r = new Reader(payload, from, to)
    const paths = r.vector(4, reader => reader.text()) ?? []
    // No ephemeral has an empty path: two of them are a digest of 0.
    if (paths.includes('')) return undefined
    const hasDigest =
      r.remaining === txnDigestBytes && new Reader(payload, r.at, to).int32() === digestVersion
    return r.remaining === 0 || hasDigest ? { paths, lengthBytes: r.at - from } : undefined
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

function readTxnBody(r: Reader, type: number, where: { readonly isTopLevel: boolean }): TxnBody {
  switch (type) {
    case OpCode.Create:
    case OpCode.Create2: {
      const base = { kind: 'create', type, path: r.text(), data: r.buffer(), acl: readAclList(r) } as const
      const isEphemeral = r.bool()
      // CreateTxnV0, written before 3.4, ends here.
      const isOld = where.isTopLevel && type === OpCode.Create && r.remaining < 4
      return { ...base, isEphemeral, parentCversion: isOld ? -1 : r.int32() }
    }
    case OpCode.CreateContainer:
      return {
        kind: 'createContainer',
        path: r.text(),
        data: r.buffer(),
        acl: readAclList(r),
        parentCversion: r.int32(),
      }
    case OpCode.CreateTtl:
      return {
        kind: 'createTtl',
        path: r.text(),
        data: r.buffer(),
        acl: readAclList(r),
        parentCversion: r.int32(),
        ttlMs: r.measure(),
      }
    case OpCode.Delete:
      return { kind: 'delete', path: r.text() }
    case OpCode.DeleteContainer:
      return { kind: 'deleteContainer', path: r.text() }
    case OpCode.SetData:
      return { kind: 'setData', path: r.text(), data: r.buffer(), version: r.int32() }
    case OpCode.Reconfig:
      return { kind: 'reconfig', path: r.text(), data: r.buffer(), version: r.int32() }
    case OpCode.SetAcl:
      return { kind: 'setAcl', path: r.text(), acl: readAclList(r), version: r.int32() }
    case OpCode.Check:
      return { kind: 'check', path: r.text(), version: r.int32() }
    case OpCode.Error:
      return { kind: 'error', err: r.int32() }
    case OpCode.CreateSession:
      return { kind: 'createSession', timeoutMs: r.int32() }
    case OpCode.Multi:
      return { kind: 'multi', txns: r.vector(8, readSubTxn) ?? [] }
    default:
      throw new DecodeError(`no txn has type ${type}`, r.at)
  }
}

function readSubTxn(r: Reader): TxnBody {
  const type = r.int32()
  const data = r.buffer()
  if (data === null || type === OpCode.Multi)
    throw new DecodeError(`sub-txn of type ${type} without a body`, r.at)
  return readTxnBody(new Reader(data), type, { isTopLevel: false })
}
