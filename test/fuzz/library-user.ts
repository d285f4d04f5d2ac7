/** Somebody who uses the client library in every way, and looks at all that it gives. */
import {
  Client,
  type ClientOptions,
  openAcl,
  type SessionState,
  type Stat,
  type StateChange,
  Watch,
  type WatchEvent,
  type WatchListener,
  type WatchOptions,
  WatchOverflowError,
  ZkError,
} from '@corral/client'
import { seededRandom } from '@corral/core'
import { DecodeError, pathProblem, type Request, readRequestFrame } from '@corral/protocol'
import type { CallName } from './client-play.ts'
import { poison } from './hostile-server.ts'
import { must } from './target.ts'

/** What a listener of the user throws. */
export class UserMistake extends Error {}

interface Asked {
  readonly what: string
  readonly abort: AbortController
  isSettled: boolean
}

interface Checked {
  readonly promise: Promise<unknown>
  /** Throws for a value that cannot be. */
  readonly check: (value: unknown) => void
}

const eventTypes: readonly string[] = [
  'NodeCreated',
  'NodeDeleted',
  'NodeDataChanged',
  'NodeChildrenChanged',
  'DataWatchRemoved',
  'ChildWatchRemoved',
  'PersistentWatchRemoved',
  'Resumed',
]

const selections = ['data', 'children', 'any', 'persistent', 'persistentRecursive'] as const
const modes = ['persistent', 'persistentSequential', 'ephemeral', 'ephemeralSequential', 'container'] as const

export class LibraryUser {
  readonly #client: Client
  readonly #asked: Asked[] = []
  readonly #listeners: WatchListener[] = []
  readonly #watches: Watch[] = []
  /** Those taken back: they may wait for ever. */
  readonly #left: Set<WatchListener> = new Set()
  #problem: unknown
  #highestZxid = 0n
  #state: SessionState = 'connecting'
  /** Calls that were answered with a value. */
  answers = 0
  lastAnswered = ''

