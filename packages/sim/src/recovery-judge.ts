/**
 * What a start may make of a disk that did not keep its word: one that lied about syncs, wrote elsewhere, or rotted.
 * It must serve everything, or refuse and say where the damage is. It may serve less only where nobody could tell the
 * damage from what a crash leaves of a batch that was never acknowledged:
 *
 *   lost           a sync did nothing: what it covered may be gone
 *   missing        after a run without an orderly end, behind the mark of the newest log
 *   wrong          the same, and nothing whole behind it
 *
 * The disk knows the truth; the server sees none of this.
 */
import type { CommitLog, RecordPlace } from './commit-log.ts'
import type { SimDisk } from './disk.ts'
import type { Damage } from './disk-image.ts'
import type { DamagedFile } from './volume.ts'

/** The server's note of how its last run ended, and the header field that says how much of a log was durable. */
const noteName = 'corral.state'
const markAt = 8
const headerBytes = 16

interface LogAtRest {
  /** 0 if it cannot be read any more. */
  readonly mark: number
  readonly places: readonly Damage[]
  readonly isNameLost: boolean
}

export class RecoveryJudge {
  readonly #log: CommitLog
  readonly #damaged: readonly DamagedFile[]
  readonly #logs: ReadonlyMap<string, LogAtRest>
  readonly #snapshots: readonly string[]
  readonly #wasClean: boolean

  /** Looks at the disk as it lies between a crash and the next start. */
  constructor(disk: SimDisk, log: CommitLog) {
    this.#log = log
    this.#damaged = disk.volume.damagedFiles()
    this.#snapshots = disk.volume.names('data').filter(name => name.startsWith('snapshot.'))
    this.#wasClean = Buffer.from(disk.volume.content('logRoot', noteName) ?? [])
      .toString('latin1')
      .startsWith('clean')
    const logs = new Map<string, LogAtRest>()
    for (const name of disk.volume.names('log')) {
      const damage = this.#damaged.find(file => file.dir === 'log' && file.name === name)
      const places = damage?.places ?? []
      const isMarkKnown = !places.some(place => overlaps(place, { from: markAt, to: headerBytes }))
      const content = disk.volume.content('log', name) as Uint8Array
      const mark = isMarkKnown && content.length >= headerBytes ? markIn(content) : 0
      logs.set(name, { mark, places, isNameLost: damage?.isNameLost ?? false })
    }
    this.#logs = logs
  }

  get isDamaged(): boolean {
    return this.#damaged.length > 0
  }

  /** @returns what is wrong with refusing to start, and with saying it so */
  problemOfRefusal(reason: string): string | undefined {
    const isExact =
      /^log\.[0-9a-f]+ .* at byte \d+/s.test(reason) || /^no(ne of the| usable) snapshot/.test(reason)
    if (!isExact) return 'the refusal names no file and place'
    if (this.#damaged.some(({ dir }) => dir === 'log')) return undefined
    const isDamaged = (name: string): boolean => this.#damaged.some(file => file.name === name)
    const usable = this.#snapshots.find(name => !isDamaged(name) && this.#isCoveredFrom(zxidIn(name)))
    return usable === undefined ? undefined : `${usable} and all logs behind it are whole`
  }

  /** @returns what is wrong with serving what ends at `last`, where clients know of `told` */
  problemOfLoss(last: bigint, told: bigint): string | undefined {
    const first = last + 1n
    const place = this.#log.placeOf(first)
    if (place === undefined) return `zxid 0x${first.toString(16)} was never written`
    const log = this.#logs.get(place.name)
    if (log === undefined) {
      return this.#isLostByLies(place.name)
        ? undefined
        : `${place.name}, which held the first of them, was purged`
    }
    if (log.isNameLost) return undefined
    const hits = log.places.filter(damage => overlaps(damage, place))
    const where = `the first of them was at ${place.from} of ${place.name}`
    if (hits.length === 0) return `${where}, which is whole`
    if (hits.some(({ how }) => how === 'lost')) return undefined
    if (this.#wasClean) return `${where}, and the last run ended in order`
    if (place.from < log.mark) return `${where}, and the log is marked durable up to ${log.mark}`
    const isWholeBehind = this.#recordsBehind(first, told).some(
      behind =>
        behind.name !== place.name || (!hits.some(({ how }) => how === 'missing') && !this.#isHit(behind)),
    )
    return isWholeBehind ? `${where}, and whole records follow` : undefined
  }

  #recordsBehind(first: bigint, told: bigint): readonly RecordPlace[] {
    const places: RecordPlace[] = []
    for (let zxid = first + 1n; zxid <= told; zxid++) {
      const place = this.#log.placeOf(zxid)
      if (place !== undefined) places.push(place)
    }
    return places
  }

  #isHit(place: RecordPlace): boolean {
    return this.#logs.get(place.name)?.places.some(damage => overlaps(damage, place)) ?? true
  }

  /** A snapshot or a log that the device only pretended to keep: what was purged for it may be gone as well. */
  #isLostByLies(name: string): boolean {
    return this.#damaged.some(
      file =>
        (file.name === name || file.dir === 'data') &&
        (file.isNameLost || file.places.some(({ how }) => how === 'lost')),
    )
  }

  #isCoveredFrom(zxid: bigint): boolean {
    return [...this.#logs.keys()].some(name => name.startsWith('log.') && zxidIn(name) <= zxid + 1n)
  }
}

function overlaps(damage: Damage, { from, to }: { readonly from: number; readonly to: number }): boolean {
  return damage.at < to && damage.at + damage.lengthBytes > from
}

function markIn(log: Uint8Array): number {
  return Number(new DataView(log.buffer, log.byteOffset, log.length).getBigUint64(markAt))
}

/** Of `log.1f`, `snapshot.1f`, `snapshot.1f.gz`. */
export function zxidIn(name: string): bigint {
  return BigInt(`0x${name.split('.')[1]}`)
}
