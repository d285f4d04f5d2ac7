/**
 * Which release of Apache ZooKeeper Corral is compared with: Debian's 3.8.0, or another one, of which the directory of
 * its jars is given, as the 3.9.5 that Corral emulates:
 *
 *     ZOOKEEPER_LIB=~/apache-zookeeper-3.9.5-bin/lib npx vitest run test/interop/differential
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const lib = process.env['ZOOKEEPER_LIB']
const debian = ['/usr/share/java/zookeeper.jar', '/usr/share/java/slf4j-simple.jar']

export const javaClasspath: string = lib === undefined ? debian.filter(existsSync).join(':') : join(lib, '*')

export const javaRelease: string = lib === undefined ? '3.8.0' : releaseIn(lib)

/** @param release - as `3.9.0` */
export function isJavaBefore(release: string): boolean {
  const [ours, theirs] = [javaRelease, release].map(each => each.split('.').map(Number))
  const at = ours?.findIndex((part, i) => part !== theirs?.[i]) ?? -1
  return at >= 0 && (ours?.[at] ?? 0) < (theirs?.[at] ?? 0)
}

function releaseIn(dir: string): string {
  const found = readdirSync(dir).find(name => /^zookeeper-\d+\.\d+\.\d+\.jar$/.test(name))
  if (found === undefined) throw new Error(`ZOOKEEPER_LIB: no zookeeper-N.N.N.jar in ${dir}`)
  return found.slice('zookeeper-'.length, -'.jar'.length)
}
