/** Watch and session events as zkCli prints them. Source: WatchedEvent.toString in the Java client, 3.9. */
import type { SessionState, WatchEvent } from '@corral/client'

export interface ShellEvent {
  /** Java's name of the session state. */
  readonly state: string
  readonly type: string
  readonly path: string | null
  /** -1 where there is none. */
  readonly zxid: bigint
}

/** What Java's shell calls the state of a client, in its prompt. */
export const stateNames: Readonly<Record<SessionState, string>> = {
  connecting: 'CONNECTING',
  connected: 'CONNECTED',
  connectedReadOnly: 'CONNECTEDREADONLY',
  disconnected: 'CONNECTING',
  expired: 'CLOSED',
  authFailed: 'AUTH_FAILED',
  closed: 'CLOSED',
}

const eventStates: Readonly<Record<SessionState, string | undefined>> = {
  connecting: undefined,
  connected: 'SyncConnected',
  connectedReadOnly: 'ConnectedReadOnly',
  disconnected: 'Disconnected',
  expired: 'Expired',
  authFailed: 'AuthFailed',
  closed: 'Closed',
}

export function stateEvent(state: SessionState): ShellEvent | undefined {
  const name = eventStates[state]
  return name === undefined ? undefined : { state: name, type: 'None', path: null, zxid: -1n }
}

export function changeEvent(event: WatchEvent): ShellEvent {
  return { state: 'SyncConnected', type: event.type, path: event.path, zxid: event.zxid ?? -1n }
}

export function eventText({ state, type, path, zxid }: ShellEvent): string {
  return `\nWATCHER::\n\nWatchedEvent state:${state} type:${type} path:${path} zxid: ${zxid}`
}
