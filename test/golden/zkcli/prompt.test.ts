/** The shell as a person meets it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningServer, startServer } from '@corral/server'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Person, runShell } from './terminal.ts'

let server: RunningServer
let address: string
let person: Person

beforeEach(async () => {
  server = await startServer()
  address = `127.0.0.1:${server.port}`
  await runShell(['-server', address], 'create /app\ncreate /app/config\ncreate /app/locks\n')
  person = new Person(['sh', '-s', address])
  await person.sees(prompt('CONNECTED', 0))
})
afterEach(() => server.stop())

const enter = '\r'
const tab = '\t'
const upArrow = '\u001b[A'
const ctrlC = '\u0003'
const ctrlD = '\u0004'

function prompt(state: string, number: number): string {
  return `[zk: ${address}(${state}) ${number}] `
}

test('the prompt counts the commands, and quit ends with the last exit code', async () => {
  person.type(`ls /app${enter}`)
  await person.sees('[config, locks]')
  await person.sees(prompt('CONNECTED', 1))
  person.type(`ls /none${enter}`)
  await person.sees(prompt('CONNECTED', 2))
  person.type(`quit${enter}`)

  expect(await person.ended).toBe(1)
})

test('Tab completes a command', async () => {
  person.type(`getAllC${tab}`)
  await person.sees('getAllChildrenNumber ')
  person.type(`/app${enter}`)
  await person.sees('2\n')
  person.type(ctrlD)

  expect(await person.ended).toBe(0)
})

test('Tab completes a path, and shows the candidates when there are several', async () => {
  person.type(`ls /app/c${tab}`)
  await person.sees('ls /app/config')
  person.type('\u0015')
  person.type(`ls /app/${tab}`)
  person.type(tab)
  const shown = await person.sees('/app/locks')
  expect(shown).toContain('/app/config')
  person.type(`config${enter}`)
  await person.sees('[]')
  person.type(ctrlD)

  expect(await person.ended).toBe(0)
})

test('the arrow brings the last line back', async () => {
  person.type(`getAllChildrenNumber /app${enter}`)
  await person.sees('2\n')
  await person.sees(prompt('CONNECTED', 1))
  person.type(`${upArrow}${enter}`)
  await person.sees('2\n')
  person.type(ctrlD)

  expect(await person.ended).toBe(0)
})

test('the arrow brings back the lines of an earlier shell, but for passwords', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'corral-shell-'))
  const historyPath = join(directory, 'history')
  try {
    const first = new Person(['sh', '-s', address], historyPath)
    await first.sees(prompt('CONNECTED', 0))
    first.type(`getAllChildrenNumber /app${enter}addauth digest me:secret${enter}`)
    await first.sees(prompt('CONNECTED', 2))
    first.type(ctrlD)
    await first.ended
    const second = new Person(['sh', '-s', address], historyPath)
    await second.sees(prompt('CONNECTED', 0))

    second.type(`${upArrow}${enter}`)

    await second.sees('2\n')
    second.type(ctrlD)
    expect(await second.ended).toBe(0)
  } finally {
    await rm(directory, { recursive: true })
  }
  person.type(ctrlD)
  await person.ended
})

test('Ctrl-C drops the line that is being typed', async () => {
  person.type('deleteall /app')
  await person.sees('deleteall /app')
  person.type(ctrlC)
  await person.sees('^C')
  person.type(`getAllChildrenNumber /app${enter}`)
  await person.sees('2\n')
  person.type(ctrlD)

  expect(await person.ended).toBe(0)
})

test('a line typed ahead is shown again with its prompt when its turn comes', async () => {
  person.type(`create /one${enter}getAllChildrenNumber /app${enter}`)

  await person.sees(`Created /one\n${prompt('CONNECTED', 1)}getAllChildrenNumber /app\n2\n`)
  person.type(ctrlD)

  expect(await person.ended).toBe(0)
})

test('an event is printed above the line that is being typed, which stays', async () => {
  person.type(`get -w /app${enter}`)
  await person.sees(prompt('CONNECTED', 1))
  person.type('getAllChildrenNumber /app')
  await person.sees('getAllChildrenNumber /app')

  await runShell(['-server', address, 'set', '/app', 'changed'])
  await person.sees('WatchedEvent state:SyncConnected type:NodeDataChanged path:/app zxid: ')
  await person.sees('getAllChildrenNumber /app')
  person.type(enter)

  await person.sees('2\n')
  person.type(ctrlD)
  expect(await person.ended).toBe(0)
})

test('the prompt shows a lost connection', async () => {
  await server.stop()

  await person.sees('WatchedEvent state:Disconnected type:None path:null zxid: -1')
  await person.sees(prompt('CONNECTING', 0))
  person.type(ctrlD)

  expect(await person.ended).toBe(0)
})

test('lines typed ahead are run one after the other', async () => {
  person.type(`create /ahead x${enter}get /ahead${enter}delete /ahead${enter}get /ahead${enter}quit${enter}`)

  await person.sees('Created /ahead')
  await person.sees('x\n')
  await person.sees('Node does not exist: /ahead')

  expect(await person.ended).toBe(1)
})
