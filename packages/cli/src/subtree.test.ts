import type { Client } from '@corral/client'
import { expect, test } from 'vitest'
import { walkPaths } from './subtree.ts'

test('a walk that is ended stops in the midst of the children of a znode', async () => {
  const wide = Array.from({ length: 1000 }, (_, i) => `n${i}`)
  const client = {
    getData: async () => ({}),
    getChildren: async (path: string) => (path === '/wide' ? wide : []),
  } as unknown as Client
  const end = new AbortController()
  const paths: string[] = []

  const walk = async (): Promise<void> => {
    for await (const path of walkPaths(client, '/wide', { signal: end.signal })) {
      paths.push(path)
      if (paths.length === 3) end.abort()
    }
  }

  await expect(walk()).rejects.toMatchObject({ name: 'AbortError' })
  expect(paths).toHaveLength(3)
})
