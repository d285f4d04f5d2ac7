import { expect, test } from 'vitest'
import { isAtLeast, jsonLine, type LogLine, textLine } from './log-lines.ts'

function aLine(more: Partial<LogLine> = {}): LogLine {
  return {
    wallMs: new Date(2026, 10, 21, 11, 9, 5, 123).getTime(),
    level: 'info',
    what: 'a thing',
    fields: {},
    ...more,
  }
}

test('the ready line is a sentence on a terminal and has its port in JSON', () => {
  const fields = { version: '0.1.0', host: '127.0.0.1', port: 2181, data: './data', startedInMs: 41 }
  const line = aLine({ what: 'serving', fields })

  expect(textLine(line)).toBe(
    '2026-11-21 11:09:05,123 INFO  corral 0.1.0 serves 127.0.0.1:2181 (data in ./data, started in 41 ms)\n',
  )
  expect(JSON.parse(jsonLine(line))).toMatchObject({ what: 'serving', port: 2181, level: 'info' })
})

test('the time on a terminal is that of its place, in JSON that of the world', () => {
  const line = aLine({ wallMs: new Date(2026, 0, 2, 3, 4, 5, 6).getTime() })

  expect(textLine(line)).toBe('2026-01-02 03:04:05,006 INFO  a thing\n')
  expect(JSON.parse(jsonLine(line)).time).toBe(new Date(line.wallMs).toISOString())
})

test('an IPv6 address is set apart from its port', () => {
  const fields = { version: '0.1.0', host: '::', port: 1, data: 'memory', startedInMs: 1 }

  expect(textLine(aLine({ what: 'serving', fields }))).toContain('serves [::]:1 ')
})

test.each([
  ['tickTime', 'tickTime is not set', 'zoo.cfg:3: tickTime is not set'],
  ['foos', 'is unknown; did you mean foos2?', 'zoo.cfg:3: foos is unknown; did you mean foos2?'],
  ['peerType', 'Unrecognised peertype: x', 'zoo.cfg:3: peerType: Unrecognised peertype: x'],
])('a notice about %s reads as a sentence', (key, message, sentence) => {
  const line = aLine({ what: 'configuration', fields: { where: 'zoo.cfg:3', key, message } })

  expect(textLine(line)).toContain(` ${sentence}\n`)
})

test('one event is one line, whatever a peer sent', () => {
  const nasty = 'a\nb\r\u0000\u001b[31m\u202e\u2028\u0085 "q" \ud800'
  const line = aLine({ fields: { path: nasty, id: 0xffff_ffff_ffff_ffffn } })

  const text = textLine(line)
  const json = jsonLine(line)

  for (const written of [text, json]) {
    expect([...written.slice(0, -1)].filter(isUnprintable)).toEqual([])
    expect(written.endsWith('\n')).toBe(true)
  }
  expect(JSON.parse(json)).toMatchObject({ path: nasty, id: '18446744073709551615' })
})

test('an endless name is cut', () => {
  const line = aLine({ fields: { user: 'x'.repeat(1024 * 1024) } })

  expect(jsonLine(line).length).toBeLessThan(500)
  expect(textLine(line)).toContain('… (1048576 chars)')
})

test('a threshold keeps what is at least as severe', () => {
  expect(isAtLeast('warn', 'info')).toBe(true)
  expect(isAtLeast('info', 'info')).toBe(true)
  expect(isAtLeast('debug', 'info')).toBe(false)
})

function isUnprintable(char: string): boolean {
  const code = char.codePointAt(0) ?? 0
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x202e
}
