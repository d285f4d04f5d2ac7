import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Peer } from '@corral/core'
import { afterEach, describe, expect, test } from 'vitest'
import { ChunkPool } from './chunk-pool.ts'
import { javaAddress } from './java-address.ts'
import { ClientSockets, type ReadPath, type SocketEvents } from './net.ts'

type Happened =
  | { kind: 'opened'; conn: number; peer: Peer }
  | { kind: 'received'; conn: number; text: string }
  | { kind: 'unsent'; conn: number; lengthBytes: number }
  | { kind: 'closed'; conn: number }
  | { kind: 'acceptFailed'; reason: string }

/** Collects events, and tells those who wait for one. */
class Recorder implements SocketEvents {
  readonly events: Happened[] = []
  readonly #waiting: { is: (event: Happened) => boolean; tell: (event: Happened) => void }[] = []

  opened(conn: number, peer: Peer): void {
    this.#happen({ kind: 'opened', conn, peer })
  }

  received(conn: number, bytes: Uint8Array, view: DataView, from: number, to: number): void {
    expect(view.byteLength).toBe(bytes.length)
    this.#happen({ kind: 'received', conn, text: Buffer.from(bytes.subarray(from, to)).toString('latin1') })
  }

  unsent(conn: number, lengthBytes: number): void {
    this.#happen({ kind: 'unsent', conn, lengthBytes })
  }

  closed(conn: number): void {
    this.#happen({ kind: 'closed', conn })
  }

  acceptFailed(reason: string): void {
    this.#happen({ kind: 'acceptFailed', reason })
  }

  until(is: (event: Happened) => boolean): Promise<Happened> {
    const found = this.events.find(is)
    return found === undefined
      ? new Promise(tell => this.#waiting.push({ is, tell }))
      : Promise.resolve(found)
  }

  #happen(event: Happened): void {
    this.events.push(event)
    for (const { is, tell } of this.#waiting) if (is(event)) tell(event)
  }
}

const toClose: { shutDown(): Promise<void> }[] = []

afterEach(async () => {
  for (const each of toClose.splice(0)) await each.shutDown()
})

interface Listening {
  readonly sockets: ClientSockets
  readonly pool: ChunkPool
  readonly recorder: Recorder
  readonly port: number
}

async function listening(readPath: ReadPath = 'onread', mostConnections?: number): Promise<Listening> {
  const pool = new ChunkPool()
  const sockets = new ClientSockets({ pool, readPath })
  const recorder = new Recorder()
  toClose.push(sockets)
  const options = { host: '127.0.0.1', port: 0, backlog: undefined, hasKeepAlive: false, mostConnections }
  const { port } = await sockets.listen(options, recorder)
  return { sockets, pool, recorder, port }
}

function send({ sockets, pool }: Listening, conn: number, text: string): void {
  const chunk = pool.take(text.length)
  const lengthBytes = Buffer.from(chunk.bytes.buffer).write(text, 'latin1')
  sockets.send(conn, chunk, lengthBytes)
}

function textFrom(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    socket.on('data', data => {
      text += data.toString('latin1')
    })
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })
}

const mebibyte = 1024 * 1024

/** How much it takes differs from machine to machine. */
function isKernelFull({ recorder }: Listening): boolean {
  return recorder.events.some(({ kind }) => kind === 'unsent')
}

/** The next bytes, so many. */
async function readFrom(socket: Socket, lengthBytes: number): Promise<void> {
  for (let left = lengthBytes; left > 0; ) {
    const piece: Buffer | null = socket.read(Math.min(left, socket.readableLength || left))
    if (piece === null) await once(socket, 'readable')
    else left -= piece.length
  }
}

