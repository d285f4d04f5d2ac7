import { PassThrough, Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { terminalStreams } from './streams.ts'

test('a long output to a terminal, which takes each line at once, lets Ctrl-C be heard', async () => {
  const stdout = new Writable({ write: (_line, _encoding, taken) => taken() })
  const streams = terminalStreams({ stdin: new PassThrough(), stdout, stderr: new PassThrough() })
  let isHeard = false
  setImmediate(() => {
    isHeard = true
  })

  for (let line = 0; line < 10_000 && !isHeard; line++) {
    streams.out('/a/path')
    await streams.drained()
  }

  expect(isHeard).toBe(true)
})
