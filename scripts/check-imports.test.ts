import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { blankText, checkImports, findImports } from './check-imports.mjs'

const roots: string[] = []

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true })
})

/** What the check says about a checkout that holds these sources, each package depending on what the rules allow. */
function problemsOf(sources: Record<string, string>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'corral-imports-'))
  roots.push(root)
  const files = {
    'packages/protocol/package.json': aPackage([]),
    'packages/core/package.json': aPackage(['@corral/protocol']),
    'packages/server/package.json': aPackage(['@corral/protocol', '@corral/core']),
    'packages/client/package.json': aPackage(['@corral/protocol']),
    ...sources,
  }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return checkImports(root)
}

function aPackage(dependencies: readonly string[]): string {
  return JSON.stringify({ dependencies: Object.fromEntries(dependencies.map(name => [name, '0.1.0'])) })
}

describe('between packages', () => {
  test('imports along the arrows pass', () => {
    const problems = problemsOf({
      'packages/core/src/server.ts': `import { zxid } from '@corral/protocol'`,
      'packages/server/src/driver.ts': `import net from 'node:net'\nimport { Server } from '@corral/core'`,
    })

    expect(problems).toEqual([])
  })

  test.each([
    [
      'packages/client/src/a.ts',
      `import { Server } from '@corral/core'`,
      'client may not import @corral/core',
    ],
    [
      'packages/client/src/a.ts',
      `import type { Server } from '@corral/core'`,
      'client may not import @corral/core',
    ],
    ['packages/client/src/a.ts', `export * from '@corral/core'`, 'client may not import @corral/core'],
    ['packages/client/src/a.ts', `import '@corral/core'`, 'client may not import @corral/core'],
    ['packages/client/src/a.ts', `const c = import('@corral/core')`, 'client may not import @corral/core'],
    [
      'packages/protocol/src/a.ts',
      `import { a } from '@corral/core'`,
      'protocol may not import @corral/core',
    ],
    ['packages/protocol/src/a.ts', `import { crc32 } from 'node:zlib'`, 'protocol may not import node:zlib'],
    ['packages/core/src/a.ts', `import fs from 'node:fs'`, 'core may not import node:fs'],
    [
      'packages/server/src/a.ts',
      `import a from 'lodash'`,
      'lodash is neither a package of Corral nor a module of Node',
    ],
    [
      'packages/server/src/a.ts',
      `import { a } from '@corral/core/src/a.ts'`,
      '@corral/core/src/a.ts reaches past the index of @corral/core',
    ],
    [
      'packages/server/src/a.ts',
      `import { a } from '../../core/src/a.ts'`,
      '../../core/src/a.ts leaves packages/server/src/',
    ],
    [
      'packages/client/src/a.test.ts',
      `import { a } from '../../core/src/a.ts'`,
      '../../core/src/a.ts leaves packages/client/',
    ],
  ])('%s: %s is refused', (path, text, problem) => {
    expect(problemsOf({ [path]: text })).toEqual([`${path}:1: ${problem}`])
  })

  test('an import that package.json does not declare is refused', () => {
    const problems = problemsOf({
      'packages/client/package.json': aPackage([]),
      'packages/client/src/a.ts': `\nimport { zxid } from '@corral/protocol'`,
    })

    expect(problems).toEqual([
      'packages/client/src/a.ts:2: @corral/protocol is not among the dependencies of @corral/client',
    ])
  })

  test('a dependency against the arrows or from outside is refused even when nothing imports it', () => {
    const problems = problemsOf({ 'packages/client/package.json': aPackage(['@corral/core', 'ws']) })

    expect(problems).toEqual([
      'packages/client/package.json: client may not depend on @corral/core',
      'packages/client/package.json: client may not depend on ws',
    ])
  })

  test('a package without a row is refused', () => {
    expect(problemsOf({ 'packages/extra/package.json': aPackage([]) })).toEqual([
      'packages/extra: has no row in the import rules',
    ])
  })
})

