/**
 * What happens to a server, as text: one step a line, so that a saved input can be read and cut down by hand.
 *
 *     open 1            a connection opens            send 1 00ff…      it sends these bytes
 *     hangup 1          its client goes away          unsent 1 5000     its socket holds so many bytes back
 *     disk              one answer of the disk        settle            everything that is under way ends
 *     turn              the turn of the loop ends     pass 3000         so many ms go by
 */
import { drawBelow, type Random } from '@corral/core'
import {
  CreateFlags,
  firstSessionId,
  OpCode,
  type Request,
  serverId,
  sessionId,
  sessionPassword,
  Writer,
  writeRequestBody,
  writeRequestFrame,
  type Zxid,
} from '@corral/protocol'
import { chance, drawBytes, joined, mutate, numbers, pick, words } from './mutate.ts'
import { connectFrame } from './watched-server.ts'

export type PlayStep =
  | { readonly do: 'open' | 'hangup'; readonly conn: number }
  | { readonly do: 'send'; readonly conn: number; readonly bytes: Uint8Array }
  | { readonly do: 'unsent'; readonly conn: number; readonly lengthBytes: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'disk' | 'settle' | 'turn' }

export function writePlay(steps: readonly PlayStep[]): Uint8Array {
  return Buffer.from(steps.map(line).join(''))
}

function line(step: PlayStep): string {
  switch (step.do) {
    case 'open':
    case 'hangup':
      return `${step.do} ${step.conn}\n`
    case 'send':
      return `send ${step.conn} ${Buffer.from(step.bytes).toString('hex')}\n`
    case 'unsent':
      return `unsent ${step.conn} ${step.lengthBytes}\n`
    case 'pass':
      return `pass ${step.ms}\n`
    default:
      return `${step.do}\n`
  }
}

export function readPlay(input: Uint8Array): PlayStep[] {
  return Buffer.from(input)
    .toString()
    .split('\n')
    .filter(text => text !== '' && !text.startsWith('#'))
    .map(readStep)
}

function readStep(text: string): PlayStep {
  const [word, first = '', second = ''] = text.split(' ')
  switch (word) {
    case 'open':
    case 'hangup':
      return { do: word, conn: Number(first) }
    case 'send':
      return { do: word, conn: Number(first), bytes: new Uint8Array(Buffer.from(second, 'hex')) }
    case 'unsent':
      return { do: word, conn: Number(first), lengthBytes: Number(second) }
    case 'pass':
      return { do: word, ms: Number(first) }
    case 'disk':
    case 'settle':
    case 'turn':
      return { do: word }
    default:
      throw new Error(`no step is called ${text}`)
  }
}

const connections = 3
const longestPlay = 80

/** A new play, or a known one with changes. */
export function makePlay(
  random: Random,
  known: readonly Uint8Array[],
  request: (random: Random) => Request,
): Uint8Array {
  const isNew = known.length === 0 || chance(random, 2)
  let steps = isNew ? freshPlay(random, request) : readPlay(pick(random, known))
  const changes = drawBelow(random, isNew ? 3 : 6)
  for (let i = 0; i < changes; i++) steps = changePlay(random, steps, request)
  return writePlay(steps.slice(0, longestPlay))
}

function freshPlay(random: Random, request: (random: Random) => Request): PlayStep[] {
  const steps: PlayStep[] = []
  for (let conn = 1; conn <= connections; conn++) {
    steps.push({ do: 'open', conn }, { do: 'send', conn, bytes: connectFrame() }, { do: 'settle' })
  }
  const count = 5 + drawBelow(random, 30)
  for (let i = 0; i < count; i++) steps.push(drawStep(random, request))
  return steps
}

function drawStep(random: Random, request: (random: Random) => Request): PlayStep {
  const conn = 1 + drawBelow(random, connections)
  switch (drawBelow(random, 16)) {
    case 0:
      return { do: 'turn' }
    case 1:
      return { do: 'disk' }
    case 2:
    case 3:
      return { do: 'settle' }
    case 4:
      return { do: 'pass', ms: pick(random, [1, 100, 100, 3000, 11_000, 61_000]) }
    case 5:
      return chance(random, 3) ? { do: 'hangup', conn } : { do: 'open', conn: conn + connections }
    case 6:
      return { do: 'unsent', conn, lengthBytes: pick(random, [0, 0, 1, 5_000, 2_000_000]) }
    case 7:
      return { do: 'send', conn: conn + drawBelow(random, 2) * connections, bytes: handshake(random) }
    default:
      return { do: 'send', conn, bytes: drawFrames(random, request) }
  }
}

/** Sometimes several frames in one piece. */
function drawFrames(random: Random, request: (random: Random) => Request): Uint8Array {
  const frames: Uint8Array[] = []
  do frames.push(drawFrame(random, request))
  while (chance(random, 3))
  return joined(...frames)
}

