/**
 * The process: arguments, signals, exit codes. Everything that belongs to a process and not to a server is here, so that
 * a server can live in somebody else's process.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseCommandLine, type ServerCommand, usage } from './config/command-line.ts'
import type { ProcessSettings } from './config/settings.ts'
import { type ConfigProblem, type LoadedConfig, loadConfig } from './config/zoo-cfg.ts'
import {
  cut,
  escapeUnprintable,
  isAtLeast,
  jsonLine,
  type LogLine,
  type Say,
  sayTo,
  sentenceOf,
  textLine,
} from './log-lines.ts'
import { logOutput } from './log-output.ts'
import { ExitCode, errnoOf, StartError } from './start-error.ts'
import { launch, type RunningServer } from './start-server.ts'
import { repairLog } from './tools/repair-log.ts'
import { corralVersion } from './version.ts'

/** At the end: for calls that were under way when the disk failed. */
const longestCallMs = 500

async function main(args: readonly string[]): Promise<void> {
  const [command, ...rest] = args
  switch (command) {
    case 'server':
      return withConfiguration(parseCommandLine(rest, process.env), run)
    case 'repair-log': {
      const isConfirmed = rest.includes('--yes')
      const others = rest.filter(arg => arg !== '--yes')
      return withConfiguration(parseCommandLine(others, process.env), loaded => repair(loaded, isConfirmed))
    }
    default:
      return complain(ExitCode.BadInvocation, usage)
  }
}

type Configuration = Extract<LoadedConfig, { ok: true }>

async function withConfiguration(
  command: ServerCommand,
  use: (configuration: Configuration) => Promise<void>,
): Promise<void> {
  switch (command.kind) {
    case 'help':
      outliving(process.stdout).write(usage)
      return
    case 'version':
      outliving(process.stdout).write(`corral ${corralVersion}\n`)
      return
    case 'invalid':
      return complain(ExitCode.BadInvocation, `corral: ${command.problem}\n\n${usage}`)
    case 'serve': {
      const configuration = configurationOf(command)
      if (configuration !== undefined) await use(configuration)
    }
  }
}

/** @returns undefined if something is wrong with it, which is said */
function configurationOf({
  configFile,
  ...rest
}: Extract<ServerCommand, { kind: 'serve' }>): Configuration | undefined {
  const text = configFile === undefined ? '' : readConfig(configFile)
  if (text === undefined) {
    for (const problem of rest.problems) outliving(process.stderr).write(`command line: ${problem}\n`)
    return undefined
  }
  const file = configFile === undefined ? undefined : { path: configFile, text }
  const loaded = loadConfig({ file, ...rest })
  if (loaded.ok) return { ...loaded, process: withWholePaths(loaded.process) }
  const lineOf = ({ where, ...about }: ConfigProblem): string =>
    `${escapeUnprintable(cut(`${where}: ${sentenceOf(about)}`))}\n`
  const problems = loaded.problems.map(lineOf).join('')
  // A misspelt key is often why another one is missing.
  const warnings = loaded.notices.filter(({ level }) => level === 'warn').map(lineOf)
  const alsoSaid = warnings.length === 0 ? '' : `also:\n${warnings.join('')}`
  complain(ExitCode.BadInvocation, `corral: the configuration is not valid\n${problems}${alsoSaid}`)
  return undefined
}

/** What is logged and answered must not depend on where the reader stands. */
function withWholePaths(settings: ProcessSettings): ProcessSettings {
  return { ...settings, dataDir: resolve(settings.dataDir), dataLogDir: resolve(settings.dataLogDir) }
}

async function repair({ core, process: settings }: Configuration, isConfirmed: boolean): Promise<void> {
  const print = (line: string): void => void outliving(process.stdout).write(`${line}\n`)
  try {
    process.exitCode = await repairLog({ config: core, ...settings, isConfirmed, print })
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    complain(error.exitCode, `corral: ${error.message}\n`)
  }
}

/** @returns the bytes as latin1; undefined if it cannot be read, which is said */
function readConfig(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    const errno = errnoOf(error)
    const why = readReasons[errno] ?? String(error)
    complain(ExitCode.BadInvocation, `corral: the configuration ${path} cannot be read: ${why}\n`)
    return undefined
  }
}

const readReasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file (ENOENT)',
  EACCES: 'permission denied (EACCES)',
  EISDIR: 'it is a directory (EISDIR)',
}

