/**
 * What every opcode needs before it is served. An opcode without a row does not compile; a number that is no opcode
 * is refused. Source: PrepRequestProcessor and FinalRequestProcessor in the Java server.
 */
import { OpCode, Perm } from '@corral/protocol'

export interface Access {
  /**
   * write: prepared into a txn. read: answered from the tree in the session's order. connection: about the
   * connection itself (auth, sasl). multiOnly: refused outside a multi. internal: never accepted from a client.
   */
  readonly kind: 'write' | 'read' | 'connection' | 'multiOnly' | 'internal'
  /** The permission that the ids of the connection must have, and on which znode; 0 is none. */
  readonly perm: number
  readonly on: 'znode' | 'parent' | 'each op' | 'nothing'
}

const none = { perm: 0, on: 'nothing' } as const

const rows: Readonly<Record<keyof typeof OpCode, Access>> = {
  Create: { kind: 'write', perm: Perm.Create, on: 'parent' },
  Create2: { kind: 'write', perm: Perm.Create, on: 'parent' },
  CreateContainer: { kind: 'write', perm: Perm.Create, on: 'parent' },
  CreateTtl: { kind: 'write', perm: Perm.Create, on: 'parent' },
  Delete: { kind: 'write', perm: Perm.Delete, on: 'parent' },
  SetData: { kind: 'write', perm: Perm.Write, on: 'znode' },
  SetAcl: { kind: 'write', perm: Perm.Admin, on: 'znode' },
  Check: { kind: 'multiOnly', perm: Perm.Read, on: 'znode' },
  Multi: { kind: 'write', perm: 0, on: 'each op' },
  Reconfig: { kind: 'write', perm: Perm.Write, on: 'znode' },
  CloseSession: { kind: 'write', ...none },
  Exists: { kind: 'read', perm: Perm.Read, on: 'znode' },
  GetData: { kind: 'read', perm: Perm.Read, on: 'znode' },
  GetChildren: { kind: 'read', perm: Perm.Read, on: 'znode' },
  GetChildren2: { kind: 'read', perm: Perm.Read, on: 'znode' },
  GetAllChildrenNumber: { kind: 'read', perm: Perm.Read, on: 'znode' },
  GetAcl: { kind: 'read', perm: Perm.Read | Perm.Admin, on: 'znode' },
  MultiRead: { kind: 'read', perm: 0, on: 'each op' },
  Sync: { kind: 'read', ...none },
  Ping: { kind: 'read', ...none },
  GetEphemerals: { kind: 'read', ...none },
  WhoAmI: { kind: 'read', ...none },
  // Watches are set without a check; READ is checked when an event is delivered.
  SetWatches: { kind: 'read', ...none },
  SetWatches2: { kind: 'read', ...none },
  AddWatch: { kind: 'read', ...none },
  CheckWatches: { kind: 'read', ...none },
  RemoveWatches: { kind: 'read', ...none },
  Auth: { kind: 'connection', ...none },
  Sasl: { kind: 'connection', ...none },
  DeleteContainer: { kind: 'internal', ...none },
  CreateSession: { kind: 'internal', ...none },
  Notification: { kind: 'internal', ...none },
  Error: { kind: 'internal', ...none },
}

/** Indexed by opcode + 11: -11 … 107. */
const byNumber: readonly (Access | undefined)[] = (() => {
  const table: (Access | undefined)[] = new Array(120).fill(undefined)
  for (const [name, op] of Object.entries(OpCode)) table[op + 11] = rows[name as keyof typeof OpCode]
  return table
})()

/** @returns the row of an opcode as it came from the wire, or undefined for a number that is none */
export function accessOf(op: number): Access | undefined {
  return byNumber[op + 11]
}

/** @returns the permission mask an opcode needs; `op` must have a row */
export function permOf(op: OpCode): number {
  return byNumber[op + 11]?.perm ?? 0
}
