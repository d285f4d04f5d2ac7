/**
 * The command line. Options stand before the command, spelled as in zkCli or as `--option`. Behind the command, whose
 * own options have one dash, only `--option` is ours; and `-s host:port`, because no command's own `-s` is followed by
 * a host with a port, unless that is the data to be set.
 */
import type { AuthInfo } from '@corral/client'
import type { ShellOptions } from './shell.ts'

export type Request =
  | { readonly kind: 'version' }
  | { readonly kind: 'help'; readonly topic: string | undefined }
  /** `words` is the command; none means a shell. */
  | {
      readonly kind: 'run'
      readonly options: ShellOptions
      /** The file of `-client-configuration`. */
      readonly clientConfiguration: string | undefined
      readonly words: readonly string[]
    }
  | { readonly kind: 'wrong'; readonly message: string }

interface Settings {
  servers: string
  sessionTimeoutMs: number
  canBeReadOnly: boolean
  waitsForConnection: boolean
  isJson: boolean
  isQuiet: boolean
  readonly auth: AuthInfo[]
  clientConfiguration: string | undefined
}

type Setter = (settings: Settings, value: string) => string | undefined

interface GlobalOption {
  /** Before the command. */
  readonly short: readonly string[]
  /** Anywhere. */
  readonly long: string
  readonly takesValue?: true
  /** @returns what is wrong with the value */
  readonly set: Setter
}

const globalOptions: readonly GlobalOption[] = [
  {
    short: ['-server', '-s'],
    long: '--server',
    takesValue: true,
    set: (s, value) => assign(s, { servers: value }),
  },
  { short: ['-timeout'], long: '--timeout', takesValue: true, set: setTimeoutMs },
  { short: ['-r'], long: '--read-only', set: s => assign(s, { canBeReadOnly: true }) },
  {
    short: ['-waitforconnection'],
    long: '--wait-for-connection',
    set: s => assign(s, { waitsForConnection: true }),
  },
  {
    short: ['-client-configuration'],
    long: '--client-configuration',
    takesValue: true,
    set: (s, value) => assign(s, { clientConfiguration: value }),
  },
  { short: [], long: '--auth', takesValue: true, set: addAuth },
  { short: [], long: '--json', set: s => assign(s, { isJson: true, isQuiet: true }) },
  { short: ['-q'], long: '--quiet', set: s => assign(s, { isQuiet: true }) },
]

/** @param args - without the name of the program; `sh`, before any command, is one way to ask for a shell */
export function parseCommandLine(args: readonly string[]): Request {
  const [first] = args
  if (first === undefined || first === 'help' || first === '--help' || first === '-h') {
    return { kind: 'help', topic: args.slice(1).find(word => word !== 'sh' && !word.startsWith('-')) }
  }
  const settings: Settings = {
    servers: 'localhost:2181',
    sessionTimeoutMs: 30_000,
    canBeReadOnly: false,
    waitsForConnection: false,
    isJson: false,
    isQuiet: false,
    auth: [],
    clientConfiguration: undefined,
  }
  const words: string[] = []
  const other = readWords(args, settings, words)
  if (other !== undefined) return other
  const { clientConfiguration, ...options } = settings
  return { kind: 'run', options, clientConfiguration, words }
}

/** @returns what is to be done instead of running anything */
function readWords(
  args: readonly string[],
  settings: Settings,
  words: string[],
): Exclude<Request, { kind: 'run' }> | undefined {
  let isShell = false
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? ''
    const isBehindCommand = words.length > 0
    if (arg === '--') {
      words.push(...args.slice(isBehindCommand ? i : i + 1))
      return undefined
    }
    if (arg === 'sh' && !isBehindCommand && !isShell) {
      isShell = true
      continue
    }
    const [name, inlineValue] = arg.startsWith('--') ? splitAtEquals(arg) : [arg, undefined]
    if (name === '--help' || (arg === '-h' && !isBehindCommand)) return { kind: 'help', topic: words[0] }
    if (name === '--version' && !isBehindCommand) return { kind: 'version' }
    const option = findOption(name, args[i + 1], isBehindCommand)
    if (option === undefined) {
      if (!isBehindCommand && arg.startsWith('-')) return wrong(`unknown option ${arg}`)
      words.push(arg)
      continue
    }
    if (inlineValue !== undefined && option.takesValue !== true) return wrong(`option ${name} takes no value`)
    const value = inlineValue ?? (option.takesValue === true ? args[++i] : '')
    if (value === undefined) return wrong(`Error: no argument found for option ${arg}`)
    const problem = option.set(settings, value)
    if (problem !== undefined) return wrong(problem)
  }
  return undefined
}

function wrong(message: string): Request & { readonly kind: 'wrong' } {
  return { kind: 'wrong', message }
}

function findOption(
  name: string,
  next: string | undefined,
  isBehindCommand: boolean,
): GlobalOption | undefined {
  return globalOptions.find(({ short, long }) => {
    if (name === long) return true
    if (!short.includes(name)) return false
    return !isBehindCommand || (name === '-s' && next !== undefined && isServerList(next))
  })
}

/** Every server with its port, so that it is not mistaken for data or an ACL. */
function isServerList(text: string): boolean {
  const hosts = text.split('/', 1)[0] ?? ''
  return hosts.split(',').every(host => /^(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}$/.test(host))
}

function splitAtEquals(arg: string): [string, string | undefined] {
  const cut = arg.indexOf('=')
  return cut === -1 ? [arg, undefined] : [arg.slice(0, cut), arg.slice(cut + 1)]
}

function assign(settings: Settings, values: Partial<Settings>): undefined {
  Object.assign(settings, values)
}

const longestMs = 0x7fff_ffff

function setTimeoutMs(settings: Settings, value: string): string | undefined {
  const isLegal = /^\d+$/.test(value) && Number(value) >= 1 && Number(value) <= longestMs
  if (!isLegal) return `-timeout ${value} is not a number of ms from 1 to ${longestMs}`
  settings.sessionTimeoutMs = Number(value)
  return undefined
}

function addAuth(settings: Settings, value: string): string | undefined {
  const cut = value.indexOf(':')
  if (cut < 1) return `--auth is scheme:auth, like digest:user:password`
  settings.auth.push({ scheme: value.slice(0, cut), auth: value.slice(cut + 1) })
  return undefined
}
