/**
 * The commands that may stand in place of the first frame's length. As integers: none can be a legal length. What
 * they answer is not decided here.
 */

export type FourLetterWord =
  | ('conf' | 'cons' | 'crst' | 'dirs' | 'dump' | 'envi' | 'gtmk' | 'hash' | 'isro' | 'mntr')
  | ('ruok' | 'srst' | 'srvr' | 'stat' | 'stmk' | 'wchc' | 'wchp' | 'wchs')

const words: readonly FourLetterWord[] = [
  ...(['conf', 'cons', 'crst', 'dirs', 'dump', 'envi', 'gtmk', 'hash', 'isro', 'mntr'] as const),
  ...(['ruok', 'srst', 'srvr', 'stat', 'stmk', 'wchc', 'wchp', 'wchs'] as const),
]

const byNumber: ReadonlyMap<number, FourLetterWord> = new Map(words.map(word => [numberOf(word), word]))

/** What telnet sends on interrupt: closed without an answer. */
export const telnetInterrupt: number = 0xfff4fffd | 0

/** `stmk` is followed by a trace mask. */
export const stmkArgumentBytes = 8

/** The four bytes as a signed 32-bit number, as they are read for a length. */
function numberOf(word: string): number {
  return [...word].reduce((number, letter) => (number << 8) | letter.charCodeAt(0), 0)
}

/** @param number - the first four bytes of a connection */
export function fourLetterWord(number: number): FourLetterWord | undefined {
  return byNumber.get(number)
}
