/**
 * The properties file of `-client-configuration`, as options of the shell's client. What asks for TLS or SASL is
 * refused before any connection is made: to go on without could mean plain text where TLS was asked for. It is let
 * pass where the file itself switches TLS or SASL off.
 *
 * Source: ZKClientConfig, ZKConfig and who reads them in the Java client 3.9, which is laxer: it knows no unknown key,
 * and speaks plain text where secure=true comes without the Netty socket.
 */
import { readFileSync } from 'node:fs'
import type { ClientOptions } from '@corral/client'
import { type Property, parseProperties } from '@corral/protocol'

export type ClientSettings = Pick<ClientOptions, 'maxReplyBytes' | 'requestTimeoutMs' | 'restoresWatches'>

export interface ClientConfiguration {
  readonly settings: ClientSettings
  /** What is wrong with it: nothing may be done then. Each names file, line and key. */
  readonly problems: readonly string[]
  /** What is passed over. */
  readonly warnings: readonly string[]
}

const secureKey = 'zookeeper.client.secure'
const saslKey = 'zookeeper.sasl.client'
/** In zookeeper.request.timeout 0 and less is none. */
const noTimeout = -1
const largestNumber = 0x7fff_ffff

const saslKeys: ReadonlySet<string> = new Set([
  'zookeeper.server.realm',
  'zookeeper.server.principal',
  'zookeeper.kinit',
  'sun.security.jgss.native',
  'java.security.auth.login.config',
])

/** What the shell does not have, the keys that ask for it, and the key that says that it is not wanted. */
const absent = {
  TLS: {
    isAskedBy: (key: string) => /^(zookeeper\.)?ssl\./.test(key),
    switchedBy: secureKey,
    otherwise: 'connects in plain text',
  },
  SASL: {
    isAskedBy: (key: string) => key.startsWith('zookeeper.sasl.') || saslKeys.has(key),
    switchedBy: saslKey,
    otherwise: 'connects without',
  },
} as const

type Absent = keyof typeof absent

export function readClientConfiguration(file: string): ClientConfiguration {
  try {
    return parseClientConfiguration(file, readFileSync(file, 'latin1'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    const problem = `-client-configuration ${file} cannot be read: ${(error as Error).message}`
    return { settings: {}, problems: [problem], warnings: [] }
  }
}

/** @param text - the file's bytes as latin1, as Java reads it */
export function parseClientConfiguration(file: string, text: string): ClientConfiguration {
  const { properties, malformed } = parseProperties(text)
  const problems = malformed.map(({ line, problem }) => `${file}:${line}: ${problem}`)
  const reader = new SettingsReader(file, properties)
  reader.readAll()
  return { settings: reader.settings, problems: [...problems, ...reader.problems], warnings: reader.warnings }
}

class SettingsReader {
  readonly #file: string
  /** By key; the last one counts. */
  readonly #properties: ReadonlyMap<string, Property>
  readonly #refused: Set<Absent> = new Set()
  settings: ClientSettings = {}
  readonly problems: string[] = []
  readonly warnings: string[] = []

  constructor(file: string, properties: readonly Property[]) {
    this.#file = file
    this.#properties = new Map(properties.map(property => [property.key, property]))
  }

  readAll(): void {
    for (const property of this.#properties.values()) this.#read(property)
  }

  #read(property: Property): void {
    switch (property.key) {
      case secureKey:
        if (this.#boolean(property)) this.#refuse(property, 'TLS')
        return
      case saslKey:
        if (this.#boolean(property)) this.#refuse(property, 'SASL')
        return
      case 'zookeeper.clientCnxnSocket':
        return this.#readSocket(property)
      case 'zookeeper.disableAutoWatchReset':
        return this.#set({ restoresWatches: !this.#boolean(property) })
      case 'zookeeper.request.timeout': {
        const timeoutMs = this.#number(property, noTimeout)
        return this.#set({ requestTimeoutMs: timeoutMs > 0 ? timeoutMs : undefined })
      }
      case 'jute.maxbuffer':
        return this.#set({ maxReplyBytes: this.#number(property, 1) })
      case 'zookeeper.fips-mode':
        return // Narrows what TLS may use, and asks for none.
      default:
        return this.#readOther(property)
    }
  }

  #readSocket(property: Property): void {
    const name = property.value.replace(/^org\.apache\.zookeeper\./, '')
    if (name === 'ClientCnxnSocketNIO') return
    if (name === 'ClientCnxnSocketNetty') return this.#refuse(property, 'TLS')
    this.#wrong(property, 'names a class that only a Java client can load')
  }

  #readOther(property: Property): void {
    for (const what of ['TLS', 'SASL'] as const) {
      if (absent[what].isAskedBy(property.key)) return this.#refuse(property, what)
    }
    this.warnings.push(`${this.#at(property)} is not known, and passed over`)
  }

  /** Said once for each thing: a file for TLS has a dozen keys. */
  #refuse(property: Property, what: Absent): void {
    const { switchedBy, otherwise } = absent[what]
    const isSwitchedOff = this.#properties.get(switchedBy)?.value.toLowerCase() === 'false'
    if (isSwitchedOff || this.#refused.has(what)) return
    this.#refused.add(what)
    const way = `with ${switchedBy}=false in the file the shell ${otherwise}`
    this.#wrong(property, `asks for ${what}, which is not supported yet; ${way}`)
  }

  /** @returns false where the value is neither */
  #boolean(property: Property): boolean {
    const value = property.value.toLowerCase()
    if (value !== 'true' && value !== 'false') {
      this.#wrong(property, `is "${property.value}", neither true nor false`)
    }
    return value === 'true'
  }

  /** @returns `least` where the value is no such number */
  #number(property: Property, least: number): number {
    const value = Number(property.value)
    if (/^[+-]?\d+$/.test(property.value) && value >= least && value <= largestNumber) return value
    this.#wrong(property, `is "${property.value}", not a whole number from ${least} to ${largestNumber}`)
    return least
  }

  #set(settings: ClientSettings): void {
    this.settings = { ...this.settings, ...settings }
  }

  #wrong(property: Property, what: string): void {
    this.problems.push(`${this.#at(property)} ${what}`)
  }

  #at({ key, line }: Property): string {
    return `${this.#file}:${line}: ${key}`
  }
}
