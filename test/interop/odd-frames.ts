/**
 * Requests that no typed value is: paths that are null or no UTF-8, lists whose ops may not stand there or that have
 * no end, counts below zero. Built from the primitive types alone.
 */
import { OpCode, openAcl, type Request, Writer, writeAclList, zxid } from '@corral/protocol'
import type { Sent } from './steps.ts'

export type Field = (w: Writer) => void

/** Null, text, or the bytes of what may be no text. */
export function text(value: string | null | readonly number[]): Field {
  return w => {
    if (value === null) return w.int32(-1)
    const bytes = typeof value === 'string' ? Buffer.from(value) : Buffer.from(value)
    w.int32(bytes.length)
    for (const byte of bytes) w.byte(byte)
  }
}

export function int(value: number): Field {
  return w => w.int32(value)
}

export function long(value: bigint): Field {
  return w => w.int64(value)
}

export function byte(value: number): Field {
  return w => w.byte(value)
}

export const openAclField: Field = w => writeAclList(w, openAcl)

/** @param like - the request that the comparison takes it for */
export function frame(op: number, fields: readonly Field[], like: Request = { kind: 'whoAmI' }): Sent {
  const w = new Writer()
  for (const field of fields) field(w)
  return { request: like, op, mutation: { kind: 'body', hex: Buffer.from(w.written()).toString('hex') } }
}

function header(type: number, done = 0): Field {
  return w => {
    w.int32(type)
    w.byte(done)
    w.int32(-1)
  }
}

const end = header(-1, 1)

const list: (...fields: Field[]) => Field = (...fields) => {
  return w => {
    for (const field of fields) field(w)
  }
}

const ops = {
  create: (path: string, flags = 0): Field =>
    list(header(OpCode.Create), text(path), text('d'), openAclField, int(flags)),
  delete: (path: string | null): Field => list(header(OpCode.Delete), text(path), int(-1)),
  setData: (path: string | null): Field => list(header(OpCode.SetData), text(path), text('z'), int(-1)),
  check: (path: string | null, version = -1): Field => list(header(OpCode.Check), text(path), int(version)),
  getData: (path: string | null): Field => list(header(OpCode.GetData), text(path), byte(1)),
  getChildren: (path: string | null): Field => list(header(OpCode.GetChildren), text(path), byte(1)),
}

const multi = (...fields: Field[]): Sent => frame(OpCode.Multi, fields)
const multiRead = (...fields: Field[]): Sent => frame(OpCode.MultiRead, fields)

/** With `/a` there, each leaves the tree as it is, or sets `/a`. */
export const oddMultis: readonly Sent[] = [
  ...[multi(), multi(byte(0)), multi(ops.setData('/a')), multi(ops.setData('/a'), header(-1))],
  ...[multi(end), multi(end, byte(7)), multi(header(OpCode.Create, 1)), multi(header(99, 2))],
  multi(ops.setData('/a'), header(99, 1), byte(7)),
  multi(ops.setData('/a'), header(OpCode.Multi), ops.setData('/a'), end, end),
  ...[OpCode.Multi, OpCode.DeleteContainer, OpCode.Error, OpCode.CloseSession, 0, 99].map(type =>
    multi(ops.setData('/a'), header(type), text('/a'), end),
  ),
  multi(header(OpCode.SetAcl), text('/a'), openAclField, int(-1), end),
  multi(header(OpCode.Exists), text('/a'), byte(0), end),
  multi(header(OpCode.Reconfig), text(null), text(null), text(null), long(-1n), end),
  ...[multi(ops.getData('/a'), end), multi(ops.getChildren('/a'), end)],
  ...[multi(ops.getData('/a'), ops.setData('/a'), end), multi(ops.setData('/a'), ops.getData('/a'), end)],
  multi(ops.setData('/a'), ops.check('/a', 999_999), ops.delete('/a'), ops.setData('/nothing'), end),
  ...['', '/', 'a', '/a/', '//', '/a//b'].map(path => multi(ops.check(path), end)),
  ...['', 'a', '/', '//', '/zookeeper', '/zookeeper/quota'].map(path => multi(ops.delete(path), end)),
  multi(header(OpCode.Create), text('/n'), text('d'), int(-2), int(0), end),
]

/** The Java server finds them only when it has begun: it takes a zxid that it never speaks of, and half a reply. */
export const nullPathMultis: readonly Sent[] = [
  multi(ops.setData(null), end),
  multi(ops.setData('/a'), ops.check(null), end),
  multi(ops.delete(null), end),
]

export const oddMultiReads: readonly Sent[] = [
  ...[multiRead(), multiRead(end), multiRead(ops.getData('/a')), multiRead(ops.getData('/a'), header(4, 1))],
  multiRead(ops.getChildren('/a'), ops.getData('/nothing'), ops.getChildren('/nothing'), end),
  ...['', 'a', '/a/', '//', '/a\0'].map(path => multiRead(ops.getChildren(path), ops.getChildren(path), end)),
  multiRead(ops.getData('/a'), header(OpCode.Exists), text('/a'), byte(0), end),
  multiRead(header(OpCode.GetChildren2), text('/a'), byte(0), end),
  multiRead(header(OpCode.GetAcl), text('/a'), end),
  ...[OpCode.MultiRead, OpCode.Error, 99].map(type => multiRead(header(type), end, end)),
  ...[
    multiRead(ops.getData('/a'), ops.setData('/a'), end),
    multiRead(ops.setData('/a'), ops.getData('/a'), end),
  ],
  ...[multiRead(ops.setData('/a'), end), multiRead(ops.check('/a'), ops.delete('/a'), end)],
  multiRead(ops.create('/n', 1), end),
  multiRead(ops.getChildren('/nothing'), ops.getChildren(null), ops.getChildren('/a'), end),
  multiRead(ops.getData(null), end),
]

