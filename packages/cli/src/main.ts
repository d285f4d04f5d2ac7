/** The `corral` program, but for `corral server`. */
import { join } from 'node:path'
import { runCli } from './cli.ts'

// Whoever reads our output may stop early (`corral ls -R / | head`): that is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

const { stdin, stdout, stderr } = process
// Who has no home, as in many a container, has no history either.
const home = process.env['HOME']
const historyPath = home === undefined || home === '' ? undefined : join(home, '.corral_history')
void runCli(process.argv.slice(2), { stdin, stdout, stderr, historyPath }).then(exitCode => {
  process.exitCode = exitCode
})
