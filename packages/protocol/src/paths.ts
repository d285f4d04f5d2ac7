/**
 * Names of znodes. Validation works on the UTF-16 form, as in the Java server: everything above U+FFFF is illegal,
 * so a legal name is one- to three-byte UTF-8 and equal bytes mean equal names.
 *
 * Source: PathUtils.validatePath in the Java server.
 */

/** @returns why `path` is illegal, in the words of the Java server, or undefined */
export function pathProblem(path: string | null): string | undefined {
  if (path === null) return 'Path cannot be null'
  if (path.length === 0) return 'Path length must be > 0'
  if (path.charCodeAt(0) !== slash) return 'Path must start with / character'
  if (path.length === 1) return undefined
  if (path.charCodeAt(path.length - 1) === slash) return 'Path must not end with / character'
  for (let i = 1; i < path.length; i++) {
    const why = unitProblem(path, i)
    if (why !== undefined) return `Invalid path string "${path}" caused by ${why} @${i}`
  }
  return undefined
}

const slash = 0x2f
const dot = 0x2e

function unitProblem(path: string, i: number): string | undefined {
  const c = path.charCodeAt(i)
  if (c === 0) return 'null character not allowed'
  const previous = path.charCodeAt(i - 1)
  if (c === slash) return previous === slash ? 'empty node name specified' : undefined
  if (c === dot) {
    const ends = i + 1 === path.length || path.charCodeAt(i + 1) === slash
    if (!ends) return undefined
    if (previous === slash) return 'relative paths not allowed'
    if (previous === dot && path.charCodeAt(i - 2) === slash) return 'relative paths not allowed'
    return undefined
  }
  if (isIllegalUnit(c)) return 'invalid character'
  return undefined
}

function isIllegalUnit(c: number): boolean {
  return (
    (c > 0 && c < 0x20) || (c > 0x7e && c < 0xa0) || (c > 0xd7ff && c < 0xf900) || (c > 0xffef && c < 0x10000)
  )
}

/** The same verdict on raw bytes `from` to `to` (exclusive), without making a string. */
export function isLegalPath(bytes: Uint8Array, from: number, to: number): boolean {
  if (to <= from || bytes[from] !== slash) return false
  if (to === from + 1) return true
  if (bytes[to - 1] === slash) return false
  let nameFrom = from + 1
  for (let i = from + 1; i < to; ) {
    const c = bytes[i] as number
    if (c === slash) {
      if (!isLegalName(bytes, nameFrom, i)) return false
      nameFrom = ++i
    } else if (c < 0x80) {
      if (c < 0x20 || c === 0x7f) return false
      i++
    } else {
      const length = legalSequenceLength(bytes, i, to)
      if (length === 0) return false
      i += length
    }
  }
  return isLegalName(bytes, nameFrom, to)
}

function isLegalName(bytes: Uint8Array, from: number, to: number): boolean {
  const length = to - from
  if (length === 0) return false
  if (bytes[from] !== dot || length > 2) return true
  return length === 2 && bytes[from + 1] !== dot
}

/**
 * @returns bytes of the well-formed, legal two- or three-byte sequence at `i`, or 0. Malformed bytes would become
 * U+FFFD, which is illegal too, so both fail alike.
 */
function legalSequenceLength(bytes: Uint8Array, i: number, to: number): number {
  const lead = bytes[i] as number
  if (lead >= 0xc2 && lead < 0xe0) {
    if (i + 2 > to || !isContinuation(bytes[i + 1] as number)) return 0
    const unit = ((lead & 0x1f) << 6) | ((bytes[i + 1] as number) & 0x3f)
    return isIllegalUnit(unit) ? 0 : 2
  }
  if (lead >= 0xe0 && lead < 0xf0) {
    if (i + 3 > to || !isContinuation(bytes[i + 1] as number) || !isContinuation(bytes[i + 2] as number))
      return 0
    const unit =
      ((lead & 0x0f) << 12) | (((bytes[i + 1] as number) & 0x3f) << 6) | ((bytes[i + 2] as number) & 0x3f)
    return unit < 0x800 || isIllegalUnit(unit) ? 0 : 3
  }
  return 0
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80
}

/** All that is looked at in the path of an exists or a delete, and before anything else in that of a create. */
export function hasNul(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] === 0) return true
  return false
}

/** @returns '/' for a child of the root; the root has no parent */
export function parentPath(path: string): string {
  const cut = path.lastIndexOf('/')
  return cut <= 0 ? '/' : path.slice(0, cut)
}

export function lastComponent(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

export function joinPath(parent: string, name: string): string {
  return parent === '/' ? `/${name}` : `${parent}/${name}`
}

/** The server path of a client path. @param chroot - '' for none, else a legal path other than '/' */
export function addChroot(chroot: string, path: string): string {
  if (chroot === '') return path
  return path === '/' ? chroot : chroot + path
}

/** The client path of a server path below the chroot; others are returned as they are. */
export function stripChroot(chroot: string, path: string): string {
  if (chroot === '' || !path.startsWith(chroot)) return path
  if (path.length === chroot.length) return '/'
  return path.charCodeAt(chroot.length) === slash ? path.slice(chroot.length) : path
}
