/** A tree as the `expected.json` of the golden directories shows it. */
import type { DataTree, ZnodeId } from '@corral/core'
import { type Acl, hexOf, Reader, Writer } from '@corral/protocol'

export interface DumpedZnode {
  readonly path: string
  readonly data: string | null
  readonly acl: readonly Acl[]
  readonly stat: object
}

/** Depth first, children sorted. */
export function dumpTree(tree: DataTree): DumpedZnode[] {
  const root = Buffer.from('/')
  const id = tree.find({ bytes: root, view: new DataView(root.buffer, root.byteOffset) }, 0, 1)
  return dumpFrom(tree, id)
}

function dumpFrom(tree: DataTree, id: ZnodeId): DumpedZnode[] {
  const children: ZnodeId[] = []
  for (let child = tree.firstChild(id); child !== 0; child = tree.nextSibling(child)) children.push(child)
  const byPath = children.map(child => ({ child, path: textOf(tree, child) }))
  byPath.sort((a, b) => (a.path < b.path ? -1 : 1))
  return [dumpZnode(tree, id), ...byPath.flatMap(({ child }) => dumpFrom(tree, child))]
}

function dumpZnode(tree: DataTree, id: ZnodeId): DumpedZnode {
  const data = new Writer()
  tree.dataInto(id, data)
  const bytes = new Reader(data.written()).buffer()
  const stat = new Writer()
  tree.statInto(id, stat)
  return {
    path: textOf(tree, id),
    data: bytes === null ? null : Buffer.from(bytes).toString('base64'),
    acl: tree.acls.entries(tree.acl(id)).map(({ perms, scheme, id: who }) => ({ perms, scheme, id: who })),
    stat: statOf(new Reader(stat.written())),
  }
}

function textOf(tree: DataTree, id: ZnodeId): string {
  const out = new Writer()
  tree.pathInto(id, out)
  return new Reader(out.written()).text()
}

function statOf(r: Reader): object {
  const hex = (): string => `0x${hexOf(r.int64())}`
  const [czxid, mzxid] = [hex(), hex()]
  const [ctime, mtime] = [r.measure(), r.measure()]
  const [version, cversion, aversion] = [r.int32(), r.int32(), r.int32()]
  const ephemeralOwner = hex()
  const [dataLength, numChildren] = [r.int32(), r.int32()]
  const pzxid = hex()
  return {
    czxid,
    mzxid,
    pzxid,
    ctime,
    mtime,
    version,
    cversion,
    aversion,
    ephemeralOwner,
    dataLength,
    numChildren,
  }
}
