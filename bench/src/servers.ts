/**
 * The two rivals. Both read the same zoo.cfg, keep their data on the same disk and sync every write; everything
 * that the file does not say is at its default, the JVM's heap included.
 */
import { type ChildProcess, execFileSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Generator } from './generator.ts'
import { ended, endProcess, startProcess } from './processes.ts'

export type Side = 'corral' | 'zookeeper'

export const zookeeperJar = '/usr/share/java/zookeeper.jar'

export interface Programs {
  readonly corralBundle: string
  readonly javaOptions: readonly string[]
}

/** Kilobytes, from /proc/<pid>/smaps_rollup. */
export interface Memory {
  readonly rssKb: number
  readonly pssKb: number
  readonly anonymousKb: number
}

/** What keeps a side from running here, or undefined. */
export function missing(side: Side, programs: Programs): string | undefined {
  if (side === 'corral') {
    return existsSync(programs.corralBundle)
      ? undefined
      : `there is no ${programs.corralBundle}: npm run build makes it`
  }
  return existsSync(zookeeperJar)
    ? undefined
    : `there is no ${zookeeperJar}: apt-get install default-jre-headless libzookeeper-java`
}

export interface StartOptions {
  readonly side: Side
  /** Holds zoo.cfg, the data and what the server prints. Made if absent. */
  readonly home: string
  /** Txns between two snapshots; absent for the default. */
  readonly snapCount?: number
  /** Corral measures its own event loop, which costs it some 5 %. */
  readonly reportsStalls?: boolean
}

export class RunningServer {
  readonly port: number
  readonly pid: number
  /** From just before the process was made to the first handshake reply. */
  readonly startMs: number
  readonly #child: ChildProcess
  readonly #home: string

  private constructor(given: {
    port: number
    pid: number
    startMs: number
    child: ChildProcess
    home: string
  }) {
    this.port = given.port
    this.pid = given.pid
    this.startMs = given.startMs
    this.#child = given.child
    this.#home = given.home
  }

  static async start(
    options: StartOptions,
    programs: Programs,
    generator: Generator,
  ): Promise<RunningServer> {
    const { side, home } = options
    const port = await freePort()
    mkdirSync(join(home, 'data'), { recursive: true })
    const config = join(home, 'zoo.cfg')
    writeFileSync(config, zooCfg(options, port))
    const out = openSync(join(home, 'stdout'), 'w')
    const err = openSync(join(home, 'stderr'), 'w')
    execFileSync('sync') // what the server before it did not write out is not for this one to wait for
    const reply = generator.waitForReply(port, 180)
    const startedAtNs = process.hrtime.bigint()
    const child = startProcess(serverCommand(side, config, programs), {
      cwd: home,
      stdio: ['ignore', out, err],
      env: options.reportsStalls === true ? { CORRAL_STALL_REPORT: '1' } : {},
    })
    closeSync(out)
    closeSync(err)
    const died = ended(child).then(end => {
      throw new Error(`${side} ended with ${end} before it served\n${printed(home)}`)
    })
    const { repliedAtNs } = await Promise.race([reply, died])
    if (child.pid === undefined) throw new Error(`${side} has no process id`)
    return new RunningServer({
      port,
      pid: child.pid,
      startMs: (repliedAtNs - Number(startedAtNs)) / 1e6,
      child,
      home,
    })
  }

  memory(): Memory {
    const text = readFileSync(`/proc/${this.pid}/smaps_rollup`, 'utf8')
    const field = (name: string): number => {
      const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)
      if (found === null) throw new Error(`smaps_rollup has no ${name}`)
      return Number(found[1])
    }
    return { rssKb: field('Rss'), pssKb: field('Pss'), anonymousKb: field('Anonymous') }
  }

  snapshots(): ReadonlySet<string> {
    const directory = join(this.#home, 'data', 'version-2')
    return new Set(readdirSync(directory).filter(name => /^snapshot\.[0-9a-f]+(\.gz|\.snappy)?$/.test(name)))
  }

  /** @returns the server's own figure for its longest event-loop stall, if it prints one */
  async stop(): Promise<number | undefined> {
    const how = await endProcess(this.#child, 20_000)
    if (how === 'killed') process.stderr.write('  (it ignored SIGTERM for 20 s and was killed)\n')
    const line = readFileSync(join(this.#home, 'stderr'), 'utf8')
      .match(/^\{"stall":.*\}$/gm)
      ?.at(-1)
    if (line === undefined) return undefined
    const report = JSON.parse(line) as { readonly stall: { readonly maxMs: number } }
    return report.stall.maxMs
  }
}

function serverCommand(side: Side, config: string, programs: Programs): string[] {
  if (side === 'corral') return [process.execPath, programs.corralBundle, 'server', config]
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
  return ['java', ...programs.javaOptions, '-cp', zookeeperJar, main, config]
}

function zooCfg({ home, snapCount }: StartOptions, port: number): string {
  const lines = [
    'tickTime=2000',
    `dataDir=${join(home, 'data')}`,
    `clientPort=${port}`,
    'clientPortAddress=127.0.0.1',
    'maxClientCnxns=0',
    'forceSync=yes',
    '4lw.commands.whitelist=*',
    'admin.enableServer=false',
  ]
  if (snapCount !== undefined) lines.push(`snapCount=${snapCount}`)
  return `${lines.join('\n')}\n`
}

function printed(home: string): string {
  const tail = (name: string) =>
    readFileSync(join(home, name), 'utf8').trim().split('\n').slice(-20).join('\n')
  return `${tail('stdout')}\n${tail('stderr')}`.trim()
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new Error('no port')),
      )
    })
  })
}
