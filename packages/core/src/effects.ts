import type { Space } from '@corral/protocol'
import type { DiskCall, OpId } from './disk.ts'
import type { ConnId } from './events.ts'

/** Output memory from the driver's pool. */
export type Chunk = Space

export interface Chunks {
  /** @returns a chunk of at least that size, owned by the caller until it leaves in a `send` effect */
  take(atLeastBytes: number): Chunk
}

export type Level = 'debug' | 'info' | 'warn' | 'error'
export type Fields = Readonly<Record<string, string | number | bigint>>

/** Everything a server can ask for; carried out in order. */
export type Effect =
  /** The chunk is given away: the driver returns it to the pool when the kernel took it all. */
  | { readonly kind: 'send'; readonly conn: ConnId; readonly chunk: Chunk; readonly lengthBytes: number }
  | { readonly kind: 'setReading'; readonly conn: ConnId; readonly to: 'on' | 'off' }
  /** flush: after everything sent before it. abort: at once. No `closed` event follows either. */
  | { readonly kind: 'close'; readonly conn: ConnId; readonly how: 'flush' | 'abort' }
  /** Send me `turnEnded`; at most once a turn. */
  | { readonly kind: 'askTurn' }
  | { readonly kind: 'disk'; readonly op: OpId; readonly do: DiskCall }
  /** A four-letter word (its four bytes as a number, as on the wire): the driver renders the answer and closes the connection. `argument` are the bytes that came after it. */
  | { readonly kind: 'command'; readonly conn: ConnId; readonly word: number; readonly argument: Uint8Array }
  | { readonly kind: 'say'; readonly level: Level; readonly what: string; readonly fields: Fields }
  /** Recovery is done: client requests are served from now on. */
  | { readonly kind: 'serving' }
  /** An ordered stop is done: everything accepted is durable, all connections are closed. */
  | { readonly kind: 'stopped' }
  /** The server is at its end: nothing more may be sent or written. */
  | { readonly kind: 'fatal'; readonly exitCode: number; readonly reason: string }
