/**
 * multi: several writes, one zxid, all or nothing. All ops are read and judged as a list before the first is
 * prepared; a list that cannot be right is refused whole.
 *
 * A create2 is logged as a create, whose txn has the same fields: the Java server up to 3.7.1 and 3.8.1 leaves out a
 * whole multi that has the former in it. That its answer has a Stat is remembered beside the txn (ADR 15).
 *
 * Source: MultiOperationRecord, PrepRequestProcessor case multi in the Java server.
 */
import { ErrorCode, OpCode, type RequestView, type Writer } from '@corral/protocol'
import type { ServerConfig } from '../config.ts'
import { checkFlags, multiCreateType } from './creation.ts'
import type { Pending } from './pending.ts'
import type { Preparer } from './prepare.ts'
import type { Asker } from './txn-place.ts'

/** @returns the number of ops, or -1 if the list is malformed, has an op that is not allowed, or has no end mark */
export function countOps(
  request: RequestView,
  isAllowed: (request: RequestView, op: number) => boolean,
): number {
  const to = request.bodyTo
  let at = request.bodyFrom
  for (let count = 0; ; count++) {
    const op = request.readMultiHeader(at, to)
    if (op === false) return -1
    if (op === undefined) return count
    if (!request.readBody(op, request.at, to) || !isAllowed(request, op)) return -1
    at = request.at
  }
}

export function isMultiWrite(request: RequestView, op: number): boolean {
  return request.pathFrom >= 0 && subTxnType(request, op) !== undefined
}

/** The kind of txn that an op inside a multi becomes; undefined if it may not stand there. */
function subTxnType(request: RequestView, op: number): OpCode | undefined {
  switch (op) {
    case OpCode.Create:
    case OpCode.Create2:
    case OpCode.CreateContainer:
      // A null ACL, which is the op's own error everywhere else, cannot be read here.
      return request.view.getInt32(request.aclFrom) === -1 ? undefined : multiCreateType(op, request.flags)
    case OpCode.CreateTtl:
      return multiCreateType(op, request.flags)
    case OpCode.Delete:
    case OpCode.SetData:
    case OpCode.Check:
      return op
    default:
      return undefined
  }
}

/**
 * Writes the body of a multi txn: `count(4)`, then for each op `type(4) | length(4) | body`. When an op fails, those
 * before it stay as they are, it and all after it become error sub-txns, and the pending tree is as before.
 *
 * @param body.count - from {@link countOps}
 * @param body.mostAt - how far the body may reach: expanded ACLs can make a txn longer than any reader accepts
 * @returns MarshallingError when an op turns out to be unreadable only now, or the txn too long: then the whole list is
 */
export function prepareMulti(
  given: { readonly config: ServerConfig; readonly preparer: Preparer; readonly pending: Pending },
  w: Writer,
  asker: Asker,
  request: RequestView,
  body: { readonly from: number; readonly to: number; readonly count: number; readonly mostAt: number },
): ErrorCode {
  const { found } = given.preparer
  found.create2s = undefined
  w.int32(body.count)
  given.pending.beginMulti()
  let at = body.from
  for (let i = 0; i < body.count; i++) {
    const op = request.readMultiHeader(at, body.to) as number
    request.readBody(op, request.at, body.to)
    at = request.at
    const type = subTxnType(request, op) as OpCode
    if (type === OpCode.Create2) {
      found.create2s ??= new Set()
      found.create2s.add(i)
    }
    const prepared = prepareOp(given, w, asker, request, type)
    // If the next op fails, the rest still has to fit.
    const isTooLong = w.at + (body.count - i) * errorSubTxnBytes > body.mostAt
    const err = isTooLong ? ErrorCode.MarshallingError : prepared
    if (err === ErrorCode.Ok) continue
    given.pending.rollBackMulti()
    if (err === ErrorCode.MarshallingError) return err
    writeErrorSubTxn(w, err)
    for (let rest = i + 1; rest < body.count; rest++) writeErrorSubTxn(w, ErrorCode.RuntimeInconsistency)
    return ErrorCode.Ok
  }
  given.pending.keepMulti()
  return ErrorCode.Ok
}

function prepareOp(
  { config, preparer }: { readonly config: ServerConfig; readonly preparer: Preparer },
  w: Writer,
  asker: Asker,
  request: RequestView,
  type: OpCode,
): ErrorCode {
  // The kind is settled by now: only what makes a TTL can still be wrong.
  if (type === OpCode.CreateTtl) {
    const err = checkFlags(request, type, config.isTtlEnabled)
    if (err !== ErrorCode.Ok) return err
  }
  const start = w.at
  w.int32(type === OpCode.Create2 ? OpCode.Create : type)
  w.int32(0)
  const err = preparer.prepare(w, asker, request, type)
  if (err !== ErrorCode.Ok) w.at = start
  else w.view.setInt32(start + 4, w.at - start - 8)
  return err
}

/** type(4) | length(4) | err(4) */
const errorSubTxnBytes = 12

function writeErrorSubTxn(w: Writer, err: number): void {
  w.int32(OpCode.Error)
  w.int32(4)
  w.int32(err)
}