  constructor(options: readonly string[], given: ClientOptions) {
    const has = (option: string): boolean => options.includes(option)
    const servers = has('one') ? 'a:1' : 'a:1,b:2,c:3'
    this.#client = new Client(has('chroot') ? `${servers}/app` : servers, {
      ...given,
      random: seededRandom(11),
      canBeReadOnly: has('readOnly'),
      restoresWatches: !has('forgetful'),
      requestTimeoutMs: has('hasty') ? 2000 : undefined,
      session: has('session') ? { id: 77n as Client['sessionId'], password: new Uint8Array(16) } : undefined,
      auth: has('auth') ? [{ scheme: 'digest', auth: 'u:p' }] : undefined,
      onState: change => this.#noted(() => this.#onState(change)),
      onReply: ({ err, body }) =>
        this.#noted(() => must(err === 0 || body.kind === 'none', 'a refusal has no body')),
      onEvent: ({ path }) => this.#noted(() => must(typeof path === 'string', 'an event has a path')),
    })
  }

  get state(): SessionState {
    return this.#client.state
  }

  get isOver(): boolean {
    return ['expired', 'authFailed', 'closed'].includes(this.state)
  }

  get lastZxid(): bigint {
    return this.#client.lastZxid
  }

  get sessionTimeoutMs(): number {
    return this.#client.sessionTimeoutMs
  }

  /** @param args - name, path and variant, as they are written in a play */
  call([name = '', written = '', variant = '0']: readonly string[]): void {
    const path = written === '' ? '' : decodeURIComponent(written)
    const n = Number(variant)
    const abort = new AbortController()
    const { promise, check } = this.#calls(path, n, abort.signal)[name as CallName]()
    this.#await(`${name} ${path}`, abort, promise, check)
  }

  /** A request as somebody else's client sent it, if it can be read. */
  ask(frame: Uint8Array): void {
    const request = requestOf(frame)
    if (request === undefined) return
    const abort = new AbortController()
    const promise = this.#client.request(request, { signal: abort.signal })
    this.#await(`request ${request.kind}`, abort, promise, reply => {
      must((reply as { zxid?: unknown }).zxid !== undefined, 'a reply has a zxid')
    })
  }

  abort(): void {
    this.#asked.findLast(each => !each.isSettled)?.abort.abort(new UserMistake('aborted'))
  }

  unwatch(): void {
    const listener = this.#listeners.pop()
    if (listener === undefined) return
    this.#left.add(listener)
    this.#await('unwatch', new AbortController(), this.#client.unwatch(listener), () => undefined)
  }

  close(): void {
    this.#await('close', new AbortController(), this.#client.close(), () => {
      must(this.isOver, 'a client that was closed is over')
    })
  }

  /** Throws what went wrong in a listener or with a promise. */
  mustBeWell(): void {
    if (this.#problem !== undefined) throw this.#problem
    must(this.lastZxid >= this.#highestZxid, 'what a client has seen does not go back')
    this.#highestZxid = this.lastZxid
  }

  async mustHaveSettled(): Promise<void> {
    for (const watch of this.#watches) {
      if (!this.#left.has(watch)) this.#await('a watch', new AbortController(), watch.fired, () => undefined)
    }
    await new Promise(resolve => setImmediate(resolve))
    const left = this.#asked.filter(each => !each.isSettled).map(each => each.what)
    must(left.length === 0, `a closed client settles everything, ${left.join(', ')} too`)
  }

  #await(
    what: string,
    abort: AbortController,
    promise: Promise<unknown>,
    check: (value: unknown) => void,
  ): void {
    const asked: Asked = { what, abort, isSettled: false }
    this.#asked.push(asked)
    promise.then(
      value =>
        this.#noted(() => {
          asked.isSettled = true
          check(value)
          this.answers += 1
          this.lastAnswered = what
        }),
      error =>
        this.#noted(() => {
          asked.isSettled = true
          const isDeclared = error instanceof ZkError || error instanceof WatchOverflowError
          const isAborted = abort.signal.aborted && error === abort.signal.reason
          if (!isDeclared && !isAborted) throw error
        }),
    )
  }

  /** A rule broken inside a listener is the play's failure, not the listener's. */
  #noted(look: () => void): void {
    try {
      look()
    } catch (error) {
      this.#problem ??= error
    }
  }

  #onState({ state, previous }: StateChange): void {
    must(previous === this.#state, `${state} does not come after ${previous}, it was ${this.#state}`)
    must(!['expired', 'authFailed', 'closed'].includes(previous), `${previous} is final`)
    this.#state = state
  }

  /** Some listener for a path: none, one that is quiet, one that throws, one to be awaited, one that asks again. */
  #listener(path: string, n: number): { readonly watch?: WatchListener } {
    const hear = this.#hearer(path, { isOneShot: true, isRecursive: false })
    const listener = (
      [
        undefined,
        hear,
        (event: WatchEvent) => {
          hear(event)
          throw new UserMistake('in a listener')
        },
        new Watch(),
        {
          onWatchEvent: (event: WatchEvent) => {
            hear(event)
            this.call(['getData', encodeURIComponent(path), String(n % 4)])
            if (n % 10 === 9) this.#askUnwritable()
            if (n === 14) this.close()
          },
          onWatchEnd: (error: ZkError) => {
            this.#noted(() => must(error instanceof ZkError, 'a watch ends with a ZkError'))
            throw new UserMistake('at the end')
          },
        },
      ] as const
    )[n % 5]
    if (listener === undefined) return {}
    this.#listeners.push(listener)
    return { watch: listener }
  }

  /** What TypeScript rules out: it harms nobody but who asks it. */
  #askUnwritable(): void {
    const request = {
      kind: 'setWatches',
      relativeZxid: 5,
      data: [],
      exist: [],
      child: [],
    } as unknown as Request
    const asking = this.#client.request(request).catch((error: unknown) => {
      if (!(error instanceof TypeError || error instanceof ZkError)) throw error
    })
    this.#await('unwritable', new AbortController(), asking, () => undefined)
  }

  #hearer(
    path: string,
    { isOneShot, isRecursive }: { readonly isOneShot: boolean; readonly isRecursive: boolean },
  ): (event: WatchEvent) => void {
    let heard = 0
    return event =>
      this.#noted(() => {
        heard += 1
        must(heard === 1 || !isOneShot, 'a one-shot watch is heard once')
        must(eventTypes.includes(event.type), `no event is called ${event.type}`)
        must(pathProblem(event.path) === undefined, `an event has a legal path, not ${event.path}`)
        must(event.zxid === undefined || event.zxid > 0n, `an event has no zxid ${event.zxid}`)
        const isBelow = path === '/' || event.path.startsWith(`${path}/`)
        must(event.path === path || (isRecursive && isBelow), `${event.path} is not watched`)
        must(!isOneShot || event.type !== 'Resumed', 'a one-shot watch is not resumed')
      })
  }

  async #addWatch(path: string, n: number, signal: AbortSignal): Promise<void> {
    const isRecursive = n % 2 === 1
    const hear = this.#hearer(path, { isOneShot: false, isRecursive })
    const onEvent = n % 3 === 0 ? undefined : hear
    const watch = await this.#client.addWatch(path, { isRecursive, onEvent, maxQueuedEvents: 3, signal })
    this.#listeners.push(watch)
    if (onEvent !== undefined) return
    const events = (async () => {
      for await (const event of watch) hear(event)
    })()
    this.#await('iteration', new AbortController(), events, () => undefined)
  }

  #calls(path: string, n: number, signal: AbortSignal): Readonly<Record<CallName, () => Checked>> {
    const client = this.#client
    const version = n % 3 === 0 ? -1 : n
    const mode = modes[n % modes.length] as (typeof modes)[number]
    const ttlMs = n % 7 === 0 ? n : undefined
    const acl = n % 2 === 0 ? openAcl : undefined
    const type = selections[n % selections.length] as (typeof selections)[number]
    const ops = [
      { kind: 'create', path, mode, withStat: n % 2 === 0 },
      { kind: 'setData', path, data: 'x', version },
      { kind: 'check', path },
      { kind: 'delete', path },
    ] as const
    const reads = [
      { kind: 'getData', path },
      { kind: 'getChildren', path },
    ] as const
    const checked = <T>(promise: Promise<T>, check: (value: T) => boolean): Checked => ({
      promise,
      check: value => must(check(value as T), `what was given is well-formed, not ${String(value)}`),
    })
    const watched = <T>(
      read: (options: WatchOptions) => Promise<T>,
      check: (value: T) => boolean,
    ): Checked => {
      const { watch } = this.#listener(path, n)
      const isSet = (): void => void (watch instanceof Watch && this.#watches.push(watch))
      const reading = read({ watch, signal })
      reading.then(isSet, () => undefined)
      return checked(reading, check)
    }
    const isVoid = (value: unknown): boolean => value === undefined
    return {
      create: () => checked(client.create(path, 'x', { mode, acl, ttlMs, signal }), isText),
      createWithStat: () =>
        checked(
          client.createWithStat(path, null, { mode, signal }),
          ({ path: made, stat }) => isText(made) && isStat(stat),
        ),
      delete: () => checked(client.delete(path, { version, signal }), isBigint),
      exists: () =>
        watched(
          options => client.exists(path, options),
          stat => stat === undefined || isStat(stat),
        ),
      getData: () => watched(options => client.getData(path, options), isData),
      setData: () => checked(client.setData(path, new Uint8Array(n), { version, signal }), isStat),
      getAcl: () =>
        checked(client.getAcl(path, { signal }), ({ acl, stat }) => Array.isArray(acl) && isStat(stat)),
      setAcl: () => checked(client.setAcl(path, openAcl, { version, signal }), isStat),
      getChildren: () => watched(options => client.getChildren(path, options), areTexts),
      getChildrenWithStat: () =>
        watched(
          options => client.getChildrenWithStat(path, options),
          value => areTexts(value.children) && isStat(value.stat),
        ),
      getAllChildrenNumber: () => checked(client.getAllChildrenNumber(path, { signal }), Number.isInteger),
      getEphemerals: () => checked(client.getEphemerals(path, { signal }), areTexts),
      sync: () => checked(client.sync(path, { signal }), isBigint),
      whoAmI: () =>
        checked(client.whoAmI({ signal }), infos =>
          infos.every(({ scheme, user }) => areTexts([scheme, user])),
        ),
      multi: () => {
        const some = ops.slice(0, n % 5)
        const kinds = ['created', 'set', 'checked', 'deleted']
        return checked(client.multi(some, { signal }), ({ results }) =>
          isEqual(
            results.map(({ kind }) => kind),
            kinds.slice(0, n % 5),
          ),
        )
      },
      multiRead: () =>
        checked(client.multiRead(reads, { signal }), ({ results: [first, second, ...more] }) => {
          const isFirst = first?.kind === 'data' || (first?.kind === 'error' && first.err !== 0)
          const isSecond = second?.kind === 'children' || (second?.kind === 'error' && second.err !== 0)
          return isFirst && isSecond && more.length === 0
        }),
      addWatch: () => checked(this.#addWatch(path, n, signal), isVoid),
      removeWatches: () =>
        checked(client.removeWatches(path, { type, isLocal: n % 2 === 0, signal }), isVoid),
      hasWatches: () => checked(client.hasWatches(path, { type, signal }), has => typeof has === 'boolean'),
      addAuth: () => checked(client.addAuth('digest', 'u:p', { signal }), isVoid),
      getConfig: () => checked(client.getConfig({ signal }), isData),
      reconfig: () => checked(client.reconfig({ joining: ['server.1=a:1:2;3'], signal }), isData),
      connect: () => checked(client.connect({ timeoutMs: 1000 * n + 1, signal }), isVoid),
    }
  }
}

function requestOf(frame: Uint8Array): Request | undefined {
  try {
    return readRequestFrame(frame, 4).request
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

function areTexts(values: readonly unknown[]): boolean {
  return Array.isArray(values) && values.every(isText)
}

function isBigint(value: unknown): boolean {
  return typeof value === 'bigint'
}

function isEqual(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((each, i) => each === others[i])
}

function isData({
  data,
  stat,
  zxid,
}: {
  readonly data: unknown
  readonly stat: Stat
  readonly zxid: unknown
}): boolean {
  return (data === null || isOwned(data)) && isStat(stat) && isBigint(zxid)
}

/** Not lent: the server has overwritten what it lent. */
function isOwned(data: unknown): boolean {
  return data instanceof Uint8Array && !(data.length > 2 && data.every(byte => byte === poison))
}

function isStat(stat: Stat): boolean {
  const { czxid, mzxid, pzxid, ephemeralOwner, ...measures } = stat
  return (
    [czxid, mzxid, pzxid, ephemeralOwner].every(isBigint) &&
    Object.values(measures).every(Number.isSafeInteger)
  )
}