describe('inside core', () => {
  test('folders import downward and the words that all share', () => {
    const problems = problemsOf({
      'packages/core/src/index.ts': `export * from './server.ts'`,
      'packages/core/src/server.ts': `import './zab/leader.ts'\nimport './log/txn-log.ts'`,
      'packages/core/src/effects.ts': '',
      'packages/core/src/tree/data-tree.ts': '',
      'packages/core/src/zab/leader.ts': `import '../tree/data-tree.ts'\nimport '../effects.ts'`,
      'packages/core/src/log/txn-log.ts': `import '../tree/data-tree.ts'`,
    })

    expect(problems).toEqual([])
  })

  test.each([
    ['zab/leader.ts', '../log/txn-log.ts', 'core/zab may not import core/log'],
    ['log/txn-log.ts', '../election/vote.ts', 'core/log may not import core/election'],
    ['election/vote.ts', '../zab/leader.ts', 'core/election may not import core/zab'],
    ['tree/data-tree.ts', '../request/read.ts', 'core/tree may not import core/request'],
    ['request/read.ts', '../server.ts', 'only index.ts may import server.ts'],
    ['stuff/thing.ts', '../tree/data-tree.ts', 'core/stuff has no row in the import rules'],
  ])('core/src/%s importing %s is refused', (file, specifier, problem) => {
    const path = `packages/core/src/${file}`

    expect(problemsOf({ [path]: `import '${specifier}'` })).toEqual([`${path}:1: ${problem}`])
  })
})

describe('import cycles', () => {
  test('a ring of three files is found, and shown once', () => {
    const problems = problemsOf({
      'packages/server/src/a.ts': `import { b } from './io/b.ts'`,
      'packages/server/src/io/b.ts': `import type { C } from '../c.ts'`,
      'packages/server/src/c.ts': `export * from './a.ts'`,
    })

    expect(problems).toEqual(['packages/server/src/a.ts: import cycle a.ts -> io/b.ts -> c.ts -> a.ts'])
  })

  test('two ways to one file are no cycle', () => {
    const problems = problemsOf({
      'packages/server/src/a.ts': `import './b.ts'\nimport './c.ts'`,
      'packages/server/src/b.ts': `import './d.ts'`,
      'packages/server/src/c.ts': `import './d.ts'`,
      'packages/server/src/d.ts': '',
    })

    expect(problems).toEqual([])
  })
})

describe('time and chance in protocol and core', () => {
  test.each([
    ['const t = Date.now()', 'the clock: Date'],
    ['const t = new Date()', 'the clock: Date'],
    ['const r = Math.random()', 'chance: Math.random'],
    ['async function f() {}', 'a promise: async'],
    ['const f = async () => 1', 'a promise: async'],
    ['class A { async load() {} }', 'a promise: async'],
    ['function f(p: Promise<void>): void {}', 'a promise: Promise'],
    ['const s = `a ${Date.now()} b`', 'the clock: Date'],
    ['setTimeout(f, 1)', 'a timer: setTimeout'],
    ['const cwd = process.cwd()', 'the process: process.'],
    ['const t = performance.now()', 'the process: performance.'],
    ['const r = new WeakRef(o)', "the garbage collector's timing: WeakRef"],
  ])('%s is refused', (text, problem) => {
    const problems = problemsOf({ 'packages/core/src/a.ts': text, 'packages/protocol/src/a.ts': text })

    expect(problems).toEqual([
      `packages/core/src/a.ts:1: core may not touch ${problem}`,
      `packages/protocol/src/a.ts:1: protocol may not touch ${problem}`,
    ])
  })

  test('comments, strings, names that only look alike, tests and other packages may say these words', () => {
    const problems = problemsOf({
      'packages/core/src/a.ts': [
        '// Date.now() and await are not for us',
        "const said = 'Math.random() // await'",
        'this.process(request); txn.async = lastDate',
        'const notTime = /Date.now/.test(said)',
      ].join('\n'),
      'packages/core/src/a.test.ts': 'const started = Date.now()',
      'packages/server/src/a.ts': 'const started = Date.now()',
    })

    expect(problems).toEqual([])
  })
})

describe('reading a source', () => {
  test.each([
    ["a = 'it\\'s' // b", "a = '     '     "],
    ['a /* b\n */ + c', 'a     \n    + c'],
    ['`x ${d + `y ${e}`} z` + f', '`  ${d + `  ${e}`}  ` + f'],
    ['`${{ a: { b } }} ${c}d`', '`${{ a: { b } }} ${c} `'],
    ['a / b / c // d', 'a / b / c     '],
    [`x(/[/'"]'/g)`, `x(        g)`],
  ])('%j is blanked to %j', (text, blanked) => {
    expect(blankText(text)).toBe(blanked)
  })

  test('an import inside a string or a comment is none, and one over several lines is one', () => {
    const text = [
      "// import a from 'a'",
      `const s = "import b from 'b'"`,
      'import {',
      '  c,',
      "} from 'c'",
    ].join('\n')

    expect(findImports(text)).toEqual([{ specifier: 'c', line: 5 }])
  })

  test('a function named from is no import', () => {
    expect(findImports(`Uint8Array.from('a'); from('b')`)).toEqual([])
  })
})
