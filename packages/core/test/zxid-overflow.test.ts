/**
 * Zxids at the edges of their words. What comes after the last zxid of an epoch is the first of the next one, as in the
 * Java server when it stands alone.
 */
import { fromWords, hexOf, OpCode, openAcl, type SessionId, type Zxid, zxid } from '@corral/protocol'
import { expect, test } from 'vitest'
import { SnapshotWriter } from '../src/log/snapshot-writer.ts'
import { MemoryFiles } from './memory-files.ts'
import { OneServer, type Peer } from './one-server.ts'
import { apply, aTree, create } from './tree-kit.ts'

/** The files of a server that has come that far. */
function usedFiles(lastSnapshot: Zxid): MemoryFiles {
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
  files.put('data', `snapshot.${hexOf(lastSnapshot)}`, writer.take().slice())
  return files
}

const made = ['/b', '/c', '/d']

function make(one: OneServer, peer: Peer): void {
  for (const [i, path] of made.entries()) {
    one.request(peer, i, { kind: 'create', op: OpCode.Create, path, data: null, acl: openAcl, flags: 0 })
  }
  one.disk()
}

test('zxids go on in the next epoch, and so does recovery', () => {
  const files = usedFiles(zxid(0xffff_fffdn))
  const first = new OneServer({}, files)
  const peer = first.client(1)
  make(first, peer)
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

test('watches are set again for all but what is newer than the zxid seen last, on either side of 2^31', () => {
  const one = new OneServer({}, usedFiles(zxid(0x7fff_fffdn)))
  const peer = one.client(1)
  make(one, peer)
  expect(peer.inbox.splice(0)[1]).toBe('reply 1 zxid=2147483648 ok /c')

  one.request(peer, 3, {
    kind: 'setWatches',
    relativeZxid: zxid(0x8000_0000n),
    data: made,
    exist: [],
    child: made,
  })

  expect(peer.inbox).toEqual([
    'event NodeDataChanged /d zxid=-1',
    'event NodeChildrenChanged /d zxid=-1',
    'reply 3 zxid=2147483649 ok',
  ])
})
