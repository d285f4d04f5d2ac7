import { describe, expect, test } from 'vitest'
import { parseCommandLine } from './arguments.ts'

function run(...args: string[]): { servers: string; isJson: boolean; words: readonly string[] } {
  const request = parseCommandLine(args)
  if (request.kind !== 'run') throw new Error(`not to be run: ${JSON.stringify(request)}`)
  return { servers: request.options.servers, isJson: request.options.isJson, words: request.words }
}

describe('the server', () => {
  test.each([
    [['-server', 'h:1', 'ls', '/']],
    [['-s', 'h:1', 'ls', '/']],
    [['--server=h:1', 'ls', '/']],
    [['ls', '/', '-s', 'h:1']],
    [['ls', '-s', 'h:1', '/']],
    [['ls', '/', '--server', 'h:1']],
    [['sh', '-server', 'h:1', 'ls', '/']],
  ])('is taken out of %j', args => {
    expect(run(...args)).toEqual({ servers: 'h:1', isJson: false, words: ['ls', '/'] })
  })

  test.each([
    [['ls', '-s', '/a']],
    [['set', '/a', 'data', '-s']],
    [['set', '/a', '-s', 'data']],
    [['setAcl', '-s', '/a', 'world:anyone:r']],
    [['setAcl', '/a', '-s', 'world:anyone:r']],
    [['create', '/a', '-s', '-e']],
  ])('is not the -s of %j', args => {
    expect(run(...args)).toEqual({ servers: 'localhost:2181', isJson: false, words: args })
  })

  test('may be several with a chroot, and IPv6', () => {
    expect(run('ls', '/', '-s', '[::1]:2181,h2:2182/app').servers).toBe('[::1]:2181,h2:2182/app')
  })
})

test('words behind two dashes belong to the command', () => {
  expect(run('create', '--json', '/a', '--', '--json')).toEqual({
    servers: 'localhost:2181',
    isJson: true,
    words: ['create', '/a', '--', '--json'],
  })
})

test('without a command it is a shell', () => {
  expect(run('sh').words).toEqual([])
  expect(run('-q', 'sh', '-s', 'h:1')).toMatchObject({ servers: 'h:1', words: [] })
  expect(run('sh', 'sh').words).toEqual(['sh'])
  expect(run('-server', 'h:1').words).toEqual([])
})

test('timeout, read-only, waiting and authentication are understood', () => {
  const request = parseCommandLine([
    '-timeout',
    '5000',
    '-r',
    '-waitforconnection',
    '--auth',
    'digest:u:p',
    'whoami',
  ])

  expect(request).toMatchObject({
    options: {
      sessionTimeoutMs: 5000,
      canBeReadOnly: true,
      waitsForConnection: true,
      auth: [{ scheme: 'digest', auth: 'u:p' }],
    },
  })
})

test.each([
  [['-bogus', 'ls', '/'], 'unknown option -bogus'],
  [['-server'], 'Error: no argument found for option -server'],
  [['-timeout', 'soon', 'ls', '/'], 'soon is not a number'],
  [['--json=false', 'ls', '/'], '--json takes no value'],
  [['-timeout', '0', 'ls', '/'], '-timeout 0 is not a number'],
  [['--auth', 'digest', 'ls', '/'], 'scheme:auth'],
  [['-client-configuration'], 'Error: no argument found for option -client-configuration'],
])('%j is wrong', (args, message) => {
  const request = parseCommandLine(args)

  expect(request.kind === 'wrong' && request.message).toContain(message)
})

test('help and version are answered without a server', () => {
  expect(parseCommandLine([])).toEqual({ kind: 'help', topic: undefined })
  expect(parseCommandLine(['help', 'get'])).toEqual({ kind: 'help', topic: 'get' })
  expect(parseCommandLine(['--version'])).toEqual({ kind: 'version' })
  expect(parseCommandLine(['-s', 'h:1', '--version'])).toEqual({ kind: 'version' })
})

test.each<[string[], string | undefined]>([
  [['--help'], undefined],
  [['-h'], undefined],
  [['help', 'ls'], 'ls'],
  [['--help', 'ls'], 'ls'],
  [['help', '--json', 'ls'], 'ls'],
  [['help', '--help'], undefined],
  [['help', 'sh'], undefined],
  [['ls', '--help'], 'ls'],
  [['-s', 'h:1', 'create', '/a', '--help'], 'create'],
  [['sh', '--help'], undefined],
  [['sh', '-s', 'h:1', '-h'], undefined],
])('%j asks for help', (args, topic) => {
  expect(parseCommandLine(args)).toEqual({ kind: 'help', topic })
})

test('help behind two dashes is a word like any other', () => {
  expect(run('create', '/a', '--', '--help').words).toEqual(['create', '/a', '--', '--help'])
})

test.each([
  [['-client-configuration', 'f', 'ls', '/']],
  [['--client-configuration=f', 'ls', '/']],
  [['ls', '/', '--client-configuration', 'f']],
])('the file of a client configuration is taken out of %j', args => {
  expect(parseCommandLine(args)).toMatchObject({ clientConfiguration: 'f', words: ['ls', '/'] })
})
