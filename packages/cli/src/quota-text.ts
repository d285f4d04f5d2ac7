/**
 * Limits and usage of a quota, and where they are stored: `count=4,bytes=5=;byteHardLimit=-1;countHardLimit=10`.
 * Count and bytes come first; the odd `=` after them makes servers before 3.5 stop reading there.
 *
 * Source: StatsTrack and Quotas in the Java server.
 */

export const quotaRoot = '/zookeeper/quota'
export const limitsName = 'zookeeper_limits'
const usageName = 'zookeeper_stats'

export type QuotaKey = 'count' | 'bytes' | 'countHardLimit' | 'byteHardLimit'

/** Values by name; -1 is no limit. Names that nobody knows are kept. */
export type QuotaValues = ReadonlyMap<string, bigint>

/** Where the quota of `path` is stored. That of the root has no legal place: one there ends a Java server, at every start. */
export function quotaPath(path: string): string {
  return quotaRoot + path
}

export function limitsPath(path: string): string {
  return `${quotaPath(path)}/${limitsName}`
}

export function usagePath(path: string): string {
  return `${quotaPath(path)}/${usageName}`
}

export function parseQuota(text: string): QuotaValues {
  const values = new Map<string, bigint>()
  for (const pair of text.split(/[,;]+/)) {
    const [key, value] = pair.split('=')
    if (key === undefined || key === '') continue
    values.set(key, value !== undefined && /^-?\d+$/.test(value) ? BigInt(value) : -1n)
  }
  return values
}

export function quotaValue(values: QuotaValues, key: QuotaKey): bigint {
  return values.get(key) ?? -1n
}

export function formatQuota(values: QuotaValues): string {
  const base = `count=${quotaValue(values, 'count')},bytes=${quotaValue(values, 'bytes')}`
  const others = [...values].filter(([key]) => key !== 'count' && key !== 'bytes')
  if (others.length === 0) return base
  const rest = others.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `;${key}=${value}`)
  return `${base}=${rest.join('')}`
}
