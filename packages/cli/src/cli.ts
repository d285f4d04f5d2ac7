/** The command line as a function: arguments and streams in, exit code out. */
import { BadArgumentsError } from '@corral/client'
import { parseCommandLine, type Request } from './arguments.ts'
import { type ClientSettings, readClientConfiguration } from './client-configuration.ts'
import { commandHelp, commandSyntaxes } from './commands/table.ts'
import { exitCodes } from './failure.ts'
import { Prompt, runPipe } from './lines.ts'
import { Shell, type ShellOptions } from './shell.ts'
import { type Streams, type Terminal, terminalStreams } from './streams.ts'
import { corralVersion, shellVersion } from './version.ts'

/**
 * @param args - without the name of the program
 * @returns 0 done, 1 the (last) command failed, 2 the command line is wrong, 127 no such command
 */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  const request = parseCommandLine(args)
  const streams = terminalStreams(terminal)
  switch (request.kind) {
    case 'version':
      streams.out(`corral ${corralVersion}`)
      return exitCodes.done
    case 'help':
      return printHelp(request.topic, streams)
    case 'wrong':
      streams.err(request.message)
      streams.err("try 'corral help'")
      return exitCodes.misused
    default:
      return run(request, terminal, streams)
  }
}

async function run(
  { options, clientConfiguration, words }: Extract<Request, { kind: 'run' }>,
  terminal: Terminal,
  streams: Streams,
): Promise<number> {
  const configured = clientConfiguration === undefined ? {} : configure(clientConfiguration, streams)
  if (configured === undefined) return exitCodes.misused
  const isPrompting = words.length === 0 && terminal.stdin.isTTY === true && terminal.stdout.isTTY === true
  const prompt = isPrompting ? new Prompt(terminal) : undefined
  const printed = prompt?.around(streams) ?? streams
  const shell = openShell({ ...options, client: configured }, printed)
  if (shell === undefined) return exitCodes.misused
  if (!options.isQuiet) streams.out(`Connecting to ${options.servers}`)
  try {
    await shell.start()
    if (words.length > 0) {
      await shell.runWords(words)
    } else {
      if (!options.isQuiet) greet(prompt !== undefined, streams)
      await (prompt === undefined ? runPipe(shell, terminal) : prompt.run(shell))
    }
  } catch (error) {
    shell.fail(error) // Only waiting for the connection fails before a command does.
  } finally {
    await shell.end()
  }
  return shell.exitCode
}

/** @returns undefined, with the reasons on stderr, if the file is not to be gone by */
function configure(file: string, streams: Streams): ClientSettings | undefined {
  const { settings, problems, warnings } = readClientConfiguration(file)
  for (const line of problems) streams.err(line)
  if (problems.length > 0) return undefined
  for (const line of warnings) streams.err(`warning: ${line}`)
  return settings
}

function openShell(options: ShellOptions, streams: Streams): Shell | undefined {
  try {
    return new Shell(options, streams)
  } catch (error) {
    if (!(error instanceof BadArgumentsError)) throw error
    streams.err(error.reason ?? error.message)
    return undefined
  }
}

/** The Java shell's words, which scripts skip by. */
function greet(isPrompting: boolean, streams: Streams): void {
  streams.out('Welcome to ZooKeeper!')
  streams.out(`JLine support is ${isPrompting ? 'enabled' : 'disabled'}`)
}

function printHelp(topic: string | undefined, streams: Streams): number {
  if (topic !== undefined) {
    const lines = commandHelp(topic)
    if (lines === undefined) {
      streams.err(`no command is called ${topic}; try 'corral help'`)
      return exitCodes.unknownCommand
    }
    for (const line of lines) streams.out(line)
    return exitCodes.done
  }
  for (const line of helpText) streams.out(line)
  for (const syntax of commandSyntaxes()) streams.out(`  ${syntax}`.trimEnd())
  return exitCodes.done
}

const helpText: readonly string[] = [
  'usage: corral server [zoo.cfg] [options]            run a server: corral server --help',
  '       corral repair-log [zoo.cfg] [options]        cut a damaged txn log: corral server --help',
  '       corral sh [options]                          a shell, with history and completion',
  '       corral [options] command [arguments]         one command: corral ls --help',
  '',
  'Options:',
  '  -s, -server, --server host:port[,host:port][/chroot]   which servers; default localhost:2181',
  '  -timeout, --timeout ms                                 session timeout, default 30000',
  '  -r, --read-only                                        accept a read-only server',
  '  -waitforconnection, --wait-for-connection              connect before running anything',
  '  -client-configuration, --client-configuration file     a properties file, as for a Java client',
  '  --auth scheme:auth                                     authenticate first; may be repeated',
  '  --json                                                 answers as JSON, nothing else',
  '  -q, --quiet                                            no greeting, no session events',
  '  --help, --version',
  '',
  'Behind the command only options with two dashes count, and -s host:port; behind -- none.',
  'Exit codes: 0 done, 1 the (last) command failed, 2 the command line is wrong, 127 no such command.',
  '',
  `Commands, as in the shell of ZooKeeper ${shellVersion.split('-', 1)[0]}, and tree:`,
]
