import { expect, test } from 'vitest'
import { splitWords } from './words.ts'

test('words are split at blanks, however many', () => {
  expect(splitWords('  get   -s\t/a ')).toEqual(['get', '-s', '/a'])
})

test('quotes of either kind hold a word together and are taken away', () => {
  expect(splitWords(`create /a "two words" 'a "b" c' ""`)).toEqual([
    'create',
    '/a',
    'two words',
    'a "b" c',
    '',
  ])
})

test('a quote inside a word is a letter like any other', () => {
  expect(splitWords(`set /a it's`)).toEqual(['set', '/a', "it's"])
})

test('a quote that is never closed is dropped', () => {
  expect(splitWords('set /a "open end')).toEqual(['set', '/a', 'open', 'end'])
})

test('a line of blanks has no words', () => {
  expect(splitWords('   ')).toEqual([])
})
