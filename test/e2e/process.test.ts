/** `./corral server` as an operator meets it: how it ends, what it says, what it returns. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmdirSync, watch } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OpCode, openAcl, Xid } from '@corral/protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type CorralProcess, corralCommand, runCorral } from '../interop/corral-server.ts'
import { RawClient } from '../interop/raw-client.ts'
import { describeUnless } from '../interop/software.ts'

let root: string
const running: CorralProcess[] = []

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'corral-e2e-'))
})

afterEach(async () => {
  for (const each of running.splice(0)) {
    each.signal('SIGKILL')
    await each.exited
  }
  await rm(root, { recursive: true, force: true })
})

function corral(...args: string[]): CorralProcess {
  const started = runCorral(args, root)
  running.push(started)
  return started
}

const create = (path: string, data: Uint8Array) =>
  ({ kind: 'create', op: OpCode.Create, path, data, acl: openAcl, flags: 0 }) as const

test('SIGTERM ends it with 0, and what was acknowledged is there at the next start', async () => {
  const args = ['server', '--client-port', '0', '--data-dir', join(root, 'data')]
  const first = corral(...args)
  const { client } = await RawClient.connect(portOf(await first.port))
  await client.request(1, create('/kept', Buffer.from('value')))

  first.signal('SIGTERM')
  expect(await first.exited).toEqual({ code: 0, signal: null })
  expect(client.isClosed).toBe(true)

  const second = corral(...args)
  const again = (await RawClient.connect(portOf(await second.port))).client
  const { body } = await again.request(1, { kind: 'getData', path: '/kept', watch: false })
  expect(body).toMatchObject({ kind: 'data', data: new Uint8Array(Buffer.from('value')) })
  again.drop()
})

test('a port in use ends it with a message that names the port', async () => {
  const holder = await listen()
  const { port } = holder.address() as { port: number }

  const started = corral('server', '--client-port', String(port), '--data-dir', join(root, 'data'))

  expect((await started.exited).code).toBe(1)
  expect(started.output()).toContain(String(port))
  expect(started.output()).toMatch(/in use/)
  await new Promise(resolve => holder.close(resolve))
})

test('a directory that another server uses ends it with 3 and is named; the other goes on', async () => {
  const dataDir = join(root, 'data')
  const first = corral('server', '--client-port', '0', '--data-dir', dataDir)
  const port = portOf(await first.port)

  const second = corral('server', '--client-port', '0', '--data-dir', dataDir)

  expect((await second.exited).code).toBe(3)
  expect(second.output()).toContain(dataDir)
  const { client } = await RawClient.connect(port)
  expect((await client.request(Xid.Ping, { kind: 'ping' })).header.err).toBe(0)
  client.drop()
})

test('a wrong zoo.cfg ends it with 2 and every problem with its line', async () => {
  const file = join(root, 'zoo.cfg')
  await writeFile(
    file,
    [
      'tickTime=often',
      'clientPort=99999',
      'maxClientCnxns=many',
      'server.1=a:2888:3888',
      'server.2=b:2888:3888',
    ].join('\n'),
  )

  const started = corral('server', file)

  expect((await started.exited).code).toBe(2)
  for (const line of ['tickTime', 'clientPort', 'maxClientCnxns', 'server.1', 'server.2', 'dataDir']) {
    expect(started.output()).toContain(line)
  }
  for (const number of [1, 2, 3, 4, 5]) expect(started.output()).toMatch(new RegExp(`zoo\\.cfg:${number}\\b`))
})

test('a zoo.cfg that is not there ends it with 2 and is named', async () => {
  const started = corral('server', join(root, 'missing.cfg'))

  expect((await started.exited).code).toBe(2)
  expect(started.output()).toContain('missing.cfg')
})

test.each([[['help', 'server']], [['--help', 'repair-log']]])('%j explains the server', async args => {
  const started = corral(...args)

  expect((await started.exited).code).toBe(0)
  expect(started.output()).toContain('--client-port')
})

const noTerminal = existsSync('/usr/bin/script')
  ? []
  : ['there is no `script` to make a terminal with; apt-get install bsdutils']

describeUnless(noTerminal, 'on a terminal', () => {
  test('it stops in order when the terminal goes', async () => {
    const dataDir = join(root, 'data')
    const command = `'${corralCommand}' server --client-port 0 --data-dir '${dataDir}'`
    const terminal = spawn('/usr/bin/script', ['-qc', command, '/dev/null'], { cwd: root })
    const port = await new Promise<number>(resolve => {
      let output = ''
      terminal.stdout.on('data', text => {
        output += text
        const found = /serves 127\.0\.0\.1:(\d+) /.exec(output)
        if (found !== null) resolve(Number(found[1]))
      })
    })
    const { client } = await RawClient.connect(port)
    await client.request(1, create('/kept', Buffer.from('value')))

    terminal.kill('SIGKILL')

    expect(await client.until(() => client.isClosed)).toBe(true)
    expect(await stateOnce(dataDir, state => !state.startsWith('running'))).toMatch(/^clean\n/)
  })

  /** What the server notes last, once it does; nobody sees its end otherwise. */
  function stateOnce(dataDir: string, isWanted: (state: string) => boolean): Promise<string> {
    return new Promise(resolve => {
      const look = (): void => {
        const state = readFileSync(join(dataDir, 'corral.state'), 'utf8')
        if (!isWanted(state)) return
        watcher.close()
        resolve(state)
      }
      const watcher = watch(dataDir, look)
      look()
    })
  }
})

