/** ACLs as text: `scheme:id:perms,…` as it is typed, and the two lines for each entry as zkCli prints them. */
import { type Acl, Perm } from '@corral/protocol'

/** In the order in which permissions are printed. */
const letters: readonly (readonly [string, number])[] = [
  ['c', Perm.Create],
  ['d', Perm.Delete],
  ['r', Perm.Read],
  ['w', Perm.Write],
  ['a', Perm.Admin],
]

const permOf: ReadonlyMap<string, number> = new Map(letters)

export interface ParsedAcl {
  readonly acl: readonly Acl[]
  /** What was wrong, in zkCli's words. Wrong entries are left out, wrong letters count for nothing. */
  readonly problems: readonly string[]
}

/** An id may contain colons: scheme and permissions end at the first and begin after the last. */
export function parseAcl(text: string): ParsedAcl {
  const acl: Acl[] = []
  const problems: string[] = []
  for (const entry of entriesOf(text)) {
    const first = entry.indexOf(':')
    const last = entry.lastIndexOf(':')
    if (first === last) {
      problems.push(`${entry} does not have the form scheme:id:perm`)
      continue
    }
    const perms = parsePerms(entry.slice(last + 1), problems)
    acl.push({ scheme: entry.slice(0, first), id: entry.slice(first + 1, last), perms })
  }
  return { acl, problems }
}

/** As Java splits: empty entries at the end are none. */
function entriesOf(text: string): string[] {
  const entries = text.split(',')
  const last = entries.findLastIndex(entry => entry !== '')
  return text === '' ? entries : entries.slice(0, last + 1)
}

function parsePerms(text: string, problems: string[]): number {
  let perms = 0
  for (const letter of text) {
    const perm = permOf.get(letter)
    if (perm === undefined) problems.push(`Unknown perm type: ${letter}`)
    else perms |= perm
  }
  return perms
}

export function permLetters(perms: number): string {
  return letters.map(([letter, perm]) => ((perms & perm) === 0 ? '' : letter)).join('')
}

export function aclLines(acl: readonly Acl[]): string[] {
  return acl.flatMap(({ scheme, id, perms }) => [`'${scheme ?? ''},'${id ?? ''}`, `: ${permLetters(perms)}`])
}
