/**
 * What clients may have learned from the server, against what its disk has: at each send, and at the end of each
 * start.
 */
import { hexText } from '@corral/protocol'
import { compareSessions, type HeldSession } from './checkers/sessions.ts'
import type { CommitLog } from './commit-log.ts'
import type { SimDisk } from './disk.ts'
import type { Violation } from './history.ts'
import { RecoveryJudge } from './recovery-judge.ts'

/** How a start may end that does not bring back everything: on a damaged disk only. */
export type RightfulEnd = 'refused' | 'bereft'

export class PromiseJudge {
  readonly violations: Violation[] = []
  /** Zxids a client may have learned of: nothing above the durable end may ever be among them. */
  highestToldZxid = 0n
  /** Where the last recovery ended. */
  recoveredZxid = 0n
  readonly #disk: SimDisk
  readonly #log: CommitLog | undefined
  #recovery: RecoveryJudge | undefined

  /** @param log - undefined: what is on this disk is not known */
  constructor(disk: SimDisk, log: CommitLog | undefined) {
    this.#disk = disk
    this.#log = log
  }

  /** A process begins on the disk as it lies now. */
  starts(): void {
    if (this.#log !== undefined) this.#recovery = new RecoveryJudge(this.#disk, this.#log)
  }

  /** L1 and P6: nothing leaves the server that a power loss could still take back. */
  tells(zxid: bigint, nowMs: number): void {
    if (zxid <= this.highestToldZxid) return
    this.highestToldZxid = zxid
    if (this.#log === undefined || this.#log.promisedZxid >= zxid) return
    this.#violate(
      'L1',
      `zxid ${hexText(zxid)} leaves the server at ${nowMs} ms, and only 0x${this.#log.promisedZxid.toString(16)} is durable`,
    )
  }

  /** @returns 'bereft' if it serves less than clients were told of, and nobody could have known */
  serves(last: bigint, sessions: Iterable<HeldSession>): RightfulEnd | undefined {
    this.recoveredZxid = last
    const due = this.#recovery?.due(this.highestToldZxid) ?? this.highestToldZxid
    const end = last < due ? this.#judgeLoss(last, due) : this.#log?.isForked(last) ? 'bereft' : undefined
    if (end !== undefined || this.#log === undefined) return end
    this.#log.recovered(last)
    const when = `after a start up to zxid ${hexText(last)}`
    this.violations.push(...compareSessions(sessions, this.#log.openSessions(), when))
    return undefined
  }

  /** @returns 'refused' if a start may end like this, however badly it was said; undefined: the disk is sound */
  refuses(reason: string): RightfulEnd | undefined {
    // A call of that start failed: it says nothing about what is on the disk. A stream that is no stream does.
    if (this.#recovery?.isDamaged !== true || /\b(?!EBADMSG)E[A-Z]{2,}:/.test(reason)) return undefined
    const problem = this.#recovery.problemOfRefusal(reason)
    if (problem !== undefined) this.#violate('D-08', `${problem}: ${reason}`)
    return 'refused'
  }

  #judgeLoss(last: bigint, due: bigint): RightfulEnd | undefined {
    const problem = this.#recovery?.problemOfLoss(last, due)
    if (this.#recovery?.isDamaged === true && problem === undefined) return 'bereft'
    this.#violate(
      'L4',
      `a start recovered up to zxid ${hexText(last)}, but ${hexText(due)} was promised; ${problem}`,
    )
    return undefined
  }

  #violate(rule: string, message: string): void {
    this.violations.push({ rule, message })
  }
}
