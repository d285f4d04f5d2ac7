/** The records that others contain: Id, ACL, Stat, and the headers. Source: zookeeper.jute. */
import { type SessionId, sessionId, type Zxid, zxid } from '../ids.ts'
import type { Reader } from '../jute/reader.ts'
import type { Writer } from '../jute/writer.ts'

/** Who may do what. `perms` is a bit set of {@link Perm}, unvalidated; scheme and id may be null on the wire. */
export interface Acl {
  readonly perms: number
  readonly scheme: string | null
  readonly id: string | null
}

/** world:anyone, all permissions. */
export const openAcl: readonly Acl[] = [{ perms: 31, scheme: 'world', id: 'anyone' }]
/** world:anyone, READ. */
export const readAcl: readonly Acl[] = [{ perms: 1, scheme: 'world', id: 'anyone' }]
/** All permissions for whoever this connection has authenticated as. */
export const creatorAllAcl: readonly Acl[] = [{ perms: 31, scheme: 'auth', id: '' }]

/** perms(4), scheme length(4), id length(4) */
export const smallestAclBytes = 12

function readAclEntry(r: Reader): Acl {
  return { perms: r.int32(), scheme: r.string(), id: r.string() }
}

function writeAclEntry(w: Writer, acl: Acl): void {
  w.int32(acl.perms)
  w.string(acl.scheme)
  w.string(acl.id)
}

export function readAclList(r: Reader): readonly Acl[] | null {
  return r.vector(smallestAclBytes, readAclEntry)
}

export function writeAclList(w: Writer, acl: readonly Acl[] | null): void {
  w.vector(acl, writeAclEntry)
}

/** A znode's metadata as clients see it; times in ms since the Unix epoch. */
export interface Stat {
  readonly czxid: Zxid
  readonly mzxid: Zxid
  readonly ctime: number
  readonly mtime: number
  readonly version: number
  readonly cversion: number
  readonly aversion: number
  readonly ephemeralOwner: SessionId
  readonly dataLength: number
  readonly numChildren: number
  readonly pzxid: Zxid
}

export const statBytes = 68

export function readStat(r: Reader): Stat {
  return {
    czxid: zxid(r.int64()),
    mzxid: zxid(r.int64()),
    ctime: r.measure(),
    mtime: r.measure(),
    version: r.int32(),
    cversion: r.int32(),
    aversion: r.int32(),
    ephemeralOwner: sessionId(r.int64()),
    dataLength: r.int32(),
    numChildren: r.int32(),
    pzxid: zxid(r.int64()),
  }
}

export function writeStat(w: Writer, stat: Stat): void {
  w.int64(stat.czxid)
  w.int64(stat.mzxid)
  w.measure(stat.ctime)
  w.measure(stat.mtime)
  w.int32(stat.version)
  w.int32(stat.cversion)
  w.int32(stat.aversion)
  w.int64(stat.ephemeralOwner)
  w.int32(stat.dataLength)
  w.int32(stat.numChildren)
  w.int64(stat.pzxid)
}

export interface ReplyHeader {
  readonly xid: number
  readonly zxid: Zxid
  readonly err: number
}

export const replyHeaderBytes = 16

export function readReplyHeader(r: Reader): ReplyHeader {
  return { xid: r.int32(), zxid: r.zxid(), err: r.int32() }
}

export function writeReplyHeader(w: Writer, header: ReplyHeader): void {
  w.int32(header.xid)
  w.int64(header.zxid)
  w.int32(header.err)
}

/** Stands before each op and each result of a multi; `isDone` ends the list. */
export interface MultiHeader {
  readonly type: number
  readonly isDone: boolean
  readonly err: number
}

export const multiHeaderBytes = 9

export function readMultiHeader(r: Reader): MultiHeader {
  return { type: r.int32(), isDone: r.bool(), err: r.int32() }
}

export function writeMultiHeader(w: Writer, header: MultiHeader): void {
  w.int32(header.type)
  w.bool(header.isDone)
  w.int32(header.err)
}

export const multiEnd: MultiHeader = { type: -1, isDone: true, err: -1 }
