/**
 * What happens to a client library, as text: one step a line, so that a saved input can be read and cut down by hand.
 * Paths are written as in URLs.
 *
 *     client chroot one        how it is made (first line)    call getData /a 3    its user's call, with a variant
 *     serve T                  the next connection is         abort                the newest call is given up
 *                              accepted and greeted           unwatch              the newest listener leaves
 *     accept, greet T          the same apart                 ask 00ff…            a request as its bytes say
 *     reply T                  the oldest request's answer    close                the user closes the client
 *     settle                   all answers                    hangup               the server does
 *     answer 00ff…             a frame for the oldest         pieces 3             what is said comes three bytes
 *     say 00ff…                any bytes                                           at a time
 *     ping                     an answer nobody asked for     pass 3000            so many ms go by
 *     event 1 /a 3 -1 T        type, path, state and zxid of a watch's event
 *     flap refused 5000        so many ms all servers close what they are offered; or accepted, or greeted
 *
 * T is a change to the honest frame (see `Tamper`), or nothing.
 */
import { drawBelow, type Random } from '@corral/core'
import { ErrorCode, OpCode, Writer, writeRequestFrame } from '@corral/protocol'
import { chance, drawBytes, mutate, numbers, pick, words } from './mutate.ts'
import { anyRequest } from './play.ts'

/** A line, in words. */
export type Step = readonly string[]

export function writePlay(steps: readonly Step[]): Uint8Array {
  return Buffer.from(steps.map(step => `${step.filter(word => word !== '').join(' ')}\n`).join(''))
}

export function readPlay(input: Uint8Array): Step[] {
  return Buffer.from(input)
    .toString()
    .split('\n')
    .filter(text => text !== '' && !text.startsWith('#'))
    .map(text => text.split(' '))
}

/** The user's calls by name, to be drawn from. */
export const callNames = [
  'create',
  'createWithStat',
  'delete',
  'exists',
  'getData',
  'setData',
  'getAcl',
  'setAcl',
  'getChildren',
  'getChildrenWithStat',
  'getAllChildrenNumber',
  'getEphemerals',
  'sync',
  'whoAmI',
  'multi',
  'multiRead',
  'addWatch',
  'removeWatches',
  'hasWatches',
  'addAuth',
  'getConfig',
  'reconfig',
  'connect',
] as const
export type CallName = (typeof callNames)[number]

const clientOptions = ['chroot', 'one', 'readOnly', 'forgetful', 'hasty', 'session', 'auth']
const longestPlay = 100

/** A new play, or a known one with changes. */
export function makePlay(random: Random, known: readonly Uint8Array[]): Uint8Array {
  const isNew = known.length === 0 || chance(random, 2)
  let steps = isNew ? freshPlay(random) : readPlay(pick(random, known))
  const changes = drawBelow(random, isNew ? 3 : 6)
  for (let i = 0; i < changes; i++) steps = changePlay(random, steps)
  return writePlay(steps.slice(0, longestPlay))
}

function freshPlay(random: Random): Step[] {
  const options = clientOptions.filter(() => chance(random, 5))
  const steps: Step[] = [['client', ...options]]
  steps.push(chance(random, 2) ? ['call', 'connect', '/', '0'] : drawCall(random))
  if (!chance(random, 6)) steps.push(['serve'])
  const count = 5 + drawBelow(random, 40)
  for (let i = 0; i < count; i++) steps.push(drawStep(random))
  return steps
}

