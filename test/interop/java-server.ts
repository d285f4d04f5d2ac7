/** Starts an Apache ZooKeeper server, standalone. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  childEnvironment,
  defaultOptions,
  freePort,
  type InteropServer,
  type ServerOptions,
  type ServerSettings,
  untilServing,
} from './interop-server.ts'
import { javaClasspath, javaRelease } from './java-release.ts'

const stopMs = 5_000

export const javaRunFlags: readonly string[] = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto']

export async function startJavaServer(options: ServerOptions = {}): Promise<InteropServer> {
  const settings: ServerSettings = { ...defaultOptions, ...options }
  const root = await mkdtemp(join(tmpdir(), 'corral-java-'))
  const dataDir = options.dataDir ?? join(root, 'data')
  await mkdir(dataDir, { recursive: true })
  const port = options.port ?? (await freePort())
  const configFile = join(root, 'zoo.cfg')
  await writeFile(configFile, configText(settings, dataDir, port))
  const properties: Record<string, string | number | boolean> = {
    'zookeeper.extendedTypesEnabled': settings.isTtlEnabled,
    'zookeeper.forceSync': settings.isSyncForced ? 'yes' : 'no',
    'zookeeper.preAllocSize': 64,
    'znode.container.checkIntervalMs': settings.containerCheckIntervalMs,
    'zookeeper.nio.sessionlessCnxnTimeout': settings.sessionlessTimeoutMs,
    'org.slf4j.simpleLogger.defaultLogLevel': 'warn',
    ...options.properties,
  }
  const child = spawn(
    '/usr/bin/java',
    [
      ...javaRunFlags,
      '-Xmx512m',
      '-cp',
      javaClasspath,
      ...Object.entries(properties).map(([key, value]) => `-D${key}=${value}`),
      'org.apache.zookeeper.server.quorum.QuorumPeerMain',
      configFile,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: childEnvironment() },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      output += text
    })
  }
  let hasExited = false
  const exited = once(child, 'exit').then(() => {
    hasExited = true
  })

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (!hasExited) child.kill(signal)
    const impatience = setTimeout(() => child.kill('SIGKILL'), stopMs)
    await exited
    clearTimeout(impatience)
    await rm(root, { recursive: true, force: true })
  }
  try {
    await untilServing(
      port,
      () => hasExited,
      () => output,
    )
  } catch (error) {
    await end('SIGKILL')
    throw error
  }
  return {
    name: `Apache ZooKeeper ${javaRelease}`,
    isOracle: true,
    port,
    dataDir,
    output: () => output,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  }
}

/** The zoo.cfg that both servers are started with. */
export function configText(settings: ServerSettings, dataDir: string, port: number): string {
  const lines: Record<string, string | number | boolean | undefined> = {
    dataDir,
    clientPort: port,
    clientPortAddress: '127.0.0.1',
    tickTime: settings.tickTimeMs,
    minSessionTimeout: settings.minSessionTimeoutMs,
    maxSessionTimeout: settings.maxSessionTimeoutMs,
    maxClientCnxns: 0,
    'admin.enableServer': false,
    '4lw.commands.whitelist': '*',
    enforceQuota: settings.isQuotaEnforced,
    reconfigEnabled: settings.isReconfigEnabled,
    'DigestAuthenticationProvider.superDigest': settings.superDigest,
  }
  return Object.entries(lines)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}
