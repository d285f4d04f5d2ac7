import { ErrorCode, type Stat, zkError } from '@corral/client'
import { sessionId, zxid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { failureOf } from '../failure.ts'
import type { Result } from '../result.ts'
import type { Streams } from '../streams.ts'
import { eventJson, failureJson, renderJson } from './json.ts'
import { renderText } from './text.ts'

const stat: Stat = {
  czxid: zxid(0x10000002an),
  mzxid: zxid(0x10000002bn),
  pzxid: zxid(0x10000002cn),
  ctime: 0,
  mtime: 1000,
  version: 1,
  cversion: 2,
  aversion: 3,
  ephemeralOwner: sessionId(-1n),
  dataLength: 4,
  numChildren: 5,
}

async function printed(render: typeof renderText, result: Result): Promise<{ out: string[]; err: string[] }> {
  const out: string[] = []
  const err: string[] = []
  const streams: Streams = {
    out: line => out.push(line),
    err: line => err.push(line),
    drained: () => Promise.resolve(),
  }
  await render(result, streams)
  return { out, err }
}

async function json(result: Result): Promise<unknown> {
  const { out } = await printed(renderJson, result)
  expect(out).toHaveLength(1)
  return JSON.parse(out[0] ?? '')
}

async function* aTree(): AsyncGenerator<{ path: string; name: string; depth: number; isLast: boolean }> {
  yield { path: '/', name: '/', depth: 0, isLast: true }
  yield { path: '/a', name: 'a', depth: 1, isLast: false }
  yield { path: '/a/b', name: 'b', depth: 2, isLast: true }
  yield { path: '/a/b/c', name: 'c', depth: 3, isLast: true }
  yield { path: '/d', name: 'd', depth: 1, isLast: true }
  yield { path: '/d/e', name: 'e', depth: 2, isLast: true }
}

describe('a tree', () => {
  test('is drawn', async () => {
    const { out } = await printed(renderText, { kind: 'tree', entries: aTree() })

    expect(out).toEqual(['/', '├── a', '│   └── b', '│       └── c', '└── d', '    └── e'])
  })

  test('is nested in JSON', async () => {
    expect(await json({ kind: 'tree', entries: aTree() })).toEqual({
      path: '/',
      children: [
        { path: '/a', children: [{ path: '/a/b', children: [{ path: '/a/b/c', children: [] }] }] },
        { path: '/d', children: [{ path: '/d/e', children: [] }] },
      ],
    })
  })
})

describe('data', () => {
  const bytes = Uint8Array.of(0xff, 0x00)

  test('that is UTF-8 is text in JSON, a byte order mark included', async () => {
    const data = Buffer.from('\ufeffhé')

    expect(await json({ kind: 'data', path: '/a', data, format: 'text' })).toEqual({
      path: '/a',
      data: '\ufeffhé',
      encoding: 'utf8',
    })
  })

  test('that is not, or is asked for so, is base64', async () => {
    expect(await json({ kind: 'data', path: '/a', data: bytes, format: 'text' })).toMatchObject({
      data: '/wA=',
    })
    expect(await json({ kind: 'data', path: '/a', data: Buffer.from('x'), format: 'base64' })).toMatchObject({
      data: 'eA==',
      encoding: 'base64',
    })
  })

  test('that is null is null in JSON and a word in text', async () => {
    const result: Result = { kind: 'data', path: '/a', data: null, format: 'text' }

    expect(await json(result)).toEqual({ path: '/a', data: null })
    expect((await printed(renderText, result)).out).toEqual(['null'])
    expect((await printed(renderText, { ...result, format: 'base64' })).out).toEqual(['bnVsbA=='])
  })

  test('is printed as base64 or as a table of bytes if asked for', async () => {
    const base64 = await printed(renderText, { kind: 'data', path: '/a', data: bytes, format: 'base64' })
    const hex = await printed(renderText, { kind: 'data', path: '/a', data: bytes, format: 'hex' })

    expect(base64.out).toEqual(['/wA='])
    expect(hex.out[0]).toContain('|00000000| ff 00 ')
  })
})

test('a Stat in JSON has ids in hex and times in ISO 8601', async () => {
  expect(await json({ kind: 'stat', path: '/a', stat })).toEqual({
    path: '/a',
    stat: {
      czxid: '0x10000002a',
      mzxid: '0x10000002b',
      pzxid: '0x10000002c',
      ctime: '1970-01-01T00:00:00.000Z',
      mtime: '1970-01-01T00:00:01.000Z',
      version: 1,
      cversion: 2,
      aversion: 3,
      ephemeralOwner: '0xffffffffffffffff',
      dataLength: 4,
      numChildren: 5,
    },
  })
})

test('children are sorted by UTF-16 units, as Java sorts', async () => {
  const { out } = await printed(renderText, {
    kind: 'children',
    path: '/',
    children: ['b', 'a10', 'Z', 'a9'],
  })

  expect(out).toEqual(['[Z, a10, a9, b]'])
})

test('what was created is said on stderr', async () => {
  expect(await printed(renderText, { kind: 'created', path: '/a' })).toEqual({ out: [], err: ['Created /a'] })
})

test('a failure in JSON has code, path and message', () => {
  const failure = failureOf(zkError(ErrorCode.NoNode, { path: '/a' }))

  expect(failure && JSON.parse(failureJson(failure))).toEqual({
    error: { message: 'Node does not exist: /a', code: 'NoNode', path: '/a' },
  })
})

test('an event in JSON has its zxid in hex, or null', () => {
  const event = { state: 'SyncConnected', type: 'NodeCreated', path: '/a', zxid: 42n }

  expect(JSON.parse(eventJson(event))).toEqual({ event: { ...event, zxid: '0x2a' } })
  expect(JSON.parse(eventJson({ ...event, zxid: -1n }))).toEqual({ event: { ...event, zxid: null } })
})
