/**
 * Frames that are cut, cut off, or lie about a length. The decoders may refuse (DecodeError, or false from
 * RequestView) and nothing else, and what they say never depends on a byte outside the frame.
 */
import { describe, expect, test } from 'vitest'
import {
  cutFrames,
  DecodeError,
  decodeTxn,
  FrameTail,
  hexOf,
  OpCode,
  Reader,
  readConnectRequest,
  readConnectResponse,
  readReplyFrame,
  readRequestFrame,
  readWatcherEvent,
} from '../src/index.ts'
import { bytesOf, clientVectors, hexOfBytes, storageVectors } from './golden.ts'
import { viewRequest } from './view-as-request.ts'

type Decoder = (bytes: Uint8Array, from: number, to: number) => unknown

const decoders: Readonly<Record<string, Decoder>> = {
  connectRequest: (bytes, from, to) => readConnectRequest(new Reader(bytes, from, to)),
  connectResponse: (bytes, from, to) => readConnectResponse(new Reader(bytes, from, to)),
  request: readRequestFrameAt,
  view: viewRequest,
  event: (bytes, from, to) => readWatcherEvent(new Reader(bytes, from + 16, to)),
  txn: decodeTxn,
}

function readRequestFrameAt(bytes: Uint8Array, from: number, to: number): unknown {
  return readRequestFrame(bytes, from, to)
}

interface Sample {
  readonly name: string
  readonly frame: Uint8Array
  readonly by: readonly Decoder[]
}

/** Every captured frame and log payload without its length word, and the decoders it is for. */
const samples: readonly Sample[] = [
  ...clientVectors().flatMap(({ id, frames }) => {
    let op: number = OpCode.Ping
    return frames.map(({ from, hex, fields }, i): Sample => {
      const frame = bytesOf(hex).subarray(4)
      const name = `${id}.${i}`
      const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
      if (fields.includes('protocolVersion')) {
        return { name, frame, by: [decoder(from === 'client' ? 'connectRequest' : 'connectResponse')] }
      }
      if (from === 'client') {
        op = view.getInt32(4)
        return { name, frame, by: [decoder('request'), decoder('view')] }
      }
      if (view.getInt32(0) === -1) return { name, frame, by: [decoder('event')] }
      const opNow = op
      return { name, frame, by: [(bytes, at, to) => readReplyFrame(opNow, bytes, at, to)] }
    })
  }),
  ...storageVectors()
    .log.slice(1)
    .map(({ id, fields }): Sample => {
      const record = bytesOf(fields.map(field => field.hex).join(''))
      return { name: id, frame: record.subarray(12, -1), by: [decoder('txn')] }
    }),
]

function decoder(name: keyof typeof decoders & string): Decoder {
  return decoders[name] as Decoder
}

const padding = 64

/** The decoder's verdict as text; all other errors than DecodeError come through. */
function verdict(decode: Decoder, frame: Uint8Array, around: number): string {
  const bytes = new Uint8Array(frame.length + 2 * padding).fill(around)
  bytes.set(frame, padding)
  try {
    const value = decode(bytes, padding, padding + frame.length)
    return JSON.stringify(value, (_key, v) => (typeof v === 'bigint' ? hexOf(v) : v))
  } catch (error) {
    if (error instanceof DecodeError) return 'refused'
    throw error
  }
}

/** @returns the verdict, having checked that it is the same whatever lies around the frame */
function soundVerdict(decode: Decoder, frame: Uint8Array): string {
  const first = verdict(decode, frame, 0x00)
  if (verdict(decode, frame, 0xff) !== first)
    throw new Error('the verdict depends on bytes outside the frame')
  return first
}

test('the samples are all frames that were captured', () => {
  expect(samples.length).toBe(clientVectors().reduce((sum, v) => sum + v.frames.length, 0) + 6)
})

test.each(samples)(
  '$name cut off at every byte is refused or read without a look beyond',
  ({ frame, by }) => {
    let refused = 0
    for (const decode of by) {
      for (let to = 0; to < frame.length; to++) {
        const said = soundVerdict(decode, frame.subarray(0, to))
        if (said === 'refused' || said === 'false') refused++
      }
    }

    expect(refused).toBeGreaterThan(0)
  },
)

