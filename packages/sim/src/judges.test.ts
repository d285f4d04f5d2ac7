/** The judges beside the checkers of histories: each is shown what it must not accept. */
import { Server } from '@corral/core'
import { encodeUtf8 } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { Bench, damage } from '../test/bench.ts'
import { Auditor, compareWithModel } from './clients/auditor.ts'
import { create } from './clients/generator.ts'
import type { Machine, MakeMachine } from './driver.ts'
import { ModelTree } from './model/znodes.ts'
import { type RunResult, simulate } from './run.ts'

describe('a server that breaks down as a whole is found', () => {
  function rulesOf({ violations }: RunResult): readonly string[] {
    return violations.map(({ rule }) => rule)
  }

  /** A server of which one method is another. */
  function machine(
    step: (server: Server, ...given: Parameters<Machine['step']>) => ReturnType<Machine['step']>,
  ) {
    const make: MakeMachine = given => {
      const server = new Server(given)
      return { inspect: () => server.inspect(), step: (now, event) => step(server, now, event) }
    }
    return make
  }

  test('throw: it throws', async () => {
    let steps = 0
    const throwing = machine((server, now, event) => {
      if (++steps === 100) throw new Error('broken')
      return server.step(now, event)
    })

    expect(rulesOf(await simulate({ seed: 1, operations: 50, faults: [] }, throwing))).toEqual(['throw'])
  })

  test('V2: it does not start', async () => {
    const refusing = machine(() => [{ kind: 'fatal', exitCode: 10, reason: 'it will not' }])

    expect(rulesOf(await simulate({ seed: 1, operations: 50, faults: [] }, refusing))).toEqual(['V2'])
  })

  test('V1: it leaves clients without an answer', async () => {
    let received = 0
    const silent = machine((server, now, event) =>
      event.kind === 'received' && ++received > 40 ? [] : server.step(now, event),
    )

    expect(rulesOf(await simulate({ seed: 1, operations: 100, faults: [] }, silent))).toContain('V1')
  })

  test('stop: it does not end when it is told to', async () => {
    const deaf = machine((server, now, event) => (event.kind === 'stop' ? [] : server.step(now, event)))
    const rules = new Set<string>()
    for (let seed = 1; seed <= 10; seed++) {
      for (const rule of rulesOf(await simulate({ seed, operations: 20, faults: [] }, deaf))) rules.add(rule)
    }

    expect([...rules]).toEqual(['stop'])
  })
})

/** A server with one znode, and what it wrote. */
function aBench(): Bench {
  const bench = new Bench()
  bench.connect([create('/n', encodeUtf8('x'))])
  bench.runFor(500)
  return bench
}

describe('what was promised', () => {
  test('L1: nobody is told of what is not durable', () => {
    const { server } = aBench()
    expect(server.violations).toEqual([])

    server.promises.tells(3n, 0)

    expect(server.violations.map(({ rule }) => rule)).toEqual(['L1'])
  })

  test('L4: a start brings back what clients were told of', () => {
    const bench = aBench()
    bench.server.promises.highestToldZxid = 3n
    bench.server.isRestarting = false
    bench.server.crash('kill')

    bench.start()

    expect(bench.server.violations.map(({ rule }) => rule)).toEqual(['L4'])
  })

  test('L2: a start brings back sessions with the timeouts they were created with', () => {
    const { server, log } = aBench()
    const open = [...log.openSessions()].map(([session, timeoutMs]) => ({ session, timeoutMs }))
    expect(open.map(({ timeoutMs }) => timeoutMs)).toEqual([10_000])
    const { promises } = server
    promises.serves(2n, open)
    expect(promises.violations).toEqual([])

    promises.serves(
      2n,
      open.map(({ session }) => ({ session, timeoutMs: 4000 })),
    )

    expect(promises.violations.map(({ rule }) => rule)).toEqual(['L2'])
  })

  test('D-08: a refusal says where the damage is', () => {
    const bench = aBench()
    bench.server.isRestarting = false
    bench.server.crash('kill')
    damage(bench.disk, { dir: 'log', name: 'log.1', at: 30 }, Uint8Array.of(0xff, 0xff))
    const { promises } = bench.server
    promises.starts()

    expect(promises.refuses('EIO: i/o error, read')).toBeUndefined()
    expect(promises.refuses('log.1 is damaged (bad checksum), at byte 16, after zxid 0x0')).toBe('refused')
    expect(promises.violations).toEqual([])
    expect(promises.refuses('something is wrong')).toBe('refused')
    expect(promises.violations.map(({ rule }) => rule)).toEqual(['D-08'])
  })

  test('X3: one zxid never has two contents', () => {
    const { disk, log } = aBench()
    const content = Uint8Array.from(disk.volume.content('log', 'log.1') ?? [])
    const at = Buffer.from(content).indexOf('/n')
    content[at + 1] = 0x6d
    disk.volume.directories.log.link('log.2').write(0, content)

    log.written('log', 'log.1')
    expect(log.violations).toEqual([])
    log.written('log', 'log.2')

    expect(log.violations.map(({ rule }) => rule)).toEqual(['X3'])
  })

  test('a state that came back is not what happened since, though it ends at the same zxid', () => {
    const { disk, log, random } = aBench()
    disk.backUp(random)
    const last = log.promisedZxid
    disk.expect('restore')
    disk.crash('kill')
    expect(log.isForked(last)).toBe(false)

    // The last txn was lost with the power, and another came in its place.
    log.recovered(last - 1n)
    log.written('log', 'log.1')
    disk.expect('restore')
    disk.crash('kill')

    expect(log.isForked(last - 1n)).toBe(false)
    expect(log.isForked(last)).toBe(true)
  })

  test('L2: the tree that comes back is the one that was written', () => {
    const bench = aBench()
    const auditor = new Auditor(bench.network)
    auditor.start()
    bench.runFor(1000)
    const tree = new ModelTree()
    for (const { txn } of bench.log.inOrder()) tree.apply(txn.header, txn.body)

    expect(auditor.isDone).toBe(true)
    expect(compareWithModel(auditor, tree, 'now')).toEqual([])
    expect(compareWithModel(auditor, new ModelTree(), 'now').map(({ message }) => message)).toContain(
      'now: /n should not exist',
    )
  })
})
