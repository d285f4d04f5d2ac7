import { expect, test } from 'vitest'
import { mostDescriptors, openDescriptors } from './descriptors.ts'

test('what the system does not tell, for want of /proc or of a descriptor to look with, is not known', () => {
  expect([openDescriptors('/nowhere'), mostDescriptors('/nowhere')]).toEqual([undefined, undefined])
})
