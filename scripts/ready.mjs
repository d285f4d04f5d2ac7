/**
 * Makes a checkout ready to run: installs when what is installed is not what the lock file asks for, compiles the
 * server and the command line, bundles each into one file. Says nothing when there is nothing to do.
 *
 * Runs before node_modules exists, so it uses nothing but Node. The stamp carries the time at which the build
 * began: a source saved meanwhile counts as newer. It lives in node_modules, so that a new installation is
 * always followed by a new build.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const stamp = 'node_modules/.corral-ready'

const server = {
  project: 'packages/server',
  source: 'src/main.ts',
  compiled: 'dist/main.js',
  bundle: 'corral-server.code.cjs',
}
const cli = {
  project: 'packages/cli',
  source: 'src/main.ts',
  compiled: 'dist/main.js',
  bundle: 'corral-cli.cjs',
}
const bundles = [server, cli]

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
requireNode(20, 19)
if (isStale()) await makeReady()

async function makeReady() {
  const startedAt = new Date()
  requireWritable()
  if (!isInstalled()) {
    say('installing packages')
    run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'])
  }
  say('compiling')
  run(process.execPath, ['node_modules/typescript/bin/tsc', '-b', ...bundles.map(({ project }) => project)])
  for (const each of bundles) await bundle(each)
  await cacheCode()
  writeFileSync(stamp, '')
  utimesSync(stamp, startedAt, startedAt)
}

/** @param {typeof bundles[number]} what */
async function bundle({ project, source, compiled, bundle }) {
  const outFile = join(project, 'bundle', bundle)
  if (!existsSync(join(project, source))) {
    say(`${project} has no ${source} yet: not bundled`)
    rmSync(outFile, { force: true })
    return
  }
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    entryPoints: [join(project, compiled)],
    outfile: outFile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    // CommonJS starts a fifth sooner than an ES module, and a smaller file sooner still. Names stay, for profiles.
    format: 'cjs',
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'warning',
    write: false,
  })
  mkdirSync(dirname(outFile), { recursive: true })
  // Renamed into place: a process that starts meanwhile sees the old bundle or the new one, never half of one.
  for (const { path, contents } of outputFiles) {
    writeFileSync(`${path}.${process.pid}`, contents)
    renameSync(`${path}.${process.pid}`, path)
  }
}

/** Puts the starter beside the server's bundle and lets one short run, in a directory of its own, write the cache. */
async function cacheCode() {
  const starter = join(server.project, 'bundle', 'corral-server.cjs')
  rmSync(join(server.project, 'bundle', 'corral-server.code.cache'), { force: true })
  copyFileSync('scripts/cached-start.cjs', `${starter}.${process.pid}`)
  renameSync(`${starter}.${process.pid}`, starter)
  const scratch = mkdtempSync(join(tmpdir(), 'corral-cache-'))
  try {
    const run = spawn(process.execPath, [starter, 'server', '--client-port', '0', '--data-dir', scratch], {
      env: { ...process.env, CORRAL_WRITE_CODE_CACHE: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const timer = setTimeout(() => run.kill('SIGKILL'), 10_000)
    run.stdout.on('data', line => {
      if (String(line).includes('"serving"')) run.kill('SIGTERM')
    })
    await once(run, 'exit')
    clearTimeout(timer)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function isStale() {
  const found = spawnSync('sh', ['scripts/stale.sh'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (found.error) throw found.error
  return found.status !== 0 || found.stdout !== ''
}

/**
 * Compares contents, not times: a checkout that touches the lock file does not have to install again.
 * Packages for other platforms are in the lock file and rightly not installed.
 */
function isInstalled() {
  if (!existsSync('node_modules/.package-lock.json')) return false
  const wanted = lockedPackages('package-lock.json')
  const installed = lockedPackages('node_modules/.package-lock.json')
  return Object.entries(wanted)
    .filter(([path]) => path.includes('node_modules/'))
    .every(([path, { version, optional }]) => {
      const found = installed[path]
      return found === undefined ? optional === true : found.version === version
    })
}

/**
 * @param {string} file
 * @returns {Record<string, { version?: string, optional?: boolean }>}
 */
function lockedPackages(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages
}

/**
 * Standard output belongs to the command that is made ready, so everything said here goes to standard error.
 *
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const { error, status, signal } = spawnSync(command, args, { stdio: ['ignore', 2, 2] })
  if (error) throw error
  if (status === 0) return
  say(
    `${command} ${args.join(' ')} ${signal === null ? `failed with exit code ${status}` : `was ended by ${signal}`}`,
  )
  process.exit(1)
}

/**
 * @param {number} major
 * @param {number} minor
 */
function requireNode(major, minor) {
  const [haveMajor = 0, haveMinor = 0] = process.versions.node.split('.').map(Number)
  if (haveMajor > major || (haveMajor === major && haveMinor >= minor)) return
  say(`needs Node ${major}.${minor} or newer, and this is ${process.versions.node}`)
  process.exit(1)
}

/** Who runs what somebody else has checked out should not have to guess it from a compiler's words. */
function requireWritable() {
  const packages = readdirSync('packages').map(name => join('packages', name))
  const built = packages.flatMap(path => [path, join(path, 'dist'), join(path, 'bundle')])
  for (const path of ['.', 'node_modules', ...built]) {
    try {
      accessSync(path, constants.W_OK)
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error)
      if (code === 'ENOENT') continue // its parent says whether it can be made
      say(
        `the build is missing or older than its sources, and ${resolve(path)} may not be written (${code}). ` +
          "Run 'npm run build' as somebody who may, or in a copy",
      )
      process.exit(1)
    }
  }
}

/** @param {string} text */
function say(text) {
  process.stderr.write(`corral: ${text}\n`)
}
