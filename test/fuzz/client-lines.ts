/** Clients of a watched server, and what they send: whole requests, or bytes that no client would make. */
import {
  EventType,
  type MultiOp,
  OpCode,
  openAcl,
  Reader,
  type Request,
  Writer,
  writeRequestFrame,
} from '@corral/protocol'
import type { Line, WatchedServer } from './watched-server.ts'

export function client(watched: WatchedServer, conn = 1, address = '127.0.0.1'): Line {
  const line = watched.open(conn, address)
  watched.connect(line, { timeoutMs: 60_000 })
  return line
}

export function creating(path: string, how: Partial<Extract<Request, { kind: 'create' }>> = {}): MultiOp {
  return { kind: 'create', op: OpCode.Create, path, data: null, acl: openAcl, flags: 0, ...how }
}

export function frames(...requests: readonly (readonly [number, Request])[]): Uint8Array {
  const w = new Writer()
  for (const [xid, request] of requests) writeRequestFrame(w, xid, request)
  return w.written()
}

/** A frame with any opcode and body. */
export function rawFrame(xid: number, op: number, body: (w: Writer) => void = () => undefined): Uint8Array {
  const w = new Writer()
  const start = w.beginFrame()
  w.int32(xid)
  w.int32(op)
  body(w)
  w.endFrame(start)
  return w.written()
}

export function lengthWord(length: number, following = 0): Uint8Array {
  const bytes = new Uint8Array(4 + following)
  new DataView(bytes.buffer).setInt32(0, length)
  return bytes
}

/** The events that a connection was told, as `type path`. */
export function eventsOf(line: Line): string[] {
  return line.frames
    .slice(1)
    .map(frame => new Reader(frame))
    .filter(r => r.int32() === -1)
    .map(r => {
      r.skip(12)
      const type = r.int32()
      r.skip(4)
      const name = Object.entries(EventType).find(([, number]) => number === type)?.[0]
      return `${name} ${r.text()}`
    })
}
