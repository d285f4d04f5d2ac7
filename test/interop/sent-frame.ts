/** Requests as frames, whole or damaged. */
import { encodeUtf8, type Writer, writeRequestFrame } from '@corral/protocol'
import type { Mutation, Sent } from './steps.ts'

/** Writes one frame, as it is asked for or damaged. */
export function writeSent(writer: Writer, sent: Sent, xid: number): void {
  const start = writer.at
  writeRequestFrame(writer, xid, sent.request)
  if (sent.op !== undefined) writer.view.setInt32(start + 8, sent.op)
  if (sent.mutation === undefined) return
  const header = writer.bytes.slice(start + 4, start + 12)
  const body = mutate(writer.bytes.slice(start + 12, writer.at), sent.mutation)
  writer.at = start
  const frame = writer.beginFrame()
  for (const part of [header, body]) {
    writer.ensure(part.length)
    writer.bytes.set(part, writer.at)
    writer.at += part.length
  }
  writer.endFrame(frame)
}

function mutate(body: Uint8Array, mutation: Mutation): Uint8Array {
  switch (mutation.kind) {
    case 'cut':
      return body.slice(0, Math.floor(body.length * mutation.keep))
    case 'append':
      return Buffer.concat([body, encodeUtf8('?'.repeat(mutation.byteCount))])
    case 'nullPath':
      return Buffer.concat([Buffer.from('ffffffff', 'hex'), body.slice(4 + Buffer.from(body).readInt32BE(0))])
    case 'firstLength': {
      const changed = Buffer.from(body)
      changed.writeInt32BE(mutation.value, 0)
      return changed
    }
    case 'flip': {
      const changed = Uint8Array.from(body)
      const at = Math.min(body.length - 1, Math.floor(body.length * mutation.at))
      if (at >= 0) changed[at] = (changed[at] as number) ^ mutation.value
      return changed
    }
    case 'body':
      return Buffer.from(mutation.hex, 'hex')
  }
}
