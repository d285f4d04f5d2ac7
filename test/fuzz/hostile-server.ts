/**
 * A server for a client's transport to lead to: honest in whatever it is not told to change. It answers when it is told
 * to, in pieces as large as it is told, and what it lends is overwritten afterwards.
 */

import type { Connection, ServerAddress, Transport, TransportEvents } from '@corral/client'
import { seededRandom } from '@corral/core'
import {
  CreateFlags,
  cutFrames,
  ErrorCode,
  FrameTail,
  noSession,
  OpCode,
  type OpResult,
  opOf,
  Reader,
  type ReplyBody,
  type Request,
  readConnectRequest,
  readRequestFrame,
  type Stat,
  sessionId,
  Writer,
  writeConnectResponse,
  writeReplyFrame,
  writeReplyHeader,
  writeWatcherEvent,
  Xid,
  type Zxid,
} from '@corral/protocol'
import { drawBytes, joined, mutate } from './mutate.ts'
import { must } from './target.ts'

/**
 * One change to an honest frame:
 *
 *     word AT N      the number at this byte behind the length word
 *     cut N          so many bytes missing at the end       more N      so many too many
 *     length N       what the length word says              twice       said two times
 *     bytes SEED     anything behind the length word        raw SEED    anything
 *     as OP          of a reply: the body of another kind   count N     of a multi: so many results
 *     refuse N AT    with this code; a multi at this operation
 *     password N     of a handshake: its length, -1 for none
 *     readonly       of a handshake
 */
export type Tamper = readonly [name: string, ...values: number[]]

const isro = 0x6973726f
const longestFrameBytes = 1 << 20
/** What lent bytes are overwritten with. */
export const poison = 0xee
/** What the client takes for possible. */
export const longestReplyBytes: number = 64 * 1024

/** One connection, as its server sees it. */
export class ServerLine {
  readonly address: ServerAddress
  readonly on: TransportEvents
  readonly requests: { readonly xid: number; readonly request: Request }[] = []
  /** The session asked for, once that was heard. */
  presented: bigint | undefined = undefined
  isAccepted = false
  /** It was said something. */
  isGreeted = false
  /** By either side. */
  isClosed = false
  isAsked = false
  /** Bytes that are no whole frame were said: what comes after them is read as part of something else. */
  isMuddled = false
  readonly #tail: FrameTail = new FrameTail()

  constructor(address: ServerAddress, on: TransportEvents) {
    this.address = address
    this.on = on
  }

  hear(bytes: Uint8Array): void {
    must(this.isAccepted, 'nothing is sent before the connection is open')
    if (this.presented === undefined && new DataView(bytes.buffer, bytes.byteOffset).getInt32(0) === isro) {
      this.isAsked = true
      return
    }
    const input = { bytes, from: 0, to: bytes.length }
    const isGood = cutFrames(this.#tail, input, longestFrameBytes, (space, from, to) => {
      this.#onFrame(space.bytes, from, to)
      return true
    })
    must(isGood && this.#tail.lengthBytes === 0, 'a client sends whole frames')
  }

  #onFrame(bytes: Uint8Array, from: number, to: number): void {
    if (this.presented === undefined) {
      const request = readConnectRequest(new Reader(bytes, from, to))
      must(request.password?.length === 16, 'a client presents a password of 16 bytes')
      this.presented = request.sessionId
      return
    }
    must(this.isGreeted, 'nothing is sent between the handshake and its answer')
    this.requests.push(readRequestFrame(bytes, from, to))
  }
}

export class HostileServer implements Transport {
  readonly lines: ServerLine[] = []
  /** How much it says at a time. */
  pieceBytes: number = longestFrameBytes
  zxid = 1n
  readonly #enter: (work: () => void) => void
  #lastSession = 100n

  /** @param enter - runs what goes into the client */
  constructor(enter: (work: () => void) => void) {
    this.#enter = enter
  }

  open(address: ServerAddress, on: TransportEvents): Connection {
    const line = new ServerLine(address, on)
    this.lines.push(line)
    return {
      send: bytes => {
        must(!line.isClosed, 'nothing is sent after the close')
        line.hear(bytes)
      },
      close: () => {
        line.isClosed = true
      },
    }
  }

  /** The newest connection that is not closed. */
  get newest(): ServerLine | undefined {
    return this.lines.findLast(line => !line.isClosed)
  }

  accept(line: ServerLine): void {
    if (line.isAccepted) return
    line.isAccepted = true
    this.#enter(() => line.on.opened())
  }

