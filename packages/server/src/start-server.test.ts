import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterEach, describe, expect, test } from 'vitest'
import { type LogLine, type RunningServer, startServer } from './index.ts'
import type { StartOptions } from './start-server.ts'

const running: RunningServer[] = []
const made: string[] = []

afterEach(async () => {
  for (const server of running.splice(0)) await server.stop()
  for (const dir of made.splice(0)) rmSync(dir, { recursive: true, force: true })
})

async function started(options: StartOptions = {}): Promise<RunningServer> {
  const server = await startServer(options)
  running.push(server)
  return server
}

function aDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'corral-server-'))
  made.push(dir)
  return dir
}

/** Sends bytes, ends its side, and takes what comes until the other side ends too. */
function exchange(port: number, bytes: string | Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(bytes))
    socket.on('data', data => pieces.push(data))
    socket.on('end', () => resolve(Buffer.concat(pieces)))
    socket.on('error', reject)
  })
}

/** A connect request of a new session with a timeout of 10 s. */
const connectRequest = Buffer.from(
  `${'0000002c'}${'00'.repeat(12)}${'00002710'}${'00'.repeat(8)}${'00000010'}${'00'.repeat(16)}`,
  'hex',
)

/** Waits for as many bytes as a connect response has. */
function handshake(port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(connectRequest))
    let heard = Buffer.alloc(0)
    socket.on('data', data => {
      heard = Buffer.concat([heard, data])
      if (heard.length < 40) return
      socket.destroy()
      resolve(heard)
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('closed before it answered')))
  })
}

/** Runs a script that has `startServer`, `connect` and a directory `dir` in a process of its own. */
async function outcomeOf(script: string): Promise<{ exitCode: number | null; stdout: string }> {
  const dir = aDir()
  const index = fileURLToPath(new URL('index.ts', import.meta.url))
  const stdin = `import { startServer } from ${JSON.stringify(index)}
import { connect } from 'node:net'
const dir = ${JSON.stringify(join(dir, 'data'))}
${script}`
  const outfile = join(dir, 'script.mjs')
  await build({
    stdin: { contents: stdin, resolveDir: import.meta.dirname, loader: 'ts' },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['corral-source'],
    logLevel: 'warning',
  })
  const child = spawn(process.execPath, [outfile], { stdio: ['ignore', 'pipe', 'inherit'] })
  let stdout = ''
  child.stdout.on('data', data => {
    stdout += data
  })
  return new Promise(resolve => child.on('close', exitCode => resolve({ exitCode, stdout })))
}

describe('a server in memory', () => {
  test('serves on a port of its choice and says so', async () => {
    const lines: LogLine[] = []
    const server = await started({ onLog: line => lines.push(line) })

    const reply = await handshake(server.port)

    expect(server.connectString).toBe(`127.0.0.1:${server.port}`)
    expect(reply.readInt32BE(8)).toBe(10_000) // the timeout asked for
    expect(lines.find(({ what }) => what === 'serving')?.fields).toMatchObject({
      port: server.port,
      data: 'memory',
    })
  })

  test('answers four-letter words, also to a peer that ends its side at once', async () => {
    const { port } = await started()

    expect(String(await exchange(port, 'ruok'))).toBe('imok')
    expect(String(await exchange(port, 'ruok\r\n'))).toBe('imok')
    expect(String(await exchange(port, 'dirs\n'))).toBe('datadir_size: 0\nlogdir_size: 0\n')
    expect(String(await exchange(port, 'srvr'))).toContain('\nMode: standalone\nNode count: 5\n')
    expect(String(await exchange(port, 'what'))).toBe('')
  })

  test('stops with open connections, and leaves no handle: the process then ends by itself', async () => {
    const { exitCode, stdout } = await outcomeOf(`
      const server = await startServer()
      const socket = connect(server.port, '127.0.0.1', async () => {
        const isClosed = new Promise(resolve => socket.once('close', resolve))
        socket.resume()
        await Promise.all([server.stop(), isClosed])
        console.log((await server.ended).kind)
      })`)

    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'stopped\n' })
  })

  test('stopping twice is stopping once', async () => {
    const server = await startServer()

    await Promise.all([server.stop(), server.stop()])

    expect(await server.ended).toEqual({ kind: 'stopped' })
  })

  test('stops at the end of the block that it was made for', async () => {
    let server: RunningServer | undefined
    {
      await using mine = await startServer()
      server = mine
    }

    await expect(handshake(server.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(await server.ended).toEqual({ kind: 'stopped' })
  })

  test('an option that is undefined is as good as left out', async () => {
    const config = { tickTimeMs: undefined, maxClientCnxns: 7, auth: undefined }
    const { port } = await started({ port: undefined, host: undefined, storage: undefined, config })

    const conf = String(await exchange(port, 'conf'))

    expect(conf).toContain('\ntickTime=3000\nmaxClientCnxns=7\n')
    expect((await handshake(port)).readInt32BE(8)).toBe(10_000)
  })

  test('two of them do not know of each other', async () => {
    const [first, second] = [await started(), await started()]

    expect(first.port).not.toBe(second.port)
    expect(String(await exchange(second.port, 'isro'))).toBe('rw')
  })
})

