/** What a write that succeeded is answered with: taken from its txn, and from the tree right after it was applied. */
import { ErrorCode, OpCode, type Space, type Writer } from '@corral/protocol'
import type { DataTree } from '../tree/data-tree.ts'
import { writeErrorResult, writeResultHead, writeResultsEnd } from './reply.ts'

/** @param body - where the body of the txn starts in `space` */
export function writeTxnResult(w: Writer, tree: DataTree, op: number, space: Space, body: number): void {
  switch (op) {
    case OpCode.Create:
      return writePathAt(w, space, body)
    case OpCode.Create2:
    case OpCode.CreateContainer:
    case OpCode.CreateTtl:
      writePathAt(w, space, body)
      return tree.statInto(tree.lastPathId, w)
    case OpCode.SetData:
    case OpCode.SetAcl:
      return tree.statInto(tree.lastPathId, w)
    case OpCode.Multi:
      return writeMultiResults(w, tree, space)
    default:
      return // delete, closeSession: the header says it all
  }
}

function writeMultiResults(w: Writer, tree: DataTree, space: Space): void {
  for (let i = 0; i < tree.resultCount; i++) {
    const type = tree.resultType(i)
    if (type === OpCode.Error) {
      writeErrorResult(w, tree.resultCode(i))
      continue
    }
    writeResultHead(w, type, ErrorCode.Ok)
    if (type === OpCode.Create || type === OpCode.Create2) {
      const from = tree.resultPathFrom(i)
      w.int32(tree.resultPathTo(i) - from)
      w.raw(space, from, tree.resultPathTo(i))
    }
    if (type === OpCode.Create2 || type === OpCode.SetData) tree.resultStatInto(i, w)
  }
  writeResultsEnd(w)
}

/** A string of a txn, length included. */
function writePathAt(w: Writer, space: Space, at: number): void {
  w.raw(space, at, at + 4 + space.view.getInt32(at))
}
