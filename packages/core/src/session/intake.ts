/**
 * Bytes in, frames out: cuts what a connection sends, recognises the first frame (a connect request or a four-letter
 * word), and stops where the connection is paused. What cannot be a frame closes that connection, and only that.
 */
import { badFrame, frameLength, partialFrame, type Space } from '@corral/protocol'
import type { ServerConfig } from '../config.ts'
import type { Connection } from './connection.ts'
import { fourLetterWord, stmkArgumentBytes, telnetInterrupt } from './four-letter-words.ts'

/** All that may be buffered for a connection before it has a session. */
const longestFirstFrame = 64 * 1024 - 4

export interface IntakeHost {
  connect(connection: Connection, space: Space, from: number, to: number): void
  request(connection: Connection, space: Space, from: number, to: number): void
  command(connection: Connection, word: number, argument: Uint8Array): void
  abort(connection: Connection): void
  badLength(connection: Connection, length: number): void
}

export class Intake {
  readonly #maxFrameBytes: number
  readonly #host: IntakeHost

  constructor(config: ServerConfig, host: IntakeHost) {
    this.#maxFrameBytes = config.maxFrameBytes
    this.#host = host
  }

  /** Takes bytes that are only lent. */
  receive(connection: Connection, space: Space, from: number, to: number): void {
    const { tail } = connection
    if (connection.phase === 'ending' || connection.phase === 'command') return
    if (connection.paused !== 0) {
      tail.append(space.bytes, from, to)
      return
    }
    if (tail.lengthBytes === 0) {
      const at = this.#cut(connection, space, from, to)
      if (at < to && this.#isReading(connection)) tail.append(space.bytes, at, to)
      return
    }
    tail.append(space.bytes, from, to)
    this.resume(connection)
  }

  /** Goes on with what was left in the tail. */
  resume(connection: Connection): void {
    const { tail } = connection
    const to = tail.lengthBytes
    if (to === 0) return
    const at = this.#cut(connection, tail.space, 0, to)
    tail.consume(this.#isReading(connection) ? at : to)
  }

  /** @returns where the bytes begin that are not used yet */
  #cut(connection: Connection, space: Space, from: number, to: number): number {
    let at = from
    while (this.#isReading(connection) && connection.paused === 0) {
      const isFirst = connection.phase === 'fresh'
      if (isFirst && to - at >= 4 && this.#isCommand(connection, space, at, to)) return at
      const most = isFirst ? Math.min(longestFirstFrame, this.#maxFrameBytes) : this.#maxFrameBytes
      const length = frameLength(space.view, at, to, most)
      if (length === partialFrame) return at
      if (length === badFrame) {
        this.#host.badLength(connection, space.view.getInt32(at))
        return to
      }
      at += 4
      if (isFirst) this.#host.connect(connection, space, at, at + length)
      else this.#host.request(connection, space, at, at + length)
      at += length
    }
    return at
  }

  #isReading(connection: Connection): boolean {
    return connection.phase !== 'ending' && connection.phase !== 'command'
  }

  /** @returns true if these bytes are, or will be, a four-letter word */
  #isCommand(connection: Connection, space: Space, at: number, to: number): boolean {
    const number = space.view.getInt32(at)
    if (number === telnetInterrupt) {
      this.#host.abort(connection)
      return true
    }
    const word = fourLetterWord(number)
    if (word === undefined) return false
    const argumentTo = at + 4 + (word === 'stmk' ? stmkArgumentBytes : 0)
    if (argumentTo <= to) this.#host.command(connection, number, space.bytes.slice(at + 4, argumentTo))
    return true
  }
}
