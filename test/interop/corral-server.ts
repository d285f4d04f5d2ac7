/** Starts Corral: in this process, or as the process a user starts. Both look like the oracle. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defaultConfig } from '@corral/core'
import { startServer } from '@corral/server'
import {
  childEnvironment,
  defaultOptions,
  type InteropServer,
  type ServerOptions,
  type ServerSettings,
} from './interop-server.ts'
import { configText } from './java-server.ts'

/** The script at the root of a checkout. */
export const corralCommand: string = fileURLToPath(new URL('../../corral', import.meta.url))

/** In this process, in memory unless a directory is given. It cannot be killed, only stopped. */
export async function startCorral(options: ServerOptions = {}): Promise<InteropServer> {
  const settings: ServerSettings = { ...defaultOptions, ...options }
  const lines: string[] = []
  const server = await startServer({
    port: settings.port ?? 0,
    storage: options.dataDir === undefined ? 'memory' : { dataDir: options.dataDir },
    config: {
      tickTimeMs: settings.tickTimeMs,
      minSessionTimeoutMs: settings.minSessionTimeoutMs ?? 2 * settings.tickTimeMs,
      maxSessionTimeoutMs: settings.maxSessionTimeoutMs ?? 20 * settings.tickTimeMs,
      maxClientCnxns: 0,
      isQuotaEnforced: settings.isQuotaEnforced,
      sessionlessTimeoutMs: settings.sessionlessTimeoutMs,
      isTtlEnabled: settings.isTtlEnabled,
      isReconfigEnabled: settings.isReconfigEnabled,
      auth: { ...defaultConfig.auth, superDigest: settings.superDigest },
      container: { ...defaultConfig.container, checkIntervalMs: settings.containerCheckIntervalMs },
      storage: { ...defaultConfig.storage, isSyncForced: settings.isSyncForced },
    },
    onLog: line => lines.push(`${line.level} ${line.what} ${JSON.stringify(line.fields)}`),
  })
  return {
    name: 'Corral',
    isOracle: false,
    port: server.port,
    dataDir: options.dataDir ?? '',
    output: () => lines.join('\n'),
    stop: () => server.stop(),
    kill: () => Promise.reject(new Error('an embedded server cannot be killed')),
  }
}

/** The real process, from a zoo.cfg. */
export async function startCorralProcess(options: ServerOptions = {}): Promise<InteropServer> {
  const settings: ServerSettings = { ...defaultOptions, ...options }
  const root = await mkdtemp(join(tmpdir(), 'corral-process-'))
  const dataDir = options.dataDir ?? join(root, 'data')
  const configFile = join(root, 'zoo.cfg')
  await writeFile(configFile, configText(settings, dataDir, settings.port ?? 0))
  const running = runCorral([
    'server',
    configFile,
    `-Dzookeeper.extendedTypesEnabled=${settings.isTtlEnabled}`,
    `-Dzookeeper.forceSync=${settings.isSyncForced ? 'yes' : 'no'}`,
    `-Dznode.container.checkIntervalMs=${settings.containerCheckIntervalMs}`,
    `-Dzookeeper.nio.sessionlessCnxnTimeout=${settings.sessionlessTimeoutMs}`,
    ...Object.entries(options.properties ?? {}).map(([key, value]) => `-D${key}=${value}`),
  ])
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    running.signal(signal)
    await running.exited
    await rm(root, { recursive: true, force: true })
  }
  const port = await running.port
  if (port === undefined) {
    await end('SIGKILL')
    throw new Error(`Corral did not start\n${running.output()}`)
  }
  return {
    name: 'Corral',
    isOracle: false,
    port,
    dataDir,
    output: running.output,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  }
}

export interface CorralProcess {
  /** From the ready line; undefined when the process ended without one. */
  readonly port: Promise<number | undefined>
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  output(): string
  signal(signal: NodeJS.Signals): void
}

/** Runs `./corral` with these arguments. */
export function runCorral(args: readonly string[], cwd: string = tmpdir()): CorralProcess {
  const child = spawn(corralCommand, [...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd,
    env: childEnvironment(),
  })
  let output = ''
  let tellPort: (port: number | undefined) => void
  const port = new Promise<number | undefined>(resolve => {
    tellPort = resolve
  })
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      output += text
      const found = readyPort(output)
      if (found !== undefined) tellPort(found)
    })
  }
  const exited = once(child, 'close').then(([code, signal]) => {
    tellPort(undefined)
    return { code: code as number | null, signal: signal as NodeJS.Signals | null }
  })
  return {
    port,
    exited,
    output: () => output,
    signal: signal => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    },
  }
}

/** From whole lines only: a port may arrive in two pieces. */
function readyPort(output: string): number | undefined {
  const lines = output.slice(0, output.lastIndexOf('\n') + 1)
  const found = /"what":"serving".*"port":(\d+)/.exec(lines)
  return found === null ? undefined : Number(found[1])
}
