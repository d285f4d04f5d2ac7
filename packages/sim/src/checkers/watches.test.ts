import {
  AddWatchMode,
  EventType,
  encodeUtf8,
  OpCode,
  openAcl,
  type Request,
  type Stat,
  sessionId,
  WatcherType,
  zxid,
} from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { eventsOf, MadeHistory, settings, spoil } from '../../test/made-history.ts'
import type { ConnectionRecord } from '../history.ts'
import { checkWatches, type WatchVerdict } from './watches.ts'
import { replayHistory } from './witness.ts'

const stat: Stat = {
  czxid: zxid(0n),
  mzxid: zxid(0n),
  ctime: 0,
  mtime: 0,
  version: 0,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: sessionId(0n),
  dataLength: 0,
  numChildren: 0,
  pzxid: zxid(0n),
}

class Scene {
  readonly history: MadeHistory = new MadeHistory()
  readonly ann: ConnectionRecord = this.history.connect('ann', 100n) // zxid 1
  readonly bob: ConnectionRecord = this.history.connect('bob', 200n) // zxid 2

  /** Bob changes something; the caller says what Ann hears. @returns its zxid */
  create(path: string, acl = openAcl): bigint {
    const { history, bob } = this
    const parent = path.slice(0, path.lastIndexOf('/')) || '/'
    const made = history.committed.filter(
      ({ txn }) => txn.body.kind === 'create' && parentOf(txn.body.path) === parent,
    )
    const request: Request = { kind: 'create', op: OpCode.Create, path, data: encodeUtf8(''), acl, flags: 0 }
    const op = history.ask(bob, request)
    const body = {
      kind: 'create',
      type: OpCode.Create,
      path,
      data: encodeUtf8(''),
      acl,
      isEphemeral: false,
      parentCversion: made.length + 1,
    } as const
    const id = history.commit(body, sessionId(200n), op.xid)
    history.answer(op, id, { kind: 'path', path })
    return id
  }

  set(path: string, version: number): bigint {
    const op = this.history.ask(this.bob, { kind: 'setData', path, data: null, version: -1 })
    const id = this.history.commit({ kind: 'setData', path, data: null, version }, sessionId(200n), op.xid)
    this.history.answer(op, id, { kind: 'stat', stat })
    return id
  }

  delete(path: string): bigint {
    const op = this.history.ask(this.bob, { kind: 'delete', path, version: -1 })
    const id = this.history.commit({ kind: 'delete', path }, sessionId(200n), op.xid)
    this.history.answer(op, id)
    return id
  }

  /** Ann's requests that are answered with nothing of interest here. */
  ann_(request: Request, err = 0): void {
    this.history.read(this.ann, request, { kind: 'none' }, err)
  }

  hears(at: bigint, type: number, path: string): void {
    this.history.event(this.ann, at, type, path)
  }

  sync(): void {
    this.ann_({ kind: 'sync', path: '/' })
  }

