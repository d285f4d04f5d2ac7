import { createHash } from 'node:crypto'
import { type Acl, encodeUtf8, OpCode, openAcl, Perm } from '@corral/protocol'
import { expect, test } from 'vitest'
import { OneServer } from './one-server.ts'

const bob = `bob:${createHash('sha1').update('bob:pw').digest('base64')}`
const forBob: readonly Acl[] = [{ perms: Perm.Read, scheme: 'digest', id: bob }]

test('who may read when an event happens gets it, though the answer that says who that is has to wait', () => {
  const server = new OneServer()
  const [watcher, writer] = [server.client(1), server.client(2)]
  const create = { kind: 'create', op: OpCode.Create, data: null, flags: 0 } as const
  server.request(watcher, 1, { kind: 'exists', path: '/secret', watch: true })

  server.request(writer, 1, { ...create, path: '/secret', acl: forBob })
  server.request(watcher, 2, { ...create, path: '/own', acl: openAcl })
  server.request(watcher, -4, { kind: 'auth', scheme: 'digest', auth: encodeUtf8('bob:pw') })
  server.disk()

  expect(watcher.inbox.map(told => told.replace(/ zxid=\d+/, ''))).toEqual([
    'reply 1 NoNode',
    'event NodeCreated /secret',
    'reply 2 ok /own',
    'reply -4 ok',
  ])
})
