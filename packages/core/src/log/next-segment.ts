/**
 * The segment to come. It is made under a temporary name, with a durable header, while the present one is still being
 * written: to enter it takes no more than to give it its name. That is the zxid of its first txn, which nobody knows
 * before.
 *
 * Under its name there is never less than a header: the Java server does not start with an empty log.
 */
import { assert, fileHeaderBytes, fileVersion, logMagic, makeSpace, type Zxid } from '@corral/protocol'
import type { Now } from '../events.ts'
import { logName } from './file-names.ts'
import { markAt, putMark } from './log-mark.ts'
import {
  close,
  type DiskFailure,
  type DiskOps,
  type OpenedFile,
  open,
  remove,
  rename,
  type Script,
  type StorageRefusal,
  sync,
  syncDir,
  temporaryName,
  write,
} from './script.ts'

const temporary = temporaryName('log.next')

export interface NextSegmentOwner {
  made(now: Now): void
  failed(failure: DiskFailure | StorageRefusal): void
}

export class NextSegment {
  readonly #ops: DiskOps
  readonly #owner: NextSegmentOwner
  #made: OpenedFile | undefined
  isBeingMade = false

  constructor(given: { readonly ops: DiskOps; readonly owner: NextSegmentOwner }) {
    this.#ops = given.ops
    this.#owner = given.owner
  }

  get isMade(): boolean {
    return this.#made !== undefined
  }

  /** Unless it is there, or on its way. */
  make(now: Now): void {
    if (this.isBeingMade || this.#made !== undefined) return
    this.isBeingMade = true
    this.#ops.run(now, makeSegment(), {
      done: (later, file) => {
        this.isBeingMade = false
        this.#made = file
        this.#owner.made(later)
      },
      failed: (_later, failure) => this.#owner.failed(failure),
    })
  }

  /** Its name is durable when the script ends. */
  *enter(first: Zxid): Script<OpenedFile> {
    const file = this.#made
    assert(file !== undefined, 'a segment is made before it is entered')
    this.#made = undefined
    const name = logName(first)
    yield* rename('log', temporary, name)
    yield* syncDir('log')
    return { ...file, name }
  }

  /** It will not be needed. */
  *discard(): Script<void> {
    const file = this.#made
    if (file === undefined) return
    this.#made = undefined
    yield* close(file)
    yield* remove('log', temporary)
  }
}

function* makeSegment(): Script<OpenedFile> {
  const header = makeSpace(fileHeaderBytes)
  header.view.setInt32(0, logMagic)
  header.view.setInt32(4, fileVersion)
  putMark(header, markAt, fileHeaderBytes)
  const file = yield* open({ dir: 'log', name: temporary, mode: 'create' })
  yield* write(file, 0, header.bytes)
  yield* sync(file)
  return file
}
