import { makeSpace } from '@corral/protocol'
import { expect, test } from 'vitest'
import { Backlog } from './backlog.ts'

test('what waits is kept, in order, and nothing else, though it is never empty', () => {
  const backlog = new Backlog()
  const frame = makeSpace(64)
  const idsOf = (request: number) => [{ scheme: 'digest', id: `u${request}:` }]
  const push = (request: number): void => {
    frame.view.setInt32(8, request)
    backlog.push(frame, 8, 24 + (request % 16), {
      newestWrite: request,
      nowMs: -request,
      ids: idsOf(request),
      isThrottled: request % 3 === 0,
    })
  }
  for (let request = 0; request < 100; request++) push(request)
  let most = 0
  for (let request = 100; request < 20_000; request++) {
    push(request)
    const oldest = request - 100
    expect(backlog.space.view.getInt32(backlog.from)).toBe(oldest)
    expect(backlog.to - backlog.from).toBe(16 + (oldest % 16))
    expect([backlog.arrivedMs, backlog.ids]).toEqual([-oldest, idsOf(oldest)])
    expect(backlog.isThrottled).toBe(oldest % 3 === 0)
    expect([backlog.isDue(oldest - 1), backlog.isDue(oldest)]).toEqual([false, true])
    backlog.drop()
    most = Math.max(most, backlog.space.bytes.length)
    expect(backlog.lengthBytes).toBeLessThan(101 * 32)
  }

  expect(most).toBeLessThanOrEqual(8192)
})
