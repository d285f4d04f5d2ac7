/**
 * Replay over snapshots as the Java server takes them: each znode is copied as it is when the walk comes to it, with
 * the names of its children, which are looked up one by one later. So a file can hold what was deleted and made anew
 * since the zxid in its name, and ACL numbers that its table does not have.
 */
import {
  type Acl,
  decodeTxn,
  encodeUtf8,
  type SessionId,
  sessionId,
  type TxnBody,
  Writer,
  writeAclList,
} from '@corral/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aTree, create, digestOf, dump, payload } from '../../test/tree-kit.ts'
import { type ModelZnode, TreeModel } from '../../test/tree-model.ts'
import { checkTree } from './check-tree.ts'
import type { DataTree } from './data-tree.ts'
import { FiredWatches } from './fired-watches.ts'
import type { TreeLoader } from './tree-loader.ts'

type AclList = readonly Acl[]

const paths = ['/a', '/a/b', '/a/b/c', '/a/b/d', '/a/e', '/f', '/f/g'] as const
const acls: readonly AclList[] = [1, 3, 31].map(perms => [{ perms, scheme: 'digest', id: `u${perms}:x` }])
const sessions: readonly SessionId[] = [sessionId(5n), sessionId(6n)]
/** `fell` deletes a znode and all below it, from the leaves on. */
const kinds = ['create', 'create', 'ephemeral', 'delete', 'fell', 'setData', 'setAcl', 'close'] as const

const change = fc.record({
  kind: fc.constantFrom(...kinds),
  path: fc.constantFrom(...paths),
  acl: fc.constantFrom(...acls),
  session: fc.constantFrom(...sessions),
  /** The walk writes a znode before. */
  isWalked: fc.boolean(),
})
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

/** While the walk is at the root: replay begins with the deletion of the first /a, and the file has the second one. */
const madeAnew: readonly Change[] = [
  asChange('create', '/a'),
  { ...asChange('setData', '/a'), isWalked: true },
  asChange('fell', '/a'),
  asChange('create', '/a'),
  asChange('create', '/a/b'),
  asChange('create', '/a/b/c'),
  asChange('create', '/a/e'),
]

function asChange(kind: Change['kind'], path: Change['path']): Change {
  return { kind, path, acl: acls[0] as AclList, session: sessions[0] as SessionId, isWalked: false }
}

test('replay over a snapshot of the Java server ends at the tree that was live', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 50, size: 'max' }), fc.nat(10), (changes, openedAt) => {
      const model = new TreeModel()
      const live = aTree()
      let zxid = 0n
      const carryOut = (asked: Change, timeMs: number): ReturnType<typeof payload>[] =>
        bodiesOf(model, asked).map(body => {
          const made = payload(body, { zxid: ++zxid, session: asked.session, timeMs })
          model.apply(decodeTxn(made.txn.bytes, made.from, made.to))
          live.apply(made.txn, made.from, made.to, new FiredWatches())
          return made
        })
      changes.slice(0, openedAt).forEach(carryOut)

      const startedAt = zxid
      const file = new JavaSnapshot(model)
      const walk = file.walk('/')
      const behind = changes.slice(openedAt).flatMap((asked, i) => {
        if (asked.isWalked) walk.next()
        return carryOut(asked, openedAt + i)
      })
      while (walk.next().done !== true);

      const loaded = aTree({ seed: 7 })
      file.loadInto(loaded, startedAt)
      for (const { txn, from, to } of behind) loaded.apply(txn, from, to, new FiredWatches())

      expect(dump(loaded)).toEqual(dump(live))
      expect(digestOf(loaded)).toBe(digestOf(live))
      expect(checkTree(loaded)).toEqual([])
    }),
    { numRuns: 300, examples: [[madeAnew, 1]] },
  )
})

/** What a leader makes of it. */
function bodiesOf(model: TreeModel, { kind, path, acl, session }: Change): TxnBody[] {
  const { znodes } = model
  const znode = znodes.get(path)
  const made = encodeUtf8(`${kind} ${model.lastZxid}`)
  switch (kind) {
    case 'create':
    case 'ephemeral': {
      const parent = znodes.get(path.slice(0, path.lastIndexOf('/')) || '/')
      if (znode !== undefined || parent === undefined || parent.owner !== 0n) return []
      const parentCversion = parent.cversion + 1
      return [create(path, { data: made, acl, isEphemeral: kind === 'ephemeral', parentCversion })]
    }
    case 'delete':
      return znode === undefined || model.children(path).length > 0 ? [] : [{ kind, path }]
    case 'fell': {
      const felled = [...znodes.keys()].filter(other => other === path || other.startsWith(`${path}/`))
      return felled.sort().map((): TxnBody => ({ kind: 'delete', path: felled.pop() ?? '' }))
    }
    case 'setData':
      return znode === undefined ? [] : [{ kind, path, data: made, version: znode.version + 1 }]
    case 'setAcl':
      return znode === undefined ? [] : [{ kind, path, acl, version: znode.aversion + 1 }]
    case 'close': {
      const owned = [...znodes].filter(([, { owner }]) => owner === session)
      return [{ kind: 'closeSession', paths: owned.map(([at]) => at) }]
    }
  }
}

class JavaSnapshot {
  readonly #model: TreeModel
  /** Numbered from 1. Those of the table, and those that came since. */
  readonly #acls: AclList[] = []
  readonly #tableSize: number
  readonly #nodes: ((loader: TreeLoader) => string | undefined)[] = []

  constructor(model: TreeModel) {
    this.#model = model
    for (const { acl } of model.znodes.values()) this.#numberOf(acl)
    this.#tableSize = this.#acls.length
  }

  /** Source: DataTree.serializeNode. */
  *walk(path: string): Generator<void> {
    const znode = this.#model.znodes.get(path)
    if (znode === undefined) return
    const children = this.#model.children(path)
    this.#add(path, znode)
    yield
    for (const child of children) yield* this.walk(child)
  }

  loadInto(tree: DataTree, zxid: bigint): void {
    const loader = tree.loader()
    for (const [i, acl] of this.#acls.slice(0, this.#tableSize).entries()) {
      const out = new Writer()
      writeAclList(out, acl)
      expect(loader.acl(0, i + 1, out, 0, out.at)).toBe(undefined)
    }
    for (const node of this.#nodes) expect(node(loader)).toBe(undefined)
    expect(loader.finish(0, Number(zxid))).toBe(undefined)
  }

  #add(path: string, znode: ModelZnode): void {
    const out = new Writer()
    out.string(path === '/' ? '' : path)
    const pathTo = out.at
    out.buffer(znode.data)
    const dataTo = out.at
    for (const value of [znode.czxid, znode.mzxid, BigInt(znode.ctime), BigInt(znode.mtime)]) out.int64(value)
    for (const value of [znode.version, znode.cversion, znode.aversion]) out.int32(value)
    out.int64(znode.owner)
    out.int64(znode.pzxid)
    const aclLow = this.#numberOf(znode.acl)
    const at = { pathFrom: 4, pathTo, dataFrom: pathTo + 4, dataTo, aclHigh: 0, aclLow, statFrom: dataTo }
    this.#nodes.push(loader => loader.node(out, at))
  }

  #numberOf(acl: AclList): number {
    const known = this.#acls.indexOf(acl)
    return known < 0 ? this.#acls.push(acl) : known + 1
  }
}
