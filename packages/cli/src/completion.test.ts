import { type CallOptions, Client, ErrorCode, zkError } from '@corral/client'
import { expect, test } from 'vitest'
import { completer } from './completion.ts'

type Children = (path: string, options?: CallOptions) => Promise<readonly string[]>

/** What is offered for a line, by a shell whose server answers so. */
function offered(line: string, getChildren: Children, isConnected = true): Promise<readonly string[]> {
  const client = Object.assign(new Client('nowhere'), { getChildren })
  const complete = completer(() => ({ client, isConnected }), 1)
  return new Promise(resolve => complete(line, (_error, [completions]) => resolve(completions)))
}

const children: Children = path =>
  path === '/app' ? Promise.resolve(['b', 'aa', 'a']) : Promise.reject(zkError(ErrorCode.NoNode, { path }))

test('a path is completed by the names below its parent', async () => {
  expect(await offered('get /app/a', children)).toEqual(['/app/a', '/app/aa'])
})

test('a path is not completed below what is not there, or without a connection', async () => {
  expect(await offered('get /nowhere/a', children)).toEqual([])
  expect(await offered('get /app/a', children, false)).toEqual([])
})

test('a server that does not answer completes nothing, and holds up nobody', async () => {
  const silent: Children = (_path, options) =>
    new Promise((_resolve, reject) => {
      options?.signal?.addEventListener('abort', () => reject(options.signal?.reason))
    })

  expect(await offered('get /app/a', silent)).toEqual([])
})

test('the first word is a command', async () => {
  expect(await offered('dele', children)).toEqual(['delete ', 'deleteall '])
  expect(await offered('get dele', children)).toEqual([])
})
