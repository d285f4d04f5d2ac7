/**
 * The simulated network: connections between clients and the server, each a pair of byte queues.
 *
 * On a connection bytes are FIFO, without gaps or repeats. What can happen is delay, any segmentation, a stall of one
 * direction (clog), a reader that does not read (the window fills, and what did not fit is reported back to the
 * sender as unsent), and a break that loses a suffix of what was sent and that each end notices in its own time, or
 * never (half-open).
 */
import type { Random } from '@corral/core'
import { between, chance, exponential } from './chance.ts'
import type { Appointment, Scheduler } from './scheduler.ts'
import type { Trace } from './trace.ts'

export interface NetworkOptions {
  readonly minLatencyMs: number
  readonly meanLatencyMs: number
  /** whole: as sent. mixed: split and merged at will. bytes: one byte at a time. */
  readonly segmentation: 'whole' | 'mixed' | 'bytes'
  /** Bytes on their way or unread, per direction, before the sender must hold back. */
  readonly windowBytes: number
  /** Probability, per delivery, that a direction stalls. */
  readonly clog: number
  readonly maxClogMs: number
  /** Probability, per delivery, that the connection breaks. */
  readonly break: number
  /** Share of breaks that an end is never told of. */
  readonly halfOpen: number
  readonly refuse: number
}

/** What an end is told. */
export interface EndHandler {
  /** Lent for the call. */
  received(bytes: Uint8Array): void
  /** The other end is gone; nothing follows. */
  closed(): void
  /** What this end sent and the network has not taken; told after it changed. */
  unsent(lengthBytes: number): void
}

/** Whoever accepts connections. @returns the handler of the accepting end, or undefined to reset it */
export type Acceptor = (end: End) => EndHandler | undefined

export interface NetworkCounters {
  connections: number
  refused: number
  breaks: number
  clogs: number
}

const nobody: EndHandler = {
  received(): void {
    return
  },
  closed(): void {
    return
  },
  unsent(): void {
    return
  },
}

/** Without delays and faults. */
export const instantNetwork: NetworkOptions = {
  minLatencyMs: 0,
  meanLatencyMs: 0,
  segmentation: 'whole',
  windowBytes: 10_000_000,
  clog: 0,
  maxClogMs: 0,
  break: 0,
  halfOpen: 0,
  refuse: 0,
}

/** On their way in one direction, however small they are. */
const mostParcels = 256

export class Network {
  readonly counters: NetworkCounters = {
    connections: 0,
    refused: 0,
    breaks: 0,
    clogs: 0,
  }
  readonly scheduler: Scheduler
  readonly trace: Trace
  readonly random: Random
  #options: NetworkOptions
  #acceptor: Acceptor | undefined
  #lastNumber = 0
  readonly #open: Set<Connection> = new Set()

  constructor(given: { scheduler: Scheduler; trace: Trace; random: Random; options: NetworkOptions }) {
    this.scheduler = given.scheduler
    this.trace = given.trace
    this.random = given.random
    this.#options = given.options
  }

  get options(): NetworkOptions {
    return this.#options
  }

