/** A server under test, whoever made it. */
import { execFile } from 'node:child_process'
import { connect, createServer } from 'node:net'
import { promisify } from 'node:util'

export interface InteropServer {
  readonly name: string
  readonly isOracle: boolean
  readonly port: number
  readonly dataDir: string
  /** What the process has printed so far, for failure reports. */
  output(): string
  stop(): Promise<void>
  /** As a power cut does it: no farewell to clients, nothing written any more. */
  kill(): Promise<void>
}

export interface ServerOptions {
  /** Any free one unless given. */
  readonly port?: number
  readonly tickTimeMs?: number
  readonly minSessionTimeoutMs?: number
  readonly maxSessionTimeoutMs?: number
  readonly isQuotaEnforced?: boolean
  readonly superDigest?: string
  readonly containerCheckIntervalMs?: number
  /** Until when a connection must have asked for a session. */
  readonly sessionlessTimeoutMs?: number
  readonly isReconfigEnabled?: boolean
  readonly isTtlEnabled?: boolean
  readonly isSyncForced?: boolean
  /** System properties; processes only. */
  readonly properties?: Readonly<Record<string, string>>
  /** Kept when the server stops; without it a directory is made and removed. */
  readonly dataDir?: string
}

export type ServerSettings = ServerOptions & Required<Pick<ServerOptions, keyof typeof defaultOptions>>

export const defaultOptions = {
  tickTimeMs: 3000,
  isQuotaEnforced: false,
  /** Longer than any test: it would take containers from one of two servers first. */
  containerCheckIntervalMs: 3_600_000,
  sessionlessTimeoutMs: 10_000,
  isReconfigEnabled: false,
  isTtlEnabled: true,
  isSyncForced: false,
}

/** The super user's digest of `super:pw`. */
export const superDigest = 'super:0bX78nEegDzJM3ju0iLBEJdWzjg='

/** Children run without it: reading the certificates costs each start 90 ms. */
export function childEnvironment(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env
  // Java 17 encodes names by the locale, and digests what it encoded.
  return { ...environment, LC_ALL: 'C.UTF-8' }
}

/** Below the range from which the kernel serves outgoing connections. */
const firstPort = 20_000
const portCount = 1000
/** Test files that run at the same time are numbered from 1: each has ports of its own. */
const ownPorts = firstPort + portCount * (Number(process.env['VITEST_POOL_ID'] ?? 0) % 10)
let lastPort = Math.floor(Math.random() * portCount)

/** A port nobody listens on, and that is given to nobody else before its server has started. */
export async function freePort(): Promise<number> {
  for (;;) {
    lastPort = (lastPort + 1) % portCount
    const port = ownPorts + lastPort
    const isFree = await new Promise<boolean>(resolve => {
      const probe = createServer()
      probe.once('error', () => resolve(false))
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
    })
    if (isFree) return port
  }
}

/**
 * The answer to a four-letter word, or undefined where nobody listens.
 *
 * @param mostMs - after so long without a word it is given up; 0 waits for ever
 */
export function fourLetterWord(port: number, word: string, mostMs = 0): Promise<string | undefined> {
  return new Promise(resolve => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(word))
    socket.setEncoding('latin1')
    socket.setTimeout(mostMs, () => socket.destroy())
    socket.on('data', (text: string) => {
      answer += text
    })
    socket.on('error', () => resolve(undefined))
    socket.on('close', () => resolve(answer))
  })
}

/** Asks again as soon as the last question is answered. @throws Error when `isGivenUp` says so or time is up */
export async function untilServing(
  port: number,
  isGivenUp: () => boolean,
  describe: () => string,
): Promise<void> {
  const deadline = performance.now() + 50_000
  // The Java server may forget to close when it is asked while it starts. Longer each time: it may only be slow.
  let mostMs = 300
  while (performance.now() < deadline && !isGivenUp()) {
    const answer = await fourLetterWord(port, 'srvr', mostMs)
    if (answer === '') mostMs *= 2
    if (answer?.includes('Mode: standalone')) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error(`no server on port ${port}\n${describe()}`)
}

export const run = promisify(execFile)
