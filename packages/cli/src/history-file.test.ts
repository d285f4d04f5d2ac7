import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HistoryFile } from './history-file.ts'

let directory: string
let path: string
let problems: string[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'corral-history-'))
  path = join(directory, 'history')
  problems = []
})
afterEach(() => rmSync(directory, { recursive: true }))

const open = (): HistoryFile => new HistoryFile(path, problem => problems.push(problem))

test('lines of one shell are there in the next, oldest first, for their owner only', () => {
  const first = open()
  expect(first.load()).toEqual([])
  first.add('ls /')
  first.add('get /a')
  first.add('get /a')

  expect(open().load()).toEqual(['ls /', 'get /a'])
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(problems).toEqual([])
})

test('passwords, and lines that begin with a blank, are not kept', () => {
  const history = open()
  for (const line of ['addauth digest me:secret', ' set /a secret', '']) history.add(line)
  history.add('ls /')

  expect(readFileSync(path, 'utf8')).toBe('ls /\n')
})

test('lines of a shell beside it are kept too', () => {
  const history = open()
  history.load()
  appendFileSync(path, 'other\n')
  history.add('mine')

  expect(open().load()).toEqual(['other', 'mine'])
})

test('the oldest go', () => {
  writeFileSync(path, Array.from({ length: 2001 }, (_, i) => `get /${i}\n`).join(''), { mode: 0o600 })

  const lines = open().load()

  expect([lines.length, lines[0], lines.at(-1)]).toEqual([1000, 'get /1001', 'get /2000'])
  expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(1001)
})

test('a file that cannot be used is said once, and nothing else happens', () => {
  const history = new HistoryFile(directory, problem => problems.push(problem))

  expect(history.load()).toEqual([])
  history.add('ls /')
  history.add('ls /a')

  expect(problems).toEqual([expect.stringContaining('EISDIR')])
})
