/** Figures that monitors watch: the same connections must move them on both servers. */
import { Writer, writeRequestFrame } from '@corral/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCorral } from './corral-server.ts'
import { fourLetterWord, type InteropServer } from './interop-server.ts'
import { startJavaServer } from './java-server.ts'
import { RawClient } from './raw-client.ts'
import { describeWith, java, javaZooKeeper } from './software.ts'

describeWith([java, javaZooKeeper], 'the figures of mntr', () => {
  let servers: readonly InteropServer[] = []

  beforeAll(async () => {
    servers = await Promise.all([startJavaServer(), startCorral()])
  })

  afterAll(() => Promise.all(servers.map(server => server.stop())))

  test('a connection that its client ends is dropped, one that the server ends is not', async () => {
    const [oracle, subject] = await Promise.all(servers.map(dropsOfEachEnd))

    expect(subject).toEqual(oracle)
    expect(oracle).toEqual({ client: 1, beforeItsSession: 1, closeSession: 0, badLength: 0, moved: 0 })
  })
})

async function dropsOfEachEnd({ port }: InteropServer): Promise<Record<string, number>> {
  const drops: Record<string, number> = {}
  const countDrops = async (name: string, end: () => Promise<void>): Promise<void> => {
    const before = await figure(port, 'connection_drop_count')
    await end()
    while ((await figure(port, 'num_alive_connections')) > 1); // the one that asks
    drops[name] = (await figure(port, 'connection_drop_count')) - before
  }
  await countDrops('client', async () => (await RawClient.connect(port)).client.drop())
  await countDrops('beforeItsSession', async () => (await RawClient.open(port)).drop())
  await countDrops('closeSession', async () => closeSession((await RawClient.connect(port)).client))
  await countDrops('badLength', async () => {
    const { client } = await RawClient.connect(port)
    client.send(Buffer.from('ffffffff', 'hex'))
    await untilClosed(client)
  })
  await countDrops('moved', async () => {
    const first = await RawClient.connect(port)
    const second = await RawClient.connect(port, first.session)
    await untilClosed(first.client)
    await closeSession(second.client)
  })
  return drops
}

async function closeSession(client: RawClient): Promise<void> {
  const writer = new Writer()
  writeRequestFrame(writer, 1, { kind: 'closeSession' })
  client.send(writer.written())
  await untilClosed(client)
}

async function untilClosed(client: RawClient): Promise<void> {
  expect(await client.until(() => client.isClosed)).toBe(true)
}

async function figure(port: number, name: string): Promise<number> {
  const answer = await fourLetterWord(port, 'mntr')
  return Number(new RegExp(`^zk_${name}\t(\\d+)$`, 'm').exec(answer ?? '')?.[1])
}