  /** Answers the handshake, or the question that a four-letter word is. */
  greet(line: ServerLine, tamper?: Tamper): void {
    if (line.isAsked) return this.say(line, Buffer.from(tamper === undefined ? 'rw' : 'ro'))
    if (line.presented === undefined) return
    if (line.presented === noSession) this.#lastSession += 1n
    const [name, value = 0] = tamper ?? []
    const length = name === 'password' ? value : 16
    const w = new Writer()
    const start = w.beginFrame()
    writeConnectResponse(w, {
      protocolVersion: 0,
      timeoutMs: 10_000,
      sessionId: sessionId(line.presented === noSession ? this.#lastSession : line.presented),
      password: length < 0 ? null : new Uint8Array(length).fill(9),
      readOnly: name === 'readonly',
    })
    w.endFrame(start)
    this.say(line, tampered(w.written(), tamper))
  }

  /** Answers the oldest request. */
  reply(line: ServerLine, tamper?: Tamper): void {
    const asked = line.requests.shift()
    if (asked === undefined) return
    const { xid, request } = asked
    this.zxid += 1n
    const [name, value = 0, other = 0] = tamper ?? []
    const honest = bodyOf(name === 'as' ? value : opOf(request), request)
    const { body, err } = refusable(honest, name === 'refuse' ? value : 0, other)
    const said = name === 'count' && body.kind === 'results' ? resized(body.results, value) : body
    const w = new Writer()
    const saidXid = request.kind === 'ping' ? Xid.Ping : xid
    writeReplyFrame(w, { xid: saidXid, zxid: this.zxid as Zxid, err }, said)
    const mustDrop = isHopeless(xid, tamper) && !line.isMuddled
    this.say(line, tampered(w.written(), tamper))
    if (mustDrop) {
      must(line.isClosed, `a connection is dropped for a reply with ${tamper?.join(' ')}`)
    }
  }

  /** Answers the oldest request with a frame of somebody else's, made to fit where it was an ordinary reply. */
  answer(line: ServerLine, frame: Uint8Array): void {
    const asked = line.requests.shift()
    const bytes = new Uint8Array(frame)
    const view = new DataView(bytes.buffer)
    if (asked !== undefined && bytes.length >= 20 && view.getInt32(4) > 0) view.setInt32(4, asked.xid)
    this.say(line, bytes)
  }

  event(line: ServerLine, event: Parameters<typeof writeWatcherEvent>[1], at: bigint, tamper?: Tamper): void {
    const w = new Writer()
    const start = w.beginFrame()
    writeReplyHeader(w, { xid: Xid.Notification, zxid: at as Zxid, err: 0 })
    writeWatcherEvent(w, event)
    w.endFrame(start)
    this.say(line, tampered(w.written(), tamper))
  }

  say(line: ServerLine, bytes: Uint8Array): void {
    if (!line.isAccepted) return
    line.isGreeted ||= line.presented !== undefined
    for (let at = 0; at < bytes.length && !line.isClosed; at += this.pieceBytes) {
      const lent = bytes.slice(at, at + this.pieceBytes)
      this.#enter(() => line.on.received(lent, 0, lent.length))
      lent.fill(poison)
    }
    line.isMuddled ||= !areWholeFrames(bytes)
  }

  hangUp(line: ServerLine): void {
    if (line.isClosed) return
    line.isClosed = true
    this.#enter(() => line.on.closed('reset'))
  }
}

/** Whether a reply to request `xid` cannot be right, whatever it is the reply to. */
function isHopeless(xid: number, [name, value = 0, other = 0]: Tamper = ['']): boolean {
  switch (name) {
    case 'cut':
      return value > 0
    case 'length':
      return value < 0 || value > longestReplyBytes
    case 'word':
      return value === 0 && xid > 0 && other !== xid && !Object.values<number>(Xid).includes(other)
    default:
      return false
  }
}

function areWholeFrames(bytes: Uint8Array): boolean {
  const tail = new FrameTail()
  const input = { bytes, from: 0, to: bytes.length }
  return cutFrames(tail, input, longestReplyBytes, () => true) && tail.lengthBytes === 0
}

/** A frame with its one change. */
function tampered(frame: Uint8Array, tamper: Tamper | undefined): Uint8Array {
  const [name, value = 0, other = 0] = tamper ?? []
  const body = frame.subarray(4)
  switch (name) {
    case 'word':
      if (value + 4 <= body.length) new DataView(frame.buffer, frame.byteOffset + 4).setInt32(value, other)
      return frame
    case 'cut':
      return framed(body.subarray(0, Math.max(0, body.length - value)))
    case 'more':
      return framed(joined(body, new Uint8Array(value).fill(1)))
    case 'length':
      new DataView(frame.buffer, frame.byteOffset).setInt32(0, value)
      return frame
    case 'twice':
      return joined(frame, frame)
    case 'bytes':
      return framed(mutate(seededRandom(value), body, []))
    case 'raw':
      return mutate(seededRandom(value), frame, [drawBytes(seededRandom(value), 64)])
    default:
      return frame
  }
}

export function framed(body: Uint8Array): Uint8Array {
  const length = new Uint8Array(4)
  new DataView(length.buffer).setInt32(0, body.length)
  return joined(length, body)
}

const stat: Stat = {
  czxid: 1n as Zxid,
  mzxid: 2n as Zxid,
  ctime: 1_700_000_000_000,
  mtime: 1_700_000_000_001,
  version: 1,
  cversion: 2,
  aversion: 0,
  ephemeralOwner: noSession,
  dataLength: 3,
  numChildren: 2,
  pzxid: 2n as Zxid,
}
const data = Buffer.from('abc')
const children = ['b', 'c']
const acl = [{ perms: 31, scheme: 'world', id: 'anyone' }]

/** What an honest server says to a request, or to another of kind `op` in its place. */
function bodyOf(op: number, request: Request): ReplyBody {
  const path = 'path' in request && request.path !== null ? madePath(request) : '/a'
  switch (op) {
    case OpCode.Create:
    case OpCode.Sync:
      return { kind: 'path', path }
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      return { kind: 'pathStat', path, stat }
    case OpCode.Exists:
    case OpCode.SetData:
    case OpCode.SetAcl:
      return { kind: 'stat', stat }
    case OpCode.GetData:
    case OpCode.Reconfig:
      return { kind: 'data', data, stat }
    case OpCode.GetChildren:
      return { kind: 'children', children }
    case OpCode.GetChildren2:
      return { kind: 'children', children, stat }
    case OpCode.GetAcl:
      return { kind: 'acl', acl, stat }
    case OpCode.GetEphemerals:
      return { kind: 'ephemerals', paths: ['/a/e'] }
    case OpCode.GetAllChildrenNumber:
      return { kind: 'number', number: 5 }
    case OpCode.WhoAmI:
      return { kind: 'clientInfo', infos: [{ scheme: 'ip', user: '127.0.0.1' }] }
    case OpCode.AddWatch:
      return { kind: 'error', err: 0 }
    case OpCode.Multi:
    case OpCode.MultiRead:
      return { kind: 'results', results: 'ops' in request ? request.ops.map(resultOf) : [] }
    case OpCode.Sasl:
      return { kind: 'token', token: data }
    default:
      return { kind: 'none' }
  }
}

function resultOf(op: Extract<Request, { kind: 'multi' | 'multiRead' }>['ops'][number]): OpResult {
  switch (op.kind) {
    case 'create':
      return { kind: 'created', path: madePath(op), ...(op.op === OpCode.Create ? {} : { stat }) }
    case 'createTtl':
      return { kind: 'created', path: madePath(op), stat }
    case 'delete':
      return { kind: 'deleted' }
    case 'check':
      return { kind: 'checked' }
    case 'setData':
      return { kind: 'set', stat }
    case 'getData':
      return { kind: 'data', data, stat }
    case 'getChildren':
      return { kind: 'children', children }
  }
}

function madePath(request: { readonly path: string; readonly flags?: number }): string {
  const { PersistentSequential, EphemeralSequential, PersistentSequentialWithTtl } = CreateFlags
  const numbered: readonly unknown[] = [
    PersistentSequential,
    EphemeralSequential,
    PersistentSequentialWithTtl,
  ]
  return numbered.includes(request.flags) ? `${request.path}0000000001` : request.path
}

/** As an honest server refuses: a multi in its results, everything else in the header. */
function refusable(
  body: ReplyBody,
  err: number,
  at: number,
): { readonly body: ReplyBody; readonly err: number } {
  if (err === 0) return { body, err }
  if (body.kind !== 'results') return { body: { kind: 'none' }, err }
  const { RuntimeInconsistency: untried } = ErrorCode
  const results = body.results.map(
    (_, i): OpResult => ({ kind: 'error', err: i < at ? 0 : i === at ? err : untried }),
  )
  return { body: { kind: 'results', results }, err: 0 }
}

/** So many results, and the last ones refused where there are too many. */
function resized(results: readonly OpResult[], count: number): ReplyBody {
  const more = Array.from({ length: Math.max(0, count) }, (): OpResult => ({ kind: 'error', err: 0 }))
  return { kind: 'results', results: [...results, ...more].slice(0, Math.max(0, count)) }
}
