/**
 * What clients ask for: requests drawn from the seed over a small set of paths, so that they meet. Each generator
 * knows only what its own client has learned from replies.
 */
import type { Random } from '@corral/core'
import {
  type Acl,
  AddWatchMode,
  CreateFlags,
  creatorAllAcl,
  ErrorCode,
  encodeUtf8,
  type MultiOp,
  OpCode,
  openAcl,
  parentPath,
  type ReplyBody,
  type Request,
  readAcl,
  WatcherType,
} from '@corral/protocol'
import { between, chance, pick, weighted } from '../chance.ts'
import { limitsText } from './limits-text.ts'

/** Weights of the kinds of work; a run draws its own. */
export type Mix = Readonly<Record<Work, number>>

export const works = [
  'register',
  'sequence',
  'directory',
  'multi',
  'ephemeral',
  'watch',
  'persistentWatch',
  'acl',
  'container',
  'ttl',
  'quota',
  'large',
  'reads',
  'wrong',
] as const
export type Work = (typeof works)[number]

/** Touched by single operations only: what the search-based judge looks at. */
export const registerPaths: readonly string[] = ['/r0', '/r1', '/r2', '/r3']
const directories = ['/d0', '/d1', '/d2']
const casPaths = ['/d0/c0', '/d0/c1', '/d1/c0', '/d2/c0']
const childNames = ['a', 'b', 'c', 'd', 'ü']
const aclPaths = ['/s0', '/s1', '/s2']
/** Digest auth that clients add; their ACLs speak of it. */
export const secrets: readonly string[] = ['ann:red', 'bob:blue']

const manySecrets: readonly (readonly Acl[])[] = [
  openAcl,
  openAcl,
  readAcl,
  creatorAllAcl,
  [
    { perms: 1, scheme: 'world', id: 'anyone' },
    { perms: 31, scheme: 'auth', id: '' },
  ],
  // SHA-1 of ann:red, and somebody nobody is.
  [{ perms: 31, scheme: 'digest', id: 'nobody:x1vOeNYJgAXCZYAvT8Rz4T5VJHI=' }],
  [{ perms: 0, scheme: 'world', id: 'anyone' }],
  [
    { perms: 31, scheme: 'world', id: 'anyone' },
    { perms: 31, scheme: 'world', id: 'anyone' },
  ],
  [{ perms: 31, scheme: 'nonsense', id: 'x' }],
  [],
]

export class Generator {
  readonly #random: Random
  readonly #mix: Mix
  readonly #name: string
  readonly #maxValueBytes: number
  /** Versions by path, as last seen. */
  readonly #versions: Map<string, number> = new Map()
  readonly #made: string[] = []
  readonly #missing: Set<string> = new Set()
  #count = 0

  constructor(given: { random: Random; name: string; mix: Mix; maxValueBytes: number }) {
    this.#random = given.random
    this.#name = given.name
    this.#mix = given.mix
    this.#maxValueBytes = given.maxValueBytes
  }

