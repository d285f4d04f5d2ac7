import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { runCli } from './cli.ts'
import type { Terminal } from './streams.ts'

/** A terminal that shows what was printed; nobody types. */
function aTerminal(): { readonly terminal: Terminal; readonly stdin: PassThrough; printed(): string } {
  const stdin = Object.assign(new PassThrough(), { isTTY: true })
  const screen = Object.assign(new PassThrough(), { isTTY: true })
  return {
    stdin,
    terminal: { stdin, stdout: screen, stderr: screen },
    printed: () => String(screen.read() ?? ''),
  }
}

test.each([
  ['a connect string that is wrong', ['sh', '-server', 'host:port'], 2],
  [
    'a connection that was to be waited for in vain',
    ['sh', '-s', '127.0.0.1:1', '-timeout', '50', '-waitforconnection'],
    1,
  ],
])('%s leaves a terminal to whoever comes next', async (_what, args, exitCode) => {
  const { terminal, stdin, printed } = aTerminal()

  expect(await runCli(args, terminal)).toBe(exitCode)

  expect(printed()).not.toBe('')
  expect(stdin.readableFlowing).not.toBe(true)
})
