/**
 * Memory for names, data and keys outside the garbage-collected heap.
 *
 * A reference is a 32-bit number: segment(7) | offset in 8-byte units(25); 0 is none. Segments hold 256 MiB each and
 * are made when needed; the first begins small and is moved a few times while it is cheap to move. No block straddles
 * two segments. Whoever allocates must not keep a `Space` of this arena across the call.
 *
 * Blocks of up to 32 KiB are cut from spans: runs of 8 KiB pages that hold one size class each. A span whose last
 * block is released gives its pages back, so memory freed by one size serves any other. Larger blocks are page runs
 * of their own. Neighbouring free runs are joined.
 *
 *   page table, per page:  owner | class | pages | used | free head | bump | next | previous
 *
 * `owner` is the first page of the run that a page belongs to (kept for every page of a span, but only for the first
 * and the last of a free run); the other words are kept at that first page.
 */
import { assert, makeSpace, type Space } from '@corral/protocol'
import { grown } from '../lists.ts'

const pageBytes = 8192
const pageUnits = pageBytes / 8
const segmentPages = 0x8000
const segmentUnitBits = 25
const segmentUnitMask = (1 << segmentUnitBits) - 1
const maxSegments = 128

/** Pages of the first segment: each step copies at most the step before. */
const firstSegmentSteps: readonly number[] = [32, 128, segmentPages]

const wordsPerPage = 8
const owner = 0
const sizeClass = 1
const pages = 2
const used = 3
const freeHead = 4
const bump = 5
const next = 6
const previous = 7

/** In place of a size class. */
const freeRun = -1
const ownRun = -2

const exactClassBytes = 1024
const largestClassBytes = 32768
const exactClasses = exactClassBytes / 8
const classCount = exactClasses + 5 * 8

/** Free runs of up to so many pages have a list for each length, longer ones share the last list. */
const exactRuns = 64

const classBytes: Int32Array = Int32Array.from({ length: classCount }, (_, c) => {
  if (c < exactClasses) return 8 * (c + 1)
  const octave = (c - exactClasses) >> 3
  return (exactClassBytes + (exactClassBytes / 8) * (((c - exactClasses) & 7) + 1)) << octave
})

/** Eight-byte steps up to 1 KiB, then eight steps to each doubling. */
function classOf(length: number): number {
  if (length <= exactClassBytes) return length <= 8 ? 0 : (length - 1) >>> 3
  const octave = 31 - Math.clz32(length - 1)
  return exactClasses + (octave - 10) * 8 + ((length - 1) >>> (octave - 3)) - 8
}

function pagesFor(length: number): number {
  return Math.ceil(length / pageBytes)
}

/** A span has room for at least eight blocks. */
function spanPages(c: number): number {
  return Math.max(1, Math.ceil((classBytes[c] as number) / (pageBytes / 8)))
}

export class Arena {
  readonly #segments: Space[] = []
  #pages = new Int32Array(0)
  /** Pages that exist: all segments but the last are complete. */
  #pageCount = 0
  /** Pages from here on were never used. Page 0 is never given out, so that no reference is 0. */
  #freshFrom = 1
  /** First span with room, per class. */
  readonly #open = new Int32Array(classCount)
  /** First free run, per length in pages. */
  readonly #free = new Int32Array(exactRuns + 1)
  #usedBytes = 0

  /** Bytes of the blocks given out, rounded up to their size classes. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Bytes of address space taken, page table included; pages never touched cost no memory. */
  get reservedBytes(): number {
    return this.#pageCount * pageBytes + this.#pages.byteLength
  }

  /** The segment that holds a block. */
  space(ref: number): Space {
    return this.#segments[ref >>> segmentUnitBits] as Space
  }

  /** Offset of a block in its segment, in bytes. */
  offset(ref: number): number {
    return (ref & segmentUnitMask) << 3
  }

