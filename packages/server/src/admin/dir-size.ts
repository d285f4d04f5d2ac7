import type { Dirent } from 'node:fs'
import { join } from 'node:path'

/** @returns bytes of all files below, as their sizes say (zero-filled space included); 0 if the directory is gone */
export async function sizeOfDir(dir: string): Promise<number> {
  const { readdir, stat } = process.getBuiltinModule('node:fs/promises')
  const entries: Dirent[] = await readdir(dir, { withFileTypes: true, recursive: true }).catch(nothing)
  let sizeBytes = 0
  for (const entry of entries) {
    if (!entry.isFile()) continue
    // A file may be purged between the two looks.
    sizeBytes += await stat(join(entry.parentPath, entry.name)).then(({ size }) => size, zero)
  }
  return sizeBytes
}

function nothing(): [] {
  return []
}

function zero(): number {
  return 0
}
