/**
 * The typed calls: client paths and plain values in, requests with server paths out, and back. What becomes
 * of a request is `session.ts`, what the session does is `session-machine.ts`; the chroot is known here only.
 */
import {
  type Acl,
  AddWatchMode,
  addChroot,
  anyVersion,
  assert,
  type ClientInfo,
  type CreateRequest,
  type CreateTtlRequest,
  ErrorCode,
  encodeUtf8,
  type MultiOp,
  type MultiReadOp,
  OpCode,
  type OpResult,
  openAcl,
  pathProblem,
  type ReplyBody,
  type Request,
  type SessionId,
  type Stat,
  stripChroot,
  unreachable,
  WatcherType,
  type Zxid,
} from '@corral/protocol'
import { parseConnectString, type ServerAddress } from './connect-string.ts'
import { type CreateMode, createFlags, isSequential } from './create-mode.ts'
import { BadArgumentsError, ConnectionLossError, TransactionError, ZkError, zkError } from './errors.ts'
import {
  type Asked,
  type CallOptions,
  type ClientOptions,
  type ConnectOptions,
  type Reply,
  Session,
  type StateChange,
} from './session.ts'
import type { SessionState, WatchKind } from './session-events.ts'
import {
  type CommitOptions,
  type MultiResult,
  type ReadOp,
  Transaction,
  type TransactionOp,
} from './transaction.ts'
import { PersistentWatch, type WatchEvent, type WatchListener } from './watch.ts'

/** Options of the reads that can leave a one-shot watch. */
export interface WatchOptions extends CallOptions {
  /** Hears of the next change, once. */
  readonly watch?: WatchListener | undefined
}

/** Options of the changes that can insist on a version. */
export interface VersionOptions extends CallOptions {
  /** The version that must be there; default -1, any. */
  readonly version?: number | undefined
}

/** What kind of znode to make, and for whom. */
export interface CreateOptions extends CallOptions {
  /** Default persistent. */
  readonly mode?: CreateMode | undefined
  /** Default everybody, all permissions. */
  readonly acl?: readonly Acl[] | undefined
  /** Makes a TTL znode: it goes when it has had no child and no change for this long. */
  readonly ttlMs?: number | undefined
}

/** How far a persistent watch reaches, and how its events are taken. */
export interface AddWatchOptions extends CallOptions {
  /** Also hear of everything below the path (then without NodeChildrenChanged). Default false. */
  readonly isRecursive?: boolean | undefined
  /** Called for each event instead of queueing it for iteration. */
  readonly onEvent?: ((event: WatchEvent) => void) | undefined
  /** Default 10 000; what happens beyond: see {@link PersistentWatch}. */
  readonly maxQueuedEvents?: number | undefined
}

/** Which watches of a path: `data` includes those of exists. */
export type WatchSelection = 'data' | 'children' | 'any' | 'persistent' | 'persistentRecursive'

/** Which watches to remove, and what to do without a connection. */
export interface RemoveWatchesOptions extends CallOptions {
  /** Default any. */
  readonly type?: WatchSelection | undefined
  /** Forget the watches here even if the server cannot be reached. Default false. */
  readonly isLocal?: boolean | undefined
}

/** A znode read. */
export interface DataResult {
  /** null where null was stored, which is not the same as no bytes. */
  readonly data: Uint8Array | null
  readonly stat: Stat
  /** What the server had applied when it answered. */
  readonly zxid: Zxid
}

/** The children of a znode, and its own Stat. */
export interface ChildrenResult {
  /** Names, not paths; in no order. */
  readonly children: readonly string[]
  readonly stat: Stat
  readonly zxid: Zxid
}

/** An ACL, which callers without ADMIN get with its digests blacked out. */
export interface AclResult {
  readonly acl: readonly Acl[]
  readonly stat: Stat
  readonly zxid: Zxid
}

/** A znode made. */
export interface CreateResult {
  readonly path: string
  readonly stat: Stat
  /** The txn's: equal to `stat.czxid`. */
  readonly zxid: Zxid
}

/** Membership changes: `joining` and `leaving` step by step, or `members`, all there shall be. */
export interface ReconfigOptions extends CallOptions {
  readonly joining?: readonly string[] | undefined
  readonly leaving?: readonly string[] | undefined
  readonly members?: readonly string[] | undefined
  /** The version the present configuration must have; default -1, any. */
  readonly fromVersion?: bigint | undefined
}

