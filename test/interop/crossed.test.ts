/**
 * One server opens what the other left behind: generated steps, a kill, and the same tree. The directory is that of
 * the server that did the work; what it did is checked by the differential test.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeUtf8, type Request } from '@corral/protocol'
import { expect, test } from 'vitest'
import { startCorral, startCorralProcess } from './corral-server.ts'
import { divergences } from './divergences.ts'
import { Generator } from './generator.ts'
import { type InteropServer, type ServerOptions, superDigest } from './interop-server.ts'
import { startJavaServer } from './java-server.ts'
import { LockStep } from './lock-step.ts'
import { describeDifference } from './report.ts'
import { ScriptedClient } from './scripted-client.ts'
import { describeWith, java, javaZooKeeper } from './software.ts'

const seed = Number(process.env['CORRAL_SEED'] ?? 1)
const stepCount = 1500
const options: ServerOptions = { maxSessionTimeoutMs: 600_000, superDigest }

describeWith([java, javaZooKeeper], 'a directory changes hands', () => {
  test.each([
    { worker: 'Corral', heir: 'Apache ZooKeeper' },
    { worker: 'Apache ZooKeeper', heir: 'Corral' },
    { worker: 'Corral', heir: 'Corral' },
  ])('$heir opens what $worker wrote until it was killed, to the same tree', async ({ worker, heir }) => {
    const dataDir = await mkdtemp(join(tmpdir(), 'corral-crossed-'))
    try {
      const before = await work(await starterOf(worker)({ ...options, dataDir }))
      const server = await starterOf(heir)({ ...options, dataDir })
      try {
        expect(await treeOf(server)).toEqual(before)
        expect(before.length).toBeGreaterThan(50)
      } finally {
        await server.stop()
      }
    } finally {
      await rm(dataDir, { recursive: true, force: true })
    }
  })
})

function starterOf(name: string): (options: ServerOptions) => Promise<InteropServer> {
  return name === 'Corral' ? startCorralProcess : startJavaServer
}

/** Beside a Corral in memory, for a LockStep needs two. @returns the tree that was there when it was killed */
async function work(server: InteropServer): Promise<readonly string[]> {
  const beside = await startCorral(options)
  try {
    const steps = new Generator(seed, { isQuotaEnforced: false }).steps(stepCount)
    const allowed = server.isOracle ? divergences : []
    const run = new LockStep(server, beside, { divergences: allowed, barrierEvery: 20 })

    const { difference } = await run.run(steps)

    expect(difference && describeDifference(difference)).toBeUndefined()
    return await treeOf(server)
  } finally {
    await server.kill()
    await beside.stop()
  }
}

/** Every znode with its data, Stat and ACL, as the super user sees them, in order. */
async function treeOf(server: InteropServer): Promise<readonly string[]> {
  const client = await ScriptedClient.connect(server.port)
  try {
    await client.ask({ kind: 'auth', scheme: 'digest', auth: encodeUtf8('super:pw') })
    const found: string[] = []
    const pending = ['/']
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      const answers = await Promise.all(
        (['getData', 'getChildren'] as const)
          .map((kind): Request => ({ kind, path: path as string, watch: false }))
          .concat({ kind: 'getAcl', path })
          .map(request => client.ask(request)),
      )
      const [data, children, acl] = answers.map(({ body }) => body)
      if (children?.kind !== 'children') throw new Error(`${path} has no children`)
      const names = [...children.children].sort()
      for (const name of names) pending.push(path === '/' ? `/${name}` : `${path}/${name}`)
      found.push(describe({ path, data, names, acl }))
    }
    return found.sort()
  } finally {
    client.drop()
  }
}

function describe(znode: unknown): string {
  const text = JSON.stringify(znode, (_, value: unknown) => {
    if (typeof value === 'bigint') return `${value}`
    return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
  })
  return text.replaceAll(/[\u{10000}-\u{10ffff}]/gu, '\ufffd\ufffd') // as Java writes them, to whoever reads UTF-8
}
