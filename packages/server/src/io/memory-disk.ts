/**
 * A disk in memory, for servers whose data may go with the process: answers the same calls as `disk.ts`, so the log
 * above it is the same one. Everything is durable at once; codecs do nothing.
 */
import type { Dir, DirEntry, DiskCall, DiskResult, FileId, OpId } from '@corral/core'
import { assert } from '@corral/protocol'
import type { Disk, DiskGiven } from './disk.ts'
import { ok } from './file-calls.ts'

interface MemoryFile {
  bytes: Uint8Array
  sizeBytes: number
}

export class MemoryDisk implements Disk {
  readonly #report: DiskGiven['report']
  /** Files, by name. */
  readonly #dirs: Readonly<Record<Dir, Map<string, MemoryFile>>> = {
    data: new Map(),
    log: new Map(),
    dataRoot: new Map(),
    logRoot: new Map(),
  }
  readonly #open: Map<FileId, MemoryFile> = new Map()
  #lastFile: FileId = 0
  #finished: { readonly op: OpId; readonly result: DiskResult }[] = []

  constructor(given: DiskGiven) {
    this.#report = given.report
  }

  perform(op: OpId, call: DiskCall): void {
    if (this.#finished.push({ op, result: this.#carryOut(call) }) === 1) setImmediate(() => this.#reportAll())
  }

  close(): Promise<void> {
    this.#open.clear()
    return Promise.resolve()
  }

  #reportAll(): void {
    const finished = this.#finished
    this.#finished = []
    for (const { op, result } of finished) this.#report(op, result)
  }

  #carryOut(call: DiskCall): DiskResult {
    switch (call.call) {
      case 'open':
        return this.#openFile(call)
      case 'write': {
        let at = call.at
        for (const piece of call.pieces) {
          reserve(this.#file(call.file), at, piece.length).set(piece, at)
          at += piece.length
        }
        return ok
      }
      // Zeros ahead of the end are for disks: here they would only be memory.
      case 'fill':
      case 'sync':
      case 'syncDir':
        return ok
      case 'read': {
        const { bytes, sizeBytes } = this.#file(call.file)
        const count = Math.max(0, Math.min(call.into.length, sizeBytes - call.at))
        call.into.set(bytes.subarray(call.at, call.at + count))
        return { ok: true, count }
      }
      case 'close':
        this.#open.delete(call.file)
        return ok
      case 'truncate': {
        const file = this.#file(call.file)
        reserve(file, call.lengthBytes, 0).fill(0, call.lengthBytes)
        file.sizeBytes = call.lengthBytes
        return ok
      }
      case 'list':
        return { ok: true, entries: entriesOf(this.#dirs[call.dir]) }
      case 'rename': {
        const files = this.#dirs[call.dir]
        const file = files.get(call.from)
        if (file === undefined) return missing(call.from)
        files.delete(call.from)
        files.set(call.to, file)
        return ok
      }
      case 'remove':
        return this.#dirs[call.dir].delete(call.name) ? ok : missing(call.name)
    }
  }

  #openFile(call: DiskCall & { readonly call: 'open' }): DiskResult {
    const files = this.#dirs[call.dir]
    let file = files.get(call.name)
    if (call.mode === 'create') {
      file = { bytes: new Uint8Array(0), sizeBytes: 0 }
      files.set(call.name, file)
    }
    if (file === undefined) return missing(call.name)
    this.#open.set(++this.#lastFile, file)
    return { ok: true, file: this.#lastFile, sizeBytes: file.sizeBytes }
  }

  #file(id: FileId): MemoryFile {
    const file = this.#open.get(id)
    assert(file !== undefined, `file ${id} is open`)
    return file
  }
}

function reserve(file: MemoryFile, at: number, lengthBytes: number): Uint8Array {
  const end = at + lengthBytes
  if (end > file.bytes.length) {
    const larger = new Uint8Array(Math.max(end, 2 * file.bytes.length, 4096))
    larger.set(file.bytes.subarray(0, file.sizeBytes))
    file.bytes = larger
  }
  file.sizeBytes = Math.max(file.sizeBytes, end)
  return file.bytes
}

function entriesOf(files: ReadonlyMap<string, MemoryFile>): DirEntry[] {
  return [...files].map(([name, { sizeBytes }]) => ({ name, sizeBytes }))
}

function missing(name: string): DiskResult {
  return { ok: false, errno: 'ENOENT', message: `no such file: ${name}` }
}
