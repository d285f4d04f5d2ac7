/** The smallest disk that can answer a log: files in memory, each call carried out when the test says so. */
import type { DiskCall, DiskResult, OpId } from '../src/disk.ts'

interface File {
  bytes: Uint8Array
}

export class MemoryFiles {
  readonly #dirs: Map<string, Map<string, File>> = new Map()
  readonly #open: Map<number, File> = new Map()
  readonly #waiting: { readonly op: OpId; readonly call: DiskCall }[] = []
  #nextFile = 1

  get waiting(): readonly { readonly op: OpId; readonly call: DiskCall }[] {
    return this.#waiting
  }

  ask(op: OpId, call: DiskCall): void {
    this.#waiting.push({ op, call })
  }

  put(dir: string, name: string, bytes: Uint8Array): void {
    this.#dir(dir).set(name, { bytes })
  }

  /** Carries out the oldest call, or the one that came `index` calls later. */
  next(index = 0): { readonly op: OpId; readonly result: DiskResult } | undefined {
    const [first] = this.#waiting.splice(index, 1)
    return first === undefined ? undefined : { op: first.op, result: this.#do(first.call) }
  }

  #do(call: DiskCall): DiskResult {
    switch (call.call) {
      case 'open':
        return this.#openFile(call.dir, call.name, call.mode)
      case 'write': {
        const file = this.#file(call.file)
        let at = call.at
        for (const piece of call.pieces) {
          file.bytes = withRoom(file.bytes, at + piece.length)
          file.bytes.set(piece, at)
          at += piece.length
        }
        return { ok: true }
      }
      case 'fill': {
        const file = this.#file(call.file)
        file.bytes = withRoom(file.bytes, call.at + call.lengthBytes)
        return { ok: true }
      }
      case 'read': {
        const part = this.#file(call.file).bytes.subarray(call.at, call.at + call.into.length)
        call.into.set(part)
        return { ok: true, count: part.length }
      }
      case 'truncate': {
        const file = this.#file(call.file)
        file.bytes = withRoom(file.bytes.slice(0, call.lengthBytes), call.lengthBytes)
        return { ok: true }
      }
      case 'list':
        return {
          ok: true,
          entries: [...this.#dir(call.dir)].map(([name, f]) => ({ name, sizeBytes: f.bytes.length })),
        }
      case 'rename': {
        const dir = this.#dir(call.dir)
        const file = dir.get(call.from)
        if (file === undefined) return missing(call.from)
        dir.delete(call.from)
        dir.set(call.to, file)
        return { ok: true }
      }
      case 'remove':
        return this.#dir(call.dir).delete(call.name) ? { ok: true } : missing(call.name)
      default:
        return { ok: true } // sync, close, syncDir
    }
  }

  #openFile(dirName: string, name: string, mode: 'create' | 'update' | 'read'): DiskResult {
    const dir = this.#dir(dirName)
    if (mode === 'create') dir.set(name, { bytes: new Uint8Array(0) })
    const file = dir.get(name)
    if (file === undefined) return missing(name)
    const id = this.#nextFile++
    this.#open.set(id, file)
    return { ok: true, file: id, sizeBytes: file.bytes.length }
  }

  #file(id: number): File {
    const file = this.#open.get(id)
    if (file === undefined) throw new Error(`file ${id} is not open`)
    return file
  }

  #dir(name: string): Map<string, File> {
    const dir = this.#dirs.get(name) ?? new Map<string, File>()
    this.#dirs.set(name, dir)
    return dir
  }
}

function withRoom(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length >= length) return bytes
  const grown = new Uint8Array(length)
  grown.set(bytes)
  return grown
}

function missing(name: string): DiskResult {
  return { ok: false, errno: 'ENOENT', message: `no file ${name}` }
}
