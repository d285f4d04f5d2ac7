import { ErrorCode, zkError } from '@corral/client'
import { expect, test } from 'vitest'
import { CommandError, failureOf, keeperErrorText, zkErrorText } from './failure.ts'

test.each([
  [ErrorCode.NoNode, 'Node does not exist: /p'],
  [ErrorCode.NodeExists, 'Node already exists: /p'],
  [ErrorCode.NotEmpty, 'Node not empty: /p'],
  [ErrorCode.NoChildrenForEphemerals, 'Ephemerals cannot have children: /p'],
  [ErrorCode.BadVersion, 'version No is not valid : /p'],
  [ErrorCode.NoAuth, 'Insufficient permission : /p'],
  [ErrorCode.InvalidAcl, 'Acl is not valid : /p'],
  [ErrorCode.NotReadOnly, 'Not a read-only call: /p'],
  [ErrorCode.QuotaExceeded, 'Quota has exceeded : /p'],
  [ErrorCode.BadArguments, 'Arguments are not valid : /p'],
  [ErrorCode.NoWatcher, 'KeeperErrorCode = No such watcher for /p'],
  [ErrorCode.ThrottledOp, 'KeeperErrorCode = Op throttled due to high load for /p'],
  [-9999, 'KeeperErrorCode = Unknown error -9999 for /p'],
])('code %d is said as in zkCli', (code, text) => {
  expect(zkErrorText(zkError(code, { op: 'getData', path: '/p' }))).toBe(text)
})

test('an error of reconfig names no path', () => {
  const error = zkError(ErrorCode.ReconfigDisabled, { op: 'reconfig', path: '/zookeeper/config' })

  expect(zkErrorText(error)).toBe('KeeperErrorCode = Reconfig is disabled')
})

test('a lost connection also says which server said what', () => {
  const failure = failureOf(
    zkError(ErrorCode.ConnectionLoss, { op: 'exists', path: '/p', reason: 'refused' }),
  )

  expect(failure?.lines[0]).toBe('KeeperErrorCode = ConnectionLoss for /p')
  expect(failure?.lines[1]).toBe('(refused)')
})

test('a mistake in the program is no failure of a command', () => {
  expect(failureOf(new TypeError('x'))).toBeUndefined()
  expect(failureOf(new CommandError('x', 127))?.exitCode).toBe(127)
})

test('every refusal has its Java name, as setAcl -R prints it for each znode', () => {
  const names = Object.values(ErrorCode)
    .filter(code => code !== ErrorCode.Ok && !unnamed.has(code))
    .map(code => keeperErrorText(zkError(code, { op: 'setAcl', path: '/p' })))

  expect(names.filter(name => name.includes('Unknown'))).toEqual([])
  expect(keeperErrorText(zkError(ErrorCode.NoAuth, { op: 'setAcl', path: '/p' }))).toBe(
    'KeeperErrorCode = NoAuth for /p',
  )
})

/** Java has no text for these either. */
const unnamed: ReadonlySet<number> = new Set([ErrorCode.UnknownSession, ErrorCode.RequestTimeout])
