/** One connection's bytes as they leave the server: which zxids its client is told of. */
import { cutFrames, FrameTail, Reader, replyHeaderBytes } from '@corral/protocol'

export class Outgoing {
  readonly #tail: FrameTail = new FrameTail()
  /** The handshake went out; what follows has reply headers. */
  #isGreeted = false

  /** @returns the zxids in the headers of the frames that end here */
  zxidsIn(bytes: Uint8Array): readonly bigint[] {
    const zxids: bigint[] = []
    cutFrames(this.#tail, { bytes, from: 0, to: bytes.length }, 2 ** 30, (space, from, to) => {
      if (this.#isGreeted && to - from >= replyHeaderBytes) {
        const r = new Reader(space.bytes, from, to)
        r.skip(4)
        zxids.push(r.int64())
      }
      this.#isGreeted = true
      return true
    })
    return zxids
  }
}
