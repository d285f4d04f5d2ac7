/**
 * Frames as comparable values. Written apart from the product's own reply decoder on purpose: what that one would
 * forgive (trailing bytes, null names, malformed text) must show up here. Text is kept byte for byte.
 */
import { OpCode, Reader } from '@corral/protocol'

export interface SeenStat {
  czxid: number
  mzxid: number
  ctime: string
  mtime: string
  version: number
  cversion: number
  aversion: number
  ephemeralOwner: string
  dataLength: number
  numChildren: number
  pzxid: number
}

export interface SeenResult {
  type: number
  err: number
  path?: string | null
  data?: string | null
  children?: (string | null)[]
  stat?: SeenStat
}

export interface SeenBody {
  path?: string | null
  data?: string | null
  acl?: { perms: number; scheme: string | null; id: string | null }[] | null
  /** Sorted: no order is promised. */
  names?: (string | null)[]
  infos?: string[]
  number?: number
  results?: SeenResult[]
  stat?: SeenStat
  /** Bytes that do not belong there: after the record, or next to an error. */
  stray?: string
}

export type Seen =
  | {
      kind: 'connected'
      protocolVersion: number
      timeoutMs: number
      session: string
      password: string
      readOnly: string
    }
  | {
      kind: 'event'
      zxid: number
      err: number
      type: number
      state: number
      path: string | null
      stray?: string
    }
  | { kind: 'reply'; xid: number; zxid: number; err: number; body: SeenBody }
  | { kind: 'undecodable'; hex: string; why: string }
  | { kind: 'closed' }
  | { kind: 'silent' }

/** What differs between two runs of the same thing and must be named alike. */
export interface Names {
  session(id: bigint): string
  /** The time at which the txn `zxid` was made, as a word that is equal on every server that behaves. */
  time(zxid: bigint, timeMs: bigint): string
}

/** One char for each byte: what is no UTF-8 differs as it is. */
const text = (r: Reader): string | null => {
  const bytes = r.buffer()
  return bytes === null ? null : Buffer.from(bytes).toString('latin1')
}

const hex = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString('hex')

export function decodeEvent(frame: Uint8Array): Seen {
  const r = new Reader(frame)
  r.skip(4)
  const seen: Seen = {
    kind: 'event',
    zxid: Number(r.int64()),
    err: r.int32(),
    type: r.int32(),
    state: r.int32(),
    path: text(r),
  }
  if (r.remaining > 0) seen.stray = hex(r.raw(r.remaining)) ?? ''
  return seen
}

/** @param isPasswordOf - the password that belongs to the id the frame names */
export function decodeConnected(
  frame: Uint8Array,
  names: Names,
  isPasswordOf: (id: bigint) => Uint8Array,
): Seen {
  const r = new Reader(frame)
  const protocolVersion = r.int32()
  const timeoutMs = r.int32()
  const id = r.int64()
  const password = r.buffer()
  const expected = id === 0n ? new Uint8Array(16) : isPasswordOf(id)
  return {
    kind: 'connected',
    protocolVersion,
    timeoutMs,
    session: names.session(id),
    password: hex(password) === hex(expected) ? 'as derived' : `wrong: ${hex(password)}`,
    readOnly: r.remaining === 0 ? 'absent' : `${hex(r.raw(r.remaining))}`,
  }
}

export function decodeReply(op: number, frame: Uint8Array, names: Names): Seen {
  const r = new Reader(frame)
  const xid = r.int32()
  const zxid = Number(r.int64())
  const err = r.int32()
  const body = err === 0 ? decodeBody(op, r, names) : {}
  if (r.remaining > 0) body.stray = hex(r.raw(r.remaining)) ?? ''
  return { kind: 'reply', xid, zxid, err, body }
}

function decodeBody(op: number, r: Reader, names: Names): SeenBody {
  switch (op) {
    case OpCode.Create:
    case OpCode.Sync:
      return { path: text(r) }
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      return { path: text(r), stat: decodeStat(r, names) }
    case OpCode.Exists:
    case OpCode.SetData:
    case OpCode.SetAcl:
      return { stat: decodeStat(r, names) }
    case OpCode.GetData:
    case OpCode.Reconfig:
      return { data: hex(r.buffer()), stat: decodeStat(r, names) }
    case OpCode.GetChildren:
    case OpCode.GetEphemerals:
      return { names: sortedNames(r) }
    case OpCode.GetChildren2:
      return { names: sortedNames(r), stat: decodeStat(r, names) }
    case OpCode.GetAcl:
      return {
        acl: decodeAcl(r),
        stat: decodeStat(r, names),
      }
    case OpCode.GetAllChildrenNumber:
    case OpCode.AddWatch:
      return { number: r.int32() }
    case OpCode.WhoAmI:
      return { infos: (r.vector(8, reader => `${text(reader)}:${text(reader)}`) ?? []).sort() }
    case OpCode.Sasl:
      return { data: hex(r.buffer()) }
    case OpCode.Multi:
    case OpCode.MultiRead:
      return { results: decodeResults(r, names) }
    default:
      return {}
  }
}

/** Entries that `auth` stood for come in the order of a hash set: those side by side that differ only in the id are sorted. */
function decodeAcl(r: Reader): NonNullable<SeenBody['acl']> | null {
  const acl = r.vector(12, reader => ({ perms: reader.int32(), scheme: text(reader), id: text(reader) }))
  if (acl === null) return null
  const isAlike = (at: number, from: number): boolean =>
    acl[at]?.scheme === 'digest' &&
    acl[at]?.scheme === acl[from]?.scheme &&
    acl[at]?.perms === acl[from]?.perms
  for (let from = 0; from < acl.length; ) {
    let to = from + 1
    while (isAlike(to, from)) to++
    acl.splice(from, to - from, ...acl.slice(from, to).sort((a, b) => (`${a.id}` < `${b.id}` ? -1 : 1)))
    from = to
  }
  return acl
}

function decodeResults(r: Reader, names: Names): SeenResult[] {
  const results: SeenResult[] = []
  for (;;) {
    const type = r.int32()
    const isDone = r.bool()
    const result: SeenResult = { type, err: r.int32() }
    if (isDone) {
      if (type !== -1 || result.err !== -1) results.push(result)
      return results
    }
    if (type === OpCode.Create || type === OpCode.Create2) result.path = text(r)
    if (type === OpCode.GetData) result.data = hex(r.buffer())
    if (type === OpCode.GetChildren) result.children = sortedNames(r)
    if (type === OpCode.Create2 || type === OpCode.SetData || type === OpCode.GetData)
      result.stat = decodeStat(r, names)
    if (type === OpCode.Error && r.int32() !== result.err) throw new Error('two error codes in one result')
    results.push(result)
  }
}

function sortedNames(r: Reader): (string | null)[] {
  return (r.vector(4, text) ?? ['a null list']).sort()
}

function decodeStat(r: Reader, names: Names): SeenStat {
  const czxid = r.int64()
  const mzxid = r.int64()
  return {
    czxid: Number(czxid),
    mzxid: Number(mzxid),
    ctime: names.time(czxid, r.int64()),
    mtime: names.time(mzxid, r.int64()),
    version: r.int32(),
    cversion: r.int32(),
    aversion: r.int32(),
    ephemeralOwner: names.session(r.int64()),
    dataLength: r.int32(),
    numChildren: r.int32(),
    pzxid: Number(r.int64()),
  }
}