describe('a server on disk', () => {
  test('makes its directory, and starts again on it', async () => {
    const dataDir = join(aDir(), 'new')
    const first = await startServer({ storage: { dataDir } })
    await handshake(first.port)
    await first.stop()

    const second = await started({ storage: { dataDir } })

    // createSession was a txn, and the stop kept it
    expect(String(await exchange(second.port, 'srvr'))).toContain('\nZxid: 0x1\n')
  })

  test('keeps its logs beside its snapshots, where no other directory is given', async () => {
    const dataDir = aDir()
    const { port } = await started({ storage: { dataDir, dataLogDir: undefined } })

    await handshake(port)

    expect(readdirSync(join(dataDir, 'version-2'))).toContain('log.1')
  })

  test('a directory of two names is one directory, at the next start too', async () => {
    const dir = aDir()
    const storage = { dataDir: join(dir, 'data'), dataLogDir: join(dir, 'log') }
    mkdirSync(storage.dataDir)
    symlinkSync('data', storage.dataLogDir)
    const first = await startServer({ storage })
    await handshake(first.port)
    await first.stop()

    const second = await started({ storage })

    expect(String(await exchange(second.port, 'srvr'))).toContain('\nZxid: 0x1\n')
  })

  test('an address of IPv6 that cannot be had is told from its port', async () => {
    await expect(startServer({ host: '2001:db8::1' })).rejects.toMatchObject({
      exitCode: 1,
      message: expect.stringContaining('cannot serve clients on [2001:db8::1]:0: '),
    })
  })

  test('a link that leads nowhere, as to a disk that is not mounted, is named with its target', async () => {
    const dataDir = join(aDir(), 'data')
    symlinkSync('/nowhere/disk', dataDir)

    await expect(startServer({ storage: { dataDir } })).rejects.toMatchObject({
      exitCode: 3,
      message: `data directory ${dataDir} cannot be used: it is a link to /nowhere/disk, which does not exist`,
    })
  })

  test('a directory in use is refused by name, and the first server goes on', async () => {
    const dataDir = aDir()
    const { port } = await started({ storage: { dataDir } })

    await expect(startServer({ storage: { dataDir } })).rejects.toMatchObject({
      exitCode: 3,
      message: expect.stringContaining(`data directory ${dataDir} belongs to a server that is running`),
    })
    expect(String(await exchange(port, 'ruok'))).toBe('imok')
  })

  test('a port in use is refused by name, and the directory is free again', async () => {
    const { port } = await started()
    const dataDir = aDir()

    await expect(startServer({ storage: { dataDir }, port })).rejects.toMatchObject({
      exitCode: 1,
      message: `cannot serve clients on 127.0.0.1:${port}: the port is in use by another process (EADDRINUSE)`,
    })
    const server = await started({ storage: { dataDir } })
    expect(String(await exchange(server.port, 'ruok'))).toBe('imok')
  })

  test('data that cannot be trusted is refused with its exit code, and nothing stays open', async () => {
    const { exitCode, stdout } = await outcomeOf(`
      import { mkdirSync, writeFileSync } from 'node:fs'
      mkdirSync(dir + '/version-2', { recursive: true })
      writeFileSync(dir + '/version-2/log.5', 'not a log at all, but long enough to have a header')
      await startServer({ storage: { dataDir: dir } }).catch(error => console.log(String(error.exitCode)))`)

    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '10\n' })
  })
})
