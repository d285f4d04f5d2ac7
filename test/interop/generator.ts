/** Draws sequences of steps from a seed. */
import {
  type Acl,
  CreateFlags,
  encodeUtf8,
  type MultiOp,
  type MultiReadOp,
  OpCode,
  openAcl,
  type Request,
  Xid,
  zxid,
} from '@corral/protocol'
import {
  badTtls,
  goodAcls,
  identities,
  livePaths,
  newerAcls,
  oddAcls,
  oddPaths,
  plainFlags,
  prefixes,
  quotaLimits,
  quotaNodes,
  refusedIdentities,
  sequentialPrefixes,
  tops,
  ttls,
  unknownOps,
  versions,
  xids,
} from './choices.ts'
import { Dice } from './dice.ts'
import { isJavaBefore } from './java-release.ts'
import { nullPathMultis, oddBodies, oddMultiReads, oddMultis } from './odd-frames.ts'
import { type ConnectHow, type Mutation, madePrefix, type Sent, type Step, slotCount } from './steps.ts'

export class Generator {
  readonly #dice: Dice
  readonly #isQuotaEnforced: boolean

  constructor(seed: number, given: { isQuotaEnforced: boolean }) {
    this.#dice = new Dice(seed)
    this.#isQuotaEnforced = given.isQuotaEnforced
  }

  /** @param count - steps; a pipelined step is several operations */
  steps(count: number): Step[] {
    const steps: Step[] = []
    while (steps.length < count) steps.push(...this.#next())
    return steps
  }

  #next(): Step[] {
    return this.#dice.chance(1) ? this.#modeThenType() : [this.#step()]
  }

