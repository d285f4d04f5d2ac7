/** Reads the whole tree through a client connection with super rights, for comparison with the model. */
import {
  type Acl,
  cutFrames,
  encodeUtf8,
  FrameTail,
  joinPath,
  opOf,
  Reader,
  type ReplyBody,
  type Request,
  readConnectResponse,
  readReplyFrame,
  type Stat,
  Writer,
  writeRequestFrame,
  Xid,
} from '@corral/protocol'
import { brief, canonical } from '../canonical.ts'
import type { Violation } from '../history.ts'
import { type ModelTree, statOf } from '../model/znodes.ts'
import type { Network } from '../network.ts'
import { superSecret } from '../options.ts'
import { dial, type Line } from './dialer.ts'
import { connectFrame } from './handshake.ts'

interface Seen {
  data: Uint8Array | null
  stat: Stat | undefined
  acl: readonly Acl[]
}

export class Auditor {
  readonly seen: Map<string, Seen> = new Map()
  problem: string | undefined
  readonly #network: Network
  readonly #todo: Request[] = [
    { kind: 'auth', scheme: 'digest', auth: encodeUtf8(superSecret) },
    { kind: 'getChildren2', path: '/', watch: false },
  ]
  #asked: Request | undefined
  #tail: FrameTail = new FrameTail()
  #line: Line | undefined
  #isGreeted = false
  #xid = 0
  #isDone = false

  constructor(network: Network) {
    this.#network = network
  }

  get isDone(): boolean {
    return this.#isDone
  }

  start(): void {
    dial(this.#network, undefined, 'auditor', {
      opened: line => this.#greet(line),
      received: bytes => this.#onReceived(bytes),
      closed: () => this.#end('the connection closed'),
    })
  }

  #greet(line: Line): void {
    this.#line = line
    line.send(connectFrame({ timeoutMs: 60_000 }))
  }

  #onReceived(bytes: Uint8Array): void {
    cutFrames(this.#tail, { bytes, from: 0, to: bytes.length }, 2 ** 30, (space, from, to) => {
      if (!this.#isGreeted) {
        this.#isGreeted = true
        if (readConnectResponse(new Reader(space.bytes, from, to)).timeoutMs <= 0)
          this.#end('the handshake failed')
      } else this.#onReply(space.bytes, from, to)
      this.#askNext()
      return !this.#isDone
    })
  }

  #askNext(): void {
    if (this.#isDone) return
    const request = this.#todo.shift()
    if (request === undefined) return this.#end(undefined)
    this.#asked = request
    const w = new Writer()
    writeRequestFrame(w, request.kind === 'auth' ? Xid.Auth : ++this.#xid, request)
    this.#line?.send(w.written())
  }

  #onReply(bytes: Uint8Array, from: number, to: number): void {
    const request = this.#asked as Request
    const { header, body } = readReplyFrame(opOf(request), bytes, from, to)
    const path = 'path' in request ? request.path : ''
    if (header.err !== 0) return this.#end(`${request.kind} ${path} was refused with ${header.err}`)
    this.#learn(path, body)
  }

  #learn(path: string, body: ReplyBody): void {
    switch (body.kind) {
      case 'children':
        this.seen.set(path, { data: null, stat: body.stat, acl: [] })
        for (const name of body.children) {
          this.#todo.push({ kind: 'getChildren2', path: joinPath(path, name), watch: false })
        }
        this.#todo.push({ kind: 'getData', path, watch: false }, { kind: 'getAcl', path })
        return
      case 'data':
        Object.assign(this.seen.get(path) as Seen, { data: body.data })
        return
      case 'acl':
        Object.assign(this.seen.get(path) as Seen, { acl: body.acl })
        return
      default:
        return
    }
  }

  #end(problem: string | undefined): void {
    if (this.#isDone) return
    this.#isDone = true
    this.problem = problem
    this.#line?.close()
  }
}

/** L2, L3: what was read is the model, znode by znode. */
export function compareWithModel(auditor: Auditor, tree: ModelTree, when: string): readonly Violation[] {
  const violations: Violation[] = []
  const violate = (message: string): void => {
    if (violations.length < 5) violations.push({ rule: 'L2', message: `${when}: ${message}` })
  }
  if (auditor.problem !== undefined) violate(auditor.problem)
  for (const znode of tree.all()) {
    const seen = auditor.seen.get(znode.path)
    if (znode.path.endsWith('/zookeeper_stats') && !tree.quotas.isExact(znode.path)) continue
    const expected: Seen = { data: znode.data, stat: statOf(znode), acl: znode.acl }
    if (seen === undefined) violate(`${znode.path} is missing`)
    else if (canonical(seen) !== canonical(expected)) {
      violate(`${znode.path} should be ${brief(expected)}, and is ${brief(seen)}`)
    }
  }
  for (const path of auditor.seen.keys())
    if (tree.find(path) === undefined) violate(`${path} should not exist`)
  return violations
}
