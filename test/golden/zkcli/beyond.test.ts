/** What the shell does that zkCli, which the captures come from, does not. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningServer, startServer } from '@corral/server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Printed, runShell } from './terminal.ts'

let server: RunningServer
const folder = mkdtempSync(join(tmpdir(), 'corral-shell-'))

beforeAll(async () => {
  server = await startServer()
})
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await server.stop()
})

/** A command line, as a person types it; quotes are not looked at. */
function corral(line: string): Promise<Printed> {
  return runShell(['-server', server.connectString, ...line.split(' ')])
}

async function answer(line: string): Promise<unknown> {
  const { exitCode, stdout, stderr } = await corral(`${line} --json`)
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  return JSON.parse(stdout)
}

describe('with --json', () => {
  beforeAll(async () => {
    await corral('create /json data')
    await corral('create /json/child')
  })

  test.each([
    ['ls /json', { path: '/json', children: ['child'] }],
    ['ls -R /json', ['/json', '/json/child']],
    ['tree /json', { path: '/json', children: [{ path: '/json/child', children: [] }] }],
    ['get /json', { path: '/json', data: 'data', encoding: 'utf8' }],
    ['get -b /json', { path: '/json', data: 'ZGF0YQ==', encoding: 'base64' }],
    ['get /json/child', { path: '/json/child', data: null }],
    ['getAcl /json', { path: '/json', acl: [{ scheme: 'world', id: 'anyone', perms: 'cdrwa' }] }],
    ['getAllChildrenNumber /json', { path: '/json', count: 1 }],
    ['getEphemerals', { ephemerals: [] }],
    ['whoami', { identities: [{ scheme: 'ip', user: '127.0.0.1' }] }],
    ['sync /', { path: '/', isSynced: true, rc: 0 }],
    ['create /json/made', { path: '/json/made' }],
    ['set /json/made x', {}],
    ['setquota -n 1 /json', { warnings: ['the count quota you create is less than the existing count:3'] }],
    ['delete /json/made', {}],
    ['config -c', { version: '', clientAddresses: [] }],
    ['delquota /json/child', { path: '/json/child', limits: null, usage: null }],
    ['printwatches', { printWatches: true }],
  ])('%s answers in one document', async (line, expected) => {
    const { stdout } = await corral(`${line} --json`)

    expect(JSON.parse(stdout)).toEqual(expected)
  })

  test('a Stat comes with what was asked for', async () => {
    expect(await answer('ls -s /json')).toMatchObject({
      children: ['child'],
      stat: { version: 0, dataLength: 4 },
    })
    expect(await answer('stat /json')).toMatchObject({ path: '/json', stat: { numChildren: 1 } })
  })

  test('limits and usage of a quota are numbers, and no limit is null', async () => {
    expect(JSON.parse((await corral('listquota /json --json')).stdout)).toEqual({
      path: '/json',
      limits: { count: 1, bytes: null, countHardLimit: null, byteHardLimit: null },
      usage: { count: 2, bytes: 4 },
    })
  })

  test('a failure is one document on stderr', async () => {
    const { exitCode, stdout, stderr } = await corral('get /json/none --json')

    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
    expect(JSON.parse(stderr)).toEqual({
      error: { message: 'Node does not exist: /json/none', code: 'NoNode', path: '/json/none' },
    })
  })

  test('a pipe of commands answers line by line, events among them', async () => {
    const script = 'addWatch /json\ncreate /json/new\nget /json/new\n'

    const { stdout } = await runShell(['--server', server.connectString, '--json'], script)

    const lines = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(lines).toEqual([
      {},
      {
        event: {
          state: 'SyncConnected',
          type: 'NodeCreated',
          path: '/json/new',
          zxid: expect.stringMatching(/^0x[0-9a-f]+$/),
        },
      },
      { path: '/json/new' },
      { path: '/json/new', data: null },
    ])
  })
})

describe('data in other forms', () => {
  test('is written from base64 and read as base64 and as a table of bytes', async () => {
    await corral('create /bytes')
    await corral('set -b /bytes AP8=')

    const base64 = await corral('--quiet get -b /bytes')
    const hex = await corral('--quiet get -x /bytes')

    expect(base64.stdout).toBe('AP8=\n')
    expect(hex.stdout).toContain('|00000000| 00 ff ')
  })

  test.each([
    ['no*base64'],
    ['AP8=='],
    ['AP8A='],
    ['AP8AA'],
    ['=='],
  ])('that is not base64 is refused, and nothing is written: %s', async text => {
    const { exitCode, stderr } = await corral(`set -b /bytes ${text}`)

    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: `"${text}" is not base64\n` })
    expect((await corral('--quiet get -b /bytes')).stdout).toBe('AP8=\n')
  })
})