const defaultMaxQueuedEvents = 10_000
const configPath = '/zookeeper/config'

/**
 * Opens a session and waits until it stands.
 *
 * @param connectString - `host:port,host:port/chroot`
 * @throws BadArgumentsError, ConnectionLossError (no server within the time), AuthFailedError, or the
 * signal's reason
 */
export async function connect(
  connectString: string,
  options: ClientOptions & {
    readonly signal?: AbortSignal | undefined
    readonly connectTimeoutMs?: number | undefined
  } = {},
): Promise<Client> {
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
 */
export class Client implements AsyncDisposable {
  readonly #session: Session
  /** Path below which this client lives; '' for none. */
  readonly chroot: string

  /** Does no I/O: {@link connect} does. @throws BadArgumentsError */
  constructor(connectString: string, options: ClientOptions = {}) {
    const address = parseConnectString(connectString)
    this.chroot = address.chroot
    this.#session = new Session(address, options)
    // A refusal ends the session, which tells everybody.
    for (const { scheme, auth } of options.auth ?? []) this.addAuth(scheme, auth).catch(() => undefined)
  }

  get state(): SessionState {
    return this.#session.state
  }

  /** 0 until the first connection. */
  get sessionId(): SessionId {
    return this.#session.sessionId
  }

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

  /** @returns takes the listener away again */
  onState(listener: (change: StateChange) => void): () => void {
    return this.#session.onState(listener)
  }

  /** Starts connecting, if that was not done yet, and waits until the session is connected. */
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
    const request = this.#createRequest({ ...options, kind: 'create', path, data })
    const { body } = await this.#session.ask(request, { path, signal: options.signal })
    assert(body.kind === 'path' || body.kind === 'pathStat', 'a create is answered with a path')
    return this.#clientPath(body.path)
  }

  /** As {@link create}, with the Stat (servers from 3.5 on). */
  async createWithStat(
    path: string,
    data?: Uint8Array | string | null,
    options: CreateOptions = {},
  ): Promise<CreateResult> {
    const request = this.#createRequest({
      ...options,
      kind: 'create',
      path,
      data,
      withStat: true,
    })
    const reply = await this.#session.ask(request, { path, signal: options.signal })
    const body = bodyOf(reply, 'pathStat')
    return { path: this.#clientPath(body.path), stat: body.stat, zxid: reply.zxid }
  }

  /** @returns zxid of the txn @throws NoNodeError, BadVersionError, NotEmptyError, NoAuthError */
  async delete(path: string, options: VersionOptions = {}): Promise<Zxid> {
    const request = {
      kind: 'delete',
      path: this.#serverPath('delete', path),
      version: options.version ?? anyVersion,
    } as const
    return (await this.#session.ask(request, { path, signal: options.signal })).zxid
  }

  /** @returns undefined if there is no such znode; a watch then waits for it */
  async exists(path: string, options: WatchOptions = {}): Promise<Stat | undefined> {
    const request = {
      kind: 'exists',
      path: this.#serverPath('exists', path),
      watch: hasWatch(options),
    } as const
    try {
      return bodyOf(await this.#session.ask(request, asked(path, 'data', options)), 'stat').stat
    } catch (error) {
      if (error instanceof ZkError && error.code === ErrorCode.NoNode) return undefined
      throw error
    }
  }

  /** @throws NoNodeError, and then no watch is set; NoAuthError */
  async getData(path: string, options: WatchOptions = {}): Promise<DataResult> {
    const serverPath = this.#serverPath('getData', path)
    return dataResult(
      await this.#session.ask(getDataRequest(serverPath, options), asked(path, 'data', options)),
    )
  }

  /** @throws NoNodeError, BadVersionError, NoAuthError, QuotaExceededError */
  async setData(path: string, data: Uint8Array | string | null, options: VersionOptions = {}): Promise<Stat> {
    const request = {
      kind: 'setData',
      path: this.#serverPath('setData', path),
      data: bytesOf(data),
      version: options.version ?? anyVersion,
    } as const
    return bodyOf(await this.#session.ask(request, { path, signal: options.signal }), 'stat').stat
  }

  async getAcl(path: string, options: CallOptions = {}): Promise<AclResult> {
    const request = { kind: 'getAcl', path: this.#serverPath('getAcl', path) } as const
    const reply = await this.#session.ask(request, { path, signal: options.signal })
    const { acl, stat } = bodyOf(reply, 'acl')
    return { acl, stat, zxid: reply.zxid }
  }

  /** `version` is compared with the Stat's `aversion`. */
  async setAcl(path: string, acl: readonly Acl[], options: VersionOptions = {}): Promise<Stat> {
    const request = {
      kind: 'setAcl',
      path: this.#serverPath('setAcl', path),
      acl,
      version: options.version ?? anyVersion,
    } as const
    return bodyOf(await this.#session.ask(request, { path, signal: options.signal }), 'stat').stat
  }

  /** @returns names, not paths, in no order @throws NoNodeError, and then no watch is set; NoAuthError */
  async getChildren(path: string, options: WatchOptions = {}): Promise<readonly string[]> {
    const request = {
      kind: 'getChildren',
      path: this.#serverPath('getChildren', path),
      watch: hasWatch(options),
    } as const
    return bodyOf(await this.#session.ask(request, asked(path, 'child', options)), 'children').children
  }

  async getChildrenWithStat(path: string, options: WatchOptions = {}): Promise<ChildrenResult> {
    const request = {
      kind: 'getChildren2',
      path: this.#serverPath('getChildren', path),
      watch: hasWatch(options),
    } as const
    const reply = await this.#session.ask(request, asked(path, 'child', options))
    const { children, stat } = bodyOf(reply, 'children')
    assert(stat !== undefined, 'getChildren2 is answered with a Stat')
    return { children, stat, zxid: reply.zxid }
  }

  /** Number of all descendants, the znode itself not counted. */
  async getAllChildrenNumber(path: string, options: CallOptions = {}): Promise<number> {
    const request = {
      kind: 'getAllChildrenNumber',
      path: this.#serverPath('getAllChildrenNumber', path),
    } as const
    return bodyOf(await this.#session.ask(request, { path, signal: options.signal }), 'number').number
  }

  /**
   * This session's ephemerals whose path begins with the text `prefix`. Both are server paths: this one call
   * does not know the chroot, as in the Java client.
   */
  async getEphemerals(prefix = '/', options: CallOptions = {}): Promise<readonly string[]> {
    const request = { kind: 'getEphemerals', path: prefix } as const
    return bodyOf(await this.#session.ask(request, { path: prefix, signal: options.signal }), 'ephemerals')
      .paths
  }

  /**
   * Waits until this session's server has applied all that the leader had proposed. Reads after it see that.
   *
   * @returns what the server has applied
   */
  async sync(path = '/', options: CallOptions = {}): Promise<Zxid> {
    const request = { kind: 'sync', path: this.#serverPath('sync', path) } as const
    return (await this.#session.ask(request, { path, signal: options.signal })).zxid
  }

  /** What this connection has authenticated as (servers from 3.7 on). */
  async whoAmI(options: CallOptions = {}): Promise<readonly ClientInfo[]> {
    return bodyOf(await this.#session.ask({ kind: 'whoAmI' }, options), 'clientInfo').infos
  }

  /** Begins a multi. */
  transaction(): Transaction {
    return new Transaction((ops, options) => this.multi(ops, options))
  }

  /** @throws TransactionError if any operation is refused: then nothing happened */
  async multi(ops: readonly TransactionOp[], options: CommitOptions = {}): Promise<MultiResult> {
    const request = { kind: 'multi', ops: ops.map(op => this.#multiOp(op)) } as const
    const reply = await this.#session.ask(request, { signal: options.signal })
    const results = this.#clientResults(bodyOf(reply, 'results').results)
    if (results.some(result => result.kind === 'error')) throw transactionError(ops, results, reply.zxid)
    return { results, zxid: reply.zxid }
  }

  /** Reads that all see one state. One that fails has an `error` result and does not disturb the others. */
  async multiRead(ops: readonly ReadOp[], options: CallOptions = {}): Promise<MultiResult> {
    const toRequest = ({ kind, path }: ReadOp): MultiReadOp => ({
      kind,
      path: this.#serverPath('multiRead', path),
      watch: false,
    })
    const reply = await this.#session.ask({ kind: 'multiRead', ops: ops.map(toRequest) }, options)
    return { results: bodyOf(reply, 'results').results, zxid: reply.zxid }
  }

  /**
   * Sets a watch that stays until it is closed or the session ends, on a znode that need not exist. It is set
   * again after each reconnect, without the changes in between: the event `Resumed` says when to read again.
   */
  async addWatch(path: string, options: AddWatchOptions = {}): Promise<PersistentWatch> {
    const isRecursive = options.isRecursive ?? false
    const request = {
      kind: 'addWatch',
      path: this.#serverPath('addWatch', path),
      mode: isRecursive ? AddWatchMode.PersistentRecursive : AddWatchMode.Persistent,
    } as const
    const watch = new PersistentWatch({
      path,
      isRecursive,
      maxQueuedEvents: options.maxQueuedEvents ?? defaultMaxQueuedEvents,
      onEvent: options.onEvent,
      close: listener => this.unwatch(listener),
    })
    const kind = isRecursive ? 'recursive' : 'persistent'
    await this.#session.ask(request, { path, signal: options.signal, watch: { kind, listener: watch } })
    return watch
  }

  /**
   * Takes one listener away wherever it watches, and the watch at the server with it unless another listener
   * of this client needs that. Never throws: where the connection is gone, so is the server's watch.
   */
  unwatch(listener: WatchListener): Promise<void> {
    return this.#session.unwatch(listener)
  }

  /**
   * Removes all watches of this client on exactly this path. Their listeners get the Removed events.
   *
   * @throws NoWatcherError if the server knows of none
   */
  async removeWatches(path: string, options: RemoveWatchesOptions = {}): Promise<void> {
    const type = watcherTypes[options.type ?? 'any']
    const serverPath = this.#serverPath('removeWatches', path)
    try {
      await this.#session.ask(
        { kind: 'removeWatches', path: serverPath, type },
        { path, signal: options.signal },
      )
    } catch (error) {
      if (!(options.isLocal === true && error instanceof ConnectionLossError)) throw error
      this.#session.forgetWatches(serverPath, type)
    }
  }

  /** Whether the server has such a watch of this connection. */
  async hasWatches(
    path: string,
    options: CallOptions & { readonly type?: WatchSelection } = {},
  ): Promise<boolean> {
    const type = watcherTypes[options.type ?? 'any']
    try {
      const request = { kind: 'checkWatches', path: this.#serverPath('checkWatches', path), type } as const
      await this.#session.ask(request, { path, signal: options.signal })
      return true
    } catch (error) {
      if (error instanceof ZkError && error.code === ErrorCode.NoWatcher) return false
      throw error
    }
  }

  /**
   * Authenticates this and all later connections of the session.
   *
   * @throws AuthFailedError; the session is then over
   */
  addAuth(scheme: string, auth: Uint8Array | string, options: CallOptions = {}): Promise<void> {
    return this.#session.authenticate(scheme, bytesOf(auth), options)
  }

  /** The ensemble's configuration text, from outside any chroot. */
  async getConfig(options: WatchOptions = {}): Promise<DataResult> {
    const about = asked(configPath, 'data', options)
    return dataResult(await this.#session.ask(getDataRequest(configPath, options), about))
  }

  /** @returns the new configuration text @throws ReconfigDisabledError, NoAuthError, BadVersionError, ... */
  async reconfig(options: ReconfigOptions): Promise<DataResult> {
    const request = {
      kind: 'reconfig',
      joiningServers: options.joining?.join(',') ?? null,
      leavingServers: options.leaving?.join(',') ?? null,
      newMembers: options.members?.join('\n') ?? null,
      configId: options.fromVersion ?? -1n,
    } as const
    return dataResult(await this.#session.ask(request, { path: configPath, signal: options.signal }))
  }

  /**
   * Sends a request as it is, with server paths and unchecked, and gives the reply as it came: for tools and
   * tests that want exactly that. A watch flag in it registers nobody.
   */
  request(request: Request, options: CallOptions = {}): Promise<Reply> {
    return this.#session.ask(request, {
      path: 'path' in request ? request.path : undefined,
      signal: options.signal,
    })
  }

  #serverPath(op: string, path: string, isSequential = false): string {
    // The server judges a sequential name with its number.
    const problem = pathProblem(isSequential ? `${path}1` : path)
    if (problem !== undefined)
      throw new BadArgumentsError(ErrorCode.BadArguments, { op, path, reason: problem })
    return isSequential ? this.chroot + path : addChroot(this.chroot, path)
  }

  #clientPath(path: string): string {
    return stripChroot(this.chroot, path)
  }

  #clientResults(results: readonly OpResult[]): readonly OpResult[] {
    return results.map(result =>
      result.kind === 'created' ? { ...result, path: this.#clientPath(result.path) } : result,
    )
  }

  #createRequest(op: Extract<TransactionOp, { kind: 'create' }>): CreateRequest | CreateTtlRequest {
    const mode = op.mode ?? 'persistent'
    const flags = createFlags(mode, op.ttlMs)
    const base = {
      path: this.#serverPath('create', op.path, isSequential(mode)),
      data: bytesOf(op.data),
      acl: op.acl ?? openAcl,
      flags,
    }
    if (op.ttlMs !== undefined) return { kind: 'createTtl', ...base, ttlMs: op.ttlMs }
    if (mode === 'container') return { kind: 'create', op: OpCode.CreateContainer, ...base }
    return { kind: 'create', op: op.withStat === true ? OpCode.Create2 : OpCode.Create, ...base }
  }

  #multiOp(op: TransactionOp): MultiOp {
    switch (op.kind) {
      case 'create':
        return this.#createRequest(op)
      case 'delete':
      case 'check':
        return { kind: op.kind, path: this.#serverPath(op.kind, op.path), version: op.version ?? anyVersion }
      case 'setData':
        return {
          kind: 'setData',
          path: this.#serverPath('setData', op.path),
          data: bytesOf(op.data),
          version: op.version ?? anyVersion,
        }
      default:
        return unreachable(op)
    }
  }
}

const watcherTypes: Readonly<Record<WatchSelection, WatcherType>> = {
  data: WatcherType.Data,
  children: WatcherType.Children,
  any: WatcherType.Any,
  persistent: WatcherType.Persistent,
  persistentRecursive: WatcherType.PersistentRecursive,
}

function hasWatch(options: WatchOptions): boolean {
  return options.watch !== undefined
}

function asked(path: string, kind: WatchKind, { signal, watch }: WatchOptions): Asked {
  return { path, signal, watch: watch === undefined ? undefined : { kind, listener: watch } }
}

function getDataRequest(path: string, options: WatchOptions): Request {
  return { kind: 'getData', path, watch: hasWatch(options) }
}

function dataResult(reply: Reply): DataResult {
  const { data, stat } = bodyOf(reply, 'data')
  return { data, stat, zxid: reply.zxid }
}

/** Left out is no bytes; null stays the wire's null. */
function bytesOf(data: Uint8Array | string | null | undefined): Uint8Array | null {
  if (data === undefined) return new Uint8Array(0)
  return typeof data === 'string' ? encodeUtf8(data) : data
}

function bodyOf<K extends ReplyBody['kind']>({ body }: Reply, kind: K): Extract<ReplyBody, { kind: K }> {
  assert(body.kind === kind, `a reply of kind ${kind}, not ${body.kind}`)
  return body as Extract<ReplyBody, { kind: K }>
}

/**
 * The failed operation is the one with a code of its own: those before it were rolled back, those after not
 * tried.
 */
function transactionError(
  ops: readonly TransactionOp[],
  results: readonly OpResult[],
  zxid: Zxid,
): TransactionError {
  const codes = results.map(result => (result.kind === 'error' ? result.err : ErrorCode.Ok))
  const index = codes.findIndex(code => code !== ErrorCode.Ok)
  const code = codes[index] ?? ErrorCode.RuntimeInconsistency
  const op = ops[index]
  const cause = zkError(code, { op: op?.kind, path: op?.path, zxid })
  const reason = `operation ${index} of ${ops.length}: ${cause.message}`
  return new TransactionError(code, { op: 'multi', path: op?.path, zxid, reason, cause, index, results })
}