  /** A watch of one mode, asked about or removed by the type of another. */
  #modeThenType(): Step[] {
    const dice = this.#dice
    const slot = dice.below(slotCount)
    const path = dice.of(tops)
    const requests: Request[] = [
      { kind: 'addWatch', path, mode: dice.below(2) },
      { kind: dice.of(['checkWatches', 'removeWatches'] as const), path, type: 1 + dice.below(2) },
    ]
    return requests.map(request => ({ do: 'send', slot, sent: [{ request }] }))
  }

  #step(): Step {
    const dice = this.#dice
    const slot = dice.below(slotCount)
    return dice.weighted<() => Step>([
      [640, () => ({ do: 'send', slot, sent: [this.#sent()] })],
      [90, () => ({ do: 'send', slot, sent: this.#pipeline() })],
      [this.#isQuotaEnforced ? 90 : 25, () => ({ do: 'send', slot, sent: [{ request: this.#quota() }] })],
      [25, () => this.#connect(slot)],
      [8, () => ({ do: 'drop', slot })],
      [4, () => ({ do: 'send', slot, sent: [{ request: { kind: 'closeSession' } }] })],
      [
        3,
        () => ({
          do: 'badFrame',
          slot,
          hex: dice.of(['00000000', '0000000400000001', 'ffffffff', '00100000']),
        }),
      ],
      [3, () => ({ do: 'send', slot, sent: [this.#refusedAuth()] })],
      [4, () => ({ do: 'send', slot, sent: [{ request: { kind: 'whoAmI' }, op: dice.of(unknownOps) }] })],
      [
        2,
        () => ({
          do: 'send',
          slot,
          // Of a container Java would take it, from anybody.
          sent: [{ request: { kind: 'getAcl', path: '/zookeeper' }, op: OpCode.DeleteContainer }],
        }),
      ],
      [2, () => ({ do: 'send', slot, sent: [cutReconfig] })],
      [
        12,
        () => ({
          do: 'send',
          slot,
          sent: [dice.of(dice.of([oddBodies, oddMultiReads, oddMultis, nullPathMultis]))],
        }),
      ],
      [6, () => ({ do: 'mixWatchModes', slot, path: dice.of(livePaths), type: 1 + dice.below(5) })],
      [18, () => ({ do: 'send', slot, sent: [this.#auth()] })],
      // One is enough: 3.8.0 never answers it, and the connection ends with it.
      [1, () => ({ do: 'send', slot, sent: [{ request: { kind: 'check', path: '/a', version: -1 } }] })],
    ])()
  }

  #connect(slot: number): Step {
    const dice = this.#dice
    return {
      do: 'connect',
      slot,
      how: dice.weighted<ConnectHow>([
        [8, 'new'],
        [8, 'resume'],
        [5, 'steal'],
        [3, 'wrongPassword'],
        [2, 'unknown'],
        [2, 'zxidAhead'],
      ]),
      session: dice.below(64),
      timeoutMs: dice.of([600_000, 600_000, 600_000, 0x7fffffff, 300_000]),
      hasReadOnly: dice.chance(75),
      password: dice.of(['zeros', 'zeros', 'null', 'short']),
    }
  }

  /**
   * Nothing that Java answers out of order: no auth, no unknown opcode. And no write behind a setACL: Java checks it
   * against the new ACL or the old one, whichever thread is faster. So with quotas: the usage may be that before an
   * earlier write or behind it. Nor behind a multi that is refused whole: until it is logged, Java counts its first
   * ops as done.
   */
  #pipeline(): Sent[] {
    const dice = this.#dice
    const sent: Sent[] = []
    let isWriting = true
    for (let i = 2 + dice.below(6); i > 0; i--) {
      const request = isWriting && dice.chance(70) ? this.#write() : this.#read()
      sent.push({ request })
      if (request.kind === 'setAcl' || mayBeSpoilt(request) || this.#isQuotaEnforced) isWriting = false
    }
    if (dice.chance(4)) sent.push({ request: { kind: 'closeSession' } })
    return sent
  }

  #sent(): Sent {
    const dice = this.#dice
    const request = dice.weighted<() => Request>([
      [50, () => this.#write()],
      [30, () => this.#read()],
      [14, () => this.#watching()],
      [6, () => this.#other()],
    ])()
    if (dice.chance(4)) return { request, mutation: this.#mutation(request) }
    if (dice.chance(3)) return { request, xid: dice.of(xids) }
    return { request }
  }

  #write(): Request {
    const dice = this.#dice
    return dice.weighted<() => Request>([
      [40, () => this.#create()],
      [8, () => this.#createTtl()],
      [18, () => ({ kind: 'delete', path: this.#path(), version: dice.of(versions) })],
      [20, () => ({ kind: 'setData', path: this.#path(), data: this.#data(), version: dice.of(versions) })],
      [12, () => this.#setAcl()],
      [22, () => ({ kind: 'multi', ops: this.#multiOps() })],
    ])()
  }

  #read(): Request {
    const dice = this.#dice
    const path = this.#path()
    const watch = dice.chance(40)
    return dice.weighted<() => Request>([
      [20, () => ({ kind: 'exists', path, watch })],
      [20, () => ({ kind: 'getData', path, watch })],
      [14, () => ({ kind: 'getChildren', path, watch })],
      [14, () => ({ kind: 'getChildren2', path, watch })],
      [10, () => ({ kind: 'getAcl', path })],
      [5, () => ({ kind: 'getAllChildrenNumber', path })],
      [5, () => ({ kind: 'getEphemerals', path: dice.chance(30) ? path : dice.of(prefixes) })],
      [4, () => ({ kind: 'sync', path })],
      [4, () => ({ kind: 'whoAmI' })],
      [3, () => ({ kind: 'ping' })],
      [8, () => ({ kind: 'multiRead', ops: this.#multiReadOps() })],
    ])()
  }

  #watching(): Request {
    const dice = this.#dice
    const path = dice.chance(50) ? dice.of(tops) : this.#path() // so that they meet each other
    return dice.weighted<() => Request>([
      [
        12,
        () => ({
          kind: 'addWatch',
          path,
          mode: dice.weighted([
            [5, 0],
            [5, 1],
            [1, 2],
            [1, -1],
          ]),
        }),
      ],
      [12, () => ({ kind: 'checkWatches', path, type: dice.of([1, 2, 3, 1, 2, 3, 4, 5, 0, 6]) })],
      [8, () => ({ kind: 'removeWatches', path, type: dice.of([1, 2, 3, 1, 2, 3, 4, 5, 0, 6]) })],
      [8, () => this.#setWatches()],
    ])()
  }

  #other(): Request {
    return this.#dice.of<Request>([
      { kind: 'sasl', token: encodeUtf8('x') },
      { kind: 'sasl', token: null },
      { kind: 'sync', path: '/\u{1f600}' },
      { kind: 'reconfig', joiningServers: null, leavingServers: '2', newMembers: null, configId: -1n },
      { kind: 'ping' },
      { kind: 'whoAmI' },
      { kind: 'getEphemerals', path: '/' },
      { kind: 'getAllChildrenNumber', path: '/' },
    ])
  }

  #create(): Request & MultiOp {
    const dice = this.#dice
    const op = dice.weighted<typeof OpCode.Create | typeof OpCode.Create2 | typeof OpCode.CreateContainer>([
      [10, OpCode.Create],
      [10, OpCode.Create2],
      [3, OpCode.CreateContainer],
    ])
    const flags = dice.weighted<number>([
      [40, op === OpCode.CreateContainer ? CreateFlags.Container : dice.of(plainFlags)],
      [20, CreateFlags.Persistent],
      [3, dice.of([0, 1, 2, 3, 4, 5, 6])],
      [1, dice.of([7, -1, 100])],
    ])
    const isSequential = flags === 2 || flags === 3 || flags === 6
    const path =
      isSequential && dice.chance(70)
        ? dice.of(sequentialPrefixes)
        : dice.chance(15)
          ? dice.of(tops)
          : this.#path()
    return { kind: 'create', op, path, data: this.#data(), acl: this.#aclForCreate(), flags }
  }

  #createTtl(): Request & MultiOp {
    const dice = this.#dice
    const flags = dice.weighted<number>([
      [8, CreateFlags.PersistentWithTtl],
      [5, CreateFlags.PersistentSequentialWithTtl],
      [2, dice.of([0, 1, 2, 3, 4, 7])],
    ])
    const isTtlMode = flags === 5 || flags === 6
    // A mode without TTL next to a negative ttl ends the Java server: never-sent.test.ts.
    const ttlMs = isTtlMode && dice.chance(25) ? dice.of(badTtls) : dice.of(ttls)
    const path = flags === 6 ? dice.of(sequentialPrefixes) : this.#path()
    return { kind: 'createTtl', path, data: this.#data(), acl: this.#aclForCreate(), flags, ttlMs }
  }

  #setAcl(): Request {
    const dice = this.#dice
    // IPv6 entries are new in 3.9: only where the wrong version keeps either verdict from changing the tree.
    if (dice.chance(8)) return { kind: 'setAcl', path: dice.of(tops), acl: dice.of(newerAcls), version: 9999 }
    return {
      kind: 'setAcl',
      path: this.#path(),
      acl: dice.chance(20) ? dice.of(oddAcls) : this.#acl(),
      version: dice.of(versions),
    }
  }

  #multiOps(): MultiOp[] {
    const dice = this.#dice
    const ops: MultiOp[] = []
    const home = dice.of(tops)
    for (let i = dice.below(6); i > 0; i--) {
      const near = dice.chance(40) ? home : this.#path()
      ops.push(
        dice.weighted<() => MultiOp>([
          [10, () => asOneKind({ ...this.#create(), ...(dice.chance(30) ? { path: near } : {}) })],
          [3, () => this.#createTtl()],
          [5, () => ({ kind: 'delete', path: near, version: dice.of(versions) })],
          [8, () => ({ kind: 'setData', path: near, data: this.#data(), version: dice.of(versions) })],
          [5, () => ({ kind: 'check', path: near, version: dice.of(versions) })],
        ])(),
      )
    }
    return ops
  }

  #multiReadOps(): MultiReadOp[] {
    const dice = this.#dice
    const ops: MultiReadOp[] = []
    for (let i = dice.below(5); i > 0; i--) {
      ops.push({
        kind: dice.of(['getData', 'getChildren'] as const),
        path: this.#path(),
        watch: dice.chance(30),
      })
    }
    return ops
  }

  #setWatches(): Request {
    const dice = this.#dice
    const list = (): string[] => {
      const paths = new Set<string>()
      for (let i = dice.below(4); i > 0; i--) paths.add(this.#path())
      return [...paths]
    }
    const base = {
      kind: 'setWatches',
      relativeZxid: zxid(BigInt(-1 - dice.of([0, 1, 3, 10, 100, 100_000]))), // back from the present: resolved by the runner
      data: list(),
      exist: list(),
      child: list(),
    } as const
    return dice.chance(50) ? base : { ...base, persistent: { plain: list(), recursive: list() } }
  }

  #auth(): Sent {
    const [scheme, auth] = this.#dice.of(identities)
    if (this.#dice.chance(5)) {
      return {
        request: { kind: 'auth', scheme, auth: encodeUtf8(auth) },
        xid: Xid.Auth,
        mutation: { kind: 'cut', keep: this.#dice.below(100) / 100 },
      }
    }
    const xid = this.#dice.chance(90) ? Xid.Auth : this.#dice.of(xids)
    return { request: { kind: 'auth', scheme, auth: encodeUtf8(auth) }, xid }
  }

  #refusedAuth(): Sent {
    const dice = this.#dice
    if (dice.chance(25)) return { request: { kind: 'auth', scheme: 'digest', auth: null }, xid: Xid.Auth }
    const scheme = dice.of(refusedIdentities)
    return { request: { kind: 'auth', scheme, auth: encodeUtf8('x') }, xid: Xid.Auth }
  }

  #quota(): Request {
    const dice = this.#dice
    const node = dice.of(quotaNodes)
    const create = (path: string, data: string): Request => ({
      kind: 'create',
      op: OpCode.Create,
      path,
      data: encodeUtf8(data),
      acl: openAcl,
      flags: 0,
    })
    return dice.weighted<() => Request>([
      [4, () => create(node, '')],
      [5, () => create(`${node}/zookeeper_limits`, dice.of(quotaLimits))],
      [5, () => create(`${node}/zookeeper_stats`, 'count=0,bytes=0')],
      [
        4,
        () => ({
          kind: 'setData',
          path: `${node}/zookeeper_limits`,
          data: encodeUtf8(dice.of(quotaLimits)),
          version: -1,
        }),
      ],
      [8, () => ({ kind: 'getData', path: `${node}/zookeeper_stats`, watch: false })],
      [1, () => ({ kind: 'delete', path: `${node}/zookeeper_limits`, version: -1 })],
      [1, () => ({ kind: 'delete', path: `${node}/zookeeper_stats`, version: -1 })],
      [1, () => ({ kind: 'delete', path: node, version: -1 })],
      [6, () => ({ kind: 'setData', path: dice.of(['/q', '/q/n', '/a']), data: this.#data(), version: -1 })],
      [6, () => create(dice.of(['/q', '/q/n', '/q/o', '/q/n/m', '/a/x']), 'quota')],
    ])()
  }

  #path(): string {
    const dice = this.#dice
    return dice.weighted<() => string>([
      [70, () => dice.of(livePaths)],
      [20, () => `${madePrefix}${dice.below(1000)}`],
      [4, () => `${madePrefix}${dice.below(1000)}/${dice.of(['x', 'y'])}`],
      [8, () => dice.of(oddPaths)],
    ])()
  }

  #data(): Uint8Array | null {
    const dice = this.#dice
    return dice.weighted<() => Uint8Array | null>([
      [10, () => encodeUtf8('x'.repeat(dice.below(12)))],
      [2, () => null],
      [1, () => new Uint8Array(0)],
      [1, () => new Uint8Array(700).fill(dice.below(256))],
    ])()
  }

  #acl(): readonly Acl[] {
    return this.#dice.of(goodAcls)
  }

  /** Mostly open: a tree that nobody may change any more tests nothing. */
  #aclForCreate(): readonly Acl[] | null {
    const dice = this.#dice
    return dice.weighted<() => readonly Acl[] | null>([
      [80, () => openAcl],
      [14, () => this.#acl()],
      [5, () => dice.of(oddAcls)],
    ])()
  }

  #mutation(request: Request): Mutation {
    const dice = this.#dice
    const cut: Mutation = { kind: 'cut', keep: dice.below(1000) / 1000 }
    // Flipped bytes only where no outcome can harm the oracle, or leave a watch that the runner knows nothing of.
    const isSafeToFlip = ['delete', 'getAcl', 'getAllChildrenNumber', 'sync'].includes(request.kind)
    return dice.weighted<Mutation>([
      [6, cut],
      [2, { kind: 'append', byteCount: 1 + dice.below(9) }],
      [2, isPathFirst(request) ? { kind: 'nullPath' } : cut],
      [
        2,
        isPathFirst(request)
          ? { kind: 'firstLength', value: dice.of([-2, 0x7fffffff, 0xfffff, 1_000_000]) }
          : cut,
      ],
      [2, isSafeToFlip ? { kind: 'flip', at: dice.below(1000) / 1000, value: 1 + dice.below(255) } : cut],
    ])
  }
}

/** Inside a multi 3.8.0 makes a container by its flags alone, and later versions by its opcode too: never-sent.test.ts. */
function asOneKind(op: MultiOp): MultiOp {
  const isContainer = op.kind === 'create' && op.op === OpCode.CreateContainer
  return isContainer && isJavaBefore('3.9.0') ? { ...op, flags: CreateFlags.Container } : op
}

function mayBeSpoilt(request: Request): boolean {
  if (request.kind !== 'multi') return false
  return request.ops.some(
    op =>
      (op.kind === 'create' || op.kind === 'createTtl') &&
      (op.flags > CreateFlags.Container || op.flags < 0 || op.acl?.some(({ id }) => id === null) !== false),
  )
}

const cutReconfig: Sent = {
  request: { kind: 'reconfig', joiningServers: null, leavingServers: '2', newMembers: null, configId: -1n },
  mutation: { kind: 'cut', keep: 0.7 },
}

function isPathFirst(request: Request): boolean {
  // A watch on a null path keeps the Java server from cleaning up after its connection: never-sent.test.ts.
  return 'path' in request && request.kind !== 'addWatch'
}
