/**
 * Answers four-letter words: who may ask what, and what is said while the server does not serve. The texts themselves
 * are beside.
 */
import type { Inspection, Now, Peer } from '@corral/core'
import type { Answer } from '../answers.ts'
import type { CommandDesk as Desk } from '../driver.ts'
import type { Say } from '../log-lines.ts'
import type { Answering, Place } from './answering.ts'
import { sizeOfDir } from './dir-size.ts'
import { environmentText } from './environment.ts'
import { words } from './four-letter-words.ts'

const notServing = 'This ZooKeeper instance is not currently serving requests'

export interface CommandDeskGiven {
  /** As in `4lw.commands.whitelist`; `*` for all. */
  readonly allowed: readonly string[]
  readonly place: () => Place
  readonly say: Say
  /** Of the times in `dump`. Default: that of the process. */
  readonly timeZone?: string
}

interface Asked {
  readonly inspection: Inspection
  readonly now: Now
  readonly asker: Peer
}

export class CommandDesk implements Desk {
  readonly #given: CommandDeskGiven
  readonly #isAllAllowed: boolean
  readonly #allowed: ReadonlySet<string>
  /** Kept for scripts that set it and read it back; nothing is traced by it. */
  #traceMask = 0b1_0011_0010n

  constructor(given: CommandDeskGiven) {
    this.#given = given
    this.#isAllAllowed = given.allowed.includes('*')
    this.#allowed = new Set([...given.allowed, 'srvr'])
  }

  answer(wordNumber: number, argument: Uint8Array, asked: Asked): Answer {
    const answer = this.#answerTo(wordNumber, argument, asked)
    if (isInParts(answer)) return counted(answer, asked.inspection)
    if (answer !== '') asked.inspection.counters.packetsSent++ // after it was made: it does not count itself
    return answer
  }

  #answerTo(wordNumber: number, argument: Uint8Array, { inspection, now, asker }: Asked): Answer {
    const name = wordText(wordNumber)
    const word = words.get(name)
    if (word === undefined) return ''
    const { say } = this.#given
    if (!this.#isAllAllowed && !this.#allowed.has(name)) {
      say('debug', 'a four-letter word is not in the whitelist', { word: name, address: asker.address })
      return `${name} is not executed because it is not in the whitelist.\n`
    }
    say('info', 'a four-letter word', { word: name, address: asker.address, port: asker.port })
    if (word.needsService && !inspection.isServing) return name === 'hash' ? notServing : `${notServing}\n`
    return word.answer(this.#answering(inspection, now, argument))
  }

  #answering(inspection: Inspection, now: Now, argument: Uint8Array): Answering {
    return {
      inspection,
      now,
      place: this.#given.place(),
      timeZone: this.#given.timeZone,
      sizeOfDir,
      environment: environmentText,
      traceMask: () => this.#traceMask,
      setTraceMask: () => {
        const { buffer, byteOffset } = argument
        this.#traceMask = new DataView(buffer, byteOffset).getBigInt64(0)
        return this.#traceMask
      },
    }
  }
}

function isInParts(answer: Answer): answer is Generator<string, void> {
  return typeof answer === 'object' && 'next' in answer
}

function* counted(answer: Generator<string, void>, { counters }: Inspection): Generator<string, void> {
  yield* answer
  counters.packetsSent++
}

function wordText(word: number): string {
  return String.fromCharCode(word >>> 24, (word >>> 16) & 0xff, (word >>> 8) & 0xff, word & 0xff)
}
