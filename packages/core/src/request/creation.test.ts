import { OpCode } from '@corral/protocol'
import { expect, test } from 'vitest'
import { type CreateType, multiCreateType } from './creation.ts'

const { Create, Create2, CreateContainer, CreateTtl } = OpCode

/** By flags: 0 to 3, container, TTL, sequential TTL, none. */
test.each<[string, CreateType, readonly (CreateType | undefined)[]]>([
  ['create', Create, [Create, Create, Create, Create, CreateContainer, undefined, undefined, undefined]],
  [
    'create2',
    Create2,
    [Create2, Create2, Create2, Create2, CreateContainer, undefined, undefined, undefined],
  ],
  [
    'createContainer',
    CreateContainer,
    [...new Array(5).fill(CreateContainer), ...new Array(3).fill(undefined)],
  ],
  [
    'createTTL',
    CreateTtl,
    [Create, Create, Create, Create, CreateContainer, CreateTtl, CreateTtl, CreateTtl],
  ],
])('inside a multi the flags of a %s say what it makes, and may spoil the multi', (_, op, made) => {
  expect(made.map((_, flags) => multiCreateType(op, flags))).toEqual(made)
  expect(multiCreateType(op, -1)).toBe(made[7])
})
