/**
 * How the text of a value is read. Native keys are strict, as in the original. Pass-through keys are lenient there
 * (bad text silently means the default); here they mean the same and are said to.
 */

export type Read<T> =
  | { readonly ok: true; readonly value: T; readonly remark?: string }
  | { readonly ok: false; readonly problem: string }

/** @param key - as written, for messages users search for */
export type Rule<T> = (text: string, key: string) => Read<T>

const intMin = -0x8000_0000
const intMax = 0x7fff_ffff

export function text(written: string): Read<string> {
  return written === '' ? bad('expected a value, found nothing') : { ok: true, value: written }
}

export function commaList(written: string): readonly string[] {
  return written
    .split(',')
    .map(each => each.trim())
    .filter(each => each !== '')
}

/** Only `true` and `false`, any case. */
export function nativeBoolean(written: string, key: string): Read<boolean> {
  const lower = written.toLowerCase()
  if (lower === 'true' || lower === 'false') return { ok: true, value: lower === 'true' }
  return bad(`Invalid option ${quoted(written)} for ${key}. Choose 'true' or 'false.'`)
}

/** True exactly for the text `true`, any case: `yes`, `1` and `on` are false. */
export function javaBoolean(written: string): Read<boolean> {
  const lower = written.toLowerCase()
  const value = lower === 'true'
  if (value || lower === 'false') return { ok: true, value }
  return { ok: true, value, remark: `${quoted(written)} means false: only 'true' means true` }
}

/** Everything but `no` is yes, `NO` too. */
export function yesUnlessNo(written: string): Read<boolean> {
  const value = written !== 'no'
  if (!value || written === 'yes') return { ok: true, value }
  return { ok: true, value, remark: `${quoted(written)} means yes: only 'no' means no` }
}

/** Only `yes` is yes, `YES` is not. */
export function noUnlessYes(written: string): Read<boolean> {
  const value = written === 'yes'
  if (value || written === 'no') return { ok: true, value }
  return { ok: true, value, remark: `${quoted(written)} means no: only 'yes' means yes` }
}

export interface Range {
  readonly min?: number
  readonly max?: number
  /** A number below `min` is raised to it, with a remark, instead of being refused. */
  readonly isRaised?: boolean
}

/** Decimal, of 32 bits. */
export function nativeInteger(range: Range = {}): Rule<number> {
  return written => {
    const whole = nativeLong(written)
    if (!whole.ok) return whole
    const int = inRange(whole.value, written, { min: intMin, max: intMax })
    return int.ok ? inRange(int.value, written, range) : int
  }
}

/** Decimal, of 64 bits; it is near enough for what is not used. */
export function nativeLong(written: string): Read<number> {
  if (/^[+-]?[0-9]{1,19}$/.test(written)) return { ok: true, value: Number(written) }
  return bad(`expected a whole number, found ${quoted(written)}`)
}

/** Decimal, hexadecimal (`0x…`, `#…`) or octal (leading zero), as Integer.decode reads it. */
export function lenientInteger(range: Range = {}): Rule<number> {
  return written => {
    const value = decoded(written)
    if (value === undefined) return bad(`expected a whole number, found ${quoted(written)}`)
    return inRange(value, written, range)
  }
}

export function decimalNumber(written: string): Read<number> {
  const value = Number(written)
  if (written !== '' && Number.isFinite(value)) return { ok: true, value }
  return bad(`expected a number, found ${quoted(written)}`)
}

export function oneOf<const T extends string>(allowed: readonly T[]): Rule<T> {
  return written => {
    const found = allowed.find(each => each === written.toLowerCase())
    if (found !== undefined) return { ok: true, value: found }
    return bad(`expected one of ${allowed.filter(each => each !== '').join(', ')}; found ${quoted(written)}`)
  }
}

/** Whole hours, or a number with one of the suffixes of 3.10: ms, s, m, h, d. The value is in hours. */
export function purgeInterval(written: string, key: string): Read<number> {
  if (/^[+-]?[0-9]+$/.test(written)) return nativeInteger()(written, key)
  const parts = /^([+-]?[0-9]{1,15}) *(ms|s|m|h|d)$/i.exec(written)
  if (parts === null)
    return bad(`expected whole hours or a number with ms, s, m, h or d; found ${quoted(written)}`)
  const hours = { ms: 1 / 3_600_000, s: 1 / 3600, m: 1 / 60, h: 1, d: 24 }
  const unit = parts[2]?.toLowerCase() as keyof typeof hours
  return { ok: true, value: Number(parts[1]) * hours[unit] }
}

function decoded(written: string): number | undefined {
  const parts = /^([+-]?)(0x|#|0(?=[0-7]))?([0-9a-f]{1,16})$/i.exec(written)
  if (parts === null) return undefined
  const [, sign, prefix, digits = ''] = parts
  const radix = prefix === undefined ? 10 : prefix === '0' ? 8 : 16
  if (radix < 16 && !(radix === 10 ? /^[0-9]+$/ : /^[0-7]+$/).test(digits)) return undefined
  const value = Number.parseInt(digits, radix)
  if (!Number.isSafeInteger(value)) return undefined
  return sign === '-' ? -value : value
}

function inRange(
  value: number,
  written: string,
  { min = -Infinity, max = Number.MAX_SAFE_INTEGER, isRaised }: Range,
): Read<number> {
  if (value < min && isRaised) return { ok: true, value: min, remark: `${written} is raised to ${min}` }
  if (value < min) return bad(`must be at least ${min}, and is ${written}`)
  if (value > max) return bad(`must be at most ${max}, and is ${written}`)
  return { ok: true, value }
}

function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem }
}

export function quoted(written: string): string {
  return JSON.stringify(written.length > 60 ? `${written.slice(0, 60)}…` : written)
}
