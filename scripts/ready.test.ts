import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'

const checkout = dirname(import.meta.dirname)
const roots: string[] = []

afterEach(() => {
  for (const root of roots.splice(0)) {
    chmodSync(root, 0o755)
    rmSync(root, { recursive: true })
  }
})

/** Root may write anywhere, and cannot become somebody else on every machine: this is what the others are told. */
const asNobody = `
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
const { accessSync } = fs
fs.accessSync = (path, mode) => {
  accessSync(path, mode)
  if ((fs.statSync(path).mode & 0o222) === 0) throw Object.assign(new Error('not writable'), { code: 'EACCES' })
}
syncBuiltinESMExports()`

test('a checkout that may not be written is named, with what to do', () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'corral-ready-')))
  roots.push(root)
  mkdirSync(join(root, 'packages/server'), { recursive: true })
  for (const script of ['ready.mjs', 'stale.sh']) {
    cpSync(join(checkout, 'scripts', script), join(root, 'scripts', script))
  }
  chmodSync(root, 0o555)

  const { status, stderr } = spawnSync(
    process.execPath,
    [`--import=data:text/javascript,${encodeURIComponent(asNobody)}`, join(root, 'scripts/ready.mjs')],
    { encoding: 'utf8' },
  )

  expect(stderr).toBe(
    `corral: the build is missing or older than its sources, and ${root} may not be written (EACCES). ` +
      "Run 'npm run build' as somebody who may, or in a copy\n",
  )
  expect(status).toBe(1)
})
