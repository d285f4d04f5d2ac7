/**
 * The independent judge: a search for an order, from times and results alone, without zxids. It sees through a server
 * that lies consistently about zxids, and is used on small histories: one znode each.
 *
 * Source: Wing and Gong's search with Lowe's memoisation ("Testing for Linearizability", 2017), as in porcupine.
 */

/** `returnedAt` undefined: never answered, so it may take effect at any time after its call, or never. */
export interface Call<Input, Output> {
  readonly invokedAt: number
  readonly returnedAt: number | undefined
  readonly input: Input
  readonly output: Output | undefined
  readonly label: string
  /** Calls of one line take effect in the order in which they stand in the history, whenever they return. */
  readonly line?: unknown
}

export interface Model<State, Input, Output> {
  readonly initial: State
  /** @returns the states after the call, none if this output is impossible here. `output` undefined: any will do. */
  step(state: State, input: Input, output: Output | undefined): readonly State[]
  key(state: State): string
}

export type Judgement =
  | { readonly kind: 'linearizable' }
  /** `longest`: the most calls that fit in an order; `stuckAt`: the calls none of which could follow. */
  | { readonly kind: 'impossible'; readonly longest: readonly string[]; readonly stuckAt: string }
  /** The search was given up: no verdict, and a fault of the test's design. */
  | { readonly kind: 'undecided'; readonly steps: number }

interface Entry<Input, Output> {
  readonly call: Call<Input, Output>
  readonly index: number
  readonly isCall: boolean
  match: Entry<Input, Output> | undefined
  previous: Entry<Input, Output> | undefined
  next: Entry<Input, Output> | undefined
}

export function checkLinearizable<State, Input, Output>(
  calls: readonly Call<Input, Output>[],
  model: Model<State, Input, Output>,
  given: { readonly maxSteps: number },
): Judgement {
  return new Search(calls, model).run(given.maxSteps)
}

class Search<State, Input, Output> {
  readonly #model: Model<State, Input, Output>
  readonly #head: Entry<Input, Output>
  readonly #seen: Set<string> = new Set()
  readonly #linearized: Uint8Array
  /** Per call: the answered one before it on its line, or -1. */
  readonly #before: readonly number[]
  readonly #answered: number
  #answeredDone = 0

  constructor(calls: readonly Call<Input, Output>[], model: Model<State, Input, Output>) {
    this.#model = model
    this.#linearized = new Uint8Array(Math.ceil(calls.length / 8))
    this.#answered = calls.filter(call => call.returnedAt !== undefined).length
    this.#before = predecessors(calls)
    this.#head = linked(calls)
  }

  run(maxSteps: number): Judgement {
    let state = this.#model.initial
    let entry = this.#head.next
    const stack: { readonly entry: Entry<Input, Output>; readonly state: State; branch: number }[] = []
    let longest: readonly string[] = []
    let branch = 0
    for (let steps = 0; ; steps++) {
      if (steps > maxSteps) return { kind: 'undecided', steps }
      // Calls that were never answered need not have happened.
      if (this.#answeredDone === this.#answered) return { kind: 'linearizable' }
      if (entry?.isCall === true) {
        const nexts = this.#isItsTurn(entry.index)
          ? this.#model.step(state, entry.call.input, entry.call.output)
          : []
        if (branch >= nexts.length) {
          entry = entry.next
          branch = 0
          continue
        }
        const next = nexts[branch] as State
        this.#mark(entry.index, true)
        if (this.#isIdle(entry.call, state, next) || !this.#isNew(next)) {
          this.#mark(entry.index, false)
          branch++
          continue
        }
        stack.push({ entry, state, branch })
        if (entry.call.returnedAt !== undefined) this.#answeredDone++
        state = next
        lift(entry)
        entry = this.#head.next
        branch = 0
        continue
      }
      // A return whose call is not placed yet, or the end: the last choice was wrong.
      if (stack.length > longest.length) longest = stack.map(choice => choice.entry.call.label)
      const last = stack.pop()
      if (last === undefined) return { kind: 'impossible', longest, stuckAt: entry?.call.label ?? 'the end' }
      this.#mark(last.entry.index, false)
      if (last.entry.call.returnedAt !== undefined) this.#answeredDone--
      unlift(last.entry)
      state = last.state
      entry = last.entry
      branch = last.branch + 1
    }
  }

  #mark(index: number, isDone: boolean): void {
    const byte = index >> 3
    const bit = 1 << (index & 7)
    const old = this.#linearized[byte] as number
    this.#linearized[byte] = isDone ? old | bit : old & ~bit
  }

  #isItsTurn(index: number): boolean {
    const before = this.#before[index] as number
    return before === -1 || ((this.#linearized[before >> 3] as number) & (1 << (before & 7))) !== 0
  }

  /** A call that was never answered and changes nothing need not be placed. */
  #isIdle(call: Call<Input, Output>, before: State, after: State): boolean {
    return call.returnedAt === undefined && this.#model.key(before) === this.#model.key(after)
  }

  #isNew(state: State): boolean {
    const key = `${Buffer.from(this.#linearized).toString('latin1')}|${this.#model.key(state)}`
    if (this.#seen.has(key)) return false
    this.#seen.add(key)
    return true
  }
}

function predecessors(calls: readonly Call<unknown, unknown>[]): readonly number[] {
  const lastOf = new Map<unknown, number>()
  return calls.map((call, index) => {
    if (call.line === undefined) return -1
    const before = lastOf.get(call.line) ?? -1
    if (call.returnedAt !== undefined) lastOf.set(call.line, index)
    return before
  })
}

/** Calls and returns in time order; of two at one time the call stands first, which allows more orders. */
function linked<Input, Output>(calls: readonly Call<Input, Output>[]): Entry<Input, Output> {
  const entries: { at: number; entry: Entry<Input, Output> }[] = []
  const blank = { match: undefined, previous: undefined, next: undefined }
  for (const [index, call] of calls.entries()) {
    const begin: Entry<Input, Output> = { call, index, isCall: true, ...blank }
    entries.push({ at: call.invokedAt, entry: begin })
    if (call.returnedAt === undefined) continue
    const end: Entry<Input, Output> = { call, index, isCall: false, ...blank }
    begin.match = end
    entries.push({ at: call.returnedAt, entry: end })
  }
  entries.sort((a, b) => a.at - b.at || Number(b.entry.isCall) - Number(a.entry.isCall))
  const head = { isCall: false, index: -1, ...blank } as Entry<Input, Output>
  let last = head
  for (const { entry } of entries) {
    last.next = entry
    entry.previous = last
    last = entry
  }
  return head
}

function lift<Input, Output>(entry: Entry<Input, Output>): void {
  for (const part of [entry, entry.match]) {
    if (part === undefined) continue
    if (part.previous !== undefined) part.previous.next = part.next
    if (part.next !== undefined) part.next.previous = part.previous
  }
}

function unlift<Input, Output>(entry: Entry<Input, Output>): void {
  for (const part of [entry.match, entry]) {
    if (part === undefined) continue
    if (part.previous !== undefined) part.previous.next = part
    if (part.next !== undefined) part.next.previous = part
  }
}
