/**
 * Writes a log anew, up to where its valid records end. What was examined is read a second time for that, and a disk
 * that fails may read something else: nothing is copied that was not checked again.
 */
import { fileHeaderBytes, makeSpace } from '@corral/protocol'
import { LogFileReader } from './log-file-reader.ts'
import { markAt, markIn, putMark } from './log-mark.ts'
import { isLogHeader } from './record-reader.ts'
import {
  close,
  exitStorage,
  type OpenedFile,
  open,
  read,
  rename,
  type Script,
  StorageRefusal,
  sync,
  temporaryName,
  write,
} from './script.ts'

/** What examination found. */
export interface ExaminedLog {
  readonly name: string
  readonly validBytes: number
  /** The Java server did not write it: it has a mark. */
  readonly isOurs: boolean
}

/** @throws StorageRefusal if the file reads otherwise now; it is left as it was */
export function* writeAnew(log: ExaminedLog, maxPayloadBytes: number): Script<void> {
  const { name } = log
  const old = yield* open({ dir: 'log', name, mode: 'read' })
  const fresh = yield* open({ dir: 'log', name: temporaryName(name), mode: 'create' })
  yield* copyHeader(old, fresh, log)
  yield* copyRecords(old, fresh, { to: log.validBytes, maxPayloadBytes })
  yield* sync(fresh)
  yield* close(fresh)
  yield* close(old)
  yield* rename('log', temporaryName(name), name)
}

function* copyHeader(old: OpenedFile, fresh: OpenedFile, { validBytes, isOurs }: ExaminedLog): Script<void> {
  const header = makeSpace(fileHeaderBytes)
  yield* read(old, 0, header.bytes)
  if (!isLogHeader(header, 0) || markIn(header, 0) > 0 !== isOurs) throw otherwise(old, 0)
  if (isOurs) putMark(header, markAt, validBytes)
  yield* write(fresh, 0, header.bytes)
}

function* copyRecords(
  old: OpenedFile,
  fresh: OpenedFile,
  { to, maxPayloadBytes }: { readonly to: number; readonly maxPayloadBytes: number },
): Script<void> {
  const reader = new LogFileReader({ file: old, maxPayloadBytes, at: fileHeaderBytes })
  for (let copied = fileHeaderBytes; copied < to; copied = reader.at) {
    yield* reader.refill()
    let found = reader.look()
    let end = 0
    while (found === 'record' && reader.at < to) {
      end = reader.payloadTo + 1
      reader.advance()
      found = reader.look()
    }
    if (reader.at > to || (reader.at < to && found !== 'more')) throw otherwise(old, reader.at)
    const lengthBytes = reader.at - copied
    if (lengthBytes > 0) yield* write(fresh, copied, reader.space.bytes.subarray(end - lengthBytes, end))
  }
}

function otherwise({ name }: OpenedFile, at: number): StorageRefusal {
  return new StorageRefusal({
    exitCode: exitStorage,
    reason:
      `${name} was whole, and is not at byte ${at} when it is read the second time: the disk or the memory of this ` +
      'machine fails. The file was left as it was: copy the directory to another machine, and start there',
  })
}
