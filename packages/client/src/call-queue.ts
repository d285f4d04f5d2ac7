/**
 * The requests of a session, in their order: those that wait for a connection, and those that wait for a reply.
 * A request is written at most once, and each call is settled exactly once, unless it is abandoned.
 */
import { ErrorCode, Fifo, type Request, type Space } from '@corral/protocol'
import { type Outbox, requestFrame } from './outbox.ts'
import { ProtocolError } from './protocol-error.ts'
import type { CallId, Outcome, WatcherId, WatchKind } from './session-events.ts'

/** Which watcher a request registers. */
export interface WatchWanted {
  readonly kind: WatchKind
  readonly watcher: WatcherId
}

/** A request that was made and not answered yet. */
export interface Pending {
  readonly call: CallId
  readonly request: Request
  /** Given when it is sent. */
  xid: number
  /** Taken away when the watcher leaves before it was registered. */
  watch: WatchWanted | undefined
  isAbandoned: boolean
  /** While it waits for a connection. */
  frame: Space | undefined
  /** Of the frame that was sent. */
  lengthBytes: number
  /** When it has waited for an answer long enough. */
  readonly dueMs: number
}

const maxXid = 0x7fffffff
/** `jute.maxbuffer` where nobody set it. */
const usualMaxFrameBytes = 0xfffff

export class CallQueue {
  readonly #out: Outbox
  readonly #timeoutMs: number
  /** Made while there was no connection; empty while there is one. */
  readonly #queued: Fifo<Pending> = new Fifo()
  readonly #sent: Fifo<Pending> = new Fifo()
  /** Those that somebody waits for. */
  readonly #byCall: Map<CallId, Pending> = new Map()
  /** Those that are to register a watcher, by the watcher and by the path. */
  readonly #byWatcher: Map<WatcherId, Pending> = new Map()
  readonly #byWatchedPath: Map<string, Set<Pending>> = new Map()
  #lastXid = 0

  /** @param timeoutMs - how long a request may wait, from when it is made until it is answered; Infinity for ever */
  constructor(out: Outbox, timeoutMs: number) {
    this.#out = out
    this.#timeoutMs = timeoutMs
  }

  /** Whether a request that is not answered yet is to set a watch of this kind at `path`. */
  isSetting(path: string, isKind: (kind: WatchKind) => boolean): boolean {
    for (const { watch } of this.#byWatchedPath.get(path) ?? []) {
      if (watch !== undefined && isKind(watch.kind)) return true
    }
    return false
  }

  /** @param call - 0 if nobody waits for the answer */
  send(nowMs: number, call: CallId, request: Request, watch?: WatchWanted): void {
    const pending = this.#pendingOf(nowMs, call, request, watch)
    this.#send(pending)
    this.#list(pending)
  }

  /** Keeps a request for {@link sendQueued}. */
  queue(nowMs: number, call: CallId, request: Request, watch?: WatchWanted): void {
    const pending = this.#pendingOf(nowMs, call, request, watch)
    pending.frame = requestFrame(request)
    this.#queued.push(pending)
    this.#list(pending)
  }

  sendQueued(): void {
    for (const pending of this.#queued.drain()) {
      if (pending.isAbandoned) this.#unlistWatch(pending)
      else this.#send(pending)
    }
  }

