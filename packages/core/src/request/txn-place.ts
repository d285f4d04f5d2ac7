/** Where a txn stands: whose it is, its zxid and its time; in its header, and in the Stats of the znodes that it changes. */
import type { Writer } from '@corral/protocol'
import type { Now } from '../events.ts'
import type { AuthId } from '../session/auth-ids.ts'
import type { Session } from '../session/sessions.ts'
import type { PendingZnode } from './pending.ts'

/** Who asks; without a session: the server itself. */
export interface Asker {
  readonly session: Session | undefined
  readonly ids: readonly AuthId[]
  readonly xid: number
}

/** Of the txn being prepared. */
export class TxnPlace {
  zxidHigh = 0
  zxidLow = 0
  #timeHigh = 0
  #timeLow = 0

  /** To the next txn. */
  moveTo(now: Now, zxidHigh: number, zxidLow: number): void {
    this.zxidHigh = zxidHigh
    this.zxidLow = zxidLow
    this.#timeHigh = Math.floor(now.wallMs / 0x1_0000_0000)
    this.#timeLow = now.wallMs | 0
  }

  /** header: session(8) | cxid(4) | zxid(8) | time(8) | type(4) */
  writeHeader(w: Writer, asker: Asker, type: number): void {
    w.words(asker.session?.high ?? 0, asker.session?.low ?? 0)
    w.int32(asker.xid)
    w.words(this.zxidHigh, this.zxidLow)
    w.words(this.#timeHigh, this.#timeLow)
    w.int32(type)
  }

  /** @param word - which zxid of the Stat */
  stamp({ stat }: PendingZnode, word: number): void {
    stat[word] = this.zxidHigh
    stat[word + 1] = this.zxidLow
  }

  /** @param word - which time of the Stat */
  stampTime({ stat }: PendingZnode, word: number): void {
    stat[word] = this.#timeHigh
    stat[word + 1] = this.#timeLow
  }
}
