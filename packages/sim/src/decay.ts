/** What becomes of files that nobody touches. */
import type { Dir, Random } from '@corral/core'
import { between, chance, pick } from './chance.ts'
import { sectorBytes } from './disk-image.ts'
import { dirs, type Volume } from './volume.ts'

export interface RottenPlace {
  readonly dir: Dir
  readonly name: string
  readonly at: number
  readonly lengthBytes: number
}

/** Bits flip, or sectors become zeros, in some file. @returns undefined if nothing is different now */
export function rot(volume: Volume, random: Random): RottenPlace | undefined {
  const files = dirs.flatMap(dir => volume.names(dir).map(name => ({ dir, name })))
  if (files.length === 0) return undefined
  const { dir, name } = pick(random, files)
  const content = volume.content(dir, name) as Uint8Array
  // Zeros that nothing was written over yet seldom matter.
  const used = chance(random, 0.1) ? content.length : content.findLastIndex(byte => byte !== 0) + 1
  if (used === 0) return undefined
  const spot = between(random, 0, used - 1)
  const unit = pick(random, [1, 1, 1, sectorBytes, 8 * sectorBytes])
  const at = spot - (spot % unit)
  const bytes =
    unit === 1
      ? Uint8Array.of((content[spot] as number) ^ (1 << between(random, 0, 7)))
      : new Uint8Array(unit)
  const rotten = bytes.subarray(0, Math.min(unit, content.length - at))
  if (rotten.every((byte, i) => byte === content[at + i])) return undefined
  const lengthBytes = rotten.length
  volume.spoil({ dir, name }, { how: unit === 1 ? 'wrong' : 'missing', at, lengthBytes }, rotten)
  return { dir, name, at, lengthBytes }
}
