/**
 * The watches of a session: who is registered where, what the server has to be told of it, and who hears an event.
 */
import { ErrorCode, EventType, noZxid, WatcherType, Xid, type Zxid } from '@corral/protocol'
import type { CallQueue, Pending } from './call-queue.ts'
import type { Outbox } from './outbox.ts'
import { ProtocolError } from './protocol-error.ts'
import type { SessionEvent, WatchKind } from './session-events.ts'
import { WatchRegistry } from './watch-registry.ts'

/** What checkWatches and removeWatches call a kind. */
export const watcherTypeOf: Readonly<Record<WatchKind, WatcherType>> = {
  data: WatcherType.Data,
  child: WatcherType.Children,
  persistent: WatcherType.Persistent,
  recursive: WatcherType.PersistentRecursive,
}

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
    this.#out.emit({ kind: 'fired', type, path, zxid, watchers: this.#registry.fire(type, path) })
  }

  /** A request was answered: its watch is set, or what it removed is gone. @returns whether its watcher now waits */
  onReply(pending: Pending, err: number): boolean {
    const { request } = pending
    if (request.kind === 'removeWatches' && err === ErrorCode.Ok) this.forget(request.path, request.type)
    return this.#register(pending, err)
  }

  #register({ request, watch, isAbandoned }: Pending, err: number): boolean {
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
        this.#calls.send(0, { kind: 'removeWatches', path: request.path, type })
      }
      return false
    }
    const list = isAbsent && request.kind === 'exists' ? 'exist' : watch.kind
    this.#registry.add(list, request.path, watch.watcher)
    return true
  }

  /** One watcher leaves; the server is told if it can be, and if nobody else needs its watch. */
  unwatch(event: Extract<SessionEvent, { kind: 'unwatch' }>, canAsk: boolean): void {
    const { call, watcher, path, type } = event
    this.#registry.remove(path, watcher)
    this.#calls.dropWatcher(watcher)
    if (canAsk && !this.#isWatched(path, type)) this.#calls.send(call, { kind: 'removeWatches', path, type })
    else this.#out.settle(call, { kind: 'done' })
  }

  /** All watchers of a path leave, and are told. */
  forget(path: string, forgotten: number): void {
    for (const { type, watchers } of this.#registry.forget(path, forgotten)) {
      this.#out.emit({ kind: 'fired', type, path, zxid: noZxid, watchers })
    }
  }

  clear(): void {
    this.#registry.clear()
  }

  /**
   * Whether somebody needs the server's watch, or is about to: the removal would come after their
   * registration.
   */
  #isWatched(path: string, type: WatcherType): boolean {
    if (this.#registry.has(path, type)) return true
    for (const { request, watch } of this.#calls.sent) {
      const isHere = watch !== undefined && 'path' in request && request.path === path
      if (isHere && (type === WatcherType.Any || watcherTypeOf[watch.kind] === type)) return true
    }
    return false
  }
}

/** The events that a server sends; the others are made in clients. */
export function isChange(type: number): type is EventType {
  return type >= EventType.NodeCreated && type <= EventType.NodeChildrenChanged
}
