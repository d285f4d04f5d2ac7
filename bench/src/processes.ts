/**
 * Every process the benchmark starts, so that none outlives it. A child gets the environment without
 * NODE_EXTRA_CA_CERTS, which alone costs Node tens of milliseconds at start.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'

const running = new Set<ChildProcess>()

export function startProcess(command: readonly string[], options: SpawnOptions): ChildProcess {
  const { NODE_EXTRA_CA_CERTS: _unwanted, ...inherited } = process.env
  const [program, ...args] = command
  if (program === undefined) throw new Error('an empty command')
  const child = spawn(program, args, { ...options, env: { ...inherited, ...options.env } })
  running.add(child)
  child.once('exit', () => running.delete(child))
  child.once('error', () => running.delete(child))
  return child
}

export function killAllProcesses(): void {
  for (const child of running) child.kill('SIGKILL')
  running.clear()
}

/** Resolves with the exit code, or the signal's name, or what kept the program from starting. */
export function ended(child: ChildProcess): Promise<number | string> {
  if (child.exitCode !== null) return Promise.resolve(child.exitCode)
  if (child.signalCode !== null) return Promise.resolve(child.signalCode)
  return new Promise(resolve => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'ended'))
    child.once('error', error => resolve(error.message))
  })
}

/** Sends SIGTERM, and SIGKILL to a process that ignores it for `graceMs`. Says which of them it took. */
export async function endProcess(child: ChildProcess, graceMs: number): Promise<'stopped' | 'killed'> {
  let how: 'stopped' | 'killed' = 'stopped'
  const timer = setTimeout(() => {
    how = 'killed'
    child.kill('SIGKILL')
  }, graceMs)
  child.kill('SIGTERM')
  await ended(child)
  clearTimeout(timer)
  return how
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
