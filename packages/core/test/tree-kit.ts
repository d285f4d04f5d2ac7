/** Trees for tests: made, changed by txns as objects, and read back as objects. */
import {
  type Acl,
  type EventType,
  encodeTxn,
  encodeUtf8,
  makeSpace,
  openAcl,
  Reader,
  readStat,
  type SessionId,
  type Space,
  type Stat,
  sessionId,
  type TxnBody,
  txnType,
  Writer,
  zxid,
} from '@corral/protocol'
import { seededRandom } from '../src/random.ts'
import { DataTree } from '../src/tree/data-tree.ts'
import { FiredWatches } from '../src/tree/fired-watches.ts'

export function aTree(
  given: { isTtlEnabled?: boolean; isDigestEnabled?: boolean; seed?: number } = {},
): DataTree {
  const { isTtlEnabled = true, isDigestEnabled = true, seed = 1 } = given
  return new DataTree({ random: seededRandom(seed), isTtlEnabled, isDigestEnabled })
}

export function space(text: string): Space {
  const bytes = encodeUtf8(text)
  const made = makeSpace(bytes.length)
  made.bytes.set(bytes)
  return made
}

export function find(tree: DataTree, path: string): number {
  const source = space(path)
  return tree.find(source, 0, source.bytes.length)
}

export interface TxnGiven {
  readonly zxid: bigint
  readonly session?: SessionId
  readonly timeMs?: number
  readonly digest?: bigint
}

/** The payload, not at the start of its memory. */
export function payload(body: TxnBody, given: TxnGiven): { txn: Space; from: number; to: number } {
  const bytes = encodeTxn({
    header: {
      session: given.session ?? sessionId(0n),
      cxid: 0,
      zxid: zxid(given.zxid),
      timeMs: given.timeMs ?? 1_700_000_000_000,
      type: txnType(body),
    },
    body,
    digest: given.digest === undefined ? undefined : { version: 2, treeDigest: given.digest },
  })
  const txn = makeSpace(bytes.length + 8)
  txn.bytes.set(bytes, 5)
  return { txn, from: 5, to: 5 + bytes.length }
}

export function apply(tree: DataTree, body: TxnBody, given: TxnGiven, fired = new FiredWatches()): number {
  const { txn, from, to } = payload(body, given)
  return tree.apply(txn, from, to, fired)
}

export function create(path: string, over: Partial<Extract<TxnBody, { kind: 'create' }>> = {}): TxnBody {
  const base = { kind: 'create', type: 1, path, data: encodeUtf8('x'), acl: openAcl } as const
  return { ...base, isEphemeral: false, parentCversion: -1, ...over }
}

export interface DumpedZnode {
  readonly data: string | null
  readonly acl: readonly Acl[]
  readonly stat: Stat
}

/** Every znode by its path. */
export function dump(tree: DataTree): Record<string, DumpedZnode> {
  const found: Record<string, DumpedZnode> = {}
  const pending = [1]
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    for (let child = tree.firstChild(id); child !== 0; child = tree.nextSibling(child)) pending.push(child)
    const out = new Writer()
    tree.pathInto(id, out)
    tree.dataInto(id, out)
    tree.statInto(id, out)
    const r = new Reader(out.bytes, 0, out.at)
    const path = r.text()
    const data = r.buffer()
    found[path] = {
      data: data === null ? null : Buffer.from(data).toString('latin1'),
      acl: tree.acls.entries(tree.acl(id)),
      stat: readStat(r),
    }
  }
  return found
}

export interface DumpedEvent {
  readonly type: EventType
  readonly path: string
  readonly slots: readonly number[]
}

export function events(fired: FiredWatches): DumpedEvent[] {
  const list: DumpedEvent[] = []
  for (let i = 0; i < fired.eventCount; i++) {
    const path = Buffer.from(fired.space.bytes.subarray(fired.pathFrom(i), fired.pathTo(i))).toString('utf8')
    const slots = [...fired.slots.subarray(fired.slotsFrom(i), fired.slotsTo(i))].sort((a, b) => a - b)
    list.push({ type: fired.typeOf(i), path, slots })
  }
  return list
}

export function digestOf(tree: DataTree): bigint {
  return (BigInt(tree.digestHigh) << 32n) | BigInt(tree.digestLow)
}
