/** `envi`. What only a JVM has is `<NA>`, as the Java server prints what it cannot know. */
import { arch, homedir, hostname, release, tmpdir, type, userInfo } from 'node:os'
import { zooKeeperVersion } from '../version.ts'

const unknown = '<NA>'
const mebibyte = 1024 * 1024
const javaArchitectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'aarch64', ia32: 'x86' }

/** What the system may not know: containers often run as a user id that nobody has named, without a home. */
export interface Whereabouts {
  userName(): string
  homeDir(): string
  workingDir(): string
}

const ofThisProcess: Whereabouts = {
  userName: () => userInfo().username,
  homeDir: homedir,
  workingDir: () => process.cwd(),
}

export function environment(of: Whereabouts = ofThisProcess): readonly (readonly [string, string])[] {
  const { heapTotal, heapUsed } = process.memoryUsage()
  const heapLimit = process.getBuiltinModule('node:v8').getHeapStatistics().heap_size_limit
  return [
    ['zookeeper.version', zooKeeperVersion],
    ['host.name', hostname()],
    ['java.version', unknown],
    ['java.vendor', unknown],
    ['java.home', unknown],
    ['java.class.path', unknown],
    ['java.library.path', unknown],
    ['java.io.tmpdir', tmpdir()],
    ['java.compiler', unknown],
    ['os.name', type()],
    ['os.arch', javaArchitectures[arch()] ?? arch()],
    ['os.version', release()],
    ['user.name', ifKnown(of.userName)],
    ['user.home', ifKnown(of.homeDir)],
    ['user.dir', ifKnown(of.workingDir)],
    ['os.memory.free', `${Math.trunc((heapTotal - heapUsed) / mebibyte)}MB`],
    ['os.memory.max', `${Math.trunc(heapLimit / mebibyte)}MB`],
    ['os.memory.total', `${Math.trunc(heapTotal / mebibyte)}MB`],
    ['node.version', process.versions.node],
  ]
}

export function environmentText(): string {
  return `Environment:\n${environment()
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')}`
}

function ifKnown(ask: () => string): string {
  try {
    return ask()
  } catch {
    return unknown
  }
}
