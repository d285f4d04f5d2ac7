/** The closed sets of numbers of the client protocol, exactly as on the wire. */

export const OpCode = {
  Notification: 0,
  Create: 1,
  Delete: 2,
  Exists: 3,
  GetData: 4,
  SetData: 5,
  GetAcl: 6,
  SetAcl: 7,
  GetChildren: 8,
  Sync: 9,
  Ping: 11,
  GetChildren2: 12,
  Check: 13,
  Multi: 14,
  Create2: 15,
  Reconfig: 16,
  CheckWatches: 17,
  RemoveWatches: 18,
  CreateContainer: 19,
  DeleteContainer: 20,
  CreateTtl: 21,
  MultiRead: 22,
  Auth: 100,
  SetWatches: 101,
  Sasl: 102,
  GetEphemerals: 103,
  GetAllChildrenNumber: 104,
  SetWatches2: 105,
  AddWatch: 106,
  WhoAmI: 107,
  CreateSession: -10,
  CloseSession: -11,
  Error: -1,
} as const
export type OpCode = (typeof OpCode)[keyof typeof OpCode]

export const ErrorCode = {
  Ok: 0,
  SystemError: -1,
  RuntimeInconsistency: -2,
  DataInconsistency: -3,
  ConnectionLoss: -4,
  MarshallingError: -5,
  Unimplemented: -6,
  OperationTimeout: -7,
  BadArguments: -8,
  InvalidState: -9,
  UnknownSession: -12,
  NewConfigNoQuorum: -13,
  ReconfigInProgress: -14,
  ApiError: -100,
  NoNode: -101,
  NoAuth: -102,
  BadVersion: -103,
  NoChildrenForEphemerals: -108,
  NodeExists: -110,
  NotEmpty: -111,
  SessionExpired: -112,
  InvalidCallback: -113,
  InvalidAcl: -114,
  AuthFailed: -115,
  SessionMoved: -118,
  NotReadOnly: -119,
  EphemeralOnLocalSession: -120,
  NoWatcher: -121,
  RequestTimeout: -122,
  ReconfigDisabled: -123,
  SessionClosedRequireSaslAuth: -124,
  QuotaExceeded: -125,
  ThrottledOp: -127,
} as const
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode]

export const EventType = {
  None: -1,
  NodeCreated: 1,
  NodeDeleted: 2,
  NodeDataChanged: 3,
  NodeChildrenChanged: 4,
  DataWatchRemoved: 5,
  ChildWatchRemoved: 6,
  PersistentWatchRemoved: 7,
} as const
export type EventType = (typeof EventType)[keyof typeof EventType]

export const KeeperState = {
  Disconnected: 0,
  SyncConnected: 3,
  AuthFailed: 4,
  ConnectedReadOnly: 5,
  SaslAuthenticated: 6,
  Closed: 7,
  Expired: -112,
} as const
export type KeeperState = (typeof KeeperState)[keyof typeof KeeperState]

/** The `flags` of the create family. */
export const CreateFlags = {
  Persistent: 0,
  Ephemeral: 1,
  PersistentSequential: 2,
  EphemeralSequential: 3,
  Container: 4,
  PersistentWithTtl: 5,
  PersistentSequentialWithTtl: 6,
} as const
export type CreateFlags = (typeof CreateFlags)[keyof typeof CreateFlags]

export const Perm = { Read: 1, Write: 2, Create: 4, Delete: 8, Admin: 16, All: 31 } as const
export type Perm = (typeof Perm)[keyof typeof Perm]

export const AddWatchMode = { Persistent: 0, PersistentRecursive: 1 } as const
export type AddWatchMode = (typeof AddWatchMode)[keyof typeof AddWatchMode]

/** What checkWatches and removeWatches select. */
export const WatcherType = { Children: 1, Data: 2, Any: 3, Persistent: 4, PersistentRecursive: 5 } as const
export type WatcherType = (typeof WatcherType)[keyof typeof WatcherType]

/** xids with a meaning of their own. */
export const Xid = { Notification: -1, Ping: -2, Auth: -4, SetWatches: -8 } as const
export type Xid = (typeof Xid)[keyof typeof Xid]

/** Expected versions: any version will do. */
export const anyVersion = -1

const errorNames: ReadonlyMap<number, string> = new Map(
  Object.entries(ErrorCode).map(([name, code]): [number, string] => [code, name]),
)

/** The name of an error number in {@link ErrorCode}, or the number itself. */
export function errorName(code: number): string {
  return errorNames.get(code) ?? `error ${code}`
}
