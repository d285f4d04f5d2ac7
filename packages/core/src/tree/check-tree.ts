/** Checks all that must always hold of a tree. For tests and the simulation: it reads every znode several times. */
import { Writer } from '@corral/protocol'
import { OpenAcl } from './acl-table.ts'
import type { DataTree } from './data-tree.ts'
import { contentCrcOf, DigestSum, isDigestedPath, pathCrc, rowDigest } from './digest.ts'
import { isLess } from './raw-bytes.ts'
import type { TreeParts } from './tree-parts.ts'
import { Flag, RootId, Row, type ZnodeId } from './znode-rows.ts'
import { ZnodeKind } from './znodes.ts'

/** @returns one line per violation */
export function checkTree(tree: DataTree): string[] {
  const parts = tree.parts()
  return [
    ...checkLinks(parts),
    ...checkPaths(parts),
    ...checkLists(parts),
    ...checkAcls(parts),
    ...checkStats(parts),
    ...checkDigest(parts),
    ...checkQuotas(parts),
  ]
}

function* allZnodes(parts: TreeParts): Generator<ZnodeId> {
  for (let id: ZnodeId = RootId; id !== 0; id = parts.znodes.after(id, RootId)) yield id
}

/** Every row in use is reached from the root, once, and links agree in both directions. */
function checkLinks(parts: TreeParts): string[] {
  const { rows } = parts.znodes
  const problems: string[] = []
  const seen = new Set<ZnodeId>()
  for (const id of allZnodes(parts)) {
    if (seen.has(id)) return [...problems, `znode ${id} is reached twice`]
    seen.add(id)
    let count = 0
    let previous: ZnodeId = 0
    for (let child = rows.get(id, Row.firstChild); child !== 0; child = rows.get(child, Row.nextSibling)) {
      if (rows.get(child, Row.parent) !== id) problems.push(`znode ${child} does not know its parent ${id}`)
      if (rows.get(child, Row.previousSibling) !== previous)
        problems.push(`znode ${child} does not know its sibling`)
      previous = child
      count++
    }
    if (count !== rows.get(id, Row.childCount))
      problems.push(`znode ${id} has ${count} children and says otherwise`)
  }
  if (seen.size !== rows.count) problems.push(`${rows.count} rows are in use, ${seen.size} are reached`)
  return problems
}

/** The index finds every znode by its path, and sums of lengths are right. */
function checkPaths(parts: TreeParts): string[] {
  const { znodes } = parts
  const problems: string[] = []
  const path = new Writer()
  let pathBytes = 0
  let dataBytes = 0
  for (const id of allZnodes(parts)) {
    path.at = 0
    znodes.rawPathInto(id, path)
    if (znodes.find(path, 0, path.at) !== id) problems.push(`znode ${id} is not found by its path`)
    if (isDigestedPath(path, 0, path.at) === znodes.rows.hasFlag(id, Flag.Undigested)) {
      problems.push(`znode ${id} is wrongly in or out of the digest`)
    }
    pathBytes += znodes.pathLength(id)
    dataBytes += znodes.rows.get(id, Row.dataLength)
  }
  if (pathBytes !== znodes.pathBytes) problems.push(`paths have ${pathBytes} bytes, not ${znodes.pathBytes}`)
  if (dataBytes !== znodes.dataBytes) problems.push(`data has ${dataBytes} bytes, not ${znodes.dataBytes}`)
  return problems
}

