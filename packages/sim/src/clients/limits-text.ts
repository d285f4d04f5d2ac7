/** What clients write where the limits of a quota stand. */
import type { Random } from '@corral/core'
import { encodeUtf8 } from '@corral/protocol'
import { between, chance, pick } from '../chance.ts'

/** Small limits, so that they are met; often a text that no tool would write. */
export function limitsText(random: Random): Uint8Array | null {
  if (chance(random, 0.3)) return oddText(random)
  const count = between(random, 0, 4)
  const bytes = between(random, 0, 100)
  return pick(random, [
    encodeUtf8(`count=${count},bytes=${bytes}`),
    encodeUtf8(`count=-1,bytes=-1=;countHardLimit=${count}`),
    encodeUtf8(`count=-1,bytes=-1=;byteHardLimit=${bytes}`),
    encodeUtf8(`count=${count},bytes=-1=;byteHardLimit=${bytes};countHardLimit=${count}`),
  ])
}

function oddText(random: Random): Uint8Array | null {
  return pick(random, [
    encodeUtf8('count=x,bytes=99999999999999999999=;countHardLimit=;byteHardLimit=-'),
    encodeUtf8(',,;;==\u0000'),
    new Uint8Array(0),
    null,
  ])
}
