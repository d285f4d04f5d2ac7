/**
 * `host1:port1,host2,[::1]:2181/chroot`: servers in the order written, and the path below which the client
 * lives. Commas too many, as templates leave them, are passed over as in the Java client.
 */
import { ErrorCode, pathProblem } from '@corral/protocol'
import { BadArgumentsError } from './errors.ts'

/** Where a server listens for clients. */
export interface ServerAddress {
  /** A DNS name or an address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

/** A connect string, taken apart. */
export interface ConnectString {
  readonly servers: readonly ServerAddress[]
  /** '' for none, else a legal path other than '/'. */
  readonly chroot: string
}

/** ZooKeeper's client port, where a connect string names none. */
export const defaultPort = 2181

/** @throws BadArgumentsError naming the part that is wrong */
export function parseConnectString(text: string): ConnectString {
  if (typeof text !== 'string') throw refuse(String(text), 'it is no text')
  const cut = text.indexOf('/')
  const hosts = cut === -1 ? text : text.slice(0, cut)
  const chroot = cut === -1 ? '/' : text.slice(cut)
  if (chroot.startsWith('//')) throw refuse(text, 'it is no URL: host:port[,host:port][/chroot]')
  const problem = pathProblem(chroot)
  if (problem !== undefined) throw refuse(text, `chroot ${chroot}: ${problem}`)
  const parts = hosts.split(',').map(part => part.trim())
  const named = parts.filter(part => part !== '')
  if (named.length === 0) throw refuse(text, 'it names no server')
  return { servers: named.map(part => parseServer(part, text)), chroot: chroot === '/' ? '' : chroot }
}

/** As it is written in a connect string. */
export function formatServer(server: ServerAddress): string {
  return server.host.includes(':') ? `[${server.host}]:${server.port}` : `${server.host}:${server.port}`
}

const bracketed = /^\[([0-9a-fA-F:.]+(?:%[^\]]+)?)\](?::(\d+))?$/
const plain = /^([^:[\]\s]+)(?::(\d+))?$/

function parseServer(part: string, text: string): ServerAddress {
  const match = bracketed.exec(part) ?? plain.exec(part)
  if (match === null) {
    throw refuse(text, `"${part}" is not host, host:port, [address] or [address]:port`)
  }
  const port = match[2] === undefined ? defaultPort : Number(match[2])
  if (port < 1 || port > 65535) throw refuse(text, `port ${port} in "${part}" is not 1 … 65535`)
  return { host: match[1] as string, port }
}

function refuse(text: string, why: string): BadArgumentsError {
  return new BadArgumentsError(ErrorCode.BadArguments, { reason: `connect string "${text}": ${why}` })
}
