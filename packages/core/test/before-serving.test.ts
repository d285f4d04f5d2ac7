import { encodeUtf8 } from '@corral/protocol'
import { expect, test } from 'vitest'
import { MemoryFiles } from './memory-files.ts'
import { OneServer } from './one-server.ts'

/** A disk that takes its time. */
class HeldFiles extends MemoryFiles {
  isHeld = true

  override next(): ReturnType<MemoryFiles['next']> {
    return this.isHeld ? undefined : super.next()
  }
}

test('while the data is read, words are answered and clients are turned away, as by the Java server', () => {
  const files = new HeldFiles()
  const server = new OneServer({}, files)

  server.receive(server.open(1), encodeUtf8('ruok'))
  const early = server.open(2)
  server.connect(early)

  expect(server.effects).toContain('command')
  expect(server.server.inspect().isServing).toBe(false)
  expect(early.isClosed).toBe(true)
  expect(early.inbox).toEqual([])
})

test('a connection that was opened meanwhile gets a session when the data is there', () => {
  const files = new HeldFiles()
  const server = new OneServer({}, files)
  const patient = server.open(1)

  files.isHeld = false
  server.disk()
  server.connect(patient)
  server.disk()

  expect(server.server.inspect().isServing).toBe(true)
  expect(patient.inbox).toEqual([expect.stringMatching(/^welcome/)])
})
