/** The directories under test/golden/data-dirs, as seeds. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Files } from './sync-disk.ts'

const root = 'test/golden/data-dirs'

/** The path of a file or directory of the captured directories, whatever version wrote it. */
export function dataDir(name: string): string {
  const found = readdirSync(root)
    .map(version => join(root, version, name))
    .find(path => existsSync(path))
  if (found === undefined) throw new Error(`no ${name} under ${root}`)
  return found
}

/** A captured data directory as the files of a disk in memory. */
export function filesOf(name: string): Files {
  const files: Files = new Map()
  const folder = dataDir(`${name}/data/version-2`)
  for (const file of readdirSync(folder)) {
    if (!/^(log|snapshot)\.[0-9a-f]+$/.test(file)) continue
    const path = join(folder, file)
    const bytes = new Uint8Array(readFileSync(path))
    // Zero padding says nothing, at length.
    const end = bytes.findLastIndex(byte => byte !== 0) + 1
    files.set(
      `${file.startsWith('log') ? 'log' : 'data'}/${file}`,
      bytes.slice(0, Math.min(statSync(path).size, end + 600)),
    )
  }
  return files
}