  judge(): WatchVerdict {
    const { history } = this
    const replay = replayHistory({ history, committed: history.committed, settings })
    return checkWatches({ history, replay, superDigest: undefined })
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

/** An exists watch, a data watch, a child watch and a recursive one, and what they bring. */
function aGoodScene(): Scene {
  const scene = new Scene()
  scene.ann_({ kind: 'exists', path: '/a', watch: true }, -101)
  scene.ann_({ kind: 'getChildren', path: '/', watch: true })
  const made = scene.create('/a') // 3
  scene.hears(made, EventType.NodeCreated, '/a')
  scene.hears(made, EventType.NodeChildrenChanged, '/')
  scene.ann_({ kind: 'getData', path: '/a', watch: true })
  scene.ann_({ kind: 'addWatch', path: '/a', mode: AddWatchMode.PersistentRecursive })
  const set = scene.set('/a', 1)
  scene.hears(set, EventType.NodeDataChanged, '/a')
  const child = scene.create('/a/b')
  scene.hears(child, EventType.NodeCreated, '/a/b')
  const gone = scene.delete('/a/b')
  scene.hears(gone, EventType.NodeDeleted, '/a/b')
  scene.ann_({ kind: 'removeWatches', path: '/a', type: WatcherType.PersistentRecursive })
  scene.set('/a', 2)
  scene.sync()
  return scene
}

test('a good history is accepted, and all its events were looked at', () => {
  const verdict = aGoodScene().judge()

  expect(verdict).toEqual({ violations: [], fired: 5 })
})

test('what a broken connection did not bring any more proves nothing', () => {
  const scene = aGoodScene()
  scene.ann.arrivals.splice(5)

  expect(scene.judge().violations).toEqual([])
})

describe('a spoilt history is rejected', () => {
  const spoilers: Readonly<Record<string, (scene: Scene) => void>> = {
    'an event that never came': ({ ann }) => {
      ann.arrivals.splice(2, 1)
    },
    'an event that came twice': ({ ann }) => {
      const event = ann.arrivals[2]
      if (event !== undefined) ann.arrivals.splice(2, 0, event)
    },
    'an event after the reply that shows its change': ({ ann }) => {
      const [event] = ann.arrivals.splice(3, 1)
      if (event !== undefined) ann.arrivals.splice(4, 0, event)
    },
    'two events in the wrong order': ({ ann }) => {
      const [event] = ann.arrivals.splice(2, 1)
      if (event !== undefined) ann.arrivals.splice(3, 0, event)
    },
    'an event of the wrong type': ({ ann }) => {
      const event = eventsOf(ann)[0]
      if (event !== undefined) spoil(event.event).type = EventType.NodeDeleted
    },
    'an event of the wrong zxid': ({ ann }) => {
      const event = eventsOf(ann)[0]
      if (event !== undefined) spoil(event).zxid = zxid(2n)
    },
    'an event with another path': ({ ann }) => {
      const event = eventsOf(ann)[3]
      if (event !== undefined) spoil(event.event).path = '/a/c'
    },
    'an event after the watch was removed': scene => {
      const id = scene.set('/a', 3)
      scene.hears(id, EventType.NodeDataChanged, '/a')
      scene.sync()
    },
    'an event for somebody who asked for nothing': scene => {
      scene.history.event(scene.bob, 3n, EventType.NodeCreated, '/a')
    },
    'a watch removed that was not there': scene => {
      scene.ann_({ kind: 'removeWatches', path: '/a', type: WatcherType.Children })
    },
    'a watch said to be missing that is there': scene => {
      scene.ann_({ kind: 'addWatch', path: '/a', mode: AddWatchMode.Persistent })
      scene.ann_({ kind: 'checkWatches', path: '/a', type: WatcherType.Any }, -121)
    },
  }

  test.each(Object.keys(spoilers))('%s', name => {
    const scene = aGoodScene()
    spoilers[name]?.(scene)

    expect(scene.judge().violations.length).toBeGreaterThan(0)
  })
})

describe('who may not read a znode', () => {
  const secret = [{ perms: 31, scheme: 'digest', id: 'x:y' }]

  test('hears nothing of it, and its one-shot watch is used up', () => {
    const scene = new Scene()
    scene.ann_({ kind: 'exists', path: '/s', watch: true }, -101)
    scene.create('/s', secret)
    scene.sync()
    scene.delete('/s')
    scene.sync()

    expect(scene.judge()).toEqual({ violations: [], fired: 0 })
  })

  test('must not be told of it', () => {
    const scene = new Scene()
    scene.ann_({ kind: 'exists', path: '/s', watch: true }, -101)
    const id = scene.create('/s', secret)
    scene.hears(id, EventType.NodeCreated, '/s')
    scene.sync()

    expect(scene.judge().violations.length).toBe(1)
  })
})

describe('setWatches', () => {
  const restore = (scene: Scene, data: readonly string[], exist: readonly string[]): void => {
    const request: Request = { kind: 'setWatches', relativeZxid: zxid(3n), data, exist, child: ['/'] }
    scene.ann_(request)
  }

  test('brings what was missed at once, before its reply, and sets the rest', () => {
    const scene = new Scene()
    scene.create('/a') // 3
    scene.set('/a', 1) // 4
    scene.hears(-1n, EventType.NodeDataChanged, '/a')
    restore(scene, ['/a'], ['/b'])
    const made = scene.create('/b')
    scene.hears(made, EventType.NodeCreated, '/b')
    scene.hears(made, EventType.NodeChildrenChanged, '/')
    scene.sync()

    expect(scene.judge()).toEqual({ violations: [], fired: 3 })
  })

  test('must not keep anything back', () => {
    const scene = new Scene()
    scene.create('/a')
    scene.set('/a', 1)
    restore(scene, ['/a'], [])

    expect(scene.judge().violations.length).toBe(1)
  })

  test('must not invent anything', () => {
    const scene = new Scene()
    scene.create('/a')
    scene.hears(-1n, EventType.NodeDataChanged, '/a')
    restore(scene, ['/a'], [])

    expect(scene.judge().violations.length).toBeGreaterThan(0)
  })
})
