/**
 * Which watchers of this client wait where, by server path. Mirrors what the server holds for the connection,
 * so that events find their watchers, and a new connection can be given the same watches.
 *
 * Source: ZKWatchManager and ClientCnxn.primeConnection in the Java server; client-side filter of
 * NodeChildrenChanged.
 */
import { EventType, parentPath, type SetWatchesRequest, WatcherType, type Zxid } from '@corral/protocol'

/** A number the owner of the machine gives each registration. */
export type WatcherId = number

/**
 * What a request registers: `data` for exists and getData, `child` for getChildren, the others for addWatch.
 */
export type WatchKind = 'data' | 'child' | 'persistent' | 'recursive'

/** `exist` holds the exists-watches on absent znodes: restored differently, fired alike. */
export type WatchList = WatchKind | 'exist'

/** Path characters in one setWatches, as the Java client does: far below the server's frame limit. */
const batchChars = 128 * 1024

const restoreOrder = ['data', 'exist', 'child', 'persistent', 'recursive'] as const

/** Lists that a `WatcherType` selects. */
const selected: ReadonlyMap<number, readonly WatchList[]> = new Map<number, readonly WatchList[]>([
  [WatcherType.Data, ['data', 'exist']],
  [WatcherType.Children, ['child']],
  [WatcherType.Persistent, ['persistent']],
  [WatcherType.PersistentRecursive, ['recursive']],
  [WatcherType.Any, restoreOrder],
])

const removedEvent: Readonly<Record<WatchList, EventType>> = {
  data: EventType.DataWatchRemoved,
  exist: EventType.DataWatchRemoved,
  child: EventType.ChildWatchRemoved,
  persistent: EventType.PersistentWatchRemoved,
  recursive: EventType.PersistentWatchRemoved,
}

/** Five lists of watchers by path: one for each {@link WatchList}. */
export class WatchRegistry {
  readonly #lists: Readonly<Record<WatchList, Map<string, Set<WatcherId>>>> = {
    data: new Map(),
    exist: new Map(),
    child: new Map(),
    persistent: new Map(),
    recursive: new Map(),
  }
  /** Of all paths that ever were in that list: what is longer needs no look-up. */
  #longestRecursive = 0

  add(list: WatchList, path: string, watcher: WatcherId): void {
    if (list === 'recursive') this.#longestRecursive = Math.max(this.#longestRecursive, path.length)
    const watchers = this.#lists[list].get(path)
    if (watchers === undefined) this.#lists[list].set(path, new Set([watcher]))
    else watchers.add(watcher)
  }

  /** Forgets one watcher of `path`, in whatever list it is. */
  remove(path: string, watcher: WatcherId): void {
    for (const list of restoreOrder) {
      const watchers = this.#lists[list].get(path)
      if (watchers?.delete(watcher) === true && watchers.size === 0) this.#lists[list].delete(path)
    }
  }

  /** Whether anybody waits at exactly `path` in a way that `type` selects. */
  has(path: string, type: number): boolean {
    return listsOf(type).some(list => this.#lists[list].has(path))
  }

  /**
   * Forgets everybody who waits at exactly `path` in a way that `type` selects.
   *
   * @returns the Removed events and who is to get them
   */
  forget(
    path: string,
    type: number,
  ): { readonly type: EventType; readonly watchers: readonly WatcherId[] }[] {
    const events: { type: EventType; watchers: WatcherId[] }[] = []
    for (const list of listsOf(type)) {
      const watchers = this.#take(list, path)
      if (watchers.length > 0) events.push({ type: removedEvent[list], watchers })
    }
    return events
  }

  /** @returns who is to get an event, in the order of the lists; the one-shot ones are forgotten */
  fire(type: number, path: string): WatcherId[] {
    switch (type) {
      case EventType.NodeCreated:
      case EventType.NodeDataChanged:
        return [
          ...this.#take('data', path),
          ...this.#take('exist', path),
          ...this.#at('persistent', path),
          ...this.#above(path),
        ]
      case EventType.NodeDeleted:
        return [
          ...this.#take('data', path),
          ...this.#take('exist', path),
          ...this.#take('child', path),
          ...this.#at('persistent', path),
          ...this.#above(path),
        ]
      case EventType.NodeChildrenChanged:
        // Recursive watchers hear of the child itself; this event came for somebody else's child watch.
        return [...this.#take('child', path), ...this.#at('persistent', path)]
      default:
        return []
    }
  }

  /** The requests that give a new connection all watches, in pieces that fit a server's frame limit. */
  *restore(relativeZxid: Zxid): Generator<SetWatchesRequest, void, undefined> {
    let batch = emptyBatch()
    let chars = 0
    for (const list of restoreOrder) {
      for (const path of this.#lists[list].keys()) {
        batch[list].push(path)
        chars += path.length
        if (chars < batchChars) continue
        yield toRequest(batch, relativeZxid)
        batch = emptyBatch()
        chars = 0
      }
    }
    if (restoreOrder.some(list => batch[list].length > 0)) yield toRequest(batch, relativeZxid)
  }

  clear(): void {
    for (const list of restoreOrder) this.#lists[list].clear()
  }

  #at(list: WatchList, path: string): Iterable<WatcherId> {
    return this.#lists[list].get(path) ?? []
  }

  #take(list: WatchList, path: string): WatcherId[] {
    const watchers = this.#lists[list].get(path)
    if (watchers === undefined) return []
    this.#lists[list].delete(path)
    return [...watchers]
  }

  /** Recursive watchers at `path` and at each ancestor up to the root. */
  *#above(path: string): Generator<WatcherId, void, undefined> {
    if (this.#lists.recursive.size === 0) return
    const longest = this.#longestRecursive
    let at = path.length <= longest ? path : parentPath(path.slice(0, longest + 1))
    for (;;) {
      yield* this.#at('recursive', at)
      if (at === '/') return
      at = parentPath(at)
    }
  }
}

function listsOf(type: number): readonly WatchList[] {
  return selected.get(type) ?? []
}

type Batch = Record<WatchList, string[]>

function emptyBatch(): Batch {
  return { data: [], exist: [], child: [], persistent: [], recursive: [] }
}

/** SetWatches2 only where it is needed: servers before 3.6 do not know it. */
function toRequest(batch: Batch, relativeZxid: Zxid): SetWatchesRequest {
  const { data, exist, child, persistent, recursive } = batch
  const base = { kind: 'setWatches', relativeZxid, data, exist, child } as const
  if (persistent.length === 0 && recursive.length === 0) return base
  return { ...base, persistent: { plain: persistent, recursive } }
}
