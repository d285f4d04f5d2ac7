import { assert, type EventType, stripChroot, type Zxid } from '@corral/protocol'
import type { ZkError } from './errors.ts'
import type { WatcherId, WatchKind } from './session-events.ts'
import { type WatchEvent, type WatchEventType, type WatchListener, watchEventType } from './watch.ts'

/** What a listener was given for. */
export interface Watcher {
  readonly listener: WatchListener
  readonly kind: WatchKind
  /** As the caller gave it. */
  readonly path: string
  readonly serverPath: string
}

interface Registration extends Watcher {
  /** The request that registers it was answered. */
  isSet: boolean
}

const removals: ReadonlySet<WatchEventType> = new Set([
  'DataWatchRemoved',
  'ChildWatchRemoved',
  'PersistentWatchRemoved',
])

/** The listeners behind a session's watchers: who is told what, in the caller's paths. */
export class Listeners {
  readonly #chroot: string
  readonly #registered: Map<WatcherId, Registration> = new Map()
  readonly #byListener: Map<WatchListener, Set<WatcherId>> = new Map()

  constructor(chroot: string) {
    this.#chroot = chroot
  }

  add(id: WatcherId, watcher: Watcher): void {
    this.#registered.set(id, { ...watcher, isSet: false })
    const ids = this.#byListener.get(watcher.listener)
    if (ids === undefined) this.#byListener.set(watcher.listener, new Set([id]))
    else ids.add(id)
  }

  /** The request that was to register it is answered. */
  settle(id: WatcherId, isWatching: boolean): void {
    const registration = this.#registered.get(id)
    if (registration === undefined) return
    if (isWatching) registration.isSet = true
    else this.remove(id)
  }

  remove(id: WatcherId): void {
    const registration = this.#registered.get(id)
    if (registration === undefined) return
    const { listener } = registration
    this.#registered.delete(id)
    const ids = this.#byListener.get(listener)
    ids?.delete(id)
    if (ids?.size === 0) this.#byListener.delete(listener)
  }

  /** Everywhere that one listener watches. */
  of(listener: WatchListener): readonly (readonly [WatcherId, Watcher])[] {
    return [...(this.#byListener.get(listener) ?? [])].flatMap(id => {
      const watcher = this.#registered.get(id)
      return watcher === undefined ? [] : [[id, watcher] as const]
    })
  }

  fire(fired: {
    readonly type: EventType
    readonly path: string
    readonly zxid: Zxid
    readonly watchers: readonly WatcherId[]
  }): void {
    const type = watchEventType(fired.type)
    assert(type !== undefined, 'the machine passes on known events only')
    const zxid = fired.zxid > 0n ? fired.zxid : undefined
    for (const id of fired.watchers) {
      const watcher = this.#registered.get(id)
      if (watcher === undefined) continue
      if (removals.has(type) || !isPersistent(watcher)) this.remove(id)
      // Only a recursive watch hears of other paths than its own, which may lie outside the chroot
      // (getConfig).
      const path = watcher.kind === 'recursive' ? stripChroot(this.#chroot, fired.path) : watcher.path
      tell(watcher.listener, { type, path, zxid })
    }
  }

  /** The connection is back: persistent watches heard nothing while it was away. */
  resume(): void {
    for (const watcher of [...this.#registered.values()]) {
      if (isPersistent(watcher) && watcher.isSet) {
        tell(watcher.listener, { type: 'Resumed', path: watcher.path, zxid: undefined })
      }
    }
  }

  /** The session is over. */
  end(error: ZkError): void {
    this.#end([...this.#registered], error)
  }

  /** The connection is over, and nobody sets its watches on the next: those still to be set go on. */
  disconnect(error: ZkError): void {
    this.#end(
      [...this.#registered].filter(([, { isSet }]) => isSet),
      error,
    )
  }

  #end(ended: readonly (readonly [WatcherId, Registration])[], error: ZkError): void {
    for (const [id] of ended) this.remove(id)
    for (const [, { listener }] of ended) {
      if (typeof listener !== 'function') guarded(() => listener.onWatchEnd(error))
    }
  }
}

function isPersistent({ kind }: Watcher): boolean {
  return kind === 'persistent' || kind === 'recursive'
}

function tell(listener: WatchListener, event: WatchEvent): void {
  guarded(() => {
    if (typeof listener === 'function') listener(event)
    else listener.onWatchEvent(event)
  })
}

/** A listener that throws is its owner's mistake: it becomes an uncaught error, and the session goes on. */
export function guarded(callListener: () => void): void {
  try {
    callListener()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
