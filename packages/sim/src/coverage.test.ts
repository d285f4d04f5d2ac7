import { ErrorCode } from '@corral/protocol'
import { expect, test } from 'vitest'
import { MadeHistory } from '../test/made-history.ts'
import { type Coverage, countResults, coverageTable, expectedResults, neverSeen } from './coverage.ts'

test('a pair that was seen is counted, the others are named', () => {
  const history = new MadeHistory()
  const ann = history.connect('ann', 100n)
  history.read(ann, { kind: 'exists', path: '/a', watch: false }, { kind: 'none' }, ErrorCode.NoNode)
  const coverage: Coverage = new Map()

  countResults(coverage, history.ops)

  expect(coverage.get('exists')).toEqual(new Map([['NoNode', 1]]))
  expect(neverSeen(coverage, 'exists')).toEqual(['Ok', 'NoAuth', 'ThrottledOp'])
  expect(coverageTable(coverage).find(line => line.startsWith('exists'))).toMatch(/NoNode 1; NEVER Ok/)
  expect(coverageTable(coverage).length).toBe(Object.keys(expectedResults).length)
})
