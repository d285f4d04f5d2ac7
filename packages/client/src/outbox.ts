import { type Request, type Space, spaceOf, Writer, writeRequestFrame } from '@corral/protocol'
import type { CallId, ConnectionId, Outcome, SessionEffect } from './session-events.ts'

/** `length(4) | xid(4) | op(4) | record` */
const xidOffset = 4

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

  /** @returns the length of its frame */
  write(xid: number, request: Request): number {
    const from = this.#frames.at
    try {
      writeRequestFrame(this.#frames, xid, request)
    } catch (error) {
      this.#frames.at = from // Half a frame would swallow the next ones.
      throw error
    }
    return this.#frames.at - from
  }

  /** A frame that {@link requestFrame} has written before. @returns its length */
  writeFrame(xid: number, frame: Space): number {
    const { length } = frame.bytes
    frame.view.setInt32(xidOffset, xid)
    this.#frames.raw(frame, 0, length)
    return length
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

/** A request as it will be sent, but for its xid: from here on, the caller's bytes are the caller's again. */
export function requestFrame(request: Request): Space {
  const writer = new Writer()
  writeRequestFrame(writer, 0, request)
  return spaceOf(writer.written())
}
