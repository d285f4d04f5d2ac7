/**
 * Drives a {@link SessionMachine}: the sockets and timers it asks for. Both are handed in, so that a
 * simulator can drive the same machine, and the same `Client`, over a network and a clock of its own.
 */

import { connect } from 'node:net'
import { Fifo } from '@corral/protocol'
import type { ServerAddress } from './connect-string.ts'
import type { ConnectionId, Random, SessionEffect, SessionEvent } from './session-events.ts'
import type { SessionMachine } from './session-machine.ts'

/**
 * Makes connections. Exactly one `opened` or `closed` comes first; nothing comes after `closed`, or after
 * `close()`.
 */
export interface Transport {
  /** Must not call back before it returns. */
  open(server: ServerAddress, on: TransportEvents): Connection
}

/** What happens to a connection. */
export interface TransportEvents {
  opened(): void
  /** Lent: only until it returns. */
  received(bytes: Uint8Array, from: number, to: number): void
  closed(reason: string): void
}

/** An open connection, or one that is being opened. */
export interface Connection {
  /** The bytes are given away. */
  send(bytes: Uint8Array): void
  close(): void
}

/** A clock, and calls at a later time. */
export interface Timers {
  /** Monotonic. */
  nowMs(): number
  /** A delay that is too long to count may end early, but not at once. @returns cancels it */
  after(delayMs: number, run: () => void): () => void
}

/** The effects that are not the driver's own. */
export type DriverEffect = Extract<SessionEffect, { kind: 'state' | 'settled' | 'fired' }>

/** `setTimeout` takes no more: it would end at once. */
const longestDelayMs = 0x7fffffff

/** Feeds a machine what happened and does what it asks for; the only caller of its `step`. */
export class SocketDriver {
  readonly #machine: SessionMachine
  readonly #transport: Transport
  readonly #timers: Timers
  readonly #onEffect: (effect: DriverEffect) => void
  /**
   * What happened while effects were being carried out: a listener that makes a call does not re-enter the
   * machine.
   */
  readonly #waiting: Fifo<SessionEvent> = new Fifo()
  #isBusy = false
  readonly #open: Map<ConnectionId, Connection> = new Map()
  #timer: { readonly atMs: number; cancel(): void } | undefined

  constructor(given: {
    readonly machine: SessionMachine
    readonly transport: Transport
    readonly timers: Timers
    readonly onEffect: (effect: DriverEffect) => void
  }) {
    this.#machine = given.machine
    this.#transport = given.transport
    this.#timers = given.timers
    this.#onEffect = given.onEffect
  }

  /** Hands in what happened, and carries out what follows. */
  dispatch(event: SessionEvent): void {
    if (this.#isBusy) {
      this.#waiting.push(event.kind === 'received' ? owned(event) : event)
      return
    }
    this.#isBusy = true
    try {
      for (let next: SessionEvent | undefined = event; next !== undefined; next = this.#waiting.shift()) {
        for (const effect of this.#machine.step(this.#timers.nowMs(), next)) this.#carryOut(effect)
      }
    } finally {
      this.#isBusy = false
    }
    this.#arm()
  }

  #carryOut(effect: SessionEffect): void {
    switch (effect.kind) {
      case 'connect':
        this.#connect(effect.connection, effect.server)
        return
      case 'send':
        this.#open.get(effect.connection)?.send(effect.bytes)
        return
      case 'disconnect':
        this.#open.get(effect.connection)?.close()
        this.#open.delete(effect.connection)
        return
      default:
        this.#onEffect(effect)
    }
  }

  #connect(id: ConnectionId, server: ServerAddress): void {
    const connection = this.#transport.open(server, {
      opened: () => this.dispatch({ kind: 'opened', connection: id }),
      received: (bytes, from, to) => this.dispatch({ kind: 'received', connection: id, bytes, from, to }),
      closed: reason => {
        this.#open.delete(id)
        this.dispatch({ kind: 'closed', connection: id, reason })
      },
    })
    this.#open.set(id, connection)
  }

  /**
   * A timer that is too early only costs a tick; so it moves when the deadline comes nearer, not at each
   * frame.
   */
  #arm(): void {
    const atMs = this.#machine.deadlineMs
    if (atMs === Infinity) {
      this.#timer?.cancel()
      this.#timer = undefined
      return
    }
    if (this.#timer !== undefined && this.#timer.atMs <= atMs) return
    this.#timer?.cancel()
    const delayMs = Math.max(0, Math.ceil(atMs - this.#timers.nowMs()))
    const cancel = this.#timers.after(delayMs, () => {
      this.#timer = undefined
      this.dispatch({ kind: 'tick' })
    })
    this.#timer = { atMs, cancel }
  }
}

/** Lent bytes do not outlive the call they came in. */
function owned(event: Extract<SessionEvent, { kind: 'received' }>): SessionEvent {
  const bytes = new Uint8Array(event.bytes.subarray(event.from, event.to)) // the slice of a Buffer shares its memory
  return { ...event, bytes, from: 0, to: bytes.length }
}

/**
 * Connections over TCP. Names that stand for several addresses are tried one after the other by Node itself.
 */
export const tcpTransport: Transport = {
  open(server, on) {
    const socket = connect({ host: server.host, port: server.port, noDelay: true })
    let isClosed = false
    const unwritten: Uint8Array[] = []
    let failure: Error | undefined
    socket.on('connect', () => {
      if (!isClosed) on.opened()
    })
    socket.on('data', chunk => {
      // Not as a Buffer, whose slice() shares memory where that of other arrays copies.
      const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length)
      if (!isClosed) on.received(bytes, 0, bytes.length)
    })
    socket.on('error', error => {
      failure = error
    })
    socket.on('close', () => {
      if (isClosed) return
      isClosed = true
      on.closed(failure === undefined ? 'the server closed the connection' : causeOf(failure))
    })
    return {
      send(bytes) {
        // Calls made in one go leave in one write.
        if (unwritten.push(bytes) > 1) return
        process.nextTick(() => {
          if (!isClosed) socket.write(Buffer.concat(unwritten))
          unwritten.length = 0
        })
      },
      close() {
        isClosed = true
        socket.destroy()
      },
    }
  },
}

/**
 * What went wrong, in words. Of several addresses of one name, Node says only that all failed, with no message.
 *
 * @internal
 */
export function causeOf(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message
  return error.errors.map(each => (each instanceof Error ? each.message : String(each))).join(', ')
}

/** Node's own clock and timers. */
export const nodeTimers: Timers = {
  nowMs: () => performance.now(),
  after(delayMs, run) {
    // Node runs timers before it reads sockets. After a stall the bytes that already arrived must be heard
    // first, or a live server would be taken for a silent one.
    let immediate: NodeJS.Immediate | undefined
    const timeout = setTimeout(
      () => {
        immediate = setImmediate(run)
      },
      Math.min(delayMs, longestDelayMs),
    )
    return () => {
      clearTimeout(timeout)
      if (immediate !== undefined) clearImmediate(immediate)
    }
  },
}

/** For use outside simulations. */
export const unseededRandom: Random = { u32: () => Math.floor(Math.random() * 0x1_0000_0000) }
