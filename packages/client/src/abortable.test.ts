import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { dataBody, someStat, statBody } from '../test/machine-run.ts'
import { aConnectedClient } from '../test/scripted-server.ts'

describe('aborting', () => {
  test('before the call sends nothing', async () => {
    const { client, server } = await aConnectedClient()

    await expect(client.getData('/x', { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no')

    expect(server.requests).toEqual([])
  })

  test('a sent call rejects at once, and the replies of others still find them', async () => {
    const { client, server } = await aConnectedClient()
    const abort = new AbortController()
    const first = client.getData('/x', { signal: abort.signal })
    const second = client.exists('/y')

    abort.abort(new Error('no'))
    await expect(first).rejects.toThrow('no')
    server.answer({ body: dataBody })
    server.answer({ body: statBody })

    expect(await second).toEqual(someStat)
  })

  test('costs a signal one listener, however many calls it may abort', async () => {
    const { client, server } = await aConnectedClient()
    const abort = new AbortController()
    const { signal } = abort
    const calls = Array.from({ length: 30 }, (_, i) => client.exists(`/${i}`, { signal }))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)

    server.answer({ body: statBody })
    await calls[0]
    abort.abort(new Error('no'))

    const ends = await Promise.allSettled(calls)
    expect(ends.filter(({ status }) => status === 'rejected')).toHaveLength(29)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('leaves no listener behind on a signal that never aborts', async () => {
    const { client, server } = await aConnectedClient()
    const { signal } = new AbortController()
    const call = client.getData('/x', { signal })
    server.answer({ body: dataBody })
    await call

    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('a settled call hears nothing of it', async () => {
    const { client, server } = await aConnectedClient()
    const abort = new AbortController()
    const call = client.getData('/x', { signal: abort.signal })
    server.answer({ body: dataBody })
    await call

    abort.abort()

    expect((await call).zxid).toBe(1n)
    expect(server.isClosed).toBe(false)
  })
})
