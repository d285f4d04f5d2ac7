import { expect, test } from 'vitest'

test('tests run against the sources, not against a build', () => {
  expect(import.meta.resolve('@corral/protocol')).toMatch(/packages\/protocol\/src\/index\.ts$/)
})
