import { OpCode, WatcherType, Writer } from '@corral/protocol'
import { expect, test } from 'vitest'
import { OneServer } from './one-server.ts'

test.each([OpCode.CheckWatches, OpCode.RemoveWatches])(
  'op %i finds no watch on a null path, and for no type of watch it cannot be read',
  op => {
    const server = new OneServer()
    const client = server.client(1)

    for (const [xid, type] of [WatcherType.Any, 0].entries()) {
      const w = new Writer()
      const start = w.beginFrame()
      for (const field of [xid, op, -1, type]) w.int32(field)
      w.endFrame(start)
      server.receive(client, w.written())
    }

    expect(client.inbox.map(told => told.replace(/ zxid=\d+/, ''))).toEqual([
      'reply 0 NoWatcher',
      'reply 1 MarshallingError',
    ])
  },
)
