/**
 * Captures what the shell of Apache ZooKeeper answers: each script of `scripts/` piped through one shell, each line
 * of `one-shot.txt` given to a shell of its own, all against one fresh server. Writes `captured/`.
 *
 *   node test/golden/zkcli/capture.mjs CLASSPATH
 *
 * CLASSPATH holds Apache ZooKeeper 3.9.5 with what it needs, as on Maven Central: org.apache.zookeeper:zookeeper:3.9.5,
 * org.slf4j:slf4j-simple:2.0.13 and commons-cli:commons-cli:1.5.0. A JLine would print escape sequences.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const here = import.meta.dirname
const java = '/usr/bin/java'
const [classpath] = process.argv.slice(2)
if (classpath === undefined) throw new Error('usage: capture.mjs CLASSPATH')
const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env
const env = { ...environment, TZ: 'UTC' }

const root = mkdtempSync(join(tmpdir(), 'zkcli-capture-'))
const port = await freePort()
const server = startServer()
try {
  await untilServing()
  for (const name of readdirSync(join(here, 'scripts')).sort()) {
    const commands = readFileSync(join(here, 'scripts', name), 'utf8')
    writeFileSync(join(here, 'captured', name), shell(name, [], commands))
  }
  const lines = readFileSync(join(here, 'one-shot.txt'), 'utf8').trim().split('\n')
  const blocks = lines.map(line => shell(line, line.split(' '), ''))
  writeFileSync(join(here, 'captured', 'one-shot.txt'), blocks.join(''))
} finally {
  server.kill('SIGKILL')
  await once(server, 'exit')
  rmSync(root, { recursive: true })
}

/**
 * Runs one shell, and writes down how it ended and what it printed.
 *
 * @param {string} title
 * @param {string[]} words
 * @param {string} input
 */
function shell(title, words, input) {
  const main = 'org.apache.zookeeper.ZooKeeperMain'
  const options = ['-server', `127.0.0.1:${port}`, '-waitforconnection']
  const args = [...flags('off'), '-cp', classpath, main, ...options, ...words]
  const { status, stdout, stderr } = spawnSync(java, args, { input, encoding: 'utf8', env })
  return `=== ${title}\n--- exit ${status}\n--- stdout\n${portless(stdout)}--- stderr\n${portless(stderr)}`
}

/** The server's address appears in the output. @param {string} text */
function portless(text) {
  return text.replaceAll(`:${port}`, ':PORT')
}

function startServer() {
  const configFile = join(root, 'zoo.cfg')
  const settings = {
    dataDir: join(root, 'data'),
    clientPort: port,
    clientPortAddress: '127.0.0.1',
    tickTime: 3000,
    maxClientCnxns: 0,
    'admin.enableServer': false,
    '4lw.commands.whitelist': '*',
  }
  writeFileSync(
    configFile,
    Object.entries(settings)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  )
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
  const args = [...flags('warn'), '-Dzookeeper.extendedTypesEnabled=true', '-cp', classpath, main, configFile]
  return spawn(java, args, { stdio: 'ignore', env })
}

/** @param {string} level */
function flags(level) {
  return ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', `-Dorg.slf4j.simpleLogger.defaultLogLevel=${level}`]
}

async function untilServing() {
  while (server.exitCode === null) {
    const answer = await new Promise(resolve => {
      let text = ''
      const socket = connect(port, '127.0.0.1', () => socket.write('srvr'))
      socket.on('data', bytes => {
        text += bytes
      })
      socket.setTimeout(1000, () => socket.destroy()) // One that came too early may never be answered.
      socket.on('error', () => resolve(''))
      socket.on('close', () => resolve(text))
    })
    if (answer.includes('Mode: standalone')) return
  }
  throw new Error('the server ended')
}

function freePort() {
  return new Promise(resolve => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address())
      probe.close(() => resolve(port))
    })
  })
}
