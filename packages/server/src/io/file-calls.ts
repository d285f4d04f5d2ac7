/** Calls of the file system that take more than one, each with one end. */
import { close, fsync, open, read, readdir, stat, write } from 'node:fs'
import { join } from 'node:path'
import type { DirEntry, DiskResult } from '@corral/core'

export type Callback = (result: DiskResult) => void

export const ok: DiskResult = { ok: true }

export function resultOf(error: NodeJS.ErrnoException | null): DiskResult {
  return error === null ? ok : failureOf(error)
}

/** @param error - of the file system or of zlib, whose codes mean a damaged stream; anything else is thrown on */
export function failureOf(error: unknown): DiskResult {
  if (!(error instanceof Error)) throw error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  if (code === undefined) throw error
  return { ok: false, errno: code.startsWith('Z_') ? 'EBADMSG' : code, message: error.message }
}

export function settle<T>(promise: Promise<T>, value: (from: T) => DiskResult, ended: Callback): void {
  promise.then(value, failureOf).then(ended)
}

export function readAll(
  fd: number,
  to: { readonly at: number; readonly into: Uint8Array; readonly filled: number },
  ended: Callback,
): void {
  const { at, into, filled } = to
  read(fd, into, filled, into.length - filled, at + filled, (error, count) => {
    if (error !== null) return ended(resultOf(error))
    const now = filled + count
    if (count === 0 || now === into.length) return ended({ ok: true, count: now })
    readAll(fd, { at, into, filled: now }, ended)
  })
}

/** One piece after another: a short write is continued. */
export function writeAll(fd: number, pieces: readonly Uint8Array[], at: number, ended: Callback): void {
  const [piece, ...rest] = pieces
  if (piece === undefined) return ended(ok)
  write(fd, piece, 0, piece.length, at, (error, count) => {
    if (error !== null) return ended(resultOf(error))
    const left = count < piece.length ? [piece.subarray(count), ...rest] : rest
    if (left.length === 0) return ended(ok)
    writeAll(fd, left, at + count, ended)
  })
}

export function syncDir(path: string, ended: Callback): void {
  open(path, 'r', (error, fd) => {
    if (error !== null) return ended(resultOf(error))
    fsync(fd, syncError => close(fd, closeError => ended(resultOf(syncError ?? closeError))))
  })
}

/**
 * Plain files, and what symbolic links lead to if it is one: an operator may have moved a log to another disk. A link
 * that leads nowhere fails the call unless that is allowed: where that disk is not mounted, the log must not count as
 * absent.
 */
export function list(
  path: string,
  { areLostLinksAllowed }: { readonly areLostLinksAllowed: boolean },
  ended: Callback,
): void {
  readdir(path, { withFileTypes: true }, (error, found) => {
    if (error !== null) return ended(resultOf(error))
    settle(
      Promise.all(
        found.map(entry => {
          const mayBeGone = areLostLinksAllowed || !entry.isSymbolicLink()
          return entry.isFile() || entry.isSymbolicLink() ? entryOf(path, entry.name, mayBeGone) : []
        }),
      ),
      entries => ({ ok: true, entries: entries.flat() }),
      ended,
    )
  })
}

/** @returns nothing for what is no file, or is not there if it may be gone */
function entryOf(path: string, name: string, mayBeGone: boolean): Promise<DirEntry[]> {
  return new Promise((found, failed) => {
    stat(join(path, name), (error, stats) => {
      if (error === null) found(stats.isFile() ? [{ name, sizeBytes: stats.size }] : [])
      else if (error.code === 'ENOENT' && mayBeGone) found([])
      else failed(error)
    })
  })
}
