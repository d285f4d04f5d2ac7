/**
 * The txns that the server wrote, read from its simulated disk as they arrive: the one order of all writes is known
 * exactly. What a recovery did not bring back is dropped, and that is judged here too.
 */
import {
  decodeTxn,
  fileHeaderBytes,
  hexText,
  logRecordHeadBytes,
  type SessionId,
  type Txn,
} from '@corral/protocol'
import type { OpenSessions } from './checkers/sessions.ts'
import type { BackupKind, DiskObserver, SimDisk } from './disk.ts'
import type { Violation } from './history.ts'

export interface Committed {
  readonly txn: Txn
  readonly payload: Uint8Array
  /** Virtual time at which it reached the page cache for the first time. */
  readonly writtenAt: number
}

/** Where in the log a txn was written. */
export interface RecordPlace {
  readonly zxid: bigint
  readonly name: string
  readonly from: number
  readonly to: number
}

/** What came back in place of everything. */
export interface Restored {
  readonly kind: BackupKind
  /** What was promised when it was begun. */
  readonly promisedZxid: bigint
  readonly byZxid: ReadonlyMap<bigint, Committed>
}

const logName = /^log\.[0-9a-f]+$/

export class CommitLog implements DiskObserver {
  readonly violations: Violation[] = []
  readonly #disk: SimDisk
  readonly #nowMs: () => number
  readonly #byZxid: Map<bigint, Committed> = new Map()
  readonly #places: Map<bigint, RecordPlace> = new Map()
  /** Per file: how far it was read. */
  readonly #scanned: Map<string, number> = new Map()
  readonly #lastIn: Map<string, bigint> = new Map()
  #promisedZxid = 0n
  #backup: Restored | undefined
  #restored: Restored | undefined

  constructor(disk: SimDisk, nowMs: () => number) {
    this.#disk = disk
    this.#nowMs = nowMs
  }

  get count(): number {
    return this.#byZxid.size
  }

  /** Everything up to here survives a power loss, if the disk says the truth about its syncs. */
  get promisedZxid(): bigint {
    return this.#promisedZxid
  }

  /** undefined once a server has served from it as if nothing was lost. */
  get restored(): Restored | undefined {
    return this.#restored
  }

  /** Up to here what came back is not what happened since: its last txns were lost, and others came in their place. */
  isForked(last: bigint): boolean {
    const { byZxid = this.#byZxid } = this.#restored ?? {}
    return [...byZxid].some(([zxid, committed]) => zxid <= last && this.#byZxid.get(zxid) !== committed)
  }

  placeOf(zxid: bigint): RecordPlace | undefined {
    return this.#places.get(zxid)
  }

  /** All txns from zxid 1, in order, up to the first that is missing. */
  inOrder(): readonly Committed[] {
    return inOrder(this.#byZxid)
  }

  /** … of those that lie on the disk. */
  inOrderAtRest(): readonly Committed[] {
    return inOrder(this.#restored?.byZxid ?? this.#byZxid)
  }

  /** Sessions that were created and not closed. */
  openSessions(): OpenSessions {
    const open = new Map<SessionId, number>()
    for (const { txn } of this.inOrder()) {
      const { header, body } = txn
      if (body.kind === 'createSession') open.set(header.session, body.timeoutMs)
      else if (body.kind === 'closeSession') open.delete(header.session)
    }
    return open
  }

  written(dir: string, name: string): void {
    if (dir === 'log' && logName.test(name)) this.#scan(name)
  }

  truncated(dir: string, name: string, lengthBytes: number): void {
    if (dir !== 'log' || !logName.test(name)) return
    if (lengthBytes < (this.#scanned.get(name) ?? 0)) this.#scanned.set(name, 0)
    this.#scan(name)
  }

  /** A recovery ended at `lastZxid`: what is above it never happened. */
  recovered(lastZxid: bigint): void {
    for (const zxid of this.#byZxid.keys()) if (zxid > lastZxid) this.#byZxid.delete(zxid)
    this.#promisedZxid = lastZxid
    this.#restored = undefined
    this.#scanned.clear()
    this.#lastIn.clear()
  }

  /** Records are appended, so a file whose name and content are safe carries its last record to safety. */
  synced(dir: string): void {
    if (dir !== 'log') return
    let newest: string | undefined
    for (const name of this.#scanned.keys()) {
      if (newest === undefined || zxidIn(name) > zxidIn(newest)) newest = name
    }
    if (newest === undefined) return
    const last = this.#lastIn.get(newest) ?? 0n
    if (last > this.#promisedZxid && this.#disk.volume.isPromised('log', newest)) this.#promisedZxid = last
  }

  backsUp(kind: BackupKind): () => void {
    const { promisedZxid } = this.#restored ?? { promisedZxid: this.#promisedZxid }
    return () => {
      this.#backup = { kind, promisedZxid, byZxid: new Map(this.#restored?.byZxid ?? this.#byZxid) }
    }
  }

  isRestored(): void {
    this.#restored = this.#backup
  }

  #scan(name: string): void {
    const content = this.#disk.volume.content('log', name)
    if (content === undefined) return
    const view = new DataView(content.buffer, content.byteOffset, content.byteLength)
    let at = this.#scanned.get(name) ?? 0
    if (at === 0) at = fileHeaderBytes
    while (at + logRecordHeadBytes <= content.length) {
      const length = view.getInt32(at + 8)
      const end = at + logRecordHeadBytes + length + 1
      if (length <= 0 || end > content.length || content[end - 1] !== 0x42) break
      this.#add(content.slice(at + logRecordHeadBytes, end - 1), { name, from: at, to: end })
      at = end
    }
    this.#scanned.set(name, at)
  }

  #add(payload: Uint8Array, place: Omit<RecordPlace, 'zxid'>): void {
    const txn = decodeTxn(payload)
    const { zxid } = txn.header
    this.#lastIn.set(place.name, zxid)
    this.#places.set(zxid, { zxid, ...place })
    const known = this.#byZxid.get(zxid)
    if (known === undefined) {
      this.#byZxid.set(zxid, { txn, payload, writtenAt: this.#nowMs() })
      return
    }
    if (known.payload.length === payload.length && known.payload.every((byte, i) => byte === payload[i]))
      return
    this.violations.push({
      rule: 'X3',
      message: `zxid ${hexText(zxid)} has two contents, the second in ${place.name}`,
    })
  }
}

function inOrder(byZxid: ReadonlyMap<bigint, Committed>): readonly Committed[] {
  const txns: Committed[] = []
  for (let zxid = 1n; ; zxid++) {
    const committed = byZxid.get(zxid)
    if (committed === undefined) return txns
    txns.push(committed)
  }
}

/** Of `log.1f`, `snapshot.1f`, `snapshot.1f.gz`. */
export function zxidIn(name: string): bigint {
  return BigInt(`0x${name.split('.')[1]}`)
}
