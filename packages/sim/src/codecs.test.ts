import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { decodeStream, makeStreamEncoder, type StreamCodec } from './codecs.ts'

const pieces = [Buffer.from('one'), new Uint8Array(70_000).fill(7), Buffer.from('three')]
const plain = Buffer.concat(pieces)

function stored(codec: StreamCodec): Uint8Array {
  const encoder = makeStreamEncoder(codec)
  return Buffer.concat([...pieces.map(piece => encoder.piece(piece)), encoder.end()])
}

describe.each(['gz', 'snappy'] as const)('%s', codec => {
  test('what was written piece by piece is read as one', () => {
    expect(Buffer.compare(decodeStream(codec, stored(codec)) ?? new Uint8Array(0), plain)).toBe(0)
  })

  test('a stream without its end is none', () => {
    const whole = stored(codec)

    for (const cut of [0, 1, 9, 17, 20, whole.length - 1])
      expect(decodeStream(codec, whole.subarray(0, cut))).toBeUndefined()
  })

  test('a zeroed sector over lengths is found', () => {
    expect(decodeStream(codec, stored(codec).fill(0, 0, 512))).toBeUndefined()
    expect(decodeStream(codec, stored(codec).fill(0, 18, 18 + 512))).toBeUndefined()
  })
})

test('gzip sees every damaged byte of what it holds', () => {
  const whole = stored('gz')
  for (let at = 16; at < whole.length; at += 701) {
    const damaged = Uint8Array.from(whole)
    damaged[at] = (damaged[at] as number) ^ 0x10

    expect(decodeStream('gz', damaged)).toBeUndefined()
  }
})

test('snappy passes damaged bytes on: whoever wrote them has to see it', () => {
  const whole = stored('snappy')
  whole[whole.length >> 1] = 8

  const read = decodeStream('snappy', whole) ?? new Uint8Array(0)

  expect(read.length).toBe(plain.length)
  expect(Buffer.compare(read, plain)).not.toBe(0)
})

test('what lies there is gzip for others too', () => {
  expect(Buffer.compare(gunzipSync(stored('gz')), plain)).toBe(0)
})
