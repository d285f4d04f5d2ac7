/**
 * What zkCli 3.9.5 printed, with a server 3.9.5 (see `capture.mjs`), and how outputs are compared: what no two runs have
 * in common is given a name, and what is meant to differ is listed here. Anything else is a difference.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Run {
  readonly title: string
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

const here = import.meta.dirname

/** The scripts in the order in which they are to be run, on one server. */
export const scriptNames: readonly string[] = readdirSync(join(here, 'scripts')).sort()

export function readScript(name: string): string {
  return readFileSync(join(here, 'scripts', name), 'utf8')
}

/** @param name - of a script, or `one-shot.txt` */
export function readCaptured(name: string): Run[] {
  const text = readFileSync(join(here, 'captured', name), 'utf8')
  return text
    .split(/^=== /m)
    .slice(1)
    .map(block => {
      const match = /^(.*)\n--- exit (\d+)\n--- stdout\n([^]*?)--- stderr\n([^]*)$/.exec(block)
      if (match === null) throw new Error(`${name} is not as capture.mjs writes it`)
      const [, title = '', exitCode = '', stdout = '', stderr = ''] = match
      return { title, exitCode: Number(exitCode), stdout, stderr }
    })
}

export interface Comparable {
  readonly exitCode: number
  /** Events come from another thread, between other lines wherever that lets them. */
  readonly events: readonly string[]
  readonly stdout: readonly string[]
  readonly stderr: readonly string[]
}

export function comparable({ exitCode, stdout, stderr }: Omit<Run, 'title'>): Comparable {
  const names = new Map<string, string>()
  const { events, others } = splitEvents(stdout.split('\n'))
  return {
    exitCode,
    events,
    stdout: sortIdentities(others.map(line => nameVariables(line, names))),
    stderr: stderr.split('\n'),
  }
}

function splitEvents(lines: readonly string[]): { events: string[]; others: string[] } {
  const events: string[] = []
  const others: string[] = []
  for (const line of lines) {
    const isEvent = line.startsWith('WatchedEvent ')
    if (isEvent) events.push(line.replace(/(?<= zxid: )\d+$/, '<zxid>'))
    // Each of both comes behind an empty line.
    if (isEvent || line === 'WATCHER::') others.pop()
    else others.push(line)
  }
  return { events, others }
}

const date = /^(ctime|mtime) = (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \S+ \d{4}$/
const zxid = /^([cmp]Zxid) = 0x([1-9a-f][0-9a-f]*)$/

/** Equal zxids get equal names, in the order in which they are met. */
function nameVariables(line: string, names: Map<string, string>): string {
  if (date.test(line)) return line.replace(date, '$1 = <date>')
  const value = zxid.exec(line)?.[2]
  if (value !== undefined) {
    if (!names.has(value)) names.set(value, `<zxid ${names.size + 1}>`)
    return line.replace(zxid, `$1 = ${names.get(value)}`)
  }
  // Ephemerals, and no other list of paths, come in the order of a hash table.
  if (/^\[\/.*\]$/.test(line)) return `[${line.slice(1, -1).split(', ').sort().join(', ')}]`
  return line
}

/** What `whoami` lists comes in the order of a hash table too. */
function sortIdentities(lines: readonly string[]): string[] {
  const result = [...lines]
  for (let i = 0; i < result.length; i++) {
    if (result[i] !== 'Auth scheme: User') continue
    const rest = result.slice(i + 1)
    const end = rest.findIndex(line => !/^(?:ip|digest): /.test(line))
    result.splice(i + 1, end, ...rest.slice(0, end).sort())
  }
  return result
}

export interface Divergence {
  readonly why: string
  readonly ours: RegExp
  /** What zkCli 3.9.5 prints there. */
  readonly theirs: string
}

/** Each must be met, or it has no business here. */
export const divergences: readonly Divergence[] = [
  { why: 'commands that zkCli does not have', ours: /^\t(?:exit|help|tree) .*\n/gm, theirs: '' },
  {
    why: 'the version is our own',
    ours: /^ZooKeeper CLI version: 3\.9\.5-corral-\d+\.\d+\.\d+$/gm,
    theirs:
      'ZooKeeper CLI version: 3.9.5-293c895a8d966a3ecb92872be4a1daf87d725da2, built on 2026-02-11 20:18 UTC',
  },
]

/** What the shell prints with Debian's server, 3.8.0. */
export const divergencesOfOldServer: readonly Divergence[] = [
  {
    why: 'events carry a zxid since 3.9',
    ours: /(?<=^WatchedEvent .* type:Node\w+ .* zxid: )-1$/gm,
    theirs: '1',
  },
]

/** Our output as 3.9.5 would have it. @param met - takes the divergences that made a difference */
export function asCaptured(
  run: Omit<Run, 'title'>,
  allowed: readonly Divergence[],
  met: Set<Divergence>,
): Omit<Run, 'title'> {
  const translate = (text: string): string => {
    let result = text
    for (const divergence of allowed) {
      const next = result.replace(divergence.ours, divergence.theirs.replaceAll('$', '$$$$'))
      if (next !== result) met.add(divergence)
      result = next
    }
    return result
  }
  return { exitCode: run.exitCode, stdout: translate(run.stdout), stderr: translate(run.stderr) }
}
