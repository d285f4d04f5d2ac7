/**
 * What a connection may begin with, and what may follow: bytes, sent to both servers. What comes back is told frame by
 * frame; where a connection stays, a last request shows that it does.
 */
import { OpCode, Writer, writeRequestFrame } from '@corral/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCorral, startCorralProcess } from './corral-server.ts'
import type { InteropServer } from './interop-server.ts'
import { startJavaServer } from './java-server.ts'
import { byte, type Field, int, long, text } from './odd-frames.ts'
import { RawClient } from './raw-client.ts'
import { describeWith, java, javaZooKeeper } from './software.ts'

/** A frame of these fields, its length before it. */
function frame(...fields: readonly Field[]): Buffer {
  const w = new Writer()
  const start = w.beginFrame()
  for (const field of fields) field(w)
  w.endFrame(start)
  return Buffer.from(w.written())
}

const request = (xid: number, op: number, ...fields: readonly Field[]): Buffer =>
  frame(int(xid), int(op), ...fields)

const zeros = (count: number): Field => text(new Array<number>(count).fill(0))

/** version | lastZxidSeen | timeOut | sessionId, then the password and the readOnly byte, by default as clients send them */
function connect(
  how: { version?: number; zxid?: bigint; sessionId?: bigint } = {},
  rest: readonly Field[] = [zeros(16), byte(0)],
): Buffer {
  const { version = 0, zxid = 0n, sessionId = 0n } = how
  return frame(int(version), long(zxid), int(10_000), long(sessionId), ...rest)
}

/** What comes first on a connection of its own. No session twice: in Java each would close the other's connection. */
const beginnings: Readonly<Record<string, Buffer>> = {
  'as it should be': connect(),
  'read-only': connect({}, [zeros(16), byte(1)]),
  'a strange boolean': connect({}, [zeros(16), byte(2)]),
  'no read-only byte': connect({}, [zeros(16)]),
  'bytes behind it': connect({}, [zeros(16), byte(0), long(-1n)]),
  'another version': connect({ version: 7 }),
  'a negative version': connect({ version: -1 }),
  'a null password, no read-only byte': connect({}, [int(-1)]),
  'a null password': connect({}, [int(-1), byte(0)]),
  'an empty password': connect({}, [int(0), byte(0)]),
  'a long password': connect({}, [zeros(1000), byte(0)]),
  'a password of length -2': connect({}, [int(-2), byte(0)]),
  'a password that is cut': connect({}, [int(16), int(0)]),
  'a password of 2 GiB': connect({}, [int(0x7fff_ffff)]),
  'no password': connect({}, []),
  'half a session id': frame(int(0), long(0n), int(10_000), int(0)),
  'an unknown session': connect({ sessionId: 0x1234n }),
  'an unknown session, no read-only byte': connect({ sessionId: 0x1235n }, [zeros(16)]),
  'an unknown session, a null password': connect({ sessionId: 0x1236n }, [int(-1), byte(0)]),
  'a negative session': connect({ sessionId: -5n }),
  'the least session': connect({ sessionId: -0x8000_0000_0000_0000n }),
  'a zxid ahead': connect({ zxid: 1n << 40n }),
  'a zxid ahead, an unknown session': connect({ zxid: 1n << 40n, sessionId: 77n }),
  'a negative zxid': connect({ zxid: -1n }),
  'a ping': request(-2, OpCode.Ping),
  'a ping with much behind it': request(-2, OpCode.Ping, zeros(46)),
  'an empty frame': frame(),
  'a frame of one byte': frame(byte(0)),
  'a negative length': Buffer.from('ffffffff', 'hex'),
  'a length beyond the limit': Buffer.from('00100000', 'hex'),
  'no such word': Buffer.from('RUOK'),
}

/** What comes right behind a connect request, in the same write. */
const sequels: Readonly<Record<string, readonly Buffer[]>> = {
  'requests, before the session is there': [request(1, OpCode.Exists, text('/'), byte(0)), request(2, 11)],
  'a closeSession with a body': [request(3, OpCode.CloseSession, int(7))],
  'a closeSession of xid 0': [request(0, OpCode.CloseSession)],
  'another connect request': [connect()],
  'the longest frame': [request(4, OpCode.Exists, text('/none'), byte(0), padding(1_048_575 - 18))],
  'pings of any xid': [5, 0, -1, -9].map(xid => request(xid, OpCode.Ping, int(xid))),
  'requests of odd xids': [0, -3, 0x7fff_ffff, -0x8000_0000].map(xid => request(xid, OpCode.WhoAmI)),
  'an opcode that does not exist': [request(2, 99)],
  'the opcode of notifications': [request(1, 0)],
  'auth of other xids': [5, 0].map(xid => request(xid, OpCode.Auth, int(9), text('digest'), text('u:p'))),
  'auth with bytes behind it': [request(-4, OpCode.Auth, int(0), text('ip'), text('x'), byte(9))],
  'auth without a scheme': [request(-4, OpCode.Auth, int(0), text(null), text('x'))],
  'sasl, where there is none': [request(7, OpCode.Sasl, text('x')), request(8, OpCode.Sasl, text(''))],
  'a strange boolean': [request(1, OpCode.Exists, text('/'), byte(7))],
  'a body that is cut': [request(1, OpCode.Exists, text('/'))],
  'a body where none belongs': [request(1, OpCode.WhoAmI, long(-1n))],
}