describe.each(['onread', 'data'] as const)('reading by %s', readPath => {
  test('bytes arrive, an answer returns, and the end is reported once', async () => {
    const at = await listening(readPath)
    const client = connect(at.port, '127.0.0.1')
    client.write('hello')

    await at.recorder.until(event => event.kind === 'received' && event.text === 'hello')
    send(at, 1, 'answer')
    const heard = await new Promise(resolve => client.once('data', data => resolve(data.toString())))
    client.destroy()
    await at.recorder.until(event => event.kind === 'closed')

    expect(heard).toBe('answer')
    expect(at.recorder.events.map(({ kind }) => kind)).toEqual(['opened', 'received', 'closed'])
    expect(at.recorder.events[0]).toMatchObject({
      conn: 1,
      peer: { address: '127.0.0.1', port: expect.any(Number) },
    })
  })

  test('a peer that ends its side first still gets the whole answer', async () => {
    const at = await listening(readPath)
    const client = connect({ port: at.port, host: '127.0.0.1', allowHalfOpen: true })
    client.end('ruok\n')

    await at.recorder.until(event => event.kind === 'received')
    at.sockets.awaitAnswer(1)
    const whole = textFrom(client)
    setImmediate(() => {
      send(at, 1, 'x'.repeat(300_000))
      at.sockets.close(1, 'flush')
    })

    expect((await whole).length).toBe(300_000)
    expect(at.recorder.events.some(({ kind }) => kind === 'closed')).toBe(false)
  })

  test('a connection that is not read says nothing until it is read again', async () => {
    const at = await listening(readPath)
    const client = connect(at.port, '127.0.0.1')
    await at.recorder.until(event => event.kind === 'opened')
    at.sockets.setReading(1, 'off')
    client.write('later')
    const other = connect(at.port, '127.0.0.1')
    other.write('other')
    await at.recorder.until(event => event.kind === 'received' && event.conn === 2)

    expect(at.recorder.events.some(event => event.kind === 'received' && event.conn === 1)).toBe(false)
    at.sockets.setReading(1, 'on')
    const received = await at.recorder.until(event => event.kind === 'received' && event.conn === 1)

    expect(received).toMatchObject({ text: 'later' })
    client.destroy()
    other.destroy()
  })
})

describe('writing', () => {
  test('what the kernel does not take is reported, then that it is gone, and all of it arrives', async () => {
    const at = await listening()
    const client = connect(at.port, '127.0.0.1')
    client.pause()
    await at.recorder.until(event => event.kind === 'opened')
    const piece = 'x'.repeat(mebibyte)
    let sentBytes = 0
    for (; !isKernelFull(at); sentBytes += piece.length) send(at, 1, piece)

    let lengthBytes = 0
    client.on('data', data => {
      lengthBytes += data.length
    })
    client.resume()
    await at.recorder.until(event => event.kind === 'unsent' && event.lengthBytes === 0)
    at.sockets.close(1, 'flush')
    await new Promise(resolve => client.once('end', resolve))

    expect(lengthBytes).toBe(sentBytes)
  })

  test('a chunk that was taken at once is used again, one that waits is not', async () => {
    const at = await listening()
    const client = connect(at.port, '127.0.0.1')
    client.pause()
    await at.recorder.until(event => event.kind === 'opened')
    const first = at.pool.take(10)
    at.sockets.send(1, first, 10)
    at.sockets.flush()
    const again = at.pool.take(10)

    expect(again === first).toBe(true)
    while (!isKernelFull(at)) at.sockets.send(1, at.pool.take(1024 * 1024), 1024 * 1024)
    const waiting = at.pool.take(1024 * 1024)
    at.sockets.send(1, waiting, 1024 * 1024)
    expect(at.pool.take(1024 * 1024) === waiting).toBe(false)
    at.sockets.close(1, 'abort')
    client.destroy()
  })

  test('chunks come back from a stream that is never empty', async () => {
    const at = await listening()
    const given: Set<object> = new Set()
    const putBack = at.pool.putBack.bind(at.pool)
    at.pool.putBack = chunk => {
      given.delete(chunk)
      putBack(chunk)
    }
    const client = connect(at.port, '127.0.0.1')
    await at.recorder.until(event => event.kind === 'opened')
    const unsent = () => at.recorder.events.findLast(event => event.kind === 'unsent')?.lengthBytes ?? 0
    for (let read = 0; read < 256 * mebibyte; read += mebibyte) {
      do {
        const chunk = at.pool.take(mebibyte)
        given.add(chunk)
        at.sockets.send(1, chunk, mebibyte)
      } while (unsent() < 8 * mebibyte)
      await readFrom(client, mebibyte)
    }

    // What the stream has, what the kernel has, and what the stream gave the kernel in one go.
    expect(given.size).toBeLessThan(128)
    at.sockets.close(1, 'abort')
    client.destroy()
  })

  test('bytes taken in part, then by the stream, arrive in order', async () => {
    const at = await listening()
    const client = connect(at.port, '127.0.0.1')
    client.pause()
    await at.recorder.until(event => event.kind === 'opened')
    let sent = ''
    while (!isKernelFull(at)) {
      const text = `${sent.length},`.repeat(50_000)
      sent += text
      send(at, 1, text)
    }
    send(at, 1, 'end')
    at.sockets.close(1, 'flush')

    const whole = textFrom(client)
    client.resume()
    expect((await whole) === `${sent}end`).toBe(true)
  })

  test('an error of the write ends the connection, and is told once', async () => {
    const at = await listening()
    const client = connect(at.port, '127.0.0.1')
    await at.recorder.until(event => event.kind === 'opened')
    at.sockets.setReading(1, 'off')
    client.resetAndDestroy()
    await new Promise(resolve => client.once('close', resolve))
    send(at, 1, 'to nobody')
    await at.recorder.until(event => event.kind === 'closed')
    send(at, 1, 'to nobody')

    expect(at.recorder.events.filter(({ kind }) => kind === 'closed').length).toBe(1)
  })

  test('sending to a connection that is gone does nothing', async () => {
    const at = await listening()
    const client = connect(at.port, '127.0.0.1')
    await at.recorder.until(event => event.kind === 'opened')
    client.destroy()
    await at.recorder.until(event => event.kind === 'closed')

    send(at, 1, 'late')
    at.sockets.close(1, 'flush')

    expect(at.recorder.events.map(({ kind }) => kind)).toEqual(['opened', 'closed'])
  })
})

