/**
 * The Adler-32 of any part of a piece of memory, in a time that does not depend on the part's length: for a search that
 * has to try a checksum at every offset, in bytes that a client may have chosen.
 *
 *     a = 1 + sum of d(i)        b = n + sum of (n - i) * d(i)        both modulo 65521, over the n bytes d
 */
const modulus = 65521

export class AdlerSums {
  #from = 0
  /** At k: the sum of d(i), and that of i * d(i), over the first k bytes. */
  #plain = new Uint16Array(0)
  #weighted = new Uint16Array(0)

  /** Parts of `from` … `to` can be asked for until the bytes change. */
  take(bytes: Uint8Array, from: number, to: number): void {
    const count = to - from
    if (count >= this.#plain.length) {
      this.#plain = new Uint16Array(count + 1)
      this.#weighted = new Uint16Array(count + 1)
    }
    this.#from = from
    let plain = 0
    let weighted = 0
    for (let i = 0; i < count; i++) {
      const byte = bytes[from + i] as number
      plain = (plain + byte) % modulus
      weighted = (weighted + (i % modulus) * byte) % modulus
      this.#plain[i + 1] = plain
      this.#weighted[i + 1] = weighted
    }
  }

  /** The checksum of `from` … `to`, unsigned. */
  of(from: number, to: number): number {
    const first = from - this.#from
    const end = to - this.#from
    const sum = (this.#plain[end] as number) - (this.#plain[first] as number) + modulus
    const weighted = (this.#weighted[end] as number) - (this.#weighted[first] as number) + modulus
    const a = (1 + sum) % modulus
    const b = (end - first + (end % modulus) * (sum % modulus) - weighted + modulus * 2) % modulus
    return b * 0x1_0000 + a
  }
}
