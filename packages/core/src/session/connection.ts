/** What the server knows of one client connection. Plain state: the machines beside it decide. */
import { FrameTail } from '@corral/protocol'
import type { Chunk } from '../effects.ts'
import type { ConnId, Now, Peer } from '../events.ts'
import type { AuthId } from './auth-ids.ts'
import { Backlog } from './backlog.ts'
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

  /** Sequence number of the newest write that it waits for, mostly its own. */
  newestWrite = 0
  /** Of those, the one that is applied and answered. */
  answeredWrite = 0
  /** How many of its own are not answered yet. */
  unfinishedWrites = 0
  /** Requests accepted and not answered. */
  outstanding = 0
  /** Bytes of the large ones in its backlog. */
  heldLargeBytes = 0
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

  constructor(given: {
    readonly id: ConnId
    readonly slot: number
    readonly peer: Peer
    readonly now: Now
  }) {
    this.id = given.id
    this.slot = given.slot
    this.peer = given.peer
    this.openedMonotonicMs = given.now.monotonicMs
    this.openedWallMs = given.now.wallMs
    this.ids = [{ scheme: 'ip', id: given.peer.address }]
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
