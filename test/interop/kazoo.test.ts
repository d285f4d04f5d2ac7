/** kazoo, as Debian ships it, with its recipes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { childEnvironment, freePort, type InteropServer, run } from './interop-server.ts'
import { servers } from './servers.ts'
import { describeWith, java, javaZooKeeper, kazoo } from './software.ts'

const script = fileURLToPath(new URL('kazoo-client.py', import.meta.url))
const restartScript = fileURLToPath(new URL('kazoo-restart.py', import.meta.url))

describeWith([kazoo, java, javaZooKeeper], 'kazoo', () => {
  test.each(servers)('does all it can with $name', async ({ start }) => {
    const server = await start()
    try {
      const { stdout } = await run('/usr/bin/python3', [script, `127.0.0.1:${server.port}`], {
        timeout: 280_000,
        env: childEnvironment(),
      })

      expect(stdout.trim().split('\n')).toEqual([
        'basics ok',
        'modes ok',
        'ephemerals_end ok',
        'acls ok',
        'transactions ok',
        'watches ok',
        'watcher_recipes ok',
        'locks ok',
        'election ok',
        'queues ok',
        'reconnect ok',
      ])
    } finally {
      await server.stop()
    }
  })

  test.each(servers)(
    'keeps its locks, leaders and watches when $name is killed and comes back',
    async ({ start }) => {
      const dataDir = await mkdtemp(join(tmpdir(), 'corral-kazoo-'))
      // Not one of the kernel's: while nobody listens there, it could give it to somebody else.
      const port = await freePort()
      let server: InteropServer = await start({ dataDir, port })
      const client = spawn('/usr/bin/python3', [restartScript, `127.0.0.1:${port}`], {
        env: childEnvironment(),
        timeout: 280_000,
      })
      try {
        const complaints = text(client.stderr)
        const exited = once(client, 'exit')
        const told: string[] = []
        for await (const line of createInterface(client.stdout)) {
          told.push(line)
          if (line !== 'kill') continue
          await server.kill()
          server = await start({ dataDir, port })
          client.stdin.write('\n')
        }

        const [code] = await exited
        expect({ code, told, ...(code === 0 ? {} : { complaints: await complaints }) }).toEqual({
          code: 0,
          told: [
            'kill',
            'Watching ok',
            'Locking ok',
            'Electing ok',
            'Gathering ok',
            'Queueing ok',
            'Committing ok',
          ],
        })
      } finally {
        client.kill('SIGKILL')
        await server.stop()
        await rm(dataDir, { recursive: true, force: true })
      }
    },
  )
})
