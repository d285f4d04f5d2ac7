import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

const scratch = mkdtempSync(join(tmpdir(), 'corral-main-'))
const bundle = join(scratch, 'corral-server.cjs')
const processes: Running[] = []
let directories = 0

beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL('main.ts', import.meta.url))],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    conditions: ['corral-source'],
    logLevel: 'warning',
  })
})

afterEach(async () => {
  for (const { child, ended } of processes.splice(0)) {
    child.kill('SIGKILL')
    await ended
  }
})

afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** Of a client without a session. */
const connectRequest = Buffer.from(
  `0000002c${'00'.repeat(12)}00002710${'00'.repeat(8)}00000010${'00'.repeat(16)}`,
  'hex',
)

interface Ran {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ran>
  /** The first log line with these words, as JSON. */
  line(what: string): Promise<Readonly<Record<string, unknown>>>
}

/** The first one only makes a start slow; the others are settings of the server. */
const unwanted = { NODE_EXTRA_CA_CERTS: undefined, JVMFLAGS: undefined, SERVER_JVMFLAGS: undefined }

function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Running {
  const env = { ...process.env, ...unwanted, ...environment }
  const child = spawn(process.execPath, [bundle, ...args], {
    cwd: scratch,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: Record<string, unknown>[] = []
  const waiting: { what: string; tell: (line: Record<string, unknown>) => void }[] = []
  let [stdout, stderr, seen] = ['', '', 0]
  child.stderr.on('data', data => {
    stderr += data
  })
  child.stdout.on('data', data => {
    stdout += data
    for (let end = stdout.indexOf('\n', seen); end >= 0; end = stdout.indexOf('\n', seen)) {
      const text = stdout.slice(seen, end)
      seen = end + 1
      if (!text.startsWith('{')) continue
      const line = JSON.parse(text)
      lines.push(line)
      for (const { what, tell } of waiting) if (line.what === what) tell(line)
    }
  })
  const ended = new Promise<Ran>(resolve => {
    child.on('close', exitCode => resolve({ exitCode, stdout, stderr }))
  })
  const line: Running['line'] = what => {
    const said = lines.find(said => said['what'] === what)
    return said === undefined ? new Promise(tell => waiting.push({ what, tell })) : Promise.resolve(said)
  }
  const running = { child, ended, line }
  processes.push(running)
  return running
}

function aDir(): string {
  directories++
  return join(scratch, `data-${directories}`)
}

function aConfig(text: string): string {
  const path = `${aDir()}.cfg`
  writeFileSync(path, text)
  return path
}

/** The environment of a process that runs this script first. */
function preloading(script: string): Readonly<Record<string, string>> {
  const path = `${aDir()}.cjs`
  writeFileSync(path, script)
  return { NODE_OPTIONS: `--require ${JSON.stringify(path)}` }
}

describe('a server process', () => {
  test('ends though the disk holds its threads and does not answer', async () => {
    const fifo = `${aDir()}.fifo`
    execFileSync('mkfifo', [fifo])
    // The clock hurries from the call on that is not answered: a slow disk is none that does not answer.
    const environment = preloading(`
const fs = require('node:fs')
const now = performance.now.bind(performance)
let aheadMs = 0
fs.fdatasync = (_, ended) => {
  performance.now = () => now() + (aheadMs += 1000)
  fs.open(${JSON.stringify(fifo)}, 'r', ended)
}`)
    const config = aConfig(`dataDir=${aDir()}\nclientPort=0\nfsync.stalllimitms=20000\n`)
    const server = run(['server', config], environment)
    const ready = await server.line('serving')
    const ends = server.line('the server ends')
    const socket = connect(Number(ready['port']), '127.0.0.1', () => socket.write(connectRequest))
    const closed = new Promise(resolve => socket.on('error', () => undefined).once('close', resolve))

    expect((await ends)['reason']).toMatch(/^(creating|writing) log\.1: ETIMEDOUT/)
    await closed
    await server.ended
    expect(server.child.signalCode).toBe('SIGKILL')
  })

  test('prints the port it chose on its ready line, and stops with 0 on SIGTERM', async () => {
    const server = run(['server', '--client-port', '0', '--data-dir', aDir()], { CORRAL_STALL_REPORT: '1' })
    const ready = await server.line('serving')
    const socket = connect(Number(ready['port']), '127.0.0.1')
    await new Promise(resolve => socket.once('connect', resolve))

    server.child.kill('SIGTERM')
    const { exitCode, stdout, stderr } = await server.ended

    expect(ready).toMatchObject({ level: 'info', host: '127.0.0.1', version: '0.1.0' })
    expect(exitCode).toBe(0)
    expect(stdout.trim().split('\n').at(-1)).toContain('"what":"stopped"')
    expect(JSON.parse(stderr)).toEqual({ stall: { maxMs: expect.any(Number), p999Ms: expect.any(Number) } })
  })

  test('a relative data directory is said as the whole path that it is', async () => {
    const server = run(['server', '--client-port', '0', '--data-dir', './relative'])

    expect(await server.line('serving')).toMatchObject({ data: join(scratch, 'relative') })
  })

  test('a second signal during the stop changes nothing: Ctrl-C under npm arrives twice', async () => {
    const environment = preloading(`
const fs = require('node:fs')
for (const name of ['fsync', 'fdatasync']) fs[name] = (_, ended) => setTimeout(ended, 200, null)`)
    const server = run(['server', '--client-port', '0', '--data-dir', aDir()], environment)
    await server.line('serving')
    const stopping = server.line('stopping')

    server.child.kill('SIGINT')
    await stopping
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGINT'] as const) server.child.kill(signal)
    const { exitCode, stdout } = await server.ended

    expect(exitCode).toBe(0)
    expect(stdout.match(/"what":"stopp\w+"/g)).toEqual(['"what":"stopping"', '"what":"stopped"'])
  })

  test('SIGTERM ends a start that is not done yet, with 0', async () => {
    const environment = preloading(`require('node:fs').readdir = () => process.kill(process.pid, 'SIGTERM')`)

    const { exitCode, stdout } = await run(
      ['server', '--client-port', '0', '--data-dir', aDir()],
      environment,
    ).ended

    expect(exitCode).toBe(0)
    expect(stdout.match(/"what":"\w+"/g)).toEqual(['"what":"stopping"', '"what":"stopped"'])
  })

  test('SIGHUP, which would reload other servers, is said to mean nothing', async () => {
    const server = run(['server', '--client-port', '0', '--data-dir', aDir()])
    await server.line('serving')
    const ignored = server.line('SIGHUP is ignored')

    server.child.kill('SIGHUP')

    expect(await ignored).toMatchObject({ level: 'warn', reason: expect.stringContaining('start anew') })
    server.child.kill('SIGTERM')
    expect((await server.ended).exitCode).toBe(0)
  })

  test('a file, and options over it; what it does not do is said with the line', async () => {
    const config = aConfig(
      `dataDir=${aDir()}\nclientPort=1\nclientPortAddress=127.0.0.1\naudit.enable=true\nfoo=bar\n`,
    )
    const server = run(['server', config, '--client-port', '0', '-Dzookeeper.4lw.commands.whitelist=ruok'])
    const unsupported = await server.line('configuration')
    const { port } = await server.line('serving')

    const answer = await new Promise(resolve => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.write('ruok'))
      socket.once('data', data => resolve(String(data)))
    })
    server.child.kill('SIGINT')
    const { exitCode, stdout } = await server.ended

    expect(answer).toBe('imok')
    expect(exitCode).toBe(0)
    expect(unsupported).toMatchObject({
      level: 'warn',
      where: `${config}:4`,
      key: 'audit.enable',
      message: 'is not yet supported (audit log)',
    })
    expect(stdout).toContain('"key":"foo","message":"is unknown"')
  })

  test('a directory in use ends the second process with 3', async () => {
    const dataDir = aDir()
    await run(['server', '--client-port', '0', '--data-dir', dataDir]).line('serving')

    const { exitCode, stdout } = await run(['server', '--client-port', '0', '--data-dir', dataDir]).ended

    expect(exitCode).toBe(3)
    expect(stdout).toContain(`data directory ${dataDir} belongs to a server that is running`)
  })

  test('a port in use ends the second process with 1', async () => {
    const { port } = await run(['server', '--client-port', '0', '--data-dir', aDir()]).line('serving')

    const { exitCode, stdout } = await run(['server', '--client-port', String(port), '--data-dir', aDir()])
      .ended

    expect(exitCode).toBe(1)
    expect(stdout).toContain(`cannot serve clients on 127.0.0.1:${port}: the port is in use`)
  })

  test('after kill -9 the directory can be had again', async () => {
    const dataDir = aDir()
    const first = run(['server', '--client-port', '0', '--data-dir', dataDir])
    await first.line('serving')
    first.child.kill('SIGKILL')
    await first.ended

    const second = run(['server', '--client-port', '0', '--data-dir', dataDir])

    expect(await second.line('serving')).toMatchObject({ data: dataDir })
  })
})

