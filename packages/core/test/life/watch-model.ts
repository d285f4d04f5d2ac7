/**
 * The watches that a connection must have, told from nothing but what its client sent and was sent. Replies and events
 * of a connection come in the order in which things happened, so the model is exact.
 */
import { EventType, type Request, type Stat, WatcherType } from '@corral/protocol'

type SetWatches = Extract<Request, { readonly kind: 'setWatches' }>

interface Watched {
  /** One-shot: what the client knew of the znode when it asked. */
  data: { readonly isThere: boolean; readonly since: bigint } | undefined
  child: { readonly since: bigint } | undefined
  isPersistent: boolean
  isRecursive: boolean
}

export class WatchModel {
  readonly #byPath: Map<string, Watched> = new Map()
  /** Events that setWatches made, and that its reply must explain. */
  readonly #replayed: string[] = []

  /** Entries of both tables, as the server counts them. */
  get count(): number {
    let count = 0
    for (const at of this.#byPath.values()) {
      if (at.data !== undefined || at.isPersistent || at.isRecursive) count++
      if (at.child !== undefined || at.isPersistent) count++
    }
    return count
  }

  watchData(path: string, watch: { readonly isThere: boolean; readonly since: bigint }): void {
    this.#at(path).data ??= watch
  }

  watchChildren(path: string, since: bigint): void {
    this.#at(path).child ??= { since }
  }

  watchAlways(path: string, kind: 'isPersistent' | 'isRecursive'): void {
    this.#at(path)[kind] = true
  }

  has(path: string, type: WatcherType): boolean {
    const at = this.#byPath.get(path)
    if (at === undefined) return false
    const any = at.data !== undefined || at.child !== undefined || at.isPersistent || at.isRecursive
    switch (type) {
      case WatcherType.Children:
        return at.child !== undefined
      case WatcherType.Data:
        return at.data !== undefined
      case WatcherType.Persistent:
        return at.isPersistent
      case WatcherType.PersistentRecursive:
        return at.isRecursive
      default:
        return any
    }
  }

  remove(path: string, type: WatcherType): void {
    const at = this.#at(path)
    const isAny = type === WatcherType.Any
    if (isAny || type === WatcherType.Data) at.data = undefined
    if (isAny || type === WatcherType.Children) at.child = undefined
    if (isAny || type === WatcherType.Persistent) at.isPersistent = false
    if (isAny || type === WatcherType.PersistentRecursive) at.isRecursive = false
  }

  /** An event of a change. @returns false if nobody asked for it; else what it uses up is gone */
  fire(type: number, path: string): boolean {
    const at = this.#at(path)
    const isChild = type === EventType.NodeChildrenChanged
    const isAsked =
      at.isPersistent ||
      (!isChild && at.data !== undefined) ||
      ((isChild || type === EventType.NodeDeleted) && at.child !== undefined) ||
      (!isChild && this.#isBelowRecursive(path))
    if (!isChild) at.data = undefined
    if (isChild || type === EventType.NodeDeleted) at.child = undefined
    return isAsked
  }

  replay(type: number, path: string): void {
    this.#replayed.push(`${type} ${path}`)
  }

  /** @returns what was replayed and not asked for */
  setAgain(request: SetWatches, since: bigint): readonly string[] {
    for (const path of request.data) {
      if (!this.#tookOne(path, EventType.NodeDeleted, EventType.NodeDataChanged))
        this.watchData(path, { isThere: true, since })
    }
    for (const path of request.exist) {
      if (!this.#tookOne(path, EventType.NodeCreated)) this.watchData(path, { isThere: false, since })
    }
    for (const path of request.child) {
      if (!this.#tookOne(path, EventType.NodeDeleted, EventType.NodeChildrenChanged))
        this.watchChildren(path, since)
    }
    for (const path of request.persistent?.plain ?? []) this.watchAlways(path, 'isPersistent')
    for (const path of request.persistent?.recursive ?? []) this.watchAlways(path, 'isRecursive')
    return this.#replayed.splice(0)
  }

  /** @param stat - of the znode as it was shown; undefined: it is not there. @returns the watch that should have fired */
  missed(path: string, stat: Stat | undefined): string | undefined {
    const at = this.#byPath.get(path)
    const { data, child } = at ?? {}
    if (data !== undefined) {
      if (data.isThere !== (stat !== undefined)) return `data, ${stat === undefined ? 'deleted' : 'created'}`
      if (stat !== undefined && stat.mzxid > data.since) return 'data, changed'
    }
    if (child !== undefined && (stat === undefined || stat.pzxid > child.since)) return 'children'
    return undefined
  }

  #tookOne(path: string, ...types: readonly number[]): boolean {
    const expected = types.map(type => `${type} ${path}`)
    const found = this.#replayed.findIndex(text => expected.includes(text))
    if (found >= 0) this.#replayed.splice(found, 1)
    return found >= 0
  }

  #isBelowRecursive(path: string): boolean {
    for (const [root, { isRecursive }] of this.#byPath) {
      if (isRecursive && (path === root || root === '/' || path.startsWith(`${root}/`))) return true
    }
    return false
  }

  #at(path: string): Watched {
    const known = this.#byPath.get(path)
    if (known !== undefined) return known
    const fresh = { data: undefined, child: undefined, isPersistent: false, isRecursive: false }
    this.#byPath.set(path, fresh)
    return fresh
  }
}
