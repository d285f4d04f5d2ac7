/** What comes after the last zxid of an epoch: the first of the next one, as in the Java server when it stands alone. */
import { fromWords, OpCode, openAcl, type SessionId, zxid } from '@corral/protocol'
import { expect, test } from 'vitest'
import { SnapshotWriter } from '../src/log/snapshot-writer.ts'
import { MemoryFiles } from './memory-files.ts'
import { OneServer } from './one-server.ts'
import { apply, aTree, create } from './tree-kit.ts'

const lastSnapshot = zxid(0xffff_fffdn)

/** The files of a server that has come that far. */
function usedFiles(): MemoryFiles {
  const tree = aTree()
  apply(tree, create('/a'), { zxid: lastSnapshot })
  const writer = new SnapshotWriter()
  writer.begin(0, 0n as SessionId)
  const walk = tree.openWalk()
  walk.aclsInto(writer.out, 100, 100_000)
  walk.nextInto(writer.out, 100, 100_000)
  walk.close()
  const treeDigest = fromWords(tree.digestHigh, tree.digestLow)
  writer.end({ zxid: lastSnapshot, treeDigest, hasLastZxid: true })
  const files = new MemoryFiles()
  files.put('data', 'snapshot.fffffffd', writer.take().slice())
  return files
}

test('zxids go on in the next epoch, and so does recovery', () => {
  const files = usedFiles()
  const first = new OneServer({}, files)
  const peer = first.client(1)
  for (const [i, path] of ['/b', '/c', '/d'].entries()) {
    first.request(peer, i, { kind: 'create', op: OpCode.Create, path, data: null, acl: openAcl, flags: 0 })
  }
  first.disk()
  const second = new OneServer({}, files)

  expect(peer.inbox).toEqual([
    'reply 0 zxid=4294967295 ok /b',
    'reply 1 zxid=4294967296 ok /c',
    'reply 2 zxid=4294967297 ok /d',
  ])
  const { server, ended } = second
  expect(ended).toBeUndefined()
  expect(server.inspect().lastZxid()).toBe(0x1_0000_0001n)
  expect([server.inspect().znodeCount(), server.inspect().storage().digestMismatches]).toEqual([8, 0])
})
