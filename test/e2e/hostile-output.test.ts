/** What the real process writes when peers send it text that is none, and what it never writes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ErrorCode, encodeUtf8, OpCode, openAcl } from '@corral/protocol'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type CorralProcess, corralCommand, runCorral } from '../interop/corral-server.ts'
import { childEnvironment } from '../interop/interop-server.ts'
import { RawClient } from '../interop/raw-client.ts'
import { describeUnless } from '../interop/software.ts'

let root: string
const running: CorralProcess[] = []
const terminals: ChildProcess[] = []

// Builds what is stale: the builder speaks too.
beforeAll(async () => {
  expect((await runCorral(['server', '--help']).exited).code).toBe(0)
})

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'corral-output-'))
})

afterEach(async () => {
  vi.unstubAllEnvs()
  for (const terminal of terminals.splice(0)) terminal.kill('SIGKILL')
  for (const each of running.splice(0)) {
    each.signal('SIGKILL')
    await each.exited
  }
  await rm(root, { recursive: true, force: true })
})

async function configured(...lines: string[]): Promise<string> {
  const file = join(root, 'zoo.cfg')
  const basic = [`dataDir=${join(root, 'data')}`, 'clientPort=0', 'clientPortAddress=127.0.0.1']
  await writeFile(file, [...basic, '4lw.commands.whitelist=*', 'enforceQuota=true', ...lines].join('\n'))
  return file
}

function corral(...args: string[]): CorralProcess {
  const started = runCorral(['server', ...args], root)
  running.push(started)
  return started
}

async function portOf(started: CorralProcess): Promise<number> {
  const port = await started.port
  if (port === undefined) throw new Error(`Corral did not start\n${started.output()}`)
  return port
}

const create = (path: string, data = '', id = 'anyone') => {
  const acl = id === 'anyone' ? openAcl : [{ perms: 31, scheme: 'digest', id }]
  return { kind: 'create', op: OpCode.Create, path, data: encodeUtf8(data), acl, flags: 0 } as const
}

/** Sends bytes on a connection of their own. @returns all that comes back until the server closes it */
async function exchange(port: number, bytes: Uint8Array | string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.setEncoding('latin1').on('data', piece => {
    text += piece
  })
  socket.on('error', () => undefined)
  socket.write(bytes)
  await new Promise(resolve => socket.on('close', resolve)) // behind a reset too
  return text
}

describe('H-13 one event is one line [CVE-2026-84439, CVE-2026-84501]', () => {
  /** What may stand in a path, and what only other texts may have. */
  const inPath = '\u2028\u202e\u00ad"%s {"level"}'
  const anywhere = `x\n2026-01-01 ERROR forged\r\n\t\u001b[2J\u0085\u0000${inPath}`

  /** Sends it in every place where the log could show it. */
  async function attack(port: number): Promise<void> {
    const { client } = await RawClient.connect(port)
    const quota = `/zookeeper/quota/${inPath}`
    for (const request of [
      create(`/${inPath}`),
      create(quota),
      create(`${quota}/zookeeper_limits`, 'count=1,bytes=-1'),
      create(`${quota}/zookeeper_stats`, 'count=1,bytes=0'),
      create(`/${inPath}/over`), // the quota is said to be exceeded
      create('/acl', '', `${anywhere}:hash`),
    ]) {
      expect((await client.request(1, request)).header.err).toBe(ErrorCode.Ok)
    }
    const refused = await client.request(2, create(`/${anywhere}`))
    expect(refused.header.err).toBe(ErrorCode.BadArguments)
    const user = { kind: 'auth', scheme: 'digest', auth: encodeUtf8(`${anywhere}:p`) } as const
    expect((await client.request(-4, user)).header.err).toBe(ErrorCode.Ok)
    const scheme = { kind: 'auth', scheme: anywhere, auth: encodeUtf8(anywhere) } as const
    expect((await client.request(-4, scheme)).header.err).toBe(ErrorCode.AuthFailed)
    for (const word of ['\n\u001b[2', 'ruok\n\u001b[2J', 'stat\r\nforged']) await exchange(port, word)
  }

  test('as JSON', async () => {
    const started = corral(await configured())

    await attack(await portOf(started))
    started.signal('SIGTERM')
    expect((await started.exited).code).toBe(0)

    const output = started.output()
    expect([...output].filter(isUnprintable)).toEqual([])
    const lines = output
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>)
    expect(lines.find(({ what }) => what === 'Quota exceeded')?.['path']).toBe(`/${inPath}`)
    expect(lines.find(({ what }) => what === 'an authentication failed')?.['scheme']).toBe('unknown')
  })

  const noTerminal = existsSync('/usr/bin/script')
    ? []
    : ['there is no `script` to make a terminal with; apt-get install bsdutils']

  describeUnless(noTerminal, 'on a terminal', () => {
    test('as text', async () => {
      const command = `'${corralCommand}' server '${await configured()}'`
      const terminal = spawn('/usr/bin/script', ['-qc', command, '/dev/null'], {
        cwd: root,
        env: childEnvironment(),
      })
      terminals.push(terminal)
      const exited = once(terminal, 'close')
      let output = ''
      const port = await new Promise<number>(resolve => {
        terminal.stdout.setEncoding('utf8').on('data', text => {
          output += text
          const found = /serves 127\.0\.0\.1:(\d+) /.exec(output)
          if (found !== null) resolve(Number(found[1]))
        })
      })

      await attack(port)
      terminal.stdin.write('\u0003')
      await exited

      // A terminal ends lines with \r\n, and shows the key that was pressed as ^C.
      const lines = output.trimEnd().split('\r\n')
      expect(lines.flatMap(line => [...line].filter(isUnprintable))).toEqual([])
      for (const line of lines) {
        expect(line).toMatch(/^(\^C)?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARN) {1,2}(?!forged)/)
      }
      expect(output).toContain('Quota exceeded')
      expect(output).toContain('an authentication failed')
    })
  })

  function isUnprintable(char: string): boolean {
    return char !== '\n' && /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(char)
  }
})

