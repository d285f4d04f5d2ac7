/** Drives two servers through the same steps and compares everything that comes back. */
import {
  AddWatchMode,
  ErrorCode,
  OpCode,
  opOf,
  type Request,
  sessionId,
  sessionPassword,
  WatcherType,
  Writer,
  writeRequestFrame,
  Xid,
} from '@corral/protocol'
import type { Seen } from './decode.ts'
import type { Divergence, Exchange, WatchClass } from './divergences.ts'
import { fourLetterWord, type InteropServer } from './interop-server.ts'
import { isJavaBefore } from './java-release.ts'
import { Placeholders } from './placeholders.ts'
import { type Handshake, patienceMs } from './raw-client.ts'
import { writeSent } from './sent-frame.ts'
import { Side } from './side.ts'
import { newSession, type Sent, type Step, slotCount } from './steps.ts'

export interface Difference {
  readonly index: number
  readonly step: Step
  readonly sent: readonly Sent[]
  readonly oracle: readonly Seen[]
  readonly subject: readonly Seen[]
}

export interface Outcome {
  readonly difference: Difference | undefined
  readonly operationCount: number
  /** How often each divergence was met, by its id. */
  readonly met: ReadonlyMap<string, number>
  /** How often each pair of opcode and error code was seen. */
  readonly coverage: ReadonlyMap<string, number>
}

/** What both servers agree that a slot is. */
interface SlotState {
  session: number
  nextXid: number
  /** The class registered last. */
  watches: Map<string, WatchClass>
}

/** A connection may hold several watches at a path, of different modes; before 3.9 the last one replaces the others. */
const hasOneModePerPath = isJavaBefore('3.9.0')

/** The slot after the last is the runner's own: it evens out zxids. */
const controlSlot = slotCount

export class LockStep {
  readonly #oracle: Side
  readonly #subject: Side
  readonly #divergences: readonly Divergence[]
  readonly #barrierEvery: number
  readonly #slots: (SlotState | undefined)[] = []
  readonly #placeholders = new Placeholders()
  readonly #met = new Map<string, number>()
  readonly #coverage = new Map<string, number>()
  #operationCount = 0
  #hasDropped = false
  /** A session was just closed: its ephemerals went in the order of a hash set. */
  #isUnordered = false
  #difference: Difference | undefined
  #at = 0

  /** @param barrierEvery - after so many steps every connection is pinged, so that late events are seen */
  constructor(
    oracle: InteropServer,
    subject: InteropServer,
    given: { divergences: readonly Divergence[]; barrierEvery: number },
  ) {
    this.#oracle = new Side(oracle)
    this.#subject = new Side(subject)
    this.#divergences = given.divergences
    this.#barrierEvery = given.barrierEvery
  }

