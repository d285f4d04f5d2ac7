import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'

const checkout = dirname(import.meta.dirname)
const roots: string[] = []

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true })
})

/** Compiles core, under this checkout's own compiler options, with these as its only source and protocol's. */
function buildCore(sources: { readonly protocol: string; readonly core: string }) {
  const root = mkdtempSync(join(tmpdir(), 'corral-build-'))
  roots.push(root)
  cpSync(join(checkout, 'tsconfig.base.json'), join(root, 'tsconfig.base.json'))
  mkdirSync(join(root, 'node_modules/@corral'), { recursive: true })
  symlinkSync(join(checkout, 'node_modules/@types'), join(root, 'node_modules/@types'))
  symlinkSync(join(checkout, 'node_modules/undici-types'), join(root, 'node_modules/undici-types'))
  for (const [name, text] of Object.entries(sources)) {
    const folder = join(root, 'packages', name)
    mkdirSync(join(folder, 'src'), { recursive: true })
    for (const file of ['package.json', 'tsconfig.json']) {
      cpSync(join(checkout, 'packages', name, file), join(folder, file))
    }
    writeFileSync(join(folder, 'src/index.ts'), text)
    symlinkSync(folder, join(root, 'node_modules/@corral', name))
  }
  const tsc = join(checkout, 'node_modules/typescript/bin/tsc')
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-b', 'packages/core'], {
    cwd: root,
    encoding: 'utf8',
  })
  return { succeeded: status === 0, said: stdout }
}

const usesProtocol = `import { encode } from '@corral/protocol'\nexport const bytes: Uint8Array = encode('a')\n`

test('protocol may use a Buffer inside a function', () => {
  const protocol = `export function encode(text: string): Uint8Array { return Buffer.from(text) }\n`

  const { succeeded, said } = buildCore({ protocol, core: usesProtocol })

  expect(said).toBe('')
  expect(succeeded).toBe(true)
})

test("a Buffer in protocol's declarations fails the build of core", () => {
  const protocol = `export function encode(text: string): Buffer { return Buffer.from(text) }\n`

  const { succeeded, said } = buildCore({ protocol, core: usesProtocol })

  expect(succeeded).toBe(false)
  expect(said).toMatch(/^packages\/protocol\/dist\/index\.d\.ts.*Cannot find name 'Buffer'/m)
})

test.each(['Buffer.alloc(1)', 'setTimeout(() => 1, 1)', 'process.pid', 'performance.now()'])(
  '%s does not compile in core',
  expression => {
    const core = `export const value: unknown = ${expression}\n`

    const { succeeded, said } = buildCore({ protocol: 'export {}\n', core })

    expect(succeeded).toBe(false)
    expect(said).toContain('packages/core/src/index.ts(1,31): error TS')
  },
)
