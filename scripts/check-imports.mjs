/**
 * Checks what the compiler cannot: which package and which folder of core may import which, import cycles
 * between files, and that nothing in protocol or core reads a clock, takes a chance or waits for a promise.
 * The rules are data at the top; a new row there is a decision (docs/adr/).
 *
 * Reads the sources as text. Comments, and what stands inside strings, regular expressions and templates, are
 * blanked first, so they neither hide an import nor look like one. An `import type` counts like any import: it
 * couples just as much.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, sep } from 'node:path'
import { pathToFileURL } from 'node:url'

/** @typedef {{ specifier: string, line: number }} Import */
/** @typedef {{ path: string, text: string, code: string, imports: Import[], isTest: boolean }} SourceFile */

/** Who may import whom, arrows followed to their end. @type {Record<string, string[]>} */
const packageMayImport = {
  protocol: [],
  core: ['protocol'],
  server: ['protocol', 'core'],
  client: ['protocol'],
  cli: ['protocol', 'client'],
  sim: ['protocol', 'core', 'client'],
}

/**
 * Inside core. Files directly in src are the words that all folders share, except `server.ts`, which composes
 * the machines and which nobody but `index.ts` imports. @type {Record<string, string[]>}
 */
const coreFolderMayImport = {
  tree: [],
  quorum: [],
  log: ['tree', 'quorum'],
  zab: ['tree', 'quorum'],
  election: ['tree', 'quorum'],
  session: ['tree', 'quorum', 'request'],
  request: ['tree', 'quorum', 'session'],
}
const coreComposers = ['server', 'index']

const pure = ['protocol', 'core']

