/**
 * The note by which a start knows how the last run ended: `corral.state`, beside the log's `version-2`. Written
 * before the first txn is accepted and after the last one is durable; never while the disk is failing.
 */
import { decodeUtf8, encodeUtf8, makeSpace } from '@corral/protocol'
import { close, list, open, read, remove, type Script, syncDir, writeWhole } from './script.ts'

/** unknown: this server did not run on the directory, or the note was not copied along. */
export type LastRun = 'clean' | 'running' | 'unknown'

const stateName = 'corral.state'
/** Made by an operator, or zkServer-initialize.sh: an empty directory is meant to be new. Java scripts disagree on the place. */
const markerName = 'initialize'

export function* readLastRun(): Script<LastRun> {
  const entries = yield* list('logRoot')
  if (!entries.some(({ name }) => name === stateName)) return 'unknown'
  const file = yield* open({ dir: 'logRoot', name: stateName, mode: 'read' })
  const space = makeSpace(64)
  const count = yield* read(file, 0, space.bytes)
  yield* close(file)
  // Whatever cannot be read was not written by an orderly stop.
  return decodeUtf8(space.bytes, 0, count).trim() === 'clean' ? 'clean' : 'running'
}

export function* noteRun(state: 'clean' | 'running'): Script<void> {
  yield* writeWhole({ dir: 'logRoot', name: stateName, bytes: encodeUtf8(`${state}\n`) })
}

export function* hasInitializeMarker(): Script<boolean> {
  for (const dir of ['dataRoot', 'logRoot'] as const) {
    if ((yield* list(dir)).some(({ name }) => name === markerName)) return true
  }
  return false
}

/** It has served: the next empty directory is an accident again. */
export function* removeInitializeMarker(): Script<void> {
  for (const dir of ['dataRoot', 'logRoot'] as const) {
    if (!(yield* list(dir)).some(({ name }) => name === markerName)) continue
    yield* remove(dir, markerName)
    yield* syncDir(dir)
  }
}