  /** Whether a block made for one length also serves the other. */
  isSameBlock(length: number, otherLength: number): boolean {
    if (length > largestClassBytes || otherLength > largestClassBytes) {
      return (
        length > largestClassBytes &&
        otherLength > largestClassBytes &&
        pagesFor(length) === pagesFor(otherLength)
      )
    }
    return classOf(length) === classOf(otherLength)
  }

  /** @returns a block of at least `length` bytes, 8-byte aligned, with undefined contents */
  allocate(length: number): number {
    if (length > largestClassBytes) return this.#allocateOwnRun(length)
    const c = classOf(length)
    let span = this.#open[c] as number
    if (span === 0) span = this.#openSpan(c)
    const table = this.#pages
    const at = span * wordsPerPage
    const size = classBytes[c] as number
    let ref = table[at + freeHead] as number
    if (ref !== 0) {
      table[at + freeHead] = this.space(ref).view.getInt32(this.offset(ref))
    } else {
      ref = (span * pageUnits + (table[at + bump] as number)) | 0
      table[at + bump] = (table[at + bump] as number) + (size >>> 3)
    }
    const usedNow = (table[at + used] as number) + 1
    table[at + used] = usedNow
    if (usedNow === capacityOf(table, at, size)) this.#unlinkSpan(c, span)
    this.#usedBytes += size
    return ref
  }

  /** @param length - for which it was allocated, or another one of the same block */
  release(ref: number, length: number): void {
    const table = this.#pages
    const span = table[(ref >>> 10) * wordsPerPage + owner] as number
    const at = span * wordsPerPage
    const c = table[at + sizeClass] as number
    if (c === ownRun) {
      this.#usedBytes -= (table[at + pages] as number) * pageBytes
      return this.#releaseRun(span, table[at + pages] as number)
    }
    assert(c === classOf(length), 'a block is released with the length it was allocated for')
    const size = classBytes[c] as number
    this.#usedBytes -= size
    const usedBefore = table[at + used] as number
    this.space(ref).view.setInt32(this.offset(ref), table[at + freeHead] as number)
    table[at + freeHead] = ref
    table[at + used] = usedBefore - 1
    if (usedBefore === capacityOf(table, at, size)) this.#linkSpan(c, span)
    if (usedBefore === 1) this.#closeSpan(c, span)
  }

