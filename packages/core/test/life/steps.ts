/** What may happen to a server and its clients: few of each, so that everything meets everything. */
import { encodeUtf8, type MultiOp, OpCode, openAcl, type Request, type Zxid } from '@corral/protocol'
import fc from 'fast-check'
import type { ServerConfig } from '../../src/config.ts'

/** Whose session a connect request is for; `nth` of those that a client was welcomed with. */
export interface Handshake {
  readonly kind: 'connect'
  readonly as: 'new' | 'known' | 'wrongPassword' | 'stranger' | 'fromTheFuture'
  readonly nth: number
  readonly timeoutMs: number
  readonly hasReadOnlyByte: boolean
}

export type Item =
  | Handshake
  | { readonly kind: 'request'; readonly request: Request }
  /** Not a frame, or not one of a client. */
  | { readonly kind: 'raw'; readonly bytes: readonly number[] }

export type Step =
  /** A new connection at the seat, with what it says first. One that sat there goes without a word. */
  | {
      readonly kind: 'join'
      readonly seat: number
      readonly address: number
      readonly items: readonly Item[]
      readonly held: number
    }
  /** In one piece, and a new connection if nobody is there, but for the last `held` bytes, which come with what is sent next. */
  | {
      readonly kind: 'send'
      readonly seat: number
      readonly items: readonly Item[]
      readonly held: number
    }
  | { readonly kind: 'leave'; readonly seat: number }
  /** The socket takes nothing more; it has taken everything. */
  | { readonly kind: 'clog' | 'drain'; readonly seat: number }
  /** One of the calls that may end now does. */
  | { readonly kind: 'disk'; readonly nth: number }
  | { readonly kind: 'turn' }
  /** The disk has ended all calls, and those that follow. */
  | { readonly kind: 'rest' }
  | { readonly kind: 'tick'; readonly ms: number; readonly isStall: boolean }
  | { readonly kind: 'stop' }

export interface World {
  /** There is a znode of which a few reads are more than a connection's share of a step. */
  readonly hasBig: boolean
  readonly config: Partial<ServerConfig>
}

export interface Life {
  readonly world: World
  readonly steps: readonly Step[]
}

export const seats = 3
export const paths = ['/', '/a', '/a/b', '/c'] as const
export const bigBytes = 300_000

const path = fc.constantFrom(...paths)
const leaf = fc.constantFrom('/a', '/a/b', '/c')
const somePaths = fc.array(path, { maxLength: 3 })
const data = fc.constantFrom(
  null,
  'v',
  'a value that makes the request a large one, if any is, and it is the only one',
)
const version = fc.constantFrom(-1, -1, -1, 0, 1)

const create: fc.Arbitrary<MultiOp> = fc
  .record({ path: leaf, data, flags: fc.constantFrom(0, 0, 1, 1, 1, 2, 3, 4) })
  .map(r => ({
    kind: 'create',
    op: r.flags === 4 ? OpCode.CreateContainer : OpCode.Create2,
    path: r.path,
    data: bytesOf(r.data),
    acl: openAcl,
    flags: r.flags,
  }))
const createTtl: fc.Arbitrary<MultiOp> = leaf.map(path => ({
  kind: 'createTtl',
  ...{ path, data: null, acl: openAcl, flags: 5, ttlMs: 300 },
}))
const setData: fc.Arbitrary<MultiOp> = fc
  .record({ path, data, version })
  .map(r => ({ kind: 'setData', path: r.path, data: bytesOf(r.data), version: r.version }))
const remove: fc.Arbitrary<MultiOp> = fc.record({ path: leaf, version }).map(r => ({ kind: 'delete', ...r }))
const write = fc.oneof(
  { weight: 8, arbitrary: create },
  { weight: 1, arbitrary: createTtl },
  { weight: 4, arbitrary: setData },
  { weight: 3, arbitrary: remove },
)
const setWatches: fc.Arbitrary<Request> = fc
  .record({
    relativeZxid: fc.constantFrom(0, 3, 6, 10, 1000).map(zxid => BigInt(zxid) as Zxid),
    data: somePaths,
    exist: somePaths,
    child: somePaths,
    persistent: fc.option(fc.record({ plain: somePaths, recursive: somePaths }), { nil: undefined }),
  })
  .map(({ persistent, ...lists }) => ({
    kind: 'setWatches',
    ...lists,
    ...(persistent === undefined ? {} : { persistent }),
  }))
