/**
 * A ZooKeeper client: typed calls with promises, sessions that outlive connections, watches that outlive
 * both.
 */
export {
  type Acl,
  type ClientInfo,
  creatorAllAcl,
  ErrorCode,
  errorName,
  type OpResult,
  openAcl,
  Perm,
  readAcl,
  type SessionId,
  type Stat,
  type Zxid,
} from '@corral/protocol'
export * from './client.ts'
export * from './connect-string.ts'
export type { CreateMode } from './create-mode.ts'
export * from './errors.ts'
export type {
  AuthInfo,
  CallOptions,
  ClientOptions,
  ConnectOptions,
  ObservedEvent,
  ObservedReply,
  Reply,
  StateChange,
} from './session.ts'
export type {
  CallId,
  ConnectionId,
  Outcome,
  Random,
  SessionConfig,
  SessionEffect,
  SessionEvent,
  SessionState,
  WatcherId,
  WatchKind,
} from './session-events.ts'
export { SessionMachine } from './session-machine.ts'
export {
  type Connection,
  type DriverEffect,
  nodeTimers,
  SocketDriver,
  type Timers,
  type Transport,
  type TransportEvents,
  tcpTransport,
  unseededRandom,
} from './socket-driver.ts'
export * from './transaction.ts'
export {
  PersistentWatch,
  Watch,
  type WatchEvent,
  type WatchEventType,
  type WatchHandler,
  type WatchListener,
} from './watch.ts'
