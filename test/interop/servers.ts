/** Both servers, for tests that must pass against either: the first run proves the test, the second Corral. */
import { startCorralProcess } from './corral-server.ts'
import type { InteropServer, ServerOptions } from './interop-server.ts'
import { startJavaServer } from './java-server.ts'

export const servers: readonly {
  readonly name: string
  readonly start: (options?: ServerOptions) => Promise<InteropServer>
}[] = [
  { name: 'Apache ZooKeeper', start: startJavaServer },
  { name: 'Corral', start: startCorralProcess },
]

/** @returns what the body found with the one, then with the other */
export async function withEach<T>(body: (server: InteropServer) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (const { start } of servers) {
    const server = await start()
    try {
      results.push(await body(server))
    } finally {
      await server.stop()
    }
  }
  return results
}
