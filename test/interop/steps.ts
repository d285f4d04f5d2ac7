/**
 * What two servers are made to do in step. A step names connections by slot, sessions by number and values that only a
 * run can know by placeholders, so that any subset of a sequence is a sequence again: that is what makes failing ones
 * shrinkable.
 */
import type { Request } from '@corral/protocol'

export const slotCount = 6

/** An expected version: the one last seen in a Stat of that path. */
export const seenVersion = -77

/** A path that begins with it stands for a sequential node made during the run, by number: `@3`, `@3/x`. */
export const madePrefix = '@'

export type Mutation =
  | { readonly kind: 'cut'; readonly keep: number }
  | { readonly kind: 'append'; readonly byteCount: number }
  | { readonly kind: 'nullPath' }
  | { readonly kind: 'firstLength'; readonly value: number }
  | { readonly kind: 'flip'; readonly at: number; readonly value: number }
  /** Something else altogether. */
  | { readonly kind: 'body'; readonly hex: string }

export interface Sent {
  readonly request: Request
  /** Instead of the next one in order. */
  readonly xid?: number
  /** Instead of the request's own. */
  readonly op?: number
  readonly mutation?: Mutation
}

export type ConnectHow = 'new' | 'resume' | 'steal' | 'wrongPassword' | 'unknown' | 'zxidAhead'

export type Step =
  /** Several are pipelined: written at once. */
  | { readonly do: 'send'; readonly slot: number; readonly sent: readonly Sent[] }
  | {
      readonly do: 'connect'
      readonly slot: number
      readonly how: ConnectHow
      /** Which of the sessions seen so far, modulo their count. */
      readonly session: number
      readonly timeoutMs: number
      readonly hasReadOnly: boolean
      readonly password: 'zeros' | 'null' | 'short'
    }
  | { readonly do: 'drop'; readonly slot: number }
  /** A frame too short for a header, or of an impossible length: the server closes. */
  | { readonly do: 'badFrame'; readonly slot: number; readonly hex: string }
  /** Holds on one connection what 3.8.0 keeps in one entry and later versions apart; cleans up after itself. */
  | { readonly do: 'mixWatchModes'; readonly slot: number; readonly path: string; readonly type: number }

/** A new session on this slot, that lives longer than any run. */
export function newSession(slot: number): Step & { do: 'connect' } {
  return {
    do: 'connect',
    slot,
    how: 'new',
    session: 0,
    timeoutMs: 600_000,
    hasReadOnly: true,
    password: 'zeros',
  }
}
