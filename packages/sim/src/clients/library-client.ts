/**
 * The real client library on the simulated network, clock and chance. The recorder judges its bytes like anybody's;
 * here its API is judged: every call settles exactly once, in order, with what the wire said.
 */

import { Client, type ObservedReply, type Timers, type Transport, ZkError } from '@corral/client'
import type { Random } from '@corral/core'
import { AddWatchMode, encodeUtf8, type Request } from '@corral/protocol'
import { between, chance, exponential, pick } from '../chance.ts'
import type { Appointment } from '../scheduler.ts'
import { dial } from './dialer.ts'
import { secrets } from './generator.ts'
import type { ClientGiven, SimClient } from './sim-client.ts'

export interface LibraryCounters {
  calls: number
  settled: number
  clients: number
}

export class LibraryClient implements SimClient {
  readonly name: string
  readonly counters: LibraryCounters = { calls: 0, settled: 0, clients: 0 }
  readonly #given: ClientGiven
  readonly #random: Random
  readonly #auth: string | undefined
  #client: Client | undefined
  #hangUp: (() => void) | undefined
  #outstanding = 0
  #isQuiescing = false
  #isLastSyncDone = false
  #isLastSyncSent = false
  #think: Appointment | undefined
  #hasLeft = false

  constructor(given: ClientGiven) {
    this.name = given.name
    this.#given = given
    this.#random = given.random
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
      sessionTimeoutMs: this.#given.habits.sessionTimeoutMs,
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
          this.#given.scheduler.after(exponential(this.#random, 50), `${this.name} begins again`, () =>
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
          this.#given.scheduler.hasPromises = true
          on.closed(reason)
        }
        let send: ((bytes: Uint8Array) => void) | undefined
        const hangUp = dial(this.#given.network, this.#given.recorder, this.name, {
          opened: line => {
            if (isClosed) return
            send = bytes => line.send(bytes)
            on.opened()
          },
          received: bytes => {
            this.#given.scheduler.hasPromises = true
            if (!isClosed) on.received(bytes, 0, bytes.length)
          },
          closed: () => closed('closed by the network'),
        })
        this.#hangUp = () => {
          hangUp()
          this.#given.scheduler.after(0, `${this.name} is cut off`, () => closed('hung up'))
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
      nowMs: () => this.#given.scheduler.nowMs,
      after: (delayMs, run) => {
        const appointment = this.#given.scheduler.after(delayMs, `${this.name}'s timer`, () => {
          this.#given.scheduler.hasPromises = true
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
    this.#think = this.#given.scheduler.after(
      exponential(this.#random, this.#given.habits.meanThinkMs),
      `${this.name} thinks`,
      () => {
        this.#think = undefined
        this.#given.scheduler.hasPromises = true
        if (!this.#isQuiescing) this.#thought()
        this.#goOn()
      },
    )
  }

  #lastSync(client: Client): void {
    this.#isLastSyncSent = true
    this.#given.scheduler.hasPromises = true
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
        this.#given.scheduler.after(10, `${this.name} tries again`, () => this.#goOn())
      },
    )
  }

  #thought(): void {
    const client = this.#client
    if (client === undefined) return
    const { hangUp, closeSession, maxPipelined } = this.#given.habits
    if (chance(this.#random, hangUp)) return this.#hangUp?.()
    if (chance(this.#random, closeSession)) {
      void client.close()
      return
    }
    const count = between(this.#random, 1, maxPipelined) - this.#outstanding
    for (let i = 0; i < count; i++) this.#call(client, this.#given.generator.next())
  }

  #call(client: Client, request: Request): void {
    this.#given.scheduler.hasPromises = true
    this.counters.calls++
    this.#outstanding++
    this.#perform(client, request).then(
      reply => {
        this.#settled()
        if (reply !== undefined) this.#given.generator.learn(request, 0, reply.body)
      },
      error => {
        this.#settled()
        this.#onRejected(error)
        if (error instanceof ZkError) this.#given.generator.learn(request, error.code, { kind: 'none' })
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
    if (error instanceof ZkError) return
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#given.recorder.violate('client', `${this.name}: a call failed with ${text}`)
  }
}
