/** Why a server cannot start, in words for its operator, with the exit code of the process. */
export class StartError extends Error {
  override readonly name: string = 'StartError'
  readonly exitCode: number

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** Exit codes of ZooKeeper that a standalone server can end with. */
export const ExitCode = {
  Ok: 0,
  UnexpectedError: 1,
  BadInvocation: 2,
  DataDirInaccessible: 3,
  DiskError: 10,
} as const

/** @returns what the system calls the error (`EACCES` …), or an empty text */
export function errnoOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}
