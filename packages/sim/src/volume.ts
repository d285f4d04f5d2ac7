/** All that lies on the simulated disk, and the truth about it. */
import type { Dir, Random } from '@corral/core'
import { assert } from '@corral/protocol'
import { chance } from './chance.ts'
import type { Damage } from './damage.ts'
import { Directory, type Inode } from './disk-image.ts'

export const dirs: readonly Dir[] = ['data', 'log', 'dataRoot', 'logRoot']

/** Files and names that are not what the server was promised. */
export interface DamagedFile {
  readonly dir: Dir
  readonly name: string
  readonly places: readonly Damage[]
  /** What a sync of the directory said of this name is not so. */
  readonly isNameLost: boolean
}

export class Volume {
  readonly directories: Readonly<Record<Dir, Directory>> = {
    data: new Directory(),
    log: new Directory(),
    dataRoot: new Directory(),
    logRoot: new Directory(),
  }

  /** Names as a running process sees them, sorted. */
  names(dir: Dir): readonly string[] {
    return [...this.directories[dir].current.keys()].sort()
  }

  /** The page-cache content of a file, a view until the next change. */
  content(dir: Dir, name: string): Uint8Array | undefined {
    const inode = this.directories[dir].current.get(name)
    return inode?.current.slice(0, inode.current.length)
  }

  inode(dir: Dir, name: string): Inode {
    const inode = this.directories[dir].current.get(name)
    assert(inode !== undefined, `there is a file ${dir}/${name}`)
    return inode
  }

  inodes(): readonly Inode[] {
    return dirs.flatMap(dir => [...this.directories[dir].current.values()])
  }

  /** Is this file, name and content, safe from a power loss, as far as syncs have said? */
  isPromised(dir: Dir, name: string): boolean {
    return this.directories[dir].isPromised(name)
  }

  /** What the server was promised and does not have, as of now. */
  damagedFiles(): readonly DamagedFile[] {
    const damaged: DamagedFile[] = []
    for (const dir of dirs) {
      const { current, lostNames } = this.directories[dir]
      for (const name of new Set([...current.keys(), ...lostNames])) {
        const places = current.get(name)?.damage ?? []
        const isNameLost = lostNames.has(name)
        if (places.length > 0 || isNameLost) damaged.push({ dir, name, places, isNameLost })
      }
    }
    return damaged
  }

  /** A file is gone for good, though nobody removed it. */
  destroy(dir: Dir, name: string): void {
    this.directories[dir].destroy(name)
  }

  /** Overwrites bytes where they lie, durably. */
  spoil(file: { readonly dir: Dir; readonly name: string }, damage: Damage, bytes: Uint8Array): void {
    this.inode(file.dir, file.name).spoil(damage, bytes)
  }

  /** @returns how many pending operations were taken back, wholly or partly */
  losePower(random: Random): number {
    return dirs.reduce((sum, dir) => sum + this.directories[dir].losePower(random), 0)
  }

  /** While nobody runs, some of what was cached is dropped. */
  evictSome(random: Random): void {
    for (const inode of this.inodes()) if (chance(random, 0.5)) inode.evict()
  }

  /** What is not cached will be read as it once was, with this probability. @returns how many files */
  fetchSomeOld(random: Random, probability: number): number {
    return this.inodes().filter(
      inode => !inode.isCached && chance(random, probability) && inode.fetchOld(random),
    ).length
  }

  /** Shares nothing that changes. */
  copy(): Volume {
    const twin = new Volume()
    const copies = new Map<Inode, Inode>()
    const copyOf = (inode: Inode): Inode => {
      const copy = copies.get(inode) ?? inode.copy()
      copies.set(inode, copy)
      return copy
    }
    for (const dir of dirs) this.directories[dir].copyInto(twin.directories[dir], copyOf)
    return twin
  }
}