describe('H-14 no secret is ever written [CVE-2026-24308]', () => {
  const secrets = [
    'DigestAuthenticationProvider.superDigest=super:secret-1',
    'ssl.keyStore.password=secret-2',
    'ssl.trustStore.password=secret-3',
    'ssl.quorum.keyStore.password=secret-4',
    'ssl.keyStore.passwordd=secret-5', // not a key: it is named, its value is not
  ]

  function stubFlags(): void {
    vi.stubEnv(
      'JVMFLAGS',
      '-Dzookeeper.ssl.keyStore.password=secret-6 -Djavax.net.ssl.keyStorePassword=secret-7',
    )
    vi.stubEnv(
      'SERVER_JVMFLAGS',
      '-Dzookeeper.ssl.quorum.trustStore.password=secret-8 -Dmy.password=secret-9',
    )
  }

  const flags = ['-Dzookeeper.ssl.trustStore.password=secret-10', '-Dzookeeper.superPassword=secret-11']

  test('by a server, in its log or in the answer to a word', async () => {
    stubFlags()
    const started = corral(await configured(...secrets), ...flags)
    const port = await portOf(started)
    const { client, session } = await RawClient.connect(port)
    const auth = (credentials: string, scheme = 'digest') =>
      client.request(-4, { kind: 'auth', scheme, auth: encodeUtf8(credentials) })
    await auth('user:secret-12')
    const thief = await RawClient.connect(port, {
      sessionId: session.sessionId,
      password: encodeUtf8('secret-13-secret'),
    })
    thief.client.drop()
    let answers = ''
    for (const word of ['conf', 'cons', 'dump', 'envi', 'mntr', 'srvr', 'stat', 'wchc'])
      answers += await exchange(port, word)
    await auth('secret-14', 'no-such-scheme')
    started.signal('SIGTERM')
    await started.exited

    const written = started.output() + answers
    expect(written).toContain('ssl.keyStore.passwordd')
    expect(written).toContain('an authentication failed')
    expect(answers).toContain('clientPort=')
    expect(written).not.toContain('secret-')
    const password = Buffer.from(session.password ?? [])
    expect(password.length).toBe(16)
    for (const encoding of ['hex', 'base64', 'latin1'] as const)
      expect(written).not.toContain(password.toString(encoding))
  })

  test('by a server that refuses its configuration', async () => {
    stubFlags()
    const started = corral(await configured(...secrets, 'tickTime=often'), ...flags)

    expect((await started.exited).code).toBe(2)
    expect(started.output()).toContain('tickTime')
    expect(started.output()).not.toContain('secret-')
  })
})
