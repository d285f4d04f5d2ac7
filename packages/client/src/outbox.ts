import { type Request, Writer, writeRequestFrame } from '@corral/protocol'
import type { CallId, ConnectionId, Outcome, SessionEffect } from './session-events.ts'

/** Output space above this is not kept for the next step. */
const keptBytes = 1024 * 1024

/** What one step of a session asks for, in order; the frames of the step leave together, at its end. */
export class Outbox {
  #effects: SessionEffect[] = []
  #frames: Writer = new Writer()

  emit(effect: SessionEffect): void {
    this.#effects.push(effect)
  }

  /** Tells how a call ended; 0 is nobody. */
  settle(call: CallId, outcome: Outcome): void {
    if (call !== 0) this.#effects.push({ kind: 'settled', call, outcome })
  }

  /** For frames that are no requests. */
  get frames(): Writer {
    return this.#frames
  }

  write(xid: number, request: Request): void {
    writeRequestFrame(this.#frames, xid, request)
  }

  get hasFrames(): boolean {
    return this.#frames.at > 0
  }

  /** The connection they were for is gone. */
  dropFrames(): void {
    this.#frames.at = 0
  }

  /** Ends the step. @returns what it asks for */
  take(connection: ConnectionId): readonly SessionEffect[] {
    if (this.hasFrames) this.emit({ kind: 'send', connection, bytes: this.#frames.written() })
    this.#frames.at = 0
    if (this.#frames.bytes.length > keptBytes) this.#frames = new Writer()
    const effects = this.#effects
    this.#effects = []
    return effects
  }
}
