import { decodeTxn, encodeUtf8, type MultiOp, OpCode, openAcl, txnType } from '@corral/protocol'
import { expect, test } from 'vitest'
import { OneServer } from './one-server.ts'

test('a create2 in a multi is logged as a create, and answered with its Stat', () => {
  const server = new OneServer()
  const client = server.client(1)
  const create = (op: typeof OpCode.Create | typeof OpCode.Create2, path: string): MultiOp => {
    return { kind: 'create', op, path, data: encodeUtf8('x'), acl: openAcl, flags: 0 }
  }
  const logged: number[] = []
  const ask = server.files.ask.bind(server.files)
  server.files.ask = (op, call) => {
    if (call.call === 'write' && call.sync) logged.push(...typesOf(call.pieces[0]))
    ask(op, call)
  }

  server.request(client, 1, {
    kind: 'multi',
    ops: [create(OpCode.Create2, '/a'), create(OpCode.Create, '/b'), create(OpCode.Create2, '/c')],
  })
  server.disk()

  expect(client.inbox).toEqual([expect.stringMatching(/^reply 1 .*ok created\+stat created created\+stat$/)])
  expect(logged).toEqual([OpCode.Create, OpCode.Create, OpCode.Create])
})

/** Of the ops of the multi that is the only record of a batch. */
function typesOf(batch: Uint8Array | undefined): readonly number[] {
  if (batch === undefined) return []
  const { body } = decodeTxn(batch, 12, batch.length - 1)
  return body.kind === 'multi' ? body.txns.map(txnType) : []
}
