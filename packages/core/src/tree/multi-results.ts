/** What became of each op of the last multi, as its reply tells it. */
import { ErrorCode, OpCode, statBytes, Writer } from '@corral/protocol'
import { grown } from '../lists.ts'
import type { TxnView } from './txn-view.ts'
import type { ZnodeId } from './znode-rows.ts'
import type { Znodes } from './znodes.ts'

const wordsPerResult = 5
const type = 0
const code = 1
const pathFrom = 2
const pathTo = 3
const stat = 4

export class MultiResults {
  #words = new Int32Array(8 * wordsPerResult)
  #count = 0
  readonly #stats = new Writer()

  get count(): number {
    return this.#count
  }

  clear(): void {
    this.#count = 0
    this.#stats.at = 0
  }

  /** As in the reply: 1, 2, 5, 13, 15 for every create that is answered with a Stat, -1 for a failure. */
  typeOf(op: number): number {
    return this.#word(op, type)
  }

  codeOf(op: number): number {
    return this.#word(op, code)
  }

  /** Offsets in the txn. */
  pathFrom(op: number): number {
    return this.#word(op, pathFrom)
  }

  pathTo(op: number): number {
    return this.#word(op, pathTo)
  }

  /** Writes the Stat taken right after the op; only for results of type 5 and 15. */
  statInto(op: number, out: Writer): void {
    const from = this.#word(op, stat)
    out.raw(this.#stats, from, from + statBytes)
  }

  /** An op of a multi that changed nothing. */
  addFailure(given: ErrorCode): void {
    const at = this.#next()
    this.#words[at + type] = OpCode.Error
    this.#words[at + code] = given
  }

  /** @param id - the znode made or changed, or 0 */
  add(txnType: number, given: ErrorCode, body: TxnView, id: ZnodeId, znodes: Znodes): void {
    if (given !== ErrorCode.Ok) return this.addFailure(given)
    const at = this.#next()
    const answered =
      txnType === OpCode.CreateContainer || txnType === OpCode.CreateTtl ? OpCode.Create2 : txnType
    this.#words[at + type] = answered
    this.#words[at + code] = given
    this.#words[at + pathFrom] = body.pathFrom
    this.#words[at + pathTo] = body.pathTo
    this.#words[at + stat] = this.#stats.at
    if (answered === OpCode.Create2 || answered === OpCode.SetData) znodes.statInto(id, this.#stats)
  }

  #word(op: number, word: number): number {
    return this.#words[op * wordsPerResult + word] as number
  }

  #next(): number {
    const at = this.#count++ * wordsPerResult
    if (at === this.#words.length) this.#words = grown(this.#words)
    return at
  }
}
