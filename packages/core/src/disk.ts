/**
 * What the log asks of a disk, as data. Every call ends in exactly one `diskDone` with the same `OpId`; calls on one
 * file are carried out in the order given. The codec is the disk's business: core sees plain bytes.
 */

/**
 * data, log: the `version-2` directories of dataDir and dataLogDir (created if missing when the server starts).
 * dataRoot, logRoot: their parents, for markers.
 */
export type Dir = 'data' | 'log' | 'dataRoot' | 'logRoot'
export type OpId = number
export type FileId = number
export type FileCodec = 'plain' | 'gz' | 'snappy'

export type DiskCall =
  /**
   * create: a new empty file, replacing one of that name. update: an existing one, for reading and writing.
   * A file with a codec is written and read from start to end only; its `at` counts plain bytes.
   */
  | {
      readonly call: 'open'
      readonly dir: Dir
      readonly name: string
      readonly mode: 'create' | 'update' | 'read'
      readonly codec: FileCodec
    }
  /** `pieces` one after another from `at`; lent until diskDone. With `sync` durable (contents and size) when done. */
  | {
      readonly call: 'write'
      readonly file: FileId
      readonly at: number
      readonly pieces: readonly Uint8Array[]
      readonly sync: boolean
    }
  /** Zeros, then a sync of its own. May run beside a write to the same file. */
  | { readonly call: 'fill'; readonly file: FileId; readonly at: number; readonly lengthBytes: number }
  /** Up to `into.length` bytes; lent until diskDone. Result `count` is less only at the end of the file. */
  | { readonly call: 'read'; readonly file: FileId; readonly at: number; readonly into: Uint8Array }
  | { readonly call: 'sync' | 'close'; readonly file: FileId }
  | { readonly call: 'truncate'; readonly file: FileId; readonly lengthBytes: number }
  /** Result `entries`, any order. */
  | { readonly call: 'list' | 'syncDir'; readonly dir: Dir }
  | { readonly call: 'rename'; readonly dir: Dir; readonly from: string; readonly to: string }
  | { readonly call: 'remove'; readonly dir: Dir; readonly name: string }

export interface DirEntry {
  readonly name: string
  /** As stored: a compressed file's size is the compressed one. */
  readonly sizeBytes: number
}

export type DiskResult =
  | {
      readonly ok: true
      readonly file?: FileId
      readonly sizeBytes?: number
      readonly count?: number
      readonly entries?: readonly DirEntry[]
    }
  /** `errno` as Node names it ('ENOSPC', 'EIO'); a bad compressed stream is 'EBADMSG'. */
  | { readonly ok: false; readonly errno: string; readonly message: string }