function padding(count: number): Field {
  return w => {
    for (let i = 0; i < count; i++) w.byte(0x2e)
  }
}

describeWith([java, javaZooKeeper], 'the first bytes', () => {
  let servers: readonly InteropServer[] = []

  beforeAll(async () => {
    servers = await Promise.all([startJavaServer(), startCorral()])
  })

  afterAll(() => Promise.all(servers.map(server => server.stop())))

  test('a connection begins, or does not, as with Apache ZooKeeper (§1, §2.3, §6.1)', async () => {
    const alone = Object.entries(beginnings).map(([name, bytes]) => [name, [bytes]])

    const [oracle, subject] = await tales(servers, Object.fromEntries(alone))

    expect(subject).toEqual(oracle)
    expect(oracle).toMatchObject({
      'as it should be': 'a session of 37 bytes, served',
      'no read-only byte': 'a session of 36 bytes, served',
      'an unknown session': 'no session of 37 bytes, closed',
      'a zxid ahead': 'closed',
      'an empty frame': 'closed',
    })
  })

  test('what follows it is answered, or not, as by Apache ZooKeeper (§2.2, §6.14)', async () => {
    const [oracle, subject] = await tales(servers, behindConnect(sequels))

    expect(subject).toEqual(oracle)
    expect(oracle).toMatchObject({
      'pings of any xid': 'a session of 37 bytes, -2 0, -2 0, -2 0, -2 0, served',
      'another connect request': 'a session of 37 bytes, 0 -6, closed',
      'a closeSession of xid 0': 'a session of 37 bytes, 0 0, closed',
    })
  })
})

describeWith([java, javaZooKeeper], 'the first bytes, where a client must say who it is', () => {
  const properties = { 'zookeeper.enforce.auth.enabled': 'true', 'zookeeper.enforce.auth.schemes': 'digest' }
  const auth = (scheme: string): Buffer => request(-4, OpCode.Auth, int(0), text(scheme), text('u:p'))
  const root = request(1, OpCode.Exists, text('/'), byte(0))
  const attempts: Readonly<Record<string, readonly Buffer[]>> = {
    'a request': [root],
    'a ping': [request(-2, OpCode.Ping)],
    'a closeSession': [request(1, OpCode.CloseSession)],
    'an opcode that does not exist': [request(1, 99)],
    'the address': [auth('ip'), root],
    'a scheme that does not exist': [auth('bogus')],
    'sasl, where there is none': [request(7, OpCode.Sasl, text('x')), root],
    'what is asked for': [auth('digest'), root],
    'it, and then to close': [auth('digest'), request(2, OpCode.CloseSession)],
  }
  let servers: readonly InteropServer[] = []

  beforeAll(async () => {
    servers = await Promise.all([startJavaServer, startCorralProcess].map(start => start({ properties })))
  })

  afterAll(() => Promise.all(servers.map(server => server.stop())))

  test('who has not is sent away, whatever it asks (§8.9)', async () => {
    const [oracle, subject] = await tales(servers, behindConnect(attempts))

    expect(subject).toEqual(oracle)
    expect(oracle).toMatchObject({
      'a request': 'a session of 37 bytes, 1 -124, closed',
      'an opcode that does not exist': 'a session of 37 bytes, 1 -124, closed',
      'what is asked for': 'a session of 37 bytes, -4 0, 1 0, served',
    })
  })
})

function behindConnect(of: Readonly<Record<string, readonly Buffer[]>>): Record<string, readonly Buffer[]> {
  return Object.fromEntries(Object.entries(of).map(([name, frames]) => [name, [connect(), ...frames]]))
}

/** All at once, each on a connection of its own. @returns what each server told, by name */
function tales(
  servers: readonly InteropServer[],
  of: Readonly<Record<string, readonly Buffer[]>>,
): Promise<Record<string, string>[]> {
  return Promise.all(
    servers.map(async ({ port }) => {
      const told = Object.entries(of).map(async ([name, frames]) => [name, await tell(port, frames)])
      return Object.fromEntries(await Promise.all(told))
    }),
  )
}

/**
 * Sends all in one write, and a last request when each is answered: behind a refusal Java may or may not look at it.
 *
 * @returns a word for each frame that came back, and how it ended
 */
async function tell(port: number, frames: readonly Buffer[]): Promise<string> {
  const client = await RawClient.open(port)
  client.send(Buffer.concat(frames))
  await client.until(() => client.frames.length === frames.length)
  const words = client.frames.splice(0).map(describe)
  const writer = new Writer()
  writeRequestFrame(writer, 99, { kind: 'exists', path: '/', watch: false })
  client.send(writer.written())
  const answer = await client.next()
  const end = answer === undefined ? (client.isClosed ? 'closed' : 'silent') : 'served'
  client.drop()
  return [...words, end].join(', ')
}

/** The first is the answer to a connect request, without a header. */
function describe(reply: Uint8Array, index: number): string {
  const bytes = Buffer.from(reply)
  if (index > 0) return `${bytes.readInt32BE(0)} ${bytes.readInt32BE(12)}`
  return `${bytes.readBigInt64BE(8) === 0n ? 'no' : 'a'} session of ${bytes.length} bytes`
}
