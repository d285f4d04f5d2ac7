/** The C client of Apache ZooKeeper: its shell as Debian ships it, and a program on its library. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { childEnvironment, type InteropServer, run } from './interop-server.ts'
import { withEach } from './servers.ts'
import { cLibrary, cliMt, describeWith, java, javaZooKeeper } from './software.ts'

const commands = [
  'create /cc',
  'create +e /ce',
  'create +s /cs-',
  'create /missing/x',
  'ls /',
  'ls2 /',
  'get /cc',
  'set /cc new',
  'wexists /later',
  'create /later',
  'exists /nothing',
  'sync /cc',
  'delete /cc',
  'delete /cc',
  'ls /',
]

describeWith([cliMt, java, javaZooKeeper], 'cli_mt', () => {
  test('a session prints the same with either server', async () => {
    const [oracle, subject] = await withEach(server => cli(server))

    expect(oracle).toContain('/cc: rc = -101')
    expect(subject).toEqual(oracle)
  })
})

describeWith([cLibrary, java, javaZooKeeper], 'a program on the C library', () => {
  test('sees the same with either server', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'corral-c-'))
    try {
      const program = join(dir, 'c-client')
      const source = fileURLToPath(new URL('c-client.c', import.meta.url))
      await run('/usr/bin/gcc', [
        '-Wall',
        '-Werror',
        '-DTHREADED',
        '-o',
        program,
        source,
        '-lzookeeper_mt',
        '-lpthread',
      ])

      const [oracle, subject] = await withEach(async server => {
        const { stdout } = await run(program, [`127.0.0.1:${server.port}`], {
          timeout: 280_000,
          env: childEnvironment(),
        })
        return stdout.split('\n')
      })

      expect(oracle).toContain('multi: 0 0 0 0 0 /m v1')
      expect(oracle).toContain('multi: -103 0 -103 -2')
      expect(subject).toEqual(oracle)
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })
})

/** It forgets what is unanswered when it quits, so each command waits for the answer to the one before. */
async function cli(server: InteropServer): Promise<string[]> {
  const child = spawn('/usr/lib/zookeeper/bin/cli_mt', [`127.0.0.1:${server.port}`], {
    env: childEnvironment(),
  })
  let output = ''
  let heard: () => void = () => undefined
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (piece: string) => {
      output += piece
      heard()
    })
  }
  const closed = once(child, 'close').then(() => heard())
  const until = async (isTrue: () => boolean): Promise<void> => {
    while (!isTrue() && child.exitCode === null) {
      await new Promise<void>(resolve => {
        heard = resolve
      })
    }
  }
  await until(() => output.includes('Got a new session id'))
  for (const [i, command] of commands.entries()) {
    child.stdin.write(`${command}\n`)
    await until(() => (output.match(/rc = -?\d+|Error -\d+ for/g) ?? []).length > i)
  }
  child.stdin.end('quit\n')
  await closed
  return output
    .split('\n')
    .filter(line => !line.includes(':ZOO_') && !line.includes('session id'))
    .map(line =>
      line
        .replace(/(time *=).*/, '$1 …')
        .replace(/(ephemeralOwner = )[1-9a-f].*/, '$1…')
        .trimEnd(),
    )
    .sort() // its two threads print as they please
}
