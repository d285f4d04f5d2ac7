import type { DiskResult, OpId } from './disk.ts'

/** Read once per turn by the driver. Deadlines use `monotonicMs`; `wallMs` only fills the time fields of txns and ages TTL znodes. */
export interface Now {
  readonly monotonicMs: number
  readonly wallMs: number
}

/** The driver's number for a client connection: never reused within a run. */
export type ConnId = number

export interface Peer {
  /** Textual, as Java prints it: IPv6 uncompressed (`0:0:0:0:0:0:0:1`). */
  readonly address: string
  readonly port: number
}

/** Everything that can happen to a server. */
export type Event =
  | { readonly kind: 'start' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'opened'; readonly conn: ConnId; readonly peer: Peer }
  | { readonly kind: 'closed'; readonly conn: ConnId }
  /** Borrowed: only until step returns. `view` is over the same memory as `bytes`, offset for offset. */
  | {
      readonly kind: 'received'
      readonly conn: ConnId
      readonly bytes: Uint8Array
      readonly view: DataView
      readonly from: number
      readonly to: number
    }
  /** What the socket has not taken yet; told again when it drains (then 0). */
  | { readonly kind: 'unsent'; readonly conn: ConnId; readonly lengthBytes: number }
  /** All readable sockets of this turn were handed in; answers `askTurn`. */
  | { readonly kind: 'turnEnded' }
  /** Every min(tickTime, 100) ms, after the sockets of the turn; `stalledMs` is the loop's lag since the last. */
  | { readonly kind: 'tick'; readonly stalledMs: number }
  | { readonly kind: 'diskDone'; readonly op: OpId; readonly result: DiskResult }
