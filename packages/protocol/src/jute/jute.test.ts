import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DecodeError, Reader } from './reader.ts'
import { copyBytes, makeSpace, Writer } from './writer.ts'

function written(write: (w: Writer) => void): number[] {
  const w = new Writer(makeSpace(1))
  write(w)
  return [...w.written()]
}

describe('primitive types', () => {
  test.each<[string, (w: Writer) => void, number[]]>([
    ['byte', w => w.byte(-2), [0xfe]],
    ['true', w => w.bool(true), [1]],
    ['false', w => w.bool(false), [0]],
    ['int', w => w.int32(-2), [0xff, 0xff, 0xff, 0xfe]],
    ['long', w => w.int64(0x0102030405060708n), [1, 2, 3, 4, 5, 6, 7, 8]],
    ['long as words', w => w.words(0x01020304, 0x05060708), [1, 2, 3, 4, 5, 6, 7, 8]],
    ['negative measure', w => w.measure(-1), new Array(8).fill(0xff)],
    ['large measure', w => w.measure(2 ** 32 + 1), [0, 0, 0, 1, 0, 0, 0, 1]],
    ['null string', w => w.string(null), [0xff, 0xff, 0xff, 0xff]],
    ['empty string', w => w.string(''), [0, 0, 0, 0]],
    ['string with a NUL', w => w.string('a\0é'), [0, 0, 0, 4, 0x61, 0, 0xc3, 0xa9]],
    ['null buffer', w => w.buffer(null), [0xff, 0xff, 0xff, 0xff]],
    ['empty buffer', w => w.buffer(new Uint8Array(0)), [0, 0, 0, 0]],
    ['null vector', w => w.vector(null, () => undefined), [0xff, 0xff, 0xff, 0xff]],
    ['vector', w => w.vector([7], (v, n) => v.byte(n)), [0, 0, 0, 1, 7]],
  ])('%s', (_name, write, bytes) => {
    expect(written(write)).toEqual(bytes)
  })

  test('any byte but zero is true', () => {
    const r = new Reader(Uint8Array.of(0, 1, 2, 0x80, 0xff))

    expect([r.bool(), r.bool(), r.bool(), r.bool(), r.bool()]).toEqual([false, true, true, true, true])
  })

  test('null and empty come through as different values', () => {
    const w = new Writer()
    w.buffer(null)
    w.buffer(new Uint8Array(0))
    w.string(null)
    w.string('')
    const r = new Reader(w.written())

    expect([r.buffer(), r.buffer(), r.string(), r.string()]).toEqual([null, new Uint8Array(0), null, ''])
  })
})

