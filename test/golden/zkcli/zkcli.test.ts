/** Our shell prints what zkCli printed, whichever server it talks to. */
import { Readable, Writable } from 'node:stream'
import { runCli, type Terminal } from '@corral/cli'
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
  type Run,
  readCaptured,
  readScript,
  scriptNames,
} from './captured.ts'

describe('against Corral', () => likeZkCli(startCorral))
describeWith([java, javaZooKeeper], 'against Apache ZooKeeper', () => likeZkCli(startJavaServer))

function likeZkCli(start: () => Promise<InteropServer>): void {
  let server: InteropServer
  const met = new Set<Divergence>()

  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server.stop())

  const run = async (words: readonly string[], input: string): Promise<Omit<Run, 'title'>> => {
    const { terminal, printed } = aTerminal(input)
    const address = `127.0.0.1:${server.port}`
    const exitCode = await runCli(['-server', address, '-waitforconnection', ...words], terminal)
    const { stdout, stderr } = printed()
    const portless = stdout.replaceAll(`:${server.port}`, ':PORT')
    return asCaptured({ exitCode, stdout: portless, stderr }, met)
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

  test('every divergence from zkCli 3.8.0 was met', () => {
    expect(divergences.filter(divergence => !met.has(divergence)).map(({ why }) => why)).toEqual([])
  })
}

/** A pipe on every side. */
function aTerminal(input: string): {
  terminal: Terminal
  printed: () => { stdout: string; stderr: string }
} {
  const stdout = new Collector()
  const stderr = new Collector()
  return {
    terminal: { stdin: Readable.from([input]), stdout, stderr },
    printed: () => ({ stdout: stdout.text, stderr: stderr.text }),
  }
}

class Collector extends Writable {
  text = ''

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}
