/** The captured conversation of the protocol reference, replayed against running servers. */
import { readFileSync } from 'node:fs'
import { Reader, sessionId, sessionPassword } from '@corral/protocol'
import { expect, test } from 'vitest'
import { startCorral } from './corral-server.ts'
import { decodeConnected, decodeEvent, decodeReply, type Names, type Seen } from './decode.ts'
import { settleNotificationZxids } from './divergences.ts'
import type { InteropServer } from './interop-server.ts'
import { isJavaBefore } from './java-release.ts'
import { startJavaServer } from './java-server.ts'
import { connectFrame, RawClient } from './raw-client.ts'
import { describeWith, java, javaZooKeeper } from './software.ts'

interface Vector {
  readonly id: string
  readonly title: string
  readonly frames: readonly { readonly from: 'client' | 'server'; readonly hex: string }[]
}

const vectors = (
  JSON.parse(readFileSync(new URL('../golden/client-vectors.json', import.meta.url), 'utf8')) as {
    vectors: readonly Vector[]
  }
).vectors

/** V32 to V36 need an ensemble, or SASL. */
const replayed = vectors.slice(0, 31)
if (replayed.length !== 31) throw new Error('the captured conversation is not whole')
const ownConnection = ['V2', 'V3', 'V20', 'V31']
const withoutHandshake = ['V20', 'V31']

describeWith([java, javaZooKeeper], 'the captured conversation, by Apache ZooKeeper', () => {
  test('every reply is as captured: the replay is right', async () => {
    const server = await startJavaServer({ tickTimeMs: 3000 })
    try {
      expect(await replay(server)).toEqual(isJavaBefore('3.9.0') ? asCaptured() : since39(asCaptured()))
    } finally {
      await server.stop()
    }
  })
})

test('the captured conversation, by Corral: every reply is as captured', async () => {
  const server = await startCorral({ tickTimeMs: 3000 })
  try {
    const conversation = asCaptured()
    const replayed = conversation.find(({ id }) => id === 'V25')
    if (replayed === undefined) throw new Error('no V25')
    // /b may only be read by u:p, and the connection has not authenticated again: no event of it leaves.
    replayed.seen = replayed.seen.filter(seen => seen.kind !== 'event' || seen.path !== '/b')

    expect(await replay(server)).toEqual(conversation)
  } finally {
    await server.stop()
  }
})

/** Each vector's server frames, decoded. */
type Conversation = { id: string; title: string; seen: Seen[] }[]

function asCaptured(): Conversation {
  const names = new Naming()
  return replayed.map(({ id, title, frames }) => {
    let op: number | undefined
    const seen: Seen[] = []
    for (const { from, hex } of frames) {
      const frame = bytesOf(hex).subarray(4)
      if (from === 'client') op = opOfFrame(frame)
      else seen.push(names.decode(op, frame))
    }
    return { id, title, seen }
  })
}

/** A write that cannot be read, as that of V29, takes no zxid since 3.9. */
function since39(conversation: Conversation): Conversation {
  for (const { id, seen } of conversation) {
    for (const each of seen) if (each.kind === 'reply' && (id === 'V29' || id === 'V30')) each.zxid--
  }
  return conversation
}

async function replay(server: InteropServer): Promise<Conversation> {
  const names = new Naming()
  const conversation: Conversation = []
  let main = await RawClient.open(server.port)
  let mainSession = 0n
  let lastZxid = 0
  for (const { id, title, frames } of replayed) {
    let client = main
    if (ownConnection.includes(id)) client = await RawClient.open(server.port)
    if (withoutHandshake.includes(id)) {
      client.send(connectFrame())
      await client.next()
    }
    if (id === 'V25') {
      main.drop()
      main = await RawClient.open(server.port)
      client = main
    }
    const seen: Seen[] = []
    for (const { from, hex } of frames) {
      if (from === 'server') continue
      const bytes = bytesOf(hex)
      const op = opOfFrame(bytes.subarray(4))
      client.send(id === 'V25' && op === undefined ? withSession(bytes, mainSession) : bytes)
      for (let isAnswered = false; !isAnswered; ) {
        const frame = await client.next()
        if (frame === undefined) throw new Error(`${id}: the server does not answer`)
        if (id === 'V1') mainSession = Buffer.from(frame).readBigInt64BE(8)
        const decoded = names.decode(op, frame)
        seen.push(decoded)
        isAnswered = decoded.kind !== 'event'
      }
    }
    const zxids = seen.map(each => (each.kind === 'reply' ? each.zxid : 0))
    const now = Math.max(lastZxid, ...zxids)
    if (!server.isOracle || !isJavaBefore('3.9.0')) settleNotificationZxids(seen, id === 'V25', lastZxid, now)
    lastZxid = now
    conversation.push({ id, title, seen })
    if (client !== main) client.drop()
  }
  main.drop()
  return conversation
}

/** What a frame answers, or undefined for a handshake: those have no header, but a protocol version of 0. */
function opOfFrame(frame: Uint8Array): number | undefined {
  const r = new Reader(frame)
  const first = r.int32()
  return first === 0 && frame.length >= 44 ? undefined : r.int32()
}

function bytesOf(hex: string): Uint8Array {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}

/** A captured ConnectRequest with another session's id and password. */
function withSession(bytes: Uint8Array, id: bigint): Uint8Array {
  const changed = Buffer.from(bytes)
  changed.writeBigInt64BE(id, 20)
  changed.set(sessionPassword(sessionId(id)), 32)
  return changed
}

class Naming implements Names {
  readonly #sessions: bigint[] = []
  readonly #times = new Map<bigint, bigint>([[0n, 0n]])

  session(id: bigint): string {
    if (id === 0n) return 'none'
    if (!this.#sessions.includes(id)) this.#sessions.push(id)
    return `session ${this.#sessions.indexOf(id)}`
  }

  time(zxid: bigint, timeMs: bigint): string {
    const known = this.#times.get(zxid)
    if (known === undefined) this.#times.set(zxid, timeMs)
    return known === undefined || known === timeMs ? 'of its txn' : 'not of its txn'
  }

  decode(op: number | undefined, frame: Uint8Array): Seen {
    if (op === undefined) return decodeConnected(frame, this, id => sessionPassword(sessionId(id)))
    return new Reader(frame).int32() === -1 ? decodeEvent(frame) : decodeReply(op, frame, this)
  }
}
