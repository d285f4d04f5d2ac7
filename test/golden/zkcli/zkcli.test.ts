/** Our shell prints what zkCli printed, whichever server it talks to. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCorral } from '../../interop/corral-server.ts'
import type { InteropServer } from '../../interop/interop-server.ts'
import { startJavaServer } from '../../interop/java-server.ts'
import { describeWith, java, javaZooKeeper } from '../../interop/software.ts'
import {
  asCaptured,
  comparable,
  type Divergence,
  divergences,
  divergencesOfOldServer,
  type Run,
  readCaptured,
  readScript,
  scriptNames,
} from './captured.ts'
import { runShell } from './terminal.ts'

describe('against Corral', () => likeZkCli(startCorral, divergences))
describeWith([java, javaZooKeeper], 'against Apache ZooKeeper', () =>
  likeZkCli(startJavaServer, [...divergences, ...divergencesOfOldServer]),
)

function likeZkCli(start: () => Promise<InteropServer>, allowed: readonly Divergence[]): void {
  let server: InteropServer
  const met = new Set<Divergence>()

  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server.stop())

  const run = async (words: readonly string[], input: string): Promise<Omit<Run, 'title'>> => {
    const address = `127.0.0.1:${server.port}`
    const printed = await runShell(['-server', address, '-waitforconnection', ...words], input)
    const stdout = printed.stdout.replaceAll(`:${server.port}`, ':PORT')
    return asCaptured({ ...printed, stdout }, allowed, met)
  }

  for (const name of scriptNames) {
    test(name, async () => {
      const [captured] = readCaptured(name)
      if (captured === undefined) throw new Error(`${name} was not captured`)

      const ours = await run([], readScript(name))

      expect(comparable(ours)).toEqual(comparable(captured))
    })
  }

  for (const captured of readCaptured('one-shot.txt')) {
    test(`one command: ${captured.title}`, async () => {
      const ours = await run(captured.title.split(' '), '')

      expect(comparable(ours)).toEqual(comparable(captured))
    })
  }

  test('every divergence was met', () => {
    expect(allowed.filter(divergence => !met.has(divergence)).map(({ why }) => why)).toEqual([])
  })
}
