/** kazoo, as Debian ships it, with its recipes. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { childEnvironment, run } from './interop-server.ts'
import { servers } from './servers.ts'
import { describeWith, java, javaZooKeeper, kazoo } from './software.ts'

const script = fileURLToPath(new URL('kazoo-client.py', import.meta.url))

describeWith([kazoo, java, javaZooKeeper], 'kazoo', () => {
  test.each(servers)(
    'does all it can with $name',
    async ({ start }) => {
      const server = await start()
      try {
        const { stdout } = await run('/usr/bin/python3', [script, `127.0.0.1:${server.port}`], {
          timeout: 50_000,
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
    },
    60_000,
  )
})
