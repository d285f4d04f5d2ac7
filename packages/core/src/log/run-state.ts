/**
 * The note by which a start knows how the last run ended: `corral.state`, beside the log's `version-2`. Written
 * before the first txn is accepted and after the last one is durable; never while the disk is failing.
 *
 *     clean|running LF 0x<session id> LF 0x<zxid> LF        ids in hex; a note may lack the last one, or both
 *
 * The session id is above all that this server has made up to the end of that run: after a step back of the clock it
 * keeps ids from being made again whose sessions have ended and whose logs are purged. The snapshots of the run have it,
 * too, in their header: a note that is lost, or that did not come along with a copy, takes nothing with it.
 *
 * The zxid is the last one that was durable when the note was made. A directory that ends before it lacks a file: a log
 * that was removed leaves no gap if it was the newest. Hence the note is made anew when another log file was begun, a
 * tick later at most, beside the work.
 */
import {
  decodeUtf8,
  encodeUtf8,
  firstSessionId,
  hexText,
  noSession,
  noZxid,
  type SessionId,
  serverId,
  sessionId,
  type Zxid,
  zxid,
} from '@corral/protocol'
import type { Now } from '../events.ts'
import { close, type DiskOps, list, open, read, remove, type Script, syncDir, writeWhole } from './script.ts'

export interface LastRun {
  /** unknown: this server did not run on the directory, or the note was not copied along. */
  readonly end: 'clean' | 'running' | 'unknown'
  /** Above every session id of this server's making that was given away; 0n if nothing says so. */
  readonly sessionBound: SessionId | 0n
  /** All up to this txn has been durable here; 0n if nothing says so. */
  readonly lastZxid: Zxid
}

/** More sessions than one run will ever make. On the clock of session ids it is four seconds. */
const idsPerRun = 1n << 28n

const longestNoteBytes = 64
const stateName = 'corral.state'
/** Made by an operator, or zkServer-initialize.sh: an empty directory is meant to be new. Java scripts disagree on the place. */
const markerName = 'initialize'

export function* readLastRun(server: bigint): Script<LastRun> {
  const entries = yield* list('logRoot')
  if (!entries.some(({ name }) => name === stateName))
    return { end: 'unknown', sessionBound: 0n, lastZxid: noZxid }
  const text = yield* readNote()
  // Whatever cannot be read was not written by an orderly stop.
  return {
    end: /^clean\s/.test(text) ? 'clean' : 'running',
    sessionBound: boundIn(text, server),
    lastZxid: zxidIn(text),
  }
}

function zxidIn(note: string): Zxid {
  const digits = /\n0x[0-9a-f]{1,16}\n0x([0-9a-f]{1,16})\n/.exec(note)?.[1]
  return digits === undefined ? noZxid : zxid(BigInt.asIntN(64, BigInt(`0x${digits}`)))
}

function* readNote(): Script<string> {
  const file = yield* open({ dir: 'logRoot', name: stateName, mode: 'read' })
  const bytes = new Uint8Array(longestNoteBytes)
  const count = yield* read(file, 0, bytes)
  yield* close(file)
  return decodeUtf8(bytes, 0, count)
}

function boundIn(note: string, server: bigint): SessionId | 0n {
  const digits = /\n0x([0-9a-f]{1,16})\n/.exec(note)?.[1]
  if (digits === undefined) return 0n
  return boundOf(BigInt(`0x${digits}`), server)
}

/** @returns 0n if it says nothing about the ids of this server: a directory may have been another's */
export function boundOf(written: bigint, server: bigint): SessionId | 0n {
  const bound = BigInt.asUintN(64, written)
  // The Java server has -1 where a snapshot of ours has a bound.
  return bound >> 56n === BigInt.asUintN(8, server) && written !== -1n ? sessionId(bound) : 0n
}

/**
 * The bound to note for a run that begins now.
 *
 * @param highest - the highest id known so far, 0n for none
 */
export function sessionBound(server: bigint, wallMs: number, highest: SessionId | 0n): SessionId {
  const first = firstSessionId(serverId(server), wallMs)
  return sessionId((highest !== 0n && highest > first ? highest : first) + idsPerRun)
}

function* noteRun(note: {
  readonly state: 'clean' | 'running'
  readonly sessionBound: SessionId
  readonly lastZxid: Zxid
}): Script<void> {
  const text = `${note.state}\n${hexText(note.sessionBound)}\n${hexText(note.lastZxid)}\n`
  yield* writeWhole({ dir: 'logRoot', name: stateName, bytes: encodeUtf8(text) })
}

export interface RunNoteGiven {
  readonly ops: DiskOps
  /** It costs nothing but that a missing file may go unnoticed. */
  failed(failure: Error): void
}

/** The note of the run that is under way. */
export class RunNote {
  readonly #given: RunNoteGiven
  #sessionBound: SessionId = noSession
  /** The newest log file that it knows of begins with this txn. */
  #newestLog: Zxid = noZxid
  #isWriting = false
  #whenQuiet: ((now: Now) => void) | undefined

  constructor(given: RunNoteGiven) {
    this.#given = given
  }

  /** The run begins. */
  *make(sessionBound: SessionId, lastZxid: Zxid): Script<void> {
    this.#sessionBound = sessionBound
    this.#newestLog = lastZxid
    yield* noteRun({ state: 'running', sessionBound, lastZxid })
  }

  /** @param log.newest - the first txn of the newest log file */
  tick(now: Now, log: { readonly newest: Zxid; readonly lastZxid: Zxid }): void {
    if (this.#isWriting || log.newest <= this.#newestLog || log.lastZxid < log.newest) return
    this.#isWriting = true
    this.#newestLog = log.newest
    const note = { state: 'running', sessionBound: this.#sessionBound, lastZxid: log.lastZxid } as const
    this.#given.ops.run(now, noteRun(note), {
      done: later => this.#written(later),
      failed: (later, failure) => {
        this.#given.failed(failure)
        this.#written(later)
      },
    })
  }

  /** An orderly end. Only when {@link whenQuiet}. */
  *end(lastZxid: Zxid): Script<void> {
    yield* noteRun({ state: 'clean', sessionBound: this.#sessionBound, lastZxid })
  }

  /** @param then - called when nothing of it is on its way */
  whenQuiet(now: Now, then: (now: Now) => void): void {
    if (this.#isWriting) this.#whenQuiet = then
    else then(now)
  }

  #written(now: Now): void {
    this.#isWriting = false
    this.#whenQuiet?.(now)
  }
}

/** After a repair the directory may end earlier: nothing is missing because of it. */
export function* lowerNote(lastZxid: Zxid): Script<void> {
  const entries = yield* list('logRoot')
  if (!entries.some(({ name }) => name === stateName)) return
  const text = yield* readNote()
  if (zxidIn(text) <= lastZxid) return
  const lowered = text.replace(/0x[0-9a-f]+\n$/, `${hexText(lastZxid)}\n`)
  yield* writeWhole({ dir: 'logRoot', name: stateName, bytes: encodeUtf8(lowered) })
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
