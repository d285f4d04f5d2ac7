/**
 * One connection as its client sees it, and what it may be sent: the answers to what it asked, each once and in order,
 * the events it asked for, and nothing after its end.
 */
import {
  badFrame,
  cutFrames,
  DecodeError,
  ErrorCode,
  errorName,
  FrameTail,
  frameLength,
  OpCode,
  partialFrame,
  Reader,
  type ReplyBody,
  type Request,
  readConnectRequest,
  readConnectResponse,
  readReplyBody,
  readReplyHeader,
  readRequestFrame,
  readWatcherEvent,
  type SessionId,
  type Space,
  type Stat,
  type WatcherType,
} from '@corral/protocol'
import { fourLetterWord, telnetInterrupt } from '../../src/session/four-letter-words.ts'
import { WatchModel } from './watch-model.ts'

interface Asked {
  readonly xid: number
  readonly op: number
  /** undefined: its body cannot be read. */
  readonly request: Request | undefined
}

const longestFirstFrame = 64 * 1024 - 4

/** More than this in a step, and setWatches may be done in parts: its watches are not told apart any more. */
const tiredBytes = 900_000

export class Caller {
  readonly id: number
  readonly address: string
  readonly openedMs: number
  readonly #longestFrame: number
  readonly #welcomed: (session: SessionId) => void
  readonly #given: FrameTail = new FrameTail()
  readonly #got: FrameTail = new FrameTail()
  readonly asked: Asked[] = []
  readonly watches: WatchModel = new WatchModel()

  isOpen = true
  isReading = true
  isClogged = false
  unsentBytes = 0
  stepBytes = 0
  /** What the client has written and the server not read. */
  outgoing: Uint8Array = new Uint8Array(0)
  xid = 0

  /** A connect request was delivered, for that session. */
  hasConnected = false
  wanted: SessionId | undefined
  session: SessionId | undefined
  /** Was sent the last thing there is for it: it must be closed when the step ends. */
  isOver = false
  /** Something was delivered after which the server may, or must, close it. */
  hasErred = false
  isCommand = false
  /** Its watches cannot be known exactly. */
  isBlurred = false
  /** Frames of it may be passed over without an answer: its session is ending. */
  isPassedOver = false
  /** It has asked for the end of its session. */
  endsItself = false
  /** Told what this client was shown of a znode. */
  onShown: ((path: string, stat: Stat | undefined) => void) | undefined = undefined
  #lastZxid = 0n

  constructor(given: {
    readonly id: number
    readonly address: string
    readonly openedMs: number
    readonly longestFrame: number
    welcomed(session: SessionId): void
  }) {
    this.id = given.id
    this.address = given.address
    this.openedMs = given.openedMs
    this.#longestFrame = given.longestFrame
    this.#welcomed = session => given.welcomed(session)
  }

  /** The server is given these bytes. Cuts them as it should. */
  deliver(bytes: Uint8Array): void {
    const tail = this.#given
    tail.append(bytes, 0, bytes.length)
    while (!this.hasErred && !this.isCommand) {
      const { space, lengthBytes } = tail
      if (!this.hasConnected && lengthBytes >= 4 && this.#isCommandWord(space.view.getInt32(0))) return
      const most = this.hasConnected ? this.#longestFrame : Math.min(longestFirstFrame, this.#longestFrame)
      const length = frameLength(space.view, 0, lengthBytes, most)
      if (length === partialFrame) return
      if (length === badFrame) {
        this.hasErred = true
        return
      }
      if (this.hasConnected) this.#deliverRequest(space, 4, 4 + length)
      else this.#deliverConnect(space, 4, 4 + length)
      tail.consume(4 + length)
    }
  }

  #isCommandWord(word: number): boolean {
    if (word === telnetInterrupt) this.hasErred = true
    else if (fourLetterWord(word) !== undefined) this.isCommand = true
    return this.hasErred || this.isCommand
  }

