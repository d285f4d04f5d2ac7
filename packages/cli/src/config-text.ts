/** The text of `/zookeeper/config`, as far as a client reads it: `key=value` lines. */

export interface Membership {
  /** Hexadecimal, as the server wrote it; '' if it has none. */
  readonly version: string
  /** `host:port` for clients, one for each member; undefined where the configuration does not tell. */
  readonly clientAddresses: readonly (string | undefined)[]
}

/** A key and its value, in the order of the text. */
export function configLines(text: string): (readonly [string, string])[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#') && line.includes('='))
    .map(line => {
      const cut = line.indexOf('=')
      return [line.slice(0, cut).trim(), line.slice(cut + 1).trim()]
    })
}

export function parseMembership(text: string): Membership {
  const lines = configLines(text)
  return {
    version: lines.find(([key]) => key === 'version')?.[1] ?? '',
    clientAddresses: lines
      .filter(([key]) => key.startsWith('server.'))
      .map(([, value]) => clientAddress(value)),
  }
}

/** As `config -c` prints it. Source: ConfigUtils.getClientConfigStr in the Java server. */
export function membershipLine({ version, clientAddresses }: Membership): string {
  return `${version} ${clientAddresses.map(address => address ?? '').join(',')}`
}

/** `host:port:port:role;[host:]port`: an omitted client host is every address. */
function clientAddress(member: string): string | undefined {
  const address = member.split(';')[1]?.trim()
  if (address === undefined || address === '') return undefined
  return /^\d+$/.test(address) ? `0.0.0.0:${address}` : address
}
