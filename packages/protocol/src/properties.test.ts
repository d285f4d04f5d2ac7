import { expect, test } from 'vitest'
import { parseProperties } from './properties.ts'

test('separators, comments, continuations and escapes are read as Java does', () => {
  const text = [
    '# a comment',
    '  ! another',
    'a=1',
    'b : 2',
    'c 3',
    'd=one \\',
    '   two',
    'e=C:\\\\dir',
    'f\\=g=h',
    'u=\\u0041',
    'empty',
    '',
  ].join('\r\n')

  const { properties, malformed } = parseProperties(text)

  expect(properties.map(({ key, value, line }) => [key, value, line])).toEqual([
    ['a', '1', 3],
    ['b', '2', 4],
    ['c', '3', 5],
    ['d', 'one two', 6],
    ['e', 'C:\\dir', 8],
    ['f=g', 'h', 9],
    ['u', 'A', 10],
    ['empty', '', 11],
  ])
  expect(malformed).toEqual([])
})

test('the mark that some editors put before UTF-8 is no part of the first key', () => {
  expect(parseProperties('\u00ef\u00bb\u00bfa=1\n').properties).toEqual([{ key: 'a', value: '1', line: 1 }])
})

test('a malformed escape names its line', () => {
  expect(parseProperties('a=1\nb=\\u12')).toEqual({
    properties: [{ key: 'a', value: '1', line: 1 }],
    malformed: [{ line: 2, problem: 'Malformed \\uxxxx encoding.' }],
  })
})

test('a continuation at the end of the text ends there', () => {
  expect(parseProperties('a=1\\').properties).toEqual([{ key: 'a', value: '1', line: 1 }])
})

test.each([
  ['\\\n', []],
  ['\\\n# a comment\na=1', [['a', '1', 3]]],
  ['\\\r\n  a=1', [['a', '1', 2]]],
  ['a\\\n# no comment', [['a#', 'no comment', 1]]],
  ['\u00a0a = \\u0020b\u00a0', [['\u00a0a', 'b\u00a0', 1]]],
])('%j is read as Java does', (text, expected) => {
  const { properties } = parseProperties(text)

  expect(properties.map(({ key, value, line }) => [key, value, line])).toEqual(expected)
})
