/** ACL checks, and what becomes of the ACL that a request brings. Source: ZooKeeperServer.checkACL, PrepRequestProcessor.fixupACL. */
import {
  type Acl,
  ErrorCode,
  Reader,
  readAclList,
  type Space,
  smallestAclBytes,
  Writer,
  writeAclList,
} from '@corral/protocol'
import type { AuthConfig } from '../config.ts'
import { type AuthId, isValidAclId, matchesId } from '../session/auth-ids.ts'

/** Does any of `ids` have any of `perm` by this ACL? */
export function isPermitted(
  config: AuthConfig,
  ids: readonly AuthId[],
  acl: readonly Acl[],
  perm: number,
): boolean {
  if (acl.length === 0) return true
  for (let i = 0; i < acl.length; i++) {
    const entry = acl[i] as Acl
    if ((entry.perms & perm) === 0) continue
    if (entry.scheme === 'world' && entry.id === 'anyone') return true
  }
  if (config.isAclSkipped) return true
  for (const own of ids) if (own.scheme === 'super') return true
  for (const entry of acl) {
    if ((entry.perms & perm) === 0 || entry.scheme === null || entry.id === null) continue
    if (!isChecked(config, entry.scheme)) continue
    for (const own of ids) {
      if (own.scheme === entry.scheme && matchesId(own.scheme, own.id, entry.id)) return true
    }
  }
  return false
}

/** Is there a provider for the scheme, so that its entries can match at all? */
function isChecked(config: AuthConfig, scheme: string): boolean {
  return scheme === 'ip' || (scheme === 'digest' && config.isDigestEnabled)
}

/** The ACL to be stored, as vector bytes in `space`, or why it is refused. */
export type FixedAcl =
  | { readonly ok: true; readonly space: Space; readonly from: number; readonly to: number }
  | { readonly ok: false; readonly err: ErrorCode }

/**
 * Normalises the ACL of a request: duplicates go, `auth` becomes the connection's own ids, everything else must be
 * world:anyone or valid for its scheme. Remembers the last list that needed no change, which is nearly always the
 * next one too.
 */
export class AclFixer {
  readonly #config: AuthConfig
  readonly #mostGrowthBytes: number
  readonly #writer: Writer = new Writer()
  #plain: Uint8Array = new Uint8Array(0)

  /**
   * @param mostGrowthBytes - by which a list may become longer than it came: `auth` entries times the connection's
   * ids could make of a small request a txn that no reader accepts
   */
  constructor(config: AuthConfig, mostGrowthBytes: number) {
    this.#config = config
    this.#mostGrowthBytes = mostGrowthBytes
  }

  /** @param source - holds the vector, count included, between `from` and `to` */
  fix(ids: readonly AuthId[], source: Space, from: number, to: number): FixedAcl {
    if (this.#isPlain(source.bytes, from, to)) return { ok: true, space: source, from, to }
    const wanted = readAclList(new Reader(source.bytes, from, to))
    const mostBytes = to - from + this.#mostGrowthBytes
    const fixed = this.#normalise(ids, wanted ?? [], mostBytes)
    if (typeof fixed === 'number') return { ok: false, err: fixed }
    const writer = this.#writer
    writer.at = 0
    writeAclList(writer, fixed)
    if (writer.at > mostBytes) return { ok: false, err: ErrorCode.InvalidAcl }
    if (!fixed.some((entry, i) => entry !== wanted?.[i]) && fixed.length === wanted?.length) {
      this.#plain = writer.written()
    }
    return { ok: true, space: { bytes: writer.bytes, view: writer.view }, from: 0, to: writer.at }
  }

  #isPlain(bytes: Uint8Array, from: number, to: number): boolean {
    const plain = this.#plain
    if (plain.length !== to - from) return false
    for (let i = 0; i < plain.length; i++) if (plain[i] !== bytes[from + i]) return false
    return plain.length > 0
  }

  #normalise(ids: readonly AuthId[], wanted: readonly Acl[], mostBytes: number): readonly Acl[] | ErrorCode {
    const distinct = withoutDuplicates(wanted)
    if (distinct === undefined) return ErrorCode.MarshallingError
    if (distinct.length === 0) return ErrorCode.InvalidAcl
    const fixed: Acl[] = []
    let expandedBytes = 0
    for (const entry of distinct) {
      if (entry.scheme === null) return ErrorCode.InvalidAcl
      if (entry.scheme === 'world') {
        if (entry.id === null) return ErrorCode.MarshallingError
        if (entry.id !== 'anyone') return ErrorCode.InvalidAcl
        fixed.push(entry)
      } else if (entry.scheme === 'auth') {
        const own = ids.filter(id => id.scheme === 'digest')
        if (own.length === 0) return ErrorCode.InvalidAcl
        for (const id of own) {
          expandedBytes += smallestAclBytes + id.id.length
          if (expandedBytes > mostBytes) return ErrorCode.InvalidAcl
          fixed.push({ perms: entry.perms, scheme: id.scheme, id: id.id })
        }
      } else {
        if (!isChecked(this.#config, entry.scheme)) return ErrorCode.InvalidAcl
        if (entry.id === null) return ErrorCode.MarshallingError
        if (!isValidAclId(this.#config, entry.scheme, entry.id)) return ErrorCode.InvalidAcl
        fixed.push(entry)
      }
    }
    return fixed
  }
}

/**
 * The first of equal entries stays. In time that grows with the list: a frame holds many thousand entries.
 *
 * @returns undefined where the Java server, comparing one by one and part by part, stumbles over a null
 */
function withoutDuplicates(acl: readonly Acl[]): readonly Acl[] | undefined {
  if (acl.length < 2) return acl
  const perms = new Set<number>()
  const schemes = new Set<string>()
  const whole = new Set<string>()
  const distinct: Acl[] = []
  for (const entry of acl) {
    const scheme = `${entry.perms}:${entry.scheme}`
    if (entry.scheme === null ? perms.has(entry.perms) : entry.id === null && schemes.has(scheme))
      return undefined
    const key = JSON.stringify([scheme, entry.id])
    if (!whole.has(key)) distinct.push(entry)
    perms.add(entry.perms)
    schemes.add(scheme)
    whole.add(key)
  }
  return distinct
}

/** What a reader without ADMIN sees of an ACL: digests are masked. */
export function redactAcl(acl: readonly Acl[]): readonly Acl[] {
  return acl.map(entry =>
    entry.scheme === 'digest' && entry.id !== null ? { ...entry, id: maskDigest(entry.id) } : entry,
  )
}

/** From each colon to the end of its line, as a regular expression of Java sees lines. */
function maskDigest(id: string): string {
  return id.replaceAll(/:[^\n\r\u0085\u2028\u2029]*/g, ':x')
}
