import { expect, test } from 'vitest'
import { environment } from './environment.ts'

test('a process without a named user, a home or a directory has an environment all the same', () => {
  const unknown = (): string => {
    throw new Error('ENOENT')
  }
  const given = new Map(environment({ userName: unknown, homeDir: unknown, workingDir: unknown }))

  expect(['user.name', 'user.home', 'user.dir'].map(name => given.get(name))).toEqual([
    '<NA>',
    '<NA>',
    '<NA>',
  ])
  expect(given.get('os.name')).not.toBe('<NA>')
})
