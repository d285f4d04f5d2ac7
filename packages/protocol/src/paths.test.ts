import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesOf, javaTexts } from '../test/golden.ts'
import {
  addChroot,
  isLegalPath,
  joinPath,
  lastComponent,
  parentPath,
  pathProblem,
  stripChroot,
} from './paths.ts'
import { decodeUtf8, encodeUtf8 } from './utf8.ts'

function isLegalText(path: string): boolean {
  const bytes = encodeUtf8(path)
  return isLegalPath(bytes, 0, bytes.length)
}

describe('the verdict of the Java server', () => {
  const corpus = javaTexts()

  test('on strings: the same problem in the same words', () => {
    const ours = corpus.map(entry => pathProblem(decodeUtf8(bytesOf(entry.bytes))) ?? null)

    expect(ours).toEqual(corpus.map(entry => entry.problem))
    expect(corpus.filter(entry => entry.problem === null).length).toBeGreaterThan(50)
  })

  test('on bytes: the same, also in the middle of other bytes', () => {
    const legal = corpus.map(({ bytes }) => {
      const path = bytesOf(bytes)
      const around = new Uint8Array(path.length + 6).fill(0xbf)
      around.set(path, 3)
      return isLegalPath(around, 3, 3 + path.length)
    })

    expect(legal).toEqual(corpus.map(entry => entry.problem === null))
  })

  test('null is no path', () => {
    expect(pathProblem(null)).toBe('Path cannot be null')
  })
})

describe('every UTF-16 unit', () => {
  test.each(['/', '/a/', '/x', '/.'])('after %s: legal or not by the published ranges', before => {
    for (let unit = 0; unit <= 0xffff; unit++) {
      const char = String.fromCharCode(unit)
      const path = `${before}${char}b`
      const isIllegal =
        unit < 0x20 ||
        (unit >= 0x7f && unit <= 0x9f) ||
        (unit >= 0xd800 && unit <= 0xf8ff) ||
        unit >= 0xfff0 ||
        (char === '/' && before.endsWith('/')) ||
        (char === '/' && before.endsWith('.'))
      if ((pathProblem(path) !== undefined) !== isIllegal) throw new Error(`string, U+${unit.toString(16)}`)
      // A lone surrogate has no UTF-8: its replacement is illegal as well.
      if (isLegalText(path) === isIllegal) throw new Error(`bytes, U+${unit.toString(16)}`)
    }
    expect(before.startsWith('/')).toBe(true)
  })
})

describe('bytes and strings agree', () => {
  const nasty = fc.constantFrom(
    '/',
    '//',
    '.',
    '..',
    'a',
    '\0',
    '\x1f',
    '\x7f',
    'é',
    '中',
    '😀',
    '\ud800',
    '',
  )
  const pieces = fc.array(fc.oneof(nasty, fc.string({ unit: 'binary', maxLength: 3 })), { maxLength: 12 })

  test('on random strings', () => {
    fc.assert(
      fc.property(pieces, parts => {
        const path = `/${parts.join('')}`
        expect(isLegalText(path)).toBe(pathProblem(path) === undefined)
      }),
      { numRuns: 5000 },
    )
  })

  test('on random bytes, malformed ones included', () => {
    const byte = fc.oneof(
      fc.constantFrom(0x2f, 0x2e, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0x80, 0x9f, 0xa0, 0xbf, 0xbd, 0x41),
      fc.nat(255),
    )
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 16 }), raw => {
        const bytes = Uint8Array.from([0x2f, ...raw])
        expect(isLegalPath(bytes, 0, bytes.length)).toBe(pathProblem(decodeUtf8(bytes)) === undefined)
      }),
      { numRuns: 20_000 },
    )
  })

  test('a legal path is one string only', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(255), { maxLength: 12 }), raw => {
        const bytes = Uint8Array.from([0x2f, ...raw])
        fc.pre(isLegalPath(bytes, 0, bytes.length))
        expect([...encodeUtf8(decodeUtf8(bytes))]).toEqual([...bytes])
      }),
      { numRuns: 5000 },
    )
  })
})

test('an empty range is no path', () => {
  expect(isLegalPath(encodeUtf8('/a'), 1, 1)).toBe(false)
})

test('parent and last component put a path together again', () => {
  const cases = ['/a', '/a/b', '/a/b/c'].map(path => [parentPath(path), lastComponent(path)] as const)

  expect(cases).toEqual([
    ['/', 'a'],
    ['/a', 'b'],
    ['/a/b', 'c'],
  ])
  expect(cases.map(([parent, name]) => joinPath(parent, name))).toEqual(['/a', '/a/b', '/a/b/c'])
})

describe('chroot', () => {
  test.each([
    ['', '/', '/'],
    ['', '/a', '/a'],
    ['/root', '/', '/root'],
    ['/root', '/a/b', '/root/a/b'],
  ])('%j makes of %s the server path %s, and back', (chroot, path, server) => {
    expect(addChroot(chroot, path)).toBe(server)
    expect(stripChroot(chroot, server)).toBe(path)
  })

  test.each(['/', '/rootless', '/other/root'])('%s is not below /root: unchanged', path => {
    expect(stripChroot('/root', path)).toBe(path)
  })
})
