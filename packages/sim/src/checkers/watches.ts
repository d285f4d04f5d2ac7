/**
 * Judges watches: for every connection the model keeps the watch tables that the server must have, from the replies
 * that registered and removed watches, and says for every txn which events must come. In a standalone server the
 * arrivals of a connection are then determined completely: events of a txn come after every reply with a lower zxid
 * and before every reply with the same or a higher one, once, and only to those who may read the node.
 *
 * A connection that broke has lost a suffix, so what is missing after its last arrival proves nothing.
 */
import {
  AddWatchMode,
  ErrorCode,
  EventType,
  hexText,
  Perm,
  parentPath,
  type WatcherEvent,
  WatcherType,
} from '@corral/protocol'
import { brief, canonical } from '../canonical.ts'
import {
  type Arrival,
  type ConnectionRecord,
  describe,
  type History,
  type Op,
  type Violation,
} from '../history.ts'
import { type Identity, isPermitted } from '../model/rules.ts'
import type { Change } from '../model/znodes.ts'
import { identitiesBefore, type Replay } from './witness.ts'

const Mode = { Standard: 1, Persistent: 2, Recursive: 4 } as const

export interface WatchVerdict {
  readonly violations: readonly Violation[]
  /** Events that came and were due. */
  readonly fired: number
}

export function checkWatches(given: {
  readonly history: History
  readonly replay: Replay
  readonly superDigest: string | undefined
}): WatchVerdict {
  const violations: Violation[] = []
  let fired = 0
  for (const connection of given.history.connections) {
    const judge = new ConnectionJudge(connection, given.replay, given.superDigest)
    fired += judge.run()
    violations.push(...judge.violations)
  }
  return { violations, fired }
}

interface Due {
  readonly event: WatcherEvent
  readonly zxid: bigint
}

class ConnectionJudge {
  readonly violations: Violation[] = []
  readonly #connection: ConnectionRecord
  readonly #replay: Replay
  readonly #superDigest: string | undefined
  readonly #data: Map<string, number> = new Map()
  readonly #child: Map<string, number> = new Map()
  #identities: readonly Identity[]
  /** Txns up to here have been looked at. */
  #cursor = 0n
  #due: Due[] = []
  #fired = 0

  constructor(connection: ConnectionRecord, replay: Replay, superDigest: string | undefined) {
    this.#connection = connection
    this.#replay = replay
    this.#superDigest = superDigest
    this.#identities = identitiesBefore(connection, connection.ops[0], superDigest)
  }

  /** @returns how many events were judged right */
  run(): number {
    const { arrivals } = this.#connection
    for (const [i, arrival] of arrivals.entries()) {
      if (this.violations.length > 0) break
      if (arrival.kind === 'reply') this.#onReply(arrival.op)
      else if (arrival.zxid === -1n) this.#onReplayedEvent(i)
      else this.#onEvent(arrival.event, arrival.zxid)
    }
    return this.#fired
  }