test.each(samples)('$name that says one byte too many is cut with the first byte of the next', given => {
  for (const after of [0x00, 0xff]) {
    const stream = new Uint8Array([0, 0, 0, 0, ...given.frame, after])
    new DataView(stream.buffer).setInt32(0, given.frame.length + 1)
    const cut: Uint8Array[] = []

    cutFrames(new FrameTail(), { bytes: stream, from: 0, to: stream.length }, 0xfffff, (space, from, to) => {
      return cut.push(space.bytes.slice(from, to)) > 0
    })

    expect(cut).toEqual([new Uint8Array([...given.frame, after])])
    for (const decode of given.by) expect(soundVerdict(decode, cut[0] as Uint8Array)).not.toBe('')
  }
})

test.each(samples)(
  '$name with any four bytes off by one, negative or huge is refused or read',
  ({ frame, by }) => {
    const mutated = new Uint8Array(frame)
    const view = new DataView(mutated.buffer)
    let verdicts = 0
    for (let at = 0; at + 4 <= frame.length; at++) {
      const right = view.getInt32(at)
      for (const wrong of [right - 1, right + 1, -1, -2, 0x7fffffff, -0x80000000]) {
        view.setInt32(at, wrong)
        for (const decode of by) verdicts += soundVerdict(decode, mutated).length > 0 ? 1 : 0
      }
      view.setInt32(at, right)
    }

    expect(verdicts).toBe(Math.max(0, frame.length - 3) * 6 * by.length)
  },
)

describe('a length or count that the frame cannot hold', () => {
  const claims: readonly [string, number, string][] = [
    ['a path', OpCode.GetData, '7fffffff 2f'],
    ['data', OpCode.SetData, '00000001 2f 7ffffff0 00000000'],
    ['an ACL', OpCode.Create, '00000001 2f ffffffff 7fffffff 00000000'],
    ['a watch list', OpCode.SetWatches, '0000000000000000 7fffffff'],
    ['a SASL token', OpCode.Sasl, '7fffffff'],
    ['an ACL inside a multi', OpCode.Multi, '00000001 00 ffffffff 00000001 2f ffffffff 7fffffff'],
  ]

  test.each(claims)('%s: refused before anything is allocated for it', (_what, op, body) => {
    const frame = bytesOf(`00000001 ${(op >>> 0).toString(16).padStart(8, '0')} ${body}`)
    const before = process.memoryUsage().arrayBuffers

    for (let i = 0; i < 100; i++) {
      expect(() => readRequestFrame(frame)).toThrow(DecodeError)
      expect(
        op === OpCode.SetWatches || op === OpCode.Sasl || viewRequest(frame, 0, frame.length) === false,
      ).toBe(true)
    }

    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024)
  })
})

describe('a stream of frames', () => {
  const stream = bytesOf(
    clientVectors()
      .flatMap(v => v.frames.map(f => f.hex))
      .join(''),
  )
  const whole = framesOf([stream])

  test('in one piece', () => {
    expect(whole.length).toBe(samples.length - 6)
    expect(whole).toEqual(samples.slice(0, -6).map(s => hexOfBytes(s.frame)))
  })

  test('split in two at every byte', () => {
    for (let at = 0; at <= stream.length; at++) {
      const parts = framesOf([stream.subarray(0, at), stream.subarray(at)])
      if (parts.join() !== whole.join()) throw new Error(`split at ${at}`)
    }
    expect(stream.length).toBeGreaterThan(5000)
  })

  test('byte by byte', () => {
    expect(framesOf(Array.from(stream, byte => Uint8Array.of(byte)))).toEqual(whole)
  })

  function framesOf(pieces: readonly Uint8Array[]): string[] {
    const tail = new FrameTail()
    const frames: string[] = []
    for (const bytes of pieces) {
      const isGood = cutFrames(tail, { bytes, from: 0, to: bytes.length }, 0xfffff, (space, from, to) => {
        frames.push(hexOfBytes(space.bytes.subarray(from, to)))
        return true
      })
      expect(isGood).toBe(true)
    }
    expect(tail.lengthBytes).toBe(0)
    return frames
  }
})
