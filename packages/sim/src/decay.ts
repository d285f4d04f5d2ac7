/** What becomes of files behind the server's back. */
import type { Dir, Random } from '@corral/core'
import { between, chance, pick } from './chance.ts'
import type { Damage } from './damage.ts'
import { sectorBytes } from './disk-image.ts'
import { dirs, type Volume } from './volume.ts'

interface Place {
  readonly dir: Dir
  readonly name: string
}

export interface RottenPlace extends Place {
  readonly damage: Damage
}

/**
 * Bits flip, or sectors become zeros, in some file.
 *
 * @param where - platter: behind the caches. everywhere: nobody runs, and there are none
 * @returns undefined if nothing is different now
 */
export function rot(
  volume: Volume,
  where: 'platter' | 'everywhere',
  random: Random,
): RottenPlace | undefined {
  const places = allFiles(volume)
  if (places.length === 0) return undefined
  const place = pick(random, places)
  const inode = volume.inode(place.dir, place.name)
  const content = where === 'platter' ? inode.durable : inode.current
  const held = content.slice(0, content.length)
  // Zeros that nothing was written over yet seldom matter.
  const used = chance(random, 0.1) ? held.length : held.findLastIndex(byte => byte !== 0) + 1
  if (used === 0) return undefined
  const spot = between(random, 0, used - 1)
  const unit = pick(random, [1, 1, 1, sectorBytes, 8 * sectorBytes])
  const at = spot - (spot % unit)
  const bytes =
    unit === 1
      ? Uint8Array.of((held[spot] as number) ^ (1 << between(random, 0, 7)))
      : new Uint8Array(Math.min(unit, held.length - at))
  if (bytes.every((byte, i) => byte === held[at + i])) return undefined
  const damage: Damage = { how: unit === 1 ? 'wrong' : 'missing', at, lengthBytes: bytes.length }
  if (where === 'platter') inode.rot(damage, bytes)
  else inode.spoil(damage, bytes)
  return { ...place, damage }
}

/** A file is gone, or a directory with all that is in it, or everything. @returns what is gone */
export function lose(volume: Volume, random: Random): readonly string[] {
  const places = allFiles(volume)
  if (places.length === 0) return []
  const one = pick(random, places)
  const gone = pick<readonly Place[]>(random, [
    [one],
    [one],
    [one],
    [one],
    [one],
    places.filter(({ dir }) => dir === 'data'),
    places.filter(({ dir }) => dir === 'log'),
    places,
  ])
  for (const { dir, name } of gone) volume.destroy(dir, name)
  return gone.map(({ name }) => name)
}

function allFiles(volume: Volume): readonly Place[] {
  return dirs.flatMap(dir => volume.names(dir).map(name => ({ dir, name })))
}