describe('invocation', () => {
  test('every problem of a configuration, with its line, and exit code 2', async () => {
    const config = aConfig('tickTime=abc\nclientPort=70000\ndataDir=/d\nserver.1=a:1:2\nserver.2=b:1:2\n')

    const { exitCode, stderr, stdout } = await run(['server', config, '--host', '']).ended

    expect(exitCode).toBe(2)
    expect(stdout).toBe('')
    expect(stderr.split('\n').slice(1, -1)).toEqual([
      'command line: --host is empty',
      `${config}:1: tickTime expected a whole number, found "abc"`,
      `${config}:2: clientPort must be at most 65535, and is 70000`,
      `${config}:4: server.1 ensembles are not supported yet`,
      `${config}:5: server.2 ensembles are not supported yet`,
    ])
  })

  test('a wrong option is said beside a configuration that cannot be read', async () => {
    const { exitCode, stderr } = await run(['server', '/nowhere/zoo.cfg', '--host', '']).ended

    expect(exitCode).toBe(2)
    expect(stderr.split('\n').slice(1)).toEqual(['command line: --host is empty', ''])
  })

  test('a file that is no configuration cannot write to the terminal', async () => {
    const config = aConfig(`a\u001b]0;owned\u0007${'x'.repeat(5000)}\n`)

    const { stderr } = await run(['server', config]).ended

    expect(stderr).toContain(`${config}:1: a\\u001b]0;owned\\u0007xx`)
    expect(stderr.length).toBeLessThan(1000)
  })

  test('a misspelt key is named beside what is missing for it', async () => {
    const config = aConfig('datadir=/d\nclientPort=0\n')

    const { stderr } = await run(['server', config]).ended

    expect(stderr.split('\n').slice(1)).toEqual([
      `${config}: dataDir is not set`,
      'also:',
      `${config}:1: datadir is unknown; did you mean dataDir?`,
      '',
    ])
  })

  test.each([
    [
      ['server', '/nowhere/zoo.cfg'],
      2,
      'the configuration /nowhere/zoo.cfg cannot be read: there is no such file (ENOENT)',
    ],
    [['server', scratch], 2, 'cannot be read: it is a directory (EISDIR)'],
    [['server', '--nonsense'], 2, "Unknown option '--nonsense'"],
    [['server', '1', '/d', 'x'], 2, 'tickTime must be a whole number from 1'],
    [['dance'], 2, 'usage: corral server'],
  ])('%j ends with %i', async (args, exitCode, said) => {
    const ran = await run(args).ended

    expect(ran.exitCode).toBe(exitCode)
    expect(ran.stderr).toContain(said)
  })

  test('nobody reads what it says: that changes neither the exit code nor what else is said', async () => {
    const refused = run(['server', '/nowhere/zoo.cfg'])
    refused.child.stderr?.destroy()
    const helped = run(['server', '--help'])
    helped.child.stdout?.destroy()

    expect((await refused.ended).exitCode).toBe(2)
    expect(await helped.ended).toMatchObject({ exitCode: 0, stderr: '' })
  })

  test('--help and --version answer on standard output', async () => {
    expect(await run(['server', '--help']).ended).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await run(['server', '--version']).ended).toMatchObject({ exitCode: 0, stdout: 'corral 0.1.0\n' })
  })

  test('a data directory that is a file ends with 3 and is named', async () => {
    const path = aConfig('')

    const { exitCode, stdout } = await run(['server', '--client-port', '0', '--data-dir', path]).ended

    expect(exitCode).toBe(3)
    expect(stdout).toContain(`data directory ${path}/version-2 cannot be used`)
  })
})
