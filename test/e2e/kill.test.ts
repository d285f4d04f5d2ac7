/** The promise that matters most, on the real process: what was acknowledged is there after `kill -9`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  ErrorCode,
  encodeUtf8,
  OpCode,
  openAcl,
  Reader,
  type Request,
  Writer,
  writeRequestFrame,
} from '@corral/protocol'
import { expect, test } from 'vitest'
import { startCorralProcess } from '../interop/corral-server.ts'
import { RawClient } from '../interop/raw-client.ts'

const rounds = 100
const connections = 4
const inFlight = 16

/** What one connection of one round was promised. */
interface Promised {
  readonly home: string
  /** Creates of `n0`, `n1` … acknowledged; one connection's answers come in order. */
  created: number
  /** Of the values that were set on the home itself. */
  lastAcknowledged: number
  lastSent: number
}

test(`kill -9 under load, ${rounds} times: no acknowledged write is lost`, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'corral-kill-'))
  const options = { dataDir, isSyncForced: true }
  const promised: Promised[] = []
  let promisedWrites = 0
  try {
    for (let round = 0; round < rounds; round++) {
      const server = await startCorralProcess(options)
      try {
        await verify(server.port, promised.slice(-connections))
        const batch = await Promise.all(
          Array.from({ length: connections }, (_, i) => Load.start(server.port, `/r${round}c${i}`)),
        )
        // A different moment each time, counted in acknowledged writes instead of time: 5, 22, 39 … 1,000.
        const enough = 5 + ((round * 17) % 1000)
        await Promise.all(batch.map(load => load.until(() => sum(batch) >= enough)))
        await server.kill()
        await Promise.all(batch.map(load => load.ended()))
        promised.push(...batch.map(load => load.promised))
        promisedWrites += sum(batch)
      } finally {
        await server.kill()
      }
    }
    const server = await startCorralProcess(options)
    try {
      await verify(server.port, promised)
    } finally {
      await server.stop()
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }

  expect(promised).toHaveLength(rounds * connections)
  expect(promisedWrites).toBeGreaterThan(20_000)
}, 900_000)

function sum(loads: readonly Load[]): number {
  return loads.reduce((count, load) => count + load.promised.created, 0)
}

/** Pairs of a create below its home and a set of the home to the number of that create. */
class Load {
  readonly promised: Promised
  readonly #client: RawClient
  #sent = 0
  #answered = 0

  private constructor(client: RawClient, home: string) {
    this.#client = client
    this.promised = { home, created: 0, lastAcknowledged: -1, lastSent: -1 }
  }

  static async start(port: number, home: string): Promise<Load> {
    const { client } = await RawClient.connect(port)
    const { header } = await client.request(1, create(home))
    expect(header.err).toBe(ErrorCode.Ok)
    const load = new Load(client, home)
    load.#pump()
    return load
  }

  /** Keeps the connection busy until it is true. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue() && !this.#client.isClosed) {
      await this.#client.until(() => this.#client.frames.length > 0, 100)
      this.#take()
      this.#pump()
    }
  }

  /** Takes what still arrived. */
  async ended(): Promise<void> {
    await this.#client.until(() => this.#client.isClosed)
    this.#take()
    this.#client.drop()
  }

  #pump(): void {
    const writer = new Writer()
    for (; this.#sent - this.#answered < inFlight; this.#sent += 2) {
      const number = this.#sent / 2
      const { home } = this.promised
      writeRequestFrame(writer, 2 + this.#sent, create(`${home}/n${number}`))
      writeRequestFrame(writer, 3 + this.#sent, {
        kind: 'setData',
        path: home,
        data: encodeUtf8(String(number)),
        version: -1,
      })
      this.promised.lastSent = number
    }
    if (writer.at > 0) this.#client.send(writer.written())
  }

  #take(): void {
    for (const frame of this.#client.frames.splice(0)) {
      const r = new Reader(frame)
      expect(r.int32()).toBe(2 + this.#answered)
      r.skip(8)
      expect(r.int32()).toBe(ErrorCode.Ok)
      if (this.#answered % 2 === 0) this.promised.created++
      else this.promised.lastAcknowledged = (this.#answered - 1) / 2
      this.#answered++
    }
  }
}

function create(path: string): Request {
  return { kind: 'create', op: OpCode.Create, path, data: encodeUtf8(path), acl: openAcl, flags: 0 }
}

async function verify(port: number, promised: readonly Promised[]): Promise<void> {
  const { client } = await RawClient.connect(port)
  let xid = 1
  for (const { home, created, lastAcknowledged, lastSent } of promised) {
    const { body } = await client.request(xid++, { kind: 'getChildren', path: home, watch: false })
    const names = new Set(body.kind === 'children' ? body.children : [])
    const missing = Array.from({ length: created }, (_, i) => `n${i}`).filter(name => !names.has(name))
    expect(missing, `below ${home}`).toEqual([])

    const set = await client.request(xid++, { kind: 'getData', path: home, watch: false })
    if (lastAcknowledged >= 0) {
      const value =
        set.body.kind === 'data' ? Number(Buffer.from(set.body.data ?? []).toString()) : Number.NaN
      expect(value, `the value of ${home}`).toBeGreaterThanOrEqual(lastAcknowledged)
      expect(value, `the value of ${home}`).toBeLessThanOrEqual(lastSent)
    }
    if (created > 0) {
      const path = `${home}/n${created - 1}`
      const last = await client.request(xid++, { kind: 'getData', path, watch: false })
      expect(last.body.kind === 'data' ? Buffer.from(last.body.data ?? []).toString() : last.header.err).toBe(
        path,
      )
    }
  }
  client.drop()
}
