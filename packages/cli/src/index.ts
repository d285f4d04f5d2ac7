/** The command line of Corral, for programs that run it in their own process: tests, mostly. */
export { runCli } from './cli.ts'
export type { Terminal } from './streams.ts'
