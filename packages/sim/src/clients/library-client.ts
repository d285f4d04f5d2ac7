/**
 * The real client library on the simulated network, clock and chance. The recorder judges its bytes like anybody's;
 * here its API is judged: every call settles exactly once, in order, with what the wire said.
 */

import {
  Client,
  ConnectionLossError,
  type ObservedReply,
  type Timers,
  type Transport,
  ZkError,
} from '@corral/client'
import type { Random } from '@corral/core'
import { AddWatchMode, encodeUtf8, type Request } from '@corral/protocol'
import { between, chance, exponential, pick } from '../chance.ts'
import type { Recorder } from '../history.ts'
import type { Network } from '../network.ts'
import type { Appointment, Scheduler } from '../scheduler.ts'
import { dial } from './dialer.ts'
import { type Generator, secrets } from './generator.ts'
import type { ClientHabits, SimClient } from './wire-client.ts'

export interface LibraryCounters {
  calls: number
  settled: number
  clients: number
}

export class LibraryClient implements SimClient {
  readonly name: string
  readonly counters: LibraryCounters = { calls: 0, settled: 0, clients: 0 }
  readonly #scheduler: Scheduler
  readonly #network: Network
  readonly #recorder: Recorder
  readonly #random: Random
  readonly #generator: Generator
  readonly #habits: ClientHabits
  readonly #auth: string | undefined
  #client: Client | undefined
  #hangUp: (() => void) | undefined
  #outstanding = 0
  #isQuiescing = false
  #isLastSyncDone = false
  #isLastSyncSent = false
  #think: Appointment | undefined
  #hasLeft = false

  constructor(given: {
    name: string
    scheduler: Scheduler
    network: Network
    recorder: Recorder
    random: Random
    generator: Generator
    habits: ClientHabits
  }) {
    this.name = given.name
    this.#scheduler = given.scheduler
    this.#network = given.network
    this.#recorder = given.recorder
    this.#random = given.random
    this.#generator = given.generator
    this.#habits = given.habits
    this.#auth = chance(given.random, 0.5) ? pick(given.random, secrets) : undefined
  }

  get isQuiet(): boolean {
    return this.#isLastSyncDone && this.#outstanding === 0
  }

  start(): void {
    this.#renew()
  }

  quiesce(): void {
    this.#isQuiescing = true
    this.#goOn()
  }

  leave(): void {
    this.#hasLeft = true
    this.#client = undefined
    this.#hangUp?.()
  }

