/** What the arguments and the environment of `corral server` say. */
import { parseArgs } from 'node:util'
import type { Overrides, Writable } from './settings.ts'
import type { Definition } from './zoo-cfg.ts'

export type ServerCommand =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'invalid'; readonly problem: string }
  | {
      readonly kind: 'serve'
      /** undefined: no file; `base` then holds embedded defaults or the short form's values. */
      readonly configFile: string | undefined
      readonly definitions: readonly Definition[]
      readonly base: Overrides
      readonly options: Overrides
      /** Of the options' values: to be said with those of the file. */
      readonly problems: readonly string[]
    }

export const usage = `usage: corral server [zoo.cfg] [options]
       corral server <clientPort> <dataDir> [tickTime [maxClientCnxns]]
       corral repair-log [zoo.cfg] [options] [--yes]   cuts a damaged log, keeps the rest aside

Without a file: 127.0.0.1:2181, data in ./data.

  --client-port N       serve clients on this port; 0 takes a free one
  --host ADDRESS        bind to this address
  --data-dir DIR        snapshots, and logs unless --data-log-dir is given
  --data-log-dir DIR    transaction logs
  -Dkey=value           a setting of zoo.cfg, as zookeeper.<key>; also from JVMFLAGS and SERVER_JVMFLAGS
                        -Dzookeeper.console.threshold=warn logs less: debug, info, warn, error
  --version, --help
`

type Environment = Readonly<Record<string, string | undefined>>

/** @param args - without the word `server` */
export function parseCommandLine(args: readonly string[], environment: Environment): ServerCommand {
  const definitions = [
    ...definitionsOf(flagsOf(environment['SERVER_JVMFLAGS']), 'SERVER_JVMFLAGS'),
    ...definitionsOf(flagsOf(environment['JVMFLAGS']), 'JVMFLAGS'),
    ...definitionsOf(args, 'command line'),
  ]
  try {
    const { values, positionals } = parseArgs({
      args: args.filter(arg => !isDefinition(arg)),
      allowPositionals: true,
      options: {
        'client-port': { type: 'string' },
        host: { type: 'string' },
        'data-dir': { type: 'string' },
        'data-log-dir': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
      },
    })
    if (values.help === true) return { kind: 'help' }
    if (values.version === true) return { kind: 'version' }
    return { kind: 'serve', definitions, ...optionsOf(values), ...positionalsOf(positionals) }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    // Node goes on about arguments that begin with a dash, of which there are none here.
    return { kind: 'invalid', problem: error.message.replace(/\. To specify a positional argument.*/s, '') }
  }
}

function optionsOf(values: {
  readonly 'client-port'?: string
  readonly host?: string
  readonly 'data-dir'?: string
  readonly 'data-log-dir'?: string
}): { options: Overrides; problems: readonly string[] } {
  const options: Writable<Overrides> = {}
  const problems: string[] = []
  const take = (written: string | undefined, set: (written: string) => void): void => {
    try {
      if (written !== undefined) set(written)
    } catch (error) {
      if (!(error instanceof Error)) throw error
      problems.push(error.message)
    }
  }
  take(values['client-port'], port => {
    options.clientPort = portOf(port)
  })
  take(values.host, host => {
    options.clientPortAddress = textOf('--host', host)
  })
  take(values['data-dir'], dir => {
    options.dataDir = textOf('--data-dir', dir)
  })
  take(values['data-log-dir'], dir => {
    options.dataLogDir = textOf('--data-log-dir', dir)
  })
  return { options, problems }
}

function positionalsOf(given: readonly string[]): {
  configFile: string | undefined
  base: Overrides
} {
  const [first, dataDir, tickTime, maxClientCnxns] = given
  if (first === undefined) {
    return {
      configFile: undefined,
      base: { clientPort: 2181, clientPortAddress: '127.0.0.1', dataDir: './data' },
    }
  }
  if (dataDir === undefined) return { configFile: textOf('zoo.cfg', first), base: {} }
  if (given.length > 4) throw new Error('too many arguments')
  const base: Writable<Overrides> = { clientPort: portOf(first), dataDir: textOf('dataDir', dataDir) }
  if (tickTime !== undefined) base.tickTimeMs = countOf('tickTime', tickTime, 1)
  if (maxClientCnxns !== undefined) base.maxClientCnxns = countOf('maxClientCnxns', maxClientCnxns, 0)
  return { configFile: undefined, base }
}

/** Empty, as from a variable of a script that is not set, would mean the working directory, or every address. */
function textOf(what: string, written: string): string {
  if (written === '') throw new Error(`${what} is empty`)
  return written
}

function portOf(written: string): number {
  const port = countOf('the client port', written, 0)
  if (port > 65_535) throw new Error(`the client port must be at most 65535, and is ${port}`)
  return port
}

function countOf(what: string, written: string, min: number): number {
  if (!/^[0-9]{1,10}$/.test(written) || Number(written) < min) {
    throw new Error(`${what} must be a whole number from ${min}, and is ${JSON.stringify(written)}`)
  }
  return Number(written)
}

function isDefinition(arg: string): boolean {
  return /^-D./.test(arg)
}

function definitionsOf(flags: readonly string[], origin: string): Definition[] {
  return flags.filter(isDefinition).map(flag => {
    const separator = flag.indexOf('=')
    const name = flag.slice(2, separator < 0 ? undefined : separator)
    return { name, value: separator < 0 ? '' : flag.slice(separator + 1).trim(), origin }
  })
}

/** As a shell splits words, with its quotes; flags for the JVM itself (`-Xmx…`) are nobody's here. */
function flagsOf(text: string | undefined): string[] {
  const words = text?.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? []
  return words.map(word => word.replace(/"([^"]*)"|'([^']*)'/g, (_whole, double, single) => double ?? single))
}