test('a connection over the limit is closed unseen, and said; the next one is welcome when there is room', async () => {
  const at = await listening('onread', 1)
  const first = connect(at.port, '127.0.0.1')
  await at.recorder.until(event => event.kind === 'opened')
  const second = connect(at.port, '127.0.0.1')
  await new Promise(resolve => second.once('close', resolve))
  first.destroy()
  await at.recorder.until(event => event.kind === 'closed')

  const third = connect(at.port, '127.0.0.1')
  await at.recorder.until(event => event.kind === 'opened' && event.conn === 2)

  expect(at.recorder.events.map(({ kind }) => kind)).toEqual(['opened', 'acceptFailed', 'closed', 'opened'])
  third.destroy()
})

describe('closing', () => {
  test('a peer that never closes its side is cut off by the sweep', async () => {
    const at = await listening()
    const client = connect({ port: at.port, host: '127.0.0.1', allowHalfOpen: true })
    await at.recorder.until(event => event.kind === 'opened')
    at.sockets.close(1, 'flush')
    const closed = new Promise<string>(resolve => {
      client.on('error', error => resolve(error.message))
      client.on('close', () => resolve('closed'))
    })
    at.sockets.sweep(0)
    at.sockets.sweep(4999)
    at.sockets.sweep(5000)
    client.resume()
    const poke = setInterval(() => client.write('still here'), 5) // a cut connection answers with a reset

    expect(await closed).toMatch(/closed|ECONNRESET|EPIPE/)
    clearInterval(poke)
  })

  test('shutting down leaves no handle and lets what was sent arrive', async () => {
    const at = await listening()
    const client = connect(at.port, '127.0.0.1')
    const whole = textFrom(client)
    await at.recorder.until(event => event.kind === 'opened')
    send(at, 1, 'last words')
    await at.sockets.shutDown()

    expect(await whole).toBe('last words')
    expect(at.sockets.has(1)).toBe(false)
  })

  test('a port in use rejects', async () => {
    const at = await listening()
    const second = new ClientSockets({ pool: new ChunkPool() })
    const options = { host: '127.0.0.1', port: at.port, backlog: undefined, hasKeepAlive: false }

    await expect(second.listen(options, at.recorder)).rejects.toThrow('EADDRINUSE')
  })
})

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::1', '0:0:0:0:0:0:0:1'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['fe80::1:0:2%eth0', 'fe80:0:0:0:0:1:0:2%eth0'],
  ['2001:db8::', '2001:db8:0:0:0:0:0:0'],
  ['::', '0:0:0:0:0:0:0:0'],
  ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
])('%s is %s to Java', (address, java) => {
  expect(javaAddress(address)).toBe(java)
})
