import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { corralCommand } from '../interop/corral-server.ts'

// The first run of a checkout may say that it builds.
beforeAll(() => void spawnSync(corralCommand, ['--help']))

describe('where what the command line says cannot be written, as on a full disk', () => {
  test('the output is missed with a line and exit code 1', () => {
    const { status, stderr } = ranInto('stdout', ['--help'])

    expect(stderr).toBe('corral: the output cannot be written: EBADF: bad file descriptor, write\n')
    expect(status).toBe(1)
  })

  test('the errors are not missed: the exit code says it', () => {
    expect(ranInto('stderr', ['help', 'nonsense']).status).toBe(127)
  })
})

/** With that stream on a file that is open for reading only. */
function ranInto(
  stream: 'stdout' | 'stderr',
  args: readonly string[],
): { readonly status: number | null; readonly stderr: string } {
  const unwritable = openSync(fileURLToPath(import.meta.url), 'r')
  const stdout = stream === 'stdout' ? unwritable : 'pipe'
  const stderr = stream === 'stderr' ? unwritable : 'pipe'
  const ran = spawnSync(corralCommand, [...args], { stdio: ['ignore', stdout, stderr], encoding: 'utf8' })
  closeSync(unwritable)
  return ran
}
