import { expect, test } from 'vitest'
import type { LogLine } from './log-lines.ts'
import { logOutput, mostUnreadBytes } from './log-output.ts'

const line: LogLine = { wallMs: 0, level: 'info', what: 'event', fields: {} }

test('a log that nobody reads is not kept without end; what was left out is counted when somebody does', () => {
  const written: string[] = []
  const stream = { writableLength: 0, write: (text: string) => written.push(text) > 0 }
  const write = logOutput(stream, ({ level, what, fields }) => `${level} ${what} ${JSON.stringify(fields)}`)

  write(line)
  stream.writableLength = mostUnreadBytes
  for (let i = 0; i < 3; i++) write(line)
  stream.writableLength = 0
  for (let i = 0; i < 2; i++) write(line)

  expect(written).toEqual([
    'info event {}',
    'warn lines were left out, for nobody read the log {"lines":3}',
    'info event {}',
    'info event {}',
  ])
})
