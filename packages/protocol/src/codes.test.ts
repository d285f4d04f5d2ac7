import { expect, test } from 'vitest'
import { ErrorCode, errorName, OpCode } from './codes.ts'

test('every error number has the name of its constant, others their number', () => {
  for (const [name, code] of Object.entries(ErrorCode)) expect(errorName(code)).toBe(name)
  expect(errorName(-126)).toBe('error -126')
})

test('no two opcodes and no two errors share a number', () => {
  for (const codes of [OpCode, ErrorCode]) {
    const numbers = Object.values(codes)
    expect(new Set(numbers).size).toBe(numbers.length)
  }
})