  #onReply(op: Op): void {
    const reply = op.reply
    if (reply === undefined) return
    if (op.request.kind === 'auth') {
      // Its place in the order is all that counts: the reply names no zxid.
      const next = this.#connection.ops[this.#connection.ops.indexOf(op) + 1]
      this.#identities = identitiesBefore(this.#connection, next, this.#superDigest)
      return
    }
    this.#advance(reply.header.zxid)
    const missing = this.#due[0]
    if (missing !== undefined) {
      this.#violate(
        'W1',
        `${describe(op)} comes before ${brief(missing.event)} of zxid ${hexText(missing.zxid)}`,
      )
      return
    }
    this.#register(op, reply.header.err)
  }

  #onEvent(event: WatcherEvent, zxid: bigint): void {
    this.#advance(zxid)
    const due = this.#due.shift()
    if (due === undefined || due.zxid !== zxid || canonical(due.event) !== canonical(event)) {
      const expected =
        due === undefined ? 'none is due' : `${brief(due.event)} of ${hexText(due.zxid)} is due`
      this.#violate('W3', `event ${brief(event)} of zxid ${hexText(zxid)} came, ${expected}`)
      return
    }
    this.#fired++
  }

  /** An event that a setWatches found: it stands before that request's reply, in the order of the lists. */
  #onReplayedEvent(index: number): void {
    const { arrivals } = this.#connection
    const reply = arrivals.slice(index).find((arrival: Arrival) => arrival.kind === 'reply')
    if (reply === undefined || reply.kind !== 'reply') return
    const outcome = this.#replay.setWatches.get(reply.op)
    let first = index
    while (first > 0 && isReplayed(arrivals[first - 1])) first--
    const expected = outcome?.events[index - first]
    const arrival = arrivals[index]
    if (arrival?.kind !== 'event') return
    if (expected === undefined || canonical(expected) !== canonical(arrival.event)) {
      const due = expected === undefined ? 'none' : brief(expected)
      this.#violate(
        'W4',
        `event ${brief(arrival.event)} without a zxid came before ${describe(reply.op)}, due is ${due}`,
      )
      return
    }
    this.#fired++
  }

  #register(op: Op, err: number): void {
    const { request } = op
    // It was never looked at.
    if (err === ErrorCode.ThrottledOp) return
    switch (request.kind) {
      case 'exists':
        if (request.watch && (err === 0 || err === ErrorCode.NoNode))
          this.#add(this.#data, request.path, Mode.Standard)
        return
      case 'getData':
        if (request.watch && err === 0) this.#add(this.#data, request.path, Mode.Standard)
        return
      case 'getChildren':
      case 'getChildren2':
        if (request.watch && err === 0) this.#add(this.#child, request.path, Mode.Standard)
        return
      case 'addWatch':
        if (err === 0) this.#addPersistent(request.path, request.mode)
        return
      case 'setWatches':
        this.#onSetWatches(op)
        return
      case 'removeWatches':
        this.#expect(op, this.#remove(request.path, request.type, true) ? 0 : ErrorCode.NoWatcher)
        return
      case 'checkWatches':
        this.#expect(op, this.#remove(request.path, request.type, false) ? 0 : ErrorCode.NoWatcher)
        return
      default:
        return
    }
  }

  #onSetWatches(op: Op): void {
    const outcome = this.#replay.setWatches.get(op)
    if (outcome === undefined || op.request.kind !== 'setWatches') return
    const { arrivals } = this.#connection
    let count = 0
    let at = arrivals.findIndex(arrival => arrival.kind === 'reply' && arrival.op === op) - 1
    while (isReplayed(arrivals[at])) {
      count++
      at--
    }
    if (count !== outcome.events.length) {
      this.#violate(
        'W4',
        `${describe(op)} brought ${count} events, due were ${brief(outcome.events)} for ${brief(op.request)}`,
      )
    }
    for (const path of outcome.data) this.#add(this.#data, path, Mode.Standard)
    for (const path of outcome.child) this.#add(this.#child, path, Mode.Standard)
    for (const path of op.request.persistent?.plain ?? []) this.#addPersistent(path, AddWatchMode.Persistent)
    for (const path of op.request.persistent?.recursive ?? []) {
      this.#addPersistent(path, AddWatchMode.PersistentRecursive)
    }
  }

  #addPersistent(path: string, mode: number): void {
    if (mode === AddWatchMode.PersistentRecursive) {
      this.#add(this.#data, path, Mode.Recursive)
      return
    }
    this.#add(this.#data, path, Mode.Persistent)
    this.#add(this.#child, path, Mode.Persistent)
  }

  /** '' is the root. */
  #add(table: Map<string, number>, path: string, mode: number): void {
    const key = path === '' ? '/' : path
    table.set(key, (table.get(key) ?? 0) | mode)
  }

  /** @returns whether there was something of that type */
  #remove(path: string, type: number, isForGood: boolean): boolean {
    const all = Mode.Standard | Mode.Persistent | Mode.Recursive
    const [data, child] = new Map<number, readonly [number, number]>([
      [WatcherType.Children, [0, Mode.Standard]],
      [WatcherType.Data, [Mode.Standard, 0]],
      [WatcherType.Any, [all, all]],
      [WatcherType.Persistent, [Mode.Persistent, isForGood ? Mode.Persistent : 0]],
      [WatcherType.PersistentRecursive, [Mode.Recursive, 0]],
    ]).get(type) ?? [0, 0]
    const found = ((this.#data.get(path) ?? 0) & data) | ((this.#child.get(path) ?? 0) & child)
    if (isForGood) {
      this.#strike(this.#data, path, data)
      this.#strike(this.#child, path, child)
    }
    return found !== 0
  }

  #strike(table: Map<string, number>, path: string, modes: number): void {
    const left = (table.get(path) ?? 0) & ~modes
    if (left === 0) table.delete(path)
    else table.set(path, left)
  }

  #expect(op: Op, err: number): void {
    const said = op.reply?.header.err
    if (said !== err) this.#violate('watch', `${describe(op)} should be answered with err ${err}`)
  }

  // -- what txns fire

  #advance(zxid: bigint): void {
    while (this.#cursor < zxid) {
      this.#cursor++
      if (this.#data.size + this.#child.size === 0) continue
      for (const change of this.#replay.changes[Number(this.#cursor)] ?? []) this.#fire(change)
    }
  }

  #fire(change: Change): void {
    const { path } = change
    switch (change.kind) {
      case 'created':
        if (this.#hitsData(path)) this.#push(EventType.NodeCreated, path, change.acl)
        break
      case 'dataChanged':
        if (this.#hitsData(path)) this.#push(EventType.NodeDataChanged, path, change.acl)
        return
      case 'deleted': {
        const isDataHit = this.#hitsData(path)
        const isChildHit = this.#hitsChild(path)
        if (isDataHit || isChildHit) this.#push(EventType.NodeDeleted, path, change.acl)
        break
      }
    }
    if (this.#hitsChild(parentPath(path))) {
      this.#push(EventType.NodeChildrenChanged, parentPath(path), change.parentAcl)
    }
  }

  #hitsData(path: string): boolean {
    const modes = this.#data.get(path) ?? 0
    this.#strike(this.#data, path, Mode.Standard)
    if (modes !== 0) return true
    for (let above = path; above !== '/'; ) {
      above = parentPath(above)
      if (((this.#data.get(above) ?? 0) & Mode.Recursive) !== 0) return true
    }
    return false
  }

  #hitsChild(path: string): boolean {
    const modes = this.#child.get(path) ?? 0
    this.#strike(this.#child, path, Mode.Standard)
    return modes !== 0
  }

  #push(type: number, path: string, acl: Change['acl']): void {
    if (!isPermitted(acl, Perm.Read, this.#identities)) return
    this.#due.push({ event: { type, state: 3, path }, zxid: this.#cursor })
  }

  #violate(rule: string, message: string): void {
    const { client, number } = this.#connection
    this.violations.push({ rule, message: `${client}, connection ${number}: ${message}` })
  }
}

function isReplayed(arrival: Arrival | undefined): boolean {
  return arrival?.kind === 'event' && arrival.zxid === -1n
}
