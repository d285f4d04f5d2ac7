/** The `corral` program, but for `corral server`. */
import { runCli } from './cli.ts'

// Whoever reads our output may stop early (`corral ls -R / | head`): that is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

void runCli(process.argv.slice(2), process).then(exitCode => {
  process.exitCode = exitCode
})
