/** The `corral` program, but for `corral server`. */
import { join } from 'node:path'
import { runCli } from './cli.ts'
import { exitCodes } from './failure.ts'

const { stdin, stdout, stderr } = process

// Whoever reads our output may stop early (`corral ls -R / | head`): that is no error of ours. A full disk is one.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done)
  stderr.write(`corral: the output cannot be written: ${error.message}\n`)
  process.exit(exitCodes.failed)
})
// Whoever stops reading the errors still wants the exit code.
stderr.on('error', () => undefined)

// Who has no home, as in many a container, has no history either.
const home = process.env['HOME']
const historyPath = home === undefined || home === '' ? undefined : join(home, '.corral_history')
void runCli(process.argv.slice(2), { stdin, stdout, stderr, historyPath }).then(exitCode => {
  process.exitCode = exitCode
})