function drawFrame(random: Random, request: (random: Random) => Request): Uint8Array {
  const w = new Writer()
  const xid = chance(random, 6) ? pick(random, numbers) : 1 + drawBelow(random, 1000)
  if (!chance(random, 8)) {
    writeRequestFrame(w, xid, request(random))
    return w.written()
  }
  // Any opcode over any body.
  const start = w.beginFrame()
  w.int32(xid)
  w.int32(pick(random, numbers))
  if (chance(random, 2)) writeRequestBody(w, request(random))
  else for (const byte of drawBytes(random, drawBelow(random, 40))) w.byte(byte)
  w.endFrame(start)
  return w.written()
}

function handshake(random: Random): Uint8Array {
  if (chance(random, 12))
    return Buffer.from(
      pick(random, ['ruok', 'srvr\n', 'stmk12345678', 'wchc', 'xxxx', 'mntr', '\xff\xf4\xff\xfd']),
      'latin1',
    )
  const timeoutMs = pick(random, [10_000, 10_000, 0, -1, 4000, 0x7fffffff])
  if (!chance(random, 4)) return connectFrame({ timeoutMs })
  const id = sessionId(firstSessionId(serverId(1n), 1_700_000_000_000) + BigInt(drawBelow(random, 4)))
  return connectFrame({
    timeoutMs,
    id: chance(random, 8) ? sessionId(BigInt(random.u32())) : id,
    password: chance(random, 4) ? drawBytes(random, drawBelow(random, 20)) : sessionPassword(id),
    lastZxidSeen: BigInt(pick(random, [0, 0, 1, 5, -1, 0x7fffffff])) as Zxid,
  })
}

function changePlay(
  random: Random,
  steps: readonly PlayStep[],
  request: (random: Random) => Request,
): PlayStep[] {
  const changed = [...steps]
  const at = drawBelow(random, changed.length + 1)
  const step = changed[at]
  switch (drawBelow(random, 6)) {
    case 0:
      changed.splice(at, 1)
      return changed
    case 1:
      changed.splice(at, 0, drawStep(random, request))
      return changed
    case 2: {
      const other = drawBelow(random, changed.length + 1)
      if (step !== undefined) changed.splice(other, 0, step)
      return changed
    }
    case 3:
      if (step?.do === 'send' && step.bytes.length > 1) {
        const cut = 1 + drawBelow(random, step.bytes.length - 1)
        const parts = [step.bytes.subarray(0, cut), step.bytes.subarray(cut)]
        changed.splice(at, 1, ...parts.map(bytes => ({ ...step, bytes })))
      }
      return changed
    default: {
      if (step?.do !== 'send') return changed
      const bytes = mutate(random, step.bytes, [], 4096)
      changed[at] = { ...step, bytes: chance(random, 2) ? withLength(bytes) : bytes }
      return changed
    }
  }
}

/** The first length word set right, so that the change gets behind the framing. */
function withLength(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 4) return bytes
  const right = new Uint8Array(bytes)
  new DataView(right.buffer).setInt32(0, right.length - 4)
  return right
}

