/**
 * Somebody who means no good, or knows no better: bytes that are no frames, frames that are no requests, requests
 * that no client sends, connections that say nothing, and strangers' sessions. Nothing of it is judged but that the
 * server lives and that everybody else is served.
 */
import type { Random } from '@corral/core'
import { noSession, OpCode, type SessionId, sessionId, Writer } from '@corral/protocol'
import { between, chance, exponential, pick } from '../chance.ts'
import type { Recorder } from '../history.ts'
import type { Network } from '../network.ts'
import type { Scheduler } from '../scheduler.ts'
import { dial, type Line } from './dialer.ts'
import { connectFrame } from './handshake.ts'

export class HostileClient {
  readonly name: string
  attacks = 0
  readonly #scheduler: Scheduler
  readonly #network: Network
  readonly #random: Random
  readonly #recorder: Recorder
  #isOver = false
  #hangUp: (() => void) | undefined

  constructor(given: {
    name: string
    scheduler: Scheduler
    network: Network
    random: Random
    recorder: Recorder
  }) {
    this.name = given.name
    this.#scheduler = given.scheduler
    this.#network = given.network
    this.#random = given.random
    this.#recorder = given.recorder
  }

  start(): void {
    this.#next(5)
  }

  leave(): void {
    this.#isOver = true
    this.#hangUp?.()
  }

  #next(meanMs: number): void {
    if (this.#isOver) return
    this.#scheduler.after(exponential(this.#random, meanMs), `${this.name} strikes`, () => {
      if (this.#isOver) return
      this.#hangUp?.()
      this.#hangUp = dial(this.#network, undefined, this.name, {
        opened: line => this.#attack(line),
        received: () => {
          if (chance(this.#random, 0.3)) this.#hangUp?.()
        },
        closed: () => undefined,
      })
      this.#next(100)
    })
  }

  #attack(line: Line): void {
    this.attacks++
    const random = this.#random
    switch (between(random, 0, 7)) {
      case 0:
        line.send(this.#noise(between(random, 1, 200)))
        return
      case 1:
        line.send(frame(pick(random, [-1, 0, 2 ** 31 - 1, 2 ** 24, 3]), this.#noise(8)))
        return
      case 2:
        line.send(Buffer.from(pick(random, ['ruok', 'srvr', 'stat', 'cons', 'dump', 'wchp', 'XXXX'])))
        return
      case 3:
        // Silence, for as long as it is allowed.
        return
      case 4:
        line.setReading(false)
        line.send(connectFrame({ timeoutMs: 4000, sessionId: this.#strangerSession() }))
        return
      default:
        line.send(connectFrame({ timeoutMs: 4000 }))
        for (let i = between(random, 1, 10); i > 0; i--) line.send(this.#oddRequest())
    }
  }

  /** Sometimes the session of somebody real, with a wrong password. */
  #strangerSession(): SessionId {
    const known = this.#recorder.connections.map(connection => connection.response?.sessionId ?? noSession)
    return known.length > 0 && chance(this.#random, 0.5)
      ? pick(this.#random, known)
      : sessionId(BigInt(this.#random.u32()))
  }

  #oddRequest(): Uint8Array {
    const random = this.#random
    const ops = [...Object.values(OpCode), 99, -2, 2 ** 31 - 1]
    const w = new Writer()
    w.int32(between(random, -10, 10))
    w.int32(pick(random, ops))
    switch (between(random, 0, 4)) {
      case 0:
        break
      case 1:
        for (const byte of this.#noise(between(random, 0, 60))) w.byte(byte)
        break
      case 2:
        // A path that claims more than there is.
        w.int32(pick(random, [-2, 1000, 2 ** 31 - 1]))
        break
      default:
        w.string(pick(random, ['/', '', '/zookeeper/quota', '/\ud800', '/a\0b', '/..', '//']))
        for (const byte of this.#noise(between(random, 0, 40))) w.byte(byte)
    }
    const body = w.written()
    return frame(body.length, body)
  }

  #noise(lengthBytes: number): Uint8Array {
    const bytes = new Uint8Array(lengthBytes)
    for (let i = 0; i < lengthBytes; i++) bytes[i] = this.#random.u32()
    return bytes
  }
}

function frame(length: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + body.length)
  new DataView(bytes.buffer).setInt32(0, length)
  bytes.set(body, 4)
  return bytes
}
