import { ErrorCode, Xid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { connectedRun, getA, noBody, replyFrame } from '../test/machine-run.ts'

describe('authentication', () => {
  test('is repeated on each connection; its call is settled once', () => {
    const run = connectedRun()
    const call = run.nextCall()
    run.step({ kind: 'auth', call, scheme: 'digest', auth: new Uint8Array([1]) })
    run.received(replyFrame(Xid.Auth, 0))
    expect(run.outcomes()).toEqual([[call, ErrorCode.Ok]])

    run.reconnected()
    expect(run.sent().map(({ xid }) => xid)).toEqual([Xid.Auth])
    run.take()
    run.received(replyFrame(Xid.Auth, 0))

    expect(run.outcomes()).toEqual([])
  })

  test('that was repeated by the caller is not on the next connection', () => {
    const run = connectedRun()
    const add = (...auth: number[]) => {
      run.step({ kind: 'auth', call: run.nextCall(), scheme: 'digest', auth: new Uint8Array(auth) })
      run.received(replyFrame(Xid.Auth, 0))
    }
    for (let i = 0; i < 10; i++) add(1, 2)
    add(1, 3)
    add(1)
    expect(run.outcomes().length).toBe(12)

    run.reconnected()

    expect(run.sent().map(({ xid }) => xid)).toEqual([Xid.Auth, Xid.Auth, Xid.Auth])
  })

  test('that was not answered is settled by the answer on the next connection', () => {
    const run = connectedRun()
    const call = run.nextCall()
    run.step({ kind: 'auth', call, scheme: 'digest', auth: null })

    run.reconnected()
    expect(run.outcomes()).toEqual([])
    run.received(replyFrame(Xid.Auth, 0))

    expect(run.outcomes()).toEqual([[call, ErrorCode.Ok]])
  })

  test('that is refused ends the session', () => {
    const run = connectedRun()
    const auth = run.nextCall()
    run.step({ kind: 'auth', call: auth, scheme: 'nope', auth: null })
    const call = run.call(getA)

    run.received(replyFrame(Xid.Auth, 0, noBody, ErrorCode.AuthFailed))

    expect(run.of('state').map(effect => effect.state)).toEqual(['authFailed'])
    expect(run.outcomes()).toEqual([
      [call, ErrorCode.AuthFailed],
      [auth, ErrorCode.AuthFailed],
    ])
    const late = run.call(getA)
    expect(run.outcomes().at(-1)).toEqual([late, ErrorCode.AuthFailed])
  })
})