/** Any request, with the words of the dictionary in every place. */
export function anyRequest(random: Random): Request {
  const path = (): string =>
    chance(random, 6) ? pick(random, words) : pick(random, ['/', '/a', '/a/b', '/b', '/seq-'])
  const version = (): number => pick(random, [-1, -1, 0, 1, 2, -2, 0x7fffffff])
  const data = (): Uint8Array | null =>
    chance(random, 8) ? null : Buffer.from(pick(random, words).repeat(1 + drawBelow(random, 3)))
  const paths = (): string[] => Array.from({ length: drawBelow(random, 4) }, path)
  const flags = (): number => pick(random, [0, 0, 1, 2, 3, 4, 5, 6, 7, -1])
  switch (drawBelow(random, 20)) {
    case 0:
    case 1:
    case 2:
      return {
        kind: 'create',
        op: pick(random, [OpCode.Create, OpCode.Create, OpCode.Create2, OpCode.CreateContainer]),
        path: path(),
        data: data(),
        acl: anyAcl(random),
        flags: flags(),
      }
    case 3:
      return {
        kind: 'createTtl',
        path: path(),
        data: data(),
        acl: anyAcl(random),
        flags: pick(random, [CreateFlags.PersistentWithTtl, 6, 0, 1]),
        ttlMs: pick(random, [1, 60_000, 0, -1, 0xffffffffff, 2 ** 40]),
      }
    case 4:
    case 5:
      return { kind: 'delete', path: path(), version: version() }
    case 6:
    case 7:
      return { kind: 'setData', path: path(), data: data(), version: version() }
    case 8:
      return { kind: 'setAcl', path: path(), acl: anyAcl(random), version: version() }
    case 9:
      return { kind: pick(random, ['getAcl', 'sync', 'getEphemerals', 'getAllChildrenNumber']), path: path() }
    case 10:
    case 11:
      return {
        kind: pick(random, ['exists', 'getData', 'getChildren', 'getChildren2']),
        path: path(),
        watch: chance(random, 2),
      }
    case 12:
      return { kind: 'multi', ops: Array.from({ length: drawBelow(random, 4) }, () => anyMultiOp(random)) }
    case 13:
      return {
        kind: 'multiRead',
        ops: Array.from({ length: drawBelow(random, 4) }, () => ({
          kind: pick(random, ['getData', 'getChildren'] as const),
          path: path(),
          watch: chance(random, 2),
        })),
      }
    case 14:
      return { kind: 'addWatch', path: path(), mode: pick(random, [0, 1, 1, 2, -1]) }
    case 15:
      return {
        kind: pick(random, ['checkWatches', 'removeWatches']),
        path: path(),
        type: drawBelow(random, 8) - 1,
      }
    case 16: {
      const lists = { data: paths(), exist: paths(), child: paths() }
      const relativeZxid = BigInt(drawBelow(random, 20)) as Zxid
      return chance(random, 2)
        ? { kind: 'setWatches', relativeZxid, ...lists }
        : { kind: 'setWatches', relativeZxid, ...lists, persistent: { plain: paths(), recursive: paths() } }
    }
    case 17:
      return {
        kind: 'auth',
        scheme: pick(random, ['digest', 'digest', 'ip', 'world', 'bogus']),
        auth: data(),
      }
    case 18:
      return pick<Request>(random, [
        {
          kind: 'reconfig',
          joiningServers: pick(random, words),
          leavingServers: null,
          newMembers: null,
          configId: -1n,
        },
        { kind: 'sasl', token: data() },
        { kind: 'closeSession' },
      ])
    default:
      return { kind: pick(random, ['ping', 'whoAmI']) }
  }
}

function anyMultiOp(random: Random): Extract<Request, { kind: 'multi' }>['ops'][number] {
  for (;;) {
    const request = anyRequest(random)
    switch (request.kind) {
      case 'create':
      case 'createTtl':
      case 'delete':
      case 'setData':
        return request
      default:
        if (chance(random, 3)) return { kind: 'check', path: pick(random, words), version: -1 }
    }
  }
}

export function anyAcl(random: Random): Extract<Request, { kind: 'setAcl' }>['acl'] {
  if (chance(random, 12)) return null
  if (chance(random, 2))
    return [{ perms: pick(random, [31, 31, 31, 1, 15, 0, -1]), scheme: 'world', id: 'anyone' }]
  return Array.from({ length: drawBelow(random, 4) }, () => ({
    perms: pick(random, numbers),
    scheme: chance(random, 10) ? null : pick(random, ['digest', 'digest', 'auth', 'ip', pick(random, words)]),
    id: chance(random, 10) ? null : pick(random, words),
  }))
}

/** The requests that quotas are about. */
export function quotaRequest(random: Random): Request {
  if (chance(random, 4)) return anyRequest(random)
  const path = pick(
    random,
    words.filter(word => word.startsWith('/zookeeper/quota') || word.startsWith('/a')),
  )
  const text = Buffer.from(
    chance(random, 3)
      ? `count=${drawBelow(random, 5) - 1},bytes=${drawBelow(random, 40) - 1}=;byteHardLimit=${drawBelow(random, 9) - 1}`
      : pick(random, words),
  )
  return chance(random, 2)
    ? {
        kind: 'create',
        op: OpCode.Create,
        path,
        data: text,
        acl: [{ perms: 31, scheme: 'world', id: 'anyone' }],
        flags: drawBelow(random, 4),
      }
    : { kind: 'setData', path, data: mutate(random, text, [], 200), version: -1 }
}

/** The requests that put ACLs and ids to use. */
export function aclRequest(random: Random): Request {
  const acl = Array.from({ length: 1 + drawBelow(random, 3) }, () => ({
    perms: drawBelow(random, 33),
    scheme: pick(random, ['digest', 'ip', 'auth', 'world', 'super']),
    id: mutatedText(random),
  }))
  switch (drawBelow(random, 5)) {
    case 0:
      return { kind: 'auth', scheme: pick(random, ['digest', 'ip']), auth: Buffer.from(mutatedText(random)) }
    case 1:
      return {
        kind: 'create',
        op: OpCode.Create,
        path: pick(random, ['/a', '/b']),
        data: null,
        acl,
        flags: 0,
      }
    case 2:
      return { kind: 'setAcl', path: pick(random, ['/a', '/b', '/']), acl, version: -1 }
    case 3:
      return { kind: 'getAcl', path: pick(random, ['/a', '/b']) }
    default:
      return anyRequest(random)
  }
}

function mutatedText(random: Random): string {
  return Buffer.from(mutate(random, Buffer.from(pick(random, words)), [], 60)).toString('latin1')
}
