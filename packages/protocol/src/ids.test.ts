import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesOf, clientVectors, hexOfBytes } from '../test/golden.ts'
import {
  counterOf,
  type Epoch,
  epochOf,
  firstSessionId,
  fromWords,
  hexOf,
  hexText,
  highWord,
  lowWord,
  makeZxid,
  serverId,
  sessionId,
  sessionPassword,
  zxid,
} from './ids.ts'
import { Reader } from './jute/reader.ts'
import { Writer } from './jute/writer.ts'
import { readConnectResponse } from './records/connect.ts'

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const u32 = fc.nat(0xffffffff)
const edges = [0n, 1n, -1n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n, 2n ** 63n - 1n, -(2n ** 63n)]

describe('64-bit arithmetic', () => {
  test('a value is its two words', () => {
    fc.assert(
      fc.property(fc.oneof(int64, fc.constantFrom(...edges)), value => {
        const [high, low] = [highWord(value), lowWord(value)]
        expect(fromWords(high, low)).toBe(value)
        expect(fromWords(high >>> 0, low >>> 0)).toBe(value)
        expect([high, low]).toEqual([high | 0, low | 0])
      }),
    )
  })

  test('a zxid is its epoch and counter', () => {
    fc.assert(
      fc.property(u32, u32, (epoch, counter) => {
        const id = makeZxid(epoch as Epoch, counter)
        expect([epochOf(id), counterOf(id)]).toEqual([epoch, counter])
        expect(id).toBe(zxid(id))
      }),
    )
  })

  test('the order of zxids is the order of epoch, then counter, up to epoch 2^31 - 1', () => {
    fc.assert(
      fc.property(fc.nat(0x7fffffff), u32, fc.nat(0x7fffffff), u32, (e1, c1, e2, c2) => {
        const [a, b] = [makeZxid(e1 as Epoch, c1), makeZxid(e2 as Epoch, c2)]
        expect(a < b).toBe(e1 < e2 || (e1 === e2 && c1 < c2))
      }),
    )
  })

  test('what overflows wraps into the signed range', () => {
    expect(zxid(2n ** 63n)).toBe(-(2n ** 63n))
    expect(sessionId(-(2n ** 63n) - 1n)).toBe(2n ** 63n - 1n)
  })

  test('hex is that of the unsigned value', () => {
    expect([0n, 0x1fffffffen, -1n, -(2n ** 63n)].map(hexOf)).toEqual([
      '0',
      '1fffffffe',
      'ffffffffffffffff',
      '8000000000000000',
    ])
    expect(hexText(-1n)).toBe('0xffffffffffffffff')
  })

  test('a long is written and read over the whole range, as bigint, words and measure', () => {
    fc.assert(
      fc.property(int64, fc.maxSafeInteger(), (value, measure) => {
        const w = new Writer()
        w.int64(value)
        w.words(highWord(value), lowWord(value))
        w.measure(measure)
        const r = new Reader(w.written())
        expect([r.int64(), r.int64(), r.measure()]).toEqual([value, value, measure])
      }),
    )
  })
})

describe('session passwords', () => {
  const handshakes = clientVectors()
    .flatMap(v => v.frames)
    .filter(f => f.from === 'server' && f.fields.includes('protocolVersion'))
    .map(f => readConnectResponse(new Reader(bytesOf(f.hex), 4)))
    .filter(response => response.sessionId !== 0n)

  test('are those of the captured handshakes', () => {
    const ours = handshakes.map(h => hexOfBytes(sessionPassword(h.sessionId)))

    expect(ours).toEqual(handshakes.map(h => hexOfBytes(h.password ?? new Uint8Array())))
    expect(ours.length).toBe(4)
  })

  test.each([
    // new Random(id ^ 0XB3415C00L).nextBytes(16), OpenJDK 17
    [0n, 'f22acd4a97e69d6d20a49bb638eadb38'],
    [1n, '054cc74a37327db215e702e20c73f005'],
    [-1n, '20f62cb5648dc2d771471c8a2486a9ee'],
    [0x7fffffffffffffffn, '20f62cb5648dc2d771471c8a2486a9ee'],
    [-0x8000000000000000n, 'f22acd4a97e69d6d20a49bb638eadb38'],
    [0xb3415c00n, '60b420bb3851d9d47acb933dbe70399b'],
  ])('of %s as java.util.Random makes it', (id, password) => {
    expect(hexOfBytes(sessionPassword(sessionId(id)))).toBe(password)
  })
})

describe('the first session id of a server', () => {
  test.each([
    // (t << 24) >>> 8 | (id << 56), OpenJDK 17
    [1n, 1795251560685, '1a1fd54e0ed0000'],
    [255n, 1795251560685, 'ffa1fd54e0ed0000'],
    [0n, 0, '0'],
    [128n, 0, '8000000000000001'],
    [5n, 4102444800123, '5bb2cc3d87b0000'],
  ])('server %s at %i', (server, wallMs, id) => {
    expect(hexOf(firstSessionId(serverId(server), wallMs))).toBe(id)
  })
})
