/** What a command answers, before it becomes text or JSON (`render/`). */
import type { Acl, ClientInfo, Stat } from '@corral/client'
import type { Membership } from './config-text.ts'
import type { QuotaValues } from './quota-text.ts'
import type { TreeEntry } from './subtree.ts'

export type DataFormat = 'text' | 'base64' | 'hex'

export type Result =
  | { readonly kind: 'nothing' }
  /** The session is over; only `connect` helps. */
  | { readonly kind: 'notConnected' }
  | { readonly kind: 'created'; readonly path: string }
  | {
      readonly kind: 'children'
      readonly path: string
      readonly children: readonly string[]
      readonly stat?: Stat
    }
  /** Printed as they come. */
  | { readonly kind: 'paths'; readonly paths: AsyncIterable<string> }
  | { readonly kind: 'tree'; readonly entries: AsyncIterable<TreeEntry> }
  | {
      readonly kind: 'data'
      readonly path: string
      readonly data: Uint8Array | null
      readonly format: DataFormat
      readonly stat?: Stat
      /** What the text says before the data. */
      readonly heading?: string
    }
  | { readonly kind: 'membership'; readonly membership: Membership; readonly stat?: Stat }
  | { readonly kind: 'stat'; readonly path: string; readonly stat: Stat }
  | { readonly kind: 'acl'; readonly path: string; readonly acl: readonly Acl[]; readonly stat?: Stat }
  | { readonly kind: 'number'; readonly path: string; readonly number: number }
  | { readonly kind: 'ephemerals'; readonly paths: readonly string[] }
  | { readonly kind: 'identities'; readonly identities: readonly ClientInfo[] }
  /** `rc` is an ErrorCode. */
  | { readonly kind: 'synced'; readonly path: string; readonly rc: number }
  | {
      readonly kind: 'quota'
      readonly path: string
      readonly limits: QuotaValues
      readonly usage: QuotaValues
    }
  /** There is no quota to delete. */
  | { readonly kind: 'quotaAbsent'; readonly path: string }
  | { readonly kind: 'warnings'; readonly warnings: readonly string[] }
  | { readonly kind: 'version'; readonly version: string }
  | { readonly kind: 'history'; readonly entries: readonly (readonly [number, string])[] }
  | { readonly kind: 'printWatches'; readonly isOn: boolean }
  | { readonly kind: 'help'; readonly lines: readonly string[] }

export const nothing: Result = { kind: 'nothing' }
