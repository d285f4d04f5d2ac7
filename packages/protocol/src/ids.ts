/**
 * What identifies or orders: branded 64-bit numbers, and their arithmetic. On hot paths the same values travel
 * as two 32-bit words; `fromWords`, `highWord` and `lowWord` are the only bridge between the two forms.
 */

declare const zxidBrand: unique symbol
declare const sessionIdBrand: unique symbol
declare const serverIdBrand: unique symbol
declare const epochBrand: unique symbol

/** A txn's place in the one total order. Bits: epoch (32) | counter (32). Signed on the wire. */
export type Zxid = bigint & { readonly [zxidBrand]: true }
/** A client's lease. Signed 64 bits on the wire; 0 means "none". The highest byte is the server that made it. */
export type SessionId = bigint & { readonly [sessionIdBrand]: true }
/** A member's number (`myid`). */
export type ServerId = bigint & { readonly [serverIdBrand]: true }
/** The high half of a zxid, 0 … 2^32 - 1. */
export type Epoch = number & { readonly [epochBrand]: true }

export const noZxid: Zxid = 0n as Zxid
export const noSession: SessionId = 0n as SessionId

/** @param value - taken modulo 2^64 into the signed range */
export function zxid(value: bigint): Zxid {
  return BigInt.asIntN(64, value) as Zxid
}

/** @param value - taken modulo 2^64 into the signed range */
export function sessionId(value: bigint): SessionId {
  return BigInt.asIntN(64, value) as SessionId
}

export function serverId(value: bigint): ServerId {
  return value as ServerId
}

export function makeZxid(epoch: Epoch, counter: number): Zxid {
  return zxid((BigInt(epoch) << 32n) | BigInt(counter >>> 0))
}

export function epochOf(id: Zxid): Epoch {
  return Number(BigInt.asUintN(32, id >> 32n)) as Epoch
}

export function counterOf(id: Zxid): number {
  return Number(BigInt.asUintN(32, id))
}

/** Two 32-bit words (either signedness) as one signed 64-bit bigint. */
export function fromWords(high: number, low: number): bigint {
  return (BigInt(high | 0) << 32n) | BigInt(low >>> 0)
}

/** The upper 32 bits, as a signed number. */
export function highWord(value: bigint): number {
  return Number(BigInt.asIntN(32, value >> 32n))
}

/** The lower 32 bits, as a signed number. */
export function lowWord(value: bigint): number {
  return Number(BigInt.asIntN(32, value))
}

/** As in ZooKeeper's file names: lower-case hex of the unsigned value, no leading zeros. */
export function hexOf(value: bigint): string {
  return BigInt.asUintN(64, value).toString(16)
}

/** As messages and four-letter words show an id: `0x` before its {@link hexOf}. */
export function hexText(value: bigint): string {
  return `0x${hexOf(value)}`
}

/**
 * The 16-byte password of a session. Not a secret but a function of the id (java.util.Random seeded with
 * `id XOR 0xB3415C00`), the same on every server of every ensemble: it is what lets a client move.
 *
 * Source: ZooKeeperServer.generatePasswd in the Java server.
 */
export function sessionPassword(id: SessionId): Uint8Array {
  const multiplier = 0x5deece66dn
  const password = new Uint8Array(16)
  let state = BigInt.asUintN(48, id ^ 0xb3415c00n ^ multiplier)
  for (let i = 0; i < 16; i += 4) {
    state = BigInt.asUintN(48, state * multiplier + 0xbn)
    const word = Number(state >> 16n)
    for (let b = 0; b < 4; b++) password[i + b] = (word >>> (8 * b)) & 0xff
  }
  return password
}

/**
 * The first session id of a server that starts at `wallMs`: server id (8 bits) | low 40 bits of the time | 0 (16).
 *
 * Source: SessionTrackerImpl.initializeNextSessionId in the Java server.
 */
export function firstSessionId(server: ServerId, wallMs: number): SessionId {
  const time = BigInt.asUintN(64, BigInt(Math.trunc(wallMs)) << 24n) >> 8n
  const id = BigInt.asIntN(64, time | (server << 56n))
  return (id === -0x8000000000000000n ? id + 1n : id) as SessionId // that value marks container znodes
}
