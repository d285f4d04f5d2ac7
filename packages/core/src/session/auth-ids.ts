/** Who a connection is: the ids it has authenticated as, and how they match the entries of an ACL. */
import { decodeUtf8, encodeUtf8, toBase64 } from '@corral/protocol'
import type { AuthConfig } from '../config.ts'

export interface AuthId {
  readonly scheme: string
  readonly id: string
}

/** Bytes of the longest scheme name that is looked at. */
const longestScheme = 64
/** Bytes of the longest credentials: an id is kept as long as its connection, and copied into ACLs. */
const longestCredentials = 4096
/** A connection that authenticates more often loses the oldest of its ids, but not its address. */
const mostIds = 64

/**
 * The ids that an auth packet adds.
 *
 * @param credentials - the packet's bytes, null if they were null
 * @returns undefined if the scheme is unknown or refuses the credentials: the connection must go
 */
export function authenticate(
  given: { readonly config: AuthConfig; sha1(bytes: Uint8Array): Uint8Array },
  address: string,
  scheme: Uint8Array | null,
  credentials: Uint8Array | null,
): readonly AuthId[] | undefined {
  if (scheme === null || scheme.length > longestScheme) return undefined
  switch (decodeUtf8(scheme)) {
    case 'ip':
      return [{ scheme: 'ip', id: address }]
    case 'digest':
      if (!given.config.isDigestEnabled || credentials === null) return undefined
      if (credentials.length > longestCredentials) return undefined
      return digestIds(given, decodeUtf8(credentials))
    default:
      return undefined
  }
}

/**
 * A wrong password is not an error here: it just makes an id that matches nothing. The Java server hashes the text, so
 * bytes that are no UTF-8 count as U+FFFD: a password in another encoding has the same id on both.
 */
function digestIds(
  given: { readonly config: AuthConfig; sha1(bytes: Uint8Array): Uint8Array },
  credentials: string,
): readonly AuthId[] {
  const { superDigest } = given.config
  const [user] = credentials.split(':', 1)
  const id = `${user}:${toBase64(given.sha1(encodeUtf8(credentials)))}`
  const digest = { scheme: 'digest', id }
  return superDigest !== undefined && equalsInConstantTime(id, superDigest)
    ? [{ scheme: 'super', id: '' }, digest]
    : [digest]
}

function equalsInConstantTime(a: string, b: string): boolean {
  let difference = a.length ^ b.length
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i % Math.max(1, b.length))
  return difference === 0
}

/** @returns `known` with the new ids that are not in it yet; the first of `known`, the address, always stays */
export function addIds(known: readonly AuthId[], added: readonly AuthId[]): readonly AuthId[] {
  const fresh = added.filter(a => !known.some(k => k.scheme === a.scheme && k.id === a.id))
  if (fresh.length === 0) return known
  const [address, ...others] = [...known, ...fresh] as [AuthId, ...AuthId[]]
  return [address, ...others.slice(1 - mostIds)]
}

/** What whoAmI shows for an id: the digest scheme hides the hash, the super user has no name. */
export function userName(id: AuthId): string {
  if (id.scheme === 'super') return ''
  return id.scheme === 'digest' ? (id.id.split(':')[0] ?? '') : id.id
}

/** For the log: a scheme by its name if it is one of ZooKeeper's. What else stands there may be a password in the wrong place. */
export function nameOfScheme(scheme: Uint8Array | null): string {
  const name = scheme === null || scheme.length > longestScheme ? '' : decodeUtf8(scheme)
  return knownSchemes.has(name) ? name : 'unknown'
}

const knownSchemes: ReadonlySet<string> = new Set(['auth', 'digest', 'ip', 'sasl', 'world', 'x509'])

/** Does the connection's id satisfy an ACL entry of the same scheme? */
export function matchesId(scheme: string, own: string, wanted: string): boolean {
  return scheme === 'ip' ? matchesAddress(own, wanted) : own === wanted
}

/** @param config - which schemes are switched on. @returns whether an ACL entry of this scheme and id may be stored */
export function isValidAclId(config: AuthConfig, scheme: string, id: string): boolean {
  switch (scheme) {
    case 'ip':
      return parseNetwork(id) !== undefined
    case 'digest':
      return config.isDigestEnabled && isDigestId(id)
    default:
      return false
  }
}

/** Exactly two parts between colons, after dropping trailing empty ones (String.split of Java). */
function isDigestId(id: string): boolean {
  const parts = id.split(':')
  while (parts.length > 0 && parts[parts.length - 1] === '') parts.pop()
  return parts.length === 2
}

interface Network {
  readonly bytes: readonly number[]
  readonly bits: number
}

function parseNetwork(text: string): Network | undefined {
  const [address, bitsText, ...rest] = text.split('/')
  if (address === undefined || rest.length > 0) return undefined
  const bytes = parseAddress(address)
  if (bytes === undefined) return undefined
  const most = bytes.length * 8
  if (bitsText === undefined) return { bytes, bits: most }
  const bits = parseNumber(bitsText, most)
  return bits === undefined ? undefined : { bytes, bits }
}

/** As Integer.parseInt of Java reads it, with a sign and any number of zeros. @returns undefined unless 0 … `most` */
function parseNumber(text: string, most: number): number | undefined {
  const number = /^[+-]?\d+$/.test(text) ? Number(text) : -1
  return number >= 0 && number <= most ? Math.abs(number) : undefined
}

function parseAddress(text: string): readonly number[] | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

function parseIpv4(text: string): readonly number[] | undefined {
  const bytes = text.split('.').map(part => parseNumber(part, 255))
  return bytes.length === 4 && bytes.every(byte => byte !== undefined) ? bytes : undefined
}

function parseIpv6(text: string): readonly number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [left, right] = halves.map(half => parseGroups(half ?? ''))
  if (left === undefined) return undefined
  if (halves.length === 1) return left.length === 16 ? left : undefined
  if (right === undefined || left.length + right.length > 14) return undefined
  return [...left, ...new Array<number>(16 - left.length - right.length).fill(0), ...right]
}

/** @returns two bytes a group, or undefined if one is malformed */
function parseGroups(text: string): readonly number[] | undefined {
  if (text === '') return []
  const bytes: number[] = []
  for (const group of text.split(':')) {
    if (group.length > 4 || !/^[+-]?[0-9a-fA-F]+$/.test(group)) return undefined
    const value = Number.parseInt(group, 16)
    bytes.push((value >> 8) & 0xff, value & 0xff)
  }
  return bytes
}

function matchesAddress(own: string, wanted: string): boolean {
  const network = parseNetwork(wanted)
  const address = parseAddress(own)
  if (network === undefined || address === undefined || address.length !== network.bytes.length) return false
  for (let bit = 0; bit < network.bits; bit += 8) {
    const wantedBits = Math.min(8, network.bits - bit)
    const mask = 0xff & (0xff << (8 - wantedBits))
    if ((((address[bit >> 3] ?? 0) ^ (network.bytes[bit >> 3] ?? 0)) & mask) !== 0) return false
  }
  return true
}
