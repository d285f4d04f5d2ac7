/** One znode as a sequential object, and the calls on it that a history holds: for the search-based judge. */
import { ErrorCode, type Request } from '@corral/protocol'
import type { History, Op, Violation } from '../history.ts'
import { type Call, checkLinearizable, type Model } from './linearizability.ts'

/** undefined: it does not exist. */
export type ZnodeState = { readonly value: string; readonly version: number } | undefined

export type ZnodeInput =
  | { readonly kind: 'create'; readonly value: string }
  | { readonly kind: 'set'; readonly value: string; readonly expected: number }
  | { readonly kind: 'delete'; readonly expected: number }
  | { readonly kind: 'get' }
  | { readonly kind: 'exists' }

export interface ZnodeOutput {
  readonly err: number
  readonly value?: string
  readonly version?: number
}

export const znodeModel: Model<ZnodeState, ZnodeInput, ZnodeOutput> = {
  initial: undefined,
  step(state, input, output) {
    const [after, result] = perform(state, input)
    if (output === undefined || agrees(result, output)) return [after]
    return []
  },
  key: state => (state === undefined ? '-' : `${state.version}:${state.value}`),
}

function perform(state: ZnodeState, input: ZnodeInput): readonly [ZnodeState, ZnodeOutput] {
  if (input.kind === 'create') {
    return state === undefined
      ? [{ value: input.value, version: 0 }, { err: 0 }]
      : [state, { err: ErrorCode.NodeExists }]
  }
  if (state === undefined) return [state, { err: ErrorCode.NoNode }]
  if (input.kind === 'get') return [state, { err: 0, value: state.value, version: state.version }]
  if (input.kind === 'exists') return [state, { err: 0, version: state.version }]
  if (input.expected !== -1 && input.expected !== state.version) return [state, { err: ErrorCode.BadVersion }]
  if (input.kind === 'delete') return [undefined, { err: 0 }]
  const version = state.version + 1
  return [
    { value: input.value, version },
    { err: 0, version },
  ]
}

function agrees(expected: ZnodeOutput, said: ZnodeOutput): boolean {
  return (
    expected.err === said.err &&
    (expected.value === undefined || expected.value === said.value) &&
    (expected.version === undefined || said.version === undefined || expected.version === said.version)
  )
}

/**
 * Judges each path alone; it must have been touched by single operations only, and have begun absent.
 *
 * @param unanswered - of the calls without an answer those that happened, and when they had at the latest: every call
 * that may happen at any time, or never, doubles the search
 */
export function checkZnodes(
  history: History,
  paths: readonly string[],
  unanswered?: ReadonlyMap<Op, number | undefined>,
): { readonly violations: readonly Violation[]; readonly decided: number } {
  const violations: Violation[] = []
  let decided = 0
  for (const path of paths) {
    const calls = callsOn(history, path, unanswered)
    const judgement = checkLinearizable(calls, znodeModel, { maxSteps: 2_000_000 })
    if (judgement.kind === 'linearizable') decided++
    else if (judgement.kind === 'impossible') {
      violations.push({
        rule: 'linearizable',
        message: `${path}: no order explains ${judgement.stuckAt}, after ${judgement.longest.length} of ${calls.length} calls: … ${judgement.longest.slice(-3).join(', ')}`,
      })
    } else {
      violations.push({ rule: 'undecided', message: `${path}: ${calls.length} calls are too many to search` })
    }
  }
  return { violations, decided }
}

export function callsOn(
  history: History,
  path: string,
  unanswered?: ReadonlyMap<Op, number | undefined>,
): readonly Call<ZnodeInput, ZnodeOutput>[] {
  const calls: Call<ZnodeInput, ZnodeOutput>[] = []
  for (const op of history.ops) {
    const input = inputOf(op.request, path)
    if (input === undefined) continue
    const isRead = input.kind === 'get' || input.kind === 'exists'
    // A read that nobody saw the answer of says nothing.
    if (op.reply === undefined && (isRead || unanswered?.has(op) === false)) continue
    if (op.reply?.header.err === ErrorCode.ThrottledOp) continue
    calls.push({
      invokedAt: op.invokedOrder,
      returnedAt: op.reply?.order ?? unanswered?.get(op),
      input,
      output: outputOf(op),
      line: op.connection,
      label: `${op.connection.client} ${op.xid} ${op.request.kind} -> ${op.reply?.header.err ?? 'unknown'}`,
    })
  }
  return calls
}

function inputOf(request: Request, path: string): ZnodeInput | undefined {
  if (!('path' in request) || request.path !== path) return undefined
  switch (request.kind) {
    case 'create':
      return { kind: 'create', value: text(request.data) }
    case 'setData':
      return { kind: 'set', value: text(request.data), expected: request.version }
    case 'delete':
      return { kind: 'delete', expected: request.version }
    case 'getData':
      return { kind: 'get' }
    case 'exists':
      return { kind: 'exists' }
    default:
      return undefined
  }
}

function outputOf(op: Op): ZnodeOutput | undefined {
  if (op.reply === undefined) return undefined
  const { header, body } = op.reply
  if (body.kind === 'data') return { err: header.err, value: text(body.data), version: body.stat.version }
  if (body.kind === 'stat') return { err: header.err, version: body.stat.version }
  return { err: header.err }
}

function text(data: Uint8Array | null): string {
  return Buffer.from(data ?? []).toString('latin1')
}