  next(): Request {
    this.#count++
    const request = this.#draw()
    if (!('path' in request) || chance(this.#random, 0.2)) return request
    // What is known to be missing is mostly made first, or nearly everything would be answered NoNode.
    const needed = request.kind === 'create' ? parentPath(request.path) : request.path
    return this.#missing.has(needed) ? create(needed, this.#value(), { op: this.#createOp() }) : request
  }

  #draw(): Request {
    switch (weighted(this.#random, this.#mix)) {
      case 'register':
        return this.#register()
      case 'sequence':
        return this.#sequence()
      case 'directory':
        return this.#directory()
      case 'multi':
        return { kind: 'multi', ops: this.#multiOps() }
      case 'ephemeral':
        return this.#ephemeral()
      case 'watch':
        return this.#watchingRead()
      case 'persistentWatch':
        return this.#persistentWatch()
      case 'acl':
        return this.#acl()
      case 'container':
        return this.#container()
      case 'ttl':
        return this.#ttl()
      case 'quota':
        return this.#quota()
      case 'large':
        return this.#large()
      case 'reads':
        return this.#read()
      case 'wrong':
        return this.#wrong()
    }
  }

  /** What a reply taught. */
  learn(request: Request, err: number, body: ReplyBody): void {
    if (!('path' in request)) return
    const isCreate = request.kind === 'create' || request.kind === 'createTtl'
    if (err === ErrorCode.NoNode) this.#missing.add(isCreate ? parentPath(request.path) : request.path)
    else if (isCreate) this.#missing.delete(request.path)
    else if (request.kind === 'delete' && err === 0) this.#missing.add(request.path)
    if (err !== 0) return
    if ('stat' in body && body.stat !== undefined && body.kind !== 'acl') {
      this.#versions.set(body.kind === 'pathStat' ? body.path : request.path, body.stat.version)
    }
    if ((body.kind === 'path' || body.kind === 'pathStat') && request.kind !== 'sync') {
      this.#made.push(body.path)
      if (this.#made.length > 50) this.#made.shift()
    }
  }

  // -- kinds of work

  #register(): Request {
    const path = pick(this.#random, registerPaths)
    switch (between(this.#random, 0, 7)) {
      case 0:
        return create(path, this.#value())
      case 1:
        return { kind: 'delete', path, version: this.#version(path) }
      case 2:
      case 3:
      case 4:
        return { kind: 'setData', path, data: this.#value(), version: this.#version(path) }
      case 5:
        return { kind: 'exists', path, watch: chance(this.#random, 0.3) }
      default:
        return { kind: 'getData', path, watch: chance(this.#random, 0.3) }
    }
  }

  #sequence(): Request {
    const parent = pick(this.#random, directories)
    const ours = this.#made.filter(path => path.includes('/seq-'))
    if (ours.length > 0 && chance(this.#random, 0.4)) {
      return { kind: 'delete', path: pick(this.#random, ours), version: -1 }
    }
    const flags = chance(this.#random, 0.3)
      ? CreateFlags.EphemeralSequential
      : CreateFlags.PersistentSequential
    return create(`${parent}/seq-`, this.#value(), { flags, op: this.#createOp() })
  }

  #directory(): Request {
    const parent = pick(this.#random, directories)
    if (chance(this.#random, 0.25)) return create(parent, this.#value(), { op: this.#createOp() })
    if (chance(this.#random, 0.1)) return { kind: 'delete', path: parent, version: -1 }
    const path = this.#child(parent)
    return chance(this.#random, 0.6)
      ? create(path, this.#value(), { op: this.#createOp() })
      : { kind: 'delete', path, version: this.#version(path) }
  }

  #multiOps(): MultiOp[] {
    const ops: MultiOp[] = []
    const count = between(this.#random, 0, 5)
    for (let i = 0; i < count; i++) {
      const path = chance(this.#random, 0.5)
        ? pick(this.#random, casPaths)
        : this.#child(pick(this.#random, directories))
      switch (between(this.#random, 0, 6)) {
        case 6:
          ops.push(this.#oneOfMulti())
          break
        case 0:
          ops.push({ kind: 'check', path, version: this.#version(path) })
          break
        case 1:
          ops.push({
            kind: 'delete',
            path: chance(this.#random, 0.8) ? path : parentPath(path),
            version: this.#version(path),
          })
          break
        case 2:
          ops.push({ kind: 'setData', path, data: this.#value(), version: this.#version(path) })
          break
        case 3:
          ops.push(
            create(`${pick(this.#random, directories)}/seq-`, this.#value(), {
              flags: CreateFlags.PersistentSequential,
              op: this.#createOp(),
            }),
          )
          break
        default:
          ops.push(create(path, this.#value(), { op: this.#createOp() }))
      }
    }
    return ops
  }

  /** What other kinds of work ask for alone. */
  #oneOfMulti(): MultiOp {
    for (;;) {
      const request = pick(this.#random, [
        () => this.#acl(),
        () => this.#ephemeral(),
        () => this.#container(),
        () => this.#ttl(),
        () => this.#quota(),
        () => this.#wrong(),
      ])()
      switch (request.kind) {
        case 'create':
        case 'createTtl':
        case 'delete':
        case 'setData':
          return request
        case 'getAcl':
          return { kind: 'check', path: request.path, version: -1 }
      }
    }
  }

  #ephemeral(): Request {
    const path = `/e${between(this.#random, 0, 5)}`
    const choice = between(this.#random, 0, 5)
    if (choice <= 2)
      return create(path, this.#value(), { flags: CreateFlags.Ephemeral, op: this.#createOp() })
    if (choice === 3) return { kind: 'delete', path, version: -1 }
    if (choice === 4) return { kind: 'getEphemerals', path: '/' }
    // Below an ephemeral nothing may be.
    return this.#create(`${path}/x`)
  }

  #watchingRead(): Request {
    const path = this.#anyPath()
    const kind = pick(this.#random, ['exists', 'getData', 'getChildren', 'getChildren2'] as const)
    return { kind, path, watch: true }
  }

  #persistentWatch(): Request {
    const path = chance(this.#random, 0.2) ? '/' : pick(this.#random, [...directories, ...registerPaths])
    const types = [
      WatcherType.Children,
      WatcherType.Data,
      WatcherType.Any,
      WatcherType.Persistent,
      WatcherType.PersistentRecursive,
    ]
    switch (between(this.#random, 0, 4)) {
      case 0:
        return { kind: 'removeWatches', path, type: pick(this.#random, types) }
      case 1:
        return { kind: 'checkWatches', path, type: pick(this.#random, types) }
      case 2:
        return { kind: 'addWatch', path, mode: AddWatchMode.PersistentRecursive }
      default:
        return { kind: 'addWatch', path, mode: AddWatchMode.Persistent }
    }
  }

  #acl(): Request {
    const path = pick(this.#random, aclPaths)
    switch (between(this.#random, 0, 7)) {
      case 0:
      case 1:
        return create(path, this.#value(), { acl: pick(this.#random, manySecrets), op: this.#createOp() })
      case 2:
        return {
          kind: 'setAcl',
          path,
          acl: pick(this.#random, manySecrets),
          version: chance(this.#random, 0.7) ? -1 : between(this.#random, 0, 3),
        }
      case 3:
        return { kind: 'getAcl', path }
      case 4:
        return { kind: 'delete', path: chance(this.#random, 0.5) ? path : `${path}/k`, version: -1 }
      case 5:
        return { kind: 'setData', path, data: this.#value(), version: -1 }
      case 6:
        return this.#create(`${path}/k`, pick(this.#random, manySecrets))
      default:
        return { kind: 'getData', path, watch: chance(this.#random, 0.5) }
    }
  }

  #container(): Request {
    const path = `/k${between(this.#random, 0, 2)}`
    switch (between(this.#random, 0, 3)) {
      case 0:
        return create(path, this.#value(), { flags: CreateFlags.Container, op: OpCode.CreateContainer })
      case 1:
        return { kind: 'delete', path: `${path}/x`, version: -1 }
      default:
        return create(`${path}/x`, this.#value())
    }
  }

  #ttl(): Request {
    const path = `/t${between(this.#random, 0, 2)}`
    const isSequential = chance(this.#random, 0.2)
    if (chance(this.#random, 0.2)) return { kind: 'setData', path, data: this.#value(), version: -1 }
    return {
      kind: 'createTtl',
      path,
      data: this.#value(),
      acl: openAcl,
      flags: isSequential ? CreateFlags.PersistentSequentialWithTtl : CreateFlags.PersistentWithTtl,
      ttlMs: pick(this.#random, [1, 500, 5000, 2 ** 40 - 1, 0, 2 ** 40]),
    }
  }

  /** Two quotas, side by side; their texts are often ones that no tool would write. */
  #quota(): Request {
    const root = pick(this.#random, ['/q0', '/q0', '/q0', '/q1'])
    const limits = `/zookeeper/quota${root}/zookeeper_limits`
    const stats = `/zookeeper/quota${root}/zookeeper_stats`
    const below = pick(this.#random, [root, `${root}/a`, `${root}/a/b`, `${root}/c`])
    switch (between(this.#random, 0, 16)) {
      case 0:
      case 14:
        return create(limits, limitsText(this.#random))
      case 1:
      case 15:
        return create(
          stats,
          chance(this.#random, 0.8) ? encodeUtf8('count=0,bytes=0') : limitsText(this.#random),
        )
      case 2:
        return { kind: 'setData', path: limits, data: limitsText(this.#random), version: -1 }
      case 3:
        return chance(this.#random, 0.8)
          ? { kind: 'getData', path: stats, watch: chance(this.#random, 0.2) }
          : { kind: 'setData', path: stats, data: limitsText(this.#random), version: -1 }
      case 4:
        return { kind: 'delete', path: pick(this.#random, [limits, stats]), version: -1 }
      case 5:
      case 6:
        return { kind: 'delete', path: below, version: -1 }
      case 7:
      case 8:
      case 9:
        return { kind: 'setData', path: below, data: this.#bytes(60), version: this.#version(below) }
      case 10:
        return {
          kind: 'multi',
          ops: [create(`${root}/a`, this.#bytes(60)), create(`${root}/c`, this.#bytes(60))],
        }
      default:
        return this.#create(below, openAcl, this.#bytes(60))
    }
  }

  #large(): Request {
    const path = `/l${between(this.#random, 0, 1)}`
    const data = this.#bytes(this.#maxValueBytes)
    switch (between(this.#random, 0, 2)) {
      case 0:
        return create(path, data)
      case 1:
        return { kind: 'setData', path, data, version: -1 }
      default:
        return { kind: 'getData', path, watch: false }
    }
  }

  #read(): Request {
    const path = this.#anyPath()
    switch (between(this.#random, 0, 9)) {
      case 9:
        return { kind: 'whoAmI' }
      case 0:
        return { kind: 'getAllChildrenNumber', path }
      case 1:
        return { kind: 'getAcl', path }
      case 2:
        return { kind: 'sync', path }
      case 3:
        return {
          kind: 'multiRead',
          ops: [
            { kind: 'getData', path, watch: false },
            { kind: 'getChildren', path: this.#anyPath(), watch: false },
          ],
        }
      case 4:
        return { kind: 'getChildren', path: '/', watch: false }
      case 5:
        return { kind: 'getEphemerals', path: '/' }
      default:
        return {
          kind: pick(this.#random, ['exists', 'getData', 'getChildren2'] as const),
          path,
          watch: false,
        }
    }
  }

  /** Requests that must be refused, each for its own reason. */
  #wrong(): Request {
    switch (between(this.#random, 0, 7)) {
      case 0:
        return this.#create(`/no/such/${this.#count}`)
      case 1:
        return create('/', this.#value(), { op: this.#createOp() })
      case 2:
        return { kind: 'delete', path: '/zookeeper', version: -1 }
      case 3:
        return this.#create(pick(this.#random, ['/a//b', '/r0/', '/d0/.', '/d0/..', '/a\u0000']))
      case 4:
        return { kind: 'setData', path: '/r0/', data: this.#value(), version: -1 }
      case 5:
        return create('/zookeeper/config/x', this.#value())
      case 6:
        return {
          kind: 'setData',
          path: pick(this.#random, casPaths),
          data: this.#value(),
          version: 1_000_000,
        }
      default:
        return { kind: 'getData', path: `/nowhere-${this.#count}`, watch: true }
    }
  }

  // -- draws

  #anyPath(): string {
    return pick(this.#random, [
      '/',
      ...registerPaths,
      ...directories,
      ...casPaths,
      ...aclPaths,
      '/e0',
      '/e1',
      '/k0',
    ])
  }

  #child(parent: string): string {
    return `${parent}/${pick(this.#random, childNames)}`
  }

  /** In any of the ways in which a znode that stays can be made. */
  #create(path: string, acl: readonly Acl[] = openAcl, data: Uint8Array | null = this.#value()): Request {
    switch (between(this.#random, 0, 5)) {
      case 0:
        return create(path, data, { acl, flags: CreateFlags.Container, op: OpCode.CreateContainer })
      case 1:
        return { kind: 'createTtl', path, data, acl, flags: CreateFlags.PersistentWithTtl, ttlMs: 5000 }
      default:
        return create(path, data, { acl, op: this.#createOp() })
    }
  }

  #createOp(): typeof OpCode.Create | typeof OpCode.Create2 {
    return chance(this.#random, 0.4) ? OpCode.Create2 : OpCode.Create
  }

  #version(path: string): number {
    if (chance(this.#random, 0.4)) return -1
    const known = this.#versions.get(path) ?? 0
    return chance(this.#random, 0.7) ? known : known + 1
  }

  #bytes(most: number): Uint8Array {
    return new Uint8Array(between(this.#random, 0, most)).fill(between(this.#random, 0, 255))
  }

  #value(): Uint8Array | null {
    if (chance(this.#random, 0.05)) return null
    return encodeUtf8(`${this.#name}.${this.#count}`)
  }
}

export function create(
  path: string,
  data: Uint8Array | null,
  how: {
    readonly flags?: number
    readonly op?: typeof OpCode.Create | typeof OpCode.Create2 | typeof OpCode.CreateContainer
    readonly acl?: readonly Acl[]
  } = {},
): Request & { readonly kind: 'create' } {
  return {
    kind: 'create',
    op: how.op ?? OpCode.Create,
    path,
    data,
    acl: how.acl ?? openAcl,
    flags: how.flags ?? CreateFlags.Persistent,
  }
}
