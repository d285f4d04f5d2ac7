/** What of Apache ZooKeeper must be installed for a suite, and what happens where it is not. */
import { existsSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { describe, test } from 'vitest'

export interface Software {
  readonly name: string
  /** Programs must be found by their names too: scripts and compilers start one another so. */
  readonly files: readonly string[]
  /** The line that installs it on Debian. */
  readonly apt: string
}

export const java: Software = {
  name: 'a Java runtime',
  files: ['/usr/bin/java'],
  apt: 'apt-get install default-jre-headless',
}

export const javaZooKeeper: Software = {
  name: 'Apache ZooKeeper (Java)',
  files: ['/usr/share/java/zookeeper.jar', '/usr/share/zookeeper/bin/zkCli.sh', '/usr/bin/bash'],
  apt: 'apt-get install zookeeper',
}

export const kazoo: Software = {
  name: 'kazoo (Python)',
  files: ['/usr/bin/python3', '/usr/lib/python3/dist-packages/kazoo/client.py'],
  apt: 'apt-get install python3-kazoo',
}

export const cliMt: Software = {
  name: 'the C client cli_mt',
  files: ['/usr/lib/zookeeper/bin/cli_mt'],
  apt: 'apt-get install zookeeper-bin',
}

export const cLibrary: Software = {
  name: 'the C client library and a C compiler',
  files: ['/usr/bin/gcc', '/usr/bin/as', '/usr/bin/ld', '/usr/include/zookeeper/zookeeper.h'],
  apt: 'apt-get install gcc libc6-dev libzookeeper-mt-dev',
}

/** A suite that needs other people's software. */
export function describeWith(needs: readonly Software[], name: string, body: () => void): void {
  const missing = needs.filter(need => !need.files.every(isThere))
  describeUnless(
    missing.map(need => `${need.name} is not installed; ${need.apt}`),
    name,
    body,
  )
}

/**
 * A suite that cannot run everywhere. Where something is missing it fails under CI; elsewhere it is skipped, and the
 * report after the tests says what is missing.
 */
export function describeUnless(missing: readonly string[], name: string, body: () => void): void {
  if (missing.length === 0) {
    describe(name, body)
    return
  }
  const reason = missing.join('; ')
  if (process.env['CI'] === 'true') {
    test(name, () => {
      throw new Error(reason)
    })
    return
  }
  test(name, context => context.skip(reason))
}

function isThere(file: string): boolean {
  if (!existsSync(file)) return false
  if (dirname(file) !== '/usr/bin') return true
  const path = process.env['PATH']?.split(delimiter) ?? []
  return path.some(dir => existsSync(join(dir, basename(file))))
}
