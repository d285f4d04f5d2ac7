/** The client library, its user and a hostile server. What must hold is said in {@link run} and in {@link LibraryUser}. */
import { readFileSync } from 'node:fs'
// The package's public names are for its users; the clock is that of its own tests.
import { HandClock } from '../../packages/client/test/scripted-server.ts'
import { callNames, makePlay, readPlay, type Step, writePlay } from './client-play.ts'
import { HostileServer, longestReplyBytes, type Tamper } from './hostile-server.ts'
import { LibraryUser, UserMistake } from './library-user.ts'
import { must, stopwatch, type Target, type Verdict } from './target.ts'

/** What one step may take: far more than a frame within the limit needs, far less than a length that was believed. */
const mostStepBytes = 16 * 1024 * 1024

export const clientTarget: Target = {
  name: 'client',
  seeds: capturedPlays,
  make: makePlay,
  run: async input => {
    const mistakes = new Mistakes()
    try {
      return await run(readPlay(input))
    } finally {
      mistakes.end()
    }
  },
}

/** Each captured conversation: the client asks the same, the server answers the same. */
function capturedPlays(): readonly Uint8Array[] {
  const { vectors } = JSON.parse(readFileSync('test/golden/client-vectors.json', 'utf8')) as {
    vectors: readonly { readonly frames: readonly { readonly from: string; readonly hex: string }[] }[]
  }
  const captured = vectors.map(({ frames }, i): Step[] => {
    const isHandshake = i === 0
    return [
      ['client'],
      ['call', 'connect', '/', '0'],
      ...(isHandshake ? [] : [['serve']]),
      ...frames.map(({ from, hex }) => [from === 'client' ? 'ask' : 'answer', hex.replaceAll(' ', '')]),
    ]
  })
  const everything: Step[] = [
    ['client', 'chroot'],
    ...callNames.map((name, n) => ['call', name, '/a', String(n % 5)]),
    ['serve'],
    ['settle'],
    ...[1, 2, 3, 4].map(type => ['event', String(type), '/app/a', '3', '7']),
    ['hangup'],
    ['serve'],
    ['settle'],
    ['pass', '5000'],
    ['settle'],
    ['close'],
    ['settle'],
  ]
  return [everything, ...captured].map(writePlay)
}

/** Listeners that throw do it in a microtask, as errors that nobody catches: here they are expected. */
class Mistakes {
  readonly #original: typeof queueMicrotask = globalThis.queueMicrotask

  constructor() {
    globalThis.queueMicrotask = task =>
      this.#original(() => {
        try {
          task()
        } catch (error) {
          if (!(error instanceof UserMistake)) throw error
        }
      })
  }

  end(): void {
    globalThis.queueMicrotask = this.#original
  }
}

async function run(steps: readonly Step[]): Promise<Verdict> {
  const stage = new Stage(steps[0] ?? [])
  for (const step of steps.slice(1)) {
    stage.step(step)
    await stage.settleDown()
  }
  await stage.mustRecover()
  const { outcome } = stage
  await stage.mustEnd()
  return { slowestStepMs: stage.slowestStepMs, outcome }
}

/** A client, its user, its servers and its clock. */
class Stage {
  readonly #clock: HandClock = new HandClock()
  readonly #server: HostileServer = new HostileServer(work => this.#enter(work))
  readonly #user: LibraryUser
  slowestStepMs = 0
  #ticks = 0
  #isEntered = false