  /** A session that is over needs a new client. */
  #renew(): void {
    if (this.#hasLeft) return
    this.counters.clients++
    const client = new Client('sim:2181', {
      sessionTimeoutMs: this.#habits.sessionTimeoutMs,
      maxReconnectPauseMs: 100,
      ...(this.#auth === undefined ? {} : { auth: [{ scheme: 'digest', auth: encodeUtf8(this.#auth) }] }),
      transport: this.#transport(),
      timers: this.#timers(),
      random: this.#random.fork(`client ${this.counters.clients}`),
      onState: ({ state }) => {
        if (this.#client !== client) return
        if (state === 'expired' || state === 'closed' || state === 'authFailed') {
          this.#client = undefined
          this.#isLastSyncSent = false
          this.#scheduler.after(exponential(this.#random, 50), `${this.name} begins again`, () =>
            this.#renew(),
          )
        }
      },
    })
    this.#client = client
    client.connect({ timeoutMs: 2 ** 30 }).catch(error => this.#onRejected(error))
    this.#goOn()
  }

  #transport(): Transport {
    return {
      open: (_server, on) => {
        let isClosed = this.#hasLeft
        if (isClosed) return { send: () => undefined, close: () => undefined }
        const closed = (reason: string): void => {
          if (isClosed) return
          isClosed = true
          this.#scheduler.hasPromises = true
          on.closed(reason)
        }
        let send: ((bytes: Uint8Array) => void) | undefined
        const hangUp = dial(this.#network, this.#recorder, this.name, {
          opened: line => {
            if (isClosed) return
            send = bytes => line.send(bytes)
            on.opened()
          },
          received: bytes => {
            this.#scheduler.hasPromises = true
            if (!isClosed) on.received(bytes, 0, bytes.length)
          },
          closed: () => closed('closed by the network'),
        })
        this.#hangUp = () => {
          hangUp()
          this.#scheduler.after(0, `${this.name} is cut off`, () => closed('hung up'))
        }
        return {
          send: bytes => send?.(bytes),
          close: () => {
            isClosed = true
            hangUp()
          },
        }
      },
    }
  }

  #timers(): Timers {
    return {
      nowMs: () => this.#scheduler.nowMs,
      after: (delayMs, run) => {
        const appointment = this.#scheduler.after(delayMs, `${this.name}'s timer`, () => {
          this.#scheduler.hasPromises = true
          run()
        })
        return () => {
          appointment.isCancelled = true
        }
      },
    }
  }

  #goOn(): void {
    if (this.#client === undefined) return
    if (this.#isQuiescing) {
      if (this.#outstanding === 0 && !this.#isLastSyncSent) this.#lastSync(this.#client)
      return
    }
    if (this.#think !== undefined) return
    this.#think = this.#scheduler.after(
      exponential(this.#random, this.#habits.meanThinkMs),
      `${this.name} thinks`,
      () => {
        this.#think = undefined
        this.#scheduler.hasPromises = true
        if (!this.#isQuiescing) this.#thought()
        this.#goOn()
      },
    )
  }

  #lastSync(client: Client): void {
    this.#isLastSyncSent = true
    this.#scheduler.hasPromises = true
    this.#outstanding++
    client.sync('/').then(
      () => {
        this.#outstanding--
        this.#isLastSyncDone = true
      },
      error => {
        this.#outstanding--
        this.#isLastSyncSent = false
        this.#onRejected(error)
        this.#scheduler.after(10, `${this.name} tries again`, () => this.#goOn())
      },
    )
  }

  #thought(): void {
    const client = this.#client
    if (client === undefined) return
    const { hangUp, closeSession, maxPipelined } = this.#habits
    if (chance(this.#random, hangUp)) return this.#hangUp?.()
    if (chance(this.#random, closeSession)) {
      void client.close()
      return
    }
    const count = between(this.#random, 1, maxPipelined) - this.#outstanding
    for (let i = 0; i < count; i++) this.#call(client, this.#generator.next())
  }

  #call(client: Client, request: Request): void {
    this.#scheduler.hasPromises = true
    this.counters.calls++
    this.#outstanding++
    this.#perform(client, request).then(
      reply => {
        this.#settled()
        if (reply !== undefined) this.#generator.learn(request, 0, reply.body)
      },
      error => {
        this.#settled()
        this.#onRejected(error)
        if (error instanceof ZkError) this.#generator.learn(request, error.code, { kind: 'none' })
      },
    )
  }

  #settled(): void {
    this.counters.settled++
    this.#outstanding--
    this.#goOn()
  }

  /** Through the typed calls where they set watches; as it is elsewhere, so that illegal requests reach the server. */
  async #perform(
    client: Client,
    request: Request,
  ): Promise<{ readonly body: ObservedReply['body'] } | undefined> {
    const listener = (): void => undefined
    switch (request.kind) {
      case 'exists':
        await client.exists(request.path, request.watch ? { watch: listener } : {})
        return undefined
      case 'getData':
        await client.getData(request.path, request.watch ? { watch: listener } : {})
        return undefined
      case 'getChildren':
      case 'getChildren2':
        await client.getChildrenWithStat(request.path, request.watch ? { watch: listener } : {})
        return undefined
      case 'addWatch':
        await client.addWatch(request.path, {
          isRecursive: request.mode === AddWatchMode.PersistentRecursive,
          onEvent: listener,
        })
        return undefined
      case 'removeWatches':
        await client.removeWatches(request.path)
        return undefined
      default:
        return await client.request(request)
    }
  }

  #onRejected(error: unknown): void {
    if (!(error instanceof ZkError || error instanceof ConnectionLossError)) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.#recorder.violate('client', `${this.name}: a call failed with ${text}`)
    }
  }
}
