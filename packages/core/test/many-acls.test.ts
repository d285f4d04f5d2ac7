/** What happens when the table of ACLs is full. Nobody has the time to fill it: here it holds a few. */
import { type Acl, OpCode, openAcl, type Request } from '@corral/protocol'
import { afterEach, expect, test, vi } from 'vitest'
import { seededRandom } from '../src/random.ts'
import { AclTable, mostAcls } from '../src/tree/acl-table.ts'
import { CrashDisk } from './crash-disk.ts'
import { LogRun } from './log-run.ts'
import { OneServer } from './one-server.ts'

const aclOf = (ip: string): readonly Acl[] => [...openAcl, { perms: 1, scheme: 'ip', id: ip }]
const first = aclOf('1.1.1.1')
const second = aclOf('2.2.2.2')
const third = aclOf('3.3.3.3')

afterEach(() => void vi.restoreAllMocks())

/** @param lists - that of /zookeeper/config is one of them */
function limitTo(lists: number): void {
  vi.spyOn(AclTable.prototype, 'room').mockImplementation(function (this: AclTable) {
    return lists - this.count
  })
}

test('a write with yet another ACL is refused, and everything else goes on', () => {
  const server = new OneServer()
  const client = server.client(1)
  let xid = 0
  const answerTo = (request: Request): string => {
    server.request(client, ++xid, request)
    server.disk()
    return (client.inbox.shift() ?? '').replace(/^reply \d+ zxid=\d+ /, '').replace(/ version.*/, '')
  }
  const create = (path: string, acl: readonly Acl[]): string =>
    answerTo({ kind: 'create', op: OpCode.Create, path, data: null, acl, flags: 0 })
  const setAcl = (path: string, acl: readonly Acl[]): string =>
    answerTo({ kind: 'setAcl', path, acl, version: -1 })
  const keptForWritesUnderWay = 2 ** 24 - 1 - mostAcls
  limitTo(keptForWritesUnderWay + 3)

  expect([create('/a', first), create('/b', second)]).toEqual(['ok /a', 'ok /b'])
  expect([create('/c', third), setAcl('/a', third)]).toEqual(['QuotaExceeded', 'QuotaExceeded'])
  expect(server.said.filter(what => what === 'Quota exceeded').length).toBe(2)
  expect([create('/c', first), setAcl('/b', first)]).toEqual(['ok /c', 'ok'])

  for (const path of ['/d', '/e', '/f']) create(path, first) // until nobody remembers the second
  expect(create('/g', third)).toBe('ok /g')
})

function started(disk: CrashDisk): LogRun {
  return new LogRun(disk, { storage: { preAllocBytes: 0 }, seed: 1 }).untilIdle()
}

/** Of a run that died with three ACLs in its log, and one in its snapshot. */
function killed(): CrashDisk {
  const run = started(new CrashDisk())
  const how = { data: null, isEphemeral: false, parentCversion: -1 }
  for (const acl of [first, second, third])
    run.append(id => ({ kind: 'create', type: OpCode.Create, path: `/n${id}`, acl, ...how }))
  return run.untilIdle().disk.crash({ kind: 'kill', random: seededRandom(1) })
}

test('a log that needs too many is refused, named with the place, and left as it is', () => {
  const disk = killed()
  const log = disk.bytesOf('log', 'log.1')
  const view = new DataView(log.buffer, log.byteOffset)
  let at = 16
  for (let i = 0; i < 2; i++) at += 12 + view.getInt32(at + 8) + 1
  limitTo(3)

  const next = started(disk)

  expect(next.fatal).toMatchObject({
    exitCode: 10,
    reason: expect.stringMatching(new RegExp(`^log\\.1 .* at byte ${at} .* different ACLs`)),
  })
  expect(next.disk.bytesOf('log', 'log.1')).toEqual(log)
})

test('a snapshot that has too many cannot be used', () => {
  const disk = killed()
  limitTo(1)

  expect(started(disk).fatal).toMatchObject({
    exitCode: 10,
    reason: expect.stringMatching(/snapshot\.0 has too many different ACLs \(ACLs, byte \d+\)/),
  })
})
