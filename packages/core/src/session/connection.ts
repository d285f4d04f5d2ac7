/** What the server knows of one client connection. Plain state: the machines beside it decide. */
import { copyBytes, FrameTail, makeSpace, type Space } from '@corral/protocol'
import type { Chunk } from '../effects.ts'
import type { ConnId, Peer } from '../events.ts'
import type { AuthId } from './ids.ts'
import type { Session } from './sessions.ts'

/** Why a connection is not read at present; bits, so that reasons add up. */
export const Pause = { Handshake: 1, Outstanding: 2, Output: 4, Throttle: 8 } as const

/**
 * fresh: nothing decided yet. connecting: its session is being created. open: has a session. ending: nothing more is
 * read; what was accepted is still answered. command: the driver answers a four-letter word and closes.
 */
export type Phase = 'fresh' | 'connecting' | 'open' | 'ending' | 'command'

export class Connection {
  readonly id: ConnId
  /** Small and dense, for the watch table; used again after the connection is gone. */
  readonly slot: number
  readonly peer: Peer
  readonly openedMonotonicMs: number
  readonly openedWallMs: number
  readonly tail: FrameTail = new FrameTail()
  readonly backlog: Backlog = new Backlog()

  phase: Phase = 'fresh'
  session: Session | undefined = undefined
  ids: readonly AuthId[]
  /** What they were when the request came that is being answered. */
  askerIds: readonly AuthId[]
  /** The connect request had the readOnly byte, so the response has it too. */
  hasReadOnlyByte = false

  /** Sequence number of its newest write, and how many of its writes are not answered yet. */
  newestWrite = 0
  unfinishedWrites = 0
  /** Of its writes, the one answered last. */
  answeredWrite = 0
  /** Requests accepted and not answered. */
  outstanding = 0
  paused = 0
  /** When the bytes in the tail began to wait. */
  waitingSinceMs = 0

  /** What it has to say in this step, and how much of the chunk is used. */
  chunk: Chunk | undefined = undefined
  chunkUsed = 0
  isDirty = false
  /** Given to the driver and not taken by the socket. */
  unsentBytes = 0
  /** Written in this step, and znodes that its requests made the server walk over. */
  stepBytes = 0
  stepZnodes = 0
  /** Close it when this step's output has left. */
  isClosingAfterStep = false

  received = 0
  sent = 0
  /** -999, -1, 0: nothing was answered yet, as the `cons` word has it. */
  lastOp = -999
  lastXid = -1
  lastReplyZxidHigh = -1
  lastReplyZxidLow = -1
  lastReplyMonotonicMs = 0
  latencyCount = 0
  latencySumMs = 0
  lastLatencyMs = 0
  minLatencyMs = 0
  maxLatencyMs = 0

  constructor(
    id: ConnId,
    slot: number,
    peer: Peer,
    now: { readonly monotonicMs: number; readonly wallMs: number },
  ) {
    this.id = id
    this.slot = slot
    this.peer = peer
    this.openedMonotonicMs = now.monotonicMs
    this.openedWallMs = now.wallMs
    this.ids = [{ scheme: 'ip', id: peer.address }]
    this.askerIds = this.ids
  }

  resetStats(): void {
    this.received = 0
    this.sent = 0
    this.lastOp = -999
    this.lastXid = -1
    this.lastReplyZxidHigh = -1
    this.lastReplyZxidLow = -1
    this.lastReplyMonotonicMs = 0
    this.latencyCount = 0
    this.latencySumMs = 0
    this.lastLatencyMs = 0
    this.minLatencyMs = 0
    this.maxLatencyMs = 0
  }
}

/** Output that one connection may cause in a step, and znodes that it may have walked over. */
const stepOutputBytes = 1024 * 1024
const stepZnodes = 100_000

/** Has the connection had its share of this step? The rest of its requests waits for a later one. */
export function isTired(connection: Connection): boolean {
  return connection.stepBytes > stepOutputBytes || connection.stepZnodes > stepZnodes
}

/** from, to, sequence number of the write it waits for, arrival ms */
const entryFields = 4
const spareBytes = 16 * 1024

/**
 * Requests that wait for an earlier write of their own connection: copies of the frames, in order. Memory only while
 * somebody waits.
 */
export class Backlog {
  #space: Space | undefined = undefined
  #used = 0
  /** Of the first one's parts, those that are answered: a long request is answered over several steps. */
  partsDone = 0
  readonly #entries: number[] = []
  /** Of each entry. */
  readonly #ids: (readonly AuthId[])[] = []
  #head = 0

  get isEmpty(): boolean {
    return this.#head === this.#entries.length
  }

  get lengthBytes(): number {
    return this.isEmpty ? 0 : this.#used - this.from
  }

  push(
    source: Space,
    from: number,
    to: number,
    on: { readonly newestWrite: number; readonly nowMs: number; readonly ids: readonly AuthId[] },
  ): void {
    const length = to - from
    const space = this.#room(length)
    copyBytes(source, from, to, space, this.#used)
    this.#entries.push(this.#used, this.#used + length, on.newestWrite, on.nowMs)
    this.#ids.push(on.ids)
    this.#used += length
  }

  /** Is the first one waiting for a write up to `write`? */
  isDue(write: number): boolean {
    return this.#head < this.#entries.length && (this.#entries[this.#head + 2] as number) <= write
  }

  /** The first frame; {@link drop} it after use. */
  get space(): Space {
    return this.#space as Space
  }

  get from(): number {
    return this.#entries[this.#head] as number
  }

  get to(): number {
    return this.#entries[this.#head + 1] as number
  }

  get arrivedMs(): number {
    return this.#entries[this.#head + 3] as number
  }

  /** Whose permissions it has, whatever the connection was told to be since. */
  get ids(): readonly AuthId[] {
    return this.#ids[this.#head / entryFields] as readonly AuthId[]
  }

  drop(): void {
    this.#head += entryFields
    this.partsDone = 0
    if (this.#head < this.#entries.length) return
    this.#entries.length = 0
    this.#ids.length = 0
    this.#head = 0
    this.#used = 0
    if (this.#space !== undefined && this.#space.bytes.length > spareBytes) this.#space = undefined
  }

  /** Nobody is there any more to be answered. */
  clear(): void {
    this.#entries.length = 0
    this.#ids.length = 0
    this.#head = 0
    this.#used = 0
    this.partsDone = 0
    this.#space = undefined
  }

  /** What is answered goes when the space is full: a client that always waits for some write never has an empty one. */
  #room(length: number): Space {
    const space = this.#space
    if (space !== undefined && this.#used + length <= space.bytes.length) return space
    const kept = this.lengthBytes
    const moved = makeSpace(Math.max(4096, kept + length, 2 * kept))
    if (space !== undefined) moved.bytes.set(space.bytes.subarray(this.#used - kept, this.#used))
    this.#dropAnswered()
    this.#used = kept
    this.#space = moved
    return moved
  }

  #dropAnswered(): void {
    if (this.#head === 0) return
    const { from } = this
    this.#entries.splice(0, this.#head)
    this.#ids.splice(0, this.#head / entryFields)
    this.#head = 0
    for (let i = 0; i < this.#entries.length; i += entryFields) {
      this.#entries[i] = (this.#entries[i] as number) - from
      this.#entries[i + 1] = (this.#entries[i + 1] as number) - from
    }
  }
}