function drawStep(random: Random): Step {
  switch (drawBelow(random, 24)) {
    case 0:
      return chance(random, 6)
        ? ['flap', pick(random, ['refused', 'accepted', 'greeted']), pick(random, ['1000', '5000', '20000'])]
        : ['pass', pick(random, ['1', '100', '1000', '3000', '11000', '61000'])]
    case 1:
      return pick(random, [['hangup'], ['abort'], ['unwatch'], ['ping']])
    case 2:
      return ['greet', ...drawTamper(random, ['password', 'readonly', 'word', 'word', 'cut', 'more'])]
    case 3:
      return chance(random, 2) ? ['accept'] : ['pieces', pick(random, ['1', '3', '1000000', '1000000'])]
    case 4:
      return chance(random, 5) ? ['close'] : ['ask', drawRequest(random)]
    case 5:
      return chance(random, 3) ? ['say', hex(drawBytes(random, drawBelow(random, 40)))] : ['settle']
    case 6:
    case 7:
      return [
        'reply',
        ...drawTamper(random, ['as', 'count', 'refuse', 'refuse', 'word', 'word', 'cut', 'more']),
      ]
    case 8:
      return [...drawEvent(random), ...(chance(random, 3) ? drawTamper(random, ['word', 'cut', 'more']) : [])]
    case 9:
    case 10:
      return drawEvent(random)
    case 11:
    case 12:
      return chance(random, 4) ? ['serve', 'readonly'] : ['serve']
    case 13:
      return ['settle']
    case 14:
    case 15:
    case 16:
      return ['reply']
    default:
      return drawCall(random)
  }
}

function drawCall(random: Random): Step {
  const path = chance(random, 8) ? pick(random, words) : pick(random, ['/', '/a', '/a/b', '/b'])
  return ['call', pick(random, callNames), encodeURIComponent(path), String(drawBelow(random, 60))]
}

function drawEvent(random: Random): Step {
  const path = chance(random, 5) ? pick(random, words) : pick(random, ['/', '/a', '/a/b', '/app/a', '/b'])
  const type = chance(random, 8) ? pick(random, numbers) : 1 + drawBelow(random, 4)
  const state = chance(random, 8) ? pick(random, numbers) : 3
  const zxid = pick(random, [-1, -1, 0, 5, 1 << 30])
  return ['event', String(type), encodeURIComponent(path) || '%', String(state), String(zxid)]
}

function drawTamper(random: Random, names: readonly string[]): Step {
  const name = pick(random, [...names, 'length', 'twice', 'bytes', 'bytes', 'raw'])
  switch (name) {
    case 'twice':
    case 'readonly':
      return [name]
    case 'word':
      // The fields of the header, and the first of the body, more often than what comes behind.
      return [name, String(4 * drawBelow(random, chance(random, 3) ? 24 : 6)), String(pick(random, numbers))]
    case 'as':
      return [name, String(pick(random, Object.values(OpCode)))]
    case 'refuse':
      return [name, String(pick(random, Object.values(ErrorCode))), String(drawBelow(random, 4))]
    case 'count':
      return [name, String(drawBelow(random, 6))]
    case 'password':
      return [name, String(pick(random, [-1, 0, 1, 15, 17, 5000]))]
    case 'bytes':
    case 'raw':
      return [name, String(random.u32())]
    case 'length':
      return [name, String(pick(random, numbers))]
    default:
      return [name, String(1 + drawBelow(random, 20))]
  }
}

function drawRequest(random: Random): string {
  const w = new Writer()
  writeRequestFrame(w, 1, anyRequest(random))
  return hex(w.written())
}

function changePlay(random: Random, steps: readonly Step[]): Step[] {
  const changed = [...steps]
  const at = 1 + drawBelow(random, changed.length)
  const step = changed[at]
  switch (drawBelow(random, 5)) {
    case 0:
      changed.splice(at, 1)
      return changed
    case 1:
      if (step !== undefined) changed.splice(1 + drawBelow(random, changed.length), 0, step)
      return changed
    case 2: {
      const [word = '', bytes = ''] = step ?? []
      if (word !== 'say' && word !== 'answer') return changed
      changed[at] = [word, hex(mutate(random, Buffer.from(bytes, 'hex'), [], 4096))]
      return changed
    }
    default:
      changed.splice(at, 0, drawStep(random))
      return changed
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
