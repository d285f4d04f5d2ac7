import { ErrorCode } from '@corral/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Call, checkLinearizable } from './linearizability.ts'
import { type ZnodeInput, type ZnodeOutput, type ZnodeState, znodeModel } from './znode-model.ts'

type ZnodeCall = Call<ZnodeInput, ZnodeOutput>

function call(
  invokedAt: number,
  returnedAt: number | undefined,
  input: ZnodeInput,
  output?: ZnodeOutput,
): ZnodeCall {
  return { invokedAt, returnedAt, input, output, label: `${input.kind}@${invokedAt}` }
}

const create = (at: number, to: number | undefined, err = 0): ZnodeCall =>
  call(at, to, { kind: 'create', value: 'a' }, to === undefined ? undefined : { err })
const set = (
  at: number,
  to: number | undefined,
  value: string,
  expected: number,
  output?: ZnodeOutput,
): ZnodeCall => call(at, to, { kind: 'set', value, expected }, output)
const get = (at: number, to: number, output: ZnodeOutput): ZnodeCall => call(at, to, { kind: 'get' }, output)

function verdict(calls: readonly ZnodeCall[], maxSteps = 100_000): string {
  return checkLinearizable(calls, znodeModel, { maxSteps }).kind
}

describe('accepted', () => {
  test('nothing at all', () => {
    expect(verdict([])).toBe('linearizable')
  })

  test('one after the other', () => {
    const calls = [
      create(0, 1),
      set(2, 3, 'b', 0, { err: 0, version: 1 }),
      get(4, 5, { err: 0, value: 'b', version: 1 }),
    ]

    expect(verdict(calls)).toBe('linearizable')
  })

  test('calls at the same time in any order that explains the results', () => {
    const calls = [
      create(0, 1),
      set(2, 9, 'b', 0, { err: 0, version: 1 }),
      set(2, 9, 'c', 0, { err: ErrorCode.BadVersion }),
      get(3, 4, { err: 0, value: 'a', version: 0 }),
      get(5, 6, { err: 0, value: 'b', version: 1 }),
    ]

    expect(verdict(calls)).toBe('linearizable')
  })

  test('a write that was never answered, whether it happened or not', () => {
    const seen = [create(0, 1), set(2, undefined, 'b', -1), get(9, 10, { err: 0, value: 'b', version: 1 })]
    const unseen = [create(0, 1), set(2, undefined, 'b', -1), get(9, 10, { err: 0, value: 'a', version: 0 })]

    expect([verdict(seen), verdict(unseen)]).toEqual(['linearizable', 'linearizable'])
  })
})

test('calls of one line keep their order, however their times overlap', () => {
  const calls = [
    create(0, 1),
    set(2, 9, 'b', -1, { err: 0, version: 1 }),
    get(3, 9, { err: 0, value: 'a', version: 0 }),
  ]
  const onOneLine = calls.map(each => ({ ...each, line: 'the same' }))

  expect([verdict(calls), verdict(onOneLine)]).toEqual(['linearizable', 'impossible'])
})

describe('rejected', () => {
  const wrong: Readonly<Record<string, readonly ZnodeCall[]>> = {
    'a read of a value that was never written': [create(0, 1), get(2, 3, { err: 0, value: 'z', version: 0 })],
    'a read of an old value after a newer one was read': [
      create(0, 1),
      set(2, 20, 'b', 0, { err: 0, version: 1 }),
      get(3, 4, { err: 0, value: 'b', version: 1 }),
      get(5, 6, { err: 0, value: 'a', version: 0 }),
    ],
    'a read that misses a write that had returned': [
      create(0, 1),
      set(2, 3, 'b', 0, { err: 0, version: 1 }),
      get(4, 5, { err: 0, value: 'a', version: 0 }),
    ],
    'two writes that both won the same version': [
      create(0, 1),
      set(2, 9, 'b', 0, { err: 0, version: 1 }),
      set(2, 9, 'c', 0, { err: 0, version: 1 }),
    ],
    'two creates of one znode': [create(0, 5), create(1, 6)],
    'a refusal without a reason': [create(0, 1), set(2, 3, 'b', 0, { err: ErrorCode.BadVersion })],
    'a write that was never answered and was undone': [
      create(0, 1),
      set(2, undefined, 'b', -1),
      get(3, 4, { err: 0, value: 'b', version: 1 }),
      get(5, 6, { err: 0, value: 'a', version: 0 }),
    ],
    'a znode that is there before it was made': [get(0, 1, { err: 0, value: 'a', version: 0 }), create(2, 3)],
  }

  test.each(Object.keys(wrong))('%s', name => {
    expect(verdict(wrong[name] ?? [])).toBe('impossible')
  })
})

test('a search that is cut short is no verdict', () => {
  expect(verdict([create(0, 1), get(2, 3, { err: 0, value: 'a', version: 0 })], 1)).toBe('undecided')
})

/** A register that really runs in some order, seen with overlapping intervals. */
const runs = fc
  .array(
    fc.record({
      kind: fc.constantFrom('create', 'set', 'delete', 'get'),
      expected: fc.integer({ min: -1, max: 3 }),
      lag: fc.nat(8),
      lead: fc.nat(8),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map(steps => {
    let state: ZnodeState
    return steps.map((step, i): ZnodeCall => {
      const input: ZnodeInput =
        step.kind === 'create'
          ? { kind: 'create', value: `v${i}` }
          : step.kind === 'set'
            ? { kind: 'set', value: `v${i}`, expected: step.expected }
            : step.kind === 'delete'
              ? { kind: 'delete', expected: step.expected }
              : { kind: 'get' }
      const before = state
      const [after] = znodeModel.step(state, input, undefined)
      state = after
      return call(10 * i - step.lead, 10 * i + 1 + step.lag, input, resultOf(before, input))
    })
  })

function resultOf(state: ZnodeState, input: ZnodeInput): ZnodeOutput {
  if (input.kind === 'create') return { err: state === undefined ? 0 : ErrorCode.NodeExists }
  if (state === undefined) return { err: ErrorCode.NoNode }
  if (input.kind === 'get') return { err: 0, value: state.value, version: state.version }
  if (input.kind === 'exists') return { err: 0, version: state.version }
  if (input.expected !== -1 && input.expected !== state.version) return { err: ErrorCode.BadVersion }
  return input.kind === 'delete' ? { err: 0 } : { err: 0, version: state.version + 1 }
}

test('every history that really happened is accepted', () => {
  fc.assert(
    fc.property(runs, calls => {
      expect(verdict(calls)).toBe('linearizable')
    }),
    { numRuns: 200, seed: 7 },
  )
})

test('a value changed to one that nobody wrote is always found', () => {
  fc.assert(
    fc.property(runs, calls => {
      const at = calls.findIndex(({ output }) => output?.value !== undefined)
      fc.pre(at !== -1)
      const spoilt = calls.map((each, i) =>
        i === at ? { ...each, output: { ...(each.output as ZnodeOutput), value: 'nobody' } } : each,
      )
      expect(verdict(spoilt)).toBe('impossible')
    }),
    { numRuns: 200, seed: 7 },
  )
})
