/**
 * Plays the texts in `scenarios/`: what happens, line by line, and what the clients must see.
 *
 *   open a                      a connection
 *   a connect [timeout=ms]      its connect request; `as b [wrong]` takes over the session of b
 *   a > XID KIND PATH [DATA] [key=value …]
 *   a flood XID COUNT KIND PATH the same request many times, with xids from XID on
 *   a < COUNT replies           that many answers, whatever they say
 *   a < TEXT                    the next thing that a sees; `nothing`, `closed`
 *   disk                        everything that the disk was asked for comes back
 *   turn                        the turn of the loop ends
 *   close a | pass MS           the peer goes; time goes
 *   stand still MS              time goes while the process does nothing
 *   still runs | ends TEXT      the server has not come to an end; it has, for a reason that says so
 *   says TEXT                   its log has a line for that
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeUtf8, OpCode, openAcl, type Request } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { OneServer, type Peer } from './one-server.ts'

const folder = join(import.meta.dirname, 'scenarios')

describe('scenarios', () => {
  for (const file of readdirSync(folder).filter(name => name.endsWith('.txt'))) {
    for (const part of readFileSync(join(folder, file), 'utf8').split(/^## /m).slice(1)) {
      const [title = '', ...lines] = part.split('\n')
      test(`${file}: ${title}`, () => play(lines))
    }
  }
})

function play(lines: readonly string[]): void {
  const server = new OneServer()
  const peers = new Map<string, Peer>()
  for (const line of lines.map(text => text.trim()).filter(text => text !== '' && !text.startsWith('#'))) {
    const words = line.split(' ')
    const peer = peers.get(words[0] ?? '')
    if (words[0] === 'open') peers.set(words[1] as string, server.open(peers.size + 1))
    else if (words[0] === 'disk') server.disk()
    else if (words[0] === 'turn') server.turn()
    else if (words[0] === 'pass') server.pass(Number(words[1]))
    else if (words[0] === 'stand') server.standStill(Number(words[2]))
    else if (words[0] === 'still') expect(server.ended, line).toBeUndefined()
    else if (words[0] === 'says') expect(server.said, line).toContain(words.slice(1).join(' '))
    else if (words[0] === 'ends')
      expect(server.ended ?? 'still runs', line).toContain(words.slice(1).join(' '))
    else if (words[0] === 'close')
      server.step({ kind: 'closed', conn: (peers.get(words[1] as string) as Peer).id })
    else if (peer === undefined) throw new Error(`what is "${line}"?`)
    else if (words[1] === 'connect') connect(server, peer, words.slice(2), peers)
    else if (words[1] === 'flood') {
      const [first, count] = [Number(words[2]), Number(words[3])]
      for (let i = 0; i < count; i++) server.request(peer, first + i, request(words.slice(4)))
    } else if (words[2] !== undefined && words[3] === 'replies') {
      const answers = peer.inbox.splice(0, Number(words[2]))
      expect(answers.every(answer => answer.startsWith('reply'))).toBe(true)
      expect(answers).toHaveLength(Number(words[2]))
    } else if (words[1] === '>') server.request(peer, Number(words[2]), request(words.slice(3)))
    else expectNext(peer, words.slice(2).join(' '), line)
  }
}

function connect(server: OneServer, peer: Peer, words: readonly string[], peers: Map<string, Peer>): void {
  const other = words[0] === 'as' ? peers.get(words[1] ?? '')?.welcome : undefined
  const timeout = words.find(word => word.startsWith('timeout='))?.slice(8)
  const password = words[2] === 'wrong' ? new Uint8Array(16).fill(1) : (other?.password ?? null)
  const session = other === undefined ? undefined : { id: other.sessionId, password }
  server.connect(peer, session, timeout === undefined ? undefined : Number(timeout))
}

function expectNext(peer: Peer, expected: string, line: string): void {
  if (expected === 'nothing') expect(peer.inbox, line).toEqual([])
  else if (expected === 'closed') expect(peer.isClosed, line).toBe(true)
  else expect(peer.inbox.shift()?.replace(/ zxid=-?\d+/, ''), line).toBe(expected)
}

function request(words: readonly string[]): Request {
  const [kind = '', path = '/', ...rest] = words
  const options = new Map(rest.filter(w => w.includes('=')).map(w => w.split('=') as [string, string]))
  const text = rest.find(word => !word.includes('='))
  const number = (name: string, otherwise: number): number => Number(options.get(name) ?? otherwise)
  switch (kind) {
    case 'create':
      return {
        kind,
        op: OpCode.Create,
        path,
        data: text === undefined ? null : encodeUtf8(text),
        acl: openAcl,
        flags: number('flags', 0),
      }
    case 'setData':
      return {
        kind,
        path,
        data: text === undefined ? null : encodeUtf8(text),
        version: number('version', -1),
      }
    case 'delete':
      return { kind, path, version: number('version', -1) }
    case 'exists':
    case 'getData':
    case 'getChildren':
      return { kind, path, watch: options.get('watch') === 'true' }
    case 'sync':
    case 'getAllChildrenNumber':
      return { kind, path }
    case 'ping':
    case 'closeSession':
    case 'whoAmI':
      return { kind }
    case 'auth':
      return { kind, scheme: path, auth: encodeUtf8(text ?? '') }
    case 'multi':
      return { kind, ops: [] }
    default:
      throw new Error(`no request ${kind}`)
  }
}
