/** The handshake: the first frame in each direction, without a header. Source: zookeeper.jute, ProtocolManager. */
import type { SessionId, Zxid } from '../ids.ts'
import type { Reader } from '../jute/reader.ts'
import type { Writer } from '../jute/writer.ts'

/** `readOnly` undefined: the byte is absent, as clients before 3.4 send it, and must be absent in the answer. */
export interface ConnectRequest {
  readonly protocolVersion: number
  readonly lastZxidSeen: Zxid
  readonly timeoutMs: number
  readonly sessionId: SessionId
  readonly password: Uint8Array | null
  readonly readOnly: boolean | undefined
}

/** `timeoutMs` 0 says that the session is not valid. */
export interface ConnectResponse {
  readonly protocolVersion: number
  readonly timeoutMs: number
  readonly sessionId: SessionId
  readonly password: Uint8Array | null
  readonly readOnly: boolean | undefined
}

export const passwordBytes = 16

export function readConnectRequest(r: Reader): ConnectRequest {
  return {
    protocolVersion: r.int32(),
    lastZxidSeen: r.zxid(),
    timeoutMs: r.int32(),
    sessionId: r.sessionId(),
    password: r.buffer(),
    readOnly: r.remaining > 0 ? r.bool() : undefined,
  }
}

export function writeConnectRequest(w: Writer, request: ConnectRequest): void {
  w.int32(request.protocolVersion)
  w.int64(request.lastZxidSeen)
  w.int32(request.timeoutMs)
  w.int64(request.sessionId)
  w.buffer(request.password)
  if (request.readOnly !== undefined) w.bool(request.readOnly)
}

export function readConnectResponse(r: Reader): ConnectResponse {
  return {
    protocolVersion: r.int32(),
    timeoutMs: r.int32(),
    sessionId: r.sessionId(),
    password: r.buffer(),
    readOnly: r.remaining > 0 ? r.bool() : undefined,
  }
}

export function writeConnectResponse(w: Writer, response: ConnectResponse): void {
  w.int32(response.protocolVersion)
  w.int32(response.timeoutMs)
  w.int64(response.sessionId)
  w.buffer(response.password)
  if (response.readOnly !== undefined) w.bool(response.readOnly)
}