async function run({ core, process: settings, notices }: Configuration): Promise<void> {
  const stalls = stallReport()
  const onLog = lineWriter(settings)
  const say = sayTo(onLog)
  let isTerminalGone = false
  const endWith = (exitCode: number): never => {
    stalls.print()
    if (isTerminalGone) {
      // Node wants to restore a terminal when it exits, and aborts where there is none.
      process.removeAllListeners('SIGHUP')
      process.kill(process.pid, 'SIGHUP')
    }
    process.exit(exitCode)
  }
  process.on('uncaughtException', error => {
    say('error', 'an unexpected error', { error: error.stack ?? String(error) })
    endWith(ExitCode.UnexpectedError)
  })
  for (const { level, ...fields } of notices) say(level, 'configuration', fields)
  let server: RunningServer | undefined
  const endStopped = (): never => {
    say('info', 'stopped', {})
    return endWith(ExitCode.Ok)
  }
  obeySignals(say, signal => {
    isTerminalGone = signal === 'SIGHUP'
    if (server === undefined)
      endStopped() // nothing was accepted yet
    else void server.stop()
  })
  try {
    server = await launch({
      core,
      storage: { dataDir: settings.dataDir, dataLogDir: settings.dataLogDir },
      listen: settings,
      isDataDirAutocreated: settings.isDataDirAutocreated,
      fourLetterWords: settings.fourLetterWords,
      startedAtMs: 0, // of the process: the clock began with it
      onLog,
    })
    stalls.begin()
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    const { exitCode, message: reason } = error
    say('error', 'the start failed', { reason, ...placesOf(settings, exitCode) })
    return endWith(exitCode)
  }
  const end = await server.ended
  if (end.kind === 'fatal') {
    say('error', 'the server ends', { reason: end.reason, ...placesOf(settings, end.exitCode) })
    if (await isDiskStuck()) process.kill(process.pid, 'SIGKILL')
    return endWith(end.exitCode)
  }
  return endStopped()
}

/** @param stop - called once: a second signal, as Ctrl-C under npm is, changes nothing about a stop that has begun */
function obeySignals(say: Say, stop: (signal: string) => void): void {
  let isStopping = false
  const stopFor = (signal: string): void => {
    if (isStopping) return
    isStopping = true
    say('info', 'stopping', { signal })
    stop(signal)
  }
  process.on('SIGTERM', stopFor)
  process.on('SIGINT', stopFor)
  process.on('SIGHUP', signal => {
    if (process.stdout.isTTY) {
      stopFor(signal) // the terminal it runs in is gone
      return
    }
    const reason = 'nothing is read again while the server runs; to change a setting, start anew'
    say('warn', 'SIGHUP is ignored', { reason })
  })
}

/**
 * Whether a call to the disk does not come back, though it had time. An exit would wait for its thread, and with it all
 * who wait for the process to end.
 */
async function isDiskStuck(): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < longestCallMs; waitedMs += 50) {
    if (!process.getActiveResourcesInfo().includes('FSReqCallback')) return false
    await delay(50)
  }
  return true
}

/** What failed is named by its file: this says where that is. */
function placesOf(
  { dataDir, dataLogDir }: ProcessSettings,
  exitCode: number,
): Readonly<Record<string, string>> {
  if (exitCode !== ExitCode.DiskError) return {}
  return dataDir === dataLogDir ? { dataDir } : { dataDir, dataLogDir }
}

function lineWriter({ logThreshold }: ProcessSettings): (line: LogLine) => void {
  const write = logOutput(outliving(process.stdout), process.stdout.isTTY ? textLine : jsonLine)
  return line => {
    if (isAtLeast(line.level, logThreshold)) write(line)
  }
}

/** With CORRAL_STALL_REPORT=1: how long the event loop stood still while it served, on standard error at the end. */
function stallReport(): { readonly begin: () => void; readonly print: () => void } {
  if (process.env['CORRAL_STALL_REPORT'] !== '1') return { begin: () => undefined, print: () => undefined }
  const delays = process.getBuiltinModule('node:perf_hooks').monitorEventLoopDelay({ resolution: 1 })
  return {
    begin: () => void delays.enable(),
    print: () => {
      const [maxMs, p999Ms] = [delays.max / 1e6, delays.percentile(99.9) / 1e6]
      process.stderr.write(`${JSON.stringify({ stall: { maxMs, p999Ms } })}\n`)
    },
  }
}

function complain(exitCode: number, text: string): void {
  outliving(process.stderr).write(text)
  process.exitCode = exitCode
}

/** Whoever read it may be gone, or its disk full: that changes neither what is done nor the exit code. */
function outliving(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  return stream.listenerCount('error') > 0 ? stream : stream.on('error', () => undefined)
}

void main(process.argv.slice(2))