  /** Ends at the first difference that no divergence explains. */
  async run(steps: readonly Step[]): Promise<Outcome> {
    try {
      await this.#connect(newSession(controlSlot))
      for (const [index, step] of steps.entries()) {
        if (this.#difference !== undefined) break
        this.#at = index
        await this.#step(step)
        if ((index + 1) % this.#barrierEvery === 0) await this.#barrier(step)
      }
      const last = steps.at(-1)
      if (last !== undefined) await this.#barrier(last)
    } finally {
      for (const side of this.#sides) for (let slot = 0; slot <= controlSlot; slot++) side.drop(slot)
    }
    return {
      difference: this.#difference,
      operationCount: this.#operationCount,
      met: this.#met,
      coverage: this.#coverage,
    }
  }

  get #newestZxid(): number {
    return Math.max(this.#oracle.lastZxid, this.#subject.lastZxid)
  }

  get #sides(): readonly Side[] {
    return [this.#oracle, this.#subject]
  }

  async #step(step: Step): Promise<void> {
    if (step.do === 'connect') return this.#connect(step)
    const state = this.#slots[step.slot]
    if (state === undefined) {
      if (step.do === 'drop') return
      await this.#connect(newSession(step.slot))
      if (this.#difference === undefined) await this.#step(step)
      return
    }
    switch (step.do) {
      case 'drop':
        await this.#ping(step, step.slot)
        return this.#forget(step.slot)
      case 'badFrame':
        await this.#ping(step, step.slot)
        return this.#badFrame(step)
      case 'mixWatchModes':
        return this.#mixWatchModes(step, state)
      case 'send':
        return this.#send(step, state)
    }
  }

  async #send(step: Step & { do: 'send' }, state: SlotState): Promise<void> {
    const sent = step.sent.map(each => this.#placeholders.resolve(each, this.#newestZxid))
    const conflicts = new Set<string>()
    const wanted = new Map<string, WatchClass>()
    for (const { request, mutation } of sent) {
      if (mutation?.kind === 'flip' || mutation?.kind === 'cut') continue
      for (const [path, watchClass] of watchesOf(request)) {
        const held = wanted.get(path) ?? state.watches.get(path)
        if (held !== undefined && held !== watchClass) conflicts.add(path)
        wanted.set(path, watchClass)
      }
    }
    if (hasOneModePerPath) for (const path of conflicts) await this.#forgetWatches(step, path)
    const isClosing = sent.some(({ request }) => request.kind === 'closeSession')
    if (isClosing) await this.#barrier(step) // what is told from here on is told in no order
    this.#isUnordered = isClosing
    if (this.#difference === undefined) await this.#exchange(step, sent)
    if (isClosing) await this.#barrier(step)
    this.#isUnordered = false
  }

  /** Sends the same bytes to both, compares, learns. */
  async #exchange(step: Step, sent: readonly Sent[]): Promise<void> {
    const state = this.#slots[step.slot]
    if (state === undefined || this.#difference !== undefined) return
    const writer = new Writer()
    for (const each of sent) writeSent(writer, each, each.xid ?? nextXid(state))
    const bytes = writer.written()
    const ops = sent.map(each => each.op ?? opOf(each.request))
    const mayBeSilent = ops.includes(OpCode.Check) && isJavaBefore('3.9.3')
    const before = this.#subject.connections[step.slot]?.lastZxid ?? 0
    const [oracle, subject] = await Promise.all(
      this.#sides.map(side => {
        const connection = side.connections[step.slot]
        if (connection === undefined) throw new Error(`slot ${step.slot} is not connected`)
        return mayBeSilent && side.server.isOracle
          ? side.exchangeAtMost(connection, bytes, ops)
          : side.exchange(connection, bytes, ops)
      }),
    )
    if (sent[0]?.request.kind !== 'ping') this.#operationCount += sent.length
    await this.#compare(step, sent, oracle as Seen[], subject as Seen[], before)
  }

  async #compare(
    step: Step,
    sent: readonly Sent[],
    oracle: Seen[],
    subject: Seen[],
    zxidBefore: number,
  ): Promise<void> {
    const raw = { oracle: structuredClone(oracle), subject: structuredClone(subject) }
    const state = this.#slots[step.slot]
    const paths = new Set<string>()
    let isEnded = false
    const exchange: Exchange = {
      step,
      sent,
      oracle,
      subject,
      zxidBefore,
      zxidNow: Math.max(this.#subject.lastZxid, this.#oracle.lastZxid),
      watchClass: path => state?.watches.get(path),
      isWatchedByOthers: path =>
        this.#slots.some(other => other !== state && other?.watches.has(path) === true),
      probe: request => this.#probe(step.slot, request),
      forgetWatches: path => {
        paths.add(path)
      },
      endConnections: () => {
        isEnded = true
      },
    }
    let isUneven = false
    for (const divergence of this.#divergences) {
      if (await divergence.settle(exchange)) {
        isUneven ||= divergence.mayCostZxid === true
        this.#met.set(divergence.id, (this.#met.get(divergence.id) ?? 0) + 1)
      }
    }
    if (this.#isUnordered) {
      sortLastEvents(oracle)
      sortLastEvents(subject)
    }
    this.#count(sent, oracle)
    if (JSON.stringify(oracle) !== JSON.stringify(subject)) {
      this.#difference = { index: this.#at, step, sent, ...raw }
      return
    }
    this.#learn(step.slot, sent, oracle)
    if (isEnded || oracle.some(seen => seen.kind === 'closed' || seen.kind === 'silent'))
      this.#forget(step.slot)
    else for (const path of paths) await this.#forgetWatches(step, path, false)
    if (isUneven) await this.#evenZxids()
  }

  /** Reads only: asks the oracle alone, without leaving a trace. */
  async #probe(slot: number, request: Request): Promise<number> {
    const connection = this.#oracle.connections[slot]
    const state = this.#slots[slot]
    if (connection === undefined || state === undefined || !connection.isOpen) return ErrorCode.ConnectionLoss
    const writer = new Writer()
    writeSent(writer, { request }, nextXid(state))
    const seen = await this.#oracle.exchange(connection, writer.written(), [opOf(request)])
    const reply = seen.at(-1)
    return reply?.kind === 'reply' ? reply.err : ErrorCode.ConnectionLoss
  }

  /**
   * An allowed difference may cost one side a zxid: the other spends one on nothing. The next one may be further on
   * than that: Java may have taken a zxid without a word.
   */
  async #evenZxids(): Promise<void> {
    await Promise.all(this.#sides.map(side => this.#control(side, { kind: 'ping' })))
    for (;;) {
      const behind = this.#sides.find(side => side.lastZxid < this.#newestZxid)
      if (behind === undefined) return
      await this.#control(behind, { kind: 'multi', ops: [] })
    }
  }

  async #control(side: Side, request: Request): Promise<void> {
    const connection = side.connections[controlSlot]
    if (connection === undefined) throw new Error('the control connection is gone')
    const writer = new Writer()
    writeSent(writer, { request }, 1)
    const [seen] = await side.exchange(connection, writer.written(), [opOf(request)])
    if (seen?.kind !== 'reply') throw new Error('the control connection is not answered')
  }

