/**
 * The counter of sequential names stops at 2147483647 in the tree, and not among outstanding writes, as in the Java
 * server. What the tree will be, its digest says: a restart compares.
 */
import { CreateFlags, type CreateRequest, type MultiOp, OpCode, openAcl } from '@corral/protocol'
import { expect, test } from 'vitest'
import { CrashDisk } from './crash-disk.ts'
import { LogRun } from './log-run.ts'
import { MemoryFiles } from './memory-files.ts'
import { OneServer, type Peer } from './one-server.ts'

const next: CreateRequest = {
  ...{ kind: 'create', op: OpCode.Create, path: '/p/s', data: null, acl: openAcl },
  flags: CreateFlags.PersistentSequential,
}

/** A server whose `/p` gives the number 2147483646 next. */
function aServer(): OneServer {
  const run = new LogRun(new CrashDisk(), { storage: { preAllocBytes: 0 }, seed: 1 }).untilIdle()
  for (const [path, parentCversion] of [
    ['/p', 1],
    ['/p/seed', 0x7fff_fffe],
  ] as const) {
    const how = { data: null, acl: openAcl, isEphemeral: false, parentCversion }
    run.append(() => ({ kind: 'create', type: OpCode.Create, path, ...how }))
  }
  run.untilIdle().stop()
  run.untilIdle()
  const files = new MemoryFiles()
  for (const [dir, names] of run.disk.image())
    for (const [name, bytes] of names) files.put(dir, name, bytes.slice())
  return new OneServer({}, files)
}

function answers(peer: Peer): string[] {
  return peer.inbox.splice(0).map(text => text.replace(/^reply \d+ zxid=\d+ /, ''))
}

function mustReplay({ files }: OneServer): void {
  const again = new OneServer({}, files)

  expect(again.server.inspect().isServing).toBe(true)
  expect(again.server.inspect().storage().digestMismatches).toBe(0)
}

test('creates that are outstanding together go on below zero; the next alone finds its name taken', () => {
  const server = aServer()
  const client = server.client(1)
  for (const xid of [1, 2, 3, 4]) server.request(client, xid, next)
  server.disk()

  expect(answers(client)).toEqual([
    'ok /p/s2147483646',
    'ok /p/s2147483647',
    'ok /p/s-2147483648',
    'ok /p/s-2147483647',
  ])
  server.request(client, 5, next)
  server.disk()
  expect(answers(client)).toEqual(['NodeExists'])
  mustReplay(server)
})

test('so do those of a multi; one that fails has counted nothing', () => {
  const server = aServer()
  const client = server.client(1)
  const multi = (xid: number, ...ops: readonly MultiOp[]): void =>
    server.request(client, xid, { kind: 'multi', ops })
  multi(1, next, next, next, { kind: 'check', path: '/none', version: -1 })
  multi(2, next, next, next)
  server.disk()
  server.request(client, 3, { kind: 'getChildren2', path: '/p', watch: false })

  expect(answers(client)).toEqual([
    'ok Ok Ok Ok NoNode',
    'ok created created created',
    'ok [s-2147483648, s2147483646, s2147483647, seed]',
  ])
  mustReplay(server)
})
