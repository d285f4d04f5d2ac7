/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The typed calls: each makes a request (`requests.ts`), has the session ask it (`session.ts`), and gives what the
 * reply says. What the session does is `session-machine.ts`.
 */
import {
  type Acl,
  AddWatchMode,
  assert,
  type ClientInfo,
  ErrorCode,
  type ReplyBody,
  type Request,
  type SessionId,
  type Stat,
  type Zxid,
} from '@corral/protocol'
import type {
  AddWatchOptions,
  CallOptions,
  ConnectOptions,
  CreateOptions,
  ReconfigOptions,
  RemoveWatchesOptions,
  VersionOptions,
  WatchOptions,
} from './call-options.ts'
import type {
  AclResult,
  ChildrenResult,
  CreateResult,
  DataResult,
  MultiResult,
  Reply,
} from './call-results.ts'
import {
  authBytes,
  type ClientOptions,
  legalQueueLength,
  legalScheme,
  type OpenOptions,
  requireFunction,
  requireLegal,
  type StateChange,
} from './client-options.ts'
import { parseConnectString, type ServerAddress } from './connect-string.ts'
import { BadArgumentsError, NoNodeError, NoWatcherError, ZkError } from './errors.ts'
import { Requests, watcherType } from './requests.ts'
import { type Answer, type Asked, answered, Session } from './session.ts'
import type { SessionState, WatchKind } from './session-events.ts'
import { type ReadOp, Transaction, type TransactionOp, transactionError } from './transaction.ts'
import { isListener, PersistentWatch, type WatchListener } from './watch.ts'

const defaultMaxQueuedEvents = 10_000
const configPath = '/zookeeper/config'

/**
 * Opens a session and waits until it stands. If that fails, the client is closed: nothing is left to clean up.
 *
 * @param connectString - `host:port,host:port/chroot`; the port is 2181 where none is written, IPv6 addresses
 * stand in brackets
 * @throws BadArgumentsError, ConnectionLossError (no server within the time; `reason` says what the last one
 * did), AuthFailedError, SessionExpiredError (only of a session taken over), or the signal's reason
 */
export async function connect(connectString: string, options: OpenOptions = {}): Promise<Client> {
  const client = new Client(connectString, options)
  try {
    await client.connect({ signal: options.signal, timeoutMs: options.connectTimeoutMs })
    return client
  } catch (error) {
    await client.close()
    throw error
  }
}

/**
 * One session with an ensemble. It reconnects by itself for as long as the session lives; once it is
 * `expired`, `authFailed` or `closed`, it stays so: make a new client.
 *
 * Calls are sent in the order they are made and answered in that order. While there is no connection they
 * wait, and fail with {@link ConnectionLossError} when the connection they were sent on breaks, or when one
 * whole round through the servers found none that answers. Nothing is ever sent twice.
 *
 * What awaits a call goes on in the order of the replies, and after the listeners of the events before it:
 * every call is one `await` away from its reply, no more and no less.
 *
 * Besides what it names itself, each call may reject with BadArgumentsError (nothing was sent), ConnectionLossError,
 * RequestTimeoutError, SessionExpiredError, AuthFailedError or ClientClosedError, with the signal's reason, or with a
 * plain {@link ZkError} for a code that has no class. Bytes that it was given may be changed once the caller awaits or
 * returns; bytes that it gives are the caller's.
 */
export class Client implements AsyncDisposable {
  readonly #session: Session
  readonly #requests: Requests

  /** Does no I/O: {@link connect} does, or the first call. @throws BadArgumentsError */
  constructor(connectString: string, options: ClientOptions = {}) {
    const address = parseConnectString(connectString)
    requireLegal(options)
    this.#requests = new Requests(address.chroot)
    this.#session = new Session(address, options)
    // A refusal ends the session, which tells everybody.
    for (const { scheme, auth } of options.auth ?? []) {
      void this.#session.authenticate(scheme, authBytes(auth), {})
    }
  }

  /** Path below which this client lives; '' for none. */
  get chroot(): string {
    return this.#requests.chroot
  }

  /** Where the session is in its life; {@link onState} hears of each change. */
  get state(): SessionState {
    return this.#session.state
  }

  /** 0 until the first connection. */
  get sessionId(): SessionId {
    return this.#session.sessionId
  }

  /** With {@link sessionId}, what another client needs to take the session over (`ClientOptions.session`). */
  get sessionPassword(): Uint8Array {
    return this.#session.sessionPassword
  }

  /** What the server granted; before that, what was asked for. */
  get sessionTimeoutMs(): number {
    return this.#session.sessionTimeoutMs
  }

  /** The highest zxid any reply carried: no server that is behind it will be read from. */
  get lastZxid(): Zxid {
    return this.#session.lastZxid
  }

