/**
 * What zkCli 3.8.0 of Debian printed (see `capture.mjs`), and how outputs are compared: what no two runs have in common
 * is given a name, and what is meant to differ from 3.8.0 is listed here. Anything else is a difference.
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
    if (isEvent) events.push(line)
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
  /** What 3.8.0 prints there. */
  readonly theirs: string
}

/** Each must be met, or it has no business here. */
export const divergences: readonly Divergence[] = [
  { why: 'events carry a zxid since 3.9', ours: /(?<=^WatchedEvent .*) zxid: -?\d+$/gm, theirs: '' },
  { why: 'commands that zkCli 3.9 does not have', ours: /^\t(?:exit|help|tree) .*\n/gm, theirs: '' },
  { why: 'get has -b and -x since 3.9', ours: /^\tget .*$/gm, theirs: '\tget [-s] [-w] path' },
  {
    why: 'the usage of get lists its options since 3.9',
    ours: /^get \[-s\].*\n(?: -.*\n)+\n/gm,
    theirs: 'get [-s] [-w] path\n',
  },
  {
    why: 'set has -b since 3.9, and its usage another order',
    ours: /^\tset .*$/gm,
    theirs: '\tset [-s] [-v version] path data',
  },
  {
    why: 'the usage of set lists its options since 3.9',
    ours: /^set path.*\n(?: -.*\n)+\n/gm,
    theirs: 'set [-s] [-v version] path data\n',
  },
  {
    why: 'the version is our own',
    ours: /^ZooKeeper CLI version: 3\.9\.5-corral-\d+\.\d+\.\d+$/gm,
    theirs: 'ZooKeeper CLI version: 3.8.0-${mvngit.commit.id}, built on 2024-12-29 17:54 UTC',
  },
]

/** Our output as 3.8.0 would have it. @param met - takes the divergences that made a difference */
export function asCaptured(run: Omit<Run, 'title'>, met: Set<Divergence>): Omit<Run, 'title'> {
  const translate = (text: string): string => {
    let result = text
    for (const divergence of divergences) {
      const next = result.replace(divergence.ours, divergence.theirs.replaceAll('$', '$$$$'))
      if (next !== result) met.add(divergence)
      result = next
    }
    return result
  }
  return { exitCode: run.exitCode, stdout: translate(run.stdout), stderr: translate(run.stderr) }
}
