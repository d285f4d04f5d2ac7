import type { CallId } from './session-events.ts'

interface Group {
  readonly calls: Set<CallId>
  readonly onAbort: () => void
}

/**
 * The calls that a signal may abort. A signal has one listener here, however many calls share it: Node takes
 * more than ten for a leak, and says so on stderr.
 */
export class Abortable {
  readonly #groups: Map<AbortSignal, Group> = new Map()
  readonly #abort: (call: CallId, signal: AbortSignal) => void

  constructor(abort: (call: CallId, signal: AbortSignal) => void) {
    this.#abort = abort
  }

  add(call: CallId, signal: AbortSignal | undefined): void {
    if (signal === undefined) return
    const group = this.#groups.get(signal) ?? this.#newGroup(signal)
    group.calls.add(call)
  }

  /** The call is settled. */
  remove(call: CallId, signal: AbortSignal | undefined): void {
    const group = signal === undefined ? undefined : this.#groups.get(signal)
    if (signal === undefined || group === undefined) return
    group.calls.delete(call)
    if (group.calls.size > 0) return
    this.#groups.delete(signal)
    signal.removeEventListener('abort', group.onAbort)
  }

  #newGroup(signal: AbortSignal): Group {
    const calls = new Set<CallId>()
    const onAbort = (): void => {
      for (const call of [...calls]) this.#abort(call, signal)
    }
    const group = { calls, onAbort }
    this.#groups.set(signal, group)
    signal.addEventListener('abort', onAbort)
    return group
  }
}
