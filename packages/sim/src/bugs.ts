/**
 * Known mistakes, put back on purpose. Each is what a driver or disk that breaks one promise would do; the
 * simulation is worth something only as long as it finds every one of them.
 */
import type { DiskCall, DiskResult, Random } from '@corral/core'
import { ErrorCode, Xid } from '@corral/protocol'
import { chance } from './chance.ts'
import type { SimDisk } from './disk.ts'

export const bugs = [
  /** A write is reported durable when it is in the page cache. */
  'ack-before-sync',
  /** Syncs report success and do nothing. */
  'skip-sync',
  /** A failed sync is reported as done. */
  'ignore-sync-error',
  /** Syncs of directories report success and do nothing. */
  'skip-directory-sync',
  /** The syncs of a recovery report success and do nothing: what was read counts as durable. */
  'trust-recovered',
  /** Events leave after the reply that follows them. */
  'event-after-reply',
  /** One event in some never leaves. */
  'drop-event',
  /** An event leaves twice. */
  'repeat-event',
  /** Two replies change places. */
  'swap-replies',
  /** A reply is lost, its connection stays. */
  'drop-reply',
  /** A header zxid is one too low. */
  'lower-zxid',
  /** Values in replies are damaged. */
  'flip-data',
  /** Refusals are answered as successes. */
  'hide-refusal',
  /** The clock of sessions runs three times too fast. */
  'early-expiry',
  /** The server is never told that time passes. */
  'no-ticks',
  /** Part of a log write does not happen, though it is reported and synced. */
  'lose-write',
] as const
export type Bug = (typeof bugs)[number]

/** Damages what leaves the server, frame by frame. @param isStruck - draws whether this frame suffers */
export function spoilOutput(bug: Bug, bytes: Uint8Array, isStruck: () => boolean): Uint8Array {
  const frames = framesOf(bytes)
  if (frames === undefined) return bytes
  switch (bug) {
    case 'event-after-reply': {
      const i = frames.findIndex((frame, at) => isEvent(frame) && isReply(frames[at + 1]))
      if (i === -1) return bytes
      swap(frames, i)
      return Buffer.concat(frames)
    }
    case 'drop-event':
      return Buffer.concat(frames.filter(frame => !(isEvent(frame) && isStruck())))
    case 'repeat-event':
      return Buffer.concat(frames.flatMap(frame => (isEvent(frame) && isStruck() ? [frame, frame] : [frame])))
    case 'swap-replies': {
      const i = frames.findIndex((frame, at) => isReply(frame) && isReply(frames[at + 1]))
      if (i === -1 || !isStruck()) return bytes
      swap(frames, i)
      return Buffer.concat(frames)
    }
    case 'drop-reply':
      return Buffer.concat(frames.filter(frame => !(isReply(frame) && isStruck())))
    case 'lower-zxid':
      for (const frame of frames) {
        const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
        const zxid = view.getBigInt64(8)
        if (isReply(frame) && zxid > 1n && isStruck()) view.setBigInt64(8, zxid - 1n)
      }
      return Buffer.concat(frames)
    case 'flip-data':
      for (const frame of frames) {
        // Past the header: a Stat, a path or a value.
        const at = frame.length - 3
        if (isReply(frame) && frame.length > 40 && isStruck()) frame[at] = (frame[at] as number) ^ 1
      }
      return Buffer.concat(frames)
    case 'hide-refusal':
      for (const frame of frames) {
        const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
        if (isReply(frame) && view.getInt32(16) === ErrorCode.BadVersion) view.setInt32(16, ErrorCode.NoNode)
      }
      return Buffer.concat(frames)
    default:
      return bytes
  }
}

/** Hands a call to the disk, or what a bug makes of it. */
export function submitSpoiled(
  bug: Bug,
  given: {
    readonly disk: SimDisk
    readonly call: DiskCall
    readonly done: (result: DiskResult) => void
    /** The server does not serve yet. */
    readonly isRecovering: boolean
    readonly random: Random
  },
): void {
  const { disk, call, done, isRecovering, random } = given
  const isWriteThrough = call.call === 'write' && call.sync
  if (bug === 'ack-before-sync' && isWriteThrough && !isRecovering) {
    disk.submit({ ...call, sync: false }, result => {
      done(result)
      disk.submit({ call: 'sync', file: call.file }, () => undefined)
    })
  } else if (isSkipped(bug, call, isRecovering)) {
    if (call.call === 'write') disk.submit({ ...call, sync: false }, done)
    else disk.scheduler.after(0.01, 'a sync that is none', () => done({ ok: true }))
  } else if (bug === 'lose-write' && isWriteThrough && !isRecovering && chance(random, 0.05)) {
    const first = call.pieces[0] ?? new Uint8Array(0)
    disk.submit({ ...call, pieces: [first.slice(0, first.length >> 1)] }, done)
  } else {
    disk.submit(call, result => {
      const isHidden = bug === 'ignore-sync-error' && !result.ok && result.message.includes('sync')
      done(isHidden ? { ok: true } : result)
    })
  }
}

function isSkipped(bug: Bug, call: DiskCall, isRecovering: boolean): boolean {
  const isSync = call.call === 'sync' || (call.call === 'write' && call.sync)
  if (bug === 'skip-sync') return isSync
  if (bug === 'trust-recovered') return isSync && isRecovering
  return bug === 'skip-directory-sync' && call.call === 'syncDir'
}

/** Copies, or undefined if these bytes are no whole frames with headers (a handshake, a part of a frame). */
function framesOf(bytes: Uint8Array): Uint8Array[] | undefined {
  const frames: Uint8Array[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = 0
  while (at < bytes.length) {
    const length = at + 4 <= bytes.length ? view.getInt32(at) : -1
    const isHandshake = length === 36 || length === 37
    if (length < 16 || isHandshake || at + 4 + length > bytes.length) return undefined
    frames.push(bytes.slice(at, at + 4 + length))
    at += 4 + length
  }
  return frames
}

function xidOf(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset, frame.length).getInt32(4)
}

function isEvent(frame: Uint8Array): boolean {
  return xidOf(frame) === Xid.Notification
}

/** Replies to requests with an xid of their own. */
function isReply(frame: Uint8Array | undefined): boolean {
  return frame !== undefined && xidOf(frame) > 0
}

function swap(frames: Uint8Array[], i: number): void {
  const first = frames[i] as Uint8Array
  frames[i] = frames[i + 1] as Uint8Array
  frames[i + 1] = first
}
