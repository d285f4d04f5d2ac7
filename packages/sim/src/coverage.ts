/**
 * Which requests were answered with which results: a sweep that never saw a pair has not tested it. What a pair takes
 * is listed here by hand, from the protocol; what is seen beyond the list is printed as well. Requests that end their
 * connection (a check of its own, internal opcodes) are the hostile clients' business, whose answers nobody reads.
 */
import { CreateFlags, ErrorCode, OpCode } from '@corral/protocol'
import type { Op } from './history.ts'

/** Per kind of request: results, by name, and how often. */
export type Coverage = Map<string, Map<string, number>>

const anyRead = ['Ok', 'NoNode', 'NoAuth', 'ThrottledOp']
const anyCreate = ['Ok', 'NoNode', 'NodeExists', 'NoAuth', 'InvalidAcl', 'QuotaExceeded', 'ThrottledOp']

export const expectedResults: Readonly<Record<string, readonly string[]>> = {
  create: [...anyCreate, 'BadArguments', 'NoChildrenForEphemerals'],
  create2: [...anyCreate, 'BadArguments', 'NoChildrenForEphemerals'],
  createContainer: [...anyCreate, 'BadArguments', 'NoChildrenForEphemerals'],
  createTtl: [...anyCreate, 'BadArguments', 'NoChildrenForEphemerals', 'Unimplemented'],
  delete: ['Ok', 'NoNode', 'NoAuth', 'BadVersion', 'NotEmpty', 'BadArguments', 'ThrottledOp'],
  setData: ['Ok', 'NoNode', 'NoAuth', 'BadVersion', 'BadArguments', 'QuotaExceeded', 'ThrottledOp'],
  setAcl: ['Ok', 'NoNode', 'NoAuth', 'BadVersion', 'InvalidAcl'],
  multi: [...anyCreate, 'BadVersion', 'NotEmpty', 'BadArguments', 'NoChildrenForEphemerals', 'Unimplemented'],
  exists: anyRead,
  getData: anyRead,
  getChildren: anyRead,
  getChildren2: anyRead,
  getAllChildrenNumber: anyRead,
  getAcl: anyRead,
  getEphemerals: ['Ok'],
  multiRead: ['Ok', 'NoNode', 'NoAuth'],
  sync: ['Ok'],
  whoAmI: ['Ok'],
  addWatch: ['Ok'],
  removeWatches: ['Ok', 'NoWatcher'],
  checkWatches: ['Ok', 'NoWatcher'],
  setWatches: ['Ok'],
  auth: ['Ok', 'AuthFailed'],
  ping: ['Ok'],
  closeSession: ['Ok'],
}

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(ErrorCode).map(([name, code]) => [code, name]),
)

export function countResults(coverage: Coverage, ops: readonly Op[]): void {
  for (const op of ops) {
    if (op.reply === undefined) continue
    const result = resultOf(op)
    const results = coverage.get(kindOf(op)) ?? new Map<string, number>()
    coverage.set(kindOf(op), results)
    results.set(result, (results.get(result) ?? 0) + 1)
  }
}

/** One line for each kind of request, what was never seen at its end. */
export function coverageTable(coverage: Coverage): readonly string[] {
  const kinds = new Set([...Object.keys(expectedResults), ...coverage.keys()])
  return [...kinds].map(kind => {
    const seen = coverage.get(kind) ?? new Map<string, number>()
    const counts = [...seen].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${name} ${count}`)
    const never = neverSeen(coverage, kind)
    return `${kind.padEnd(20)} ${counts.join(', ')}${never.length === 0 ? '' : `; NEVER ${never.join(', ')}`}`
  })
}

export function neverSeen(coverage: Coverage, kind: string): readonly string[] {
  return (expectedResults[kind] ?? []).filter(result => coverage.get(kind)?.has(result) !== true)
}

function kindOf({ request }: Op): string {
  if (request.kind !== 'create') return request.kind
  if (request.flags === CreateFlags.Container) return 'createContainer'
  return request.op === OpCode.Create ? 'create' : 'create2'
}

/** Of a multi that failed, and of a multiRead, the first failure. */
function resultOf({ reply }: Op): string {
  const { header, body } = reply as NonNullable<Op['reply']>
  const failed =
    body.kind === 'results'
      ? body.results.find(result => result.kind === 'error' && result.err !== 0)
      : undefined
  const err = header.err === 0 && failed?.kind === 'error' ? failed.err : header.err
  return names.get(err) ?? String(err)
}
