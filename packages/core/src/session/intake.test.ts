/** Frames whose own length word is off by one: what follows is shifted, and nothing but the words decides. */
import { readFileSync } from 'node:fs'
import { spaceOf } from '@corral/protocol'
import { expect, test } from 'vitest'
import { defaultConfig } from '../config.ts'
import { Connection } from './connection.ts'
import { Intake } from './intake.ts'

interface Vector {
  readonly id: string
  readonly frames: readonly { readonly from: string; readonly hex: string; readonly fields: string }[]
}

const golden = new URL('../../../../test/golden/client-vectors.json', import.meta.url)
const requests = (JSON.parse(readFileSync(golden, 'utf8')).vectors as readonly Vector[]).flatMap(
  ({ id, frames }) =>
    frames
      .filter(({ from, fields }) => from === 'client' && !fields.includes('protocolVersion'))
      .map(({ hex }) => ({ id, frame: Buffer.from(hex.replaceAll(' ', ''), 'hex') })),
)
const ping = Buffer.from('00000008fffffffe0000000b', 'hex')

/** What the host of an intake is told: frames in hex, and `bad` where one cannot be. */
function cut(pieces: readonly Uint8Array[]): string[] {
  const told: string[] = []
  const connection = new Connection({
    id: 1,
    slot: 0,
    peer: { address: '127.0.0.1', port: 1 },
    now: { monotonicMs: 0, wallMs: 0 },
  })
  connection.phase = 'open'
  const intake = new Intake(defaultConfig, {
    request: (_, space, from, to) => {
      told.push(Buffer.from(space.bytes.subarray(from, to)).toString('hex'))
    },
    badLength: (_, length) => {
      told.push(`bad ${length}`)
      connection.phase = 'ending'
    },
    connect: () => told.push('connect'),
    command: () => told.push('command'),
    abort: () => told.push('abort'),
  })
  for (const piece of pieces) intake.receive(connection, spaceOf(piece), 0, piece.length)
  return told
}

test.each(requests.flatMap(given => [-1, 1].map(off => ({ ...given, off }))))(
  '$id with a length word off by $off',
  ({ frame, off }) => {
    const length = frame.readInt32BE(0)
    const stream = Uint8Array.from([...frame, ...ping, ...frame])
    const space = spaceOf(stream)
    space.view.setInt32(0, length + off)
    const hex = (from: number, to: number): string => Buffer.from(stream.subarray(from, to)).toString('hex')

    // One byte short: the last one becomes the first of the next length word. One byte long: the next word has lost it.
    const first = 4 + length + off
    const next = new DataView(stream.buffer).getInt32(first)
    const expected =
      next < 0 || next > defaultConfig.maxFrameBytes
        ? [hex(4, first), `bad ${next}`]
        : first + 4 + next <= stream.length
          ? [hex(4, first), hex(first + 4, first + 4 + next)]
          : [hex(4, first)]

    expect(cut([stream]).slice(0, 2)).toEqual(expected)
    for (let at = 1; at < stream.length; at++) {
      expect(cut([stream.slice(0, at), stream.slice(at)]).slice(0, 2), `split at ${at}`).toEqual(expected)
    }
  },
)
