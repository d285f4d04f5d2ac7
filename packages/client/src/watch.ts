/// <reference lib="esnext.disposable" preserve="true" />
/**
 * What callers see of watches: events, and the three ways to receive them (a function, a promise, an
 * iteration).
 */
import { EventType, Fifo, type Zxid } from '@corral/protocol'
import { WatchOverflowError, type ZkError } from './errors.ts'

/**
 * The four changes, as ZooKeeper names them; the three ends of a watch by `removeWatches`; and `Resumed`,
 * which only persistent watches get: the connection was away, changes in between were not reported, read
 * again.
 */
export type WatchEventType =
  | 'NodeCreated'
  | 'NodeDeleted'
  | 'NodeDataChanged'
  | 'NodeChildrenChanged'
  | 'DataWatchRemoved'
  | 'ChildWatchRemoved'
  | 'PersistentWatchRemoved'
  | 'Resumed'

/** Something that happened to a watched znode, or to the watch. */
export interface WatchEvent {
  readonly type: WatchEventType
  /** The path that changed, below the chroot; for `Resumed` and the removals the path that is watched. */
  readonly path: string
  /**
   * The txn that caused it, where the server says so (3.9 and later, not for changes missed while
   * disconnected).
   */
  readonly zxid: Zxid | undefined
}

/** An object that wants to hear of the end of its watch as well. Calls come in the order of the session. */
export interface WatchHandler {
  onWatchEvent(event: WatchEvent): void
  /** The session has ended, or without `restoresWatches` its connection, and the watch with it. */
  onWatchEnd(error: ZkError): void
}

/** A function is called for each event and hears nothing of the session's end: see `Client.onState`. */
export type WatchListener = ((event: WatchEvent) => void) | WatchHandler

/** @internal */
export function isListener(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return typeof value === 'function'
  const { onWatchEvent, onWatchEnd } = value as Partial<WatchHandler>
  return typeof onWatchEvent === 'function' && typeof onWatchEnd === 'function'
}

const typeNames: ReadonlyMap<number, WatchEventType> = new Map([
  [EventType.NodeCreated, 'NodeCreated'],
  [EventType.NodeDeleted, 'NodeDeleted'],
  [EventType.NodeDataChanged, 'NodeDataChanged'],
  [EventType.NodeChildrenChanged, 'NodeChildrenChanged'],
  [EventType.DataWatchRemoved, 'DataWatchRemoved'],
  [EventType.ChildWatchRemoved, 'ChildWatchRemoved'],
  [EventType.PersistentWatchRemoved, 'PersistentWatchRemoved'],
])

/** @internal */
export function watchEventType(type: number): WatchEventType | undefined {
  return typeNames.get(type)
}

/**
 * A one-shot watch to await: `const watch = new Watch(); await zk.getData(path, { watch }); await
 * watch.fired`. Good for one call. If that call fails, so that no watch was set, or if the watch is taken back with
 * `Client.unwatch`, `fired` stays pending.
 */
export class Watch implements WatchHandler {
  /**
   * The event; rejects if the session ends first. Nobody has to listen: a rejection here is never
   * "unhandled".
   */
  readonly fired: Promise<WatchEvent>
  #resolve: (event: WatchEvent) => void = () => undefined
  #reject: (error: ZkError) => void = () => undefined

  constructor() {
    this.fired = new Promise<WatchEvent>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.fired.catch(() => undefined)
  }

  /** @internal */
  onWatchEvent(event: WatchEvent): void {
    this.#resolve(event)
  }

  /** @internal */
  onWatchEnd(error: ZkError): void {
    this.#reject(error)
  }
}

/** Somebody who waits for the next event. */
interface Taker {
  resolve(result: IteratorResult<WatchEvent>): void
  reject(error: unknown): void
}

/**
 * A persistent watch, as an iteration of its events from the moment it was set. The iteration ends when the
 * watch is closed or removed, or the client closes; it throws when the session expires, or with
 * {@link WatchOverflowError} when more than `maxQueuedEvents` wait to be taken.
 */
export class PersistentWatch implements WatchHandler, AsyncIterable<WatchEvent>, AsyncDisposable {
  readonly path: string
  readonly isRecursive: boolean
  readonly #close: (watch: PersistentWatch) => Promise<void>
  readonly #maxQueuedEvents: number
  readonly #onEvent: ((event: WatchEvent) => void) | undefined
  readonly #queue: Fifo<WatchEvent> = new Fifo()
  readonly #takers: Fifo<Taker> = new Fifo()
  /** Set once: nothing comes after what is queued. */
  #end: { readonly error: unknown } | undefined

  /** @internal Made by `Client.addWatch`. */
  constructor(given: {
    readonly path: string
    readonly isRecursive: boolean
    readonly maxQueuedEvents: number
    readonly onEvent: ((event: WatchEvent) => void) | undefined
    readonly close: (watch: PersistentWatch) => Promise<void>
  }) {
    this.path = given.path
    this.isRecursive = given.isRecursive
    this.#maxQueuedEvents = given.maxQueuedEvents
    this.#onEvent = given.onEvent
    this.#close = given.close
  }

  /** Ends the watch here and, if nobody else of this client needs it, at the server. Never throws. */
  async close(): Promise<void> {
    if (this.#end !== undefined) return
    this.#finish(undefined)
    await this.#close(this)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** All iterators of a watch take from the same queue. Leaving a loop does not close the watch. */
  [Symbol.asyncIterator](): AsyncIterator<WatchEvent> {
    return { next: () => this.#next() }
  }

  /** @internal */
  onWatchEvent(event: WatchEvent): void {
    if (this.#end !== undefined) return
    try {
      if (this.#onEvent !== undefined) this.#onEvent(event)
      else this.#enqueue(event)
    } finally {
      if (event.type === 'PersistentWatchRemoved') this.#finish(undefined)
    }
  }

  /** @internal */
  onWatchEnd(error: ZkError): void {
    this.#finish(error.name === 'ClientClosedError' ? undefined : error)
  }

  #enqueue(event: WatchEvent): void {
    const taker = this.#takers.shift()
    if (taker !== undefined) return taker.resolve({ value: event, done: false })
    if (this.#queue.length < this.#maxQueuedEvents) {
      this.#queue.push(event)
      return
    }
    this.#queue.drain()
    this.#finish(new WatchOverflowError(`${this.#maxQueuedEvents} events of ${this.path} were waiting`))
    void this.#close(this)
  }

  #next(): Promise<IteratorResult<WatchEvent>> {
    const event = this.#queue.shift()
    if (event !== undefined) return Promise.resolve({ value: event, done: false })
    if (this.#end !== undefined) return ended(this.#end.error)
    return new Promise((resolve, reject) => this.#takers.push({ resolve, reject }))
  }

  #finish(error: unknown): void {
    if (this.#end !== undefined) return
    this.#end = { error }
    for (const taker of this.#takers.drain()) ended(error).then(taker.resolve, taker.reject)
  }
}

function ended(error: unknown): Promise<IteratorResult<WatchEvent>> {
  return error === undefined ? Promise.resolve({ value: undefined, done: true }) : Promise.reject(error)
}
