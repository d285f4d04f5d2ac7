import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesOf, hexOfBytes, javaTexts } from '../test/golden.ts'
import { decodeUtf8, encodeUtf8, toBase64, utf8Length, writeUtf8 } from './utf8.ts'

test('malformed bytes are replaced exactly where the Java server replaces them', () => {
  const corpus = javaTexts()

  const ours = corpus.map(({ bytes }) => unitsOf(decodeUtf8(bytesOf(bytes))))

  expect(ours).toEqual(corpus.map(entry => entry.units))
})

test('what is stored of a text is what the Java server stores, except for characters above U+FFFF', () => {
  const corpus = javaTexts()

  const differing = corpus.filter(
    ({ bytes, stored }) => hexOfBytes(encodeUtf8(decodeUtf8(bytesOf(bytes)))) !== stored,
  )

  // Java writes each half of a surrogate pair in three bytes and reads them back as two U+FFFD; here they are UTF-8.
  expect(differing.length).toBeGreaterThan(0)
  for (const { units } of differing) expect(units).toMatch(/d[89ab]..d[c-f]../)
})

test('what was stored once is read back as the same text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), raw => {
      const text = decodeUtf8(raw)
      expect(decodeUtf8(encodeUtf8(text))).toBe(text)
    }),
    { numRuns: 5000 },
  )
})

test('any text without lone surrogates comes through, in the length foretold', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(5), (text, at) => {
      const into = new Uint8Array(at + utf8Length(text) + 3).fill(0xee)

      const written = writeUtf8(text, into, at)

      expect(written).toBe(utf8Length(text))
      expect(decodeUtf8(into, at, at + written)).toBe(text)
      expect([...into.subarray(0, at), ...into.subarray(at + written)]).toEqual(new Array(at + 3).fill(0xee))
    }),
  )
})

test('a lone surrogate is written as U+FFFD', () => {
  expect(hexOfBytes(encodeUtf8('a\ud800b'))).toBe('61efbfbd62')
  expect(utf8Length('\udfff')).toBe(3)
})

test('a byte order mark is part of the text', () => {
  expect(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe('\ufeffa')
})

test('Base64 has its padding', () => {
  expect(['', 'f', 'fo', 'foo'].map(text => toBase64(encodeUtf8(text)))).toEqual(['', 'Zg==', 'Zm8=', 'Zm9v'])
})

function unitsOf(text: string): string {
  return Array.from({ length: text.length }, (_, i) => text.charCodeAt(i).toString(16).padStart(4, '0')).join(
    '',
  )
}