  /** From now on nothing goes wrong on its own; what is broken stays broken. */
  heal(): void {
    this.#options = { ...this.#options, clog: 0, break: 0, halfOpen: 0, refuse: 0 }
    for (const connection of this.#open) connection.unclog()
  }

  listen(acceptor: Acceptor | undefined): void {
    this.#acceptor = acceptor
  }

  get openCount(): number {
    return this.#open.size
  }

  /** A connection that exists, drawn at random. */
  anyConnection(random: Random): Connection | undefined {
    if (this.#open.size === 0) return undefined
    let skip = between(random, 0, this.#open.size - 1)
    for (const connection of this.#open) if (skip-- === 0) return connection
    return undefined
  }

  /**
   * @param onResult - told once, later: the near end, or undefined if nobody accepts. It gives the near end's handler.
   */
  connect(onResult: (end: End | undefined) => EndHandler | undefined): void {
    const number = ++this.#lastNumber
    const isRefused = chance(this.random, this.#options.refuse)
    this.scheduler.after(this.latency(), `net ${number} connect`, () => {
      const acceptor = this.#acceptor
      if (acceptor === undefined || isRefused) {
        this.counters.refused++
        onResult(undefined)
        return
      }
      this.counters.connections++
      const connection = new Connection(this, number)
      this.#open.add(connection)
      const accepted = acceptor(connection.server)
      connection.server.handler = accepted ?? nobody
      connection.client.handler = onResult(connection.client) ?? nobody
      if (accepted === undefined) connection.server.abort()
    })
  }

  forget(connection: Connection): void {
    this.#open.delete(connection)
  }

  latency(): number {
    return this.#options.minLatencyMs + exponential(this.random, this.#options.meanLatencyMs)
  }
}

/** Both directions of one connection. */
export class Connection {
  readonly number: number
  readonly client: End
  readonly server: End
  readonly network: Network
  #isBroken = false

  constructor(network: Network, number: number) {
    this.network = network
    this.number = number
    this.client = new End(this, 'client')
    this.server = new End(this, 'server')
  }

  other(end: End): End {
    return end === this.client ? this.server : this.client
  }

  get isBroken(): boolean {
    return this.#isBroken
  }

  unclog(): void {
    this.client.unclog()
    this.server.unclog()
  }

  /**
   * Cuts the connection: of what is on its way in either direction a prefix still arrives.
   *
   * @param notice - who is told; the other end stays half-open until it sends something to a dead peer
   */
  break(notice: { readonly client: boolean; readonly server: boolean }): void {
    if (this.#isBroken) return
    this.#isBroken = true
    const network = this.network
    network.counters.breaks++
    network.trace.text(`break ${this.number}`)
    network.trace.event(() => `net ${this.number} breaks (notice ${JSON.stringify(notice)})`)
    this.client.cut(network.random)
    this.server.cut(network.random)
    for (const [end, isTold] of [
      [this.client, notice.client],
      [this.server, notice.server],
    ] as const) {
      if (isTold) end.tellClosed(network.latency() * 4)
    }
  }

  settle(): void {
    if (this.client.isGone && this.server.isGone) this.network.forget(this)
  }
}

/** One end of a connection: what it sends travels to the other one. */
export class End {
  readonly connection: Connection
  readonly side: 'client' | 'server'
  handler: EndHandler = nobody
  /** This end is closed, or was told that the other one is. */
  #isGone = false
  #isReading = true
  /** Sent, and not yet taken by the network. */
  readonly #waiting: Uint8Array[] = []
  #waitingBytes = 0
  /** Taken and not yet read at the other end. */
  #travellingBytes = 0
  /** Delivered to this end while it does not read. */
  readonly #unread: Uint8Array[] = []
  #lastArrivalMs = 0
  #cloggedUntilMs = 0
  readonly #travelling: { bytes: Uint8Array; appointment: Appointment }[] = []
  #isFinishing = false
  #closing: Appointment | undefined
  /** The other end closed in order: told when everything before it was read. */
  #isEndQueued = false

  constructor(connection: Connection, side: 'client' | 'server') {
    this.connection = connection
    this.side = side
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** @param bytes - copied */
  send(bytes: Uint8Array): void {
    if (this.#isGone || this.#isFinishing) return
    const network = this.connection.network
    if (this.connection.isBroken || this.connection.other(this).isGone) {
      // A half-open end learns of it when it speaks into the void.
      this.tellClosed(2 * network.latency())
      return
    }
    if (bytes.length === 0) return
    this.#waiting.push(new Uint8Array(bytes))
    this.#waitingBytes += bytes.length
    this.#pump()
    if (this.#waitingBytes > 0) this.handler.unsent(this.#waitingBytes)
  }

  setReading(isReading: boolean): void {
    this.#isReading = isReading
    if (isReading && this.#unread.length + (this.#isEndQueued ? 1 : 0) > 0) {
      this.connection.network.scheduler.after(0, `net ${this.connection.number} resumes`, () =>
        this.#readOn(),
      )
    }
  }

  /** After everything sent before it. */
  finish(): void {
    if (this.#isGone || this.#isFinishing) return
    this.#isFinishing = true
    this.#pump()
  }

  /** At once: what the network has not taken is lost, what it has still arrives, or not. */
  abort(): void {
    if (this.#isGone) return
    this.#leave()
    this.cut(this.connection.network.random)
    this.connection.other(this).tellClosed(this.connection.network.latency())
  }

  /** As {@link abort}, without a word to the other end: the machine lost its power. */
  vanish(): void {
    if (this.#isGone) return
    this.#leave()
    for (const parcel of this.#travelling.splice(0)) parcel.appointment.isCancelled = true
  }

  unclog(): void {
    this.#cloggedUntilMs = 0
  }

  clog(forMs: number): void {
    const network = this.connection.network
    network.counters.clogs++
    this.#cloggedUntilMs = Math.max(this.#cloggedUntilMs, network.scheduler.nowMs + forMs)
  }

  /** Drops a suffix of what travels from this end, and all that waits. */
  cut(random: Random): void {
    this.#waiting.length = 0
    this.#waitingBytes = 0
    const keep = between(random, 0, this.#travelling.length)
    for (const parcel of this.#travelling.splice(keep)) parcel.appointment.isCancelled = true
    const last = this.#travelling.at(-1)
    // The cut may fall inside what was one delivery.
    if (last !== undefined) last.bytes = last.bytes.subarray(0, between(random, 0, last.bytes.length))
  }

  tellClosed(delayMs: number): void {
    if (this.#isGone || this.#closing !== undefined) return
    const { network, number } = this.connection
    // A reset may overtake what is on its way to this end; what arrives later is dropped.
    this.#closing = network.scheduler.after(delayMs, `net ${number} ${this.side} closed`, () => {
      if (this.#isGone) return
      this.#leave()
      this.handler.closed()
    })
  }

  #leave(): void {
    this.#isGone = true
    this.#waiting.length = 0
    this.#waitingBytes = 0
    this.#unread.length = 0
    this.connection.settle()
  }

  /** Hands waiting bytes to the network, as far as the window allows. */
  #pump(): void {
    const { network, number } = this.connection
    const { windowBytes } = network.options
    while (
      this.#waiting.length > 0 &&
      this.#travellingBytes < windowBytes &&
      this.#travelling.length < mostParcels
    ) {
      const bytes = this.#nextSegment(windowBytes - this.#travellingBytes)
      this.#travellingBytes += bytes.length
      this.#waitingBytes -= bytes.length
      const arrival = Math.max(
        this.#lastArrivalMs,
        this.#cloggedUntilMs,
        network.scheduler.nowMs + network.latency(),
      )
      this.#lastArrivalMs = arrival
      const parcel = {
        bytes,
        appointment: network.scheduler.at(
          arrival,
          `net ${number} to ${this.connection.other(this).side}`,
          () => {
            this.#travelling.shift()
            this.#arrive(parcel.bytes, bytes.length)
          },
        ),
      }
      this.#travelling.push(parcel)
    }
    if (this.#isFinishing && this.#waiting.length === 0 && !this.#isGone) {
      const delayMs = Math.max(this.#lastArrivalMs - network.scheduler.nowMs, 0) + network.latency()
      const other = this.connection.other(this)
      network.scheduler.after(delayMs, `net ${number} end to ${other.side}`, () => other.endArrives())
      this.#leave()
    }
  }

  #nextSegment(room: number): Uint8Array {
    const { segmentation } = this.connection.network.options
    const random = this.connection.network.random
    const first = this.#waiting[0] as Uint8Array
    let length = first.length
    if (segmentation === 'bytes') length = 1
    else if (segmentation === 'mixed' && chance(random, 0.3)) length = between(random, 1, first.length)
    length = Math.min(length, room)
    if (length < first.length) {
      this.#waiting[0] = first.subarray(length)
      return first.subarray(0, length)
    }
    this.#waiting.shift()
    const second = this.#waiting[0]
    const isMerged = segmentation === 'mixed' && second !== undefined && second.length + length <= room
    if (!isMerged || !chance(random, 0.5)) return first
    this.#waiting.shift()
    const merged = new Uint8Array(length + second.length)
    merged.set(first)
    merged.set(second, length)
    return merged
  }

  #arrive(bytes: Uint8Array, chargedBytes: number): void {
    const { network, number } = this.connection
    const other = this.connection.other(this)
    network.trace.bytes(bytes)
    const atMs = network.scheduler.nowMs
    network.trace.event(() => `${atMs.toFixed(3)} net ${number} ${bytes.length} bytes to ${other.side}`)
    // What does not arrive any more (a cut) does not take room either.
    this.#travellingBytes -= chargedBytes - bytes.length
    if (bytes.length > 0) other.deliver(bytes)
    this.#misfortune()
  }

  /** The network's bad luck is drawn per delivery, so that idle connections cost no events. */
  #misfortune(): void {
    const { network } = this.connection
    const { clog, maxClogMs, halfOpen } = network.options
    if (clog > 0 && chance(network.random, clog)) this.clog(between(network.random, 1, maxClogMs))
    if (network.options.break > 0 && chance(network.random, network.options.break)) {
      const client = !chance(network.random, halfOpen)
      const server = !chance(network.random, halfOpen)
      this.connection.break({ client, server })
    }
  }

  /** Bytes from the other end are here. */
  deliver(bytes: Uint8Array): void {
    if (this.#isGone) return
    if (!this.#isReading || this.#unread.length > 0) {
      this.#unread.push(new Uint8Array(bytes))
      return
    }
    this.connection.other(this).wasRead(bytes.length)
    this.handler.received(bytes)
  }

  endArrives(): void {
    if (this.#isGone) return
    this.#isEndQueued = true
    if (this.#unread.length === 0) this.#readOn()
  }

  #readOn(): void {
    while (this.#isReading && !this.#isGone) {
      const bytes = this.#unread.shift()
      if (bytes === undefined) {
        if (!this.#isEndQueued) return
        this.#leave()
        this.handler.closed()
        return
      }
      this.connection.other(this).wasRead(bytes.length)
      this.handler.received(bytes)
    }
  }

  /** The other end took bytes: the window opens. */
  wasRead(lengthBytes: number): void {
    this.#travellingBytes -= lengthBytes
    if (this.#isGone) return
    const before = this.#waitingBytes
    this.#pump()
    if (before > 0 && !this.#isGone && !this.#isFinishing) this.handler.unsent(this.#waitingBytes)
  }
}