const auth: fc.Arbitrary<Request> = fc
  .constantFrom('digest', 'digest', 'digest', 'ip', 'nonsense')
  .map(scheme => ({ kind: 'auth', scheme, auth: encodeUtf8('ann:secret') }))

const request: fc.Arbitrary<Request> = fc.oneof(
  { weight: 8, arbitrary: write },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('exists', 'getData', 'getChildren', 'getChildren2'),
      path,
      watch: fc.constantFrom(true, true, false),
    }),
  },
  { weight: 3, arbitrary: setWatches },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('addWatch'), path, mode: fc.constantFrom(0, 1, 2) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('checkWatches', 'removeWatches'),
      path,
      type: fc.constantFrom(1, 2, 3, 4, 5),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.array(write, { maxLength: 4 }).map(ops => ({ kind: 'multi', ops }) as const),
  },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.record({ kind: fc.constantFrom('getData', 'getChildren'), path, watch: fc.boolean() }), {
        maxLength: 3,
      })
      .map(ops => ({ kind: 'multiRead', ops }) as const),
  },
  { weight: 2, arbitrary: auth },
  { weight: 1, arbitrary: fc.constantFrom('sync', 'getEphemerals').map(kind => ({ kind, path: '/' })) },
  { weight: 2, arbitrary: fc.constantFrom({ kind: 'ping' }, { kind: 'whoAmI' }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'closeSession' }) },
)

const bigRead: fc.Arbitrary<Request> = fc.constantFrom(
  { kind: 'getData', path: '/big', watch: false },
  {
    kind: 'multiRead',
    ops: Array.from({ length: 4 }, () => ({ kind: 'getData', path: '/big', watch: false }) as const),
  },
)

/** Each as bytes from a length word on. */
const raw: fc.Arbitrary<readonly number[]> = fc.oneof(
  fc.constantFrom(
    [0, 0, 0, 0],
    [0, 0, 0, 4, 0, 0, 0, 3], // too short for a request
    [255, 255, 255, 255], // a negative length
    [127, 0, 0, 0], // more than is allowed
    [0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 3, 231], // no such opcode
    [0, 0, 0, 8, 0, 0, 0, 9, 255, 255, 255, 246], // createSession
    [0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 13], // check, alone
    [0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 4], // getData of nothing
    [0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 14], // multi of nothing
    [0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 100], // auth of nothing
    [0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 101], // setWatches of nothing
    [0, 0, 0, 12, 0, 0, 0, 9, 0, 0, 0, 102, 0, 0, 0, 0], // sasl
    [...encodeUtf8('ruok')],
    [...encodeUtf8('stmk'), 0, 0],
    [255, 244, 255, 253], // an interrupt of telnet
  ),
  fc.array(fc.nat(255), { minLength: 1, maxLength: 12 }),
)

const handshake: fc.Arbitrary<Item> = fc.record({
  kind: fc.constant('connect'),
  as: fc.constantFrom(
    'new',
    'new',
    'new',
    'known',
    'known',
    'known',
    'wrongPassword',
    'stranger',
    'fromTheFuture',
  ),
  nth: fc.nat(5),
  timeoutMs: fc.constantFrom(200, 600, 5000, 5000),
  hasReadOnlyByte: fc.boolean(),
})

const item: fc.Arbitrary<Item> = fc.oneof(
  { weight: 20, arbitrary: request.map((request): Item => ({ kind: 'request', request })) },
  { weight: 2, arbitrary: bigRead.map((request): Item => ({ kind: 'request', request })) },
  { weight: 1, arbitrary: raw.map((bytes): Item => ({ kind: 'raw', bytes })) },
)