describe('Reader', () => {
  test.each([
    ['a vector count of -1 is null', 'ffffffff', null],
    ['other negative counts are empty', 'fffffffe', []],
    ['the smallest count is empty', '80000000', []],
  ])('%s', (_what, hex, expected) => {
    const r = new Reader(new Uint8Array(Buffer.from(hex, 'hex')))

    expect(r.vector(4, reader => reader.int32())).toEqual(expected)
  })

  test.each<[string, (r: Reader) => unknown]>([
    ['a string of length -2', r => r.string()],
    ['a buffer of length -2', r => r.buffer()],
  ])('%s is refused', (_what, read) => {
    expect(() => read(new Reader(Uint8Array.of(0xff, 0xff, 0xff, 0xfe, 0, 0)))).toThrow(DecodeError)
  })

  test('a count is refused before its first element is read', () => {
    let elements = 0
    const r = new Reader(Uint8Array.of(0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0))

    expect(() => r.vector(3, () => elements++)).toThrow(DecodeError)
    expect(elements).toBe(0)
  })

  test('the refusal names the offset', () => {
    const r = new Reader(Uint8Array.of(9, 9, 0, 0, 0, 5), 2)

    expect(() => r.string()).toThrow(expect.objectContaining({ offset: 2 }))
  })

  test('a long beyond the safe integers does not measure', () => {
    const w = new Writer()
    w.int64(2n ** 53n)
    w.int64(-(2n ** 53n))

    expect(() => new Reader(w.written()).measure()).toThrow(DecodeError)
    expect(() => new Reader(w.written(), 8).measure()).toThrow(DecodeError)
  })

  test('a null string where none may be is refused', () => {
    expect(() => new Reader(Uint8Array.of(0xff, 0xff, 0xff, 0xff)).text()).toThrow(DecodeError)
  })

  test('what it returns does not change with the memory it came from', () => {
    const bytes = Uint8Array.of(0, 0, 0, 1, 7, 8)
    const r = new Reader(bytes)
    const [buffer, raw] = [r.buffer(), r.raw(1)]

    bytes.fill(0xff)

    expect([buffer, raw]).toEqual([Uint8Array.of(7), Uint8Array.of(8)])
  })

  test('going backwards or beyond the end is refused, and does not move it', () => {
    const r = new Reader(Uint8Array.of(1, 2, 3))

    expect(() => r.skip(-1)).toThrow(DecodeError)
    expect(() => r.skip(4)).toThrow(DecodeError)
    expect(() => r.int32()).toThrow(DecodeError)
    expect([r.at, r.remaining]).toEqual([0, 3])
  })

  test('a view into larger memory is read at its own place', () => {
    const memory = Uint8Array.of(9, 9, 9, 0, 0, 0, 5, 9)

    expect(new Reader(memory.subarray(3, 7)).int32()).toBe(5)
  })
})

describe('Writer', () => {
  test('grows as often as it must and keeps what was written', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 20 }), parts => {
        const w = new Writer(makeSpace(0))
        for (const part of parts) w.buffer(part)
        const r = new Reader(w.written())
        for (const part of parts) expect(r.buffer()).toEqual(Uint8Array.from(part))
        expect(r.remaining).toBe(0)
      }),
    )
  })

  test('asks for the room it needs, and is given at least that', () => {
    const asked: number[] = []
    const w = new Writer(makeSpace(8), atLeastBytes => {
      asked.push(atLeastBytes)
      return makeSpace(atLeastBytes)
    })

    w.int64(1n)
    w.byte(1)
    w.buffer(new Uint8Array(100))

    expect(asked).toEqual([16, 113])
    expect(w.at).toBe(113)
  })

  test('frames have their lengths, one behind the other', () => {
    expect(
      written(w => {
        for (const n of [2, 0]) {
          const start = w.beginFrame()
          for (let i = 0; i < n; i++) w.byte(9)
          w.endFrame(start)
        }
      }),
    ).toEqual([0, 0, 0, 2, 9, 9, 0, 0, 0, 0])
  })

  test('it goes on in another space', () => {
    const w = new Writer()
    const other = makeSpace(8)

    w.attach(other, 2)
    w.int32(-1)

    expect([...other.bytes]).toEqual([0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0])
    expect(w.at).toBe(6)
  })
})

test('copyBytes copies exactly the bytes asked for, at every length and alignment', () => {
  const source = makeSpace(400)
  source.bytes.forEach((_, i) => {
    source.bytes[i] = (i % 255) + 1
  })
  for (let length = 0; length < 200; length++) {
    for (const [from, at] of [
      [0, 0],
      [1, 3],
      [5, 2],
    ] as const) {
      const target = makeSpace(400)
      copyBytes(source, from, from + length, target, at)
      const expected = new Uint8Array(400)
      expected.set(source.bytes.subarray(from, from + length), at)
      expect(Buffer.compare(target.bytes, expected)).toBe(0)
    }
  }
})

test('what is read from a Buffer is a copy and a plain Uint8Array', () => {
  const frame = Buffer.from('00000003616263', 'hex')

  const value = new Reader(frame).buffer()
  frame.fill(0)

  expect(value).toEqual(Uint8Array.of(97, 98, 99))
})
