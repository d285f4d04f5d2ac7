/** The `corral` program, but for `corral server`. */
import { join } from 'node:path'
import { runCli } from './cli.ts'

const { stdin, stdout, stderr } = process

// Whoever reads our output may stop early (`corral ls -R / | head`): that is no error of ours. Whoever stops reading
// the errors still wants the exit code.
stdout.on('error', error => {
  if (!isBrokenPipe(error)) throw error
  process.exit(0)
})
stderr.on('error', error => {
  if (!isBrokenPipe(error)) throw error
})

// Who has no home, as in many a container, has no history either.
const home = process.env['HOME']
const historyPath = home === undefined || home === '' ? undefined : join(home, '.corral_history')
void runCli(process.argv.slice(2), { stdin, stdout, stderr, historyPath }).then(exitCode => {
  process.exitCode = exitCode
})

function isBrokenPipe(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EPIPE'
}