  #learn(slot: number, sent: readonly Sent[], seen: readonly Seen[]): void {
    const state = this.#slots[slot]
    const replies = seen.filter(each => each.kind === 'reply')
    for (const [i, { request, mutation }] of sent.entries()) {
      const reply = replies[i]
      if (reply === undefined || state === undefined) continue
      if (mutation === undefined || mutation.kind === 'append') {
        for (const [path, watchClass] of watchesOf(request)) state.watches.set(path, watchClass)
        if (request.kind === 'removeWatches' && request.type === WatcherType.Any)
          state.watches.delete(request.path)
      }
      if (reply.err === ErrorCode.Ok) this.#placeholders.learn(request, reply.body)
    }
  }

  #count(sent: readonly Sent[], seen: readonly Seen[]): void {
    const replies = seen.filter(each => each.kind === 'reply')
    for (const [i, { request, op }] of sent.entries()) {
      const reply = replies[i]
      if (reply === undefined) continue
      const name = op === undefined ? request.kind : 'unknown'
      const key = `${name}${request.kind === 'create' ? request.op : ''} ${reply.err}`
      this.#tally(key)
      for (const result of reply.body.results ?? []) {
        if (result.err === 0) continue
        this.#tally(`in ${request.kind} ${result.err}`)
      }
    }
    for (const each of seen) {
      if (each.kind === 'event') this.#tally(`event ${each.type}`)
    }
  }

  #tally(key: string): void {
    this.#coverage.set(key, (this.#coverage.get(key) ?? 0) + 1)
  }

  async #connect(step: Step & { do: 'connect' }): Promise<void> {
    const { slot, how } = step
    if (this.#slots[slot] !== undefined) {
      await this.#ping(step, slot)
      const own = this.#slots[slot]?.session ?? 0
      this.#forget(slot)
      return this.#open(step, how === 'resume' ? own : step.session)
    }
    return this.#open(step, step.session)
  }

  async #open(step: Step & { do: 'connect' }, wantedSession: number): Promise<void> {
    const { slot, how } = step
    if (this.#difference !== undefined) return
    const isReopening =
      (how === 'resume' || how === 'steal' || how === 'wrongPassword') && this.#oracle.sessions.length > 1
    // Session 0 is the runner's own.
    const held = this.#slots.flatMap(state =>
      state === undefined || state.session === 0 ? [] : [state.session],
    )
    const session = !isReopening
      ? 0
      : how === 'wrongPassword' && held.length > 0
        ? (held[wantedSession % held.length] as number)
        : 1 + (wantedSession % (this.#oracle.sessions.length - 1))
    const victim = isReopening ? this.#slots.findIndex(state => state?.session === session) : -1
    if (victim >= 0) await this.#ping(step, victim)
    if (isReopening && this.#hasDropped) await this.#untilDropsAreNoticed()
    const now = this.#newestZxid
    const handshakeOf = (side: Side): Handshake => {
      const id = isReopening ? (side.sessions[session] as bigint) : how === 'unknown' ? 0x1234n : 0n
      const password = sessionPassword(sessionId(id))
      if (how === 'wrongPassword') password[3] = (password[3] as number) ^ 1
      const newPassword = { zeros: new Uint8Array(16), null: null, short: new Uint8Array(3) }[step.password]
      return {
        timeoutMs: step.timeoutMs,
        sessionId: id,
        password: id === 0n ? newPassword : password,
        lastZxidSeen: BigInt(how === 'zxidAhead' ? now + 1000 : isReopening ? now : 0),
        readOnly: step.hasReadOnly ? false : undefined,
      }
    }
    const [oracle, subject] = await Promise.all(this.#sides.map(side => side.open(slot, handshakeOf(side))))
    this.#operationCount++
    const seen = { oracle: oracle as Seen[], subject: subject as Seen[] }
    const connected = seen.oracle[0]
    const isUp = connected?.kind === 'connected' && connected.session !== 'none'
    this.#tally(`connect ${how}: ${connected?.kind}${isUp ? '' : ', refused'}`)
    if (isUp) {
      const index = Number(connected.session.split(' ')[1])
      this.#slots[slot] = { session: index, nextXid: 1, watches: new Map() }
      if (!isReopening || how === 'wrongPassword') this.#raiseZxids()
    }
    if (victim >= 0) await this.#compareVictim(step, victim, isUp, seen)
    await this.#compare(step, [], seen.oracle, seen.subject, 0)
    if (isUp && this.#difference === undefined) await this.#ping(step, slot)
    if (!isUp) this.#forget(slot)
  }

  /**
   * The Java server forgets which connection a session has when it notices the end of an older one only after the
   * session was reopened, and then leaves the connection open after a closeSession.
   */
  async #untilDropsAreNoticed(): Promise<void> {
    const open = this.#oracle.connections.filter(connection => connection?.isOpen === true).length
    for (const deadline = performance.now() + patienceMs; performance.now() < deadline; ) {
      const answer = await fourLetterWord(this.#oracle.server.port, 'srvr')
      const count = Number(/^Connections: (\d+)$/m.exec(answer ?? '')?.[1])
      if (count <= open + 1) break // the question is a connection too
    }
    this.#hasDropped = false
  }

  /** A handshake takes a zxid but does not say so; the ping that follows does. */
  #raiseZxids(): void {
    for (const side of this.#sides) side.lastZxid++
  }

  /** What became of the connection that held the session before. */
  async #compareVictim(
    step: Step & { do: 'connect' },
    victim: number,
    isTaken: boolean,
    seen: { oracle: Seen[]; subject: Seen[] },
  ): Promise<void> {
    const ends = await Promise.all(
      this.#sides.map(async side => {
        const connection = side.connections[victim]
        if (connection === undefined) return []
        // Where the session was not taken over, one more answer shows that the connection lives.
        if (isTaken) return side.untilClosed(connection)
        const writer = new Writer()
        writeRequestFrame(writer, Xid.Ping, { kind: 'ping' })
        return side.exchange(connection, writer.written(), [OpCode.Ping])
      }),
    )
    seen.oracle.push(...(ends[0] ?? []))
    seen.subject.push(...(ends[1] ?? []))
    if (isTaken || step.how === 'wrongPassword') this.#forget(victim)
  }

  async #badFrame(step: Step & { do: 'badFrame' }): Promise<void> {
    if (this.#difference !== undefined) return
    const ends = await Promise.all(
      this.#sides.map(side => {
        const connection = side.connections[step.slot]
        if (connection === undefined) throw new Error(`slot ${step.slot} is not connected`)
        connection.client.send(Buffer.from(step.hex, 'hex'))
        return side.untilClosed(connection)
      }),
    )
    this.#operationCount++
    await this.#compare(step, [], ends[0] ?? [], ends[1] ?? [], 0)
    this.#forget(step.slot)
  }

  async #mixWatchModes(step: Step & { do: 'mixWatchModes' }, state: SlotState): Promise<void> {
    const { path, type } = step
    const requests: Request[] = [
      { kind: 'removeWatches', path, type: WatcherType.Any },
      { kind: 'addWatch', path, mode: AddWatchMode.Persistent },
      { kind: 'addWatch', path, mode: AddWatchMode.PersistentRecursive },
      { kind: 'checkWatches', path, type },
      { kind: 'removeWatches', path, type },
      { kind: 'checkWatches', path, type: WatcherType.Any },
    ]
    await this.#exchange(
      step,
      requests.map(request => ({ request })),
    )
    state.watches.set(path, 'recursive')
    if (this.#difference === undefined) await this.#forgetWatches(step, path, false)
  }

  /** Removes every watch of the slot at `path` on both. */
  async #forgetWatches(step: Step, path: string, isCompared = true): Promise<void> {
    const request: Request = { kind: 'removeWatches', path, type: WatcherType.Any }
    if (isCompared) return this.#exchange(step, [{ request }])
    const state = this.#slots[step.slot]
    if (state === undefined) return
    const writer = new Writer()
    writeSent(writer, { request }, nextXid(state))
    await Promise.all(
      this.#sides.map(async side => {
        const connection = side.connections[step.slot]
        if (connection !== undefined) {
          await side.exchange(connection, writer.written(), [OpCode.RemoveWatches])
        }
      }),
    )
    state.watches.delete(path)
  }

  async #barrier(step: Step): Promise<void> {
    for (let slot = 0; slot < slotCount; slot++) await this.#ping(step, slot)
  }

  async #ping(step: Step, slot: number): Promise<void> {
    if (this.#difference !== undefined) return
    await this.#exchange({ do: 'send', slot, sent: [] }, [{ request: { kind: 'ping' }, xid: Xid.Ping }])
    const difference = this.#difference as Difference | undefined
    if (difference !== undefined) this.#difference = { ...difference, step }
  }

  #forget(slot: number): void {
    this.#slots[slot] = undefined
    this.#hasDropped = true
    for (const side of this.#sides) side.drop(slot)
  }
}

