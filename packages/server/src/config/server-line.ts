/** `server.<id>=host:port:port[:role][|…][;[client][;secureClient]]`, a client being `[address:]port`. */
import { quoted, type Read } from './value-rules.ts'

export interface ServerLine {
  /** Where it serves clients. */
  readonly client: { readonly host: string | undefined; readonly port: number } | undefined
  /** As the development line after 3.9 has it. */
  readonly hasSecureClient: boolean
}

const host = String.raw`(?:\[[^\]]+\]|[^:;|[\]]*)`
const port = '[0-9]{1,9}'
const member = `${host}:${port}:${port}(?::[^:;|]+)?`
const client = `(?:${host}:)?${port}`
const line = new RegExp(
  String.raw`^(?<members>${member}(?:\|${member})*)(?:;(?<client>${client})?(?:;(?<secure>${client})?)?)?$`,
)

/** The refusals are those of the original, whose words users search for. */
export function readServerLine(key: string, value: string): Read<ServerLine> {
  const id = key.slice('server.'.length)
  if (!/^-?[0-9]+$/.test(id)) return bad(`server id ${quoted(id)} is not a number`)
  const parts = line.exec(value)?.groups
  // Without addresses of IPv6, whose groups look like ports.
  const members = parts?.['members']?.replaceAll(/\[[^\]]*\]/g, '').split('|')
  if (parts === undefined || members === undefined) {
    return bad(`${quoted(value)} does not have the form host:port:port[:role][;[address:]clientPort]`)
  }
  const roles = members.map(each => /(?<=:[0-9]+:[0-9]+:).+$/.exec(each)?.[0] ?? 'participant')
  const strange = roles.find(role => !/^(participant|observer)$/i.test(role))
  if (strange !== undefined) return bad(`Unrecognised peertype: ${strange}`)
  const tooLarge = value.match(/(?<=[:;])[0-9]+(?=[:;|]|$)/g)?.find(each => Number(each) > 65_535)
  if (tooLarge !== undefined) return bad(`port out of range: ${tooLarge}`)
  const isSamePort = members.some(each => /:0*([0-9]+):0*\1(?::[^:]+)?$/.test(each))
  if (isSamePort) {
    return bad(
      `Client and election port must be different! Please update the configuration file on server.${id}`,
    )
  }
  if (roles.some(role => /^observer$/i.test(role))) {
    return bad('Observers w/o participants is an invalid configuration')
  }
  return {
    ok: true,
    value: { client: addressOf(parts['client']), hasSecureClient: parts['secure'] !== undefined },
  }
}

function addressOf(written: string | undefined): ServerLine['client'] {
  if (written === undefined) return undefined
  const at = written.lastIndexOf(':')
  const address = written.slice(0, Math.max(at, 0))
  return { host: address === '' ? undefined : address, port: Number(written.slice(at + 1)) }
}

function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem }
}
