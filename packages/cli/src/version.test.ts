import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { corralVersion } from './version.ts'

test('the version is that of the package', () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

  expect(corralVersion).toBe(version)
})