function nextXid(state: SlotState): number {
  return state.nextXid++
}

function watchesOf(request: Request): [string, WatchClass][] {
  switch (request.kind) {
    case 'exists':
    case 'getData':
    case 'getChildren':
    case 'getChildren2':
      return request.watch ? [[request.path, 'standard']] : []
    case 'addWatch':
      return [[request.path, request.mode === AddWatchMode.Persistent ? 'persistent' : 'recursive']]
    case 'setWatches': {
      const { data, exist, child, persistent } = request
      return [
        ...[...data, ...exist, ...child].map((path): [string, WatchClass] => [path, 'standard']),
        ...(persistent?.plain ?? []).map((path): [string, WatchClass] => [path, 'persistent']),
        ...(persistent?.recursive ?? []).map((path): [string, WatchClass] => [path, 'recursive']),
      ]
    }
    default:
      return []
  }
}

/** Those just before the last reply. */
function sortLastEvents(seen: Seen[]): void {
  const to = seen.findLastIndex(each => each.kind === 'reply')
  let from = to
  while (from > 0 && seen[from - 1]?.kind === 'event') from--
  const key = (each: Seen): string => JSON.stringify(each)
  seen.splice(from, to - from, ...seen.slice(from, to).sort((a, b) => (key(a) < key(b) ? -1 : 1)))
}
