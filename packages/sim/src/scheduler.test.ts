import { expect, test } from 'vitest'
import { LivelockError, Scheduler } from './scheduler.ts'
import { Trace } from './trace.ts'

function runAll(scheduler: Scheduler): void {
  while (scheduler.step(Number.MAX_SAFE_INTEGER));
}

test('events run in the order of their times, and at one time in the order they were asked for', () => {
  const scheduler = new Scheduler(new Trace())
  const seen: string[] = []

  for (const [delay, name] of [
    [5, 'e'],
    [1, 'a'],
    [3, 'c'],
    [1, 'b'],
    [3, 'd'],
  ] as const)
    scheduler.after(delay, name, () => seen.push(`${name}@${scheduler.nowMs}`))
  runAll(scheduler)

  expect(seen).toEqual(['a@1', 'b@1', 'c@3', 'd@3', 'e@5'])
})

test('a thousand events with random times come out sorted', () => {
  const scheduler = new Scheduler(new Trace())
  const times: number[] = []

  for (let i = 0; i < 1000; i++) scheduler.after((i * 7919) % 1009, 'x', () => times.push(scheduler.nowMs))
  runAll(scheduler)

  expect(times).toEqual([...times].sort((a, b) => a - b))
  expect(times.length).toBe(1000)
})

test('a cancelled appointment is not kept', () => {
  const scheduler = new Scheduler(new Trace())
  const seen: string[] = []
  const first = scheduler.after(1, 'first', () => seen.push('first'))
  scheduler.after(2, 'second', () => seen.push('second'))

  first.isCancelled = true
  runAll(scheduler)

  expect(seen).toEqual(['second'])
})

test('nothing later than the bound is run, and the clock stands there', () => {
  const scheduler = new Scheduler(new Trace())
  scheduler.after(10, 'late', () => undefined)

  expect(scheduler.step(4)).toBe(false)
  expect(scheduler.nowMs).toBe(4)
  expect(scheduler.step(10)).toBe(true)
})

test('what feeds itself without time passing is a livelock', () => {
  const scheduler = new Scheduler(new Trace())
  const again = (): void => {
    scheduler.after(0, 'again', again)
  }
  again()

  expect(() => runAll(scheduler)).toThrow(LivelockError)
})

test('the trace hash tells orders, times and bytes apart', () => {
  const hash = (fill: (trace: Trace) => void): string => {
    const trace = new Trace()
    fill(trace)
    return trace.digest()
  }

  const hashes = [
    hash(() => undefined),
    hash(trace => trace.number(1)),
    hash(trace => trace.number(1.0005)),
    hash(trace => trace.number(2 ** 40)),
    hash(trace => trace.text('ab')),
    hash(trace => trace.text('ba')),
    hash(trace => trace.bytes(Uint8Array.of(1, 2, 3, 4, 5))),
    hash(trace => trace.bytes(Uint8Array.of(1, 2, 3, 4, 6))),
    hash(trace => trace.bytes(Uint8Array.of(1, 2, 3, 4))),
  ]

  expect(new Set(hashes).size).toBe(hashes.length)
  expect(hash(trace => trace.text('ab'))).toBe(hashes[4])
})

test('the trace remembers its last events only', () => {
  const trace = new Trace()

  for (let i = 0; i < 1200; i++) trace.event(() => `event ${i}`)

  expect(trace.last().slice(-2)).toEqual(['event 1198', 'event 1199'])
  expect(trace.last().length).toBe(500)
  expect(trace.last()[0]).toBe('event 700')
})
