/** Hostile input at the client port: text that is read as something else than text, or stored otherwise. */
import { readFileSync } from 'node:fs'
import { ErrorCode, OpCode } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { client, creating, rawFrame } from './client-lines.ts'
import { SyncDisk } from './sync-disk.ts'
import { WatchedServer } from './watched-server.ts'

describe('H-07 quotas [CVE-2026-100300]', () => {
  const garbage = [
    '',
    'count',
    '=',
    'count=x,bytes=y',
    'count=1e9,bytes=-',
    '\0\xff',
    'count=9'.repeat(500),
    ',;=,;=',
  ]

  test.each(garbage)('%j as limits or statistics hurts neither writes nor the next start', text => {
    const watched = new WatchedServer({ config: { isQuotaEnforced: true } })
    const line = client(watched)
    const data = Buffer.from(text, 'latin1')
    const errs: number[] = []
    for (const path of ['/q', '/zookeeper/quota/q']) errs.push(watched.ask(line, 1, creating(path)).err)
    for (const name of ['zookeeper_limits', 'zookeeper_stats']) {
      errs.push(watched.ask(line, 2, creating(`/zookeeper/quota/q/${name}`, { data })).err)
      errs.push(
        watched.ask(line, 3, { kind: 'setData', path: `/zookeeper/quota/q/${name}`, data, version: -1 }).err,
      )
    }

    for (const path of ['/q/a', '/q/b']) errs.push(watched.ask(line, 4, creating(path, { data })).err)
    errs.push(watched.ask(line, 5, { kind: 'setData', path: '/q', data, version: -1 }).err)
    errs.push(watched.ask(line, 6, { kind: 'delete', path: '/q/b', version: -1 }).err)
    const again = new WatchedServer({ disk: new SyncDisk(watched.disk.files) })

    expect(errs).toEqual(new Array(errs.length).fill(ErrorCode.Ok))
    expect(again.fatal).toBeUndefined()
    expect(again.server.inspect().znodeCount()).toBe(watched.server.inspect().znodeCount())
  })
})

interface JavaText {
  readonly bytes: string
  readonly stored: string
  readonly units: string
  readonly problem: string | null
}

const javaTexts = (JSON.parse(readFileSync('test/golden/java-text.json', 'utf8')) as { strings: JavaText[] })
  .strings

test('H-23 each path of the corpus is created or refused as by the Java server', () => {
  const watched = new WatchedServer()
  const line = client(watched)
  // The parent decides before the path does: only names directly below the root, and those that exist.
  const paths = javaTexts.filter(({ bytes }) => bytes.lastIndexOf('2f') <= 0 && bytes !== '2f')

  const wrong = paths.filter(({ bytes, problem }) => {
    const path = new Uint8Array(Buffer.from(bytes, 'hex'))
    watched.send(
      line,
      rawFrame(1, OpCode.Create, w => {
        w.buffer(path)
        w.buffer(null)
        w.int32(1)
        w.int32(31)
        w.string('world')
        w.string('anyone')
        w.int32(0)
      }),
    )
    watched.settle()
    const { err } = line.lastReply()
    return problem === null
      ? err !== ErrorCode.Ok && err !== ErrorCode.NodeExists
      : err !== ErrorCode.BadArguments
  })

  expect(wrong).toEqual([])
  expect(paths.length).toBeGreaterThan(200)
})

test('H-24 text of ACLs is stored as the Java server stores it', () => {
  const watched = new WatchedServer()
  const line = client(watched)
  const hash = Buffer.from(':hash')
  // Above U+FFFF Java stores two halves of three bytes each, and cannot read them back.
  const texts = javaTexts.filter(({ units }) => !/d[89ab]..d[c-f]../.test(units))

  const wrong = texts.filter(({ bytes, stored }, i) => {
    watched.send(
      line,
      rawFrame(2, OpCode.Create, w => {
        w.string(`/x${i}`)
        w.buffer(null)
        w.int32(1)
        w.int32(31)
        w.string('digest')
        w.buffer(Buffer.concat([Buffer.from(bytes, 'hex'), hash]))
        w.int32(0)
      }),
    )
    watched.settle()
    return (
      line.lastReply().err !== ErrorCode.Ok ||
      !logHolds(watched, Buffer.concat([Buffer.from(stored, 'hex'), hash]))
    )
  })

  expect(wrong).toEqual([])
})

/** Are these bytes at the end of the log? */
function logHolds(watched: WatchedServer, bytes: Uint8Array): boolean {
  const [, log] = [...watched.disk.files].filter(([key]) => key.startsWith('log/')).at(-1) ?? []
  return (
    log !== undefined &&
    Buffer.from(log.buffer, log.byteOffset, log.length).lastIndexOf(bytes) > log.length - 400
  )
}