/** What the compiler lets pass and determinism does not. */
const impure = [
  { what: 'the clock', pattern: /(?<![.#\w$])Date\b/g },
  { what: 'chance', pattern: /(?<![.#\w$])Math\s*\.\s*random\b/g },
  { what: 'a promise', pattern: /(?<![.#\w$])(?:await\b|Promise\b)/g },
  { what: 'a promise', pattern: /(?<![.#\w$])async\b(?=\s*(?:\*|\(|function\b|#?[\w$]+\s*(?:\(|=>)))/g },
  { what: 'a timer', pattern: /(?<![.#\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/g },
  { what: 'the process', pattern: /(?<![.#\w$])(?:process|performance|globalThis)\s*\./g },
  { what: "the garbage collector's timing", pattern: /(?<![.#\w$])(?:WeakRef|FinalizationRegistry)\b/g },
]

/**
 * @param {string} root - a checkout
 * @returns {string[]} one line per problem, `file:line: what`, in the order of packages and files
 */
export function checkImports(root) {
  return readdirSync(join(root, 'packages'))
    .filter(name => existsSync(join(root, 'packages', name, 'package.json')))
    .sort()
    .flatMap(name => checkPackage(root, name))
}

/**
 * @param {string} root
 * @param {string} name
 */
function checkPackage(root, name) {
  const folder = `packages/${name}`
  const allowed = packageMayImport[name]
  if (allowed === undefined) return [`${folder}: has no row in the import rules`]
  const declared = declaredDependencies(join(root, folder, 'package.json'))
  const files = readSources(root, folder)
  return [
    ...declared
      .filter(dependency => !allowed.some(other => dependency === `@corral/${other}`))
      .map(dependency => `${folder}/package.json: ${name} may not depend on ${dependency}`),
    ...files.flatMap(file => checkFile({ file, name, allowed, declared })),
    ...findCycles(files.filter(({ isTest }) => !isTest)),
  ]
}

/** @param {{ file: SourceFile, name: string, allowed: string[], declared: string[] }} given */
function checkFile({ file, name, allowed, declared }) {
  const problems = file.imports.flatMap(({ specifier, line }) => {
    const refusal = specifier.startsWith('.')
      ? refuseRelative(file, name, specifier)
      : refuseBare({ file, name, specifier, allowed, declared })
    return refusal === undefined ? [] : [`${file.path}:${line}: ${refusal}`]
  })
  if (pure.includes(name) && !file.isTest) problems.push(...findImpure(file, name))
  return problems
}

/** @param {{ file: SourceFile, name: string, specifier: string, allowed: string[], declared: string[] }} given */
function refuseBare({ file, name, specifier, allowed, declared }) {
  if (specifier.startsWith('@corral/')) {
    const [, target = '', ...inner] = specifier.split('/')
    if (inner.length > 0) return `${specifier} reaches past the index of @corral/${target}`
    if (!allowed.includes(target)) return `${name} may not import ${specifier}`
    if (!declared.includes(specifier)) return `${specifier} is not among the dependencies of @corral/${name}`
    return undefined
  }
  if (file.isTest) return undefined
  if (!specifier.startsWith('node:'))
    return `${specifier} is neither a package of Corral nor a module of Node`
  return pure.includes(name) ? `${name} may not import ${specifier}` : undefined
}

/**
 * @param {SourceFile} file
 * @param {string} name
 * @param {string} specifier
 */
function refuseRelative(file, name, specifier) {
  const target = resolveRelative(file.path, specifier)
  const home = file.isTest ? `packages/${name}/` : `packages/${name}/src/`
  if (!target.startsWith(home)) return `${specifier} leaves ${home}`
  return name === 'core' && !file.isTest ? refuseInCore(file.path, target) : undefined
}

/**
 * @param {string} from
 * @param {string} to
 */
function refuseInCore(from, to) {
  const importer = placeInCore(from)
  const imported = placeInCore(to)
  if (imported.composes && !importer.composes) return `only index.ts may import ${imported.file}.ts`
  if (importer.folder === undefined || imported.folder === undefined) return undefined
  if (importer.folder === imported.folder) return undefined
  const allowed = coreFolderMayImport[importer.folder]
  if (allowed === undefined) return `core/${importer.folder} has no row in the import rules`
  return allowed.includes(imported.folder)
    ? undefined
    : `core/${importer.folder} may not import core/${imported.folder}`
}

/** @param {string} path */
function placeInCore(path) {
  const parts = path.slice('packages/core/src/'.length).split('/')
  const file = (parts.at(-1) ?? '').replace(/\.ts$/, '')
  const folder = parts.length > 1 ? parts[0] : undefined
  return { folder, file, composes: folder === undefined && coreComposers.includes(file) }
}

/**
 * @param {SourceFile} file
 * @param {string} name
 */
function findImpure(file, name) {
  return impure.flatMap(({ what, pattern }) =>
    [...file.code.matchAll(pattern)].map(
      ({ index, 0: found }) =>
        `${file.path}:${lineAt(file.code, index)}: ${name} may not touch ${what}: ${found}`,
    ),
  )
}

/**
 * One problem per ring: depth first, and an import of a file that is still on the path closes a ring.
 *
 * @param {SourceFile[]} files
 */
function findCycles(files) {
  const byPath = new Map(files.map(file => [file.path, file]))
  const done = new Set()
  /** @type {string[]} */
  const path = []
  /** @type {string[]} */
  const problems = []

  /** @param {string} at */
  const visit = at => {
    const file = byPath.get(at)
    if (file === undefined || done.has(at)) return
    const start = path.indexOf(at)
    if (start >= 0) {
      problems.push(
        `${at}: import cycle ${[...path.slice(start), at].map(each => each.split('/src/')[1]).join(' -> ')}`,
      )
      return
    }
    path.push(at)
    for (const { specifier } of file.imports) {
      if (specifier.startsWith('.')) visit(resolveRelative(at, specifier))
    }
    path.pop()
    done.add(at)
  }

  for (const { path: start } of files) visit(start)
  return problems
}

/**
 * @param {string} root
 * @param {string} folder
 * @returns {SourceFile[]}
 */
function readSources(root, folder) {
  return ['src', 'test']
    .filter(part => existsSync(join(root, folder, part)))
    .flatMap(part =>
      readdirSync(join(root, folder, part), { recursive: true, encoding: 'utf8' })
        .map(name => `${folder}/${part}/${name.split(sep).join('/')}`)
        .filter(path => path.endsWith('.ts'))
        .sort()
        .map(path => {
          const text = readFileSync(join(root, path), 'utf8')
          const code = blankText(text)
          const isTest = part === 'test' || path.endsWith('.test.ts')
          return { path, text, code, imports: findImports(text, code), isTest }
        }),
    )
}

/**
 * A string directly after `from`, `import` or `import(` occurs in nothing but an import or a re-export.
 *
 * @param {string} text
 * @param {string} code - `text` with the insides of its strings blanked, position by position
 * @returns {Import[]}
 */
export function findImports(text, code = blankText(text)) {
  return [...code.matchAll(/(?<![.#\w$])(?:from|import\s*\(|import)\s*(['"`])\s*\1/g)].map(
    ({ index, 0: found, 1: quote }) => {
      const start = index + found.indexOf(/** @type {string} */ (quote)) + 1
      return { specifier: text.slice(start, index + found.length - 1), line: lineAt(text, index) }
    },
  )
}

/**
 * Replaces comments, and the insides of strings, regular expressions and templates, with spaces; keeps every
 * position and line. Code between `${` and `}` stays.
 *
 * @param {string} text
 */
export function blankText(text) {
  // What a slash follows decides: after a value it divides, anywhere else it begins a regular expression.
  const token =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\[\s\S]|[^'\\\n])*'|"(?:\\[\s\S]|[^"\\\n])*"|(?<=(?:^|[(,=:[!&|?{};+\-*%~^<>\n]|\b(?:return|typeof|case|in|of))[ \t]*)\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/|[`{}]/g
  const blanked = text.split('')
  /** Brace depth at which each open `${` closes again. @type {number[]} */
  const templates = []
  let depth = 0

  /** @param {number} from @param {number} to */
  const blank = (from, to) => {
    for (let at = from; at < to; at++) if (blanked[at] !== '\n') blanked[at] = ' '
  }
  /** From just inside a template to its end or its next `${`. @param {number} from */
  const skipTemplate = from => {
    const end = /(?:\\[\s\S]|\$(?!\{)|[^\\`$])*/y
    end.lastIndex = from
    end.exec(text)
    blank(from, end.lastIndex)
    if (text[end.lastIndex] === '`') return end.lastIndex + 1
    templates.push(depth)
    depth++
    return end.lastIndex + 2
  }

  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const [{ length }] = found
    const first = found[0][0]
    if (length > 1) {
      const keepsQuotes = first !== '/'
      blank(found.index + (keepsQuotes ? 1 : 0), found.index + length - (keepsQuotes ? 1 : 0))
    } else if (first === '`') token.lastIndex = skipTemplate(found.index + 1)
    else if (first === '{') depth++
    else if (--depth === templates.at(-1)) {
      templates.pop()
      token.lastIndex = skipTemplate(found.index + 1)
    }
  }
  return blanked.join('')
}

/**
 * @param {string} importer
 * @param {string} specifier
 */
function resolveRelative(importer, specifier) {
  return normalize(join(dirname(importer), specifier))
    .split(sep)
    .join('/')
}

/** @param {string} file */
function declaredDependencies(file) {
  return Object.keys(JSON.parse(readFileSync(file, 'utf8')).dependencies ?? {})
}

/**
 * @param {string} text
 * @param {number} index
 */
function lineAt(text, index) {
  return text.slice(0, index).split('\n').length
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const problems = checkImports(process.cwd())
  for (const problem of problems) console.error(problem)
  process.exitCode = problems.length === 0 ? 0 : 1
}