  #deliverConnect(space: Space, from: number, to: number): void {
    try {
      const request = readConnectRequest(new Reader(space.bytes, from, to))
      this.hasConnected = true
      this.wanted = request.sessionId
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.hasErred = true
    }
  }

  #deliverRequest(space: Space, from: number, to: number): void {
    if (to - from < 8) {
      this.hasErred = true
      return
    }
    const xid = space.view.getInt32(from)
    const op = space.view.getInt32(from + 4)
    const request = requestIn(space.bytes, from, to)
    const isOfConnection = op === OpCode.Auth || op === OpCode.Sasl
    if (isOfConnection && (request === undefined || (request.kind === 'sasl' && request.token === null))) {
      this.hasErred = true
      return
    }
    this.asked.push({ xid, op, request })
  }

  /** The server sends these bytes. @throws if it should not */
  take(bytes: Uint8Array): void {
    this.must(this.isOpen, 'is sent nothing after its end')
    this.stepBytes += bytes.length
    if (this.stepBytes > tiredBytes) this.isBlurred = true
    if (this.isClogged) this.unsentBytes += bytes.length
    cutFrames(this.#got, { bytes, from: 0, to: bytes.length }, 1 << 28, (space, from, to) => {
      this.#takeFrame(new Reader(space.bytes, from, to))
      return true
    })
    this.must(this.#got.lengthBytes === 0 || this.stepBytes > 100_000, 'is sent whole frames')
  }

  #takeFrame(r: Reader): void {
    if (this.session === undefined) return this.#takeWelcome(r)
    const header = readReplyHeader(r)
    if (header.xid === -1) {
      const { type, path } = readWatcherEvent(r)
      return this.#takeEvent(type, path, header.zxid)
    }
    this.must(!this.isOver, `is not answered (xid ${header.xid}) after its last answer`)
    let first = this.asked.shift()
    while (this.isPassedOver && first !== undefined && !isReplyTo(first, header.xid))
      first = this.asked.shift()
    if (first === undefined || !isReplyTo(first, header.xid))
      return this.must(false, `gets an answer to xid ${header.xid} instead of ${first?.xid}`)
    this.#checkZxid(header.zxid, header.err, first)
    this.isOver =
      first.op === OpCode.CloseSession ||
      header.err === ErrorCode.AuthFailed ||
      header.err === ErrorCode.SessionClosedRequireSaslAuth ||
      (header.err === ErrorCode.Unimplemented && header.zxid === -1n)
    const body: ReplyBody | undefined = header.err === 0 ? readReplyBody(r, first.op) : undefined
    if (body !== undefined) this.must(r.remaining === 0, 'gets answers without a rest')
    if (first.request !== undefined) this.#learn(first.request, header, body)
  }

  #takeWelcome(r: Reader): void {
    const welcome = readConnectResponse(r)
    this.must(this.hasConnected && !this.isOver, 'is welcomed once, when it has asked')
    if (welcome.timeoutMs === 0) {
      this.isOver = true
      return this.must(this.wanted !== 0n, 'gets the new session it asked for')
    }
    this.session = welcome.sessionId
    this.#welcomed(welcome.sessionId)
    this.must(this.wanted === 0n || this.wanted === welcome.sessionId, 'gets the session it asked for')
  }

  #checkZxid(zxid: bigint, err: number, { op, xid }: Asked): void {
    if (zxid <= 0n) {
      const isOutside =
        op === OpCode.Auth ||
        op === OpCode.Sasl ||
        err === ErrorCode.SessionClosedRequireSaslAuth ||
        err === ErrorCode.Unimplemented
      return this.must(isOutside, `gets a zxid with the answer to xid ${xid}, not ${zxid}`)
    }
    this.must(zxid >= this.#lastZxid, `sees no zxid go back (${this.#lastZxid} to ${zxid} with xid ${xid})`)
    this.#lastZxid = zxid
  }

  #takeEvent(type: number, path: string, zxid: bigint): void {
    if (this.isBlurred) return
    if (zxid === -1n) {
      this.must(
        this.asked[0]?.request?.kind === 'setWatches',
        'gets replayed events before the reply of setWatches',
      )
      return this.watches.replay(type, path)
    }
    this.must(
      this.watches.fire(type, path),
      `gets no event that it did not ask for (${type} ${path} ${zxid})`,
    )
  }

  /** What a reply says of watches, and what it shows. */
  #learn(
    request: Request,
    { err, zxid }: { readonly err: number; readonly zxid: bigint },
    body: ReplyBody | undefined,
  ): void {
    const { watches } = this
    switch (request.kind) {
      case 'setWatches':
        if (err === 0) {
          const rest = watches.setAgain(request, zxid)
          return this.must(this.isBlurred || rest.length === 0, `gets no event too many (${rest.join(', ')})`)
        }
        return
      case 'addWatch':
        if (err === 0) watches.watchAlways(request.path, request.mode === 0 ? 'isPersistent' : 'isRecursive')
        return
      case 'checkWatches':
      case 'removeWatches':
        return this.#learnOfWatcher(request.kind, request.path, request.type as WatcherType, err)
      case 'exists':
      case 'getData':
      case 'getChildren':
      case 'getChildren2': {
        if (err !== 0 && err !== ErrorCode.NoNode) return
        const stat = body !== undefined && 'stat' in body ? body.stat : undefined
        if (stat !== undefined || err !== 0) this.show(request.path, stat)
        if (!request.watch || (err !== 0 && request.kind !== 'exists')) return
        if (request.kind.startsWith('getChildren')) watches.watchChildren(request.path, zxid)
        else watches.watchData(request.path, { isThere: err === 0, since: zxid })
        return
      }
      default:
        if (body?.kind === 'stat' && 'path' in request) this.show(request.path, body.stat)
    }
  }

  #learnOfWatcher(kind: string, path: string, type: WatcherType, err: number): void {
    if (err !== 0 && err !== ErrorCode.NoWatcher) return
    if (!this.isBlurred) {
      const has = this.watches.has(path, type)
      this.must(
        has === (err === 0),
        `has ${has ? 'a' : 'no'} watch ${type} at ${path}, but ${kind} says ${errorName(err)}`,
      )
    }
    if (kind === 'removeWatches' && err === 0) this.watches.remove(path, type)
  }

  /** The client, or somebody else later, sees a znode: what it watches there must have been told before. */
  show(path: string, stat: Stat | undefined): void {
    this.onShown?.(path, stat)
    if (this.isBlurred) return
    const missed = this.watches.missed(path, stat)
    this.must(missed === undefined, `is told of a change before it is shown (${path}: ${missed})`)
  }

  must(fact: boolean, what: string): void {
    if (!fact) throw new Error(`connection ${this.id} ${what}`)
  }
}

function requestIn(bytes: Uint8Array, from: number, to: number): Request | undefined {
  try {
    return readRequestFrame(bytes, from, to).request
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

/** A ping is answered with an xid of its own, but refused with the one it has. */
function isReplyTo(asked: Asked, xid: number): boolean {
  return xid === asked.xid || (asked.op === OpCode.Ping && xid === -2)
}
