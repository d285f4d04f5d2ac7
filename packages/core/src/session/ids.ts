/** Who a connection is: the ids it has authenticated as, and how they match the entries of an ACL. */
import { decodeUtf8, toBase64 } from '@corral/protocol'
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
      return digestIds(given.config.superDigest, given.sha1(credentials), credentials)
    default:
      return undefined
  }
}

/** A wrong password is not an error here: it just makes an id that matches nothing. */
function digestIds(
  superDigest: string | undefined,
  hash: Uint8Array,
  credentials: Uint8Array,
): readonly AuthId[] {
  const colon = credentials.indexOf(0x3a)
  const user = decodeUtf8(credentials, 0, colon < 0 ? credentials.length : colon)
  const id = `${user}:${toBase64(hash)}`
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
  if (!/^[+-]?\d{1,9}$/.test(bitsText)) return undefined
  const bits = Number(bitsText)
  return bits < 0 || bits > most ? undefined : { bytes, bits }
}

function parseAddress(text: string): readonly number[] | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

function parseIpv4(text: string): readonly number[] | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  const bytes = parts.map(part => (/^\d{1,3}$/.test(part) ? Number(part) : 256))
  return bytes.every(byte => byte < 256) ? bytes : undefined
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

/** @returns two bytes a group; a dotted IPv4 tail is four. undefined if a group is malformed */
function parseGroups(text: string): readonly number[] | undefined {
  if (text === '') return []
  const bytes: number[] = []
  const groups = text.split(':')
  for (const [i, group] of groups.entries()) {
    if (i === groups.length - 1 && group.includes('.')) {
      const tail = parseIpv4(group)
      if (tail === undefined) return undefined
      bytes.push(...tail)
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined
      const value = Number.parseInt(group, 16)
      bytes.push(value >> 8, value & 0xff)
    }
  }
  return bytes.length > 16 ? undefined : bytes
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