/** The ephemerals of the sessions, and containers and TTL znodes, are those of that kind. */
function checkLists(parts: TreeParts): string[] {
  const { znodes, ephemerals, reapList } = parts
  const problems: string[] = []
  const owned = new Map<ZnodeId, string>()
  for (const { high, low } of ephemerals.owners()) {
    for (const id of ephemerals.of(high, low)) owned.set(id, `${high}:${low}`)
  }
  let reapable = 0
  for (const id of allZnodes(parts)) {
    const kind = znodes.kind(id)
    const owner = `${znodes.rows.get(id, Row.owner)}:${znodes.rows.get(id, Row.owner + 4)}`
    if (owned.get(id) !== (kind === ZnodeKind.Ephemeral ? owner : undefined)) {
      problems.push(`znode ${id} of owner ${owner} is listed under ${owned.get(id) ?? 'none'}`)
    }
    owned.delete(id)
    const isReapable = kind === ZnodeKind.Container || kind === ZnodeKind.Ttl
    if (isReapable) reapable++
    if (reapList.has(id) !== isReapable) problems.push(`znode ${id} is wrongly on or off the reaper's list`)
  }
  if (owned.size > 0) problems.push(`${owned.size} ephemerals are listed that do not exist`)
  if (reapable !== reapList.count)
    problems.push(`the reaper's list has ${reapList.count} entries, not ${reapable}`)
  return problems
}

/** Each ACL is used as often as its count says. */
function checkAcls(parts: TreeParts): string[] {
  const { znodes, acls } = parts
  const problems: string[] = []
  const uses = new Map<number, number>()
  for (const id of allZnodes(parts)) {
    const acl = znodes.rows.acl(id)
    if (!acls.isKnown(acl)) problems.push(`znode ${id} has the unknown ACL ${acl}`)
    if (acl !== OpenAcl) uses.set(acl, (uses.get(acl) ?? 0) + 1)
  }
  for (let acl = 1; acl < acls.end; acl++) {
    const count = uses.get(acl) ?? 0
    if (acls.isKnown(acl) && acls.usesOf(acl) !== count) {
      problems.push(`ACL ${acl} is used ${count} times, not ${acls.usesOf(acl)}`)
    }
  }
  return problems
}

function checkStats(parts: TreeParts): string[] {
  const { rows } = parts.znodes
  const problems: string[] = []
  for (const id of allZnodes(parts)) {
    if (isBefore(id, Row.mzxid, Row.czxid)) problems.push(`znode ${id} was changed before it was made`)
    if (isBefore(id, Row.pzxid, Row.czxid)) problems.push(`znode ${id} had children before it was made`)
  }
  return problems

  function isBefore(id: ZnodeId, field: number, other: number): boolean {
    return isLess(rows.get(id, field), rows.get(id, field + 4), rows.get(id, other), rows.get(id, other + 4))
  }
}

/** The digest is the sum over all znodes, each from its path and data. */
function checkDigest(parts: TreeParts): string[] {
  if (!parts.isDigestEnabled) return []
  const { znodes } = parts
  const { rows } = znodes
  const problems: string[] = []
  const sum = new DigestSum()
  const path = new Writer()
  for (const id of allZnodes(parts)) {
    if (rows.hasFlag(id, Flag.Undigested)) continue
    path.at = 0
    znodes.rawPathInto(id, path)
    const dataFrom = znodes.dataFrom(id)
    const dataTo = dataFrom + rows.get(id, Row.dataLength)
    const crc = contentCrcOf(pathCrc(path, 0, path.at), znodes.space(id), dataFrom, dataTo)
    const share = rowDigest(rows.space(id), rows.at(id), crc)
    if (share !== rows.get(id, Row.digest)) problems.push(`znode ${id} has a wrong share of the digest`)
    sum.add(share)
  }
  if (sum.high !== parts.digest.high || sum.low !== parts.digest.low) {
    problems.push(`the digest is ${parts.digest.high}:${parts.digest.low}, recomputed ${sum.high}:${sum.low}`)
  }
  return problems
}

/** A quota's root has its flag. Usage is not checked here: clients may overwrite it. */
function checkQuotas(parts: TreeParts): string[] {
  const { znodes, quotas } = parts
  const path = new Writer()
  const problems: string[] = []
  for (const id of allZnodes(parts)) {
    path.at = 0
    znodes.rawPathInto(id, path)
    if (quotas.isRoot(path, 0, path.at) !== znodes.rows.hasFlag(id, Flag.Quota)) {
      problems.push(`znode ${id} wrongly has or lacks the flag of a quota's root`)
    }
  }
  return problems
}
