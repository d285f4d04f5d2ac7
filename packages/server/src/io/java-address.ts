import { isIPv6 } from 'node:net'

/**
 * An address as Java prints it, and as ACLs and four-letter words have it: IPv6 without `::`, and what came by IPv4 to a
 * socket of both families as IPv4.
 */
export function javaAddress(address: string): string {
  if (!isIPv6(address)) return address
  const [plain = '', scope] = address.split('%')
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)
  if (mapped?.[1] !== undefined) return mapped[1]
  const [head = '', tail] = plain.split('::')
  const before = groupsOf(head)
  const after = groupsOf(tail ?? '')
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  const whole = [...before, ...zeros, ...after].join(':')
  return scope === undefined ? whole : `${whole}%${scope}`
}

function groupsOf(text: string): string[] {
  if (text === '') return []
  return text.split(':').flatMap(group => {
    const bytes = group.split('.').map(Number)
    if (bytes.length !== 4) return [Number.parseInt(group, 16).toString(16)]
    const [a = 0, b = 0, c = 0, d = 0] = bytes
    return [((a << 8) | b).toString(16), ((c << 8) | d).toString(16)]
  })
}