const watchLists = (op: number, ...fields: Field[]): Sent =>
  frame(op, fields, { kind: 'setWatches', relativeZxid: zxid(-1n), data: [], exist: [], child: [] })
const paths = (...of: string[]): Field => list(int(of.length), ...of.map(text))

/** Lists that say things twice, that are cut short, or whose count is below zero. */
export const oddWatchLists: readonly Sent[] = [
  watchLists(
    OpCode.SetWatches,
    ...[
      long(0n),
      paths('/b', '/a', '/a', '/no', '', '/b'),
      paths('/b', '/b', '/no', '/no'),
      paths('/b', '/b'),
    ],
  ),
  watchLists(OpCode.SetWatches, long(-1n), paths('/b'), paths(), paths('/b')),
  watchLists(OpCode.SetWatches, long(-0x8000_0000_0000_0000n), paths('/b'), paths(), paths('/b')),
  watchLists(OpCode.SetWatches, long(0x7fff_ffff_ffff_ffffn), paths('/b'), paths('/no'), paths('/b')),
  watchLists(
    OpCode.SetWatches,
    long(0x1_0000_0000n),
    paths('x', '/a/', '//'),
    paths('x', '/a/'),
    paths('/a/'),
  ),
  watchLists(OpCode.SetWatches, long(0n), int(-2), int(-5), int(-0x8000_0000)),
  ...[watchLists(OpCode.SetWatches), watchLists(OpCode.SetWatches, long(0n))],
  watchLists(OpCode.SetWatches, long(0n), paths('/b'), paths()),
  watchLists(OpCode.SetWatches, long(0n), int(1), int(-2), paths(), paths()),
  watchLists(OpCode.SetWatches, long(0n), int(-1), paths(), paths()),
  watchLists(OpCode.SetWatches2, long(0n), paths(), paths(), paths()),
  watchLists(OpCode.SetWatches2, long(0n), int(-1), paths(), paths(), paths(), paths()),
  watchLists(OpCode.SetWatches2, long(0n), paths(), paths(), paths(), paths('/p', '/p'), paths('/r', '/r')),
  watchLists(OpCode.SetWatches2, long(0n), paths(), paths(), paths(), paths(), paths(), byte(9)),
]

/** What the other opcodes may carry. */
export const oddBodies: readonly Sent[] = [
  ...[OpCode.Exists, OpCode.GetData, OpCode.GetChildren, OpCode.GetChildren2].flatMap(op => [
    frame(op, [text(null), byte(1)]),
    frame(op, [text('/a')]),
  ]),
  ...[OpCode.GetAcl, OpCode.GetAllChildrenNumber].map(op => frame(op, [text(null)])),
  frame(OpCode.Sync, [text(null)]),
  frame(OpCode.GetEphemerals, [text(null)]),
  ...[-1, 2, 7, 0x7fff_ffff].map(mode => frame(OpCode.AddWatch, [text('/a'), int(mode)])),
  ...[frame(OpCode.AddWatch, [text('/a')]), frame(OpCode.CheckWatches, [text('/a')])],
  ...[2, 9].flatMap(type => [
    frame(OpCode.CheckWatches, [text(null), int(type)]),
    frame(OpCode.RemoveWatches, [text(null), int(type)]),
  ]),
  frame(OpCode.Delete, [text(null), int(-1)]),
  frame(OpCode.SetData, [text(null), text('x'), int(-1)]),
  frame(OpCode.SetAcl, [text(null), openAclField, int(-1)]),
  frame(OpCode.SetAcl, [text('/a'), int(-7), int(-1)]),
  frame(OpCode.Create, [text(null), text('x'), openAclField, int(0)]),
  frame(OpCode.Create, [text('/n'), text('x'), int(-2), int(0)]),
  frame(OpCode.Create, [text('/n'), text('x'), openAclField]),
  frame(OpCode.CreateTtl, [text('/n'), text('x'), openAclField, int(5)]),
  frame(OpCode.CreateTtl, [text('/n'), text('x'), openAclField, int(0), long(5n)]),
]

/** Malformed, overlong, cut and surrogate forms; each the bytes behind a slash. */
const notUtf8: readonly (readonly number[])[] = [
  ...[[0xc0, 0xaf], [0xff], [0xc3], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]],
  ...[[0xf0, 0x9f, 0x98, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x80], [0xc0, 0x80], [0xfe, 0x61]],
]

/** Every request that has a path, with one that is no UTF-8. */
export const badPaths: readonly Sent[] = notUtf8.flatMap(bytes => {
  const path = text([0x2f, ...bytes])
  return [
    frame(OpCode.Create, [path, text('d'), openAclField, int(0)]),
    frame(OpCode.Create, [path, text('d'), openAclField, int(2)]),
    frame(OpCode.SetData, [path, text('d'), int(-1)]),
    frame(OpCode.SetAcl, [path, openAclField, int(-1)]),
    frame(OpCode.Delete, [path, int(-1)]),
    frame(OpCode.GetData, [path, byte(1)]),
    frame(OpCode.Exists, [path, byte(1)]),
    frame(OpCode.GetAcl, [path]),
    frame(OpCode.AddWatch, [path, int(0)]),
    frame(OpCode.CheckWatches, [path, int(3)]),
    frame(OpCode.RemoveWatches, [path, int(3)]),
    multi(header(OpCode.Delete), path, int(-1), end),
    multiRead(header(OpCode.GetData), path, byte(0), end),
  ]
})