const steps: fc.Arbitrary<readonly Step[]> = (() => {
  const seat = fc.nat(seats - 1)
  const held = fc.constantFrom(0, 0, 0, 1, 7, 30)
  const first = fc.oneof(
    { weight: 15, arbitrary: handshake },
    { weight: 1, arbitrary: item },
    { weight: 1, arbitrary: raw.map((bytes): Item => ({ kind: 'raw', bytes })) },
  )
  const rest = fc.array(item, { maxLength: 5 })
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .record({ kind: fc.constant('join'), seat, address: fc.nat(1), held, first, rest })
        .map(({ first, rest, ...join }) => ({ ...join, items: [first, ...rest] })),
    },
    {
      weight: 14,
      arbitrary: fc.record({
        kind: fc.constant('send'),
        ...{ seat, held },
        items: fc.array(item, { minLength: 0, maxLength: 5 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave'), seat }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('clog', 'drain'), seat }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('disk'), nth: fc.nat(2) }) },
    { weight: 7, arbitrary: fc.constant({ kind: 'turn' }) },
    { weight: 6, arbitrary: fc.constant({ kind: 'rest' }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('tick'),
        ms: fc.constantFrom(50, 100, 300, 1000),
        isStall: fc.constantFrom(false, false, false, true),
      }),
    },
  )
  const stop = fc.constantFrom<readonly Step[]>([], [], [], [{ kind: 'stop' }])
  return fc
    .tuple(fc.array(step, { minLength: 1, maxLength: 70, size: 'max' }), stop)
    .map(([steps, last]) => [...steps, ...last])
})()

/** Limits so low that a handful of requests reaches them. */
const world: fc.Arbitrary<World> = fc
  .record({
    hasBig: fc.constantFrom(false, false, false, true),
    maxClientCnxns: fc.constantFrom(0, 0, 0, 2),
    globalOutstandingLimit: fc.constantFrom(1000, 1000, 0, 2),
    maxRequests: fc.constantFrom(0, 0, 1, 3),
    throttledOpWaitTimeMs: fc.constantFrom(0, 0, 150),
    largeBytes: fc.constantFrom(-1, -1, 120),
    connectTokens: fc.constantFrom(0, 0, 0, 2),
    longestFrame: fc.constantFrom(400_000, 400_000, 300),
    enforcedSchemes: fc.constantFrom(undefined, undefined, undefined, ['digest']),
    unsentLimitBytes: fc.constantFrom(3_000_000, 3_000_000, 3000),
    unsentHighBytes: fc.constantFrom(200_000, 200_000, 300),
    maxNeverUsedIntervalMs: fc.constantFrom(0, 300),
  })
  .map(r => ({
    hasBig: r.hasBig,
    config: {
      tickTimeMs: 100,
      minSessionTimeoutMs: 200,
      maxSessionTimeoutMs: 5000,
      sessionlessTimeoutMs: 2000,
      maxClientCnxns: r.maxClientCnxns,
      globalOutstandingLimit: r.globalOutstandingLimit,
      requestThrottle: {
        maxRequests: r.maxRequests,
        throttledOpWaitTimeMs: r.throttledOpWaitTimeMs,
      },
      largeRequest: { thresholdBytes: r.largeBytes, maxBytes: 250 },
      connectionThrottle: {
        ...{ tokens: r.connectTokens, fillTimeMs: 500, fillCount: 1, freezeTimeMs: -1 },
        ...{ dropIncrease: 0.02, dropDecrease: 0.002, decreaseRatio: 0 },
        ...{ isWeighted: false, globalSessionWeight: 3, renewSessionWeight: 2 },
      },
      maxFrameBytes: r.hasBig ? 400_000 : r.longestFrame,
      unsentHighBytes: r.unsentHighBytes,
      unsentLimitBytes: r.unsentLimitBytes,
      auth: {
        ...{ isAclSkipped: false, isDigestEnabled: true, superDigest: undefined },
        enforcedSchemes: r.enforcedSchemes,
      },
      container: {
        checkIntervalMs: 200,
        maxPerMinute: 10_000,
        maxNeverUsedIntervalMs: r.maxNeverUsedIntervalMs,
      },
    },
  }))

/** Not biased: short lives are found by shrinking. */
export const lives: fc.Arbitrary<Life> = fc.noBias(fc.record({ world, steps }))

function bytesOf(text: string | null): Uint8Array | null {
  return text === null ? null : encodeUtf8(text)
}
