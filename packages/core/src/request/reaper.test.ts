import { decodeUtf8, type TxnBody } from '@corral/protocol'
import { expect, test } from 'vitest'
import { apply, aTree } from '../../test/tree-kit.ts'
import type { DataTree } from '../tree/data-tree.ts'
import { mostCandidates, Reaper } from './reaper.ts'

const ttlMs = 100

/** Three TTL znodes that are over after 100 ms; the reaper looks each second, and may remove one each 100 ms. */
function aReaper(): {
  readonly tree: DataTree
  readonly reapedAt: (ms: number, wallMs?: number) => string[]
} {
  const tree = aTree()
  for (const [i, path] of ['/a', '/b', '/c'].entries()) change(tree, i + 1, ttlZnode(path), 0)
  const reaper = new Reaper({ checkIntervalMs: 1000, maxPerMinute: 600, maxNeverUsedIntervalMs: 0 }, tree)
  const reapedAt = (monotonicMs: number, wallMs = monotonicMs): string[] => {
    const reaped: string[] = []
    reaper.tick({ monotonicMs, wallMs }, path => reaped.push(decodeUtf8(path.bytes)))
    return reaped
  }
  reapedAt(0)
  return { tree, reapedAt }
}

function ttlZnode(path: string): TxnBody {
  return { kind: 'createTtl', path, data: null, acl: null, parentCversion: -1, ttlMs }
}

function change(tree: DataTree, zxid: number, body: TxnBody, timeMs: number): void {
  expect(apply(tree, body, { zxid: BigInt(zxid), timeMs })).toBe(0)
}

test('what is over is handed out at the rate that is set', () => {
  const { reapedAt } = aReaper()

  expect([950, 1000, 1100, 1200, 1300].map(ms => reapedAt(ms))).toEqual([[], ['/a'], ['/b'], ['/c'], []])
})

test('what was written, or made anew, while it waited its turn is not over', () => {
  const { tree, reapedAt } = aReaper()
  reapedAt(950)
  expect(reapedAt(1000)).toEqual(['/a'])
  change(tree, 4, { kind: 'setData', path: '/b', data: null, version: 1 }, 1050)
  change(tree, 5, { kind: 'delete', path: '/c' }, 1060)
  change(tree, 6, ttlZnode('/c'), 1060)

  expect([reapedAt(1100), reapedAt(1200), reapedAt(1300)]).toEqual([[], [], []])
})

test('nothing is over any more when the clock has gone back', () => {
  const { reapedAt } = aReaper()
  reapedAt(950)
  expect(reapedAt(1000)).toEqual(['/a'])

  expect([reapedAt(1100, 50), reapedAt(1200, 150)]).toEqual([[], []])
})

/** Each beat of 100 ms from `fromMs` to `toMs`; what is handed out is deleted. @returns how many that was, each time */
function counts(reaper: Reaper, tree: DataTree, fromMs: number, toMs: number): number[] {
  return Array.from({ length: (toMs - fromMs) / 100 + 1 }, (_, i) => {
    const ms = fromMs + 100 * i
    let count = 0
    reaper.tick({ monotonicMs: ms, wallMs: ms }, ({ bytes }) => {
      change(tree, 100_000 + ++count, { kind: 'delete', path: decodeUtf8(bytes) }, ms)
    })
    return count
  })
}

test('a check that falls due while some are left of the last one follows that', () => {
  const { tree } = aReaper()
  for (let i = 0; i < 9; i++) change(tree, 4 + i, ttlZnode(`/n${i}`), 0)
  const reaper = new Reaper({ checkIntervalMs: 1000, maxPerMinute: 600, maxNeverUsedIntervalMs: 0 }, tree)
  counts(reaper, tree, 0, 1900)
  change(tree, 13, ttlZnode('/later'), 1000)

  expect(counts(reaper, tree, 2000, 2300)).toEqual([1, 1, 0, 0])
})

test('where there are more than one check finds, the next is not waited for', () => {
  const tree = aTree()
  for (let i = 0; i < mostCandidates + 10; i++) change(tree, i + 1, ttlZnode(`/${i}`), 0)
  const reaper = new Reaper({ checkIntervalMs: 60_000, maxPerMinute: 1e9, maxNeverUsedIntervalMs: 0 }, tree)
  counts(reaper, tree, 0, 0)

  expect(counts(reaper, tree, 60_000, 60_200)).toEqual([mostCandidates, 10, 0])
})
