/** Every captured frame decodes to the fields listed with it, and they encode to the same bytes. */
import { expect, test } from 'vitest'
import {
  DecodeError,
  Reader,
  RequestView,
  readConnectRequest,
  readConnectResponse,
  readReplyFrame,
  readReplyHeader,
  readRequestFrame,
  readWatcherEvent,
  replyHeaderBytes,
  Writer,
  writeConnectRequest,
  writeConnectResponse,
  writeReplyFrame,
  writeReplyHeader,
  writeRequestFrame,
  writeWatcherEvent,
} from '../src/index.ts'
import {
  describeConnectRequest,
  describeConnectResponse,
  describeEvent,
  describeReply,
  describeRequest,
} from './describe-frames.ts'
import { bytesOf, clientVectors, hexOfBytes } from './golden.ts'
import { viewRequest } from './view-as-request.ts'

interface Decoded {
  readonly fields: string
  readonly again: Uint8Array
}

for (const { id, title, frames } of clientVectors()) {
  test(`${id} ${title}`, () => {
    const opByXid = new Map<number, number>()
    for (const frame of frames) {
      const bytes = bytesOf(frame.hex)
      const decoded = decode(frame.from, frame.fields, bytes, opByXid)
      expect(decoded.fields).toMatch(asPattern(frame.fields))
      expect(hexOfBytes(decoded.again)).toBe(hexOfBytes(bytes))
    }
  })
}

/** The text shortens one nonce. */
function asPattern(fields: string): RegExp {
  const parts = fields.split('…').map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.+')}$`, 's')
}

function decode(
  from: 'client' | 'server',
  listed: string,
  bytes: Uint8Array,
  opByXid: Map<number, number>,
): Decoded {
  if (listed.includes('protocolVersion')) return from === 'client' ? connectRequest(bytes) : connected(bytes)
  return from === 'client' ? request(bytes, opByXid) : reply(bytes, opByXid)
}

function connectRequest(bytes: Uint8Array): Decoded {
  const r = new Reader(bytes)
  const length = r.int32()
  const record = readConnectRequest(r)
  expect(r.remaining).toBe(0)
  return {
    fields: describeConnectRequest(length, record),
    again: framed(w => writeConnectRequest(w, record)),
  }
}

function connected(bytes: Uint8Array): Decoded {
  const r = new Reader(bytes)
  const length = r.int32()
  const record = readConnectResponse(r)
  expect(r.remaining).toBe(0)
  return {
    fields: describeConnectResponse(length, record),
    again: framed(w => writeConnectResponse(w, record)),
  }
}

function request(bytes: Uint8Array, opByXid: Map<number, number>): Decoded {
  const length = bytes.length - 4
  const header = requestHeader(bytes)
  opByXid.set(header.xid, header.op)
  if (header.op === 99) return headerOnly(bytes, 'type 99')
  if (header.xid === 28) return headerOnly(bytes, 'type 1 | truncated CreateRequest')
  const { xid, op, request: record } = readRequestFrame(bytes, 4)
  expect(viewRequest(bytes, 4, bytes.length)).toEqual({ xid, op, request: record })
  const w = new Writer()
  writeRequestFrame(w, xid, record)
  return { fields: describeRequest(length, xid, op, record), again: w.written() }
}

function requestHeader(bytes: Uint8Array): { readonly xid: number; readonly op: number } {
  const r = new Reader(bytes, 4)
  return { xid: r.int32(), op: r.int32() }
}

/** The two requests that are wrong on purpose: only their headers can be read. */
function headerOnly(bytes: Uint8Array, rest: string): Decoded {
  const { xid, op } = requestHeader(bytes)
  expect(() => readRequestFrame(bytes, 4)).toThrow(DecodeError)
  const view = new RequestView()
  const isWhole = view.readFrame(bytes, new DataView(bytes.buffer), 4, bytes.length)
  expect({ xid: view.xid, op: view.op, isWhole }).toEqual({ xid, op, isWhole: op === 99 })
  return { fields: `len ${bytes.length - 4} | xid ${xid} | ${rest}`, again: bytes }
}

function reply(bytes: Uint8Array, opByXid: ReadonlyMap<number, number>): Decoded {
  const length = bytes.length - 4
  const r = new Reader(bytes, 4)
  const header = readReplyHeader(r)
  if (header.xid === -1) {
    const event = readWatcherEvent(r)
    const again = framed(w => {
      writeReplyHeader(w, header)
      writeWatcherEvent(w, event)
    })
    return { fields: describeEvent(length, header, event), again }
  }
  const { body } = readReplyFrame(opByXid.get(header.xid) ?? 0, bytes, 4)
  const w = new Writer()
  writeReplyFrame(w, header, body)
  return { fields: describeReply(length, header, body), again: w.written() }
}

function framed(write: (w: Writer) => void): Uint8Array {
  const w = new Writer()
  const start = w.beginFrame()
  write(w)
  w.endFrame(start)
  return w.written()
}

test('a body after an error, as a failed SASL step has it, is not read', () => {
  const bytes = bytesOf('00000014 00000002 0000000000000000 ffffff8d ffffffff')

  const { header, body } = readReplyFrame(102, bytes, 4)

  expect({ header, body }).toEqual({ header: { xid: 2, zxid: 0n, err: -115 }, body: { kind: 'none' } })
  expect(bytes.length).toBeGreaterThan(4 + replyHeaderBytes)
})
