import type { OpResult, Request } from '@corral/protocol'
import { ProtocolError } from './protocol-error.ts'

type Op = Extract<Request, { kind: 'multi' | 'multiRead' }>['ops'][number]

const resultKind: Readonly<Record<Op['kind'], OpResult['kind']>> = {
  create: 'created',
  createTtl: 'created',
  delete: 'deleted',
  setData: 'set',
  check: 'checked',
  getData: 'data',
  getChildren: 'children',
}

/**
 * One result for each operation, and of its kind, or the code of its refusal. A refused multi has nothing else, but
 * only one of its codes must tell why; the reads of a multiRead are refused each by itself.
 *
 * @throws ProtocolError
 */
export function requireFitting(request: Request, results: readonly OpResult[]): void {
  const ops: readonly Op[] = 'ops' in request ? request.ops : []
  if (results.length !== ops.length) {
    throw new ProtocolError(`${results.length} results for ${ops.length} operations`)
  }
  const codes = results.flatMap(result => (result.kind === 'error' ? [result.err] : []))
  const isRefused = request.kind === 'multi' && codes.length > 0
  const isFitting = isRefused
    ? codes.length === ops.length && codes.some(code => code !== 0)
    : codes.every(code => code !== 0) && ops.every((op, i) => isOf(op, results[i]))
  if (!isFitting) throw new ProtocolError(`the results of a ${request.kind} are not those of its operations`)
}

function isOf(op: Op, result: OpResult | undefined): boolean {
  return result?.kind === 'error' || result?.kind === resultKind[op.kind]
}
