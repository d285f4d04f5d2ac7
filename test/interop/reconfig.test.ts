/**
 * Reconfiguration of a server that stands alone: there is nothing to reconfigure, but the switch that allows it
 * changes what is answered. And `/zookeeper/config`, which clients read whether it is allowed or not.
 */
import {
  type Acl,
  anyVersion,
  ErrorCode,
  encodeUtf8,
  OpCode,
  openAcl,
  type Request,
  Xid,
  zxid,
} from '@corral/protocol'
import { expect, test } from 'vitest'
import { startCorral } from './corral-server.ts'
import { divergences } from './divergences.ts'
import { superDigest } from './interop-server.ts'
import { startJavaServer } from './java-server.ts'
import { LockStep } from './lock-step.ts'
import { describeDifference } from './report.ts'
import { describeWith, java, javaZooKeeper } from './software.ts'
import type { Sent, Step } from './steps.ts'

const config = '/zookeeper/config'
const member = 'server.1=127.0.0.1:2888:3888:participant;2181'

type Reconfig = Extract<Request, { kind: 'reconfig' }>

function reconfig(how: Partial<Reconfig> = {}): Reconfig {
  return {
    kind: 'reconfig',
    joiningServers: null,
    leavingServers: null,
    newMembers: null,
    configId: -1n,
    ...how,
  }
}

const reconfigs: readonly Reconfig[] = [
  reconfig(),
  reconfig({ leavingServers: '2' }),
  reconfig({ leavingServers: 'x' }),
  reconfig({ joiningServers: member }),
  reconfig({ joiningServers: 'server.1=nonsense' }),
  reconfig({ joiningServers: '', leavingServers: '', newMembers: '' }),
  reconfig({ newMembers: member }),
  reconfig({ newMembers: `${member}\nversion=1` }),
  reconfig({ newMembers: 'nonsense', configId: 0n }),
  reconfig({ leavingServers: '2', configId: 0x100000000n }),
  reconfig({ joiningServers: `server.9=h:1:1;2`, configId: -2n }),
]

const acl = (id: string): Acl[] => [{ perms: 31, scheme: 'world', id }]

const others: readonly Request[] = [
  { kind: 'exists', path: config, watch: true },
  { kind: 'getData', path: config, watch: true },
  { kind: 'getChildren2', path: config, watch: true },
  { kind: 'getChildren2', path: '/zookeeper', watch: false },
  { kind: 'getAcl', path: config },
  { kind: 'setData', path: config, data: encodeUtf8('x'), version: anyVersion },
  { kind: 'setData', path: config, data: encodeUtf8('x'), version: 0 },
  { kind: 'create', op: OpCode.Create, path: `${config}/x`, data: null, acl: openAcl, flags: 0 },
  { kind: 'delete', path: config, version: anyVersion },
  { kind: 'multi', ops: [{ kind: 'check', path: config, version: anyVersion }] },
  { kind: 'multi', ops: [{ kind: 'setData', path: config, data: null, version: anyVersion }] },
  { kind: 'setAcl', path: config, acl: acl('other'), version: anyVersion },
  { kind: 'setWatches', relativeZxid: zxid(-1n), data: [config], exist: [], child: [config] },
  { kind: 'getData', path: config, watch: false },
]

const cut: Sent = { request: reconfig({ leavingServers: '2' }), mutation: { kind: 'cut', keep: 0.7 } }

function sending(slot: number, ...sent: Sent[]): Step {
  return { do: 'send', slot, sent }
}

/** As anybody, then as the super user, one by one; then all at once. */
function script(): Step[] {
  const superUser: Request = { kind: 'auth', scheme: 'digest', auth: encodeUtf8('super:pw') }
  const opened: Request = { kind: 'setAcl', path: config, acl: openAcl, version: anyVersion }
  const all: Sent[] = [...reconfigs, ...others].map(request => ({ request }))
  const each = (slot: number): Step[] => [...all, cut].map(sent => sending(slot, sent))
  return [
    ...each(0),
    sending(1, { request: superUser, xid: Xid.Auth }),
    ...each(1),
    sending(0, ...reconfigs.map(request => ({ request }))),
    sending(1, { request: opened }),
    ...each(0),
  ]
}

describeWith([java, javaZooKeeper], 'reconfiguration of a server that stands alone', () => {
  test.each([
    { isReconfigEnabled: true, answer: ErrorCode.Unimplemented },
    { isReconfigEnabled: false, answer: ErrorCode.ReconfigDisabled },
  ])('reconfigEnabled=$isReconfigEnabled: both answer $answer', async ({ isReconfigEnabled, answer }) => {
    const options = { isReconfigEnabled, superDigest, maxSessionTimeoutMs: 600_000 }
    const [oracle, subject] = await Promise.all([startJavaServer(options), startCorral(options)])
    try {
      const outcome = await new LockStep(oracle, subject, { divergences, barrierEvery: 1 }).run(script())

      expect(outcome.difference && describeDifference(outcome.difference)).toBeUndefined()
      expect(Object.fromEntries(outcome.coverage)).toMatchObject({
        [`reconfig ${answer}`]: 4 * reconfigs.length,
        [`reconfig ${ErrorCode.MarshallingError}`]: 3,
        [`setData ${ErrorCode.NoAuth}`]: 2,
        'setData 0': 2,
        'getData 0': 6,
        'event 3': 4,
      })
    } finally {
      await Promise.all([oracle.stop(), subject.stop()])
    }
  })
})
