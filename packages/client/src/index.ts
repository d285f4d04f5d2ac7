/**
 * A ZooKeeper client: typed calls with promises, sessions that outlive connections, watches that outlive
 * both.
 */
export {
  type Acl,
  type ClientInfo,
  creatorAllAcl,
  ErrorCode,
  EventType,
  errorName,
  type OpResult,
  openAcl,
  Perm,
  type ReplyBody,
  type Request,
  readAcl,
  type SessionId,
  type Stat,
  type Zxid,
} from '@corral/protocol'
export * from './call-options.ts'
export * from './call-results.ts'
export { Client, connect } from './client.ts'
export type {
  AuthInfo,
  ClientOptions,
  ObservedEvent,
  ObservedReply,
  OpenOptions,
  StateChange,
} from './client-options.ts'
export * from './connect-string.ts'
export type { CreateMode } from './create-mode.ts'
export * from './errors.ts'
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
export { type ReadOp, Transaction, type TransactionOp } from './transaction.ts'
export {
  PersistentWatch,
  Watch,
  type WatchEvent,
  type WatchEventType,
  type WatchHandler,
  type WatchListener,
} from './watch.ts'