/** File systems of a kind of their own can be had by whoever may mount: root, but not in every container. */
const missing = canMount()
  ? []
  : ['nothing can be mounted here: run the tests as root (in a container: --cap-add SYS_ADMIN)']

describeUnless(missing, 'on a file system of its own', () => {
  let mounted: string | undefined

  afterEach(() => {
    if (mounted !== undefined) spawnSync('umount', ['--lazy', mounted])
    mounted = undefined
  })

  async function mount(options: string): Promise<string> {
    const dir = await mkdtemp(join(root, 'mount-'))
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', dir], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`mount: ${stderr}`)
    mounted = dir
    return dir
  }

  test('a full disk ends it with 10, names the file, and loses nothing that was acknowledged', async () => {
    const dataDir = await mount('size=3m')
    const file = join(root, 'zoo.cfg')
    await writeFile(file, `dataDir=${dataDir}\nclientPort=0\nclientPortAddress=127.0.0.1\npreAllocSize=64\n`)
    const started = corral('server', file)
    const { client } = await RawClient.connect(portOf(await started.port))
    const value = new Uint8Array(50_000).fill(120)
    let acknowledged = 0

    for (let isUp = true; isUp; ) {
      isUp = await client.request(acknowledged + 1, create(`/n${acknowledged}`, value)).then(
        ({ header }) => header.err === 0,
        () => false,
      )
      if (isUp) acknowledged++
    }

    expect((await started.exited).code).toBe(10)
    expect(started.output()).toMatch(/ENOSPC/)
    expect(started.output()).toMatch(/log\.[0-9a-f]+/)
    expect(acknowledged).toBeGreaterThan(10)

    spawnSync('mount', ['-o', 'remount,size=20m', dataDir])
    const again = corral('server', file)
    const reader = (await RawClient.connect(portOf(await again.port))).client
    for (let i = 0; i < acknowledged; i++) {
      const { header, body } = await reader.request(i + 1, { kind: 'getData', path: `/n${i}`, watch: false })
      expect(header.err, `/n${i}`).toBe(0)
      expect(body.kind === 'data' ? body.stat.dataLength : 0).toBe(value.length)
    }
    reader.drop()
    again.signal('SIGTERM')
    expect((await again.exited).code).toBe(0)
  })

  test('a disk that is full at the start ends it with 10 and names the directory', async () => {
    const dir = await mount('size=64k')
    await writeFile(join(dir, 'filler'), new Uint8Array(65_536))

    const started = corral('server', '--client-port', '0', '--data-dir', join(dir, 'data'))

    expect((await started.exited).code).toBe(10)
    expect(started.output()).toMatch(/ENOSPC/)
    expect(started.output()).toContain(`"dataDir":"${join(dir, 'data')}"`)
  })

  test('a read-only file system ends it with 3 and names the directory', async () => {
    const dir = await mount('ro')

    const started = corral('server', '--client-port', '0', '--data-dir', join(dir, 'data'))

    expect((await started.exited).code).toBe(3)
    expect(started.output()).toContain(dir)
    expect(started.output()).toMatch(/EROFS|read-only/)
  })
})

function canMount(): boolean {
  if (process.platform !== 'linux') return false
  const dir = mkdtempSync(join(tmpdir(), 'corral-mount-'))
  try {
    const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', dir]).status === 0
    if (isMounted) spawnSync('umount', ['--lazy', dir])
    return isMounted
  } finally {
    rmdirSync(dir)
  }
}

function portOf(port: number | undefined): number {
  if (port === undefined) throw new Error(`Corral did not start\n${running.at(-1)?.output()}`)
  return port
}

function listen(): Promise<Server> {
  return new Promise(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => resolve(server))
  })
}
