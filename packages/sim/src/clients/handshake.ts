/** The first frame of every client here. */
import { noSession, noZxid, type SessionId, Writer, writeConnectRequest, type Zxid } from '@corral/protocol'

/** Asks for a new session, unless one is given. */
export function connectFrame(asked: {
  readonly timeoutMs: number
  readonly sessionId?: SessionId
  readonly password?: Uint8Array
  readonly lastZxidSeen?: Zxid
}): Uint8Array {
  const w = new Writer()
  const start = w.beginFrame()
  writeConnectRequest(w, {
    protocolVersion: 0,
    lastZxidSeen: asked.lastZxidSeen ?? noZxid,
    timeoutMs: asked.timeoutMs,
    sessionId: asked.sessionId ?? noSession,
    password: asked.password ?? new Uint8Array(16),
    readOnly: false,
  })
  w.endFrame(start)
  return w.written()
}