  constructor(options: Step) {
    this.#user = new LibraryUser(options, {
      transport: this.#server,
      timers: {
        nowMs: () => this.#clock.nowMs(),
        after: (delayMs, run) =>
          this.#clock.after(delayMs, () => {
            this.#ticks += 1
            this.#enter(run)
          }),
      },
      maxReplyBytes: longestReplyBytes,
    })
  }

  get outcome(): string {
    const { state } = this.#user
    return this.#user.answers > 5 ? `${state} and much answered` : state
  }

  step([word, ...args]: Step): void {
    const line = this.#server.newest
    switch (word) {
      case 'call':
        return this.#enter(() => this.#user.call(args))
      case 'ask':
        return this.#enter(() => this.#user.ask(Buffer.from(args[0] ?? '', 'hex')))
      case 'abort':
        return this.#enter(() => this.#user.abort())
      case 'unwatch':
        return this.#enter(() => this.#user.unwatch())
      case 'close':
        return this.#enter(() => void this.#user.close())
      case 'pieces':
        this.#server.pieceBytes = Number(args[0])
        return
      case 'pass':
        return this.#pass(Number(args[0]))
      case 'serve':
        return this.#serve(tamperOf(args))
      case 'settle':
        return this.#settle()
      case 'flap':
        return this.#flap(args[0] ?? '', Number(args[1]))
    }
    if (line === undefined) return
    switch (word) {
      case 'accept':
        return this.#server.accept(line)
      case 'greet':
        this.#server.accept(line)
        return this.#server.greet(line, tamperOf(args))
      case 'reply':
        return this.#server.reply(line, tamperOf(args))
      case 'answer':
        this.#server.accept(line)
        return this.#server.answer(line, Buffer.from(args[0] ?? '', 'hex'))
      case 'say':
        return this.#server.say(line, Buffer.from(args[0] ?? '', 'hex'))
      case 'ping':
        return this.#server.say(line, Buffer.from('00000010fffffffe000000000000000000000000', 'hex'))
      case 'hangup':
        return this.#server.hangUp(line)
      case 'event': {
        const [type, path = '', state, zxid = '0', ...tamper] = args
        const event = { type: Number(type), path: textOf(path), state: Number(state) }
        return this.#server.event(line, event, BigInt(zxid), tamperOf(tamper))
      }
      default:
        throw new Error(`no step is called ${word}`)
    }
  }

  /** Lets promises come to their ends. */
  async settleDown(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve))
    this.#user.mustBeWell()
  }

  /** Whatever was said to it: if its session is not over, it goes on with the next server that is honest. */
  async mustRecover(): Promise<void> {
    this.#server.pieceBytes = longestReplyBytes
    this.#server.zxid = this.#user.lastZxid // one that is behind refuses the client
    for (const line of this.#server.lines) this.#server.hangUp(line)
    for (let attempts = 0; attempts < 6 && !this.#user.isOver; attempts++) {
      this.#enter(() => this.#user.call(['connect', '/', '0']))
      this.#serve()
      this.#enter(() => this.#user.call(['exists', '/probe', '0']))
      this.#settle()
      await this.settleDown()
      if (this.#user.lastAnswered === 'exists /probe') return
      for (const line of this.#server.lines) this.#server.hangUp(line)
    }
    must(this.#user.isOver, `a client goes on with the next honest server, and is not ${this.#user.state}`)
  }

  /** Closed, it settles everything and leaves nothing, whether the server answers or not. */
  async mustEnd(): Promise<void> {
    this.#enter(() => void this.#user.close())
    if (this.#user.answers % 2 === 0) this.#settle()
    this.#pass(2 * this.#user.sessionTimeoutMs)
    await this.settleDown()
    await this.#user.mustHaveSettled()
    must(this.#clock.pending === 0, 'a closed client leaves no timer')
    must(this.#server.newest === undefined, 'a closed client leaves no connection')
  }

  /** The next connection is accepted, and greeted as an honest server does it but for the change. */
  #serve(tamper?: Tamper): void {
    for (let waitedMs = 0; waitedMs < 1500 && this.#server.newest === undefined; waitedMs += 100)
      this.#pass(100)
    const line = this.#server.newest
    if (line === undefined || line.isGreeted) return
    this.#server.accept(line)
    if (!line.isClosed) this.#server.greet(line, tamper)
  }

  /** All servers close every connection: before it is open, before the handshake, or after it. */
  #flap(when: string, ms: number): void {
    const before = this.#server.lines.length
    for (let passedMs = 0; passedMs < ms; passedMs += 10) {
      const line = this.#server.newest
      if (line !== undefined && when !== 'refused') this.#server.accept(line)
      if (line !== undefined && when === 'greeted') this.#server.greet(line)
      if (line !== undefined) this.#server.hangUp(line)
      this.#pass(10)
    }
    const attempts = this.#server.lines.length - before
    must(attempts <= 10 + ms / 50, `no client tries ${attempts} times in ${ms} ms`)
  }

  #settle(): void {
    const line = this.#server.newest
    while (line?.isClosed === false && line.requests.length > 0) this.#server.reply(line)
  }

  #pass(ms: number): void {
    this.#ticks = 0
    this.#clock.advance(ms)
    must(this.#ticks <= 200 + 4 * ms, `${this.#ticks} timers ran out in ${ms} ms`)
  }

  /** What goes into the client is timed, and what memory it takes; a listener's own calls count with what called it. */
  #enter(work: () => void): void {
    if (this.#isEntered) return work()
    this.#isEntered = true
    const before = usedBytes()
    const elapsedMs = stopwatch()
    try {
      work()
    } finally {
      this.#isEntered = false
    }
    this.slowestStepMs = Math.max(this.slowestStepMs, elapsedMs())
    const taken = usedBytes() - before
    must(taken <= mostStepBytes, `no step takes ${taken} bytes`)
  }
}

function usedBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function tamperOf([name, ...values]: Step): Tamper | undefined {
  return name === undefined ? undefined : [name, ...values.map(Number)]
}

function textOf(written: string): string {
  return written === '%' ? '' : decodeURIComponent(written)
}