  #openSpan(c: number): number {
    const count = spanPages(c)
    const span = this.#takeRun(count)
    const table = this.#pages
    const at = span * wordsPerPage
    table[at + sizeClass] = c
    table[at + used] = 0
    table[at + freeHead] = 0
    table[at + bump] = 0
    for (let i = 0; i < count; i++) table[at + i * wordsPerPage + owner] = span
    this.#linkSpan(c, span)
    return span
  }

  /** The last open span of its class stays, or a znode that comes and goes would open it again each time. */
  #closeSpan(c: number, span: number): void {
    const at = span * wordsPerPage
    if (this.#open[c] === span && this.#pages[at + next] === 0) return
    this.#unlinkSpan(c, span)
    this.#releaseRun(span, this.#pages[at + pages] as number)
  }

  #linkSpan(c: number, span: number): void {
    this.#open[c] = this.#pushed(span, this.#open[c] as number)
  }

  #unlinkSpan(c: number, span: number): void {
    this.#unlink(this.#open, c, span)
  }

  #allocateOwnRun(length: number): number {
    const count = pagesFor(length)
    const run = this.#takeRun(count)
    const at = run * wordsPerPage
    this.#pages[at + sizeClass] = ownRun
    this.#pages[at + owner] = run
    this.#pages[at + (count - 1) * wordsPerPage + owner] = run
    this.#usedBytes += count * pageBytes
    return (run * pageUnits) | 0
  }

  /** @returns the first page of a run of exactly `count` pages, in no list; memory used before comes first */
  #takeRun(count: number): number {
    const run = this.#takeFreeRun(count) || this.#takeFreshRun(count)
    this.#pages[run * wordsPerPage + pages] = count
    return run
  }

  #takeFreeRun(count: number): number {
    for (let list = Math.min(count, exactRuns + 1) - 1; list <= exactRuns; list++) {
      let run = this.#free[list] as number
      for (; run !== 0; run = this.#pages[run * wordsPerPage + next] as number) {
        const length = this.#pages[run * wordsPerPage + pages] as number
        if (length < count) continue
        this.#unlink(this.#free, list, run)
        if (length > count) this.#addFreeRun(run + count, length - count)
        return run
      }
    }
    return 0
  }

  #takeFreshRun(count: number): number {
    while (this.#pageCount - this.#freshFrom < count) this.#grow(count)
    const run = this.#freshFrom
    this.#freshFrom += count
    return run
  }

  #releaseRun(first: number, count: number): void {
    const table = this.#pages
    let run = first
    let length = count
    if (run % segmentPages !== 0) {
      const before = table[(run - 1) * wordsPerPage + owner] as number
      if (table[before * wordsPerPage + sizeClass] === freeRun) {
        length += table[before * wordsPerPage + pages] as number
        this.#unlinkFreeRun(before)
        run = before
      }
    }
    const after = run + length
    if (after % segmentPages !== 0 && after < this.#freshFrom) {
      if (table[after * wordsPerPage + sizeClass] === freeRun) {
        length += table[after * wordsPerPage + pages] as number
        this.#unlinkFreeRun(after)
      }
    }
    this.#addFreeRun(run, length)
  }

  #addFreeRun(run: number, count: number): void {
    const at = run * wordsPerPage
    this.#pages[at + owner] = run
    this.#pages[at + (count - 1) * wordsPerPage + owner] = run
    this.#pages[at + sizeClass] = freeRun
    this.#pages[at + pages] = count
    const list = Math.min(count, exactRuns + 1) - 1
    this.#free[list] = this.#pushed(run, this.#free[list] as number)
  }

  #unlinkFreeRun(run: number): void {
    const count = this.#pages[run * wordsPerPage + pages] as number
    this.#unlink(this.#free, Math.min(count, exactRuns + 1) - 1, run)
    this.#pages[run * wordsPerPage + sizeClass] = 0
  }

  #pushed(run: number, head: number): number {
    this.#pages[run * wordsPerPage + next] = head
    this.#pages[run * wordsPerPage + previous] = 0
    if (head !== 0) this.#pages[head * wordsPerPage + previous] = run
    return run
  }

  #unlink(heads: Int32Array, list: number, run: number): void {
    const table = this.#pages
    const after = table[run * wordsPerPage + next] as number
    const before = table[run * wordsPerPage + previous] as number
    if (before === 0) heads[list] = after
    else table[before * wordsPerPage + next] = after
    if (after !== 0) table[after * wordsPerPage + previous] = before
  }

  /** Adds fresh pages, enough for a run of `count` after at most two calls. */
  #grow(count: number): void {
    assert(count < segmentPages, `a value of ${count * pageBytes} bytes fits into no segment`)
    if (this.#pageCount < segmentPages) {
      const wanted = this.#freshFrom + count
      return this.#resizeFirst(firstSegmentSteps.find(length => length >= wanted) ?? segmentPages)
    }
    assert(this.#segments.length < maxSegments, 'the tree has no room for more than 32 GiB')
    const end = this.#pageCount
    if (end > this.#freshFrom) this.#addFreeRun(this.#freshFrom, end - this.#freshFrom)
    this.#freshFrom = end
    this.#segments.push(makeSpace(segmentPages * pageBytes))
    this.#resizeTable(end + segmentPages)
  }

  #resizeFirst(count: number): void {
    const space = makeSpace(count * pageBytes)
    const before = this.#segments[0]
    if (before !== undefined) space.bytes.set(before.bytes)
    this.#segments[0] = space
    this.#resizeTable(count)
  }

  #resizeTable(count: number): void {
    this.#pageCount = count
    if (count * wordsPerPage > this.#pages.length) this.#pages = grown(this.#pages, count * wordsPerPage)
  }
}

function capacityOf(table: Int32Array, at: number, size: number): number {
  return Math.floor(((table[at + pages] as number) * pageBytes) / size)
}
