import { describe, expect, test } from 'vitest'
import { OpCode } from '../codes.ts'
import { Writer } from '../jute/writer.ts'
import { RequestView } from './request-view.ts'

function read(op: number, write: (w: Writer) => void): { view: RequestView; isWhole: boolean } {
  const w = new Writer()
  w.int32(7)
  w.int32(op)
  write(w)
  const bytes = w.written()
  const view = new RequestView()
  return { view, isWhole: view.readFrame(bytes, new DataView(bytes.buffer), 0, bytes.length) }
}

test('null strings and buffers are ranges at -1', () => {
  const { view, isWhole } = read(OpCode.SetData, w => {
    w.string(null)
    w.buffer(null)
    w.int32(-1)
  })

  expect(isWhole).toBe(true)
  expect([view.pathFrom, view.pathTo, view.dataFrom, view.dataTo]).toEqual([-1, -1, -1, -1])
})

test('empty strings and buffers are empty ranges inside the frame', () => {
  const { view, isWhole } = read(OpCode.SetData, w => {
    w.string('')
    w.buffer(new Uint8Array(0))
    w.int32(-1)
  })

  expect(isWhole).toBe(true)
  expect([view.pathFrom, view.pathTo, view.dataFrom, view.dataTo]).toEqual([12, 12, 16, 16])
})

test.each([
  [-1, -1],
  [-2, -2],
  [-0x80000000, -0x80000000],
  [0, 0],
])('an ACL count of %i has no entries and is kept as it is', (count, aclCount) => {
  const { view, isWhole } = read(OpCode.SetAcl, w => {
    w.string('/')
    w.int32(count)
    w.int32(3)
  })

  expect(isWhole).toBe(true)
  expect([view.aclCount, view.aclTo - view.aclFrom, view.version]).toEqual([aclCount, 4, 3])
})

test('bytes after the record are ignored', () => {
  const { view, isWhole } = read(OpCode.GetData, w => {
    w.string('/a')
    w.byte(9)
    w.int32(-1)
  })

  expect(isWhole).toBe(true)
  expect(view.isWatching).toBe(true)
  expect(view.bodyTo - view.at).toBe(4)
})

test('a body that ends too early still gives xid and op', () => {
  const { view, isWhole } = read(OpCode.Create, w => w.int32(9))

  expect(isWhole).toBe(false)
  expect([view.xid, view.op]).toEqual([7, OpCode.Create])
})

describe('the ops of a multi', () => {
  test('a header that is cut short is no header', () => {
    const { view } = read(OpCode.Multi, w => w.words(0, 0))

    expect(view.readMultiHeader(view.bodyFrom, view.bodyTo)).toBe(false)
  })

  test('any byte but zero ends the list', () => {
    const { view } = read(OpCode.Multi, w => {
      w.int32(OpCode.Check)
      w.byte(2)
      w.int32(-1)
    })

    expect(view.readMultiHeader(view.bodyFrom, view.bodyTo)).toBeUndefined()
    expect(view.at).toBe(view.bodyTo)
  })
})
