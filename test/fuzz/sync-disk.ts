/** A disk in memory that answers when it is told to: one call after the other, in the order of asking. */
import type { Dir, DiskCall, DiskResult, FileId, OpId } from '@corral/core'

/** Contents by `dir/name`. */
export type Files = Map<string, Uint8Array>

interface OpenFile {
  key: string
}

export class SyncDisk {
  readonly files: Files
  readonly #open: Map<FileId, OpenFile> = new Map()
  readonly #waiting: { readonly op: OpId; readonly call: DiskCall }[] = []
  #lastFile = 0
  /** Most bytes asked for at once, by a read: what a length in a file can make the server allocate. */
  largestReadBytes = 0

  constructor(files: Files = new Map()) {
    this.files = files
  }

  ask(op: OpId, call: DiskCall): void {
    this.#waiting.push({ op, call })
  }

  /** Carries out the oldest call. */
  next(): { readonly op: OpId; readonly result: DiskResult } | undefined {
    const first = this.#waiting.shift()
    return first === undefined ? undefined : { op: first.op, result: this.#carryOut(first.call) }
  }

  #carryOut(call: DiskCall): DiskResult {
    switch (call.call) {
      case 'open':
        return this.#openFile(call)
      case 'write': {
        const lengthBytes = call.pieces.reduce((sum, piece) => sum + piece.length, 0)
        const bytes = this.#room(call.file, call.at + lengthBytes)
        let at = call.at
        for (const piece of call.pieces) {
          bytes.set(piece, at)
          at += piece.length
        }
        return { ok: true }
      }
      case 'read': {
        const part = this.#bytes(call.file).subarray(call.at, call.at + call.into.length)
        this.largestReadBytes = Math.max(this.largestReadBytes, call.into.length)
        call.into.set(part)
        return { ok: true, count: part.length }
      }
      case 'truncate': {
        const old = this.#bytes(call.file)
        const bytes = new Uint8Array(call.lengthBytes)
        bytes.set(old.subarray(0, call.lengthBytes))
        this.files.set(this.#key(call.file), bytes)
        return { ok: true }
      }
      case 'list': {
        const prefix = `${call.dir}/`
        const names = [...this.files].filter(([key]) => key.startsWith(prefix))
        return {
          ok: true,
          entries: names.map(([key, { length }]) => ({ name: key.slice(prefix.length), sizeBytes: length })),
        }
      }
      case 'rename': {
        const bytes = this.files.get(`${call.dir}/${call.from}`)
        if (bytes === undefined) return missing(call.from)
        this.files.delete(`${call.dir}/${call.from}`)
        this.files.set(`${call.dir}/${call.to}`, bytes)
        for (const open of this.#open.values()) {
          if (open.key === `${call.dir}/${call.from}`) open.key = `${call.dir}/${call.to}`
        }
        return { ok: true }
      }
      case 'remove':
        return this.files.delete(`${call.dir}/${call.name}`) ? { ok: true } : missing(call.name)
      default:
        return { ok: true } // fill, sync, close, syncDir: nothing that could be seen
    }
  }

  #openFile(call: {
    readonly dir: Dir
    readonly name: string
    readonly mode: 'create' | 'update' | 'read'
  }): DiskResult {
    const key = `${call.dir}/${call.name}`
    if (call.mode === 'create') this.files.set(key, new Uint8Array(0))
    const bytes = this.files.get(key)
    if (bytes === undefined) return missing(call.name)
    this.#open.set(++this.#lastFile, { key })
    return { ok: true, file: this.#lastFile, sizeBytes: bytes.length }
  }

  #key(file: FileId): string {
    const open = this.#open.get(file)
    if (open === undefined) throw new Error(`file ${file} is not open`)
    return open.key
  }

  #bytes(file: FileId): Uint8Array {
    return this.files.get(this.#key(file)) ?? new Uint8Array(0)
  }

  #room(file: FileId, lengthBytes: number): Uint8Array {
    const old = this.#bytes(file)
    if (lengthBytes <= old.length) return old
    const bytes = new Uint8Array(lengthBytes)
    bytes.set(old)
    this.files.set(this.#key(file), bytes)
    return bytes
  }
}

function missing(name: string): DiskResult {
  return { ok: false, errno: 'ENOENT', message: `no such file: ${name}` }
}