describe('exit codes', () => {
  test('1 where deleteall leaves something', async () => {
    const { exitCode, stderr } = await corral('deleteall /zookeeper')

    expect(exitCode).toBe(1)
    expect(stderr).toBe('Failed to delete some node(s) in the subtree!\n')
  })

  test('1 where setquota is refused', async () => {
    expect((await corral('setquota -n 0 /zookeeper')).exitCode).toBe(1)
  })

  test('1 where no server answers, saying which', async () => {
    const nobody = `127.0.0.1:${await portOfNobody()}`

    const { exitCode, stderr } = await runShell(['ls', '/', '-s', nobody])

    expect(exitCode).toBe(1)
    expect(stderr).toContain('KeeperErrorCode = ConnectionLoss for /')
    expect(stderr).toContain(`${nobody}: connect ECONNREFUSED`)
  })

  test('1 where the connection was to be waited for in vain', async () => {
    const nobody = `127.0.0.1:${await portOfNobody()}`

    const waiting = ['-server', nobody, '-timeout', '200', '-waitforconnection']

    const text = await runShell([...waiting, 'ls', '/'])
    const json = await runShell([...waiting, '--json', 'ls', '/'])

    expect(text.exitCode).toBe(1)
    expect(text.stderr).toMatch(/^KeeperErrorCode = ConnectionLoss\n\(no server answered/)
    expect(json.exitCode).toBe(1)
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: 'ConnectionLoss' } })
  })

  test('1 where an authentication is refused, which zkCli does not wait for', async () => {
    const { exitCode, stderr } = await corral('-q addauth unheard-of me')

    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: 'KeeperErrorCode = AuthFailed\n' })
  })

  test('2 where the command line is wrong', async () => {
    expect((await runShell(['-bogus'])).exitCode).toBe(2)
    expect((await runShell(['ls', '/', '--server', 'host:port'])).exitCode).toBe(2)
  })

  test('2 where a client configuration asks for TLS, before anything is connected to', async () => {
    const file = join(folder, 'tls.properties')
    writeFileSync(file, 'zookeeper.client.secure=true\n')

    const printed = await runShell(['-client-configuration', file, 'ls', '/'])

    expect(printed).toMatchObject({ exitCode: 2, stdout: '' })
    expect(printed.stderr).toMatch(/^\/.+tls\.properties:1: zookeeper\.client\.secure asks for TLS, .*\n$/)
  })

  test('1 where an answer takes longer than the client configuration lets it', async () => {
    const file = join(folder, 'timeout.properties')
    writeFileSync(file, 'zookeeper.request.timeout=100\nzookeeper.unheard.of=1\n')
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo

    const printed = await runShell(['ls', '/', '-s', `127.0.0.1:${port}`, '--client-configuration', file])

    silent.close()
    expect(printed.exitCode).toBe(1)
    expect(printed.stderr.split('\n')).toEqual([
      `warning: ${file}:2: zookeeper.unheard.of is not known, and passed over`,
      'KeeperErrorCode = RequestTimeout for /',
      '(no answer within 100 ms; the request was not sent)',
      '',
    ])
  })

  test('that of the last command where commands come from a pipe', async () => {
    expect((await runShell(['-server', server.connectString], 'ls /\nls /none\nquit\nls /\n')).exitCode).toBe(
      1,
    )
  })
})

describe('a large tree', () => {
  beforeAll(async () => {
    const lines = ['create /large']
    for (let i = 0; i < 300; i++) lines.push(`create /large/${i}`, `create /large/${i}/x`)
    await runShell(['-server', server.connectString], lines.join('\n'))
  })

  test('is listed in the order of zkCli', async () => {
    const { stdout } = await corral('--quiet ls -R /large')

    const names = Array.from({ length: 300 }, (_, i) => String(i)).sort()
    const below = names.map(name => `/large/${name}/x`)
    expect(stdout.trim().split('\n')).toEqual(['/large', ...names.map(name => `/large/${name}`), ...below])
  })

  test('is cut off at a level', async () => {
    const { stdout } = await corral('--quiet tree -L 1 /large')

    expect(stdout.trim().split('\n')).toHaveLength(301)
    expect(stdout).not.toContain('x')
  })

  test('goes at once', async () => {
    const { exitCode } = await corral('deleteall /large -b 7')

    expect(exitCode).toBe(0)
    expect((await corral('ls /large')).stderr).toBe('Node does not exist: /large\n')
  })
})

test('an identity given on the command line counts from the first command on', async () => {
  const { stdout } = await corral('--quiet --auth digest:user:password whoami')

  expect(stdout).toContain('digest: user\n')
})

test('a connect string that is wrong leaves the session as it is', async () => {
  const script = 'connect host:port\nls /zookeeper\n'

  const { stdout, stderr } = await runShell(['--quiet', '-server', server.connectString], script)

  expect(stderr).toContain('connect string "host:port"')
  expect(stdout).toContain('[config, quota]\n')
})

test('--quiet prints what was asked for and nothing else', async () => {
  expect((await corral('--quiet ls /zookeeper')).stdout).toBe('[config, quota]\n')
})

test('an ephemeral goes with the command that made it', async () => {
  const { stderr } = await corral('create -e /ephemeral')

  expect(stderr).toBe('Created /ephemeral\n')
  expect((await corral('stat /ephemeral')).exitCode).toBe(1)
})

test('help lists every command and explains one', async () => {
  const all = await runShell(['help'])
  const one = await runShell(['help', 'get'])
  const none = await runShell(['help', 'nonsense'])

  expect(all.stdout).toContain('setquota -n|-b|-N|-B val path')
  expect(one.stdout).toContain(' -x   Output data in hexdump format')
  expect(none.exitCode).toBe(127)
})

/** Nobody listens there any more. */
function portOfNobody(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address()
      if (address === null || typeof address === 'string') return reject(new Error('no port'))
      probe.close(() => resolve(address.port))
    })
  })
}
