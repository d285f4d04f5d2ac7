import { decodeUtf8, encodeUtf8, openAcl, sessionId, type TxnBody, zxid } from '@corral/protocol'
import { expect, test } from 'vitest'
import { quotaRule } from './quotas.ts'
import { ModelTree } from './znodes.ts'

const limits = '/zookeeper/quota/q/zookeeper_limits'
const stats = '/zookeeper/quota/q/zookeeper_stats'
const none = { count: 0, bytes: 0 }

class Hand {
  readonly tree: ModelTree = new ModelTree()
  #zxid = 0n

  apply(body: TxnBody): void {
    const header = { session: sessionId(1n), cxid: 1, zxid: zxid(++this.#zxid), timeMs: 0, type: 1 }
    this.tree.apply(header, body)
  }

  create(path: string, text: string): void {
    const common = { path, data: encodeUtf8(text), acl: openAcl, parentCversion: -1 }
    this.apply({ kind: 'create', type: 1, ...common, isEphemeral: false })
  }

  set(path: string, text: string): void {
    this.apply({ kind: 'setData', path, data: encodeUtf8(text), version: 1 })
  }

  usage(): string {
    const data = this.tree.find(stats)?.data ?? new Uint8Array(0)
    return decodeUtf8(data, 0, data.length)
  }
}

function aQuota(text: string): Hand {
  const hand = new Hand()
  hand.create('/q', '12345')
  hand.create('/zookeeper/quota/q', '')
  hand.create(limits, text)
  hand.create(stats, 'whatever the client says')
  return hand
}

test('usage is counted when its znode is made, and follows every change from there on', () => {
  const hand = aQuota('count=5,bytes=50')
  expect(hand.usage()).toBe('count=1,bytes=5')

  hand.create('/q/a', '123')
  hand.set('/q/a', '1')
  hand.create('/elsewhere', '123')
  expect(hand.usage()).toBe('count=2,bytes=6')

  hand.apply({ kind: 'delete', path: '/q/a' })
  expect(hand.usage()).toBe('count=1,bytes=5')
  expect(hand.tree.quotas.isExact(stats)).toBe(true)
})

test('hard limits refuse what goes over them, soft ones nothing', () => {
  const hard = quotaRule(
    aQuota('count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=2').tree.quotas.view,
    none,
  )
  const soft = quotaRule(aQuota('count=0,bytes=0').tree.quotas.view, none)

  expect(hard('/q/a', { count: 1, bytes: 5 })).toBe(false)
  expect(hard('/q/a', { count: 1, bytes: 6 })).toBe(true)
  expect(hard('/q/a', { count: 2, bytes: 0 })).toBe(true)
  expect(hard('/qq', { count: 9, bytes: 99 })).toBe(false)
  expect(soft('/q/a', { count: 9, bytes: 99 })).toBe(false)
})

test('what a client wrote over the usage is not relied upon', () => {
  const hand = aQuota('count=-1,bytes=-1=;countHardLimit=1')

  hand.set(stats, 'count=x')

  expect(hand.tree.quotas.isExact(stats)).toBe(false)
  expect(quotaRule(hand.tree.quotas.view, none)('/q/a', { count: 1, bytes: 0 })).toBe(true)
  expect(quotaRule(hand.tree.quotas.view, { count: 1, bytes: 0 })('/q/a', { count: 1, bytes: 0 })).toBe(false)
})

test('where the usage is not known, a small op of a multi may fit and a large one not', () => {
  const hand = aQuota('count=-1,bytes=-1=;byteHardLimit=10')
  hand.set(stats, 'bytes=x')
  const asked = new Set<number>()

  const rule = quotaRule(hand.tree.quotas.view, { count: 0, bytes: 3 }, asked)

  expect([3, 4].map(bytes => rule('/q/a', { count: 1, bytes }))).toEqual([false, true])
  expect([...asked]).toEqual([3, 4])
})