  /** The server this session is connected to, or is trying. */
  get server(): ServerAddress | undefined {
    return this.#session.server
  }

  /** Hears of each change from now on, in order. @returns takes the listener away again */
  onState(listener: (change: StateChange) => void): () => void {
    return this.#session.onState(listener)
  }

  /**
   * Starts connecting, if that was not done yet, and waits until the session is connected. When the time is over
   * only the waiting ends: the client goes on trying until it is closed.
   *
   * @throws ConnectionLossError, SessionExpiredError, AuthFailedError, ClientClosedError, or the signal's reason
   */
  connect(options: ConnectOptions = {}): Promise<void> {
    return this.#session.connect(options)
  }

  /**
   * Ends the session: its ephemerals go at once. Calls already sent are answered first; later ones are
   * refused with ClientClosedError. Without a connection the server finds out when the session times out.
   * Never throws.
   */
  close(): Promise<void> {
    return this.#session.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * @param data - text is sent as UTF-8; default no bytes
   * @returns the path made, with its number if sequential
   * @throws NodeExistsError, NoNodeError (no parent), NoChildrenForEphemeralsError, NoAuthError,
   * InvalidAclError, ...
   */
  async create(
    path: string,
    data?: Uint8Array | string | null,
    options: CreateOptions = {},
  ): Promise<string> {
    const request = this.#requests.create({ ...options, kind: 'create', path, data })
    const { body } = answered(await this.#ask(request, path, options))
    assert(body.kind === 'path' || body.kind === 'pathStat', 'a create is answered with a path')
    return this.#requests.clientPath(body.path)
  }

  /** As {@link create}, with the Stat (servers from 3.5 on). */
  async createWithStat(
    path: string,
    data?: Uint8Array | string | null,
    options: CreateOptions = {},
  ): Promise<CreateResult> {
    const request = this.#requests.create({
      ...options,
      kind: 'create',
      path,
      data,
      withStat: true,
    })
    const reply = answered(await this.#ask(request, path, options))
    const body = bodyOf(reply, 'pathStat')
    return { path: this.#requests.clientPath(body.path), stat: body.stat, zxid: reply.zxid }
  }

  /** @returns zxid of the txn @throws NoNodeError, BadVersionError, NotEmptyError, NoAuthError */
  async delete(path: string, options: VersionOptions = {}): Promise<Zxid> {
    const request = this.#requests.delete(path, options.version)
    return answered(await this.#ask(request, path, options)).zxid
  }

  /**
   * @returns undefined if there is no such znode; a watch then waits for it
   * @throws NoAuthError, though servers before 3.7.3, 3.8.4 and 3.9.2 tell everybody
   */
  async exists(path: string, options: WatchOptions = {}): Promise<Stat | undefined> {
    const request = {
      kind: 'exists',
      path: this.#requests.serverPath('exists', path),
      watch: hasWatch(options),
    } as const
    const answer = await this.#session.ask(request, asked(path, 'data', options))
    return answer instanceof NoNodeError ? undefined : bodyOf(answer, 'stat').stat
  }

  /** @throws NoNodeError, and then no watch is set; NoAuthError */
  async getData(path: string, options: WatchOptions = {}): Promise<DataResult> {
    const serverPath = this.#requests.serverPath('getData', path)
    return dataResult(
      await this.#session.ask(getDataRequest(serverPath, options), asked(path, 'data', options)),
    )
  }

  /**
   * @param data - text is sent as UTF-8; null is stored as null, which is not the same as no bytes
   * @throws NoNodeError, BadVersionError, NoAuthError, QuotaExceededError
   */
  async setData(path: string, data: Uint8Array | string | null, options: VersionOptions = {}): Promise<Stat> {
    const request = this.#requests.change({ kind: 'setData', path, data, version: options.version })
    return bodyOf(await this.#ask(request, path, options), 'stat').stat
  }

  /** @throws NoNodeError, NoAuthError */
  async getAcl(path: string, options: CallOptions = {}): Promise<AclResult> {
    const request = { kind: 'getAcl', path: this.#requests.serverPath('getAcl', path) } as const
    const reply = answered(await this.#ask(request, path, options))
    const { acl, stat } = bodyOf(reply, 'acl')
    return { acl, stat, zxid: reply.zxid }
  }

  /**
   * `version` is compared with the Stat's `aversion`.
   *
   * @throws NoNodeError, BadVersionError, InvalidAclError, NoAuthError
   */
  async setAcl(path: string, acl: readonly Acl[], options: VersionOptions = {}): Promise<Stat> {
    const request = this.#requests.setAcl(path, acl, options.version)
    return bodyOf(await this.#ask(request, path, options), 'stat').stat
  }

  /** @returns names, not paths, in no order @throws NoNodeError, and then no watch is set; NoAuthError */
  async getChildren(path: string, options: WatchOptions = {}): Promise<readonly string[]> {
    const request = {
      kind: 'getChildren',
      path: this.#requests.serverPath('getChildren', path),
      watch: hasWatch(options),
    } as const
    return bodyOf(await this.#session.ask(request, asked(path, 'child', options)), 'children').children
  }

  /** As {@link getChildren}, with the Stat of the parent. */
  async getChildrenWithStat(path: string, options: WatchOptions = {}): Promise<ChildrenResult> {
    const request = {
      kind: 'getChildren2',
      path: this.#requests.serverPath('getChildren', path),
      watch: hasWatch(options),
    } as const
    const reply = answered(await this.#session.ask(request, asked(path, 'child', options)))
    const { children, stat } = bodyOf(reply, 'children')
    assert(stat !== undefined, 'getChildren2 is answered with a Stat')
    return { children, stat, zxid: reply.zxid }
  }

  /** Number of all descendants, the znode itself not counted (servers from 3.6 on). @throws NoNodeError, NoAuthError */
  async getAllChildrenNumber(path: string, options: CallOptions = {}): Promise<number> {
    const request = {
      kind: 'getAllChildrenNumber',
      path: this.#requests.serverPath('getAllChildrenNumber', path),
    } as const
    return bodyOf(await this.#ask(request, path, options), 'number').number
  }

  /**
   * This session's ephemerals whose path begins with the text `prefix` (servers from 3.6 on). Both are server paths:
   * this one call does not know the chroot, as in the Java client.
   */
  async getEphemerals(prefix = '/', options: CallOptions = {}): Promise<readonly string[]> {
    const request = this.#requests.getEphemerals(prefix)
    return bodyOf(await this.#session.ask(request, { path: prefix, signal: options.signal }), 'ephemerals')
      .paths
  }

  /**
   * Waits until this session's server has applied all that the leader had proposed. Reads after it see that.
   *
   * @returns what the server has applied
   */
  async sync(path = '/', options: CallOptions = {}): Promise<Zxid> {
    const request = { kind: 'sync', path: this.#requests.serverPath('sync', path) } as const
    return answered(await this.#ask(request, path, options)).zxid
  }

  /** What this connection has authenticated as (servers from 3.7 on). */
  async whoAmI(options: CallOptions = {}): Promise<readonly ClientInfo[]> {
    return bodyOf(await this.#ask({ kind: 'whoAmI' }, undefined, options), 'clientInfo').infos
  }

  /** Begins a multi. */
  transaction(): Transaction {
    return new Transaction((ops, options) => this.multi(ops, options))
  }

  /** @throws TransactionError if any operation is refused: then nothing happened */
  async multi(ops: readonly TransactionOp[], options: CallOptions = {}): Promise<MultiResult> {
    const request = { kind: 'multi', ops: this.#requests.changes(ops) } as const
    const reply = answered(await this.#ask(request, undefined, options))
    const results = this.#requests.clientResults(bodyOf(reply, 'results').results)
    if (results.some(result => result.kind === 'error')) throw transactionError(ops, results, reply.zxid)
    return { results, zxid: reply.zxid }
  }

  /**
   * Reads that all see one state (servers from 3.6 on). One that fails has an `error` result and does not disturb the
   * others.
   */
  async multiRead(ops: readonly ReadOp[], options: CallOptions = {}): Promise<MultiResult> {
    const request = { kind: 'multiRead', ops: this.#requests.reads(ops) } as const
    const reply = answered(await this.#ask(request, undefined, options))
    return { results: bodyOf(reply, 'results').results, zxid: reply.zxid }
  }

  /**
   * Sets a watch that stays until it is closed or the session ends, on a znode that need not exist. It is set
   * again after each reconnect, without the changes in between: the event `Resumed` says when to read again. Servers
   * know of such watches from 3.6 on.
   */
  async addWatch(path: string, options: AddWatchOptions = {}): Promise<PersistentWatch> {
    const { isRecursive = false, maxQueuedEvents = defaultMaxQueuedEvents, onEvent } = options
    requireFunction('onEvent', onEvent)
    const request = {
      kind: 'addWatch',
      path: this.#requests.serverPath('addWatch', path),
      mode: isRecursive ? AddWatchMode.PersistentRecursive : AddWatchMode.Persistent,
    } as const
    const watch = new PersistentWatch({
      path,
      isRecursive,
      maxQueuedEvents: legalQueueLength(maxQueuedEvents),
      onEvent,
      close: listener => this.#session.unwatch(listener),
    })
    const kind = isRecursive ? 'recursive' : 'persistent'
    const about = { path, signal: options.signal, watch: { kind, listener: watch } } as const
    answered(await this.#session.ask(request, about))
    return watch
  }

  /**
   * Takes one listener away wherever it watches, and the watch at the server with it unless another listener
   * of this client needs that. Never throws: where the connection is gone, so is the server's watch.
   */
  unwatch(listener: WatchListener): Promise<void> {
    return listener instanceof PersistentWatch ? listener.close() : this.#session.unwatch(listener)
  }

  /**
   * Removes this client's watches on exactly this path, here and at the server: those of the `type` given, or
   * any. Their listeners get `DataWatchRemoved`, `ChildWatchRemoved` or `PersistentWatchRemoved`. Servers before 3.9
   * that are to remove `data` or `children` take a persistent watch at the path away with them.
   *
   * @throws NoWatcherError if this client has none there, or the server knows of none; MarshallingError if it is
   * older than 3.9 and the type is one of the persistent; ConnectionLossError. With `isLocal` only the first, as long
   * as the session lives: in the Java client too the answer then no longer matters, whatever it is
   */
  async removeWatches(path: string, options: RemoveWatchesOptions = {}): Promise<void> {
    const type = watcherType('removeWatches', path, options.type)
    const serverPath = this.#requests.serverPath('removeWatches', path)
    const request = { kind: 'removeWatches', path: serverPath, type } as const
    const answer = await this.#session.ask(request, { path, signal: options.signal, removesWatches: true })
    const isEnough = options.isLocal === true && answer instanceof ZkError && !this.#session.isOver
    if (isEnough) await this.#session.forgetWatches(serverPath, type, path)
    else answered(answer)
  }

  /** Whether the server has such a watch of this connection. */
  async hasWatches(path: string, options: Omit<RemoveWatchesOptions, 'isLocal'> = {}): Promise<boolean> {
    const request = {
      kind: 'checkWatches',
      path: this.#requests.serverPath('checkWatches', path),
      type: watcherType('checkWatches', path, options.type),
    } as const
    const answer = await this.#ask(request, path, options)
    if (answer instanceof NoWatcherError) return false
    answered(answer)
    return true
  }

  /**
   * Authenticates this and all later connections of the session.
   *
   * @param auth - what the scheme wants: for `digest` the text `user:password`
   * @throws AuthFailedError; the session is then over. ConnectionLossError if no server answers: the next that
   * does is told all the same
   */
  async addAuth(scheme: string, auth: Uint8Array | string | null, options: CallOptions = {}): Promise<void> {
    const identity = [legalScheme(scheme), authBytes(auth)] as const
    if (options.signal?.aborted !== true) this.#session.start()
    answered(await this.#session.authenticate(...identity, options))
  }

  /** The ensemble's configuration text, from outside any chroot. */
  async getConfig(options: WatchOptions = {}): Promise<DataResult> {
    const about = asked(configPath, 'data', options)
    return dataResult(await this.#session.ask(getDataRequest(configPath, options), about))
  }

  /** @returns the new configuration text @throws ReconfigDisabledError, NoAuthError, BadVersionError, ... */
  async reconfig(options: ReconfigOptions): Promise<DataResult> {
    const request = this.#requests.reconfig(options)
    return dataResult(await this.#ask(request, configPath, options))
  }

  /**
   * Sends a request as it is, with server paths and unchecked, and gives the reply as it came: for tools and
   * tests that want exactly that. A watch flag in it registers nobody.
   */
  async request(request: Request, options: CallOptions = {}): Promise<Reply> {
    return answered(await this.#ask(request, 'path' in request ? request.path : undefined, options))
  }

  #ask(request: Request, path: string | undefined, { signal }: CallOptions): Promise<Answer> {
    return this.#session.ask(request, { path, signal })
  }
}

function hasWatch(options: WatchOptions): boolean {
  return options.watch !== undefined
}

function asked(path: string, kind: WatchKind, { signal, watch }: WatchOptions): Asked {
  if (watch === undefined) return { path, signal }
  if (isListener(watch)) return { path, signal, watch: { kind, listener: watch } }
  throw new BadArgumentsError(ErrorCode.BadArguments, {
    path,
    reason: 'watch is no function, Watch or handler',
  })
}

function getDataRequest(path: string, options: WatchOptions): Request {
  return { kind: 'getData', path, watch: hasWatch(options) }
}

function dataResult(answer: Answer): DataResult {
  const { zxid } = answered(answer)
  const { data, stat } = bodyOf(answer, 'data')
  return { data, stat, zxid }
}

function bodyOf<K extends ReplyBody['kind']>(answer: Answer, kind: K): Extract<ReplyBody, { kind: K }> {
  const { body } = answered(answer)
  assert(body.kind === kind, `a reply of kind ${kind}, not ${body.kind}`)
  return body as Extract<ReplyBody, { kind: K }>
}
