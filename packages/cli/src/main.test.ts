import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const scratch = mkdtempSync(join(tmpdir(), 'corral-cli-'))
const bundle = join(scratch, 'corral-cli.cjs')

beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL('main.ts', import.meta.url))],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    conditions: ['corral-source'],
    logLevel: 'warning',
  })
})

afterAll(() => rmSync(scratch, { recursive: true }))

describe('where what it says cannot be written, as on a full disk', () => {
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
  const unwritable = openSync(bundle, 'r')
  const stdout = stream === 'stdout' ? unwritable : 'pipe'
  const stderr = stream === 'stderr' ? unwritable : 'pipe'
  const ran = spawnSync(process.execPath, [bundle, ...args], {
    stdio: ['ignore', stdout, stderr],
    encoding: 'utf8',
  })
  closeSync(unwritable)
  return ran
}