  #send(pending: Pending): void {
    this.#lastXid = nextXid(this.#lastXid)
    pending.xid = this.#lastXid
    const { xid, request, frame } = pending
    pending.lengthBytes =
      frame === undefined ? this.#out.write(xid, request) : this.#out.writeFrame(xid, frame)
    pending.frame = undefined
    this.#sent.push(pending)
  }

  /** Nobody waits for this call any more: it is not sent, or its reply will be dropped. */
  abandon(call: CallId): void {
    const pending = this.#byCall.get(call)
    if (pending === undefined) return
    this.#byCall.delete(call)
    pending.isAbandoned = true
    pending.frame = undefined
  }

  /** Requests not answered yet register this watcher no more. */
  dropWatcher(watcher: WatcherId): void {
    const pending = this.#byWatcher.get(watcher)
    if (pending === undefined) return
    this.#unlistWatch(pending)
    pending.watch = undefined
  }

  /** Takes the oldest that waits for a reply; whoever takes it settles it. */
  takeOldest(xid: number): Pending {
    const pending = this.#sent.shift()
    if (pending === undefined) throw new ProtocolError(`a reply with xid ${xid} to no request`)
    this.#unlistWatch(pending)
    return pending
  }

  settle(pending: Pending, outcome: Outcome): void {
    this.#unlistWatch(pending)
    if (pending.isAbandoned) return
    this.#byCall.delete(pending.call)
    this.#out.settle(pending.call, outcome)
  }

  /** No reply comes any more: what was sent may have been applied. */
  lose(pending: Pending, why: string): void {
    const { lengthBytes } = pending
    const size = lengthBytes > usualMaxFrameBytes ? ` (${lengthBytes} bytes: more than jute.maxbuffer?)` : ''
    const reason = `${why}; the request${size} was sent and may have been applied`
    this.settle(pending, lostSent(ErrorCode.ConnectionLoss, reason))
  }

  /** When the next request has waited long enough; Infinity for never. All wait equally long, so it is an oldest. */
  dueMs(): number {
    return Math.min(this.#sent.first?.dueMs ?? Infinity, this.#queued.first?.dueMs ?? Infinity)
  }

  /** Ends the calls that have waited long enough. @returns whether any had been sent: then the server is stuck */
  loseOverdue(nowMs: number): boolean {
    const why = `no answer within ${this.#timeoutMs} ms`
    for (const pending of takeDue(this.#queued, nowMs)) {
      this.settle(pending, lost(ErrorCode.RequestTimeout, `${why}; the request was not sent`))
    }
    const overdue = takeDue(this.#sent, nowMs)
    for (const pending of overdue) {
      const reason = `${why}; the request was sent and may have been applied`
      this.settle(pending, lostSent(ErrorCode.RequestTimeout, reason))
    }
    return overdue.length > 0
  }

  loseSent(why: string): void {
    for (const pending of this.#sent.drain()) this.lose(pending, why)
  }

  loseQueued(why: string): void {
    const outcome = lost(ErrorCode.ConnectionLoss, `${why}; the request was not sent`)
    for (const pending of this.#queued.drain()) this.settle(pending, outcome)
  }

  /** The session is over. */
  end(code: ErrorCode, reason: string): void {
    for (const pending of this.#sent.drain()) this.settle(pending, lostSent(code, reason))
    for (const pending of this.#queued.drain()) this.settle(pending, lost(code, reason))
  }

  #pendingOf(nowMs: number, call: CallId, request: Request, watch: WatchWanted | undefined): Pending {
    const dueMs = nowMs + this.#timeoutMs
    return { call, request, xid: 0, watch, isAbandoned: false, frame: undefined, lengthBytes: 0, dueMs }
  }

  #list(pending: Pending): void {
    const { call, watch } = pending
    if (call !== 0) this.#byCall.set(call, pending)
    if (watch === undefined) return
    this.#byWatcher.set(watch.watcher, pending)
    const path = pathOf(pending)
    const others = this.#byWatchedPath.get(path)
    if (others === undefined) this.#byWatchedPath.set(path, new Set([pending]))
    else others.add(pending)
  }

  #unlistWatch(pending: Pending): void {
    if (pending.watch === undefined) return
    this.#byWatcher.delete(pending.watch.watcher)
    const path = pathOf(pending)
    const others = this.#byWatchedPath.get(path)
    others?.delete(pending)
    if (others?.size === 0) this.#byWatchedPath.delete(path)
  }
}

/** Of a request that is to set a watch: all of those have one. */
function pathOf({ request }: Pending): string {
  return 'path' in request ? request.path : ''
}

function takeDue(queue: Fifo<Pending>, nowMs: number): Pending[] {
  const due: Pending[] = []
  while ((queue.first?.dueMs ?? Infinity) <= nowMs) due.push(queue.shift() as Pending)
  return due
}

/** Of a request that was never sent. */
export function lost(code: ErrorCode, reason: string): Outcome {
  return { kind: 'lost', code, reason, mayHaveBeenApplied: false }
}

function lostSent(code: ErrorCode, reason: string): Outcome {
  return { kind: 'lost', code, reason, mayHaveBeenApplied: true }
}

/** Requests count from 1 to the largest int, and then from 1 again: 0 and below have other meanings. */
export function nextXid(last: number): number {
  return last === maxXid ? 1 : last + 1
}
