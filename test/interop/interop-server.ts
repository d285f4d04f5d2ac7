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
  containerCheckIntervalMs: 60_000,
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

const firstPort = 20_000
const portCount = 10_000

/** A port nobody listens on, below the range from which the kernel serves outgoing connections. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = firstPort + Math.floor(Math.random() * portCount)
    const isFree = await new Promise<boolean>(resolve => {
      const probe = createServer()
      probe.once('error', () => resolve(false))
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
    })
    if (isFree) return port
  }
}

/** The Java server may forget to close when it is asked while it starts. */
const wordMs = 300

/** The answer to a four-letter word, or undefined where nobody listens. */
export function fourLetterWord(port: number, word: string): Promise<string | undefined> {
  return new Promise(resolve => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(word))
    socket.setEncoding('latin1')
    socket.setTimeout(wordMs, () => socket.destroy())
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
  const deadline = performance.now() + 30_000
  while (performance.now() < deadline && !isGivenUp()) {
    const answer = await fourLetterWord(port, 'srvr')
    if (answer?.includes('Mode: standalone')) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error(`no server on port ${port}\n${describe()}`)
}

export const run = promisify(execFile)
