/**
 * The watches of a session: who is registered where, what the server has to be told of it, and who hears an event.
 */
import { ErrorCode, EventType, noZxid, pathProblem, WatcherType, Xid, type Zxid } from '@corral/protocol'
import type { CallQueue, Pending } from './call-queue.ts'
import type { Outbox } from './outbox.ts'
import { ProtocolError } from './protocol-error.ts'
import type { SessionEvent, WatchChange, WatchKind } from './session-events.ts'
import { WatchRegistry } from './watch-registry.ts'

/** What checkWatches and removeWatches call a kind. */
export const watcherTypeOf: Readonly<Record<WatchKind, WatcherType>> = {
  data: WatcherType.Data,
  child: WatcherType.Children,
  persistent: WatcherType.Persistent,
  recursive: WatcherType.PersistentRecursive,
}

const lasting: readonly WatcherType[] = [WatcherType.Persistent, WatcherType.PersistentRecursive]

export class SessionWatches {
  readonly #out: Outbox
  readonly #calls: CallQueue
  readonly #registry: WatchRegistry = new WatchRegistry()

  constructor(out: Outbox, calls: CallQueue) {
    this.#out = out
    this.#calls = calls
  }

  /** Gives a new connection all watches. */
  restore(lastZxid: Zxid): void {
    for (const request of this.#registry.restore(lastZxid)) this.#out.write(Xid.SetWatches, request)
  }

  /** The server says that something changed. */
  onEvent(event: { readonly type: number; readonly path: string; readonly zxid: Zxid }): void {
    const { type, path, zxid } = event
    if (!isChange(type)) throw new ProtocolError(`no watch event has type ${type}`)
    const problem = pathProblem(path)
    if (problem !== undefined) throw new ProtocolError(`the path of a watch event is none: ${problem}`)
    this.#out.emit({ kind: 'fired', type, path, zxid, watchers: this.#registry.fire(type, path) })
  }

  /** A request was answered: its watch is set, or what it removed is gone. */
  onReply(nowMs: number, pending: Pending, err: number): WatchChange {
    const { request } = pending
    if (request.kind !== 'removeWatches') return this.#register(nowMs, pending, err) ? 'set' : 'none'
    return err === ErrorCode.Ok ? this.forget(request.path, request.type) : 'none'
  }

  #register(nowMs: number, { request, watch, isAbandoned }: Pending, err: number): boolean {
    if (watch === undefined || !('path' in request)) return false
    const isAbsent = err === ErrorCode.NoNode
    const isSet =
      err === ErrorCode.Ok || (isAbsent && (request.kind === 'exists' || request.kind === 'addWatch'))
    if (!isSet) return false
    if (isAbandoned) {
      // A one-shot watch goes by itself; a persistent one would be heard for ever.
      const type = watcherTypeOf[watch.kind]
      const isPersistent = request.kind === 'addWatch'
      if (isPersistent && !this.#isWatched(request.path, type)) {
        this.#calls.send(nowMs, 0, { kind: 'removeWatches', path: request.path, type })
      }
      return false
    }
    const list = isAbsent && request.kind === 'exists' ? 'exist' : watch.kind
    this.#registry.add(list, request.path, watch.watcher)
    return true
  }

  /** One watcher leaves; the server is told if it can be, and if nobody else needs its watch. */
  unwatch(nowMs: number, event: Extract<SessionEvent, { kind: 'unwatch' }>, canAsk: boolean): void {
    const { call, watcher, path, type } = event
    this.#registry.remove(path, watcher)
    this.#calls.dropWatcher(watcher)
    if (canAsk && !this.#isNeeded(path, type)) {
      this.#calls.send(nowMs, call, { kind: 'removeWatches', path, type })
    } else {
      this.#out.settle(call, { kind: 'done', watches: 'none' })
    }
  }

  /** All watchers of a path leave, and are told. */
  forget(path: string, forgotten: number): WatchChange {
    const removals = this.#registry.forget(path, forgotten)
    for (const { type, watchers } of removals) {
      this.#out.emit({ kind: 'fired', type, path, zxid: noZxid, watchers })
    }
    return removals.length === 0 ? 'none' : 'removed'
  }

  clear(): void {
    this.#registry.clear()
  }

  /**
   * Servers before 3.9, asked to remove a one-shot watch, remove a persistent one from the same table. Left alone, the
   * one-shot watch goes with the next change.
   */
  #isNeeded(path: string, type: WatcherType): boolean {
    if (this.#isWatched(path, type)) return true
    const isOneShot = type === WatcherType.Data || type === WatcherType.Children
    return isOneShot && lasting.some(each => this.#isWatched(path, each))
  }

  /**
   * Whether somebody needs the server's watch, or is about to: the removal would come after their
   * registration.
   */
  #isWatched(path: string, type: WatcherType): boolean {
    const isSelected = (kind: WatchKind): boolean => type === WatcherType.Any || watcherTypeOf[kind] === type
    return this.#registry.has(path, type) || this.#calls.isSetting(path, isSelected)
  }
}

/** The events that a server sends; the others are made in clients. */
export function isChange(type: number): type is EventType {
  return type >= EventType.NodeCreated && type <= EventType.NodeChildrenChanged
}
